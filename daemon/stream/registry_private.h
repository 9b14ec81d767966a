/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_REGISTRY_PRIVATE_H
#define BURGEON_STREAM_REGISTRY_PRIVATE_H

#include "daemon/stream/children.h"
#include "daemon/stream/dossier.h"
#include "daemon/stream/series.h"
#include "daemon/util/chunks.h"

/*
 * The inside of the registry, shared by registry.c (models, ordinary events), family.c (irregular children) and union.c (models
 * that turn out to be one).
 *
 * An apply checks first, then changes, noting single events that come or go as edits and what happened to each series as
 * changes; registry_commit() carries the edits out, and at the very end the changes are reported.
 */

typedef struct BgEdit {
        BgSeriesId series;
        BgSecond at;
        bool gone; /* else fresh */
} BgEdit;

typedef struct BgNoted {
        BgSeriesId series;
        BgSeriesChange change;
} BgNoted;

struct BgRegistry {
        BgRegistrySpec spec;
        BgNames names;
        BgChildren children;
        BgChunks models;   /* BgModel */
        BgChunks series;   /* BgSeries */
        BgChunks dossiers; /* BgDossier */
        size_t series_held;   /* bytes of times and tallies */
        size_t dossiers_held; /* bytes of facts and shares */
        int64_t n_children;
        uint32_t n_heard;     /* statements of a release */

        /* of the current apply; the memory is kept */
        BgEdit *edits;
        size_t n_edits, cap_edits;
        BgNoted *noted;
        size_t n_noted, cap_noted;
        BgSecond *seconds; /* scratch of commit */
        size_t cap_seconds;
        BgPlace *places;   /* scratch of families */
        size_t cap_places;
        BgShare *shares;   /* 2 * cap_places of them */
};

static inline BgModel *registry_model(const BgRegistry *registry, BgModelId id) { return bg_chunks_at(&registry->models, id); }
static inline BgSeries *registry_series(const BgRegistry *registry, BgSeriesId id) { return bg_chunks_at(&registry->series, id); }

/* All: 0 or -ENOMEM. */
int registry_ensure_model(BgRegistry *registry, BgNameRef name, BgModelId *modelp);
int registry_ensure_series(BgRegistry *registry, BgModelId model, unsigned relation, BgSeriesId *seriesp);
int registry_edit(BgRegistry *registry, BgSeriesId series, BgSecond at, bool gone);
/** Carry the edits out. `child`: of the event, when it is an add. */
int registry_commit(BgRegistry *registry, BgStr child);
/** The change of a series that is being noted; NULL when there is no memory. Valid until the next call. */
BgSeriesChange *registry_note(BgRegistry *registry, BgSeriesId series);
/** A guessed release follows what is there; notes it when it changed. */
int registry_guess_release(BgRegistry *registry, BgModelId model);
int registry_note_model(BgRegistry *registry, BgModelId model, bool release_changed, bool renamed);

/** The models that took over. */
BgModelId registry_resolve(const BgRegistry *registry, BgModelId model);

/** Whether so many names of these are new and do not fit any more. Absent names do not count. */
bool registry_names_full(const BgRegistry *registry, const BgStr *texts, size_t n);

/* ---- family.c -------------------------------------------------------------------------------------------------------------- */

/** An add to a child that has a dossier, or needs one. As bg_registry_apply(). */
int family_add(BgRegistry *registry, const BgEvent *event, BgReject *reasonp);
int family_remove(BgRegistry *registry, const BgEvent *event, BgReject *reasonp);
/** Both kinds of move. */
int family_move(BgRegistry *registry, const BgEvent *event, BgReject *reasonp);
/** Tell a dossier anew; what is different becomes edits. 0 or -ENOMEM. */
int family_retell(BgRegistry *registry, BgDossier *dossier);

/* ---- union.c --------------------------------------------------------------------------------------------------------------- */

/** Two names are one model from now on. 0 or -ENOMEM. */
int union_join(BgRegistry *registry, BgNameRef from, BgNameRef to, BgSecond at);

/** Room for n items in an array that grows by half; its address may change. 0 or -ENOMEM. */
int registry_reserve(void *arrayp, size_t *capp, size_t n, size_t item_size);

#endif

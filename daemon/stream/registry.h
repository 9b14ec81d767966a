/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_REGISTRY_H
#define BURGEON_STREAM_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * Models, their children and the counts, exact whatever the order of arrival.
 *
 * What is counted is a function of the *set* of facts received, not of their order:
 *  - an `add` says that a child belongs to (model, relation) since a time; the same child counts once per model and relation,
 *    at the earliest time said, unless a later `remove` took it away (after which only a later `add` brings it back);
 *  - a rename joins two names into one model, or two names into one child, whichever was heard of first; it merges what both had;
 *  - a re-parenting takes the child from one model and gives it to another at its original time of appearance.
 * Ordinary children cost one entry in a keyed-hash table. The few that are removed, moved or contradicted keep a dossier of all
 * their facts, and their places are recomputed from the dossier in time order: order-independent by construction.
 * Two things follow the order of arrival, because they have to: of several stated releases, and of several tallies for the same
 * interval, the last one heard counts (in the order of the log, hence the same after a restart).
 *
 * Time is kept in whole seconds (uint32 since 2015-01-01T00:00:00Z), rounded down: releases, events and tally edges alike.
 * One second's remove wins over its add.
 */

typedef uint32_t BgSecond;   /* since BG_TIME_MIN; 136 years */
typedef uint32_t BgModelId;  /* dense, from 0; kept over renames */
typedef uint32_t BgSeriesId; /* dense, from 0 */
#define BG_SERIES_NONE UINT32_MAX
#define BG_MODEL_NONE UINT32_MAX

static inline BgSecond bg_second_from_us(int64_t us) { return us <= BG_TIME_MIN ? 0 : (BgSecond)((us - BG_TIME_MIN) / 1000000); }
static inline int64_t bg_second_to_us(BgSecond s) { return BG_TIME_MIN + (int64_t)s * 1000000; }

/** So many appeared in (from, to]. */
typedef struct BgTally {
        BgSecond from;
        BgSecond to;
        int64_t count;
} BgTally;

/** The counts of one model and relation. Invariants: times rise (ties allowed); tallies rise and do not overlap. */
typedef struct BgSeries {
        BgModelId model;
        uint8_t relation;
        bool dirty;          /* the scheduler's: waiting for a refit */
        uint32_t n_times;    /* single events counted now */
        uint32_t cap_times;
        BgSecond *times;     /* of appearance, rising */
        uint32_t n_tallies;
        uint32_t cap_tallies;
        BgTally *tallies;
        struct BgSeriesState *state; /* the scheduler's: fit, last issued forecast; NULL before the first refit */
        struct BgSeriesSurge *surge; /* the detector's; NULL before the first counted author */
} BgSeries;

typedef struct BgModel {
        const char *name; /* current name; NUL-terminated; owned by the registry */
        uint16_t name_len;
        uint8_t release_basis;   /* BgReleaseBasis */
        BgSecond release;        /* age 0: stated, else the earliest hint, else the first event or tally edge; 0 = nothing known */
        BgSeriesId series[BG_RELATION_N]; /* BG_SERIES_NONE where there is none */
        BgModelId merged_into;   /* BG_MODEL_NONE, or the model that took over (this one then has no series) */
} BgModel;

/** What one event did to one series. */
typedef struct BgSeriesChange {
        uint32_t added;        /* children */
        uint32_t removed;
        BgSecond at;           /* event time of the (single) addition or removal; 0 when several */
        BgStr child;           /* of a single addition by an `add`; {NULL, 0} otherwise */
        int64_t tallied;       /* change of the tallied count, may be negative */
        bool release_changed;
        bool renamed;
} BgSeriesChange;

typedef void BgRegistryChanged(void *data, BgSeriesId series, const BgSeriesChange *change);

typedef struct BgRegistrySpec {
        unsigned char hash_key[16]; /* secret of this store: the table's hash can then not be attacked */
        uint32_t models_max;        /* 0 = 2^27; a flood of invented names ends in rejections, not in swapping */
        BgRegistryChanged *changed; /* called during apply for every series touched; may be NULL */
        void *data;
} BgRegistrySpec;

typedef struct BgRegistry BgRegistry;

int bg_registry_new(BgRegistry **registryp, const BgRegistrySpec *spec); /* 0 or -ENOMEM */
void bg_registry_free(BgRegistry *registry);

#define BG_REGISTRY_E_DUPLICATE 1 /* known already: nothing changed, nothing need be stored */
#define BG_REGISTRY_E_REJECTED 2  /* *reasonp says why (OVERLAP, SELF, LIMIT): nothing changed */

/**
 * bg_registry_apply() - count one valid event (`alive` is not for the registry: a no-op, 0)
 *
 * Cost: O(1) for an add; a rename that merges two models, and only that, walks the table of children.
 * Return: 0 when anything changed (or may matter later: a remove before its add), a code above, or -ENOMEM.
 */
int bg_registry_apply(BgRegistry *registry, const BgEvent *event, BgReject *reasonp);

size_t bg_registry_n_models(const BgRegistry *registry);   /* ids are < this; merged ones included */
size_t bg_registry_n_series(const BgRegistry *registry);
int64_t bg_registry_n_children(const BgRegistry *registry); /* counted now */
size_t bg_registry_memory(const BgRegistry *registry);      /* bytes held, names and tables included */
const BgModel *bg_registry_model(const BgRegistry *registry, BgModelId id);
BgSeries *bg_registry_series(BgRegistry *registry, BgSeriesId id); /* valid until the next apply */
/** By current or former name: BG_MODEL_NONE when unknown. */
BgModelId bg_registry_find(const BgRegistry *registry, BgStr name);

/* ---- counting --------------------------------------------------------------------------------------------------------------- */

/** Children counted up to and including a second. A tally that straddles `until` is counted when it is over: at its `to`.
 *  Single events inside a tally's interval are part of it: the interval counts max(tally, events). O(log n). */
int64_t bg_series_count(const BgSeries *series, BgSecond until);
/** First and last second with anything; false when there is nothing. */
bool bg_series_span(const BgSeries *series, BgSecond *firstp, BgSecond *lastp);

#define BG_SERIES_BINS_MAX 192

/** Counts by age, ready for the model room. */
typedef struct BgSeriesBins {
        size_t n;                               /* bins */
        double edges_days[BG_SERIES_BINS_MAX + 1]; /* age; edges[0] = 0 */
        double counts[BG_SERIES_BINS_MAX];
} BgSeriesBins;

/**
 * bg_series_bins() - bin a series from its release to `as_of`
 *
 * Edges: hours on the first day, days in the first week, weeks to the first month (30.4375 d), then months; beyond 120 months
 * years; the last bin ends at as_of. Where a tally covers the time, its own edges replace the grid inside it (adjacent tallies
 * keep theirs; a grid cell that a tally cuts is shortened). Children older than the release count in the first bin. Empty when
 * as_of <= release.       Cost: O(bins log n), independent of the number of events.  No allocation.
 */
void bg_series_bins(BgSeriesBins *bins, const BgSeries *series, BgSecond release, BgSecond as_of);

#endif

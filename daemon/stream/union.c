/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/registry_private.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Two names turn out to be one model. The model with more single events takes over what the other one has; a child that both
 * have counts once, at its earlier time.
 */

static uint64_t n_events(const BgRegistry *registry, BgModelId id)
{
        const BgModel *model = registry_model(registry, id);
        uint64_t n = 0;

        for (unsigned i = 0; i < BG_RELATION_N; i++)
                if (model->series[i] != BG_SERIES_NONE)
                        n += registry_series(registry, model->series[i])->n_times;
        return n;
}

/* ---- releases -------------------------------------------------------------------------------------------------------------- */

/* As if there had been one model all along. A guess is made anew when the series are together. */
static void merge_release(BgModel *survivor, const BgModel *absorbed)
{
        bool takes;

        if (absorbed->release_basis != survivor->release_basis)
                takes = absorbed->release_basis > survivor->release_basis;
        else if (absorbed->release_basis == BG_RELEASE_STATED)
                takes = absorbed->release_heard > survivor->release_heard;
        else
                takes = absorbed->release_basis == BG_RELEASE_HINTED && absorbed->release < survivor->release;
        if (!takes)
                return;
        survivor->release = absorbed->release;
        survivor->release_basis = absorbed->release_basis;
        survivor->release_heard = absorbed->release_heard;
}

/* ---- children -------------------------------------------------------------------------------------------------------------- */

typedef struct Merge {
        BgRegistry *registry;
        const BgModel *survivor;
} Merge;

static int in_both(void *data, unsigned relation, BgSecond later)
{
        Merge *merge = data;

        return registry_edit(merge->registry, merge->survivor->series[relation], later, true);
}

/* Both models have this relation. */
static int merge_series(BgRegistry *registry, BgSeriesId into, BgSeriesId from)
{
        BgSeries *series = registry_series(registry, into), *other = registry_series(registry, from);
        int64_t tallied = bg_series_tallied(series), other_tallied = bg_series_tallied(other);
        BgSeriesChange *change = registry_note(registry, from);

        if (!change)
                return -ENOMEM;
        change->removed += other->n_times;
        change->tallied -= other_tallied;
        change->renamed = true;
        change = registry_note(registry, into);
        if (!change)
                return -ENOMEM;
        change->added += other->n_times;

        int r = bg_series_absorb(series, other, &registry->series_held);

        if (!r)
                r = bg_series_absorb_tallies(series, other, &registry->series_held);
        if (!r)
                change->tallied += bg_series_tallied(series) - tallied;
        return r;
}

static int merge_models(BgRegistry *registry, BgModelId survivor_id, BgModelId absorbed_id)
{
        BgModel *survivor = registry_model(registry, survivor_id), *absorbed = registry_model(registry, absorbed_id);
        Merge merge = { registry, survivor };
        BgSecond release = survivor->release, absorbed_release = absorbed->release;
        int r = 0;

        if (n_events(registry, absorbed_id) > 0)
                r = bg_children_merge_models(&registry->children, absorbed_id, survivor_id, in_both, &merge);
        for (unsigned i = 0; i < BG_RELATION_N && !r; i++) {
                BgSeriesId from = absorbed->series[i];

                if (from == BG_SERIES_NONE)
                        continue;
                if (survivor->series[i] != BG_SERIES_NONE) {
                        r = merge_series(registry, survivor->series[i], from);
                } else {
                        BgSeriesChange *change = registry_note(registry, from);

                        if (!change)
                                return -ENOMEM;
                        survivor->series[i] = from;
                        registry_series(registry, from)->model = survivor_id;
                        change->renamed = true;
                        change->release_changed |= absorbed_release != release;
                }
                absorbed->series[i] = BG_SERIES_NONE;
        }
        absorbed->merged_into = survivor_id;
        merge_release(survivor, absorbed);
        if (!r && survivor->release != release)
                r = registry_note_model(registry, survivor_id, true, false);
        return r ? r : registry_guess_release(registry, survivor_id);
}

/* Children that were in both by way of facts that are only now about the same model. */
static int retell_about(BgRegistry *registry, BgNameRef root)
{
        for (size_t i = 0; i < registry->dossiers.n; i++) {
                BgDossier *dossier = bg_chunks_at(&registry->dossiers, i);
                bool concerned = false;

                for (uint32_t k = 0; k < dossier->n_facts && !concerned; k++) {
                        const BgFact *fact = &dossier->facts[k];

                        concerned = (fact->model != BG_NAME_NONE && bg_names_root(&registry->names, fact->model) == root) ||
                                    (fact->to_model != BG_NAME_NONE && bg_names_root(&registry->names, fact->to_model) == root);
                }

                int r = concerned ? family_retell(registry, dossier) : 0;

                if (r)
                        return r;
        }
        return 0;
}

/* ---- names ----------------------------------------------------------------------------------------------------------------- */

static int show_name(BgRegistry *registry, BgNameRef name, BgModelId id)
{
        BgModel *model = registry_model(registry, id);
        BgStr text = bg_names_text(&registry->names, bg_names_display(&registry->names, name));

        if (model->name == text.data) /* names are interned: the same address is the same name */
                return 0;
        model->name = text.data;
        model->name_len = (uint16_t)text.len;
        return registry_note_model(registry, id, false, true);
}

int union_join(BgRegistry *registry, BgNameRef from, BgNameRef to, BgSecond at)
{
        BgNames *names = &registry->names;
        bool joined = bg_names_root(names, from) == bg_names_root(names, to);
        bool cited = !joined && bg_names_cited(names, from) && bg_names_cited(names, to);
        BgModelId a = bg_names_model(names, from), b = bg_names_model(names, to);
        BgModelId survivor = a == BG_MODEL_NONE ? b : a, absorbed = BG_MODEL_NONE;
        int r;

        if (!joined && a != BG_MODEL_NONE && b != BG_MODEL_NONE) {
                bool b_takes = n_events(registry, b) > n_events(registry, a);

                survivor = b_takes ? b : a;
                absorbed = b_takes ? a : b;
        }
        r = bg_names_join(names, from, to, at);
        if (r)
                return r;
        if (survivor != BG_MODEL_NONE) {
                bg_names_set_model(names, from, survivor);
                r = absorbed == BG_MODEL_NONE ? 0 : merge_models(registry, survivor, absorbed);
                if (!r)
                        r = show_name(registry, from, survivor);
        }
        return r || !cited ? r : retell_about(registry, bg_names_root(names, from));
}

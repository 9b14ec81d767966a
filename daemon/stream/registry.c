/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/registry_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

int bg_registry_new(BgRegistry **registryp, const BgRegistrySpec *spec)
{
        BgRegistry *registry = calloc(1, sizeof(*registry));

        if (!registry)
                return -ENOMEM;
        registry->spec = *spec;
        if (!registry->spec.models_max || registry->spec.models_max > BG_MODELS_MAX)
                registry->spec.models_max = BG_MODELS_MAX;
        bg_names_init(&registry->names, spec->hash_key);
        bg_chunks_init(&registry->models, sizeof(BgModel));
        bg_chunks_init(&registry->series, sizeof(BgSeries));
        bg_chunks_init(&registry->dossiers, sizeof(BgDossier));
        *registryp = registry;
        return 0;
}

void bg_registry_free(BgRegistry *registry)
{
        if (!registry)
                return;
        for (size_t i = 0; i < registry->series.n; i++)
                bg_series_deinit(registry_series(registry, (BgSeriesId)i), &registry->series_held);
        for (size_t i = 0; i < registry->dossiers.n; i++)
                bg_dossier_deinit(bg_chunks_at(&registry->dossiers, i));
        bg_chunks_deinit(&registry->dossiers);
        bg_chunks_deinit(&registry->series);
        bg_chunks_deinit(&registry->models);
        bg_children_deinit(&registry->children);
        bg_names_deinit(&registry->names);
        free(registry->edits);
        free(registry->noted);
        free(registry->seconds);
        free(registry->places);
        free(registry->shares);
        free(registry);
}

int registry_reserve(void *arrayp, size_t *capp, size_t n, size_t item_size)
{
        void **array = arrayp;

        if (n <= *capp)
                return 0;

        size_t cap = n < 16 ? 16 : n + n / 2;
        void *grown = reallocarray(*array, cap, item_size);

        if (!grown)
                return -ENOMEM;
        *array = grown;
        *capp = cap;
        return 0;
}

/* ---- models and series ----------------------------------------------------------------------------------------------------- */

int registry_ensure_model(BgRegistry *registry, BgNameRef name, BgModelId *modelp)
{
        *modelp = bg_names_model(&registry->names, name);
        if (*modelp != BG_MODEL_NONE)
                return 0;

        BgModelId id = (BgModelId)registry->models.n;
        BgModel *model = bg_chunks_push(&registry->models);

        if (!model)
                return -ENOMEM;
        assert(id < BG_MODELS_MAX); /* every model has a name, and those are limited */

        BgStr text = bg_names_text(&registry->names, bg_names_display(&registry->names, name));

        *model = (BgModel){ .name = text.data,
                            .name_len = (uint16_t)text.len,
                            .release_basis = BG_RELEASE_GUESSED,
                            .merged_into = BG_MODEL_NONE };
        for (unsigned i = 0; i < BG_RELATION_N; i++)
                model->series[i] = BG_SERIES_NONE;
        bg_names_set_model(&registry->names, name, id);
        *modelp = id;
        return 0;
}

int registry_ensure_series(BgRegistry *registry, BgModelId model, unsigned relation, BgSeriesId *seriesp)
{
        BgSeriesId *slot = &registry_model(registry, model)->series[relation];

        if (*slot == BG_SERIES_NONE) {
                BgSeriesId id = (BgSeriesId)registry->series.n;
                BgSeries *series = bg_chunks_push(&registry->series);

                if (!series)
                        return -ENOMEM;
                series->model = model;
                series->relation = (uint8_t)relation;
                *slot = id;
        }
        *seriesp = *slot;
        return 0;
}

BgModelId registry_resolve(const BgRegistry *registry, BgModelId model)
{
        for (const BgModel *m = registry_model(registry, model); m->merged_into != BG_MODEL_NONE;
             m = registry_model(registry, model))
                model = m->merged_into;
        return model;
}

bool registry_names_full(const BgRegistry *registry, const BgStr *texts, size_t n)
{
        size_t n_new = 0;

        if (registry->names.n + n <= registry->spec.models_max)
                return false;
        for (size_t i = 0; i < n; i++) {
                bool again = texts[i].len == 0;

                for (size_t k = 0; k < i && !again; k++)
                        again = bg_str_equal(texts[i], texts[k]);
                n_new += !again && bg_names_find(&registry->names, texts[i]) == BG_NAME_NONE;
        }
        return registry->names.n + n_new > registry->spec.models_max;
}

/* ---- what an apply did ----------------------------------------------------------------------------------------------------- */

BgSeriesChange *registry_note(BgRegistry *registry, BgSeriesId series)
{
        for (size_t i = registry->n_noted; i-- > 0;)
                if (registry->noted[i].series == series)
                        return &registry->noted[i].change;
        if (registry_reserve(&registry->noted, &registry->cap_noted, registry->n_noted + 1, sizeof(*registry->noted)))
                return NULL;

        BgNoted *noted = &registry->noted[registry->n_noted++];

        *noted = (BgNoted){ .series = series };
        return &noted->change;
}

int registry_note_model(BgRegistry *registry, BgModelId model, bool release_changed, bool renamed)
{
        for (unsigned i = 0; i < BG_RELATION_N; i++) {
                BgSeriesId id = registry_model(registry, model)->series[i];

                if (id == BG_SERIES_NONE)
                        continue;

                BgSeriesChange *change = registry_note(registry, id);

                if (!change)
                        return -ENOMEM;
                change->release_changed |= release_changed;
                change->renamed |= renamed;
        }
        return 0;
}

static void report(BgRegistry *registry)
{
        if (!registry->spec.changed)
                return;
        for (size_t i = 0; i < registry->n_noted; i++)
                registry->spec.changed(registry->spec.data, registry->noted[i].series, &registry->noted[i].change);
}

/* Age 0 cannot be second 0: that is taken for "nothing known". */
static BgSecond release_second(BgSecond second)
{
        return second ? second : 1;
}

int registry_guess_release(BgRegistry *registry, BgModelId id)
{
        BgModel *model = registry_model(registry, id);
        BgSecond earliest = UINT32_MAX, first, last;
        bool any = false;

        if (model->release_basis != BG_RELEASE_GUESSED)
                return 0;
        for (unsigned i = 0; i < BG_RELATION_N; i++)
                if (model->series[i] != BG_SERIES_NONE &&
                    bg_series_span(registry_series(registry, model->series[i]), &first, &last)) {
                        any = true;
                        earliest = first < earliest ? first : earliest;
                }

        BgSecond release = any ? release_second(earliest) : 0;

        if (release == model->release)
                return 0;
        model->release = release;
        return registry_note_model(registry, id, true, false);
}

/* ---- edits ----------------------------------------------------------------------------------------------------------------- */

int registry_edit(BgRegistry *registry, BgSeriesId series, BgSecond at, bool gone)
{
        int r = registry_reserve(&registry->edits, &registry->cap_edits, registry->n_edits + 1, sizeof(*registry->edits));

        if (r)
                return r;
        registry->edits[registry->n_edits++] = (BgEdit){ .series = series, .at = at, .gone = gone };
        return 0;
}

static int compare_edits(const void *left, const void *right)
{
        const BgEdit *a = left, *b = right;

        if (a->series != b->series)
                return a->series < b->series ? -1 : 1;
        if (a->gone != b->gone)
                return a->gone ? -1 : 1;
        return (a->at > b->at) - (a->at < b->at);
}

/* The edits of one series, sorted. */
static int commit_series(BgRegistry *registry, const BgEdit *edits, size_t n, BgStr child)
{
        BgSeries *series = registry_series(registry, edits->series);
        size_t n_gone = 0;
        int r = registry_reserve(&registry->seconds, &registry->cap_seconds, n, sizeof(*registry->seconds));

        if (r)
                return r;
        for (size_t i = 0; i < n; i++) {
                registry->seconds[i] = edits[i].at;
                n_gone += edits[i].gone;
        }
        r = bg_series_edit(series, registry->seconds, n_gone, registry->seconds + n_gone, n - n_gone, &registry->series_held);
        if (r)
                return r;
        registry->n_children += (int64_t)(n - n_gone) - (int64_t)n_gone;

        BgSeriesChange *change = registry_note(registry, edits->series);

        if (!change)
                return -ENOMEM;
        change->added += (uint32_t)(n - n_gone);
        change->removed += (uint32_t)n_gone;
        change->at = change->added + change->removed == 1 ? edits->at : 0;
        if (change->added == 1 && !change->removed)
                change->child = child;
        return registry_guess_release(registry, series->model);
}

int registry_commit(BgRegistry *registry, BgStr child)
{
        BgEdit *edits = registry->edits;
        size_t n = registry->n_edits;
        int r = 0;

        if (n > 1)
                qsort(edits, n, sizeof(*edits), compare_edits);
        for (size_t i = 0, end; i < n && !r; i = end) {
                for (end = i + 1; end < n && edits[end].series == edits[i].series; end++)
                        ;
                r = commit_series(registry, edits + i, end - i, child);
        }
        registry->n_edits = 0;
        return r;
}

/* ---- events ---------------------------------------------------------------------------------------------------------------- */

static int reject(BgReject *reasonp, BgReject reason)
{
        *reasonp = reason;
        return BG_REGISTRY_E_REJECTED;
}

static int intern_model(BgRegistry *registry, BgStr text, BgNameRef *namep, BgModelId *modelp)
{
        int r = bg_names_intern(&registry->names, text, namep);

        return r ? r : registry_ensure_model(registry, *namep, modelp);
}

/* Return: 0 when it changed, BG_REGISTRY_E_DUPLICATE when it tells nothing new. */
static int hint_release(BgRegistry *registry, BgModelId id, int64_t hinted)
{
        BgModel *model = registry_model(registry, id);
        BgSecond release = release_second(bg_second_from_us(hinted));

        if (!hinted || model->release_basis == BG_RELEASE_STATED ||
            (model->release_basis == BG_RELEASE_HINTED && release >= model->release))
                return BG_REGISTRY_E_DUPLICATE;

        bool changed = release != model->release;

        model->release = release;
        model->release_basis = BG_RELEASE_HINTED;
        return changed ? registry_note_model(registry, id, true, false) : 0;
}

static int add_regular(BgRegistry *registry, const BgEvent *event, BgModelId model, uint64_t hash, BgChildRun run)
{
        BgSecond at = bg_second_from_us(event->at), earliest = UINT32_MAX;
        BgPlaceKey key = bg_place_key(model, event->relation);
        bool counted = false;
        BgSeriesId series;
        int r;

        for (uint32_t i = 0; i < run.n; i++) {
                BgSecond known = bg_child_run_second(&run, i);

                if (bg_child_run_key(&run, i) != key)
                        continue;
                if (known == at)
                        return BG_REGISTRY_E_DUPLICATE;
                counted = true;
                earliest = known < earliest ? known : earliest;
        }
        r = registry_ensure_series(registry, model, event->relation, &series);
        if (!r)
                r = bg_children_insert(&registry->children, hash, key, at);
        if (r || (counted && earliest < at))
                return r;
        if (counted)
                r = registry_edit(registry, series, earliest, true);
        if (!r)
                r = registry_edit(registry, series, at, false);
        return r;
}

static int apply_add(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        uint64_t hash = bg_names_hash(&registry->names, event->child);
        BgModelId model = BG_MODEL_NONE;
        BgNameRef name;
        BgChildRun run;
        int added, hinted, r = 0;

        if (bg_str_equal(event->model, event->child))
                return reject(reasonp, BG_REJECT_SELF);
        if (registry_names_full(registry, &event->model, 1))
                return reject(reasonp, BG_REJECT_LIMIT);

        /* The time goes into waiting for memory: one wait for the child is enough while the model is looked up. */
        bg_children_prefetch(&registry->children, hash);
        name = bg_names_find(&registry->names, event->model);
        if (name != BG_NAME_NONE)
                model = bg_names_model(&registry->names, name);
        if (model != BG_MODEL_NONE && registry_model(registry, model)->series[event->relation] != BG_SERIES_NONE)
                __builtin_prefetch(registry_series(registry, registry_model(registry, model)->series[event->relation]));
        run = bg_children_find(&registry->children, hash);

        if (run.n == BG_CHILD_RUN_MAX || (run.n && bg_child_run_key(&run, 0) == BG_CHILD_DOSSIER)) {
                added = family_add(registry, event, reasonp);
                if (added < 0 || added == BG_REGISTRY_E_REJECTED)
                        return added;
                if (model == BG_MODEL_NONE)
                        r = intern_model(registry, event->model, &name, &model);
        } else {
                if (model == BG_MODEL_NONE)
                        r = intern_model(registry, event->model, &name, &model);
                added = r ? r : add_regular(registry, event, model, hash, run);
        }
        if (r || added < 0)
                return r ? r : added;
        r = registry_commit(registry, event->child);
        if (r)
                return r;
        hinted = hint_release(registry, model, event->release);
        if (hinted < 0)
                return hinted;
        return added && hinted ? BG_REGISTRY_E_DUPLICATE : 0;
}

static int apply_tally(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        BgSecond from = bg_second_from_us(event->from), to = bg_second_from_us(event->to);
        BgNameRef name;
        BgModelId model;
        int64_t delta = 0;
        BgSeriesId id;
        int r;

        if (from >= to)
                return reject(reasonp, BG_REJECT_INTERVAL);
        if (registry_names_full(registry, &event->model, 1))
                return reject(reasonp, BG_REJECT_LIMIT);
        r = intern_model(registry, event->model, &name, &model);
        if (!r)
                r = registry_ensure_series(registry, model, event->relation, &id);
        if (r)
                return r;

        if (registry_series(registry, id)->n_tallies >= BG_REGISTRY_TALLIES_MAX)
                return reject(reasonp, BG_REJECT_LIMIT);
        r = bg_series_put_tally(registry_series(registry, id), from, to, event->count, &delta, &registry->series_held);
        if (r == BG_SERIES_E_OVERLAP)
                return reject(reasonp, BG_REJECT_OVERLAP);
        if (r)
                return r == BG_SERIES_E_KNOWN ? BG_REGISTRY_E_DUPLICATE : r;

        BgSeriesChange *change = registry_note(registry, id);

        if (!change)
                return -ENOMEM;
        change->tallied = delta;
        return registry_guess_release(registry, model);
}

static int apply_release(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        BgSecond release = release_second(bg_second_from_us(event->at));
        BgModelId id;
        BgNameRef name;
        int r;

        if (registry_names_full(registry, &event->model, 1))
                return reject(reasonp, BG_REJECT_LIMIT);
        r = intern_model(registry, event->model, &name, &id);
        if (r)
                return r;

        BgModel *model = registry_model(registry, id);
        bool changed = model->release != release;

        if (!changed && model->release_basis == BG_RELEASE_STATED)
                return BG_REGISTRY_E_DUPLICATE;
        model->release = release;
        model->release_basis = BG_RELEASE_STATED;
        model->release_heard = ++registry->n_heard;
        return changed ? registry_note_model(registry, id, true, false) : 0;
}

static int apply(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        switch (event->type) {
        case BG_EVENT_ADD:
                return apply_add(registry, event, reasonp);
        case BG_EVENT_REMOVE:
                return family_remove(registry, event, reasonp);
        case BG_EVENT_MOVE:
                return family_move(registry, event, reasonp);
        case BG_EVENT_TALLY:
                return apply_tally(registry, event, reasonp);
        case BG_EVENT_RELEASE:
                return apply_release(registry, event, reasonp);
        case BG_EVENT_ALIVE:
                return 0;
        default:
                return reject(reasonp, BG_REJECT_UNKNOWN_TYPE);
        }
}

int bg_registry_apply(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        BgReject reason = BG_REJECT_NONE;
        int r;

        registry->n_noted = 0;
        registry->n_edits = 0;
        r = apply(registry, event, &reason);
        if (r == 0)
                report(registry);
        if (reasonp)
                *reasonp = reason;
        return r;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

size_t bg_registry_n_models(const BgRegistry *registry)
{
        return registry->models.n;
}

size_t bg_registry_n_series(const BgRegistry *registry)
{
        return registry->series.n;
}

int64_t bg_registry_n_children(const BgRegistry *registry)
{
        return registry->n_children;
}

size_t bg_registry_memory(const BgRegistry *registry)
{
        return sizeof(*registry) + bg_names_memory(&registry->names) + registry->children.memory +
               bg_chunks_memory(&registry->models) + bg_chunks_memory(&registry->series) + bg_chunks_memory(&registry->dossiers) +
               registry->series_held + registry->dossiers_held + registry->cap_edits * sizeof(BgEdit) +
               registry->cap_noted * sizeof(BgNoted) + registry->cap_seconds * sizeof(BgSecond) +
               registry->cap_places * (sizeof(BgPlace) + 2 * sizeof(BgShare));
}

const BgModel *bg_registry_model(const BgRegistry *registry, BgModelId id)
{
        return registry_model(registry, id);
}

BgSeries *bg_registry_series(BgRegistry *registry, BgSeriesId id)
{
        return registry_series(registry, id);
}

BgModelId bg_registry_find(const BgRegistry *registry, BgStr name)
{
        BgNameRef ref = name.len && name.len <= BG_NAME_MAX ? bg_names_find(&registry->names, name) : BG_NAME_NONE;

        return ref == BG_NAME_NONE ? BG_MODEL_NONE : bg_names_model(&registry->names, ref);
}

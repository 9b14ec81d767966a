/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/registry_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Irregular children. Where the table would have a child's entries it has one that names the dossier; names that were renamed
 * into one another share it.
 */

static int reject(BgReject *reasonp, BgReject reason)
{
        *reasonp = reason;
        return BG_REGISTRY_E_REJECTED;
}

static BgDossier *dossier_at(const BgRegistry *registry, uint32_t id)
{
        return bg_chunks_at(&registry->dossiers, id);
}

static bool has_dossier(const BgChildRun *run)
{
        return run->n && bg_child_run_key(run, 0) == BG_CHILD_DOSSIER;
}

static BgChildRun find_child(BgRegistry *registry, BgStr child)
{
        return bg_children_find(&registry->children, bg_names_hash(&registry->names, child));
}

static uint32_t n_facts(const BgRegistry *registry, const BgChildRun *run)
{
        return has_dossier(run) ? dossier_at(registry, bg_child_run_second(run, 0))->n_facts : run->n;
}

/* ---- opening and joining dossiers ------------------------------------------------------------------------------------------ */

static int put_fact(BgRegistry *registry, BgDossier *dossier, const BgFact *fact)
{
        size_t held = bg_dossier_memory(dossier);
        int r = bg_dossier_put(dossier, &registry->names, fact);

        registry->dossiers_held += bg_dossier_memory(dossier) - held;
        if (r)
                return r;
        if (fact->model != BG_NAME_NONE)
                bg_names_cite(&registry->names, fact->model);
        if (fact->to_model != BG_NAME_NONE)
                bg_names_cite(&registry->names, fact->to_model);
        return 0;
}

static int compare_shares(const void *left, const void *right)
{
        const BgShare *a = left, *b = right;

        return (*a > *b) - (*a < *b);
}

static int set_shares(BgRegistry *registry, BgDossier *dossier, const BgShare *shares, size_t n)
{
        if (n != dossier->n_shares) {
                BgShare *fitted = n ? reallocarray(dossier->shares, n, sizeof(*fitted)) : NULL;

                if (n && !fitted)
                        return -ENOMEM;
                if (!n)
                        free(dossier->shares);
                registry->dossiers_held += (n - dossier->n_shares) * sizeof(*fitted); /* wraps back when it shrinks */
                dossier->shares = fitted;
                dossier->n_shares = (uint32_t)n;
        }
        if (n)
                memcpy(dossier->shares, shares, n * sizeof(*shares));
        return 0;
}

/* Entries of a regular child become facts; what it counts for so far becomes shares. */
static int take_entries(BgRegistry *registry, BgDossier *dossier, const BgChildRun *run, BgNameRef child)
{
        BgShare shares[BG_CHILD_RUN_MAX];
        size_t n = 0;

        for (uint32_t i = 0; i < run->n; i++) {
                BgPlaceKey key = bg_child_run_key(run, i);
                BgStr name = { registry_model(registry, bg_place_model(key))->name, 0 };
                size_t k = 0;
                BgFact fact = { .at = bg_child_run_second(run, i),
                                .kind = BG_FACT_ADD,
                                .relation = (uint8_t)bg_place_relation(key),
                                .child = child,
                                .to_child = BG_NAME_NONE,
                                .to_model = BG_NAME_NONE };
                int r;

                name.len = registry_model(registry, bg_place_model(key))->name_len;
                fact.model = bg_names_find(&registry->names, name);
                r = put_fact(registry, dossier, &fact);
                if (r < 0)
                        return r;
                while (k < n && shares[k] >> 32 != key)
                        k++;
                if (k == n)
                        shares[n++] = bg_share(key, fact.at);
                else if (bg_share(key, fact.at) < shares[k])
                        shares[k] = bg_share(key, fact.at);
        }
        return set_shares(registry, dossier, shares, n);
}

/* The dossier of a child; a new one when it has none. */
static int open_dossier(BgRegistry *registry, BgStr child, BgNameRef *namep, uint32_t *idp)
{
        uint64_t hash = bg_names_hash(&registry->names, child);
        BgChildRun run = bg_children_find(&registry->children, hash);
        BgDossier *dossier;
        int r = bg_names_intern(&registry->names, child, namep);

        if (r)
                return r;
        if (has_dossier(&run)) {
                *idp = bg_child_run_second(&run, 0);
                return 0;
        }
        *idp = (uint32_t)registry->dossiers.n;
        dossier = bg_chunks_push(&registry->dossiers);
        if (!dossier)
                return -ENOMEM;
        dossier->used = true;
        r = take_entries(registry, dossier, &run, *namep);
        if (r)
                return r;
        bg_children_erase(&registry->children, run);
        return bg_children_insert(&registry->children, hash, BG_CHILD_DOSSIER, *idp);
}

static void point_to(BgRegistry *registry, BgNameRef child, uint32_t id)
{
        BgChildRun run = find_child(registry, bg_names_text(&registry->names, child));

        if (has_dossier(&run))
                bg_child_run_set(&run, 0, BG_CHILD_DOSSIER, id);
}

/* Everything of one dossier into another one. `name`: a name that may not occur in its facts yet. */
static int join_dossiers(BgRegistry *registry, uint32_t into, uint32_t from, BgNameRef name)
{
        BgDossier *a = dossier_at(registry, into), *b = dossier_at(registry, from);
        size_t n = a->n_shares + b->n_shares;
        int r = 0;

        point_to(registry, name, into);
        for (uint32_t i = 0; i < b->n_facts && !r; i++) {
                point_to(registry, b->facts[i].child, into);
                if (b->facts[i].to_child != BG_NAME_NONE)
                        point_to(registry, b->facts[i].to_child, into);
                r = put_fact(registry, a, &b->facts[i]);
                r = r == BG_DOSSIER_E_KNOWN ? 0 : r;
        }
        if (r)
                return r;

        BgShare *shares = malloc((n + 1) * sizeof(*shares));

        if (!shares)
                return -ENOMEM;
        if (a->n_shares)
                memcpy(shares, a->shares, a->n_shares * sizeof(*shares));
        if (b->n_shares)
                memcpy(shares + a->n_shares, b->shares, b->n_shares * sizeof(*shares));
        r = set_shares(registry, a, shares, n);
        free(shares);
        registry->dossiers_held -= bg_dossier_memory(b);
        bg_dossier_deinit(b);
        return r;
}

/* ---- telling anew ---------------------------------------------------------------------------------------------------------- */

static int reserve_scratch(BgRegistry *registry, size_t n)
{
        if (n <= registry->cap_places)
                return 0;

        size_t cap = n + n / 2 + 16;
        BgPlace *places = reallocarray(registry->places, cap, sizeof(*places));

        if (places)
                registry->places = places;

        BgShare *shares = reallocarray(registry->shares, 2 * cap, sizeof(*shares));

        if (shares)
                registry->shares = shares;
        if (!places || !shares)
                return -ENOMEM;
        registry->cap_places = cap;
        return 0;
}

static int edit_share(BgRegistry *registry, BgShare share, bool gone)
{
        BgPlaceKey key = (BgPlaceKey)(share >> 32);
        BgSeriesId series;
        int r = registry_ensure_series(registry, bg_place_model(key), bg_place_relation(key), &series);

        return r ? r : registry_edit(registry, series, (BgSecond)share, gone);
}

/* Both lists rise. */
static int edit_difference(BgRegistry *registry, const BgShare *old, size_t n_old, const BgShare *new, size_t n_new)
{
        size_t i = 0, k = 0;
        int r = 0;

        while (!r && (i < n_old || k < n_new)) {
                if (k == n_new || (i < n_old && old[i] < new[k]))
                        r = edit_share(registry, old[i++], true);
                else if (i == n_old || new[k] < old[i])
                        r = edit_share(registry, new[k++], false);
                else
                        i++, k++;
        }
        return r;
}

int family_retell(BgRegistry *registry, BgDossier *dossier)
{
        size_t n_old = dossier->n_shares, n_max = bg_dossier_places_max(dossier), n_new;
        BgShare *old, *new;
        int r = reserve_scratch(registry, (n_max > n_old ? n_max : n_old) + 1);

        if (r)
                return r;
        old = registry->shares;
        new = registry->shares + registry->cap_places;
        for (size_t i = 0; i < n_old; i++) { /* models may have merged since */
                BgPlaceKey key = (BgPlaceKey)(dossier->shares[i] >> 32);
                BgModelId model = registry_resolve(registry, bg_place_model(key));

                old[i] = bg_share(bg_place_key(model, bg_place_relation(key)), (BgSecond)dossier->shares[i]);
        }
        n_new = bg_dossier_tell(dossier, &registry->names, registry->places);
        for (size_t i = 0; i < n_new; i++) {
                const BgPlace *place = &registry->places[i];
                BgModelId model;

                r = registry_ensure_model(registry, place->model, &model);
                if (r)
                        return r;
                new[i] = bg_share(bg_place_key(model, place->relation), place->at);
        }
        if (n_old)
                qsort(old, n_old, sizeof(*old), compare_shares);
        if (n_new)
                qsort(new, n_new, sizeof(*new), compare_shares);
        r = edit_difference(registry, old, n_old, new, n_new);
        return r ? r : set_shares(registry, dossier, new, n_new);
}

/* ---- events ---------------------------------------------------------------------------------------------------------------- */

static int look_up(BgRegistry *registry, bool intern, BgStr text, BgNameRef *refp)
{
        *refp = BG_NAME_NONE;
        if (!text.len)
                return 0;
        if (intern)
                return bg_names_intern(&registry->names, text, refp);
        *refp = bg_names_find(&registry->names, text);
        return *refp == BG_NAME_NONE ? BG_REGISTRY_E_REJECTED : 0;
}

/* The fact an event states, but for the kind. Not interning: BG_REGISTRY_E_REJECTED when a name in it is new. */
static int read_fact(BgRegistry *registry, const BgEvent *event, bool intern, BgFact *fact)
{
        bool moves = event->type == BG_EVENT_MOVE;
        int r = look_up(registry, intern, moves ? event->from_name : event->child, &fact->child);

        if (!r)
                r = look_up(registry, intern, moves ? event->to_name : BG_STR(""), &fact->to_child);
        if (!r)
                r = look_up(registry, intern, event->model, &fact->model);
        if (!r)
                r = look_up(registry, intern, moves ? event->to_model : BG_STR(""), &fact->to_model);
        return r;
}

static bool shared_dossier(const BgChildRun *a, const BgChildRun *b)
{
        return has_dossier(a) && has_dossier(b) && bg_child_run_second(a, 0) == bg_child_run_second(b, 0);
}

/* 0: go on; BG_REGISTRY_E_DUPLICATE; or BG_REGISTRY_E_REJECTED when there is no room for the fact. Changes nothing. */
static int check_fact(BgRegistry *registry, const BgEvent *event, BgStr child, BgStr to_child, BgFact fact, BgReject *reasonp)
{
        BgStr texts[] = { child, to_child, event->model, event->type == BG_EVENT_MOVE ? event->to_model : BG_STR("") };
        BgChildRun run = find_child(registry, child), to_run = find_child(registry, to_child);
        bool shared = bg_str_equal(child, to_child) || shared_dossier(&run, &to_run);
        uint32_t n = n_facts(registry, &run) + (shared ? 0 : n_facts(registry, &to_run));

        if (shared && has_dossier(&run) && read_fact(registry, event, false, &fact) == 0 &&
            bg_dossier_has(dossier_at(registry, bg_child_run_second(&run, 0)), &registry->names, &fact))
                return BG_REGISTRY_E_DUPLICATE;
        if (n >= BG_REGISTRY_CHILD_FACTS_MAX || registry_names_full(registry, texts, sizeof(texts) / sizeof(*texts)))
                return reject(reasonp, BG_REJECT_LIMIT);
        return 0;
}

/* Let the family of one child, or of two names of it, know a new fact. What follows from it becomes edits. */
static int tell(BgRegistry *registry, const BgEvent *event, BgFactKind kind, BgReject *reasonp)
{
        bool moves = event->type == BG_EVENT_MOVE;
        BgStr child = moves ? event->from_name : event->child, to_child = moves ? event->to_name : event->child;
        BgFact fact = { .at = bg_second_from_us(event->at),
                        .kind = (uint8_t)kind,
                        .relation = kind == BG_FACT_ADD ? (uint8_t)event->relation : 0 };
        uint32_t id, to_id;
        BgNameRef name, to_name;
        int r = check_fact(registry, event, child, to_child, fact, reasonp);

        if (r)
                return r;
        r = read_fact(registry, event, true, &fact);
        if (!r)
                r = open_dossier(registry, child, &name, &id);
        if (!r)
                r = open_dossier(registry, to_child, &to_name, &to_id);
        if (r)
                return r;
        if (id != to_id) {
                bool swap = dossier_at(registry, to_id)->n_facts > dossier_at(registry, id)->n_facts;

                r = swap ? join_dossiers(registry, to_id, id, name) : join_dossiers(registry, id, to_id, to_name);
                if (r)
                        return r;
                id = swap ? to_id : id;
        }
        r = put_fact(registry, dossier_at(registry, id), &fact);
        if (!r && kind == BG_FACT_RENAME) /* first, so that the family is told with the models as they are now */
                r = union_join(registry, fact.child, fact.to_child, fact.at);
        return r ? r : family_retell(registry, dossier_at(registry, id));
}

int family_add(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        return tell(registry, event, BG_FACT_ADD, reasonp);
}

int family_remove(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        int r;

        if (bg_str_equal(event->model, event->child))
                return reject(reasonp, BG_REJECT_SELF);
        r = tell(registry, event, BG_FACT_REMOVE, reasonp);
        return r ? r : registry_commit(registry, BG_STR(""));
}

int family_move(BgRegistry *registry, const BgEvent *event, BgReject *reasonp)
{
        bool reparents = event->model.len && event->to_model.len;
        bool same_name = bg_str_equal(event->from_name, event->to_name);
        int r;

        if (same_name && (!reparents || bg_str_equal(event->model, event->to_model)))
                return reject(reasonp, BG_REJECT_SELF);
        if (reparents && (bg_str_equal(event->from_name, event->model) || bg_str_equal(event->to_name, event->to_model)))
                return reject(reasonp, BG_REJECT_SELF);
        r = tell(registry, event, reparents ? BG_FACT_MOVE : BG_FACT_RENAME, reasonp);
        return r ? r : registry_commit(registry, BG_STR(""));
}

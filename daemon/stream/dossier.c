/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/dossier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void bg_dossier_deinit(BgDossier *dossier)
{
        free(dossier->facts);
        free(dossier->shares);
        *dossier = (BgDossier){ 0 };
}

size_t bg_dossier_memory(const BgDossier *dossier)
{
        return dossier->cap_facts * sizeof(*dossier->facts) + dossier->n_shares * sizeof(*dossier->shares);
}

/* ---- the set of facts ------------------------------------------------------------------------------------------------------ */

static int compare_names(const BgNames *names, BgNameRef a, BgNameRef b)
{
        if (a == b)
                return 0;
        if (a == BG_NAME_NONE || b == BG_NAME_NONE)
                return a == BG_NAME_NONE ? -1 : 1;
        return bg_names_compare(names, a, b);
}

/* By text and not by reference: references follow the order of arrival, on which nothing may depend. */
static int compare_facts(const BgNames *names, const BgFact *a, const BgFact *b)
{
        int order;

        if (a->at != b->at)
                return a->at < b->at ? -1 : 1;
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        order = compare_names(names, a->child, b->child);
        if (!order)
                order = compare_names(names, a->to_child, b->to_child);
        if (!order)
                order = compare_names(names, a->model, b->model);
        if (!order)
                order = compare_names(names, a->to_model, b->to_model);
        return order ? order : (int)a->relation - (int)b->relation;
}

static uint32_t lower_bound(const BgDossier *dossier, const BgNames *names, const BgFact *fact)
{
        uint32_t low = 0, n = dossier->n_facts;

        while (n) {
                uint32_t half = n / 2;

                if (compare_facts(names, &dossier->facts[low + half], fact) < 0) {
                        low += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        return low;
}

/* Adds and removes of one second can be told in any order, so those that differ only in the model's alias are the same. */
static bool same_by_alias(const BgNames *names, const BgFact *a, const BgFact *b)
{
        return (a->kind == BG_FACT_ADD || a->kind == BG_FACT_REMOVE) && a->child == b->child && a->relation == b->relation &&
               bg_names_root(names, a->model) == bg_names_root(names, b->model);
}

static bool known_at(const BgDossier *dossier, const BgNames *names, const BgFact *fact, uint32_t i)
{
        const BgFact *facts = dossier->facts;

        if (i < dossier->n_facts && compare_facts(names, &facts[i], fact) == 0)
                return true;
        for (uint32_t k = i; k < dossier->n_facts && facts[k].at == fact->at && facts[k].kind == fact->kind; k++)
                if (same_by_alias(names, &facts[k], fact))
                        return true;
        for (uint32_t k = i; k-- > 0 && facts[k].at == fact->at && facts[k].kind == fact->kind;)
                if (same_by_alias(names, &facts[k], fact))
                        return true;
        return false;
}

bool bg_dossier_has(const BgDossier *dossier, const BgNames *names, const BgFact *fact)
{
        return known_at(dossier, names, fact, lower_bound(dossier, names, fact));
}

int bg_dossier_put(BgDossier *dossier, const BgNames *names, const BgFact *fact)
{
        uint32_t i = lower_bound(dossier, names, fact);

        if (known_at(dossier, names, fact, i))
                return BG_DOSSIER_E_KNOWN;
        if (dossier->n_facts == dossier->cap_facts) {
                uint32_t cap = dossier->cap_facts < 4 ? 4 : dossier->cap_facts + dossier->cap_facts / 2;
                BgFact *grown = reallocarray(dossier->facts, cap, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                dossier->facts = grown;
                dossier->cap_facts = cap;
        }
        memmove(dossier->facts + i + 1, dossier->facts + i, (dossier->n_facts - i) * sizeof(*dossier->facts));
        dossier->facts[i] = *fact;
        dossier->n_facts++;
        return 0;
}

/* ---- telling --------------------------------------------------------------------------------------------------------------- */

typedef struct Telling {
        const BgNames *names;
        BgPlace *places;
        size_t n;
} Telling;

/* The child counts from then on, or already did from an earlier time on. */
static void settle_in(Telling *t, BgPlace place)
{
        for (size_t i = 0; i < t->n; i++) {
                BgPlace *p = &t->places[i];

                if (p->child == place.child && p->model == place.model && p->relation == place.relation) {
                        if (place.at < p->at)
                                p->at = place.at;
                        return;
                }
        }
        t->places[t->n++] = place;
}

static bool matches(const BgPlace *place, BgNameRef child, BgNameRef model)
{
        return place->child == child && (model == BG_NAME_NONE || place->model == model);
}

/* Places of a child (in one model, unless that is NONE) go to another name or model, or to nowhere. */
static void lift(Telling *t, const BgFact *fact, bool drop)
{
        BgNameRef model = fact->model == BG_NAME_NONE ? BG_NAME_NONE : bg_names_root(t->names, fact->model);
        BgNameRef to_model = fact->to_model == BG_NAME_NONE ? BG_NAME_NONE : bg_names_root(t->names, fact->to_model);

        if (!drop && fact->child == fact->to_child && model == to_model)
                return; /* from a model to an alias of it */
        for (size_t i = 0; i < t->n;) {
                BgPlace place = t->places[i];

                if (!matches(&place, fact->child, model)) {
                        i++;
                        continue;
                }
                t->places[i] = t->places[--t->n];
                if (drop)
                        continue;
                place.child = fact->to_child;
                if (to_model != BG_NAME_NONE)
                        place.model = to_model;
                settle_in(t, place);
        }
}

static void tell_one(Telling *t, const BgFact *fact)
{
        switch (fact->kind) {
        case BG_FACT_ADD:
                settle_in(t, (BgPlace){ .child = fact->child,
                                        .model = bg_names_root(t->names, fact->model),
                                        .at = fact->at,
                                        .relation = fact->relation });
                break;
        case BG_FACT_REMOVE:
                lift(t, fact, true);
                break;
        default:
                lift(t, fact, false);
        }
}

size_t bg_dossier_places_max(const BgDossier *dossier)
{
        size_t n = 0;

        for (uint32_t i = 0; i < dossier->n_facts; i++)
                n += dossier->facts[i].kind == BG_FACT_ADD;
        return n;
}

size_t bg_dossier_tell(const BgDossier *dossier, const BgNames *names, BgPlace *places)
{
        Telling t = { .names = names, .places = places };
        const BgFact *facts = dossier->facts;

        for (uint32_t i = 0, end; i < dossier->n_facts; i = end) {
                for (end = i; end < dossier->n_facts && facts[end].at == facts[i].at; end++)
                        tell_one(&t, &facts[end]);
                if (facts[end - 1].kind <= BG_FACT_REMOVE)
                        continue; /* nothing was told after the removes */
                for (uint32_t k = i; k < end; k++)
                        if (facts[k].kind == BG_FACT_REMOVE)
                                tell_one(&t, &facts[k]);
        }
        return t.n;
}

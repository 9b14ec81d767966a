/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/stream/registry_private.h"

/*
 * Every rule of registry.h by an example of its own.
 */

typedef struct Seen {
        BgSeriesId series;
        BgSeriesChange change;
        char child[64];
} Seen;

typedef struct World {
        BgRegistry *registry;
        Seen seen[32];
        unsigned n_seen; /* of the last event */
        BgReject reason;
} World;

static void saw(void *data, BgSeriesId series, const BgSeriesChange *change)
{
        World *w = data;
        Seen *seen = &w->seen[w->n_seen++];

        assert_true(w->n_seen <= sizeof(w->seen) / sizeof(*w->seen));
        *seen = (Seen){ .series = series, .change = *change };
        snprintf(seen->child, sizeof(seen->child), "%.*s", (int)change->child.len, change->child.data ? change->child.data : "");
}

static void world_init(World *w, uint32_t models_max)
{
        BgRegistrySpec spec = { .hash_key = "0123456789abcde", .models_max = models_max, .changed = saw, .data = w };

        *w = (World){ 0 };
        assert_int_equal(bg_registry_new(&w->registry, &spec), 0);
}

static int setup(void **state)
{
        World *w = malloc(sizeof(*w));

        world_init(w, 0);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        World *w = *state;

        bg_registry_free(w->registry);
        free(w);
        return 0;
}

/* ---- telling: times are seconds after 2015 --------------------------------------------------------------------------------- */

static int tell(World *w, const BgEvent *e)
{
        w->n_seen = 0;
        return bg_registry_apply(w->registry, e, &w->reason);
}

static int64_t us(BgSecond second)
{
        return bg_second_to_us(second) + 999999; /* rounded down */
}

static int add_with(World *w, const char *model, const char *child, BgSecond at, BgRelation relation, int64_t release)
{
        return tell(w, &(BgEvent){ .type = BG_EVENT_ADD,
                                   .model = bg_str(model),
                                   .child = bg_str(child),
                                   .at = us(at),
                                   .relation = relation,
                                   .release = release });
}

static int add(World *w, const char *model, const char *child, BgSecond at)
{
        return add_with(w, model, child, at, BG_RELATION_FINETUNE, 0);
}

static int drop(World *w, const char *model, const char *child, BgSecond at)
{
        return tell(w, &(BgEvent){ .type = BG_EVENT_REMOVE, .model = bg_str(model), .child = bg_str(child), .at = us(at) });
}

static int rename_to(World *w, const char *from, const char *to, BgSecond at)
{
        return tell(w, &(BgEvent){ .type = BG_EVENT_MOVE, .from_name = bg_str(from), .to_name = bg_str(to), .at = us(at) });
}

static int reparent(World *w, const char *from, const char *to, const char *model, const char *to_model, BgSecond at)
{
        return tell(w, &(BgEvent){ .type = BG_EVENT_MOVE,
                                   .from_name = bg_str(from),
                                   .to_name = bg_str(to),
                                   .model = bg_str(model),
                                   .to_model = bg_str(to_model),
                                   .at = us(at) });
}

static int tally(World *w, const char *model, BgSecond from, BgSecond to, int64_t count)
{
        return tell(w,
                    &(BgEvent){ .type = BG_EVENT_TALLY, .model = bg_str(model), .from = us(from), .to = us(to), .count = count });
}

static int release(World *w, const char *model, BgSecond at)
{
        return tell(w, &(BgEvent){ .type = BG_EVENT_RELEASE, .model = bg_str(model), .at = us(at) });
}

static const BgModel *model_of(World *w, const char *name)
{
        BgModelId id = bg_registry_find(w->registry, bg_str(name));

        return id == BG_MODEL_NONE ? NULL : bg_registry_model(w->registry, id);
}

static BgSeries *series_of(World *w, const char *name, BgRelation relation)
{
        const BgModel *model = model_of(w, name);

        return model && model->series[relation] != BG_SERIES_NONE ? bg_registry_series(w->registry, model->series[relation])
                                                                  : NULL;
}

static int64_t count_of(World *w, const char *name)
{
        const BgSeries *series = series_of(w, name, BG_RELATION_FINETUNE);

        return series ? bg_series_count(series, UINT32_MAX) : 0;
}

#define DUPLICATE BG_REGISTRY_E_DUPLICATE
#define REJECTED BG_REGISTRY_E_REJECTED

static void assert_rejected(World *w, int r, BgReject reason)
{
        assert_int_equal(r, REJECTED);
        assert_int_equal(w->reason, reason);
        assert_int_equal(w->n_seen, 0);
}

/* ---- adds ------------------------------------------------------------------------------------------------------------------ */

static void test_add(void **state)
{
        World *w = *state;

        assert_int_equal(add(w, "m/a", "c/1", 100), 0);
        assert_int_equal(w->n_seen, 1);
        assert_int_equal(w->seen[0].change.added, 1);
        assert_int_equal(w->seen[0].change.removed, 0);
        assert_int_equal(w->seen[0].change.at, 100);
        assert_true(w->seen[0].change.release_changed);
        assert_string_equal(w->seen[0].child, "c/1");
        assert_int_equal(add(w, "m/a", "c/1", 100), DUPLICATE);
        assert_int_equal(w->n_seen, 0);
        assert_int_equal(add(w, "m/a", "c/2", 100), 0);
        assert_false(w->seen[0].change.release_changed);
        assert_int_equal(add_with(w, "m/a", "c/1", 100, BG_RELATION_ADAPTER, 0), 0); /* once per relation */
        assert_int_equal(add(w, "m/b", "c/1", 100), 0);                              /* and model */
        assert_int_equal(count_of(w, "m/a"), 2);
        assert_int_equal(count_of(w, "m/b"), 1);
        assert_int_equal(bg_registry_n_children(w->registry), 4);
        assert_int_equal(bg_registry_n_models(w->registry), 2);
        assert_int_equal(bg_registry_n_series(w->registry), 3);
        assert_int_equal(bg_registry_find(w->registry, BG_STR("c/1")), BG_MODEL_NONE);
        assert_int_equal(bg_registry_find(w->registry, BG_STR("")), BG_MODEL_NONE);
        assert_rejected(w, add(w, "m/a", "m/a", 100), BG_REJECT_SELF);
        assert_int_equal(tell(w, &(BgEvent){ .type = BG_EVENT_ALIVE, .at = us(1) }), 0);
        assert_rejected(w, tell(w, &(BgEvent){ .type = BG_EVENT_NONE }), BG_REJECT_UNKNOWN_TYPE);
}

static void test_another_time(void **state)
{
        World *w = *state;

        assert_int_equal(add(w, "m/a", "c/1", 100), 0);
        assert_int_equal(add(w, "m/a", "c/1", 120), 0); /* may matter: if a remove at 110 comes */
        assert_int_equal(w->n_seen, 0);
        assert_int_equal(add(w, "m/a", "c/1", 90), 0);
        assert_int_equal(w->seen[0].change.added, 1);
        assert_int_equal(w->seen[0].change.removed, 1);
        assert_int_equal(w->seen[0].change.at, 0);
        assert_string_equal(w->seen[0].child, "");
        assert_int_equal(add(w, "m/a", "c/1", 100), DUPLICATE);
        assert_int_equal(count_of(w, "m/a"), 1);
        assert_int_equal(series_of(w, "m/a", BG_RELATION_FINETUNE)->times[0], 90);
        assert_int_equal(model_of(w, "m/a")->release, 90);
        assert_int_equal(w->registry->dossiers.n, 0); /* all of it without a dossier */
        assert_int_equal(drop(w, "m/a", "c/1", 110), 0);
        assert_int_equal(series_of(w, "m/a", BG_RELATION_FINETUNE)->times[0], 120);
}

static void test_many_parents(void **state)
{
        World *w = *state;
        char model[32];

        for (unsigned i = 0; i < BG_REGISTRY_CHILD_FACTS_MAX; i++) {
                snprintf(model, sizeof(model), "m/%u", i);
                assert_int_equal(add(w, model, "c/1", 100 + i), 0);
        }
        assert_int_equal(add(w, "m/3", "c/1", 103), DUPLICATE);
        assert_rejected(w, add(w, "m/new", "c/1", 100), BG_REJECT_LIMIT);
        assert_rejected(w, drop(w, "m/3", "c/1", 200), BG_REJECT_LIMIT);
        assert_rejected(w, rename_to(w, "c/1", "c/2", 200), BG_REJECT_LIMIT);
        assert_null(model_of(w, "m/new"));
        assert_int_equal(bg_registry_n_children(w->registry), BG_REGISTRY_CHILD_FACTS_MAX);
        assert_int_equal(add(w, "m/new", "c/2", 100), 0);
}

/* ---- removes --------------------------------------------------------------------------------------------------------------- */

static void test_remove(void **state)
{
        World *w = *state;

        assert_int_equal(drop(w, "m/a", "c/1", 110), 0); /* before its add */
        assert_int_equal(drop(w, "m/a", "c/1", 110), DUPLICATE);
        assert_int_equal(bg_registry_n_models(w->registry), 0);
        assert_int_equal(add(w, "m/a", "c/1", 100), 0);
        assert_int_equal(count_of(w, "m/a"), 0);
        assert_int_equal(add(w, "m/a", "c/1", 110), 0); /* the same second: the remove wins */
        assert_int_equal(count_of(w, "m/a"), 0);
        assert_int_equal(add(w, "m/a", "c/1", 111), 0);
        assert_int_equal(count_of(w, "m/a"), 1);
        assert_int_equal(w->seen[0].change.at, 111);
        assert_int_equal(add(w, "m/a", "c/1", 111), DUPLICATE);

        assert_int_equal(add(w, "m/b", "c/2", 50), 0);
        assert_int_equal(add_with(w, "m/b", "c/2", 60, BG_RELATION_MERGE, 0), 0);
        assert_int_equal(drop(w, "m/b", "c/2", 70), 0); /* from every relation */
        assert_int_equal(w->n_seen, 2);
        assert_int_equal(w->seen[0].change.removed, 1);
        assert_int_equal(w->seen[0].change.at, 50);
        assert_int_equal(w->seen[1].change.at, 60);
        assert_true(w->seen[1].change.release_changed);
        assert_int_equal(model_of(w, "m/b")->release, 0); /* nothing is known any more */
        assert_int_equal(bg_registry_n_children(w->registry), 1);
        assert_rejected(w, drop(w, "m/b", "m/b", 70), BG_REJECT_SELF);
}

/* ---- children move --------------------------------------------------------------------------------------------------------- */

static void test_reparent(void **state)
{
        World *w = *state;

        assert_int_equal(reparent(w, "c/1", "c/1", "m/a", "m/b", 200), 0); /* before its add */
        assert_int_equal(bg_registry_n_children(w->registry), 0);
        assert_int_equal(add(w, "m/a", "c/1", 100), 0);
        assert_int_equal(count_of(w, "m/a"), 0);
        assert_int_equal(series_of(w, "m/b", BG_RELATION_FINETUNE)->times[0], 100); /* since it appeared */
        assert_int_equal(add(w, "m/b", "c/1", 100), 0);                             /* listed again under the new parent */
        assert_int_equal(count_of(w, "m/b"), 1);
        assert_int_equal(reparent(w, "c/1", "c/1", "m/a", "m/b", 200), DUPLICATE);
        assert_int_equal(add(w, "m/c", "c/1", 100), 0); /* other parents are not concerned */
        assert_int_equal(reparent(w, "c/1", "c/one", "m/c", "m/d", 300), 0);
        assert_int_equal(count_of(w, "m/b"), 1);
        assert_int_equal(count_of(w, "m/c"), 0);
        assert_int_equal(count_of(w, "m/d"), 1);
        assert_int_equal(drop(w, "m/d", "c/1", 400), 0);
        assert_int_equal(count_of(w, "m/d"), 1); /* there it is called otherwise */
        assert_int_equal(drop(w, "m/d", "c/one", 400), 0);
        assert_int_equal(count_of(w, "m/d"), 0);
        assert_rejected(w, reparent(w, "c/1", "c/1", "m/a", "m/a", 1), BG_REJECT_SELF);
        assert_rejected(w, reparent(w, "c/1", "m/b", "m/a", "m/b", 1), BG_REJECT_SELF);
}

static void test_child_renamed(void **state)
{
        World *w = *state;

        assert_int_equal(add(w, "m/a", "c/old", 100), 0);
        assert_int_equal(rename_to(w, "c/old", "c/new", 200), 0);
        assert_int_equal(w->n_seen, 0);
        assert_int_equal(bg_registry_n_models(w->registry), 1); /* no model comes of it */
        assert_int_equal(add(w, "m/a", "c/new", 100), 0);       /* listed again under its new name */
        assert_int_equal(add(w, "m/a", "c/new", 300), 0);
        assert_int_equal(count_of(w, "m/a"), 1);
        assert_int_equal(rename_to(w, "c/old", "c/new", 200), DUPLICATE);
        assert_int_equal(add(w, "m/a", "c/old", 250), 0); /* another child took the old name */
        assert_int_equal(count_of(w, "m/a"), 2);
        assert_int_equal(drop(w, "m/a", "c/old", 260), 0);
        assert_int_equal(count_of(w, "m/a"), 1);
        assert_int_equal(drop(w, "m/a", "c/new", 400), 0);
        assert_int_equal(count_of(w, "m/a"), 0);
        assert_rejected(w, rename_to(w, "c/new", "c/new", 1), BG_REJECT_SELF);
}

static void test_rename_before_both(void **state)
{
        World *w = *state;

        assert_int_equal(rename_to(w, "c/2", "c/3", 300), 0);
        assert_int_equal(rename_to(w, "c/1", "c/2", 200), 0);
        assert_int_equal(bg_registry_n_models(w->registry), 0);
        assert_int_equal(add(w, "m/a", "c/3", 100), 0);
        assert_int_equal(add(w, "m/a", "c/1", 90), 0);
        assert_int_equal(add(w, "m/a", "c/2", 110), 0);
        assert_int_equal(count_of(w, "m/a"), 1);
        assert_int_equal(series_of(w, "m/a", BG_RELATION_FINETUNE)->times[0], 90);
}

/* ---- models move ----------------------------------------------------------------------------------------------------------- */

static void test_model_renamed(void **state)
{
        World *w = *state;
        BgModelId id;

        assert_int_equal(add(w, "m/a", "c/1", 100), 0);
        id = bg_registry_find(w->registry, BG_STR("m/a"));
        assert_int_equal(rename_to(w, "m/a", "m/b", 300), 0);
        assert_int_equal(w->n_seen, 1);
        assert_true(w->seen[0].change.renamed);
        assert_int_equal(bg_registry_find(w->registry, BG_STR("m/b")), id);
        assert_int_equal(bg_registry_find(w->registry, BG_STR("m/a")), id);
        assert_string_equal(bg_registry_model(w->registry, id)->name, "m/b");
        assert_int_equal(add(w, "m/b", "c/1", 100), DUPLICATE);
        assert_int_equal(add(w, "m/a", "c/2", 400), 0); /* a source that still uses the old name */
        assert_int_equal(count_of(w, "m/b"), 2);
        assert_int_equal(rename_to(w, "m/0", "m/a", 200), 0); /* an older rename does not change what is shown */
        assert_string_equal(model_of(w, "m/0")->name, "m/b");
        assert_int_equal(rename_to(w, "m/b", "m/c", 300), 0); /* the same second: the larger name */
        assert_string_equal(model_of(w, "m/0")->name, "m/c");
        assert_int_equal(rename_to(w, "m/c", "m/a", 500), 0); /* back again */
        assert_string_equal(model_of(w, "m/c")->name, "m/a");
        assert_int_equal(bg_registry_n_models(w->registry), 1);
}

static void test_models_merge(void **state)
{
        World *w = *state;
        BgSeriesId a, b;
        char child[32];

        for (unsigned i = 0; i < 40; i++) {
                snprintf(child, sizeof(child), "c/%u", i);
                assert_int_equal(add(w, "m/a", child, 100 + i), 0);
                if (i % 2) /* every other one is listed under the new name as well, some at an earlier time */
                        assert_int_equal(add(w, "m/b", child, i % 4 == 1 ? 100 + i : 90 + i), 0);
        }
        assert_int_equal(add(w, "m/b", "c/only", 300), 0);
        assert_int_equal(drop(w, "m/b", "c/0", 400), 0);
        assert_int_equal(add_with(w, "m/b", "c/1", 100, BG_RELATION_ADAPTER, 0), 0);
        assert_int_equal(count_of(w, "m/a"), 40);
        assert_int_equal(count_of(w, "m/b"), 21);
        a = model_of(w, "m/a")->series[BG_RELATION_FINETUNE];
        b = model_of(w, "m/b")->series[BG_RELATION_FINETUNE];

        assert_int_equal(rename_to(w, "m/a", "m/b", 500), 0);
        assert_int_equal(w->n_seen, 3);
        assert_int_equal(count_of(w, "m/b"), 40); /* and c/only, but c/0 was removed */
        assert_int_equal(count_of(w, "m/a"), 40);
        assert_int_equal(bg_registry_series(w->registry, a)->times[0], 93);
        assert_int_equal(bg_registry_series(w->registry, b)->n_times, 0);
        assert_int_equal(bg_registry_model(w->registry, bg_registry_series(w->registry, b)->model)->merged_into,
                         bg_registry_find(w->registry, BG_STR("m/a")));
        assert_int_equal(series_of(w, "m/a", BG_RELATION_ADAPTER)->n_times, 1);
        assert_int_equal(series_of(w, "m/a", BG_RELATION_ADAPTER)->model, bg_registry_find(w->registry, BG_STR("m/a")));
        assert_int_equal(bg_registry_n_children(w->registry), 41);
        assert_int_equal(add(w, "m/b", "c/2", 102), DUPLICATE);
        assert_int_equal(add(w, "m/b", "c/2", 95), 0);
        assert_int_equal(count_of(w, "m/b"), 40);
        assert_int_equal(drop(w, "m/b", "c/2", 600), 0);
        assert_int_equal(count_of(w, "m/b"), 39);
}

static void test_tallies_merge(void **state)
{
        World *w = *state;

        assert_int_equal(tally(w, "m/a", 100, 200, 5), 0);
        assert_int_equal(tally(w, "m/a", 200, 300, 6), 0);
        assert_int_equal(tally(w, "m/b", 150, 250, 50), 0);
        assert_int_equal(tally(w, "m/b", 300, 400, 7), 0);
        assert_int_equal(rename_to(w, "m/b", "m/a", 500), 0);
        assert_int_equal(count_of(w, "m/a"), 18);
        assert_rejected(w, tally(w, "m/b", 150, 250, 50), BG_REJECT_OVERLAP);
}

/* ---- tallies and releases -------------------------------------------------------------------------------------------------- */

static void test_tally(void **state)
{
        World *w = *state;

        assert_int_equal(tally(w, "m/a", 100, 200, 5), 0);
        assert_int_equal(w->seen[0].change.tallied, 5);
        assert_true(w->seen[0].change.release_changed);
        assert_int_equal(model_of(w, "m/a")->release, 100);
        assert_int_equal(tally(w, "m/a", 100, 200, 5), DUPLICATE);
        assert_int_equal(tally(w, "m/a", 100, 200, 2), 0);
        assert_int_equal(w->seen[0].change.tallied, -3);
        assert_rejected(w, tally(w, "m/a", 199, 210, 2), BG_REJECT_OVERLAP);
        assert_rejected(w, tally(w, "m/a", 300, 300, 2), BG_REJECT_INTERVAL);
        assert_int_equal(count_of(w, "m/a"), 2);
        assert_int_equal(tell(w, &(BgEvent){ .type = BG_EVENT_TALLY,
                                             .model = BG_STR("m/a"),
                                             .from = us(100),
                                             .to = us(150),
                                             .count = 9,
                                             .relation = BG_RELATION_DOWNLOAD }),
                         0); /* its own series */
        assert_int_equal(bg_series_count(series_of(w, "m/a", BG_RELATION_DOWNLOAD), 150), 9);
}

static void test_release(void **state)
{
        World *w = *state;

        assert_int_equal(add(w, "m/a", "c/1", 100), 0);
        assert_int_equal(model_of(w, "m/a")->release_basis, BG_RELEASE_GUESSED);
        assert_int_equal(add_with(w, "m/a", "c/2", 200, BG_RELATION_FINETUNE, us(150)), 0);
        assert_true(w->seen[0].change.release_changed);
        assert_int_equal(model_of(w, "m/a")->release, 150);
        assert_int_equal(model_of(w, "m/a")->release_basis, BG_RELEASE_HINTED);
        assert_int_equal(add_with(w, "m/a", "c/2", 200, BG_RELATION_FINETUNE, us(160)), DUPLICATE); /* the earliest hint */
        assert_int_equal(add_with(w, "m/a", "c/2", 200, BG_RELATION_FINETUNE, us(140)), 0);         /* known, but for the hint */
        assert_int_equal(w->seen[0].change.added, 0);
        assert_int_equal(model_of(w, "m/a")->release, 140);
        assert_int_equal(release(w, "m/a", 170), 0);
        assert_int_equal(model_of(w, "m/a")->release_basis, BG_RELEASE_STATED);
        assert_int_equal(release(w, "m/a", 180), 0); /* the last statement heard */
        assert_int_equal(release(w, "m/a", 180), DUPLICATE);
        assert_int_equal(add_with(w, "m/a", "c/3", 90, BG_RELATION_FINETUNE, us(50)), 0);
        assert_false(w->seen[0].change.release_changed);
        assert_int_equal(model_of(w, "m/a")->release, 180);

        assert_int_equal(release(w, "m/b", 190), 0); /* a model without children; heard last, it counts when they merge */
        assert_int_equal(rename_to(w, "m/b", "m/a", 500), 0);
        assert_int_equal(model_of(w, "m/a")->release, 190);
        assert_true(w->seen[0].change.release_changed);
}

/* ---- limits, extremes, memory ---------------------------------------------------------------------------------------------- */

static void test_limit(void **state)
{
        World w;

        (void)state;
        world_init(&w, 3);
        assert_int_equal(add(&w, "m/a", "c/1", 100), 0);
        assert_int_equal(release(&w, "m/b", 100), 0);
        assert_rejected(&w, rename_to(&w, "m/c", "m/d", 100), BG_REJECT_LIMIT); /* two names, room for one */
        assert_int_equal(tally(&w, "m/c", 1, 2, 3), 0);
        assert_rejected(&w, add(&w, "m/d", "c/1", 100), BG_REJECT_LIMIT);
        assert_rejected(&w, drop(&w, "m/a", "c/2", 100), BG_REJECT_LIMIT);
        assert_rejected(&w, release(&w, "m/d", 100), BG_REJECT_LIMIT);
        assert_rejected(&w, tally(&w, "m/d", 1, 2, 3), BG_REJECT_LIMIT);
        assert_int_equal(add(&w, "m/a", "c/2", 100), 0);
        assert_int_equal(rename_to(&w, "m/a", "m/b", 100), 0);
        assert_int_equal(count_of(&w, "m/b"), 2);
        bg_registry_free(w.registry);
        bg_registry_free(NULL);
}

static void test_extreme_times(void **state)
{
        World *w = *state;

        assert_int_equal(bg_second_from_us(BG_TIME_MIN - 1), 0);
        assert_int_equal(bg_second_from_us(BG_TIME_MAX), UINT32_MAX);
        assert_int_equal(bg_second_from_us(bg_second_to_us(UINT32_MAX)), UINT32_MAX);
        assert_int_equal(bg_second_from_us(bg_second_to_us(UINT32_MAX) - 1), UINT32_MAX - 1);
        assert_int_equal(add(w, "m/a", "c/1", 0), 0);
        assert_int_equal(
                tell(w, &(BgEvent){ .type = BG_EVENT_ADD, .model = BG_STR("m/a"), .child = BG_STR("c/2"), .at = BG_TIME_MAX }),
                0);
        assert_int_equal(tell(w, &(BgEvent){ .type = BG_EVENT_TALLY,
                                             .model = BG_STR("m/a"),
                                             .from = BG_TIME_MIN,
                                             .to = BG_TIME_MAX,
                                             .count = BG_COUNT_MAX }),
                         0);
        assert_int_equal(count_of(w, "m/a"), BG_COUNT_MAX); /* saturated: the one at second 0 is not in (0, ..] */
        assert_int_equal(model_of(w, "m/a")->release, 1);
}

static size_t resident(void)
{
        unsigned long pages = 0, rss = 0;
        FILE *f = fopen("/proc/self/statm", "r");

        if (f && fscanf(f, "%lu %lu", &pages, &rss) != 2)
                rss = 0;
        if (f)
                fclose(f);
        return rss * (size_t)sysconf(_SC_PAGESIZE);
}

/* Names of 26 bytes. The limit is what the registry itself counts: resident memory depends on the allocator, sanitizers included.
 */
static void fill_and_measure(unsigned n_models, unsigned n_events, size_t limit)
{
        BgRegistrySpec spec = { .hash_key = "0123456789abcde" };
        size_t before = resident(), held;
        BgRegistry *registry;

        assert_int_equal(bg_registry_new(&registry, &spec), 0);
        for (unsigned i = 0; i < n_events; i++) {
                char model[32], child[32];
                BgEvent e = { .type = BG_EVENT_ADD, .at = us(i) };

                snprintf(model, sizeof(model), "org-%06u/model-%09u", i % n_models % 999983, i % n_models);
                snprintf(child, sizeof(child), "org-%06u/child-%09u", i % 999983, i);
                e.model = bg_str(model);
                e.child = bg_str(child);
                assert_int_equal(bg_registry_apply(registry, &e, NULL), 0);
        }
        held = bg_registry_memory(registry);
        assert_int_equal(bg_registry_n_models(registry), n_models);
        assert_int_equal(bg_registry_n_children(registry), n_events);
        print_message("# %u models, %u events: held %.1f MB = %.1f B a model, %.1f B an event; resident %.1f MB more\n", n_models,
                      n_events, (double)held / 1e6, (double)held / n_models, (double)held / n_events,
                      (double)(resident() - before) / 1e6);
        assert_true(held < limit);
        bg_registry_free(registry);
}

static void test_memory(void **state)
{
        (void)state;
        fill_and_measure(1000000, 1000000, UINT64_C(1000000) * 230);
        fill_and_measure(20000, 2000000, UINT64_C(2000000) * 26);
}

#define EXAMPLE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                EXAMPLE(test_add),
                EXAMPLE(test_another_time),
                EXAMPLE(test_many_parents),
                EXAMPLE(test_remove),
                EXAMPLE(test_reparent),
                EXAMPLE(test_child_renamed),
                EXAMPLE(test_rename_before_both),
                EXAMPLE(test_model_renamed),
                EXAMPLE(test_models_merge),
                EXAMPLE(test_tallies_merge),
                EXAMPLE(test_tally),
                EXAMPLE(test_release),
                cmocka_unit_test(test_limit),
                EXAMPLE(test_extreme_times),
                cmocka_unit_test(test_memory),
        };

        return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}

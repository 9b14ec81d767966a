/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was forecast on a day is told as it was told that day, whatever happened since; and so is how it turned out. */
#include "daemon/stream/core.h"
#include "daemon/stream/core_private.h"
#include "daemon/stream/testing.h"

#define DAY (INT64_C(86400) * 1000000)
#define START (BG_TIME_MIN + 3000 * DAY)

enum { DAYS = 420, HORIZONS = 5 };

/** The first revision of each day, as it was published. */
typedef struct Issued {
        int64_t rev;
        int64_t as_of;
        int64_t at;
        int64_t count;
        int status;
        double lambda;
        BgHorizon horizons[HORIZONS];
} Issued;

typedef struct World {
        char path[512];
        BgStore *store;
        BgCore *core;
        Issued first[DAYS + 1];
        int64_t n_children;
        int64_t children_at[DAYS * 40]; /* times, rising */
        const char *name;
} World;

static void on_forecast(void *data, const BgForecast *forecast)
{
        World *world = data;
        int64_t day = (forecast->as_of - START) / DAY;
        Issued *issued = &world->first[day];

        if (issued->rev)
                return;
        *issued = (Issued){ .rev = forecast->rev, .as_of = forecast->as_of, .at = forecast->at, .count = forecast->count,
                            .status = forecast->status, .lambda = forecast->parameters->lambda };
        assert_int_equal(forecast->horizons.n, HORIZONS);
        memcpy(issued->horizons, forecast->horizons.items, sizeof(issued->horizons));
}

static void world_open(World *world)
{
        BgCoreSpec spec = bg_core_spec_default();
        BgStoreReceipt receipt;
        char why[256] = "";

        spec.surge_threshold = 0;
        spec.archive_us = 300 * DAY;
        if (bg_store_open(&world->store, &(BgStoreSpec){ .path = world->path }, &receipt, why, sizeof(why)))
                fail_msg("%s", why);
        assert_int_equal(bg_core_new(&world->core, &spec, (BgCoreSink){ .forecast = on_forecast, .data = world }, world->store, &receipt, START),
                         0);
}

static void world_close(World *world)
{
        assert_int_equal(bg_core_checkpoint(world->core), 0);
        bg_core_free(world->core);
        assert_int_equal(bg_store_close(world->store), 0);
}

static void send(World *world, const BgEvent *event)
{
        BgReject reason;

        assert_int_equal(bg_core_apply(world->core, BG_STR("test"), event, event->at, &reason), 0);
}

static void refit(World *world, int64_t now)
{
        BgRefitJob *job;

        bg_core_advance(world->core, now);
        while ((job = bg_core_take(world->core, 100, now))) {
                bg_refit_run(job);
                bg_core_adopt(world->core, job, now);
        }
}

static void live(World *world, int from, int to)
{
        for (int day = from; day < to; day++) {
                bool busy = day % 100 < 60; /* then forty days of silence */

                for (int64_t i = busy ? testing_between(0, 8) : 0; i > 0; i--) {
                        char child[40];
                        int64_t at = START + day * DAY + (8 - i) * (DAY / 10) + testing_between(0, DAY / 20);
                        BgEvent event = { .type = BG_EVENT_ADD, .model = bg_str(world->name), .at = at };

                        snprintf(child, sizeof(child), "me/child-%d", (int)world->n_children);
                        event.child = bg_str(child);
                        world->children_at[world->n_children++] = at;
                        send(world, &event);
                        if (testing_between(0, 1))
                                refit(world, at);
                }
                BgEvent alive = { .type = BG_EVENT_ALIVE, .at = START + (day + 1) * DAY - 1 };
                send(world, &alive);
                refit(world, alive.at);
        }
        assert_int_equal(bg_store_commit(world->store, NULL, NULL), 0);
        bg_store_wait(world->store);
}

static int64_t count_at(const World *world, int64_t at)
{
        int64_t n = 0;

        /* both clocks are of whole seconds */
        while (n < world->n_children && (world->children_at[n] - BG_TIME_MIN) / 1000000 <= (at - BG_TIME_MIN) / 1000000)
                n++;
        return n;
}

static int ask(World *world, int64_t as_of, BgArena *arena, BgReply *reply)
{
        BgRequest request;
        BgBuffer bytes = { 0 };

        bg_proto_init(&bg_proto_request, &request);
        bg_proto_init(&bg_proto_reply, reply);
        request.query = BG_QUERY_FORECAST;
        request.model = bg_str(world->name);
        request.as_of = as_of;
        assert_int_equal(bg_core_query(world->core, &request, START, arena, reply), 0);
        assert_int_equal(bg_proto_pack(&bg_proto_reply, reply, &bytes), 0);
        bg_buffer_deinit(&bytes);
        return reply->error;
}

static void assert_outcome(const World *world, const BgForecast *forecast, const BgHorizon *h, int64_t now)
{
        int64_t due = forecast->as_of + (int64_t)(h->days * (double)DAY), y = count_at(world, due);
        double x = (double)y;

        if (due / 1000000 > now / 1000000) {
                assert_int_equal(h->outcome, -1);
                assert_int_equal(h->inside, BG_INSIDE_NONE);
                return;
        }
        assert_int_equal(h->outcome, y);
        assert_int_equal(h->inside, x >= h->q25 && x <= h->q75   ? BG_INSIDE_HALF
                                    : x >= h->q10 && x <= h->q90 ? BG_INSIDE_EIGHTY
                                    : x >= h->q05 && x <= h->q95 ? BG_INSIDE_NINETY
                                    : x < h->q05                 ? BG_INSIDE_BELOW
                                                                 : BG_INSIDE_ABOVE);
}

/** Every day asked for is answered with the first revision of that day, or of the last day before it that is kept. */
static void look_back(World *world, int days, size_t *n_due)
{
        int64_t now = START + days * DAY - 1;
        BgArena arena = { 0 };
        BgReply reply;

        for (int day = days - 295; day < days; day++) {
                const BgForecast *forecast;
                const Issued *issued;
                int64_t kept;

                if (day < 3)
                        continue;
                assert_int_equal(ask(world, START + (day + 1) * DAY - 1, &arena, &reply), BG_ERROR_NONE);
                forecast = &reply.forecasts.items[0];
                kept = (forecast->as_of - START) / DAY;
                assert_true(kept >= day - 7 && kept <= day); /* at least one a week */
                issued = &world->first[kept];
                assert_int_equal(forecast->rev, issued->rev);
                assert_int_equal(forecast->as_of, issued->as_of);
                assert_int_equal(forecast->at, issued->at);
                assert_int_equal(forecast->count, issued->count);
                assert_int_equal(forecast->status, issued->status);
                assert_true(forecast->parameters->lambda == issued->lambda);
                assert_int_equal(forecast->horizons.n, HORIZONS);
                for (int i = 0; i < HORIZONS; i++) {
                        const BgHorizon *a = &forecast->horizons.items[i], *b = &issued->horizons[i];

                        assert_true(a->days == b->days && a->q05 == b->q05 && a->q10 == b->q10 && a->q25 == b->q25 && a->q50 == b->q50 &&
                                    a->q75 == b->q75 && a->q90 == b->q90 && a->q95 == b->q95);
                        assert_true(fabs(a->mean - b->mean) <= 1e-8 * b->mean);
                        assert_outcome(world, forecast, a, now);
                        *n_due += a->outcome >= 0;
                }
                bg_arena_clear(&arena);
        }
        bg_arena_deinit(&arena);
}

static void test_looking_back(void **state)
{
        static World world;
        BgArena arena = { 0 };
        BgReply reply;
        size_t n_due = 0;

        world.name = "org/model";
        testing_path(state, "state.db", world.path);
        world_open(&world);
        live(&world, 0, 200);
        look_back(&world, 200, &n_due);
        assert_true(n_due > 300);
        world_close(&world);
        world_open(&world); /* a restart */
        look_back(&world, 200, &n_due);
        live(&world, 200, 260);
        BgEvent move = { .type = BG_EVENT_MOVE, .from_name = BG_STR("org/model"), .to_name = BG_STR("new/name"), .at = START + 260 * DAY };
        send(&world, &move);
        world.name = "new/name";
        live(&world, 260, DAYS);
        look_back(&world, DAYS, &n_due); /* also what was issued under the old name */
        assert_int_equal(ask(&world, START + 60 * DAY, &arena, &reply), BG_ERROR_NOT_FOUND); /* older than 300 days */
        assert_int_equal(ask(&world, START - DAY, &arena, &reply), BG_ERROR_NOT_FOUND);
        world_close(&world);
        bg_arena_deinit(&arena);
}

static void test_refusals(void **state)
{
        BgCoreSpec spec = bg_core_spec_default();
        double horizon = 30;
        BgRequest request;
        BgArena arena = { 0 };
        static World world;
        BgReply reply;
        BgCore *core;

        world = (World){ .name = "org/model" };
        testing_path(state, "state.db", world.path);
        world_open(&world);
        live(&world, 0, 30);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_FORECAST;
        request.model = BG_STR("org/model");
        request.as_of = START + 20 * DAY;
        request.horizons.items = &horizon;
        request.horizons.n = 1;
        bg_proto_init(&bg_proto_reply, &reply);
        assert_int_equal(bg_core_query(world.core, &request, START, &arena, &reply), 0);
        assert_int_equal(reply.error, BG_ERROR_RANGE);
        world_close(&world);

        /* without a store nothing is kept */
        BgEvent add = { .type = BG_EVENT_ADD, .model = BG_STR("org/model"), .child = BG_STR("a/b"), .at = START };
        BgReject reason;
        assert_int_equal(bg_core_new(&core, &spec, (BgCoreSink){ 0 }, NULL, NULL, START), 0);
        assert_int_equal(bg_core_apply(core, BG_STR("test"), &add, START, &reason), 0);
        request.horizons.n = 0;
        bg_proto_init(&bg_proto_reply, &reply);
        assert_int_equal(bg_core_query(core, &request, START, &arena, &reply), 0);
        assert_int_equal(reply.error, BG_ERROR_UNSUPPORTED);
        bg_core_free(core);
        bg_arena_deinit(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_looking_back, testing_setup, testing_teardown),
                cmocka_unit_test_setup_teardown(test_refusals, testing_setup, testing_teardown),
        };

        testing_seed_init();
        return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}

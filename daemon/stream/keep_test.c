/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run that is stopped and started again publishes what one run publishes: byte for byte, but for epoch, seq and at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stream/core.h"
#include "daemon/stream/core_private.h"
#include "daemon/stream/testing.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define START (BG_TIME_MIN + 3000 * DAY)
#define NEVER (INT64_C(1) << 62)

enum { N_MODELS = 12, N_EVENTS = 3000, SPAN_DAYS = 400 };

/** What happens: events in the order of arrival, and the times at which refits are run. */
typedef struct Script {
        BgEvent events[N_EVENTS];
        bool pause[N_EVENTS]; /* after this event */
        char text[N_EVENTS][3][48];
} Script;

/** Models of their own pace, late events, tallies, removals, renames: in increasing time of arrival. */
static void script_write(Script *script)
{
        for (int i = 0; i < N_EVENTS; i++) {
                int64_t now = START + (int64_t)((double)i / N_EVENTS * SPAN_DAYS * (double)DAY), pick = testing_between(0, 99);
                int model = (int)testing_between(0, testing_between(0, N_MODELS - 1));
                BgEvent *event = &script->events[i];
                char (*text)[48] = script->text[i];

                snprintf(text[0], sizeof(text[0]), "org/model-%d", model);
                snprintf(text[1], sizeof(text[1]), "author-%d/child-%d", (int)testing_between(0, 40), (int)testing_between(0, 600));
                *event = (BgEvent){ .type = BG_EVENT_ADD, .model = bg_str(text[0]), .child = bg_str(text[1]),
                                    .at = now - (pick < 10 ? testing_between(0, 40) * DAY : 0),
                                    .relation = pick < 20 ? BG_RELATION_ADAPTER : BG_RELATION_FINETUNE };
                if (pick >= 95) {
                        event->type = BG_EVENT_REMOVE;
                        event->relation = BG_RELATION_FINETUNE;
                } else if (pick == 94) {
                        snprintf(text[2], sizeof(text[2]), "new-org/model-%d-%d", model, i);
                        *event = (BgEvent){ .type = BG_EVENT_MOVE, .from_name = bg_str(text[0]), .to_name = bg_str(text[2]), .at = now };
                } else if (pick >= 88) {
                        event->type = BG_EVENT_TALLY;
                        event->relation = BG_RELATION_DOWNLOAD;
                        event->child = (BgStr){ NULL, 0 };
                        event->from = START + (now - START) / DAY * DAY - DAY;
                        event->to = event->from + DAY;
                        event->count = testing_between(0, 50);
                } else if (pick == 87) {
                        *event = (BgEvent){ .type = BG_EVENT_RELEASE, .model = bg_str(text[0]), .at = START - testing_between(0, 90) * DAY };
                }
                script->pause[i] = testing_between(0, 5) == 0;
        }
}

typedef struct Run {
        char path[512];
        BgBuffer published; /* each message behind its length */
        BgStore *store;
        BgCore *core;
        BgBuffer bytes;
        int64_t n_revisions;
        int64_t n_restarts;
} Run;

static void on_forecast(void *data, const BgForecast *forecast)
{
        BgForecast message = *forecast;
        Run *run = data;

        message.epoch = 1;
        message.seq = message.at = 0;
        bg_buffer_clear(&run->bytes);
        assert_int_equal(bg_proto_pack(&bg_proto_forecast, &message, &run->bytes), 0);
        assert_int_equal(bg_buffer_append(&run->published, &run->bytes.len, sizeof(run->bytes.len)), 0);
        assert_int_equal(bg_buffer_append(&run->published, run->bytes.data, run->bytes.len), 0);
        run->n_revisions++;
}

static void run_open(Run *run, int64_t now)
{
        BgCoreSpec spec = bg_core_spec_default();
        BgCoreSink sink = { .forecast = on_forecast, .data = run };
        BgStoreReceipt receipt;
        char why[256] = "";

        spec.surge_threshold = 0; /* what the detector knows of uploaders is of this hour, and not kept */
        if (bg_store_open(&run->store, &(BgStoreSpec){ .path = run->path }, &receipt, why, sizeof(why)))
                fail_msg("%s", why);
        assert_int_equal(bg_core_new(&run->core, &spec, sink, run->store, &receipt, now), 0);
}

static void run_close(Run *run, bool checkpoint)
{
        if (checkpoint)
                assert_int_equal(bg_core_checkpoint(run->core), 0);
        bg_core_free(run->core);
        assert_int_equal(bg_store_close(run->store), 0);
}

static void refit(Run *run, int64_t now)
{
        BgRefitJob *job;

        bg_core_advance(run->core, now);
        while ((job = bg_core_take(run->core, 1000, now))) {
                bg_refit_run(job);
                bg_core_adopt(run->core, job, now);
        }
}

/** @restart_after: one in so many events; NEVER. A state that nothing was published from since may be lost: the log tells it. */
static void run_script(Run *run, const Script *script, int64_t restart_after)
{
        bool saved = false;

        run_open(run, START);
        for (int i = 0; i < N_EVENTS; i++) {
                int64_t now = START + (int64_t)((double)i / N_EVENTS * SPAN_DAYS * (double)DAY);
                BgReject reason;
                int r = bg_core_apply(run->core, BG_STR("test"), &script->events[i], now, &reason);

                assert_true(r >= 0);
                if (script->pause[i]) {
                        refit(run, now);
                        saved = false;
                }
                if (restart_after == NEVER)
                        continue;
                if (testing_between(0, 10) == 0) {
                        assert_int_equal(bg_core_checkpoint(run->core), 0);
                        saved = true;
                }
                if (testing_between(1, restart_after) == 1) {
                        run_close(run, !saved || testing_between(0, 1));
                        run_open(run, now);
                        run->n_restarts++;
                        saved = true;
                }
        }
        run_close(run, true);
}

static void show_message(const char *what, BgStr bytes)
{
        BgBuffer text = { 0 };
        BgArena arena = { 0 };
        BgForecast message;

        assert_int_equal(bg_proto_unpack(&bg_proto_forecast, bytes.data, bytes.len, &arena, &message, NULL), 0);
        assert_int_equal(bg_proto_to_json(&bg_proto_forecast, &message, &text), 0);
        fprintf(stderr, "%s: %.*s\n", what, (int)text.len, text.data);
        bg_buffer_deinit(&text);
        bg_arena_deinit(&arena);
}

static BgStr message_at(const BgBuffer *published, size_t at)
{
        size_t len;

        memcpy(&len, published->data + at, sizeof(len));
        return (BgStr){ published->data + at + sizeof(len), len };
}

static void assert_same(const Run *whole, const Run *broken)
{
        for (size_t at = 0; at < whole->published.len && at < broken->published.len;) {
                BgStr a = message_at(&whole->published, at), b = message_at(&broken->published, at);

                if (!bg_str_equal(a, b)) {
                        show_message("one run", a);
                        show_message("restarted", b);
                        fail_msg("%s: differs after %d restarts", broken->path, (int)broken->n_restarts);
                }
                at += sizeof(size_t) + a.len;
        }
        assert_int_equal(broken->n_revisions, whole->n_revisions);
}

static void test_restarts_change_nothing(void **state)
{
        static Script script;
        Run whole = { 0 }, broken = { 0 };

        script_write(&script);
        testing_path(state, "whole.db", whole.path);
        run_script(&whole, &script, NEVER);
        assert_true(whole.n_revisions > 1000);
        for (int round = 0; round < 4; round++) {
                char name[32];

                snprintf(name, sizeof(name), "broken-%d.db", round);
                testing_path(state, name, broken.path);
                bg_buffer_clear(&broken.published);
                broken.n_revisions = 0;
                run_script(&broken, &script, round ? 300 : 30);
                assert_true(broken.n_restarts > 0);
                assert_same(&whole, &broken);
        }
        bg_buffer_deinit(&whole.published);
        bg_buffer_deinit(&broken.published);
        bg_buffer_deinit(&whole.bytes);
        bg_buffer_deinit(&broken.bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_restarts_change_nothing, testing_setup, testing_teardown),
        };

        testing_seed_init();
        return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What aggregates cost: of the loop's time (copying, adopting; the longest of steps of 256), and of a worker's. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/stream/core.h"

#define DAY (INT64_C(86400) * 1000000)

enum { STEP = 256 };

/* Of this thread, not of the wall: others use the machine too. */
static double now_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ignore_org(void *data, const BgOrg *org) { *(int64_t *)data += org->children > 0; }
static void ignore_forecast(void *data, const BgForecast *forecast) { (void)data, (void)forecast; }

static uint64_t next(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

static void fill(BgCore *core, int n_models)
{
        const int64_t start = BG_TIME_MIN + 3000 * DAY;
        uint64_t state = 1;
        char model[64], child[64];
        BgReject reason;

        for (int i = 0; i < n_models; i++) {
                /* two thirds have nothing; organisations of very different size */
                int n = next(&state) % 3 ? 0 : 1 << next(&state) % 5;
                int64_t at = start + (int64_t)(next(&state) % 700) * DAY;

                snprintf(model, sizeof(model), "org-%d/model-%d", (int)((double)(n_models / 8 + 1) * (double)(next(&state) % 1000) / 1e3 *
                                                                            (double)(next(&state) % 1000) / 1e3), i);
                bg_core_apply(core, BG_STR("bench"), &(BgEvent){ .type = BG_EVENT_RELEASE, .model = bg_str(model), .at = at }, at + 1000 * DAY,
                              &reason);
                for (int k = 0; k < n; k++) {
                        snprintf(child, sizeof(child), "a-%d/m-%d-%d", k % 7, i, k);
                        bg_core_apply(core, BG_STR("bench"),
                                      &(BgEvent){ .type = BG_EVENT_ADD, .model = bg_str(model), .child = bg_str(child), .at = at + (k + 1) * 9 * DAY },
                                      at + 1000 * DAY, &reason);
                }
        }
        bg_core_apply(core, BG_STR("bench"), &(BgEvent){ .type = BG_EVENT_ALIVE, .at = start + 1100 * DAY }, start + 1100 * DAY, &reason);
        for (BgRefitJob *job; (job = bg_core_take(core, 1000, start + 1100 * DAY));) {
                bg_refit_run(job);
                bg_core_adopt(core, job, start + 1100 * DAY);
        }
}

static void measure(BgCore *core, int n_models, const char *what)
{
        double began = now_s(), last = began, longest = 0, collected, computed, step;
        int64_t now = BG_TIME_MIN + 4100 * DAY;
        BgEcosystemJob *job = bg_core_ecosystem_begin(core, now);
        int r;

        assert(job);
        do {
                r = bg_core_ecosystem_collect(core, job, STEP);
                step = now_s() - last;
                longest = step > longest ? step : longest;
                last += step;
        } while (r == BG_CORE_E_MORE);
        collected = now_s();
        bg_ecosystem_run(job);
        computed = last = now_s();
        do {
                r = bg_core_ecosystem_adopt(core, job, STEP, now);
                step = now_s() - last;
                longest = step > longest ? step : longest;
                last += step;
        } while (r == BG_CORE_E_MORE);
        printf("%9d models %-12s copy %7.0f ms (%.2f us a model)  compute %7.0f ms  adopt %7.0f ms  longest step of %d %.2f ms\n", n_models,
               what, (collected - began) * 1e3, (collected - began) * 1e6 / n_models, (computed - collected) * 1e3, (now_s() - computed) * 1e3,
               STEP, longest * 1e3);
}

int main(int argc, char **argv)
{
        int most = argc > 1 ? atoi(argv[1]) : 1000000;

        for (int n = 10000; n <= most; n *= 10) {
                BgCoreSpec spec = bg_core_spec_default();
                int64_t n_with = 0;
                BgCoreSink sink = { .forecast = ignore_forecast, .org = ignore_org, .data = &n_with };
                BgCore *core;

                spec.surge_threshold = 0;
                if (bg_core_new(&core, &spec, sink, NULL, NULL, 0))
                        return 1;
                fill(core, n);
                measure(core, n, "first");
                measure(core, n, "unchanged");
                bg_core_free(core);
        }
        return 0;
}

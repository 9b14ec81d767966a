/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a core costs, as the daemon runs it but without sockets and disk: a refit cold and warm, a forecast, and the memory of a
 * model and of an event when everything has been refitted. Arguments: models (default 20000), events a model (default 40).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/stream/refit.h"

#define DAY (INT64_C(86400) * 1000000)
#define START (BG_TIME_MIN + 3000 * DAY)

static double now_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident(void)
{
        FILE *file = fopen("/proc/self/statm", "re");
        long long pages = 0;

        if (!file || fscanf(file, "%*s %lld", &pages) != 1)
                pages = 0;
        if (file)
                fclose(file);
        return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static uint64_t random_state = 88172645463325252u;
static double uniform(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (double)(random_state >> 11) / 9007199254740992.0;
}

static int64_t n_published;
static void on_forecast(void *data, const BgForecast *forecast)
{
        (void)data;
        n_published += (int64_t)forecast->horizons.n;
}

static void feed(BgCore *core, long n_models, long first, long last, double from_days, double to_days)
{
        for (long i = first; i < last; i++)
                for (long m = 0; m < n_models; m++) {
                        char model[64], child[64];
                        int64_t at = START + (int64_t)((from_days + (to_days - from_days) * uniform()) * (double)DAY);
                        BgEvent event = { .type = BG_EVENT_ADD, .at = at };
                        BgReject reason;

                        event.model = (BgStr){ model, (size_t)snprintf(model, sizeof(model), "org-%ld/model-%ld", m % 997, m) };
                        event.child = (BgStr){ child, (size_t)snprintf(child, sizeof(child), "author-%ld/child-%ld-%ld", i * 31 % 4001, m, i) };
                        if (bg_core_apply(core, BG_STR("bench"), &event, INT64_MAX / 2, &reason) < 0)
                                abort();
                }
}

/** All dirty series; seconds spent in the pure part (fit and forecast), and in taking and adopting. */
static void refit(BgCore *core, const char *what, double *ratep)
{
        double pure = 0, around = 0;
        long n = 0;
        BgRefitJob *job;

        for (double t0 = now_s(); (job = bg_core_take(core, 200, START)); t0 = now_s()) {
                double t1 = now_s(), t2;

                bg_refit_run(job);
                t2 = now_s();
                n += (long)job->n;
                bg_core_adopt(core, job, START);
                pure += t2 - t1;
                around += t1 - t0 + now_s() - t2;
        }
        *ratep = n ? (double)n / pure : 0;
        printf("  %-6s %7ld refits with 5 horizons: %7.2f us each in fit and forecast (%.0f/s a core), %.2f us to take, adopt and publish\n",
               what, n, pure / (double)n * 1e6, *ratep, around / (double)n * 1e6);
}

int main(int argc, char **argv)
{
        long n_models = argc > 1 ? atol(argv[1]) : 20000, n_events = argc > 2 ? atol(argv[2]) : 40;
        BgCoreSpec spec = bg_core_spec_default();
        BgCoreSink sink = { .forecast = on_forecast };
        double before = resident(), t0 = now_s(), t1, cold, warm, counted;
        BgCore *core = NULL;

        spec.audit_every = 0;
        if (n_models < 1 || n_events < 1 || bg_core_new(&core, &spec, sink, NULL, NULL, START))
                return 1;
        printf("%ld models, %ld events each over 400 days\n", n_models, n_events);
        feed(core, n_models, 0, n_events, 1, 400);
        t1 = now_s();
        counted = resident() - before;
        printf("  counting and detection: %.2f M events/s; %.0f B a model, %.1f B an event resident before the first refit\n",
               (double)(n_models * n_events) / (t1 - t0) / 1e6, counted / (double)n_models, counted / (double)(n_models * n_events));
        refit(core, "cold", &cold);
        feed(core, n_models, n_events, n_events + 1, 400, 401);
        refit(core, "warm", &warm);
        printf("  warm / cold: %.2f; after all is refitted %.0f B a model resident\n", warm / cold, (resident() - before) / (double)n_models);
        {
                BgFit fit = { .theta = { 1, 5, 0 }, .laplace = { .1, 0, .1, 0, 0, .1 }, .spread = { .1, 0, .1, 0, 0, .1 }, .m = 3, .dispersion = 6 };
                BgPoolInput input = { .count = 100, .age_days = 300, .n_windows = 10, .windows = { 10, 9, 12, 8, 11, 10, 9, 12, 8, 11 } };
                BgForecastPoint points[BG_CORE_HORIZONS_MAX];
                const int n = 100000;
                double sum = 0;

                t0 = now_s();
                for (int i = 0; i < n; i++) {
                        input.count = 100 + i % 7;
                        bg_refit_forecast(points, BG_FORECASTER_POOLED, &core->learner.pool, &fit, &input, spec.horizons, spec.n_horizons);
                        sum += points[4].q[3];
                }
                t1 = now_s();
                printf("  pooled forecast: %.2f us a horizon (checksum %.0f)\n", (t1 - t0) / n / (double)spec.n_horizons * 1e6, sum / n);
        }
        bg_core_free(core);
        return n_published > 0 ? 0 : 1;
}

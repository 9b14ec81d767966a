/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/model/detector.h"
#include "daemon/model/sessions.h"
#include "daemon/model/test_random.h"

/*
 * Time per event and bytes per model of surge detection: the session rule and the detector, over many models at random, so that
 * the state is not in the cache; each model gets about one and a half times what is expected. detector_bench [MODELS [EVENTS]]
 */

enum { DAY = 86400 };

static double now_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
        size_t n_models = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
        size_t n_events = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000000, n_counted = 0, n_transitions[5] = { 0 };
        BgSurgeSpec spec = bg_surge_spec_default();
        TestRandom random = { test_seed(1) };
        double start_s, all_s, sessions_s, idle_s;
        BgSessions *sessions = NULL;
        BgDetector *models;
        uint64_t sink = 0;

        models = n_models ? calloc(n_models, sizeof(*models)) : NULL;
        if (!models || bg_sessions_new(&sessions)) {
                fprintf(stderr, "detector_bench: no memory\n");
                return EXIT_FAILURE;
        }

        /* what is not measured: drawing the numbers */
        start_s = now_s();
        for (size_t i = 0; i < n_events; ++i)
                sink += test_u64(&random) % n_models + test_u64(&random);
        idle_s = now_s() - start_s;
        printf("seed 1, checksum %016llx\n", (unsigned long long)sink); /* used: the loop is not optimised away */

        for (int pass = 0; pass < 2; ++pass) {
                const double per_day = (double)n_events / (double)n_models / 365;

                start_s = now_s();
                for (size_t i = 0; i < n_events; ++i) {
                        size_t m = test_u64(&random) % n_models;
                        /* one in three comes from a few frequent authors of the model */
                        uint64_t draw = test_u64(&random), author = draw % 3 ? draw : draw % 30 * 0x9e3779b97f4a7c15u;
                        uint32_t at_s = (uint32_t)(100 * DAY + (pass * 400 + 365.0 * (double)i / (double)n_events) * DAY);
                        BgDetectorInput in = { .at_s = at_s, .author = author };
                        BgTransition transition;

                        if (bg_sessions_count(sessions, author ^ m * 0xd6e8feb86659fd93u, at_s, &in.counted)) {
                                fprintf(stderr, "detector_bench: no memory\n");
                                return EXIT_FAILURE;
                        }
                        if (!pass)
                                continue; /* the session rule alone */
                        n_counted += in.counted;
                        in.expected = per_day * (at_s - bg_detector_last_s(&models[m], at_s)) / DAY / 1.5;
                        in.expected_day = per_day / 1.5;
                        in.session_share = 0.9;
                        in.shape = 20;
                        in.age_days = 100;
                        ++n_transitions[bg_detector_event(&transition, &models[m], &spec, &in)];
                }
                if (!pass)
                        sessions_s = now_s() - start_s - idle_s;
                else
                        all_s = now_s() - start_s - idle_s;
        }

        printf("models %zu, events %zu, of these counted %zu\n", n_models, n_events, n_counted);
        printf("opened %zu, updated %zu, closed %zu, regime %zu\n", n_transitions[BG_TRANSITION_OPENED],
               n_transitions[BG_TRANSITION_UPDATED], n_transitions[BG_TRANSITION_CLOSED], n_transitions[BG_TRANSITION_REGIME]);
        printf("sessions %.0f ns/event, %zu pairs held, %.1f B each\n", sessions_s / (double)n_events * 1e9,
               bg_sessions_n(sessions), (double)bg_sessions_memory(sessions) / (double)bg_sessions_n(sessions));
        printf("detector %.0f ns/event, %zu B/model\n", (all_s - sessions_s) / (double)n_events * 1e9, sizeof(BgDetector));
        bg_sessions_free(sessions);
        free(models);
        return EXIT_SUCCESS;
}

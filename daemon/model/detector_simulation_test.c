/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/model/detector.h"
#include "daemon/model/test_random.h"

/*
 * The detector on simulated histories of known truth: how often it is wrong, how often right, how soon. Rates that decay with
 * age, Poisson sessions of new authors; the forecaster knows the curve exactly, or up to an error and a wander of 15 % each.
 */

enum { DAY = 86400, START = 2000 * DAY };

typedef struct History {
        double rate;    /* sessions a day at age 0 */
        double decay;   /* 1 / days */
        double error;   /* sd of the log of the forecast's constant error */
        double wander;  /* sd of the log of the truth's wander, time constant 10 days */
        double days;
        double from;    /* a surge, in days of age */
        double until;
        double factor;
} History;

typedef struct Outcome {
        unsigned n_opened;
        unsigned n_in_surge;
        double delay_days; /* of the first in the surge */
        unsigned n_regime;
        unsigned n_bursts;
} Outcome;

static double due(const History *h, double from, double to)
{
        if (from < 0)
                from = 0;
        return to > from ? h->rate / h->decay * (exp(-h->decay * from) - exp(-h->decay * to)) : 0;
}

static Outcome live(const History *h, const BgSurgeSpec *spec, TestRandom *random)
{
        Outcome o = { 0 };
        BgDetector d = { 0 };
        BgTransition t;
        double wander = h->wander * test_normal(random), error = exp(h->error * test_normal(random)), last = 0;
        const double step = 0.5, keep = exp(-step / 10);

        for (double day = 0; day < h->days; day += step) {
                double at = day, factor = exp(wander - h->wander * h->wander / 2);

                wander = wander * keep + h->wander * sqrt(1 - keep * keep) * test_normal(random);
                if (day >= h->from && day < h->until)
                        factor *= h->factor;
                for (;;) {
                        BgDetectorInput in;
                        double root, closes_at;

                        at += test_exponential(random, factor * h->rate * exp(-h->decay * day));
                        if (at >= day + step)
                                break;
                        /* the caller's timer */
                        root = bg_detector_expected_to_close(&d, spec);
                        closes_at = START + at * DAY;
                        if (root >= 0 && due(h, last, at) * error >= root) {
                                bg_detector_tick(&t, &d, spec,
                                                 &(BgDetectorClock){ .now_s = (uint32_t)closes_at,
                                                                     .expected = due(h, last, at) * error,
                                                                     .expected_day = due(h, at - 1, at) * error,
                                                                     .shape = 20 });
                                assert_int_equal(t.type, BG_TRANSITION_CLOSED);
                        }
                        in = (BgDetectorInput){
                                .at_s = (uint32_t)(START + at * DAY),
                                .author = test_u64(random),
                                .counted = true,
                                .expected = due(h, last, at) * error,
                                .expected_day = due(h, at - 1, at) * error,
                                .session_share = 1,
                                .shape = 20,
                                .age_days = at,
                        };
                        last = at;
                        bg_detector_event(&t, &d, spec, &in);
                        o.n_regime += t.type == BG_TRANSITION_REGIME;
                        if (t.type != BG_TRANSITION_OPENED)
                                continue;
                        if (t.kind == BG_INCIDENT_BURST) {
                                ++o.n_bursts;
                        } else if (at >= h->from && at < h->until) {
                                if (!o.n_in_surge++)
                                        o.delay_days = at - h->from;
                        } else {
                                ++o.n_opened;
                        }
                }
        }
        return o;
}

static double false_alarms(double error, double wander, double threshold, uint64_t seed, double model_years)
{
        BgSurgeSpec spec = bg_surge_spec_default();
        TestRandom random = { test_seed(seed) };
        unsigned n = 0;
        const double days = 730;

        spec.threshold = threshold;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (double years = 0; years < model_years; years += days / 365.25) {
                History h = { .rate = exp(log(0.03) + log(100) * test_uniform(&random)),
                              .decay = log(2) / (100 + 600 * test_uniform(&random)),
                              .error = error,
                              .wander = wander,
                              .days = days,
                              .from = INFINITY };
                n += live(&h, &spec, &random).n_opened;
        }
        print_message("# error %.2f, wander %.2f, threshold %.2f: %u false alarms in %.0f model-years\n", error, wander, threshold, n,
                      model_years);
        return n / model_years * 1000;
}

static void an_exact_forecast_raises_hardly_any_alarm(void **state)
{
        (void)state;
        /* the table says 9.1 for a forecaster with errors; without, the doubt it still admits is a margin */
        assert_true(false_alarms(0, 0, 9.25, 41, 4000) <= 4);
}

static void with_the_errors_of_the_table_alarms_are_as_tabled(void **state)
{
        double rate = false_alarms(0.15, 0.15, 9.25, 42, 4000);
        double low = false_alarms(0.15, 0.15, 6, 43, 1000);

        (void)state;
        assert_true(rate >= bg_surge_false_alarms(9.25) / 4 && rate <= bg_surge_false_alarms(9.25) * 2.5);
        assert_true(low >= bg_surge_false_alarms(6) / 3 && low <= bg_surge_false_alarms(6) * 2);
}

static void a_strong_surge_is_found_within_days(void **state)
{
        BgSurgeSpec spec = bg_surge_spec_default();
        TestRandom random = { test_seed(44) };
        unsigned n_found = 0, n_soon = 0, n_again = 0, n_regime = 0;
        const unsigned n = 300;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (unsigned i = 0; i < n; ++i) {
                History h = { .rate = 1, .decay = 1e-3, .error = 0.15, .wander = 0.15, .days = 160, .from = 100, .until = 120, .factor = 5 };
                Outcome o = live(&h, &spec, &random);
                n_found += o.n_in_surge > 0;
                n_soon += o.n_in_surge > 0 && o.delay_days <= 8;
                n_again += o.n_in_surge > 1 ? o.n_in_surge - 1 : 0;
                n_regime += o.n_regime;
        }
        print_message("# x5 on one a day: %u of %u found, %u within 8 days, %u twice, %u as regime\n", n_found, n, n_soon, n_again,
                      n_regime);
        assert_true(n_found >= 0.97 * n);
        assert_true(n_soon >= 0.9 * n);
        assert_true(n_again <= 0.1 * n);
        assert_true(n_regime <= 0.05 * n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_exact_forecast_raises_hardly_any_alarm),
                cmocka_unit_test(with_the_errors_of_the_table_alarms_are_as_tabled),
                cmocka_unit_test(a_strong_surge_is_found_within_days),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/model/detector.h"
#include "daemon/model/growth.h"
#include "daemon/model/test_random.h"

/*
 * The detector on simulated histories of known truth: how often it is wrong, how often right, how soon. Sessions of new authors
 * are Poisson around a growth curve; the forecaster knows the curve exactly, or up to a constant error and a wander of the rate.
 */

enum { DAY = 86400, START = 2000 * DAY };

typedef struct History {
        BgGrowth growth; /* sessions */
        double error;    /* sd of the log of the forecast's constant error */
        double wander;   /* sd of the log of the truth's wander, time constant 14 days */
        double days;
        double from; /* a surge, in days of age */
        double until;
        double factor;
} History;

typedef struct Outcome {
        unsigned n_sessions;
        unsigned n_false;
        unsigned n_found;
        unsigned n_regime;
        double delay_days; /* of the first that was found */
} Outcome;

typedef struct Life {
        const History *h;
        const BgSurgeSpec *spec;
        BgDetector d;
        double error;
        double last; /* age at the last session, days */
        Outcome o;
} Life;

static double due(const Life *l, double from, double to)
{
        from = fmax(from, 0);
        return l->error * (bg_growth_expected(&l->h->growth, to) - bg_growth_expected(&l->h->growth, from));
}

static uint32_t second(double age)
{
        return (uint32_t)(START + age * DAY);
}

static void session(Life *l, double age, uint64_t author)
{
        const History *h = l->h;
        BgTransition t;
        BgDetectorInput in = {
                .at_s = second(age),
                .author = author,
                .counted = true,
                .expected = due(l, l->last, age),
                .expected_day = due(l, age - 1, age),
                .session_share = 1,
                .shape = 20,
                .age_days = age,
        };
        bool inside = age >= h->from && age < h->until;

        l->last = age;
        ++l->o.n_sessions;
        bg_detector_event(&t, &l->d, l->spec, &in);
        l->o.n_regime += t.type == BG_TRANSITION_REGIME;
        if (t.type != BG_TRANSITION_OPENED || t.kind != BG_INCIDENT_SURGE)
                return;
        l->o.n_false += !inside;
        if (inside && !l->o.n_found++)
                l->o.delay_days = age - h->from;
}

static Outcome live(const History *h, const BgSurgeSpec *spec, TestRandom *random)
{
        Life l = { .h = h, .spec = spec, .error = exp(h->error * test_normal(random)) };
        const double step = 0.5, keep = exp(-step / 14);
        double wander = h->wander * test_normal(random);

        for (double day = 0; day < h->days; day += step) {
                double mean = bg_growth_expected(&h->growth, day + step) - bg_growth_expected(&h->growth, day);
                double rate = mean / step * exp(wander) * (day >= h->from && day < h->until ? h->factor : 1);

                wander = wander * keep + h->wander * sqrt(1 - keep * keep) * test_normal(random);
                for (double at = day + test_exponential(random, rate + 1e-12); at < day + step;
                     at += test_exponential(random, rate + 1e-12))
                        session(&l, at, test_u64(random));
        }
        return l.o;
}

/* a hub: two fifths of the models end with 1 to 30 children, the others with a few hundred, up to 30,000 */
static BgGrowth some_growth(TestRandom *random)
{
        const double m = 30, sessions = 0.635;
        double most = log1p(30000 / m), lambda = exp(0.85 + 0.75 * test_normal(random));

        if (test_uniform(random) < 0.4)
                lambda = log1p(exp(log(30) * test_uniform(random)) / m);
        return (BgGrowth){ .lambda = fmin(lambda, most),
                           .mu = log(300) + 0.7 * test_normal(random),
                           .sigma = fmin(fmax(exp(0.3 * test_normal(random)), 0.4), 1.8),
                           .m = m * sessions };
}

/* per 1000 model-years */
static double false_alarms(double error, double wander, double threshold, uint64_t seed, double model_years)
{
        BgSurgeSpec spec = bg_surge_spec_default();
        TestRandom random = { test_seed(seed) };
        Outcome sum = { 0 };
        const double days = 730.5;

        spec.threshold = threshold;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (double years = 0; years < model_years; years += days / 365.25) {
                History h = { .growth = some_growth(&random), .error = error, .wander = wander, .days = days, .from = INFINITY };
                Outcome o = live(&h, &spec, &random);
                sum.n_false += o.n_false;
                sum.n_sessions += o.n_sessions;
        }
        print_message("# error %.2f, wander %.2f, threshold %.2f: %u false alarms in %.0f model-years, %u sessions\n", error,
                      wander, threshold, sum.n_false, model_years, sum.n_sessions);
        return sum.n_false / model_years * 1000;
}

/* the doubt that the detector assumes is then a margin: fewer than the table says for a forecaster with errors */
static void an_exact_forecast_raises_fewer_alarms_than_the_table(void **state)
{
        double at_9 = false_alarms(0, 0, 9.25, 41, 4000), at_6 = false_alarms(0, 0, 6, 45, 1000);

        (void)state;
        assert_true(at_9 <= bg_surge_false_alarms(9.25));
        assert_true(at_6 <= 1.25 * bg_surge_false_alarms(6));
        assert_true(at_6 > 5); /* the run can raise alarms */
}

static void with_the_errors_of_the_table_alarms_are_as_tabled(void **state)
{
        double at_9 = false_alarms(0.15, 0.15, 9.25, 42, 4000), at_6 = false_alarms(0.15, 0.15, 6, 43, 1000);

        (void)state;
        assert_true(at_9 >= bg_surge_false_alarms(9.25) / 2.5 && at_9 <= bg_surge_false_alarms(9.25) * 2.5);
        assert_true(at_6 >= bg_surge_false_alarms(6) / 2 && at_6 <= bg_surge_false_alarms(6) * 2);
}

/* five times one session a day (the curve at 150 days), for 20 days, with a forecast that is 15 % off */
static void a_strong_surge_is_found_within_days(void **state)
{
        BgSurgeSpec spec = bg_surge_spec_default();
        TestRandom random = { test_seed(44) };
        unsigned n_found = 0, n_soon = 0, n_again = 0, n_regime = 0;
        const unsigned n = 300;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (unsigned i = 0; i < n; ++i) {
                History h = { .growth = { .lambda = 3, .mu = log(300), .sigma = 1, .m = 77 },
                              .error = 0.15,
                              .wander = 0.15,
                              .days = 250,
                              .from = 150,
                              .until = 170,
                              .factor = 5 };
                Outcome o = live(&h, &spec, &random);
                n_found += o.n_found > 0;
                n_soon += o.n_found > 0 && o.delay_days <= 8;
                n_again += o.n_found > 1;
                n_regime += o.n_regime;
        }
        print_message("# x5: %u of %u found, %u within 8 days, %u more than once, %u as regime\n", n_found, n, n_soon, n_again,
                      n_regime);
        assert_true(n_found >= 0.97 * n);
        assert_true(n_soon >= 0.9 * n);
        assert_true(n_again <= 0.1 * n);
        assert_true(n_regime <= 0.05 * n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_exact_forecast_raises_fewer_alarms_than_the_table),
                cmocka_unit_test(with_the_errors_of_the_table_alarms_are_as_tabled),
                cmocka_unit_test(a_strong_surge_is_found_within_days),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pool against published test vectors and its own promises. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/model/pool.h"
#include "daemon/model/prior.h"
#include "daemon/model/sym3.h"

static void close_to(double got, double want, double tolerance, const char *what)
{
        if (!(fabs(got - want) <= tolerance))
                fail_msg("%s: got %.9g, expected %.9g +- %g", what, got, want, tolerance);
}

struct vector {
        size_t n; /* bins */
        double cumulative[10];
        double theta[3]; /* mu in ln months */
        double u1[4], s1, u12[4], s12;
};

static const struct vector vectors[] = {
        { 9, { 0, 70, 172, 319, 560, 772, 889, 1101, 1304, 1496 }, { 1.811, 1.319, .577 }, { 5.074, 5.163, 5.147, 5.263 }, .764,
          { 7.51, 7.284, 7.267, 7.743 }, 1.01 },
        { 4, { 0, 0, 1, 1, 2 }, { .8696, 2.1448, .3753 }, { .0806, .4201, .3736, .6931 }, 1.0516, { 1.6007, 1.5298, 1.4202, 2.5650 },
          1.75 },
};

/* The vectors were computed with the Fisher information; the fit reports the observed one where that is positive definite. */
static void fisher_spread(BgFit *fit, const BgFitSpec *spec, const BgCounts *history)
{
        BgGrowth growth = bg_fit_growth(fit);
        double hessian[BG_SYM_N], l[BG_SYM_N], before = history->before;

        memcpy(hessian, spec->prior.precision, sizeof(hessian));
        for (size_t n = 0; n < history->n_bins; n++) {
                double a[BG_THETA_N], d = bg_growth_exposure(&growth, history->edges_days[n], history->edges_days[n + 1], a);

                for (int i = 0, k = 0; i < BG_THETA_N; i++)
                        for (int j = 0; j <= i; j++, k++)
                                hessian[k] += (before + fit->m) / -expm1(-d) * a[i] * a[j] / fit->dispersion;
                before += history->counts[n];
        }
        assert_true(bg_sym3_cholesky(l, hessian));
        bg_sym3_invert(fit->laplace, l);
}

static void opinion_of(const struct vector *v, double h, BgPoolOpinion *opinion, BgFit *fit)
{
        double edges[10], counts[9];
        BgCounts history = { .edges_days = edges, .counts = counts, .n_bins = v->n };
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);
        BgPoolInput input = { .count = v->cumulative[v->n], .age_days = (double)v->n * BG_POOL_BIN_DAYS, .n_windows = v->n };

        for (size_t i = 0; i <= v->n; i++)
                edges[i] = (double)i * BG_POOL_BIN_DAYS;
        for (size_t i = 0; i < v->n; i++) {
                counts[i] = v->cumulative[i + 1] - v->cumulative[i];
                input.windows[v->n - 1 - i] = counts[i];
        }
        bg_fit(fit, &spec, &history, NULL);
        fisher_spread(fit, &spec, &history);
        bg_pool_opinion(opinion, fit, &input, h * BG_POOL_BIN_DAYS);
}

static void test_vectors(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
                const struct vector *v = &vectors[i];
                BgPoolOpinion opinion;
                BgFit fit;

                opinion_of(v, 1, &opinion, &fit);
                close_to(fit.theta[0], v->theta[0], 2e-3, "ln lambda");
                close_to(fit.theta[1] - log(BG_POOL_BIN_DAYS), v->theta[1], 2e-3, "mu");
                close_to(fit.theta[2], v->theta[2], 2e-3, "ln sigma");
                for (int e = 0; e < BG_EXPERT_N; e++)
                        close_to(opinion.u[e], v->u1[e], 5e-3, "u at one month");
                close_to(opinion.s, v->s1, 5e-3, "S at one month");
                opinion_of(v, 12, &opinion, &fit);
                for (int e = 0; e < BG_EXPERT_N; e++)
                        close_to(opinion.u[e], v->u12[e], e ? 1e-3 : 6e-3, "u at twelve months");
                close_to(opinion.s, v->s12, 6e-3, "S at twelve months");
        }
}

/* xorshift: a stream of its own, the same everywhere */
static uint64_t random_state = 88172645463325252u;
static double uniform(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (double)(random_state >> 11) / 9007199254740992.0;
}

static double normal(void)
{
        return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

/* Outcomes from the pool's own family but 2.5 times as wide and shifted: the trackers must find both. */
static void test_trackers_calibrate(void **state)
{
        BgPool *pool = test_malloc(sizeof(*pool));
        int inside = 0, n = 0;

        (void)state;
        bg_pool_init(pool);
        for (int i = 0; i < 60000; i++) {
                double u = 1 + 5 * uniform(), v = u + .4 + 2.5 * .3 * normal(), outcome = 50 + round(expm1(fmax(v, 0)));
                BgPoolOpinion opinion = { .u = { u, u + .1 * normal(), u + .1 * normal(), u - .1 }, .s = .3 };
                BgForecastPoint point;

                bg_pool_quantiles(&point, pool, &opinion, 50, bg_pool_knot_days(3));
                if (i >= 40000) {
                        n++;
                        inside += outcome >= point.q[1] && outcome <= point.q[5];
                }
                bg_pool_learn(pool, 3, &opinion, 50, outcome);
        }
        print_message("# 80 %% interval covers %.3f after learning\n", (double)inside / n);
        assert_true(fabs((double)inside / n - .8) < .03);
        test_free(pool);
}

static void test_promises(void **state)
{
        BgPool *pool = test_malloc(sizeof(*pool));
        uint64_t seed = random_state;

        (void)state;
        bg_pool_init(pool);
        for (int i = 0; i < 20000; i++) {
                double count = floor(expm1(12 * uniform() * uniform())), h = exp(log(1. / 24) + uniform() * log(1826.25 * 24));
                BgFit fit = { .theta = { 8 * normal(), 4 + 8 * normal(), 4 * normal() }, .laplace = { 4, 0, 4, 0, 0, 4 }, .m = 3,
                              .dispersion = 5 };
                BgPoolInput input = { .count = count, .age_days = 3000 * uniform() * uniform(), .n_windows = BG_POOL_WINDOW_MAX };
                BgPoolOpinion opinion;
                BgForecastPoint point;

                for (size_t j = 0; j < input.n_windows; j++)
                        input.windows[j] = floor(count * uniform());
                bg_pool_opinion(&opinion, &fit, &input, h);
                bg_pool_quantiles(&point, pool, &opinion, count, h);
                for (int p = 0; p < BG_QUANTILE_N; p++) {
                        if (!(isfinite(point.q[p]) && point.q[p] >= count && point.q[p] == round(point.q[p])) ||
                            (p && point.q[p] < point.q[p - 1]))
                                fail_msg("seed %llu, case %d, level %d: %g", (unsigned long long)seed, i, p, point.q[p]);
                }
                assert_true(isfinite(point.mean) && point.mean >= count);
                bg_pool_learn(pool, (size_t)(uniform() * BG_POOL_KNOT_N), &opinion, count, count + floor(1000 * uniform() * uniform()));
        }
        test_free(pool);
}

static void test_prior_recovers(void **state)
{
        const double mean[3] = { 2, 4.5, 0 }, sd[3] = { .5, .8, .3 };
        const double spread[BG_SYM_N] = { .01, 0, .01, 0, 0, .01 };
        BgPriorSums sums, back;
        BgPrior prior;

        (void)state;
        bg_prior_sums_init(&sums);
        back = sums;
        for (int i = 0; i < 20000; i++) {
                double theta[3];

                for (int k = 0; k < 3; k++)
                        theta[k] = mean[k] + sd[k] * normal();
                bg_prior_sums_add(&sums, 1, theta, spread);
                bg_prior_sums_add(&back, 1, theta, spread);
                bg_prior_sums_add(&back, -1, theta, spread);
        }
        prior = bg_prior_from_sums(&sums);
        for (int k = 0; k < 3; k++)
                close_to(prior.mean[k], mean[k], .03, "mean");
        close_to(1 / sqrt(prior.precision[0]), sqrt(.25 + .01), .03, "sd of ln lambda");
        close_to(1 / sqrt(prior.precision[5]), sqrt(.09 + .01), .03, "sd of ln sigma");
        prior = bg_prior_from_sums(&back); /* what is taken back is gone */
        close_to(prior.mean[0], bg_prior_population().mean[0], 1e-6, "mean after taking all back");
        close_to(prior.precision[2], bg_prior_population().precision[2], 1e-6, "precision after taking all back");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vectors),
                cmocka_unit_test(test_trackers_calibrate),
                cmocka_unit_test(test_promises),
                cmocka_unit_test(test_prior_recovers),
        };

        return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}

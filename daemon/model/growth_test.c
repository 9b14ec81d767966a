/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/model/growth.h"
#include "daemon/model/test_random.h"

static double relative(double a, double b)
{
        return fabs(a - b) / fmax(fabs(b), 1e-300);
}

/* Phi((ln t1 - mu) / sigma) - Phi((ln t0 - mu) / sigma) in 64-bit mantissas, from whichever tail does not cancel. */
static long double share_between(const BgGrowth *g, double t0, double t1)
{
        long double z0 = t0 > 0 ? (logl(t0) - g->mu) / g->sigma : -INFINITY, z1 = (logl(t1) - g->mu) / g->sigma;

        if (z0 > 0)
                return 0.5L * (erfcl(z0 * M_SQRT1_2l) - erfcl(z1 * M_SQRT1_2l));
        return 0.5L * (erfcl(-z1 * M_SQRT1_2l) - erfcl(-z0 * M_SQRT1_2l));
}

static void test_share_between_keeps_its_digits_in_the_tails(void **state)
{
        (void)state;
        /* z from -30 to 30, bins from a thousandth to all of a standard deviation */
        for (double z = -30; z <= 30; z += 0.37)
                for (double width = 1; width > 0.9e-3; width /= 10) {
                        BgGrowth g = { .lambda = 1, .mu = 5, .sigma = 1.3, .m = 3 };
                        double t0 = exp(g.mu + g.sigma * z), t1 = exp(g.mu + g.sigma * (z + width));
                        double exact = (double)share_between(&g, t0, t1);
                        /* what the rounding of t alone does: z phi(z) dz / difference */
                        double rounding = 1e-15 * (1 + fabs(z)) * (1 + 8 / width);

                        assert_true(relative(bg_growth_share_between(&g, t0, t1), exact) < rounding + 1e-13);
                }
}

static void test_share_between_adds_up(void **state)
{
        TestRandom r = { 7 };

        (void)state;
        for (int i = 0; i < 2000; i++) {
                BgGrowth g = { .lambda = 1, .mu = 6 * test_normal(&r), .sigma = exp(2 * test_normal(&r)), .m = 3 };
                double a = exp(6 * test_normal(&r)), b = a * (1 + test_exponential(&r, 1)),
                       c = b * (1 + test_exponential(&r, 100));
                double whole = bg_growth_share_between(&g, a, c);
                double parts = bg_growth_share_between(&g, a, b) + bg_growth_share_between(&g, b, c);

                assert_true(fabs(whole - parts) <= 1e-12 * whole + 1e-300);
                assert_true(whole >= 0 && whole <= 1);
        }
}

static void test_gradients_are_those_of_finite_differences(void **state)
{
        TestRandom r = { 11 };

        (void)state;
        for (int i = 0; i < 500; i++) {
                double theta[3] = { test_normal(&r), 5 + test_normal(&r), 0.5 * test_normal(&r) };
                double t0 = exp(4 + test_normal(&r)), t1 = t0 * (1 + test_exponential(&r, 1));
                BgGrowth g = bg_growth_from_theta(theta, 3);
                double gradient[3], exposure[3], h = 1e-5;
                double c = bg_growth_expected_gradient(&g, t1, gradient), d = bg_growth_exposure(&g, t0, t1, exposure);

                assert_true(relative(c, bg_growth_expected(&g, t1)) < 1e-15);
                assert_true(relative(d, g.lambda * bg_growth_share_between(&g, t0, t1)) < 1e-15);
                for (int k = 0; k < 3; k++) {
                        BgGrowth up = g, down = g;
                        double *members[2][3] = { { &up.lambda, &up.mu, &up.sigma }, { &down.lambda, &down.mu, &down.sigma } };
                        double theta_up[3], theta_down[3], numeric, unused[3];

                        *members[0][k] += h;
                        *members[1][k] -= h;
                        numeric = (bg_growth_expected(&up, t1) - bg_growth_expected(&down, t1)) / (2 * h);
                        assert_true(fabs(gradient[k] - numeric) < 1e-6 * (fabs(numeric) + c + 1e-3));
                        for (int j = 0; j < 3; j++) {
                                theta_up[j] = theta[j] + (j == k ? h : 0);
                                theta_down[j] = theta[j] - (j == k ? h : 0);
                        }
                        up = bg_growth_from_theta(theta_up, 3);
                        down = bg_growth_from_theta(theta_down, 3);
                        numeric = (bg_growth_exposure(&up, t0, t1, unused) - bg_growth_exposure(&down, t0, t1, unused)) / (2 * h);
                        assert_true(fabs(exposure[k] - numeric) < 1e-7 * (fabs(numeric) + d));
                }
        }
}

static void test_rate_is_the_slope_of_the_expected_count(void **state)
{
        TestRandom r = { 13 };

        (void)state;
        for (int i = 0; i < 500; i++) {
                double theta[3] = { test_normal(&r), 5 + test_normal(&r), 0.3 * test_normal(&r) }, t = exp(5 + test_normal(&r));
                BgGrowth g = bg_growth_from_theta(theta, 3);
                double h = 1e-5 * t, numeric = (bg_growth_expected(&g, t + h) - bg_growth_expected(&g, t - h)) / (2 * h);

                assert_true(fabs(bg_growth_rate(&g, t) - numeric) < 1e-6 * fabs(numeric) + 1e-9);
        }
}

static void test_nothing_leaves_the_finite_numbers(void **state)
{
        static const double lambdas[] = { 0, 1e-300, 1e-6, 1, 700, 1e6, 1e9 }, mus[] = { -1000, -100, -1, 0, 5, 100, 1000 };
        static const double sigmas[] = { 1e-6, 1e-3, 1, 1e3, 1e6, 1e10 }, ms[] = { 1e-6, 1, 1e6 };
        static const double ages[] = { 0, 1e-300, 1e-6, 0.5, 1, 30, 148.41315910257660, 1e4, 1e6 };

        (void)state;
        for (size_t a = 0; a < 7; a++)
                for (size_t b = 0; b < 7; b++)
                        for (size_t c = 0; c < 6; c++)
                                for (size_t d = 0; d < 3; d++)
                                        for (size_t i = 0; i < 9; i++) {
                                                BgGrowth g = { lambdas[a], mus[b], sigmas[c], ms[d] };
                                                double x[3], count = bg_growth_expected_gradient(&g, ages[i], x);

                                                assert_true(count >= 0 && count <= BG_GROWTH_COUNT_MAX);
                                                assert_true(isfinite(x[0]) && isfinite(x[1]) && isfinite(x[2]));
                                                assert_true(bg_growth_rate(&g, ages[i]) >= 0);
                                                assert_true(bg_growth_rate(&g, ages[i]) <= BG_GROWTH_COUNT_MAX);
                                                assert_true(bg_growth_ultimate(&g) >= count);
                                                for (size_t j = i; j < 9; j++) {
                                                        double exposure = bg_growth_exposure(&g, ages[i], ages[j], x);

                                                        assert_true(exposure >= 0 && exposure <= g.lambda);
                                                        assert_true(isfinite(x[0]) && isfinite(x[1]) && isfinite(x[2]));
                                                        assert_true(bg_growth_expected(&g, ages[j]) >= count * (1 - 1e-14));
                                                }
                                        }
}

static void test_theta_outside_the_ranges_is_moved_to_their_ends(void **state)
{
        double huge[3] = { 1e300, -1e300, 1e300 }, tiny[3] = { -1e300, 1e300, -1e300 };
        BgGrowth g = bg_growth_from_theta(huge, 3);

        (void)state;
        assert_true(relative(g.lambda, 1e9) < 1e-9 && g.mu == -BG_GROWTH_MU_MAX && relative(g.sigma, 1e10) < 1e-9);
        g = bg_growth_from_theta(tiny, 3);
        assert_true(g.lambda > 0 && g.lambda * g.lambda == 0 && g.mu == BG_GROWTH_MU_MAX && relative(g.sigma, 1e-6) < 1e-9);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_share_between_keeps_its_digits_in_the_tails),
                cmocka_unit_test(test_share_between_adds_up),
                cmocka_unit_test(test_gradients_are_those_of_finite_differences),
                cmocka_unit_test(test_rate_is_the_slope_of_the_expected_count),
                cmocka_unit_test(test_nothing_leaves_the_finite_numbers),
                cmocka_unit_test(test_theta_outside_the_ranges_is_moved_to_their_ends),
        };

        return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}

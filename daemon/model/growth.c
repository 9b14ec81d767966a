/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/growth.h"

#include <math.h>

#include "daemon/model/curve.h"

/* e^x for the largest x that can still matter: above it m (e^x - 1) is saturated for every m in range. */
#define EXPONENT_MAX 60.0

static double clamp(double x, double low, double high)
{
        return fmin(fmax(x, low), high);
}

static CurveEdge edge_at(const BgGrowth *g, double age_days)
{
        return curve_edge(age_days > 0 ? log(age_days) : -INFINITY, g->mu, 1 / g->sigma);
}

BgGrowth bg_growth_from_theta(const double theta[BG_THETA_N], double m)
{
        return (BgGrowth){
                .lambda = exp(clamp(theta[BG_THETA_LN_LAMBDA], BG_GROWTH_LN_LAMBDA_ZERO, BG_GROWTH_LN_LAMBDA_MAX)),
                .mu = clamp(theta[BG_THETA_MU], -BG_GROWTH_MU_MAX, BG_GROWTH_MU_MAX),
                .sigma = exp(clamp(theta[BG_THETA_LN_SIGMA], BG_GROWTH_LN_SIGMA_MIN, BG_GROWTH_LN_SIGMA_MAX)),
                .m = m,
        };
}

double bg_growth_share(const BgGrowth *g, double age_days)
{
        CurveEdge e = edge_at(g, age_days);

        return curve_share(&e);
}

double bg_growth_share_between(const BgGrowth *g, double from_days, double to_days)
{
        CurveEdge from = edge_at(g, from_days), to = edge_at(g, to_days);

        return curve_bin(&from, &to).share;
}

static double saturate(double m, double exponent)
{
        return fmin(m * expm1(fmin(exponent, EXPONENT_MAX)), BG_GROWTH_COUNT_MAX);
}

double bg_growth_expected(const BgGrowth *g, double age_days)
{
        return saturate(g->m, g->lambda * bg_growth_share(g, age_days));
}

double bg_growth_ultimate(const BgGrowth *g)
{
        return saturate(g->m, g->lambda);
}

double bg_growth_rate(const BgGrowth *g, double age_days)
{
        CurveEdge e;
        double ln_rate;

        if (!(age_days > 0) || !(g->lambda > 0))
                return 0;
        e = edge_at(g, age_days);
        /* a sum of logarithms: the factors overflow separately where the product does not */
        ln_rate = log(g->m * g->lambda * CURVE_INV_SQRT_2PI / g->sigma) + g->lambda * curve_share(&e) - 0.5 * e.z * e.z -
                  log(age_days);
        return ln_rate >= log(BG_GROWTH_COUNT_MAX) ? BG_GROWTH_COUNT_MAX : exp(ln_rate);
}

double bg_growth_expected_gradient(const BgGrowth *g, double age_days, double gradient[3])
{
        CurveEdge e = edge_at(g, age_days);
        double share = curve_share(&e), exponent = g->lambda * share, expected = saturate(g->m, exponent);
        double slope =
                expected < BG_GROWTH_COUNT_MAX ? g->m * exp(exponent) : 0; /* d expected / d exponent; flat once saturated */

        gradient[0] = slope * share;
        gradient[1] = -slope * g->lambda * e.density / g->sigma;
        gradient[2] = gradient[1] * e.z;
        return expected;
}

double bg_growth_exposure(const BgGrowth *g, double from_days, double to_days, double gradient[BG_THETA_N])
{
        CurveEdge from = edge_at(g, from_days), to = edge_at(g, to_days);
        CurveBin bin = curve_bin(&from, &to);
        double d = g->lambda * bin.share;

        gradient[BG_THETA_LN_LAMBDA] = d;
        gradient[BG_THETA_MU] = -g->lambda * bin.density / g->sigma;
        gradient[BG_THETA_LN_SIGMA] = -g->lambda * bin.moment;
        return d;
}

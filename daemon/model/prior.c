/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/prior.h"

#include <math.h>

#include "daemon/model/sym3.h"

/** Covariance of the fixed population prior: its precision is well conditioned by construction. */
static void fixed_covariance(double cov[BG_SYM_N], const BgPrior *prior)
{
        double l[BG_SYM_N];

        bg_sym3_cholesky(l, prior->precision);
        bg_sym3_invert(cov, l);
}

static void add_outer(double s2[BG_SYM_N], double weight, const double x[BG_THETA_N], const double cov[BG_SYM_N])
{
        for (int i = 0, k = 0; i < BG_THETA_N; i++)
                for (int j = 0; j <= i; j++, k++)
                        s2[k] += weight * (x[i] * x[j] + cov[k]);
}

void bg_prior_sums_init(BgPriorSums *sums)
{
        BgPrior start = bg_prior_population();
        double cov[BG_SYM_N];

        *sums = (BgPriorSums){ .s0 = BG_PRIOR_PSEUDO_COUNT };
        fixed_covariance(cov, &start);
        for (int i = 0; i < BG_THETA_N; i++)
                sums->s1[i] = BG_PRIOR_PSEUDO_COUNT * start.mean[i];
        add_outer(sums->s2, BG_PRIOR_PSEUDO_COUNT, start.mean, cov);
}

void bg_prior_sums_add(BgPriorSums *sums, double sign, const double theta[BG_THETA_N], const double spread[BG_SYM_N])
{
        sums->s0 += sign;
        for (int i = 0; i < BG_THETA_N; i++)
                sums->s1[i] += sign * theta[i];
        add_outer(sums->s2, sign, theta, spread);
}

BgPrior bg_prior_from_sums(const BgPriorSums *sums)
{
        BgPrior prior;
        double cov[BG_SYM_N], l[BG_SYM_N];

        for (int i = 0; i < BG_THETA_N; i++)
                prior.mean[i] = sums->s1[i] / sums->s0;
        for (int i = 0, k = 0; i < BG_THETA_N; i++)
                for (int j = 0; j <= i; j++, k++)
                        cov[k] = sums->s2[k] / sums->s0 - prior.mean[i] * prior.mean[j];
        if (!(sums->s0 >= 1) || !bg_sym3_cholesky(l, cov))
                return bg_prior_population();
        bg_sym3_invert(prior.precision, l);
        return prior;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_GROWTH_H
#define BURGEON_MODEL_GROWTH_H

/*
 * The growth curve of adoption and the pieces the likelihood is made of.
 *
 *   c(t) = m (exp(lambda F(t)) - 1),   F(t) = Phi((ln t - mu) / sigma),   F(0) = 0
 *
 * Source: Wang, Song, Barabasi 2013, eq. 3; Bhandari, Chen, Gao 2025 (arXiv 2502.15987), eq. 1.
 * Age is in days throughout (any other unit shifts mu by ln(unit in days)). Nothing here returns NaN or infinity for
 * parameters within the ranges below; ages may be 0 and as large as 1e6 days.
 */

/** lambda in [0, 1e9], mu in [-1000, 1000], sigma in [1e-6, 1e10], m in (0, 1e6]: as far as least squares wanders on real data.
 */
typedef struct BgGrowth {
        double lambda; /* relative fitness */
        double mu;     /* immediacy, ln days */
        double sigma;  /* longevity */
        double m;      /* initial attractiveness */
} BgGrowth;

#define BG_GROWTH_LN_LAMBDA_MAX 20.72326583694641    /* ln 1e9 */
#define BG_GROWTH_LN_SIGMA_MAX 23.025850929940457    /* ln 1e10 */
#define BG_GROWTH_LN_SIGMA_MIN (-13.815510557964274) /* ln 1e-6 */
#define BG_GROWTH_LN_LAMBDA_ZERO (-400.0) /* ln lambda of no growth at all: lambda^2 underflows, and so does every residual */
#define BG_GROWTH_MU_MAX 1000.0
#define BG_GROWTH_COUNT_MAX 1e15 /* counts saturate here: beyond any hub, still exact in a double */

/** Order of the fitted coordinates theta everywhere in this room: all three range over the whole line. */
enum { BG_THETA_LN_LAMBDA, BG_THETA_MU, BG_THETA_LN_SIGMA, BG_THETA_N };
/** Packed symmetric 3x3: (0,0) (1,0) (1,1) (2,0) (2,1) (2,2). */
enum { BG_SYM_N = 6 };

/** theta outside the ranges is moved to their nearest end. */
BgGrowth bg_growth_from_theta(const double theta[BG_THETA_N], double m);

/** F(t): share of the ultimate log-growth reached at an age. [0, 1]. */
double bg_growth_share(const BgGrowth *g, double age_days);
/** F(t1) - F(t0) for t0 <= t1, without cancellation in the upper tail (erfc differences). [0, 1]. */
double bg_growth_share_between(const BgGrowth *g, double from_days, double to_days);
/** c(t). [0, BG_GROWTH_COUNT_MAX]. */
double bg_growth_expected(const BgGrowth *g, double age_days);
/** dc/dt, per day, at an age; finite at 0. */
double bg_growth_rate(const BgGrowth *g, double age_days);
/** c(infinity) = m (e^lambda - 1). */
double bg_growth_ultimate(const BgGrowth *g);
/** c(t) and its derivatives with respect to (lambda, mu, sigma): the Jacobian row of the least-squares estimator. */
double bg_growth_expected_gradient(const BgGrowth *g, double age_days, double gradient[3]);
/**
 * d = lambda (F(t1) - F(t0)), the exposure of (t0, t1]: the log-growth of N + m expected in it; and its derivatives with
 * respect to theta. Return: d >= 0.
 */
double bg_growth_exposure(const BgGrowth *g, double from_days, double to_days, double gradient[BG_THETA_N]);

#endif

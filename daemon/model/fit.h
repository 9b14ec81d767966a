/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_FIT_H
#define BURGEON_MODEL_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/model/growth.h"

/*
 * Two estimators of the growth curve behind one function.
 *
 * likelihood     maximum a posteriori of the binned reinforced process (negative binomial in every bin, exact for any edges),
 *                quasi-likelihood with one over-dispersion per series, Gaussian prior on theta = (ln lambda, mu, ln sigma).
 *                Trust-region Newton on the exact Hessian, from as many starts as it takes to find the lowest of several minima.
 * least-squares  the paper's: unweighted, on the cumulative counts at the bin ends, bounds lambda, mu, sigma >= 0 (mu in the
 *                caller's time unit), gsl_multifit_nlinear with the analytic Jacobian from many starts.
 *
 * Pure functions: same input, same output to the bit, on any thread. GSL's default error handler aborts: turn it off first.
 */

typedef enum BgEstimator { BG_ESTIMATOR_LIKELIHOOD, BG_ESTIMATOR_LEAST_SQUARES } BgEstimator;
const char *bg_estimator_name(BgEstimator estimator);

/** Counts by age. Bin j is (edges[j], edges[j+1]] days of age and holds counts[j] >= 0; edges rise strictly, edges[0] >= 0. */
typedef struct BgCounts {
        const double *edges_days; /* n_bins + 1 */
        const double *counts;     /* n_bins; integers in value */
        size_t n_bins;
        double before; /* count before edges[0], normally 0 */
} BgCounts;

/** Gaussian prior on theta (mu in ln days). The population's: learned elsewhere, or bg_prior_population(). */
typedef struct BgPrior {
        double mean[BG_THETA_N];
        double precision[BG_SYM_N]; /* inverse covariance, packed */
} BgPrior;

typedef struct BgFitSpec {
        BgEstimator estimator;
        double m;               /* > 0; likelihood default 3 */
        double unit_days;       /* time unit of least squares: its bound mu >= 0 and its start depend on it. 1, 30.4375, 365.25 */
        double dispersion_base; /* phi = base + slope n / (T / 30.4375 d); defaults 5, 0.3; 1, 0 = the process itself */
        double dispersion_slope;
        BgPrior prior;
        unsigned iterations_max;
} BgFitSpec;
/** The defaults of the likelihood estimator: m = 3, phi = 5 + 0.3 n/T, the fixed population prior. */
BgFitSpec bg_fit_spec_default(BgEstimator estimator);

typedef enum BgFitStatus {
        BG_FIT_NONE,      /* never fitted (zero value) */
        BG_FIT_OK,        /* converged */
        BG_FIT_BOUND,     /* least squares: converged with mu on its bound */
        BG_FIT_NO_DATA,   /* no bins: the prior. No counts: likelihood, what silence says; least squares, lambda = 0 */
        BG_FIT_LIMIT,     /* iterations ran out, least squares also at the ranges of growth.h: the best point found */
        BG_FIT_NONFINITE, /* unusable input or spec, or arithmetic left the finite numbers: the prior, or the population's */
} BgFitStatus;
const char *bg_fit_status_name(BgFitStatus status);

/**
 * Result. Invariant: theta and both spreads are finite and the spreads positive definite, whatever the status.
 *
 * theta is the posterior's mode. Intervals theta +- z sqrt(spread) hold the truth as often as they say where the data come from
 * the process; with laplace in its place they hold it too rarely (90 %: 86 %), for the posterior leans to faster growth.
 */
typedef struct BgFit {
        double theta[BG_THETA_N]; /* mu in ln days for both estimators */
        double spread[BG_SYM_N];  /* second moment about theta, packed: Laplace's and the way to the posterior's centre */
        double laplace[BG_SYM_N]; /* inverse Hessian alone: what delta methods and the shared prior start from */
        double m;
        double dispersion;   /* phi that was used; 1 for least squares */
        double objective;    /* minimised: negative log posterior / sum of squares */
        double sse;          /* sum of squared residuals of the cumulative counts at the bin ends */
        double moved;        /* Mahalanobis distance of theta from the prior's mean, per sqrt(3), in prior sd */
        unsigned iterations; /* over all starts */
        BgFitStatus status;
        bool warm; /* the optimum is the one that the previous fit led to */
} BgFit;

/**
 * bg_fit() - estimate the growth curve of one series
 * @previous: start of a warm refit; NULL, or status NONE, for a cold one
 *
 * Likelihood: a warm fit looks everywhere a cold one does besides, so it ends in the same minimum or in a lower one that the
 * cold one missed (none seen in 3e5 real and simulated histories; a single start misses in 0.6 % of the real ones). While the
 * events cannot outweigh the prior (n <= phi), which is most models, there is one minimum and one descent. Least squares
 * searches afresh every time; see its .c.
 *
 * Bad input (n_bins == 0, non-finite, counts < 0, edges that do not rise) never fails the call: see the status.
 * Cost, likelihood: bins without events in a row count as one; 3 us for a model with a few events, some 30 us for one with events
 * in each of 40 bins, up to 512 bins without allocation. Least squares: about 1 ms and workspaces.
 */
void bg_fit(BgFit *fit, const BgFitSpec *spec, const BgCounts *history, const BgFit *previous);

/**
 * bg_fit_objective() - the likelihood estimator's objective, gradient and exact Hessian at theta (tests, audits)
 * Return: -(1/phi) sum_j loglik_j + (theta - mean)' P (theta - mean) / 2
 */
double bg_fit_objective(const BgFitSpec *spec, const BgCounts *history, const double theta[BG_THETA_N],
                        double gradient[BG_THETA_N], double hessian[BG_SYM_N]);

/**
 * bg_counts_snap_months() - replace calendar months by equal ones
 * @edges_days: n_bins + 1 ages, the first 0; changed in place when true
 *
 * Where every bin is a calendar month since release (28 to 31 days; the last may be shorter), edge k becomes k times 30.4375
 * days. The paper's ages are k / 12 years: its least-squares parameters come out to three digits on such ages, and to two on
 * calendar ones. Return: whether it was so.
 */
bool bg_counts_snap_months(double *edges_days, size_t n_bins);

BgGrowth bg_fit_growth(const BgFit *fit);
BgPrior bg_prior_population(void);

#endif

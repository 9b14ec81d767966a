/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_LIKELIHOOD_H
#define BURGEON_MODEL_LIKELIHOOD_H

#include <stdbool.h>

#include "daemon/model/fit.h"

/* Inside the room: the objective of the likelihood estimator, prepared once for a history and evaluated at many points. */

enum {
        LIKELIHOOD_BINS_MAX = 512
}; /* prepared on the stack; a longer history is read in place, its logarithms taken every time */

typedef struct Likelihood {
        const BgPrior *prior;
        const double *edges_days; /* n_bins + 1; used when not prepared */
        const double *counts;     /* n_bins */
        size_t n_bins;
        double mass;   /* N(edges[0]) + m */
        double total;  /* events in the bins */
        double weight; /* 1 / phi */
        bool prepared;
        double ln_edges[LIKELIHOOD_BINS_MAX + 1];
        double merged[LIKELIHOOD_BINS_MAX];
} Likelihood;

typedef struct LikelihoodPoint {
        double theta[BG_THETA_N];
        double value;
        double gradient[BG_THETA_N];
        double hessian[BG_SYM_N]; /* exact second derivatives: not positive definite everywhere */
} LikelihoodPoint;

void likelihood_init(Likelihood *l, const BgFitSpec *spec, const BgCounts *history);
/** Value, gradient and Hessian at p->theta, |theta| within the ranges of growth.h. Finite there. */
void likelihood_at(const Likelihood *l, LikelihoodPoint *p);
/** Value and gradient only, at about half the cost. */
void likelihood_gradient_at(const Likelihood *l, LikelihoodPoint *p);
/** The curve that the ages of the events suggest as if growth were over: a start where the data, not the prior, point. total > 0.
 */
void likelihood_moments(const Likelihood *l, double theta[BG_THETA_N]);

#endif

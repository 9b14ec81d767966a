/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/likelihood.h"

#include <math.h>

#include "daemon/model/curve.h"
#include "daemon/model/estimator.h"
#include "daemon/model/sym3.h"

/*
 * Given N(t0) the growth in (t0, t1] of the reinforced process is negative binomial with r = N(t0) + m and p = e^-d, so
 *
 *      loglik_j = -M d + c ln(1 - e^-d),     M = N(t0) + m,   d = lambda (F(t1) - F(t0))
 *
 * up to a constant, for any edges. d and its derivatives are differences between the edges of a bin, so bins without events in a
 * row add up to one, exactly: a history costs by its events, not by its length.
 */

/*
 * What a bin with events has of exposure besides the curve's: its logarithm and inverse stay finite where the curve's own
 * underflows, 37 standard deviations out. Added, not a floor, to keep the objective smooth; and as small as can be, for a curve
 * that may ignore an event at the price of 23, say (1e-10), gives every burst a minimum of its own.
 */
#define EXPOSURE_STRAY 1e-290
#define EXPOSURE_MAX 700.0    /* e^d is finite */
#define EXPOSURE_CERTAIN 40.0 /* 1 - e^-d is 1 */

static double ln_age(double age_days)
{
        return age_days > 0 ? log(age_days) : -INFINITY;
}

void likelihood_init(Likelihood *l, const BgFitSpec *spec, const BgCounts *history)
{
        l->prior = &spec->prior;
        l->edges_days = history->edges_days;
        l->counts = history->counts;
        l->n_bins = history->n_bins;
        l->mass = history->before + spec->m;
        l->weight = 1 / bg_fit_dispersion(spec, history);
        l->prepared = history->n_bins <= LIKELIHOOD_BINS_MAX;
        l->total = 0;
        for (size_t j = 0; j < history->n_bins; j++)
                l->total += history->counts[j];
        if (!l->prepared)
                return;
        l->n_bins = 0;
        l->counts = l->merged;
        l->ln_edges[0] = ln_age(history->edges_days[0]);
        for (size_t j = 0; j < history->n_bins; j++) {
                bool run = l->n_bins > 0 && history->counts[j] == 0 && l->merged[l->n_bins - 1] == 0;
                bool last = j + 1 == history->n_bins || history->counts[j + 1] > 0;

                if (!run)
                        l->merged[l->n_bins++] = history->counts[j];
                if (history->counts[j] > 0 || last) /* the inner edges of a run are not needed */
                        l->ln_edges[l->n_bins] = log(history->edges_days[j + 1]);
        }
}

static double ln_edge(const Likelihood *l, size_t i)
{
        return l->prepared ? l->ln_edges[i] : ln_age(l->edges_days[i]);
}

static void add_outer(double a[BG_SYM_N], double weight, const double v[3])
{
        a[0] += weight * v[0] * v[0];
        a[1] += weight * v[1] * v[0];
        a[2] += weight * v[1] * v[1];
        a[3] += weight * v[2] * v[0];
        a[4] += weight * v[2] * v[1];
        a[5] += weight * v[2] * v[2];
}

/* The second derivatives of d times a factor; those of ln lambda are among the first, and so are two others. */
static void add_curvature(double a[BG_SYM_N], double factor, const double first[3], const CurveEdge *from, const CurveEdge *to,
                          const CurveBin *bin, double lambda, double per_sigma)
{
        double square = to->z * to->z * to->density - from->z * from->z * from->density;
        double cube = to->z * to->z * to->z * to->density - from->z * from->z * from->z * from->density;

        a[0] += factor * first[0];
        a[1] += factor * first[1];
        a[2] += factor * (first[2] * per_sigma * per_sigma);
        a[3] += factor * first[2];
        a[4] += factor * (lambda * per_sigma * (bin->density - square)); /* the factor may be 1e305 where these are as small */
        a[5] += factor * (lambda * (bin->moment - cube));
}

/* One pass: one erfc and one exp an edge, one expm1 and one log a bin with events. */
static inline void evaluate(const Likelihood *l, LikelihoodPoint *p, bool with_hessian)
{
        double lambda = exp(p->theta[BG_THETA_LN_LAMBDA]), mu = p->theta[BG_THETA_MU];
        double per_sigma = exp(-p->theta[BG_THETA_LN_SIGMA]), mass = l->mass, loglik = 0, score[3] = {}, curvature[BG_SYM_N] = {},
               off[3], pull[3];
        CurveEdge from = curve_edge(ln_edge(l, 0), mu, per_sigma);

        for (size_t j = 0; j < l->n_bins; j++) {
                CurveEdge to = curve_edge(ln_edge(l, j + 1), mu, per_sigma);
                CurveBin bin = curve_bin(&from, &to);
                double count = l->counts[j], d = lambda * bin.share, slope = -mass; /* of loglik in d */
                double first[3] = { d, -lambda * per_sigma * bin.density, -lambda * bin.moment };

                loglik -= mass * d;
                if (count > 0) {
                        double odds = expm1(d < EXPOSURE_MAX ? d + EXPOSURE_STRAY : EXPOSURE_MAX), inverse = 1 / odds;
                        double ratio[3] = { first[0] * inverse, first[1] * inverse, first[2] * inverse };

                        slope += count * inverse;
                        if (d < EXPOSURE_CERTAIN)
                                loglik += count * (log(odds) - d);
                        for (int i = 0; i < 3; i++)
                                score[i] += count * ratio[i];
                        if (with_hessian)
                                add_outer(curvature, -count * (1 + odds), ratio);
                }
                for (int i = 0; i < 3; i++)
                        score[i] -= mass * first[i];
                if (with_hessian)
                        add_curvature(curvature, slope, first, &from, &to, &bin, lambda, per_sigma);
                mass += count;
                from = to;
        }
        for (int i = 0; i < 3; i++)
                off[i] = p->theta[i] - l->prior->mean[i];
        bg_sym3_times(pull, l->prior->precision, off);
        p->value = -l->weight * loglik + 0.5 * (off[0] * pull[0] + off[1] * pull[1] + off[2] * pull[2]);
        for (int i = 0; i < 3; i++)
                p->gradient[i] = -l->weight * score[i] + pull[i];
        if (with_hessian)
                for (int i = 0; i < BG_SYM_N; i++)
                        p->hessian[i] = -l->weight * curvature[i] + l->prior->precision[i];
}

void likelihood_at(const Likelihood *l, LikelihoodPoint *p)
{
        evaluate(l, p, true);
}

void likelihood_gradient_at(const Likelihood *l, LikelihoodPoint *p)
{
        evaluate(l, p, false);
}

void likelihood_moments(const Likelihood *l, double theta[BG_THETA_N])
{
        double mass = l->mass, sum = 0, mean = 0, square = 0;

        /* ln(N + m) grows like lambda F: its increments are weights on ages whose logarithm is normal, mean mu and sd sigma */
        for (size_t j = 0; j < l->n_bins; j++) {
                /* a first bin from 0 is as wide in ln as ages uniform in it have mean and sd, nearly: ln t - 1 and 1 */
                double to = ln_edge(l, j + 1), from = fmax(ln_edge(l, j), to - 2);
                double middle = 0.5 * (from + to), width = to - from;
                double weight = l->counts[j] > 0 ? log1p(l->counts[j] / mass) : 0;

                sum += weight;
                mean += weight * middle;
                square += weight * (middle * middle + width * width / 12);
                mass += l->counts[j];
        }
        mean /= sum;
        theta[BG_THETA_LN_LAMBDA] = log(sum);
        theta[BG_THETA_MU] = mean;
        /* no narrower than a tenth, for a single bin */
        theta[BG_THETA_LN_SIGMA] = 0.5 * log(fmax(square / sum - mean * mean, 0.01));
}

double bg_fit_objective(const BgFitSpec *spec, const BgCounts *history, const double theta[BG_THETA_N],
                        double gradient[BG_THETA_N], double hessian[BG_SYM_N])
{
        Likelihood l;
        LikelihoodPoint p;

        likelihood_init(&l, spec, history);
        for (int i = 0; i < 3; i++)
                p.theta[i] = theta[i];
        likelihood_at(&l, &p);
        for (int i = 0; i < 3; i++)
                gradient[i] = p.gradient[i];
        for (int i = 0; i < BG_SYM_N; i++)
                hessian[i] = p.hessian[i];
        return p.value;
}

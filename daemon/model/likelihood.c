/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/model/curve.h"
#include "daemon/model/estimator.h"
#include "daemon/model/sym3.h"

/*
 * Given N(t0) the growth in (t0, t1] of the reinforced process is negative binomial with r = N(t0) + m and p = e^-d, so
 *
 *      loglik_j = -M d + c ln(1 - e^-d),     M = N(t0) + m,   d = lambda (F(t1) - F(t0))
 *
 * up to a constant, for any edges. The objective is a smooth function of three numbers whose exact second derivatives cost
 * four multiplications more than the first, so near the optimum the steps are Newton's and converge quadratically; where the exact
 * Hessian is not positive definite the Fisher information, which always is, takes its place.
 */

/* Counts in a bin the curve holds to be impossible cost ln of this; no bin of a fit that matters comes near. */
#define EXPOSURE_MIN 1e-290
#define RADIUS_START 1.0
#define RADIUS_MAX 4.0
#define STEP_DONE 1e-8          /* Newton's steps square: the error left is far below it */
#define NEAR 0.3                /* standard deviations: two minima are never that close, there is a ridge between them */
#define SHIFT_MIN 1e-3
#define SHIFT_FACTOR 3.0
/* At predicted gains below this share of the objective its rounding decides, not the step: the gradient is the better judge. */
#define GAIN_NOISE 1e-11

#define LN_EDGES_MAX 512        /* on the stack; longer histories take the logarithms again in every pass */

typedef struct Likelihood {
        const BgFitSpec *spec;
        const BgCounts *history;
        double weight; /* 1 / phi */
        double ln_edges[LN_EDGES_MAX];
} Likelihood;

typedef struct Point {
        double theta[BG_THETA_N];
        double value;
        double gradient[BG_THETA_N];
        double fisher[BG_SYM_N];
        double observed[BG_SYM_N];
} Point;

static double ln_age(double age_days) {
        return age_days > 0 ? log(age_days) : -INFINITY;
}

static void likelihood_init(Likelihood *l, const BgFitSpec *spec, const BgCounts *history) {
        l->spec = spec;
        l->history = history;
        l->weight = 1 / bg_fit_dispersion(spec, history);
        if (history->n_bins < LN_EDGES_MAX)
                for (size_t i = 0; i <= history->n_bins; i++)
                        l->ln_edges[i] = ln_age(history->edges_days[i]);
}

static double ln_edge(const Likelihood *l, size_t i) {
        return l->history->n_bins < LN_EDGES_MAX ? l->ln_edges[i] : ln_age(l->history->edges_days[i]);
}

static void add_outer(double a[BG_SYM_N], double weight, const double v[3]) {
        a[0] += weight * v[0] * v[0];
        a[1] += weight * v[1] * v[0];
        a[2] += weight * v[1] * v[1];
        a[3] += weight * v[2] * v[0];
        a[4] += weight * v[2] * v[1];
        a[5] += weight * v[2] * v[2];
}

/* Value, gradient and both Hessians at p->theta: one pass, one erfc and one exp an edge, one expm1 and at most one log a bin. */
static void likelihood_at(const Likelihood *l, Point *p) {
        const BgCounts *history = l->history;
        const BgPrior *prior = &l->spec->prior;
        double lambda = exp(p->theta[BG_THETA_LN_LAMBDA]), mu = p->theta[BG_THETA_MU], sigma = exp(p->theta[BG_THETA_LN_SIGMA]);
        double mass = history->before + l->spec->m, loglik = 0, score[3] = {}, fisher[BG_SYM_N] = {}, observed[BG_SYM_N] = {};
        double per_sigma = 1 / sigma, off[3], pull[3];
        CurveEdge from = curve_edge(ln_edge(l, 0), mu, sigma);

        for (size_t j = 0; j < history->n_bins; j++) {
                CurveEdge to = curve_edge(ln_edge(l, j + 1), mu, sigma);
                CurveBin bin = curve_bin(&from, &to);
                double count = history->counts[j], d = fmax(lambda * bin.share, EXPOSURE_MIN), odds = expm1(d), residual = -mass;
                double square = to.z * to.z * to.density - from.z * from.z * from.density;
                double cube = to.z * to.z * to.z * to.density - from.z * from.z * from.z * from.density;
                /* derivatives of d; all of second order but two are among them already */
                double a[3] = {d, -lambda * per_sigma * bin.density, -lambda * bin.moment};
                /* a / odds first: odds alone may be 1e-290 */
                double b[3] = {a[0] / odds, a[1] / odds, a[2] / odds};

                loglik -= mass * d;
                if (count > 0) {
                        loglik += count * (log(odds) - d);
                        residual += count / odds;
                        for (int i = 0; i < 3; i++)
                                score[i] += count * b[i];
                        add_outer(observed, count * (1 + odds), b);
                }
                for (int i = 0; i < 3; i++)
                        score[i] -= mass * a[i];
                fisher[0] += mass * (1 + odds) * a[0] * b[0];
                fisher[1] += mass * (1 + odds) * a[1] * b[0];
                fisher[2] += mass * (1 + odds) * a[1] * b[1];
                fisher[3] += mass * (1 + odds) * a[2] * b[0];
                fisher[4] += mass * (1 + odds) * a[2] * b[1];
                fisher[5] += mass * (1 + odds) * a[2] * b[2];
                observed[0] -= residual * a[0];
                observed[1] -= residual * a[1];
                observed[2] -= residual * a[2] * per_sigma * per_sigma;
                observed[3] -= residual * a[2];
                observed[4] -= residual * lambda * per_sigma * (bin.density - square);
                observed[5] -= residual * lambda * (bin.moment - cube);
                mass += count;
                from = to;
        }
        for (int i = 0; i < 3; i++)
                off[i] = p->theta[i] - prior->mean[i];
        bg_sym3_times(pull, prior->precision, off);
        p->value = -l->weight * loglik + 0.5 * (off[0] * pull[0] + off[1] * pull[1] + off[2] * pull[2]);
        for (int i = 0; i < 3; i++)
                p->gradient[i] = -l->weight * score[i] + pull[i];
        for (int i = 0; i < BG_SYM_N; i++) {
                p->fisher[i] = l->weight * fisher[i] + prior->precision[i];
                p->observed[i] = l->weight * observed[i] + prior->precision[i];
        }
}

static bool in_range(const double theta[3]) {
        return fabs(theta[BG_THETA_LN_LAMBDA]) <= BG_GROWTH_LN_MAX && fabs(theta[BG_THETA_MU]) <= BG_GROWTH_MU_MAX &&
               fabs(theta[BG_THETA_LN_SIGMA]) <= BG_GROWTH_LN_MAX;
}

static double norm_max(const double x[3]) {
        return fmax(fabs(x[0]), fmax(fabs(x[1]), fabs(x[2])));
}

/*
 * The Newton step, or where the Hessian is not positive definite or the step leaves the radius, that of the Hessian plus the least
 * multiple (of a ladder) of the prior's precision that mends it: the prior's metric is the natural one, and it is positive definite.
 * False: even a ladder's end does not help, the Hessian is not finite.
 */
static bool step_within(double step[3], const Point *p, const double metric[BG_SYM_N], double radius) {
        for (double shift = 0; shift < 1e30; shift = fmax(shift * SHIFT_FACTOR, SHIFT_MIN)) {
                double a[BG_SYM_N], factor[BG_SYM_N];

                for (int i = 0; i < BG_SYM_N; i++)
                        a[i] = p->observed[i] + shift * metric[i];
                if (!bg_sym3_cholesky(factor, a))
                        continue;
                bg_sym3_solve(step, factor, p->gradient);
                if (norm_max(step) <= radius)
                        return true;
        }
        return false;
}

/* Close enough to a known minimum to fall into it: distance in its standard deviations. */
static bool near(const Point *p, const Point *minimum) {
        double off[3];

        for (int i = 0; i < 3; i++)
                off[i] = p->theta[i] - minimum->theta[i];
        return bg_sym3_form(minimum->observed, off) < NEAR * NEAR;
}

/*
 * Trust-region Newton from p->theta to a minimum.
 * Return: BG_FIT_OK, _LIMIT or _NONFINITE; BG_FIT_NONE when it was on its way to `known` and so given up.
 */
static BgFitStatus descend(const Likelihood *l, Point *p, const Point *known, unsigned *iterationsp) {
        double radius = RADIUS_START;

        likelihood_at(l, p);
        if (!isfinite(p->value))
                return BG_FIT_NONFINITE;
        for (unsigned i = 0; i < l->spec->iterations_max; i++) {
                double step[3], size, gain, gained;
                bool noise;
                Point next;

                if (known && near(p, known))
                        return BG_FIT_NONE;
                (*iterationsp)++;
                if (!step_within(step, p, l->spec->prior.precision, radius))
                        return BG_FIT_NONFINITE;
                size = norm_max(step);
                gain = step[0] * p->gradient[0] + step[1] * p->gradient[1] + step[2] * p->gradient[2] -
                       0.5 * bg_sym3_form(p->observed, step);
                noise = gain <= GAIN_NOISE * (1 + fabs(p->value));
                for (int k = 0; k < 3; k++)
                        next.theta[k] = p->theta[k] - step[k];
                gained = -INFINITY;
                if (in_range(next.theta)) {
                        likelihood_at(l, &next);
                        gained = p->value - next.value;
                }
                if (gained > 1e-4 * gain || (noise && isfinite(gained))) {
                        *p = next;
                        if (size < STEP_DONE)
                                return BG_FIT_OK;
                        if (gained > 0.5 * gain)
                                radius = fmin(fmax(radius, 2 * size), RADIUS_MAX);
                        else if (!noise)
                                radius = fmin(radius, 0.5 * size);
                } else
                        radius = 0.25 * size;
        }
        return BG_FIT_LIMIT;
}

/*
 * Where the growth was seen: ln(N + m) grows like lambda F, so its increments are weights on the ages of a lognormal density, whose
 * moments are mu and sigma, as if growth were over.
 */
static void start_at_moments(const Likelihood *l, double theta[BG_THETA_N]) {
        const BgCounts *history = l->history;
        double mass = history->before + l->spec->m, sum = 0, mean = 0, square = 0, variance;

        for (size_t j = 0; j < history->n_bins; j++) {
                double to = ln_edge(l, j + 1), from = fmax(ln_edge(l, j), to - 2), width = to - from;
                double middle = 0.5 * (from + to), weight = history->counts[j] > 0 ? log1p(history->counts[j] / mass) : 0;

                sum += weight;
                mean += weight * middle;
                square += weight * (middle * middle + width * width / 12);
                mass += history->counts[j];
        }
        mean /= sum;
        variance = square / sum - mean * mean;
        theta[BG_THETA_LN_LAMBDA] = log(sum);
        theta[BG_THETA_MU] = mean;
        theta[BG_THETA_LN_SIGMA] = 0.5 * log(fmax(variance, 0.01));
}

int bg_starts = 2; long bg_trig[4]; double bg_minratio=1e9;
/* Descend from theta too, and keep what is better. Return: there was another minimum. */
static bool contend(const Likelihood *l, Point *best, const double theta[BG_THETA_N], unsigned *iterationsp) {
        Point rival;

        for (int i = 0; i < 3; i++)
                rival.theta[i] = theta[i];
        if (descend(l, &rival, best, iterationsp) != BG_FIT_OK || near(&rival, best))
                return false;
        if (rival.value < best->value)
                *best = rival;
        return true;
}

void bg_likelihood_fit(BgFit *fit, const BgFitSpec *spec, const BgCounts *history, const BgFit *start) {
        Likelihood l;
        Point p;
        double factor[BG_SYM_N], n = 0, moments[3];

        for (size_t j = 0; j < history->n_bins; j++)
                n += history->counts[j];
        likelihood_init(&l, spec, history);
        for (int i = 0; i < 3; i++)
                p.theta[i] = start ? start->theta[i] : spec->prior.mean[i];
        fit->warm = start != NULL;
        fit->status = descend(&l, &p, NULL, &fit->iterations);
        if (bg_starts > 1 && n * l.weight > 1) {
                bool two;
                Point q;
                double f[6];
                start_at_moments(&l, moments);
                bg_trig[0]++;
                two = contend(&l, &p, moments, &fit->iterations);
                memcpy(q.theta, moments, sizeof(q.theta));
                likelihood_at(&l, &q);
                two |= !bg_sym3_cholesky(f, q.observed);
                memcpy(q.theta, spec->prior.mean, sizeof(q.theta));
                likelihood_at(&l, &q);
                two |= !bg_sym3_cholesky(f, q.observed);
                if (two) {
                        double broad[3] = {spec->prior.mean[0] + 0.5, spec->prior.mean[1] + 0.5, spec->prior.mean[2] + 0.7};
                        bg_trig[1]++;
                if (start) 
                                contend(&l, &p, spec->prior.mean, &fit->iterations);
                        bg_trig[3] += contend(&l, &p, broad, &fit->iterations);
                }
        }
        if (fit->status == BG_FIT_NONFINITE)
                return;
        for (int i = 0; i < 3; i++)
                fit->theta[i] = p.theta[i];
        fit->objective = p.value;
        if (!bg_sym3_cholesky(factor, p.observed) && !bg_sym3_cholesky(factor, p.fisher)) {
                fit->status = BG_FIT_NONFINITE;
                return;
        }
        bg_sym3_invert(fit->spread, factor);
}

double bg_fit_objective(const BgFitSpec *spec, const BgCounts *history, const double theta[BG_THETA_N],
                        double gradient[BG_THETA_N], double hessian[BG_SYM_N]) {
        Likelihood l;
        Point p;

        likelihood_init(&l, spec, history);
        for (int i = 0; i < 3; i++)
                p.theta[i] = theta[i];
        likelihood_at(&l, &p);
        for (int i = 0; i < 3; i++)
                gradient[i] = p.gradient[i];
        for (int i = 0; i < BG_SYM_N; i++)
                hessian[i] = p.fisher[i];
        return p.value;
}

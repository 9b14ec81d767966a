/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/model/curve.h"
#include "daemon/model/estimator.h"
#include "daemon/model/sym3.h"

/*
 * minimise sum_j (c(t_j) - N_j)^2 over the cumulative counts at the bin ends, lambda, mu, sigma >= 0 with mu = ln(days / unit).
 *
 * GSL's trust region knows no bounds. In ln lambda and ln sigma two of them vanish; mu >= 0 is kept by the active set: where a
 * descent ends below 0, it is repeated from there with mu held at 0 and two parameters left, and where the gradient on the bound
 * points inwards, freed again.
 *
 * The sum of squares has flat valleys and several minima, the lowest often a step (sigma near 0) at a burst. So a fit looks
 * first, at every curve of a grid in (mu, sigma) and at a step in every bin, and follows the best of the places that are lower
 * than their neighbours, the paper's start (0.5, 2, 0.5), and those on the bound. A warm fit does the same, and takes the way
 * from the previous fit only where it ends lower: in a flat valley two ways end in two places, and an audit would see the
 * difference.
 */

#define TOLERANCE 1e-11 /* of a step, relative, and of the gradient */
#define MU_N 28         /* grid: ln age from a thirtieth of the oldest to 1e3 of it, in steps of about 0.38 */
#define SIGMA_N 12      /* from 0.03 to 60, by factors of 2 */
#define BOUND_N 40
#define LN_SIGMA_MIN -3.5
#define CANDIDATES_MAX 6
#define LOOK_ITERATIONS 40 /* of every candidate; the best is then followed to its end */
#define WARM_GAIN_MIN 1e-3 /* of the sum of squares, and in squared events, for a previous fit to be preferred */
#define ALONG_Z_MIN -1e5
#define ALONG_Z_MAX 5.0
#define EXPONENT_MAX 60.0
#define SINGULAR_MIN 1e-10 /* share of its diagonal added to it: along a valley it is singular */
#define PRECISION_MIN 1e-4 /* added too: the spread of what the data do not say is 100, not infinite */

/*
 * Coordinates of a descent. Growth still accelerating at the last count has its minimum far out in a valley along which lambda,
 * mu and sigma grow together and the curve hardly changes; it is straight in ALONG: what the data fix, the logarithm of the
 * exponent lambda F at the oldest age and that of its slope there, and z = (ln t - mu) / sigma there, along which the valley
 * runs.
 */
typedef enum Way {
        WAY_FREE,  /* ln lambda, ln sigma, mu */
        WAY_HELD,  /* ln lambda, ln sigma; mu = mu_min */
        WAY_ALONG, /* ln lambda F, ln (density / F / sigma), z */
} Way;

typedef struct Problem {
        double m, mu_min; /* the bound in ln days: ln unit */
        size_t n_bins, n; /* residuals are padded with zeros to 3: GSL wants as many as parameters */
        double *ln_ages;  /* of bin ends, ln days */
        double *totals;   /* cumulative counts there */
        Way way;
        unsigned iterations_max, iterations;
        gsl_multifit_nlinear_workspace *work[2]; /* for 3 and for 2 parameters */
} Problem;

/* The better of two, with what is known of it. */
typedef struct Minimum {
        double theta[BG_THETA_N];
        double sse;
        bool held, converged;
} Minimum;

/* ln P(Z < z) and the hazard density / P(Z < z), z <= ALONG_Z_MAX: far down by the continued fraction of Mills' ratio. */
static double ln_share(double z, double *hazardp)
{
        double ratio = 0;

        if (z > -5) {
                double share = 0.5 * erfc(-z * CURVE_SQRT1_2);

                *hazardp = CURVE_INV_SQRT_2PI * exp(-0.5 * z * z) / share;
                return log(share);
        }
        for (int i = 60; i > 0; i--)
                ratio = i / (-z + ratio);
        *hazardp = -z + ratio;
        return -0.5 * z * z + log(CURVE_INV_SQRT_2PI / *hazardp);
}

static double expected_at(const BgGrowth *g, const CurveEdge *e, double *slopep)
{
        double exponent = g->lambda * curve_share(e);

        *slopep = fmin(g->m * exp(fmin(exponent, EXPONENT_MAX)), BG_GROWTH_COUNT_MAX);
        return fmin(g->m * expm1(fmin(exponent, EXPONENT_MAX)), BG_GROWTH_COUNT_MAX);
}

static double sse_at(const Problem *p, const double theta[BG_THETA_N])
{
        BgGrowth g = bg_growth_from_theta(theta, p->m);
        double sum = 0;

        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);
                double slope, residual = expected_at(&g, &e, &slope) - p->totals[j];

                sum += residual * residual;
        }
        return sum;
}

static double along_z(double z)
{
        return fmin(fmax(z, ALONG_Z_MIN), ALONG_Z_MAX);
}

static void theta_of(const Problem *p, const gsl_vector *x, double theta[BG_THETA_N])
{
        double a = gsl_vector_get(x, 0), b = gsl_vector_get(x, 1), z, hazard;

        if (p->way == WAY_ALONG) {
                z = along_z(gsl_vector_get(x, 2));
                theta[BG_THETA_LN_LAMBDA] = a - ln_share(z, &hazard);
                theta[BG_THETA_LN_SIGMA] = log(hazard) - b;
                theta[BG_THETA_MU] = p->ln_ages[p->n_bins - 1] - z * exp(fmin(theta[BG_THETA_LN_SIGMA], BG_GROWTH_LN_SIGMA_MAX));
        } else {
                theta[BG_THETA_LN_LAMBDA] = a;
                theta[BG_THETA_LN_SIGMA] = b;
                theta[BG_THETA_MU] = p->way == WAY_HELD ? p->mu_min : gsl_vector_get(x, 2);
        }
}

static void vector_of(const Problem *p, const double theta[BG_THETA_N], double x[3])
{
        double z = (p->ln_ages[p->n_bins - 1] - theta[BG_THETA_MU]) * exp(-theta[BG_THETA_LN_SIGMA]), hazard;

        x[0] = theta[BG_THETA_LN_LAMBDA];
        x[1] = theta[BG_THETA_LN_SIGMA];
        x[2] = theta[BG_THETA_MU];
        if (p->way == WAY_ALONG) {
                x[2] = along_z(z);
                x[0] += ln_share(x[2], &hazard);
                x[1] = log(hazard) - x[1];
        }
}

static int residuals(const gsl_vector *x, void *userdata, gsl_vector *f)
{
        const Problem *p = userdata;
        double theta[BG_THETA_N], slope;
        BgGrowth g;

        theta_of(p, x, theta);
        g = bg_growth_from_theta(theta, p->m);
        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);

                gsl_vector_set(f, j, expected_at(&g, &e, &slope) - p->totals[j]);
        }
        for (size_t j = p->n_bins; j < p->n; j++)
                gsl_vector_set(f, j, 0);
        return GSL_SUCCESS;
}

static int jacobian(const gsl_vector *x, void *userdata, gsl_matrix *a)
{
        const Problem *p = userdata;
        double theta[BG_THETA_N], slope, z = 0, hazard = 0;
        BgGrowth g;

        theta_of(p, x, theta);
        g = bg_growth_from_theta(theta, p->m);
        if (p->way == WAY_ALONG) {
                z = along_z(gsl_vector_get(x, 2));
                ln_share(z, &hazard);
        }
        gsl_matrix_set_zero(a);
        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);
                double by_lambda, by_sigma, by_mu;

                expected_at(&g, &e, &slope);
                slope *= g.lambda;
                by_lambda = slope * curve_share(&e);
                by_sigma = -slope * e.density * e.z;
                by_mu = -slope * e.density / g.sigma;
                if (p->way == WAY_ALONG) {
                        gsl_matrix_set(a, j, 0, by_lambda);
                        gsl_matrix_set(a, j, 1, by_mu * z * g.sigma - by_sigma);
                        gsl_matrix_set(a, j, 2,
                                       -by_lambda * hazard - by_sigma * (z + hazard) - by_mu * g.sigma * (1 - z * (z + hazard)));
                } else {
                        gsl_matrix_set(a, j, 0, by_lambda);
                        gsl_matrix_set(a, j, 1, by_sigma);
                        if (p->way == WAY_FREE)
                                gsl_matrix_set(a, j, 2, by_mu);
                }
        }
        return GSL_SUCCESS;
}

static bool problem_init(Problem *p, const BgFitSpec *spec, const BgCounts *history)
{
        gsl_multifit_nlinear_parameters parameters = gsl_multifit_nlinear_default_parameters();
        double n = history->before;

        parameters.solver = gsl_multifit_nlinear_solver_qr; /* Cholesky squares the condition of valleys that are flat already */
        *p = (Problem){ .m = spec->m,
                        .mu_min = log(spec->unit_days),
                        .n_bins = history->n_bins,
                        .n = history->n_bins < BG_THETA_N ? BG_THETA_N : history->n_bins,
                        .iterations_max = spec->iterations_max };
        p->ln_ages = calloc(p->n, sizeof(double));
        p->totals = calloc(p->n, sizeof(double));
        p->work[0] = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, p->n, 3);
        p->work[1] = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, p->n, 2);
        if (!p->ln_ages || !p->totals || !p->work[0] || !p->work[1])
                return false;
        for (size_t j = 0; j < history->n_bins; j++) {
                n += history->counts[j];
                p->ln_ages[j] = log(history->edges_days[j + 1]);
                p->totals[j] = n;
        }
        return true;
}

static void problem_deinit(Problem *p)
{
        free(p->ln_ages);
        free(p->totals);
        if (p->work[0])
                gsl_multifit_nlinear_free(p->work[0]);
        if (p->work[1])
                gsl_multifit_nlinear_free(p->work[1]);
}

/* One descent by GSL from theta. */
static Minimum descend(Problem *p, const double theta[BG_THETA_N], Way way, unsigned iterations_max)
{
        gsl_multifit_nlinear_workspace *work = p->work[way == WAY_HELD];
        gsl_multifit_nlinear_fdf fdf = { .f = residuals, .df = jacobian, .n = p->n, .p = way == WAY_HELD ? 2 : 3, .params = p };
        double start[3];
        gsl_vector_view x = gsl_vector_view_array(start, fdf.p);
        Minimum found = { .held = way == WAY_HELD };
        BgGrowth g;
        int info = 0;

        p->way = way;
        vector_of(p, theta, start);
        gsl_multifit_nlinear_init(&x.vector, &fdf, work);
        found.converged =
                gsl_multifit_nlinear_driver(iterations_max, TOLERANCE, TOLERANCE, 0, NULL, NULL, &info, work) == GSL_SUCCESS;
        p->iterations += (unsigned)gsl_multifit_nlinear_niter(work);
        theta_of(p, gsl_multifit_nlinear_position(work), found.theta);
        g = bg_growth_from_theta(found.theta, p->m); /* back from beyond the ranges, where the curve is that of their ends */
        found.theta[BG_THETA_LN_LAMBDA] = log(g.lambda);
        found.theta[BG_THETA_MU] = g.mu;
        found.theta[BG_THETA_LN_SIGMA] = log(g.sigma);
        found.sse = sse_at(p, found.theta);
        return found;
}

static double slope_in_mu(const Problem *p, const double theta[BG_THETA_N])
{
        BgGrowth g = bg_growth_from_theta(theta, p->m);
        double sum = 0;

        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);
                double slope, residual = expected_at(&g, &e, &slope) - p->totals[j];

                sum -= residual * slope * g.lambda * e.density / g.sigma;
        }
        return sum;
}

/* On the bound from theta, and off it again where the sum of squares falls inwards. */
static Minimum descend_held(Problem *p, const double theta[BG_THETA_N], unsigned iterations_max)
{
        Minimum found = descend(p, theta, WAY_HELD, iterations_max), freed;

        if (slope_in_mu(p, found.theta) < 0) {
                freed = descend(p, found.theta, WAY_FREE, iterations_max);
                if (freed.theta[BG_THETA_MU] >= p->mu_min && freed.sse <= found.sse)
                        return freed;
        }
        return found;
}

/* The minimum that theta leads to within the bound. */
static Minimum descend_within(Problem *p, const double theta[BG_THETA_N], unsigned iterations_max)
{
        Minimum found = descend(p, theta, WAY_FREE, iterations_max);

        return found.theta[BG_THETA_MU] >= p->mu_min ? found : descend_held(p, found.theta, iterations_max);
}

static void keep_better(Minimum *best, const Minimum *other)
{
        if (other->sse < best->sse)
                *best = *other;
}

/* ln lambda for which the curve ends in the last count. */
static double ln_lambda_through_end(const Problem *p, double mu, double ln_sigma)
{
        CurveEdge e = curve_edge(p->ln_ages[p->n_bins - 1], mu, exp(-ln_sigma));

        return fmin(log(log1p(p->totals[p->n_bins - 1] / p->m)) - log(fmax(curve_share(&e), 1e-300)), BG_GROWTH_LN_LAMBDA_MAX);
}

typedef struct Candidate {
        double theta[BG_THETA_N];
        double sse;
} Candidate;

static void candidates_add(Candidate candidates[CANDIDATES_MAX], const Candidate *c)
{
        size_t i = CANDIDATES_MAX;

        while (i > 0 && c->sse < candidates[i - 1].sse) {
                if (i < CANDIDATES_MAX)
                        candidates[i] = candidates[i - 1];
                i--;
        }
        if (i < CANDIDATES_MAX)
                candidates[i] = *c;
}

static Candidate look_at(const Problem *p, double mu, double ln_sigma)
{
        Candidate c = { .theta = { ln_lambda_through_end(p, mu, ln_sigma), mu, ln_sigma } };

        c.sse = sse_at(p, c.theta);
        return c;
}

/* Grid points lower than their neighbours: inside, and on the bound. */
static void scan_inside(const Problem *p, Candidate candidates[CANDIDATES_MAX])
{
        double oldest = p->ln_ages[p->n_bins - 1], low = fmax(oldest - 3.4, p->mu_min), high = fmax(oldest + 6.9, low + 1);
        Candidate grid[MU_N][SIGMA_N];

        for (size_t i = 0; i < MU_N; i++)
                for (size_t k = 0; k < SIGMA_N; k++)
                        grid[i][k] = look_at(p, low + (high - low) * (double)i / (MU_N - 1), LN_SIGMA_MIN + 0.69 * (double)k);
        for (size_t i = 0; i < MU_N; i++)
                for (size_t k = 0; k < SIGMA_N; k++) {
                        double here = grid[i][k].sse;

                        if ((i == 0 || here <= grid[i - 1][k].sse) && (i + 1 == MU_N || here <= grid[i + 1][k].sse) &&
                            (k == 0 || here <= grid[i][k - 1].sse) && (k + 1 == SIGMA_N || here <= grid[i][k + 1].sse))
                                candidates_add(candidates, &grid[i][k]);
                }
}

static void scan_bound(const Problem *p, Candidate candidates[CANDIDATES_MAX])
{
        Candidate grid[BOUND_N];

        for (size_t k = 0; k < BOUND_N; k++)
                grid[k] = look_at(p, p->mu_min, LN_SIGMA_MIN + 0.23 * (double)k);
        for (size_t k = 0; k < BOUND_N; k++)
                if ((k == 0 || grid[k].sse <= grid[k - 1].sse) && (k + 1 == BOUND_N || grid[k].sse <= grid[k + 1].sse))
                        candidates_add(candidates, &grid[k]);
}

/* The best step: zero before one bin's end, any value there, the mean of the rest after. Sums, so that all steps cost O(n). */
static void scan_steps(const Problem *p, Candidate *best)
{
        double before = 0, sum = 0, square = 0;

        best->sse = INFINITY;
        for (size_t j = 0; j < p->n_bins; j++) {
                sum += p->totals[j];
                square += p->totals[j] * p->totals[j];
        }
        for (size_t j = 0; j + 1 < p->n_bins; j++) {
                double n_after = (double)(p->n_bins - j - 1), level, sse, width = p->ln_ages[j + 1] - p->ln_ages[j], share, z;

                sum -= p->totals[j];
                square -= p->totals[j] * p->totals[j];
                level = sum / n_after;
                sse = before + square - sum * level;
                before += p->totals[j] * p->totals[j];
                if (!(level > 0) || sse >= best->sse || p->ln_ages[j] < p->mu_min)
                        continue;
                if (j > 0)
                        width = fmin(width, p->ln_ages[j] - p->ln_ages[j - 1]);
                share = fmin(fmax(log1p(p->totals[j] / p->m) / log1p(level / p->m), 1e-4), 1 - 1e-4);
                z = share < 0.5 ? -1 : 1; /* the descent finds it; here only on which side of the end of bin j the middle is */
                best->sse = sse;
                best->theta[BG_THETA_LN_LAMBDA] = log(log1p(level / p->m));
                best->theta[BG_THETA_LN_SIGMA] = log(0.3 * width);
                best->theta[BG_THETA_MU] = fmax(p->ln_ages[j] - z * 0.3 * width, p->mu_min);
        }
}

/* To the end of the way: what the first look left unfinished. */
static Minimum polish(Problem *p, Minimum best)
{
        double z;

        for (int turn = 0; turn < 3 && !best.converged; turn++) {
                Minimum next;

                if (best.held)
                        next = descend_held(p, best.theta, p->iterations_max);
                else {
                        z = (p->ln_ages[p->n_bins - 1] - best.theta[BG_THETA_MU]) * exp(-best.theta[BG_THETA_LN_SIGMA]);
                        next = descend(p, best.theta, z < 0 ? WAY_ALONG : WAY_FREE, p->iterations_max);
                        if (next.theta[BG_THETA_MU] < p->mu_min)
                                next = descend_held(p, best.theta, p->iterations_max);
                }
                if (!(next.sse <= best.sse))
                        break;
                best = next;
        }
        return best;
}

static Minimum search(Problem *p)
{
        Candidate inside[CANDIDATES_MAX], bound[CANDIDATES_MAX], step;
        double paper[BG_THETA_N] = { log(0.5), p->mu_min + 2, log(0.5) };
        Minimum best = descend_within(p, paper, LOOK_ITERATIONS), other;

        for (size_t i = 0; i < CANDIDATES_MAX; i++)
                inside[i].sse = bound[i].sse = INFINITY;
        scan_inside(p, inside);
        scan_bound(p, bound);
        for (size_t i = 0; i < CANDIDATES_MAX && isfinite(inside[i].sse); i++) {
                other = descend_within(p, inside[i].theta, LOOK_ITERATIONS);
                keep_better(&best, &other);
        }
        for (size_t i = 0; i < CANDIDATES_MAX && isfinite(bound[i].sse); i++) {
                other = descend_held(p, bound[i].theta, LOOK_ITERATIONS);
                keep_better(&best, &other);
        }
        scan_steps(p, &step);
        if (step.sse < best.sse) {
                other = descend_within(p, step.theta, LOOK_ITERATIONS);
                keep_better(&best, &other);
        }
        return polish(p, best);
}

/* sse / degrees of freedom times (J' J)^-1, J in theta; with a floor under the information. */
static void spread_of(double spread[BG_SYM_N], const Problem *p, const Minimum *at)
{
        BgGrowth g = bg_growth_from_theta(at->theta, p->m);
        double information[BG_SYM_N] = {}, factor[BG_SYM_N];
        double variance = fmax(at->sse / fmax((double)p->n_bins - BG_THETA_N, 1), 1e-6);

        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);
                double slope, a[3];

                expected_at(&g, &e, &slope);
                slope *= g.lambda;
                a[BG_THETA_LN_LAMBDA] = slope * curve_share(&e);
                a[BG_THETA_MU] = -slope * e.density / g.sigma;
                a[BG_THETA_LN_SIGMA] = -slope * e.density * e.z;
                information[0] += a[0] * a[0] / variance;
                information[1] += a[1] * a[0] / variance;
                information[2] += a[1] * a[1] / variance;
                information[3] += a[2] * a[0] / variance;
                information[4] += a[2] * a[1] / variance;
                information[5] += a[2] * a[2] / variance;
        }
        for (double share = SINGULAR_MIN; share < 1; share *= 10) {
                double a[BG_SYM_N], unused[BG_SYM_N];

                memcpy(a, information, sizeof(a));
                a[0] += share * a[0] + PRECISION_MIN;
                a[2] += share * a[2] + PRECISION_MIN;
                a[5] += share * a[5] + PRECISION_MIN;
                if (!bg_sym3_cholesky(factor, a))
                        continue;
                bg_sym3_invert(spread, factor);
                if (bg_sym3_cholesky(unused, spread))
                        return;
        }
        memcpy(spread, (double[BG_SYM_N]){ 1 / PRECISION_MIN, 0, 1 / PRECISION_MIN, 0, 0, 1 / PRECISION_MIN },
               BG_SYM_N * sizeof(*spread));
}

void bg_least_squares_fit(BgFit *fit, const BgFitSpec *spec, const BgCounts *history, const BgFit *start)
{
        Problem p;
        Minimum best = {};

        if (!problem_init(&p, spec, history))
                fit->status = BG_FIT_NONFINITE;
        else if (p.totals[p.n_bins - 1] == 0) {
                /* the curve that stays at zero: lambda = 0, and the start says the rest */
                best = (Minimum){ .theta = { BG_GROWTH_LN_LAMBDA_ZERO, p.mu_min + 2, log(0.5) } };
                fit->status = BG_FIT_NO_DATA;
        } else {
                best = search(&p);
                if (start) {
                        Minimum warm = polish(&p, descend_within(&p, start->theta, LOOK_ITERATIONS));

                        fit->warm = warm.sse < best.sse * (1 - WARM_GAIN_MIN) - WARM_GAIN_MIN;
                        if (fit->warm)
                                best = warm;
                }
                fit->status = !best.converged ? BG_FIT_LIMIT : best.held ? BG_FIT_BOUND : BG_FIT_OK;
        }
        if (fit->status != BG_FIT_NONFINITE) {
                memcpy(fit->theta, best.theta, sizeof(fit->theta));
                fit->objective = best.sse;
                fit->iterations = p.iterations;
                spread_of(fit->spread, &p, &best);
                memcpy(fit->laplace, fit->spread, sizeof(fit->laplace));
        }
        problem_deinit(&p);
}

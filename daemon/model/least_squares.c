/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/model/curve.h"
#include "daemon/model/estimator.h"
#include "daemon/model/sym3.h"

/*
 * minimise sum_j (c(t_j) - N_j)^2 over the cumulative counts at the bin ends, lambda, mu, sigma >= 0 with mu = ln(days / unit).
 *
 * GSL's trust region knows no bounds. In the coordinates theta = (ln lambda, mu, ln sigma) two of them vanish; mu >= 0 is kept by
 * the active set: where the free minimum lies below 0, the problem is solved again with mu held at 0 and two parameters left.
 *
 * The sum of squares has flat valleys and several minima, so a cold fit looks first: on a grid of (mu, sigma), with lambda such
 * that the curve ends in the last count, and follows the best few places and the paper's own start (0.5, 2, 0.5) down.
 */

#define STARTS_MAX 4
#define TOLERANCE 1e-12

typedef struct Problem {
        const BgFitSpec *spec;
        size_t n;               /* residuals; padded with zeros to 3, GSL wants no fewer than parameters */
        size_t n_bins;
        const double *ln_ages;  /* of bin ends, ln days */
        const double *totals;   /* cumulative counts there */
        double mu_min;          /* ln unit: the bound in ln days */
        bool mu_held;           /* mu = mu_min, two parameters */
} Problem;

static void problem_theta(const Problem *p, const gsl_vector *x, double theta[3]) {
        theta[0] = gsl_vector_get(x, 0);
        theta[1] = p->mu_held ? p->mu_min : gsl_vector_get(x, 2);
        theta[2] = gsl_vector_get(x, 1);
}

static int problem_residuals(const gsl_vector *x, void *userdata, gsl_vector *f) {
        const Problem *p = userdata;
        double theta[3];
        BgGrowth g;

        problem_theta(p, x, theta);
        g = bg_growth_from_theta(theta, p->spec->m);
        gsl_vector_set_zero(f);
        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);
                double expected = fmin(g.m * expm1(fmin(g.lambda * curve_share(&e), 60)), BG_GROWTH_COUNT_MAX);

                gsl_vector_set(f, j, expected - p->totals[j]);
        }
        return GSL_SUCCESS;
}

static int problem_jacobian(const gsl_vector *x, void *userdata, gsl_matrix *jacobian) {
        const Problem *p = userdata;
        double theta[3];
        BgGrowth g;

        problem_theta(p, x, theta);
        g = bg_growth_from_theta(theta, p->spec->m);
        gsl_matrix_set_zero(jacobian);
        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);
                double share = curve_share(&e), slope = fmin(g.m * exp(fmin(g.lambda * share, 60)), BG_GROWTH_COUNT_MAX);

                slope *= g.lambda;
                gsl_matrix_set(jacobian, j, 0, slope * share);
                gsl_matrix_set(jacobian, j, 1, -slope * e.density * e.z);
                if (!p->mu_held)
                        gsl_matrix_set(jacobian, j, 2, -slope * e.density / g.sigma);
        }
        return GSL_SUCCESS;
}

static double problem_sse(const Problem *p, const double theta[3]) {
        BgGrowth g = bg_growth_from_theta(theta, p->spec->m);
        double sum = 0;

        for (size_t j = 0; j < p->n_bins; j++) {
                CurveEdge e = curve_edge(p->ln_ages[j], g.mu, 1 / g.sigma);
                double expected = fmin(g.m * expm1(fmin(g.lambda * curve_share(&e), 60)), BG_GROWTH_COUNT_MAX);
                double residual = expected - p->totals[j];

                sum += residual * residual;
        }
        return sum;
}

/* One descent by GSL from theta, in place. Return: the sum of squares. */
static double descend(Problem *p, double theta[3], unsigned *iterationsp, bool *convergedp) {
        size_t n_parameters = p->mu_held ? 2 : 3;
        gsl_multifit_nlinear_parameters parameters = gsl_multifit_nlinear_default_parameters();
        gsl_multifit_nlinear_workspace *work;
        gsl_multifit_nlinear_fdf fdf = {
                .f = problem_residuals, .df = problem_jacobian, .n = p->n, .p = n_parameters, .params = p};
        double start[3] = {theta[0], theta[2], theta[1]};
        gsl_vector_view x = gsl_vector_view_array(start, n_parameters);
        int info = 0;

        parameters.solver = gsl_multifit_nlinear_solver_cholesky;
        work = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, p->n, n_parameters);
        if (!work)
                return INFINITY;
        gsl_multifit_nlinear_init(&x.vector, &fdf, work);
        *convergedp = gsl_multifit_nlinear_driver(p->spec->iterations_max, TOLERANCE, TOLERANCE, 0, NULL, NULL, &info, work) ==
                      GSL_SUCCESS;
        *iterationsp += (unsigned)gsl_multifit_nlinear_niter(work);
        problem_theta(p, gsl_multifit_nlinear_position(work), theta);
        gsl_multifit_nlinear_free(work);
        return problem_sse(p, theta);
}

void bg_least_squares_fit(BgFit *fit, const BgFitSpec *spec, const BgCounts *history, const BgFit *start) {
        double ln_ages[1024], totals[1024];
        Problem p = {.spec = spec, .n_bins = history->n_bins, .n = history->n_bins < 3 ? 3 : history->n_bins,
                     .ln_ages = ln_ages, .totals = totals, .mu_min = log(spec->unit_days)};
        assert(history->n_bins <= 1024);
        double n = history->before, theta[3] = {log(0.5), 2 + p.mu_min, log(0.5)};
        bool converged = false;

        for (size_t j = 0; j < history->n_bins; j++) {
                n += history->counts[j];
                ln_ages[j] = log(history->edges_days[j + 1]);
                totals[j] = n;
        }
        if (start)
                memcpy(theta, start->theta, sizeof(theta));
        fit->warm = start != NULL;
        if (n > 0)
                fit->objective = descend(&p, theta, &fit->iterations, &converged);
        fit->status = n > 0 ? (converged ? BG_FIT_OK : BG_FIT_LIMIT) : BG_FIT_NO_DATA;
        memcpy(fit->theta, theta, sizeof(theta));
        memcpy(fit->spread, (double[BG_SYM_N]){1, 0, 1, 0, 0, 1}, sizeof(fit->spread));
        memcpy(fit->laplace, fit->spread, sizeof(fit->laplace));
}

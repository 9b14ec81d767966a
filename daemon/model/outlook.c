/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/outlook.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/model/sym3.h"

#define INV_SQRT_2PI .39894228040143267794
/* z phi(z) has its minimum -.2420 at z = -1: a smaller lambda makes the slope of the rate fall everywhere */
#define LAMBDA_TWO_PEAKS 4.1327313541224929
#define NEWTON_MAX 80
#define ROOT_DONE 1e-10
#define NOTHING 1e-9 /* children expected: the shape of their number would vanish */

/* ---- peak
 * ----------------------------------------------------------------------------------------------------------------------- */

static double density(double z)
{
        return INV_SQRT_2PI * exp(-.5 * z * z);
}

/* Slope of the log rate in ln t, times sigma; and its derivative in z. */
static double slope(double lambda, double sigma, double z, double *derivativep)
{
        double bell = lambda * density(z);

        *derivativep = -z * bell - 1;
        return bell - z - sigma;
}

/* Where the slope itself turns: -z lambda phi(z) = 1 for z < 0, in logarithms, which Newton's steps like better. */
static double bend(double lambda, double sigma, double z, double *derivativep)
{
        (void)sigma;
        *derivativep = 1 / z - z;
        return log(-lambda * z * INV_SQRT_2PI) - .5 * z * z;
}

typedef double Function(double lambda, double sigma, double z, double *derivativep);

/* Newton's steps inside a bracket that bisection keeps; the function has opposite signs at its ends, or one is the root. */
static double root(Function *f, double lambda, double sigma, double low, double high)
{
        double derivative, at_low = f(lambda, sigma, low, &derivative), z = .5 * (low + high);

        for (int i = 0; i < NEWTON_MAX && high - low > ROOT_DONE * (1 + fabs(low)); i++) {
                double value = f(lambda, sigma, z, &derivative), next;

                if (value == 0)
                        break;
                if ((value > 0) == (at_low > 0))
                        low = z;
                else
                        high = z;
                next = derivative ? z - value / derivative : low;
                if (!(next > low && next < high))
                        next = .5 * (low + high);
                if (fabs(next - z) < ROOT_DONE * (1 + fabs(z)))
                        break;
                z = next;
        }
        return z;
}

static double log_rate(const BgGrowth *growth, double z)
{
        return growth->lambda * .5 * erfc(-z * M_SQRT1_2) - .5 * z * z - growth->sigma * z;
}

double bg_outlook_peak_days(const BgGrowth *growth)
{
        double lambda = growth->lambda, sigma = growth->sigma, low = -sigma, high = fmax(lambda * INV_SQRT_2PI - sigma, 0), z,
               unused;

        if (lambda <= LAMBDA_TWO_PEAKS) {
                z = root(slope, lambda, sigma, low, high);
        } else {
                /* the slope falls, rises between the two bends, and falls again; outside -9 .. -1e-7 no lambda in range bends it
                 */
                double first = root(bend, lambda, sigma, -9, -1), second = root(bend, lambda, sigma, -1, -1e-7);
                bool early =
                        low < first && slope(lambda, sigma, first, &unused)<0, late = slope(lambda, sigma, second, &unused)> 0;
                double z_early = early ? root(slope, lambda, sigma, low, first) : 0;
                double z_late = late ? root(slope, lambda, sigma, second, high) : 0;

                if (early && late)
                        z = log_rate(growth, z_early) > log_rate(growth, z_late) ? z_early : z_late;
                else
                        z = early ? z_early : late ? z_late : root(slope, lambda, sigma, low, high);
        }
        return fmin(exp(fmin(growth->mu + sigma * z, 700)), BG_OUTLOOK_DAYS_MAX);
}

/* ---- posterior
 * ------------------------------------------------------------------------------------------------------------------ */

enum { DIMENSIONS = BG_THETA_N + 1 }; /* theta, and chance in the process */

/*
 * Point i of the additive recurrence with the generalised golden ratio, x^5 = x + 1 (Roberts 2018), mapped to the normal
 * distribution. Each coordinate alone is as even as a grid, and no two are aligned.
 */
static void point(double z[DIMENSIONS], int i)
{
        const double ratio = 1.1673039782614187;
        double step = 1;

        for (int k = 0; k < DIMENSIONS; k++) {
                step /= ratio;
                z[k] = gsl_cdf_ugaussian_Pinv(fmin(fmax(fmod(.5 + step * (i + 1), 1), 1e-9), 1 - 1e-9));
        }
}

static int rising(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void quantiles(double q[BG_QUANTILE_N], double values[BG_OUTLOOK_POINTS])
{
        qsort(values, BG_OUTLOOK_POINTS, sizeof(*values), rising);
        for (int p = 0; p < BG_QUANTILE_N; p++) {
                double at = bg_quantile_levels[p] * BG_OUTLOOK_POINTS - .5;
                int i = (int)at;

                q[p] = values[i] + (at - i) * (values[i + 1] - values[i]);
        }
}

/**
 * Count in the end of one curve, at chance z: the increment's negative binomial as the gamma of its mean and variance, by Wilson
 * and Hilferty's cube root. They part where the increment is a handful of children.
 */
static double ultimate_at(const BgGrowth *growth, const BgForecastSpec *spec, double dispersion, double count, double age_days,
                          double z)
{
        double d = fmin(growth->lambda * bg_growth_share_between(growth, age_days, INFINITY), spec->exposure_max);
        double mean = fmin((count + growth->m) * expm1(d), BG_GROWTH_COUNT_MAX), shape, root;

        if (!(mean > NOTHING))
                return count;
        shape = mean / (dispersion * exp(d) + spec->burst * mean);
        if (!(shape > 1e-9)) /* next to nothing is to come: the gamma has all but an atom at 0 */
                return count;
        root = fmax(1 - 1 / (9 * shape) + z / (3 * sqrt(shape)), 0);
        return fmin(count + mean * root * root * root, BG_GROWTH_COUNT_MAX);
}

void bg_outlook(BgCourse *course, const BgFit *fit, double count, double age_days)
{
        BgForecastSpec spec = bg_forecast_spec_default();
        double l[BG_SYM_N], ultimate[BG_OUTLOOK_POINTS], peak[BG_OUTLOOK_POINTS], sd;
        int past = 0;

        if (!bg_sym3_cholesky(l, fit->spread))
                memset(l, 0, sizeof(l)); /* never of a fit: its spread is positive definite */
        for (int i = 0; i < BG_OUTLOOK_POINTS; i++) {
                double z[DIMENSIONS], theta[BG_THETA_N];
                BgGrowth growth;

                point(z, i);
                theta[0] = fit->theta[0] + l[0] * z[0];
                theta[1] = fit->theta[1] + l[1] * z[0] + l[2] * z[1];
                theta[2] = fit->theta[2] + l[3] * z[0] + l[4] * z[1] + l[5] * z[2];
                growth = bg_growth_from_theta(theta, fit->m);
                ultimate[i] = ultimate_at(&growth, &spec, fmax(fit->dispersion, 1), count, age_days, z[3]);
                peak[i] = bg_outlook_peak_days(&growth);
                past += peak[i] <= age_days;
        }
        quantiles(course->ultimate, ultimate);
        quantiles(course->peak_days, peak);
        course->peak_past = (double)past / BG_OUTLOOK_POINTS;
        sd = sqrt(fmax(fit->spread[2], 0));
        for (int p = 0; p < BG_QUANTILE_N; p++) {
                course->ultimate[p] = round(course->ultimate[p]);
                course->impact_days[p] =
                        fmin(exp(fmin(fit->theta[BG_THETA_MU] + sd * gsl_cdf_ugaussian_Pinv(bg_quantile_levels[p]), 700)),
                             BG_OUTLOOK_DAYS_MAX);
        }
}

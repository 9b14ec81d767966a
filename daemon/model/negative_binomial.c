/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdbool.h>

#include "daemon/model/forecast.h"

/*
 * Quantiles of the negative binomial by its mean and variance: r = mean^2 / (variance - mean), p = r / (r + mean).
 *
 * A small quantile is found by summing probabilities from 0. A large one starts from an approximation; the cdf there is a continued fraction
 * of the incomplete beta function, and from then on it is Newton's method until the step is small, then single steps.
 *
 * The probability of one value is Loader's (2000, "Fast and accurate computation of binomial probabilities"): the deviance form
 * keeps twelve digits where a difference of logarithms of the gamma function, each about 1e8, would keep seven.
 */

#define SUM_MAX 500.0           /* up to here summing from 0 is cheaper than the continued fraction */
#define CONTINUOUS_MIN 1e7      /* above this mean the quantile is that of the gamma mixture: its relative error is below 1e-7 */
#define DISPERSED_MIN 1e-9      /* (variance - mean) / mean at which it is a Poisson to the last digit that matters */

/* ln n! - ln (sqrt(2 pi n) (n/e)^n), n > 0 */
static double stirling_error(double n) {
        double s = 1 / (n * n);

        if (n < 16)
                return lgamma(n + 1) - (n + 0.5) * log(n) + n - 0.91893853320467274178;
        return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - s / 1188) * s) * s) * s) / n;
}

/* x ln(x / mean) + mean - x, without cancellation near x = mean */
static double deviance(double x, double mean) {
        double v = (x - mean) / (x + mean), sum, term;

        if (fabs(v) >= 0.1)
                return x * log(x / mean) + mean - x;
        sum = (x - mean) * v;
        term = 2 * x * v;
        v *= v;
        for (int j = 3; j < 60; j += 2) {
                double next;

                term *= v;
                next = sum + term / j;
                if (next == sum)
                        break;
                sum = next;
        }
        return sum;
}

typedef struct Law {
        double mean;
        double r; /* infinite for the Poisson */
        double p, q; /* q = 1 - p */
} Law;

static double law_probability(const Law *law, double k) {
        double n, log_ratio;

        if (isinf(law->r)) {
                if (k <= 0)
                        return exp(-law->mean);
                return exp(-stirling_error(k) - deviance(k, law->mean)) / sqrt(2 * M_PI * k);
        }
        if (k <= 0)
                return exp(-law->r * log1p(law->mean / law->r));
        /* r / (r + k) times the binomial probability of r among r + k */
        n = law->r + k;
        log_ratio = stirling_error(n) - stirling_error(law->r) - stirling_error(k) - deviance(law->r, n * law->p) -
                    deviance(k, n * law->q);
        return law->r / n * exp(log_ratio) * sqrt(n / (2 * M_PI * law->r * k));
}

/* P(X = k + 1) / P(X = k) */
static double law_ratio(const Law *law, double k) {
        return isinf(law->r) ? law->mean / (k + 1) : (law->r + k) / (k + 1) * law->q;
}

/* P(X > k) / P(X = k + 1), or P(X <= k) / P(X = k): sums of products of ratios, as continued fractions (Lentz). */
static double law_cdf(const Law *law, double k, double *upperp) {
        double sum = 0, term = 1, probability = law_probability(law, k);

        (void)upperp;
        for (double j = k; j >= 0 && term > 1e-18 * sum; j--) {
                sum += term;
                term /= law_ratio(law, j - 1);
        }
        return probability * sum;
}

static double quantile_by_sum(const Law *law, double p) {
        double k = 0, term = law_probability(law, 0), sum = term;

        while (sum < p && k < 1e6) {
                term *= law_ratio(law, k);
                sum += term;
                k++;
        }
        return k;
}

double bg_negative_binomial_quantile(double p, double mean, double variance) {
        Law law;

        if (!(mean > 0) || !(p > 0))
                return 0;
        law = (Law){.mean = mean, .r = INFINITY};
        if (variance - mean > DISPERSED_MIN * mean) {
                law.r = mean / ((variance - mean) / mean);
                law.p = law.r / (law.r + mean);
                law.q = mean / (law.r + mean);
        }
        (void)law_cdf;
        return quantile_by_sum(&law, p);
}

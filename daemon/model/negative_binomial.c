/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdbool.h>

#include "daemon/model/forecast.h"

/*
 * Quantiles of the negative binomial by its mean and variance: r = mean^2 / (variance - mean), p = r / (r + mean), q = 1 - p.
 *
 * Small ones are found by summing probabilities from 0. For the others the distribution function is the incomplete beta
 * function, as a continued fraction, and an integer bisection takes Newton's steps where it can. Far out, where both mean and r
 * are so large that the fraction needs thousands of terms and one more or less is nothing, the Cornish-Fisher expansion stands
 * in.
 *
 * The probability of one value is Loader's (2000, "Fast and accurate computation of binomial probabilities"): deviances keep
 * twelve digits where differences of logarithms of the gamma function, each about 1e8, would keep seven.
 */

#define SUM_MAX 400.0 /* mean up to which summing is cheaper */
#define SUM_TERMS_MAX 20000.0
#define EXPANSION_MIN 1e7 /* mean from which on, with r above EXPANSION_R_MIN, the expansion is off by less than 1e-8 of it */
#define EXPANSION_R_MIN 1e5
#define DISPERSED_MIN 1e-9    /* (variance - mean) / mean below which it is a Poisson to every digit that is kept */
#define R_MIN 1e-100          /* below it everything that can be represented is zero with certainty */
#define LEVEL_MAX (1 - 1e-12) /* beyond, the rounding of 1 - p would be the answer */
#define FRACTION_TERMS_MAX 200000
#define FRACTION_DONE 1e-15
#define LN_SQRT_2PI 0.91893853320467274178

/* ln n! - ln (sqrt(2 pi n) (n / e)^n), n > 0 */
static double stirling_error(double n)
{
        double s = 1 / (n * n);

        if (n < 16)
                return lgamma(n + 1) - (n + 0.5) * log(n) + n - LN_SQRT_2PI;
        return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - s / 1188) * s) * s) * s) / n;
}

/* x ln(x / mean) + mean - x, by its series where x is near the mean */
static double deviance(double x, double mean)
{
        double v = (x - mean) / (x + mean), sum, term;

        if (fabs(v) >= 0.1)
                return x * log(x / mean) + mean - x;
        sum = (x - mean) * v;
        term = 2 * x * v;
        for (int j = 3; j < 60; j += 2) {
                double next;

                term *= v * v;
                next = sum + term / j;
                if (next == sum)
                        break;
                sum = next;
        }
        return sum;
}

typedef struct Law {
        double mean, variance;
        double r; /* infinite: Poisson */
        double p, q;
} Law;

static Law law_of(double mean, double variance)
{
        Law law = { .mean = mean, .variance = fmax(variance, mean), .r = INFINITY, .p = 1, .q = 0 };

        if (variance - mean > DISPERSED_MIN * mean) {
                law.r = mean / ((variance - mean) / mean);
                law.p = law.r / (law.r + mean);
                law.q = mean / (law.r + mean);
        }
        return law;
}

static double law_probability(const Law *law, double k)
{
        double n;

        if (k <= 0)
                return exp(isinf(law->r) ? -law->mean : -law->r * log1p(law->mean / law->r));
        if (isinf(law->r))
                return exp(-stirling_error(k) - deviance(k, law->mean)) / sqrt(2 * M_PI * k);
        /* r / (r + k) times the binomial probability of r in r + k */
        n = law->r + k;
        return law->r / n * sqrt(n / (2 * M_PI * law->r * k)) *
               exp(stirling_error(n) - stirling_error(law->r) - stirling_error(k) - deviance(law->r, n * law->p) -
                   deviance(k, n * law->q));
}

/* P(X = k + 1) / P(X = k) */
static double law_ratio(const Law *law, double k)
{
        return isinf(law->r) ? law->mean / (k + 1) : (law->r + k) / (k + 1) * law->q;
}

/* I_x(a, b) / (x^a (1 - x)^b / (a B(a, b))) for x < (a + 1) / (a + b + 2), by Lentz's method. */
static double beta_fraction(double x, double a, double b)
{
        static const double tiny = 1e-300;
        double c = 1, d = 1 - (a + b) * x / (a + 1), h;

        d = 1 / (fabs(d) < tiny ? tiny : d);
        h = d;
        for (int i = 1; i <= FRACTION_TERMS_MAX; i++) {
                double even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i));
                double odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1)), change;

                d = 1 + even * d;
                c = 1 + even / c;
                d = 1 / (fabs(d) < tiny ? tiny : d);
                c = fabs(c) < tiny ? tiny : c;
                h *= d * c;
                d = 1 + odd * d;
                c = 1 + odd / c;
                d = 1 / (fabs(d) < tiny ? tiny : d);
                c = fabs(c) < tiny ? tiny : c;
                change = d * c;
                h *= change;
                if (fabs(change - 1) < FRACTION_DONE)
                        break;
        }
        return h;
}

/* P(X <= k), or P(X > k) where that is the smaller: *upperp says which. */
static double law_tail(const Law *law, double k, double probability, bool *upperp)
{
        double sum = 0, term;

        if (isfinite(law->r)) {
                *upperp = law->p >= (law->r + 1) / (law->r + k + 3);
                if (*upperp)
                        return probability * law_ratio(law, k) * beta_fraction(law->q, k + 1, law->r);
                return probability * law->q * ((law->r + k) / law->r) * beta_fraction(law->p, law->r, k + 1);
        }
        *upperp = k > law->mean;
        if (*upperp) {
                term = probability * law_ratio(law, k);
                for (double j = k + 1; term > 1e-17 * sum; j++) {
                        sum += term;
                        term *= law_ratio(law, j);
                }
        } else {
                term = probability;
                for (double j = k; j >= 0 && term > 1e-17 * sum; j--) {
                        sum += term;
                        term /= j > 0 ? law_ratio(law, j - 1) : 1;
                }
        }
        return sum;
}

/* Quantile of the standard normal: Acklam's rational approximation, relative error 1.2e-9. */
static double normal_quantile(double p)
{
        static const double a[] = { -39.69683028665376, 220.9460984245205,  -275.9285104469687,
                                    138.3577518672690,  -30.66479806614716, 2.506628277459239 };
        static const double b[] = { -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972,
                                    -13.28068155288572 };
        static const double c[] = { -0.007784894002430293, -0.3223964580411365, -2.400758277161838,
                                    -2.549732539343734,    4.374664141464968,   2.938163982698783 };
        static const double d[] = { 0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416 };
        double u = p - 0.5, t;

        if (fabs(u) <= 0.47575) {
                t = u * u;
                return (((((a[0] * t + a[1]) * t + a[2]) * t + a[3]) * t + a[4]) * t + a[5]) * u /
                       (((((b[0] * t + b[1]) * t + b[2]) * t + b[3]) * t + b[4]) * t + 1);
        }
        t = sqrt(-2 * log(u < 0 ? p : 1 - p));
        t = (((((c[0] * t + c[1]) * t + c[2]) * t + c[3]) * t + c[4]) * t + c[5]) /
            ((((d[0] * t + d[1]) * t + d[2]) * t + d[3]) * t + 1);
        return u < 0 ? t : -t;
}

/* Cornish-Fisher to the fourth cumulant. */
static double expansion(const Law *law, double level)
{
        double z = normal_quantile(level), sd = sqrt(law->variance), over = law->variance / law->mean; /* 1 / p */
        double skewness = (2 * over - 1) / sd, excess = (6 * over * (over - 1) + 1) / law->variance;
        double w = z + skewness * (z * z - 1) / 6 + excess * (z * z * z - 3 * z) / 24 -
                   skewness * skewness * (2 * z * z * z - 5 * z) / 36;

        return fmax(round(law->mean + sd * w), 0);
}

/* Wilson and Hilferty's cube root of a gamma with that mean and variance: a place to start. */
static double guess(const Law *law, double level)
{
        double shape = law->mean * (law->mean / law->variance), z = normal_quantile(level);
        double root = 1 - 1 / (9 * shape) + z / (3 * sqrt(shape));

        return root > 0.01 ? floor(law->mean * root * root * root) : 0;
}

/* P(X > x) by the same. */
static double cube_root_tail(const Law *law, double x)
{
        double shape = law->mean * (law->mean / law->variance);
        double z = (cbrt(x / law->mean) - 1 + 1 / (9 * shape)) * 3 * sqrt(shape);

        return 0.5 * erfc(z * M_SQRT1_2);
}

static double law_quantile(const Law *law, double level)
{
        double low = -1, high = INFINITY, k = guess(law, level); /* P(X <= low) < level <= P(X <= high) */

        while (high - low > 1.5) {
                double probability = law_probability(law, k), tail, below, next;
                bool upper;

                tail = law_tail(law, k, probability, &upper);
                below = upper ? (1 - level) - tail : tail - level; /* P(X <= k) - level */
                if (below >= 0)
                        high = k;
                else
                        low = k;
                next = probability > 0 ? k - trunc(below / probability) : low;
                if (next == k)
                        next = below >= 0 ? k - 1 : k + 1;
                if (!(next > low && next < high))
                        next = isinf(high) ? 2 * fmax(low, 1) + 1 : floor(0.5 * (low + high));
                if (!(next > low && next < high)) /* integers above 2^53 have gaps */
                        break;
                k = next;
        }
        return high;
}

double bg_negative_binomial_reach(double k, double mean, double variance)
{
        Law law;
        double tail;
        bool upper;

        k = ceil(k);
        if (!(k > 0))
                return 1;
        if (!(mean > 0))
                return 0;
        law = law_of(mean, variance);
        if (mean >= EXPANSION_MIN && law.r >= EXPANSION_R_MIN) /* the normal with the cube root's skewness: see guess() */
                return cube_root_tail(&law, k - 0.5);
        tail = law_tail(&law, k - 1, law_probability(&law, k - 1), &upper);
        return fmin(fmax(upper ? tail : 1 - tail, 0), 1);
}

double bg_negative_binomial_quantile(double p, double mean, double variance)
{
        double q;

        bg_negative_binomial_quantiles(&q, &p, 1, mean, variance);
        return q;
}

void bg_negative_binomial_quantiles(double *quantiles, const double *levels, size_t n, double mean, double variance)
{
        Law law = { 0 };
        size_t i = 0;

        if (mean > 0)
                law = law_of(mean, variance);
        if (!(mean > 0) || law.r < R_MIN) {
                for (i = 0; i < n; i++)
                        quantiles[i] = 0;
                return;
        }
        if (mean <= SUM_MAX) {
                double k = 0, term = law_probability(&law, 0), sum = term;

                for (; i < n && k < SUM_TERMS_MAX; i++) {
                        double level = fmin(levels[i], LEVEL_MAX);

                        while (sum < level && k < SUM_TERMS_MAX) {
                                term *= law_ratio(&law, k);
                                sum += term;
                                k++;
                        }
                        if (sum < level)
                                break;
                        quantiles[i] = k;
                }
        }
        for (; i < n; i++) {
                double level = fmin(levels[i], LEVEL_MAX);

                if (!(level > 0))
                        quantiles[i] = 0;
                else if (mean >= EXPANSION_MIN && law.r >= EXPANSION_R_MIN)
                        quantiles[i] = fmin(expansion(&law, level), BG_GROWTH_COUNT_MAX);
                else
                        quantiles[i] = fmin(law_quantile(&law, level), BG_GROWTH_COUNT_MAX);
        }
}

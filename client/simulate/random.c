/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "client/simulate/random.h"

static uint64_t splitmix(uint64_t *state)
{
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

void bg_random_init(BgRandom *random, uint64_t seed, uint64_t stream)
{
        uint64_t state = seed;

        /* hashed first: consecutive seeds and streams must not share any of their states */
        state = splitmix(&state) ^ (stream * UINT64_C(0xd1342543de82ef95) + 1);
        for (int i = 0; i < 4; i++)
                random->s[i] = splitmix(&state);
}

static inline uint64_t rotate(uint64_t x, int k)
{
        return x << k | x >> (64 - k);
}

uint64_t bg_random_next(BgRandom *random)
{
        uint64_t *s = random->s;
        uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate(s[3], 45);
        return result;
}

double bg_random_uniform(BgRandom *random)
{
        return ((double)(bg_random_next(random) >> 12) + 0.5) * 0x1p-52;
}

double bg_random_exponential(BgRandom *random)
{
        return -bg_random_ln(bg_random_uniform(random));
}

double bg_random_normal(BgRandom *random)
{
        return bg_random_normal_quantile(bg_random_uniform(random));
}

uint64_t bg_random_below(BgRandom *random, uint64_t n)
{
        return (uint64_t)(((unsigned __int128)bg_random_next(random) * n) >> 64);
}

#define LN2_HIGH 6.93147180369123816490e-01 /* the upper 33 bits: k * LN2_HIGH is exact for every exponent k */
#define LN2_LOW 1.90821492927058770002e-10

double bg_random_ln(double x)
{
        int k;
        double m, s, s2, sum = 0;

        if (x <= 0)
                return -INFINITY;
        m = frexp(x, &k);
        if (m < 0.70710678118654752440) {
                m *= 2;
                k--;
        }
        /* ln m = 2 artanh s with |s| < .172: eleven terms leave less than the last bit */
        s = (m - 1) / (m + 1);
        s2 = s * s;
        for (int i = 21; i >= 3; i -= 2)
                sum = (sum + 1.0 / i) * s2;
        return k * LN2_HIGH + (2 * s + (2 * s * sum + k * LN2_LOW));
}

double bg_random_exp(double x)
{
        double k, r, sum = 1;

        if (x > 709)
                return INFINITY;
        if (x < -745)
                return 0;
        k = floor(x * 1.44269504088896340736 + 0.5);
        r = (x - k * LN2_HIGH) - k * LN2_LOW;
        for (int i = 14; i >= 1; i--)
                sum = 1 + sum * r / i;
        return ldexp(sum, (int)k);
}

static double polynomial(const double c[8], double x)
{
        double y = c[7];

        for (int i = 6; i >= 0; i--)
                y = y * x + c[i];
        return y;
}

double bg_random_normal_quantile(double p)
{
        static const double a[8] = { 3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                     1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                     3.3430575583588128105e+4, 2.5090809287301226727e+3 };
        static const double b[8] = { 1,
                                     4.2313330701600911252e+1,
                                     6.8718700749205790830e+2,
                                     5.3941960214247511077e+3,
                                     2.1213794301586595867e+4,
                                     3.9307895800092710610e+4,
                                     2.8729085735721942674e+4,
                                     5.2264952788528545610e+3 };
        static const double c[8] = { 1.42343711074968357734e0,  4.63033784615654529590e0,  5.76949722146069140550e0,
                                     3.64784832476320460504e0,  1.27045825245236838258e0,  2.41780725177450611770e-1,
                                     2.27238449892691845833e-2, 7.74545014278341407640e-4 };
        static const double d[8] = { 1,
                                     2.05319162663775882187e0,
                                     1.67638483018380384940e0,
                                     6.89767334985100004550e-1,
                                     1.48103976427480074590e-1,
                                     1.51986665636164571966e-2,
                                     5.47593808499534494600e-4,
                                     1.05075007164441684324e-9 };
        static const double e[8] = { 6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                     2.71155556874348757815e-5, 2.01033439929228813265e-7 };
        static const double f[8] = { 1,
                                     5.99832206555887937690e-1,
                                     1.36929880922735805310e-1,
                                     1.48753612908506148525e-2,
                                     7.86869131145613259100e-4,
                                     1.84631831751005468180e-5,
                                     1.42151175831644588870e-7,
                                     2.04426310338993978564e-15 };
        double q = p - 0.5, r, z;

        if (fabs(q) <= 0.425) {
                r = 0.180625 - q * q;
                return q * polynomial(a, r) / polynomial(b, r);
        }
        r = sqrt(-bg_random_ln(q < 0 ? p : 1 - p));
        z = r <= 5 ? polynomial(c, r - 1.6) / polynomial(d, r - 1.6) : polynomial(e, r - 5) / polynomial(f, r - 5);
        return q < 0 ? -z : z;
}

double bg_random_normal_cdf(double z)
{
        double low = 0, high = 1;

        if (z < -37)
                return 0;
        if (z > 8.2)
                return 1;
        if (z < 0) {
                /* bisect the exponent as well, so that a small tail keeps its digits */
                high = 0.5;
                while (high > 1e-300 && bg_random_normal_quantile(high / 2) > z)
                        high /= 2;
                low = high / 2;
        }
        for (int i = 0; i < 56; i++) {
                double mid = low + (high - low) / 2;

                if (bg_random_normal_quantile(mid) < z)
                        low = mid;
                else
                        high = mid;
        }
        return low + (high - low) / 2;
}

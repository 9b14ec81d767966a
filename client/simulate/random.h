/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_SIMULATE_RANDOM_H
#define BURGEON_CLIENT_SIMULATE_RANDOM_H

#include <stdint.h>

/*
 * Random numbers and the few functions they need, the same to the last bit on every machine.
 *
 * The C library's exp() and log() differ in the last place from one processor to the next, and one such bit moves a time over
 * the edge of a second. These use additions, multiplications, divisions and square roots alone, which IEEE 754 fixes.
 */

/** xoshiro256** (Blackman, Vigna 2018). Seeded through splitmix64: any seed, 0 included, is good. */
typedef struct BgRandom {
        uint64_t s[4];
} BgRandom;

/** A stream of its own for each (seed, stream): a model's history does not depend on those before it. */
void bg_random_init(BgRandom *random, uint64_t seed, uint64_t stream);
uint64_t bg_random_next(BgRandom *random);
double bg_random_uniform(BgRandom *random);     /* (0, 1), never an end */
double bg_random_exponential(BgRandom *random); /* mean 1 */
double bg_random_normal(BgRandom *random);
/** Uniform in 0 .. n - 1; n > 0. Bias below n / 2^64. */
uint64_t bg_random_below(BgRandom *random, uint64_t n);

/** e^x and ln x; relative error < 4e-16 for |x| < 700, x > 0 and normal. ln 0 = -infinity. */
double bg_random_exp(double x);
double bg_random_ln(double x);

/** Inverse of the normal distribution, p in (0, 1). Wichura 1988, AS 241 (PPND16): relative error < 1e-15. */
double bg_random_normal_quantile(double p);
/** The normal distribution function, by bisection of its inverse: within 2e-16 of it. About 3 us. */
double bg_random_normal_cdf(double z);

#endif

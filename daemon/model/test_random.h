/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_TEST_RANDOM_H
#define BURGEON_MODEL_TEST_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Random numbers for tests: the same on every machine. BG_TEST_SEED chooses another run. */
typedef struct TestRandom {
        uint64_t state;
} TestRandom;

static inline uint64_t test_seed(uint64_t fallback)
{
        const char *text = getenv("BG_TEST_SEED");

        return text ? strtoull(text, NULL, 0) : fallback;
}

/* splitmix64 */
static inline uint64_t test_u64(TestRandom *r)
{
        uint64_t z = r->state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

/* (0, 1) */
static inline double test_uniform(TestRandom *r)
{
        return ((double)(test_u64(r) >> 11) + 0.5) / 9007199254740992.0;
}

static inline uint32_t test_below(TestRandom *r, uint32_t n)
{
        return (uint32_t)(test_u64(r) % n);
}

static inline double test_exponential(TestRandom *r, double rate)
{
        return -log(test_uniform(r)) / rate;
}

static inline double test_normal(TestRandom *r)
{
        double u = test_uniform(r);

        return sqrt(-2 * log(u)) * cos(6.283185307179586 * test_uniform(r));
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_PROTO_SAMPLE_H
#define BURGEON_PROTO_SAMPLE_H

/* For tests: random valid messages of any type, and their comparison. */

#include "proto/wire.h"

/** splitmix64. Source: Steele, Lea, Flood 2014. */
typedef struct BgSampler {
        uint64_t state;
        BgArena *arena;
} BgSampler;

/** Seeded from BG_SEED or the clock; prints the seed as a TAP comment, so that a failure can be repeated. */
BgSampler bg_sampler(BgArena *arena);
uint64_t bg_sample_below(BgSampler *sampler, uint64_t n);
/** Fill a message with values from all of their ranges, edges often. */
void bg_sample_message(BgSampler *sampler, const BgProtoType *type, void *message);
/** Member by member; NaN equals NaN. */
bool bg_sample_equal(const BgProtoType *type, const void *a, const void *b);

#endif

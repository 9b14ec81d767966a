/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_NAMES_H
#define BURGEON_STREAM_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/stream/chunks.h"
#include "proto/proto.h"

/**
 * Names <-> dense numbers from 1 (0 is "no name"), exact. Keyed hash: names come from outside.
 * About 20 bytes a name and its text. Invariant: n_slots is a power of two, at most 3/4 full.
 */
typedef struct BgNames {
        unsigned char key[16];
        struct BgNameSlot *slots;
        size_t n_slots;
        const char **texts; /* [id - 1]: one byte of length, then the name */
        size_t cap_texts;
        uint32_t n;
        BgChunks chunks;
} BgNames;

void bg_names_init(BgNames *names, const unsigned char key[16]); /* no allocation */
void bg_names_deinit(BgNames *names);                            /* accepts the zero value, and twice */

/** Number of a name of 0 .. 255 bytes, given to it now if it has none (then it is the new names->n); the empty one is 0.
 *  0 or -ENOMEM.  Cost: O(1) amortised. */
int bg_names_intern(BgNames *names, BgStr name, uint32_t *idp);
/** The name; {NULL, 0} for 0 and for numbers that were not given. Valid until deinit. */
BgStr bg_names_text(const BgNames *names, uint32_t id);

#endif

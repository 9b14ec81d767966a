/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_INTERN_H
#define BURGEON_STREAM_INTERN_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/stream/text_chunks.h"
#include "proto/proto.h"

/**
 * Names <-> dense numbers from 1 (0 is "no name"), exact. Keyed hash: names come from outside.
 * About 20 bytes a name and its text. Invariant: n_slots is a power of two, at most 3/4 full.
 */
typedef struct BgIntern {
        unsigned char key[16];
        struct BgInternSlot *slots;
        size_t n_slots;
        const char **texts; /* [id - 1]: one byte of length, then the name */
        size_t cap_texts;
        uint32_t n;
        BgTextChunks chunks;
} BgIntern;

void bg_intern_init(BgIntern *names, const unsigned char key[16]); /* no allocation */
void bg_intern_deinit(BgIntern *names);                            /* accepts the zero value, and twice */

/** Number of a name of 0 .. 255 bytes, given to it now if it has none (then it is the new names->n); the empty one is 0.
 *  0 or -ENOMEM.  Cost: O(1) amortised. */
int bg_intern_number(BgIntern *names, BgStr name, uint32_t *idp);
/** The name; {NULL, 0} for 0 and for numbers that were not given. Valid until deinit. */
BgStr bg_intern_text(const BgIntern *names, uint32_t id);

#endif

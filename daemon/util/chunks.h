/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_UTIL_CHUNKS_H
#define BURGEON_UTIL_CHUNKS_H

#include <stddef.h>

/*
 * An array that grows without moving its items: a directory of blocks of BG_CHUNK_ITEMS. Pointers to items stay valid, growth
 * copies nothing but the directory, and at most one block is unused.
 */

#define BG_CHUNK_SHIFT 10
#define BG_CHUNK_ITEMS (1u << BG_CHUNK_SHIFT)

typedef struct BgChunks {
        char **chunks;
        size_t n_chunks;
        size_t cap_chunks;
        size_t n;         /* items */
        size_t item_size; /* bytes, > 0 */
} BgChunks;

void bg_chunks_init(BgChunks *chunks, size_t item_size);
void bg_chunks_deinit(BgChunks *chunks); /* accepts the zero value, and twice */

/** Append one zeroed item: its address, or NULL when there is no memory.   Cost: amortised O(1). */
void *bg_chunks_push(BgChunks *chunks);

/** Item i < n. */
static inline void *bg_chunks_at(const BgChunks *chunks, size_t i)
{
        return chunks->chunks[i >> BG_CHUNK_SHIFT] + (i & (BG_CHUNK_ITEMS - 1)) * chunks->item_size;
}

/** Bytes held. */
size_t bg_chunks_memory(const BgChunks *chunks);

#endif

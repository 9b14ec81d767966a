/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_TEXT_CHUNKS_H
#define BURGEON_STREAM_TEXT_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

/**
 * Many small runs of bytes that stay where they are until all are freed: packed without padding into chunks of 1 MiB, found
 * again by a number that rises with every run. Nothing is copied on growth and at most one chunk is unused.
 * The zero value is empty and valid.
 */
typedef struct BgTextChunks {
        char **chunks;
        size_t n_chunks;
        size_t cap_chunks;
        size_t used; /* of the last chunk */
} BgTextChunks;

#define BG_CHUNKS_BITS 20
#define BG_CHUNKS_RUN_MAX ((size_t)1 << BG_CHUNKS_BITS)

/** Copy `n` <= BG_CHUNKS_RUN_MAX bytes (the same pointer stays valid); *numberp may be NULL. Return: the copy, or NULL. */
char *bg_text_chunks_copy(BgTextChunks *chunks, const char *bytes, size_t n, uint64_t *numberp);
static inline const char *bg_text_chunks_at(const BgTextChunks *chunks, uint64_t number)
{
        return chunks->chunks[number >> BG_CHUNKS_BITS] + (number & (BG_CHUNKS_RUN_MAX - 1));
}

size_t bg_text_chunks_memory(const BgTextChunks *chunks);
void bg_text_chunks_deinit(BgTextChunks *chunks);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/stream/text_chunks.h"

static int chunks_grow(BgTextChunks *chunks)
{
        if (chunks->n_chunks == chunks->cap_chunks) {
                size_t cap = chunks->cap_chunks ? chunks->cap_chunks * 2 : 16;
                char **grown = realloc(chunks->chunks, cap * sizeof(*grown));
                if (!grown)
                        return -1;
                chunks->chunks = grown;
                chunks->cap_chunks = cap;
        }
        char *chunk = malloc(BG_CHUNKS_RUN_MAX);
        if (!chunk)
                return -1;
        chunks->chunks[chunks->n_chunks++] = chunk;
        chunks->used = 0;
        return 0;
}

char *bg_text_chunks_copy(BgTextChunks *chunks, const char *bytes, size_t n, uint64_t *numberp)
{
        assert(n <= BG_CHUNKS_RUN_MAX);
        if ((chunks->n_chunks == 0 || n > BG_CHUNKS_RUN_MAX - chunks->used) && chunks_grow(chunks))
                return NULL;

        char *copy = chunks->chunks[chunks->n_chunks - 1] + chunks->used;
        if (n)
                memcpy(copy, bytes, n);
        if (numberp)
                *numberp = ((uint64_t)(chunks->n_chunks - 1) << BG_CHUNKS_BITS) | chunks->used;
        chunks->used += n;
        return copy;
}

size_t bg_text_chunks_memory(const BgTextChunks *chunks)
{
        return chunks->n_chunks * BG_CHUNKS_RUN_MAX + chunks->cap_chunks * sizeof(*chunks->chunks);
}

void bg_text_chunks_deinit(BgTextChunks *chunks)
{
        for (size_t i = 0; i < chunks->n_chunks; i++)
                free(chunks->chunks[i]);
        free(chunks->chunks);
        *chunks = (BgTextChunks){ 0 };
}

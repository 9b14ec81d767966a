/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/util/chunks.h"

#include <stdlib.h>

void bg_chunks_init(BgChunks *chunks, size_t item_size)
{
        *chunks = (BgChunks){ .item_size = item_size };
}

void bg_chunks_deinit(BgChunks *chunks)
{
        for (size_t i = 0; i < chunks->n_chunks; i++)
                free(chunks->chunks[i]);
        free(chunks->chunks);
        bg_chunks_init(chunks, chunks->item_size);
}

static int add_chunk(BgChunks *chunks)
{
        if (chunks->n_chunks == chunks->cap_chunks) {
                size_t cap = chunks->cap_chunks ? 2 * chunks->cap_chunks : 16;
                char **grown = reallocarray(chunks->chunks, cap, sizeof(*grown));

                if (!grown)
                        return -1;
                chunks->chunks = grown;
                chunks->cap_chunks = cap;
        }

        char *chunk = calloc(BG_CHUNK_ITEMS, chunks->item_size);

        if (!chunk)
                return -1;
        chunks->chunks[chunks->n_chunks++] = chunk;
        return 0;
}

void *bg_chunks_push(BgChunks *chunks)
{
        if (chunks->n == chunks->n_chunks * BG_CHUNK_ITEMS && add_chunk(chunks))
                return NULL;
        return bg_chunks_at(chunks, chunks->n++);
}

size_t bg_chunks_memory(const BgChunks *chunks)
{
        return chunks->n_chunks * (BG_CHUNK_ITEMS * chunks->item_size) + chunks->cap_chunks * sizeof(*chunks->chunks);
}

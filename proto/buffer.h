/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_PROTO_BUFFER_H
#define BURGEON_PROTO_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(default) /* part of libburgeon's interface */

/** A growing run of bytes. The zero value is empty and valid. Cost of an append: amortised O(n). */
typedef struct BgBuffer {
        char *data;
        size_t len;
        size_t cap;
} BgBuffer;

/** All return 0, or -ENOMEM with the buffer as it was. `printf` takes the usual format. Data is kept NUL-terminated by printf. */
int bg_buffer_reserve(BgBuffer *buffer, size_t n_more);
int bg_buffer_append(BgBuffer *buffer, const void *bytes, size_t n);
int bg_buffer_printf(BgBuffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bg_buffer_clear(BgBuffer *buffer);  /* keeps the memory */
void bg_buffer_deinit(BgBuffer *buffer); /* accepts the zero value, and twice */

/** Memory that is freed all at once; the zero value is empty and valid. Blocks are reused after a clear. */
typedef struct BgArena {
        struct BgArenaBlock *first;
        struct BgArenaBlock *current;
        size_t used;
} BgArena;

/** Return: zeroed, aligned for any type; NULL when there is no memory. */
void *bg_arena_alloc(BgArena *arena, size_t n_items, size_t item_size);
char *bg_arena_copy(BgArena *arena, const char *data, size_t len); /* NUL-terminated copy, or NULL */
void bg_arena_clear(BgArena *arena);
void bg_arena_deinit(BgArena *arena);

#pragma GCC visibility pop

#endif

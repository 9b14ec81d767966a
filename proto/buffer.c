/* SPDX-License-Identifier: MIT */
/* Growing bytes, and memory that is freed all at once. */

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buffer.h"

#define BUFFER_FIRST 256
#define ARENA_FIRST 4096
#define ARENA_BLOCK_MAX ((size_t)1 << 20) /* doubling ends here; a larger request gets a block of its own size */

int bg_buffer_reserve(BgBuffer *buffer, size_t n_more)
{
        if (n_more <= buffer->cap - buffer->len)
                return 0;
        if (n_more > SIZE_MAX / 2 - buffer->len)
                return -ENOMEM;

        size_t need = buffer->len + n_more;
        size_t cap = buffer->cap ? buffer->cap : BUFFER_FIRST;
        while (cap < need)
                cap *= 2;
        char *data = realloc(buffer->data, cap);
        if (!data)
                return -ENOMEM;
        buffer->data = data;
        buffer->cap = cap;
        return 0;
}

int bg_buffer_append(BgBuffer *buffer, const void *bytes, size_t n)
{
        if (n == 0)
                return 0; /* memcpy from NULL is undefined even for nothing */
        int r = bg_buffer_reserve(buffer, n);
        if (r)
                return r;
        memcpy(buffer->data + buffer->len, bytes, n);
        buffer->len += n;
        return 0;
}

int bg_buffer_printf(BgBuffer *buffer, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (n < 0 || bg_buffer_reserve(buffer, (size_t)n + 1))
                return -ENOMEM;

        va_start(args, format);
        vsnprintf(buffer->data + buffer->len, (size_t)n + 1, format, args);
        va_end(args);
        buffer->len += (size_t)n;
        return 0;
}

void bg_buffer_clear(BgBuffer *buffer) { buffer->len = 0; }

void bg_buffer_deinit(BgBuffer *buffer)
{
        free(buffer->data);
        *buffer = (BgBuffer){ 0 };
}

struct BgArenaBlock {
        struct BgArenaBlock *next;
        size_t size;
        max_align_t data[];
};

/* The next block that has `need` bytes: one kept from before a clear, else a new one after the current. */
static struct BgArenaBlock *arena_next(BgArena *arena, size_t need)
{
        struct BgArenaBlock *current = arena->current;
        struct BgArenaBlock *next = current ? current->next : arena->first;

        if (next && next->size >= need)
                return next;

        size_t size = current ? current->size : ARENA_FIRST / 2;
        if (size < ARENA_BLOCK_MAX)
                size *= 2;
        if (size < need)
                size = need;
        if (size > SIZE_MAX - sizeof(struct BgArenaBlock))
                return NULL;
        struct BgArenaBlock *block = malloc(sizeof(*block) + size);
        if (!block)
                return NULL;
        block->size = size;
        block->next = next;
        if (current)
                current->next = block;
        else
                arena->first = block;
        return block;
}

static void *arena_take(BgArena *arena, size_t size)
{
        size_t align = _Alignof(max_align_t);

        if (size > SIZE_MAX - align)
                return NULL;
        size = (size + align - 1) / align * align;
        if (!arena->current || size > arena->current->size - arena->used) {
                struct BgArenaBlock *block = arena_next(arena, size);
                if (!block)
                        return NULL;
                arena->current = block;
                arena->used = 0;
        }
        void *data = (char *)arena->current->data + arena->used;
        arena->used += size;
        return data;
}

void *bg_arena_alloc(BgArena *arena, size_t n_items, size_t item_size)
{
        size_t size;

        if (__builtin_mul_overflow(n_items, item_size, &size))
                return NULL;
        void *data = arena_take(arena, size ? size : 1);
        if (data)
                memset(data, 0, size);
        return data;
}

char *bg_arena_copy(BgArena *arena, const char *data, size_t len)
{
        if (len == SIZE_MAX)
                return NULL;
        char *copy = arena_take(arena, len + 1);
        if (!copy)
                return NULL;
        if (len)
                memcpy(copy, data, len);
        copy[len] = '\0';
        return copy;
}

void bg_arena_clear(BgArena *arena)
{
        arena->current = NULL;
        arena->used = 0;
}

void bg_arena_deinit(BgArena *arena)
{
        for (struct BgArenaBlock *block = arena->first, *next; block; block = next) {
                next = block->next;
                free(block);
        }
        *arena = (BgArena){ 0 };
}

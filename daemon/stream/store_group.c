/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Events, the many, are packed; of the few others the struct itself is copied with its texts behind it, and the texts' pointers
 * are set anew when it is read.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/stream/event_bytes.h"
#include "daemon/stream/store_group.h"

#define KEEP_BYTES ((size_t)4 << 20) /* a recycled group keeps no more than this */
#define TEXTS_MAX 3

BgGroup *bg_group_new(void)
{
        return calloc(1, sizeof(BgGroup));
}

void bg_group_free(BgGroup *group)
{
        if (!group)
                return;
        bg_buffer_deinit(&group->bytes);
        free(group);
}

void bg_group_clear(BgGroup *group)
{
        if (group->bytes.cap > KEEP_BYTES)
                bg_buffer_deinit(&group->bytes);
        else
                bg_buffer_clear(&group->bytes);
        group->next = NULL;
        group->n_rows = 0;
        group->done = NULL;
        group->data = NULL;
}

/* The texts of a row that is not an event, and the size of its struct. */
static size_t row_texts(BgRow *row, BgStr *texts[TEXTS_MAX], size_t *sizep)
{
        switch (row->kind) {
        case BG_ROW_REJECTED:
                texts[0] = &row->rejected.source;
                texts[1] = &row->rejected.detail;
                texts[2] = &row->rejected.event;
                *sizep = sizeof(row->rejected);
                return 3;
        case BG_ROW_SOURCE:
                texts[0] = &row->source.source;
                *sizep = sizeof(row->source);
                return 1;
        case BG_ROW_SERIES:
                texts[0] = &row->series.model;
                texts[1] = &row->series.issued;
                texts[2] = &row->series.extra;
                *sizep = sizeof(row->series);
                return 3;
        case BG_ROW_LEARNED:
                texts[0] = &row->learned.name;
                texts[1] = &row->learned.bytes;
                *sizep = sizeof(row->learned);
                return 2;
        case BG_ROW_EVENT:
                break;
        }
        *sizep = 0;
        return 0;
}

int bg_group_put(BgGroup *group, const BgRow *row)
{
        BgRow copy;
        BgStr *texts[TEXTS_MAX];
        size_t size = 0, n_texts = 0, need = 1 + sizeof(row->received_at) + BG_EVENT_BYTES_MAX;

        if (row->kind != BG_ROW_EVENT) {
                copy = *row;
                n_texts = row_texts(&copy, texts, &size);
                need = 1 + sizeof(row->received_at) + size;
                for (size_t i = 0; i < n_texts; i++)
                        need += texts[i]->len;
        }
        if (bg_buffer_reserve(&group->bytes, need))
                return -ENOMEM;

        char *start = group->bytes.data + group->bytes.len, *out = start;
        *out++ = (char)row->kind;
        memcpy(out, &row->received_at, sizeof(row->received_at));
        out += sizeof(row->received_at);
        if (row->kind == BG_ROW_EVENT) {
                out += bg_event_bytes_put(out, &row->event);
        } else {
                memcpy(out, &copy.event, size);
                out += size;
                for (size_t i = 0; i < n_texts; i++) {
                        if (texts[i]->len)
                                memcpy(out, texts[i]->data, texts[i]->len);
                        out += texts[i]->len;
                }
        }
        group->bytes.len += (size_t)(out - start);
        group->n_rows++;
        return 0;
}

bool bg_group_get(const BgGroup *group, size_t *offsetp, BgRow *row)
{
        BgStr *texts[TEXTS_MAX];
        size_t size;

        if (*offsetp >= group->bytes.len)
                return false;

        const char *in = group->bytes.data + *offsetp;
        row->kind = (BgRowKind)*in++;
        memcpy(&row->received_at, in, sizeof(row->received_at));
        in += sizeof(row->received_at);
        if (row->kind == BG_ROW_EVENT) {
                in += bg_event_bytes_get(in, &row->event);
        } else {
                size_t n_texts = row_texts(row, texts, &size);
                memcpy(&row->event, in, size);
                in += size;
                for (size_t i = 0; i < n_texts; i++) {
                        texts[i]->data = texts[i]->len ? in : NULL;
                        in += texts[i]->len;
                }
        }
        *offsetp = (size_t)(in - group->bytes.data);
        return true;
}

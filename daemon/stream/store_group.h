/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_STORE_GROUP_H
#define BURGEON_STREAM_STORE_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/stream/store.h"

/* A group: rows as bytes, in the order they were appended, on their way from the caller's thread to the writer's. */

typedef struct BgStoreRejected {
        BgStr source;
        BgStr detail;
        BgStr event;
        int64_t seq;
        int64_t index;
        int64_t n_bytes; /* of the event before it was cut */
        BgReject reason;
} BgStoreRejected;

typedef struct BgStoreLearned {
        BgStr name;
        BgStr bytes; /* none: the row goes */
} BgStoreLearned;

typedef enum BgRowKind { BG_ROW_EVENT, BG_ROW_REJECTED, BG_ROW_SOURCE, BG_ROW_SERIES, BG_ROW_LEARNED } BgRowKind;

typedef struct BgRow {
        BgRowKind kind;
        int64_t received_at; /* EVENT, REJECTED */
        union {
                BgEvent event;
                BgStoreRejected rejected;
                BgStoreSource source;
                BgStoreSeries series;
                BgStoreLearned learned;
        };
} BgRow;

typedef struct BgGroup {
        struct BgGroup *next;
        BgBuffer bytes;
        size_t n_rows;
        BgStoreDone *done;
        void *data;
} BgGroup;

BgGroup *bg_group_new(void); /* NULL: no memory */
void bg_group_free(BgGroup *group);
void bg_group_clear(BgGroup *group); /* keeps the memory of an ordinary group for the next one */

/** Append one row; its texts are copied. 0, or -ENOMEM with the group as it was. */
int bg_group_put(BgGroup *group, const BgRow *row);
/** Next row at *offsetp (0 first); texts alias the group. Return: false at the end. */
bool bg_group_get(const BgGroup *group, size_t *offsetp, BgRow *row);

#endif

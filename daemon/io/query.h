/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_QUERY_H
#define BURGEON_IO_QUERY_H

#include "daemon/io/commit.h"
#include "daemon/io/door.h"
#include "daemon/io/health.h"
#include "daemon/stream/core.h"

/*
 * Queries (ROUTER): frames [peer] [..] [request]; the reply comes back behind the same frames. The core answers what is about
 * series; `info`, `reload` and `checkpoint` are answered here. Every request gets a reply, a wrong one a typed error.
 */

typedef struct BgQuerySpec {
        BgDoorSpec door;
        int64_t message_bytes_max;
        bool admin; /* `reload` and `checkpoint` are allowed to whoever reaches this door */
        /** Fill `info` but for program, version, topics and limits; texts live as long as the program or in the arena. 0 or -ENOMEM. */
        int (*info)(void *data, BgArena *arena, BgInfo *info);
        /** 0, or 1 when the new configuration is refused: `why` says how. */
        int (*reload)(void *data, char *why, size_t why_size);
        /** Put the state into the open group. 0 or negative errno. */
        int (*checkpoint)(void *data);
        void *data;
} BgQuerySpec;

typedef struct BgQueryDoor {
        BgDoor door;
        BgQuerySpec spec;
        BgCore *core;
        BgCommit *commit;
        BgHealth *health;
        BgArena arena;
        BgBuffer buffer;
        void (*closed)(void *data);
        void *closed_data;
} BgQueryDoor;

/** @query: zero. 0, BG_DOOR_E_UNUSABLE with `why`, or negative errno; close it in any case. */
int bg_query_open(BgQueryDoor *query, uv_loop_t *loop, void *zmq, const BgQuerySpec *spec, BgCore *core, BgCommit *commit,
                  BgHealth *health, char *why, size_t why_size);
/** Answer nothing new; a checkpoint under way is still answered. */
void bg_query_stop(BgQueryDoor *query);
/** Only when the commit has no waiters any more. The zero value is fine. */
void bg_query_close(BgQueryDoor *query, void (*closed)(void *data), void *data);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_INGEST_H
#define BURGEON_IO_INGEST_H

#include "daemon/io/commit.h"
#include "daemon/io/door.h"
#include "daemon/io/health.h"
#include "daemon/stream/core.h"

/*
 * The two doors for events.
 *
 * submit (ROUTER): frames [peer] [..] [batch]; the acknowledgement comes back behind the same frames, once the batch is durable.
 * A batch that cannot be read, or that would leave a gap in its source's numbers, is refused whole: nothing of it is taken.
 * A single bad event is refused alone and put away as a dead letter. A batch seen before is taken again and found duplicate.
 * Each peer gets its answers, acknowledgements and refusals, in the order of its batches.
 *
 * subscribe (SUB): frames [topic] [batch] or [batch] from any number of upstreams. Nobody waits for an answer; a gap in a
 * source's numbers is counted and logged, and the batch is taken.
 */

enum { BG_INGEST_SOURCES_MAX = 1024 }; /* upstream sources whose numbers are followed */

typedef struct BgIngestSpec {
        BgDoorSpec submit;
        BgDoorSpec subscribe; /* n_endpoints == 0: no such door */
        int64_t credit;       /* events a sender may have unacknowledged; told in every acknowledgement */
        int64_t message_bytes_max;
        void (*fatal)(void *data, int error); /* the core cannot go on (out of memory): end the program */
        void *data;
} BgIngestSpec;

typedef struct BgIngestUpstream BgIngestUpstream;

typedef struct BgIngest {
        BgDoor submit;
        BgDoor subscribe;
        BgIngestSpec spec;
        BgCore *core;
        BgStore *store; /* dead letters; NULL: none are kept */
        BgCommit *commit;
        BgHealth *health;
        BgArena arena;  /* of the batch in hand */
        BgBuffer buffer;
        BgIngestUpstream *upstreams;
        size_t n_upstreams;
        double letters;       /* dead letters that may be put away now */
        int64_t letters_at;
        bool stopped;
        void (*closed)(void *data);
        void *closed_data;
} BgIngest;

/** @ingest: zero. 0, BG_DOOR_E_UNUSABLE with `why`, or negative errno; close it in any case. */
int bg_ingest_open(BgIngest *ingest, uv_loop_t *loop, void *zmq, const BgIngestSpec *spec, BgCore *core, BgStore *store,
                   BgCommit *commit, BgHealth *health, char *why, size_t why_size);
/** Stop taking batches until the pressure is off. */
void bg_ingest_pause(BgIngest *ingest, bool paused);
/** Take no batch any more; acknowledgements of those taken still go out. The zero value is fine. */
void bg_ingest_stop(BgIngest *ingest);
/** Only when the commit has no waiters any more. The zero value is fine. */
void bg_ingest_close(BgIngest *ingest, void (*closed)(void *data), void *data);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/sessions.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Linear probing in 12-byte slots. Nothing is ever deleted singly: a shard that is 4/5 full is rebuilt with what has not expired,
 * at a size that this fills by 2/3, larger or smaller than before. At a steady rate that is 18 B a living pair and a rebuild
 * for every fifth of the table that comes in new. The home of a pair is its hash scaled to the capacity, so any capacity will do.
 */

enum { SHARD_N = 256, CAPACITY_MIN = 8 };

typedef struct Slot {
        uint32_t low;
        uint32_t high;
        uint32_t at_s; /* 0: free */
} Slot;

typedef struct Shard {
        Slot *slots; /* NULL while capacity == 0 */
        uint32_t capacity;
        uint32_t n; /* expired ones included */
} Shard;

struct BgSessions {
        Shard shards[SHARD_N];
        uint32_t newest_s;
};

int bg_sessions_new(BgSessions **sessionsp)
{
        BgSessions *sessions = calloc(1, sizeof(*sessions));

        if (!sessions)
                return -ENOMEM;
        *sessionsp = sessions;
        return 0;
}

void bg_sessions_free(BgSessions *sessions)
{
        if (!sessions)
                return;
        for (unsigned i = 0; i < SHARD_N; ++i)
                free(sessions->shards[i].slots);
        free(sessions);
}

/* the shard takes the top 8 bits of `high`, so the home is scaled from `low` */
static uint32_t home(const Shard *shard, uint32_t low)
{
        return (uint32_t)((uint64_t)low * shard->capacity >> 32);
}

static uint32_t next(const Shard *shard, uint32_t i)
{
        return i + 1 == shard->capacity ? 0 : i + 1;
}

/* the slot that holds the pair, or the free one where it would go */
static Slot *find(Shard *shard, uint32_t low, uint32_t high)
{
        uint32_t i = home(shard, low);

        while (shard->slots[i].at_s && !(shard->slots[i].low == low && shard->slots[i].high == high))
                i = next(shard, i);
        return &shard->slots[i];
}

static bool expired(const Slot *slot, uint32_t now_s)
{
        return slot->at_s && slot->at_s <= now_s && now_s - slot->at_s >= BG_SESSION_S;
}

static int rebuild(Shard *shard, uint32_t now_s)
{
        Shard fresh = { 0 };
        uint32_t n_live = 0;

        for (uint32_t i = 0; i < shard->capacity; ++i)
                n_live += shard->slots[i].at_s && !expired(&shard->slots[i], now_s);
        fresh.capacity = n_live + n_live / 2 + CAPACITY_MIN;
        fresh.slots = calloc(fresh.capacity, sizeof(*fresh.slots));
        if (!fresh.slots)
                return -ENOMEM;
        for (uint32_t i = 0; i < shard->capacity; ++i) {
                if (shard->slots[i].at_s && !expired(&shard->slots[i], now_s)) {
                        *find(&fresh, shard->slots[i].low, shard->slots[i].high) = shard->slots[i];
                        ++fresh.n;
                }
        }
        free(shard->slots);
        *shard = fresh;
        return 0;
}

int bg_sessions_count(BgSessions *sessions, uint64_t pair, uint32_t at_s, bool *countedp)
{
        Shard *shard = &sessions->shards[pair >> 56];
        uint32_t low = (uint32_t)pair, high = (uint32_t)(pair >> 32);
        uint32_t time_s = at_s ? at_s : 1; /* 0 marks a free slot */
        uint32_t now_s = sessions->newest_s > time_s ? sessions->newest_s : time_s;
        Slot *slot;

        if (shard->capacity) {
                slot = find(shard, low, high);
                if (slot->at_s) {
                        uint32_t apart = slot->at_s > time_s ? slot->at_s - time_s : time_s - slot->at_s;
                        *countedp = apart >= BG_SESSION_S;
                        if (*countedp && time_s > slot->at_s)
                                slot->at_s = time_s;
                        sessions->newest_s = now_s;
                        return 0;
                }
        }
        if (now_s - time_s >= BG_SESSION_S) {
                *countedp = false;
                return 0;
        }
        sessions->newest_s = now_s;
        if (5 * ((uint64_t)shard->n + 1) > 4 * (uint64_t)shard->capacity) {
                int r = rebuild(shard, now_s);
                if (r)
                        return r;
        }
        slot = find(shard, low, high);
        *slot = (Slot){ .low = low, .high = high, .at_s = time_s };
        ++shard->n;
        *countedp = true;
        return 0;
}

size_t bg_sessions_n(const BgSessions *sessions)
{
        size_t n = 0;

        for (unsigned i = 0; i < SHARD_N; ++i)
                n += sessions->shards[i].n;
        return n;
}

size_t bg_sessions_memory(const BgSessions *sessions)
{
        size_t bytes = sizeof(*sessions);

        for (unsigned i = 0; i < SHARD_N; ++i)
                bytes += sessions->shards[i].capacity * sizeof(Slot);
        return bytes;
}

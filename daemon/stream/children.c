/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/children.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * hash = 8 bits shard | 48 bits h | 8 bits unused.    home = (h / 2^16) * n_slots / 2^32, for any n_slots.
 *
 * A slot keeps the low 40 bits of h. The other 8 are found again from the home slot, which is the place less the distance: all
 * h of one home lie in a range shorter than 2^40 as n_slots >= 2^8. That is what a rebuild does.
 */

#define SLOTS_MIN 256u
#define PAD 64u /* slots behind the last home */
#define DISTANCE_MAX 255u

#define LOW_BITS 40
#define LOW_MASK ((UINT64_C(1) << LOW_BITS) - 1)

typedef struct __attribute__((packed)) BgChildSlot {
        uint32_t key;
        uint32_t second;
        uint32_t low;     /* bits 0 .. 31 of h */
        uint8_t middle;   /* bits 32 .. 39 */
        uint8_t distance; /* from home, plus 1; 0 = empty */
} Slot;

static inline uint64_t h_of(uint64_t hash)
{
        return hash << 8 >> 16;
}
static inline uint64_t low_of(const Slot *slot)
{
        return (uint64_t)slot->middle << 32 | slot->low;
}
static inline uint32_t home_of(uint64_t h, uint32_t n_slots)
{
        return (uint32_t)(((h >> 16) * n_slots) >> 32);
}

/* The h of an entry of this home. */
static uint64_t h_again(uint64_t low, uint32_t home, uint32_t n_slots)
{
        uint64_t first = (((uint64_t)home << 32) + n_slots - 1) / n_slots << 16; /* lowest h of this home */
        uint64_t h = (first & ~LOW_MASK) | low;

        return h < first ? h + LOW_MASK + 1 : h;
}

void bg_children_deinit(BgChildren *children)
{
        for (size_t i = 0; i < BG_CHILDREN_SHARDS; i++)
                free(children->shards[i].slots);
        memset(children, 0, sizeof(*children));
}

/* ---- runs ------------------------------------------------------------------------------------------------------------------ */

/* First place whose entry does not come before (home, low); it may be empty. An entry at i with distance d has home i - d + 1. */
static uint32_t seek(const BgChildrenShard *shard, uint32_t home, uint64_t low)
{
        const Slot *slots = shard->slots;
        uint32_t i = home;

        while (slots[i].distance > i - home + 1)
                i++;
        while (slots[i].distance == i - home + 1 && low_of(&slots[i]) < low)
                i++;
        return i;
}

static uint32_t run_length(const BgChildrenShard *shard, uint32_t first, uint32_t home, uint64_t low)
{
        const Slot *slots = shard->slots;
        uint32_t i = first;

        while (slots[i].distance == i - home + 1 && low_of(&slots[i]) == low)
                i++;
        return i - first;
}

void bg_children_prefetch(const BgChildren *children, uint64_t hash)
{
        const BgChildrenShard *shard = &children->shards[hash >> 56];

        if (shard->n_slots)
                __builtin_prefetch(&shard->slots[home_of(h_of(hash), shard->n_slots)]);
}

BgChildRun bg_children_find(BgChildren *children, uint64_t hash)
{
        BgChildrenShard *shard = &children->shards[hash >> 56];
        uint64_t h = h_of(hash), low = h & LOW_MASK;
        BgChildRun run = { .shard = shard };

        if (!shard->n_slots)
                return run;

        uint32_t home = home_of(h, shard->n_slots);

        run.first = seek(shard, home, low);
        run.n = run_length(shard, run.first, home, low);
        return run;
}

BgPlaceKey bg_child_run_key(const BgChildRun *run, uint32_t i)
{
        return run->shard->slots[run->first + i].key;
}

uint32_t bg_child_run_second(const BgChildRun *run, uint32_t i)
{
        return run->shard->slots[run->first + i].second;
}

void bg_child_run_set(BgChildRun *run, uint32_t i, BgPlaceKey key, uint32_t second)
{
        Slot *slot = &run->shard->slots[run->first + i];

        slot->key = key;
        slot->second = second;
}

/* ---- change ---------------------------------------------------------------------------------------------------------------- */

/* Returns false when the shard has to grow first: no room behind, or an entry would be too far from home. */
static bool put(BgChildrenShard *shard, uint64_t h, uint32_t key, uint32_t second)
{
        Slot *slots = shard->slots;
        uint32_t home = home_of(h, shard->n_slots);
        uint32_t i = seek(shard, home, (h & LOW_MASK) + 1); /* behind the entries of the same child */
        uint32_t end = i;

        if (i - home + 1 > DISTANCE_MAX)
                return false;
        while (slots[end].distance) {
                if (slots[end].distance == DISTANCE_MAX)
                        return false;
                end++;
        }
        if (end + 1 >= shard->n_slots + PAD) /* the last slot stays empty: every search ends there */
                return false;
        memmove(&slots[i + 1], &slots[i], (end - i) * sizeof(*slots));
        for (uint32_t k = i + 1; k <= end; k++)
                slots[k].distance++;
        slots[i] = (Slot){ .key = key,
                           .second = second,
                           .low = (uint32_t)h,
                           .middle = (uint8_t)(h >> 32),
                           .distance = (uint8_t)(i - home + 1) };
        shard->n_used++;
        return true;
}

static bool refill(BgChildrenShard *into, const BgChildrenShard *from)
{
        for (uint32_t i = 0; i < (from->n_slots ? from->n_slots + PAD : 0); i++) {
                const Slot *slot = &from->slots[i];

                if (slot->distance &&
                    !put(into, h_again(low_of(slot), i - slot->distance + 1, from->n_slots), slot->key, slot->second))
                        return false;
        }
        return true;
}

static int grow(BgChildren *children, BgChildrenShard *shard)
{
        BgChildrenShard grown = { .n_slots = shard->n_slots };

        do {
                free(grown.slots);
                grown.n_used = 0;
                if (grown.n_slots > UINT32_MAX / 2)
                        return -ENOMEM;
                grown.n_slots = grown.n_slots < SLOTS_MIN ? SLOTS_MIN : grown.n_slots + grown.n_slots / 8;
                grown.slots = calloc((size_t)grown.n_slots + PAD, sizeof(*grown.slots));
                if (!grown.slots)
                        return -ENOMEM;
        } while (!refill(&grown, shard));

        children->memory += ((size_t)grown.n_slots + PAD) * sizeof(*grown.slots);
        if (shard->slots)
                children->memory -= ((size_t)shard->n_slots + PAD) * sizeof(*grown.slots);
        free(shard->slots);
        *shard = grown;
        return 0;
}

int bg_children_insert(BgChildren *children, uint64_t hash, BgPlaceKey key, uint32_t second)
{
        BgChildrenShard *shard = &children->shards[hash >> 56];
        bool full = (uint64_t)shard->n_used * 8 >= (uint64_t)shard->n_slots * 7;

        while (full || !put(shard, h_of(hash), key, second)) {
                int r = grow(children, shard);

                if (r)
                        return r;
                full = false;
        }
        children->n++;
        return 0;
}

static void erase_at(BgChildren *children, BgChildrenShard *shard, uint32_t i)
{
        Slot *slots = shard->slots;
        uint32_t end = i + 1;

        while (slots[end].distance > 1) {
                slots[end].distance--;
                end++;
        }
        memmove(&slots[i], &slots[i + 1], (end - i - 1) * sizeof(*slots));
        slots[end - 1].distance = 0;
        shard->n_used--;
        children->n--;
}

void bg_children_erase(BgChildren *children, BgChildRun run)
{
        while (run.n--)
                erase_at(children, run.shard, run.first);
}

/* ---- merging models -------------------------------------------------------------------------------------------------------- */

static bool earliest(const Slot *slots, uint32_t n, BgPlaceKey key, BgSecond *secondp)
{
        bool found = false;

        for (uint32_t i = 0; i < n; i++)
                if (slots[i].key == key && (!found || slots[i].second < *secondp)) {
                        *secondp = slots[i].second;
                        found = true;
                }
        return found;
}

static bool is_of(const Slot *slot, BgModelId model)
{
        return slot->key != BG_CHILD_DOSSIER && bg_place_model(slot->key) == model;
}

/* One child that is in the absorbed model. Equal entries become one. */
static int merge_run(BgChildren *children, BgChildRun *run, BgModelId absorbed, BgModelId survivor,
                     int (*both)(void *data, unsigned relation, BgSecond later), void *data)
{
        Slot *slots = run->shard->slots + run->first;

        for (unsigned relation = 0; relation < BG_RELATION_N; relation++) {
                BgSecond a = 0, b = 0;

                if (earliest(slots, run->n, bg_place_key(absorbed, relation), &a) &&
                    earliest(slots, run->n, bg_place_key(survivor, relation), &b)) {
                        int r = both(data, relation, a > b ? a : b);

                        if (r)
                                return r;
                }
        }
        for (uint32_t i = 0; i < run->n; i++)
                if (is_of(&slots[i], absorbed))
                        slots[i].key = bg_place_key(survivor, bg_place_relation(slots[i].key));
        for (uint32_t i = 1; i < run->n; i++)
                for (uint32_t k = 0; k < i; k++)
                        if (slots[i].key == slots[k].key && slots[i].second == slots[k].second) {
                                erase_at(children, run->shard, run->first + i--);
                                run->n--;
                                break;
                        }
        return 0;
}

int bg_children_merge_models(BgChildren *children, BgModelId absorbed, BgModelId survivor,
                             int (*both)(void *data, unsigned relation, BgSecond later), void *data)
{
        for (size_t s = 0; s < BG_CHILDREN_SHARDS; s++) {
                BgChildrenShard *shard = &children->shards[s];

                for (uint32_t i = 0; shard->n_slots && i < shard->n_slots + PAD; i++) {
                        const Slot *slot = &shard->slots[i];

                        if (!slot->distance || !is_of(slot, absorbed))
                                continue;

                        uint32_t home = i - slot->distance + 1;
                        uint64_t low = low_of(slot);
                        BgChildRun run = { .shard = shard, .first = seek(shard, home, low) };
                        int r;

                        run.n = run_length(shard, run.first, home, low);
                        r = merge_run(children, &run, absorbed, survivor, both, data);
                        if (r)
                                return r;
                        i = run.first + run.n - 1;
                }
        }
        return 0;
}

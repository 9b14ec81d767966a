/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_CHILDREN_H
#define BURGEON_STREAM_CHILDREN_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/stream/registry.h"

/*
 * The table of children: 14 bytes for every fact "this child was added to (model, relation) at this second".
 *
 * Open addressing with linear probing, entries sorted by home slot and hash, so that everything about one child is one run of
 * neighbours and a search for an unknown child ends early. The home slot comes from a keyed hash of the child's name: nobody
 * without the key can aim at a slot, and a child may have BG_CHILD_RUN_MAX entries at most, so no run grows long.
 *
 * 56 bits of the hash identify a child; 16 of them are not stored but follow from the entry's place in the table. Two children
 * of one model are taken for one with a probability of 1.4e-17 a pair: 7e-4 that a model of 10 million children lacks one.
 *
 * 256 shards of which one at a time is rebuilt, by 1/8, when it is 7/8 full: 78 to 88 % of the slots are in use.
 */

#define BG_CHILD_RUN_MAX 16
#define BG_CHILDREN_SHARDS 256

typedef struct BgChildrenShard {
        struct BgChildSlot *slots; /* n_slots homes, and some more for what the last ones push on */
        uint32_t n_slots;
        uint32_t n_used;
} BgChildrenShard;

typedef struct BgChildren {
        BgChildrenShard shards[BG_CHILDREN_SHARDS];
        size_t n;      /* entries */
        size_t memory; /* bytes held */
} BgChildren;

/** What an entry says: model * 8 + relation; or BG_CHILD_DOSSIER with the number of the dossier in place of the second. */
typedef uint32_t BgPlaceKey;
#define BG_CHILD_DOSSIER UINT32_MAX
static inline BgPlaceKey bg_place_key(BgModelId model, unsigned relation) { return model << 3 | relation; }
static inline BgModelId bg_place_model(BgPlaceKey key) { return key >> 3; }
static inline unsigned bg_place_relation(BgPlaceKey key) { return key & 7; }
#define BG_MODELS_MAX (1u << 27)

/** All entries of one child; valid until the table changes. */
typedef struct BgChildRun {
        BgChildrenShard *shard;
        uint32_t first;
        uint32_t n;
} BgChildRun;

void bg_children_deinit(BgChildren *children); /* the zero value is an empty table */

/** Tell the processor that this child will be looked for: its line of the table is then there when it is needed. */
void bg_children_prefetch(const BgChildren *children, uint64_t hash);
BgChildRun bg_children_find(BgChildren *children, uint64_t hash);
BgPlaceKey bg_child_run_key(const BgChildRun *run, uint32_t i);
uint32_t bg_child_run_second(const BgChildRun *run, uint32_t i);
void bg_child_run_set(BgChildRun *run, uint32_t i, BgPlaceKey key, uint32_t second);

/** Add one entry; the caller has made sure that it is new.   0 or -ENOMEM.   Cost: O(1); now and then one shard is copied. */
int bg_children_insert(BgChildren *children, uint64_t hash, BgPlaceKey key, uint32_t second);
/** Remove all entries of a child. */
void bg_children_erase(BgChildren *children, BgChildRun run);

/**
 * bg_children_merge_models() - let every child of one model be one of another
 * @both: called for each child that was counted in both, with the later second: a count that has to go. Its error ends it.
 * Return: 0, or what `both` returned.    Cost: one pass over the whole table, about 2 ns an entry.
 */
int bg_children_merge_models(BgChildren *children, BgModelId absorbed, BgModelId survivor,
                             int (*both)(void *data, unsigned relation, BgSecond later), void *data);

#endif

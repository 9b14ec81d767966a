/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_NAMES_H
#define BURGEON_STREAM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/stream/registry.h"
#include "daemon/util/chunks.h"

/*
 * Every name the registry must remember, each once, and which names are one model.
 *
 * A name is 6 bytes and its text in an arena, found through a keyed hash. It may or may not belong to a model: names of renamed
 * or removed children are here too. Renames join names into classes (union-find); a class has one model or none, and is
 * displayed by the new name of its latest rename (same second: the bytewise larger), in whatever order they are joined.
 */

typedef uint32_t BgNameRef; /* place in the arena; not dense */
#define BG_NAME_NONE UINT32_MAX

#define BG_NAMES_SHARDS 256

typedef struct BgNamesSlot {
        uint32_t tag; /* of the hash; the home slot is tag * n_slots / 2^32 */
        BgNameRef ref;
} BgNamesSlot;

typedef struct BgNamesShard {
        BgNamesSlot *slots;
        uint32_t n_slots;
        uint32_t n_used;
} BgNamesShard;

typedef struct BgNames {
        BgNamesShard shards[BG_NAMES_SHARDS];
        unsigned char hash_key[16];
        char **blocks; /* of the arena */
        size_t n_blocks;
        size_t cap_blocks;
        size_t used; /* bytes of the last block */
        BgChunks classes;
        size_t n;
        size_t n_slots; /* of all shards */
} BgNames;

void bg_names_init(BgNames *names, const unsigned char hash_key[16]);
void bg_names_deinit(BgNames *names); /* accepts the zero value, and twice */
size_t bg_names_memory(const BgNames *names);

/** Keyed 64-bit SipHash of a text. */
uint64_t bg_names_hash(const BgNames *names, BgStr text);

BgNameRef bg_names_find(const BgNames *names, BgStr text);           /* BG_NAME_NONE when unknown */
int bg_names_intern(BgNames *names, BgStr text, BgNameRef *refp);    /* 0 or -ENOMEM; text of 1 .. 255 bytes */
BgStr bg_names_text(const BgNames *names, BgNameRef ref);            /* NUL-terminated besides */
int bg_names_compare(const BgNames *names, BgNameRef a, BgNameRef b); /* bytewise; shorter first */

/** The name that stands for the whole class: equal for two names exactly when they were joined. */
BgNameRef bg_names_root(const BgNames *names, BgNameRef ref);
BgModelId bg_names_model(const BgNames *names, BgNameRef ref); /* of the class; BG_MODEL_NONE */
void bg_names_set_model(BgNames *names, BgNameRef ref, BgModelId model);
/** The name to show for the class. */
BgNameRef bg_names_display(const BgNames *names, BgNameRef ref);

/** Whether some dossier speaks of a model by a name of this class. */
bool bg_names_cited(const BgNames *names, BgNameRef ref);
void bg_names_cite(BgNames *names, BgNameRef ref);

/** Join the classes of two names by a rename to `to`. The joined class has the model of `from`: set it anew. 0 or -ENOMEM. */
int bg_names_join(BgNames *names, BgNameRef from, BgNameRef to, BgSecond at);

#endif

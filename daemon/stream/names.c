/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/names.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/*
 * A reference counts 8-byte units in blocks of 1 MiB; 2^31 of them are 16 GiB of names. The link of a record is either the id of
 * its model (the ordinary case: a model that was never renamed) or, with the top bit set, its class.
 */

#define BLOCK_SHIFT 17
#define BLOCK_UNITS (1u << BLOCK_SHIFT)
#define BLOCK_BYTES ((size_t)BLOCK_UNITS * 8)
#define BLOCKS_MAX (1u << (31 - BLOCK_SHIFT))

#define LINK_CLASS 0x80000000u
#define LINK_NONE 0x7fffffffu

typedef struct Record {
        uint32_t link;
        uint8_t len;
        bool cited;
        char text[];
} Record;

typedef struct Class {
        uint32_t up; /* towards the class that took over; itself in a root */
        BgModelId model;
        BgNameRef first; /* stands for the class */
        BgNameRef display;
        BgSecond renamed_at; /* of the rename that made `display` */
        bool renamed;
        bool cited;
} Class;

void bg_names_init(BgNames *names, const unsigned char hash_key[16])
{
        memset(names, 0, sizeof(*names));
        memcpy(names->hash_key, hash_key, sizeof(names->hash_key));
        bg_chunks_init(&names->classes, sizeof(Class));
}

void bg_names_deinit(BgNames *names)
{
        for (size_t i = 0; i < BG_NAMES_SHARDS; i++)
                free(names->shards[i].slots);
        for (size_t i = 0; i < names->n_blocks; i++)
                free(names->blocks[i]);
        free(names->blocks);
        bg_chunks_deinit(&names->classes);
        memset(names, 0, sizeof(*names));
}

size_t bg_names_memory(const BgNames *names)
{
        return names->n_slots * sizeof(BgNamesSlot) + names->n_blocks * BLOCK_BYTES + names->cap_blocks * sizeof(*names->blocks) +
               bg_chunks_memory(&names->classes);
}

uint64_t bg_names_hash(const BgNames *names, BgStr text)
{
        uint64_t hash;

        _Static_assert(sizeof(hash) == crypto_shorthash_BYTES && sizeof(names->hash_key) == crypto_shorthash_KEYBYTES,
                       "SipHash-2-4");
        crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text.data, text.len, names->hash_key);
        return hash;
}

static inline Record *record(const BgNames *names, BgNameRef ref)
{
        return (Record *)(names->blocks[ref >> BLOCK_SHIFT] + (size_t)(ref & (BLOCK_UNITS - 1)) * 8);
}

BgStr bg_names_text(const BgNames *names, BgNameRef ref)
{
        const Record *r = record(names, ref);

        return (BgStr){ r->text, r->len };
}

int bg_names_compare(const BgNames *names, BgNameRef a, BgNameRef b)
{
        if (a == b)
                return 0;

        BgStr s = bg_names_text(names, a), t = bg_names_text(names, b);
        int order = memcmp(s.data, t.data, s.len < t.len ? s.len : t.len);

        return order ? order : (s.len > t.len) - (s.len < t.len);
}

/* ---- the index ------------------------------------------------------------------------------------------------------------- */

static inline uint32_t tag_of(uint64_t hash)
{
        return (uint32_t)(hash >> 24);
}
static inline uint32_t home_of(uint32_t tag, uint32_t n_slots)
{
        return (uint32_t)(((uint64_t)tag * n_slots) >> 32);
}

static BgNameRef find_hashed(const BgNames *names, BgStr text, uint64_t hash)
{
        const BgNamesShard *shard = &names->shards[hash >> 56];
        uint32_t tag = tag_of(hash);

        if (!shard->n_slots)
                return BG_NAME_NONE;
        for (uint32_t i = home_of(tag, shard->n_slots); shard->slots[i].ref != BG_NAME_NONE;
             i = i + 1 == shard->n_slots ? 0 : i + 1)
                if (shard->slots[i].tag == tag && bg_str_equal(bg_names_text(names, shard->slots[i].ref), text))
                        return shard->slots[i].ref;
        return BG_NAME_NONE;
}

BgNameRef bg_names_find(const BgNames *names, BgStr text)
{
        return find_hashed(names, text, bg_names_hash(names, text));
}

static void put_slot(BgNamesShard *shard, BgNamesSlot slot)
{
        uint32_t i = home_of(slot.tag, shard->n_slots);

        while (shard->slots[i].ref != BG_NAME_NONE)
                i = i + 1 == shard->n_slots ? 0 : i + 1;
        shard->slots[i] = slot;
        shard->n_used++;
}

/* Filled to 4/5 and grown by 1/4: 64 to 80 % full. One shard of 256 is copied at a time, hence no pause worth the name. */
static int reserve_slot(BgNames *names, BgNamesShard *shard)
{
        if (((uint64_t)shard->n_used + 1) * 5 <= (uint64_t)shard->n_slots * 4)
                return 0;

        BgNamesShard grown = { .n_slots = shard->n_slots + shard->n_slots / 4 + 16 };

        grown.slots = malloc(grown.n_slots * sizeof(*grown.slots));
        if (!grown.slots)
                return -ENOMEM;
        memset(grown.slots, 0xff, grown.n_slots * sizeof(*grown.slots));
        for (uint32_t i = 0; i < shard->n_slots; i++)
                if (shard->slots[i].ref != BG_NAME_NONE)
                        put_slot(&grown, shard->slots[i]);
        names->n_slots += grown.n_slots - shard->n_slots;
        free(shard->slots);
        *shard = grown;
        return 0;
}

static int add_block(BgNames *names)
{
        if (names->n_blocks == BLOCKS_MAX)
                return -ENOMEM;
        if (names->n_blocks == names->cap_blocks) {
                size_t cap = names->cap_blocks ? 2 * names->cap_blocks : 8;
                char **grown = reallocarray(names->blocks, cap, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                names->blocks = grown;
                names->cap_blocks = cap;
        }
        names->blocks[names->n_blocks] = malloc(BLOCK_BYTES);
        if (!names->blocks[names->n_blocks])
                return -ENOMEM;
        names->n_blocks++;
        names->used = 0;
        return 0;
}

static int put_record(BgNames *names, BgStr text, BgNameRef *refp)
{
        size_t size = (offsetof(Record, text) + text.len + 1 + 7) / 8 * 8;

        if (!names->n_blocks || names->used + size > BLOCK_BYTES) {
                int r = add_block(names);

                if (r)
                        return r;
        }

        BgNameRef ref = (BgNameRef)(((names->n_blocks - 1) << BLOCK_SHIFT) + names->used / 8);
        Record *r = record(names, ref);

        r->link = LINK_NONE;
        r->len = (uint8_t)text.len;
        r->cited = false;
        memcpy(r->text, text.data, text.len);
        r->text[text.len] = '\0';
        names->used += size;
        *refp = ref;
        return 0;
}

int bg_names_intern(BgNames *names, BgStr text, BgNameRef *refp)
{
        uint64_t hash = bg_names_hash(names, text);
        BgNamesShard *shard = &names->shards[hash >> 56];
        int r;

        assert(text.len > 0 && text.len <= UINT8_MAX);
        *refp = find_hashed(names, text, hash);
        if (*refp != BG_NAME_NONE)
                return 0;
        r = reserve_slot(names, shard);
        if (r)
                return r;
        r = put_record(names, text, refp);
        if (r)
                return r;
        put_slot(shard, (BgNamesSlot){ tag_of(hash), *refp });
        names->n++;
        return 0;
}

/* ---- classes of joined names ----------------------------------------------------------------------------------------------- */

static Class *class_of(const BgNames *names, const Record *r)
{
        if (!(r->link & LINK_CLASS))
                return NULL;

        uint32_t id = r->link & ~LINK_CLASS;
        Class *class = bg_chunks_at(&names->classes, id);

        while (class->up != id) {
                const Class *up = bg_chunks_at(&names->classes, class->up);

                class->up = up->up; /* halve the path: what was found is unchanged, later searches are shorter */
                id = class->up;
                class = bg_chunks_at(&names->classes, id);
        }
        return class;
}

BgNameRef bg_names_root(const BgNames *names, BgNameRef ref)
{
        const Class *class = class_of(names, record(names, ref));

        return class ? class->first : ref;
}

BgModelId bg_names_model(const BgNames *names, BgNameRef ref)
{
        const Record *r = record(names, ref);
        const Class *class = class_of(names, r);

        if (class)
                return class->model;
        return r->link == LINK_NONE ? BG_MODEL_NONE : r->link;
}

void bg_names_set_model(BgNames *names, BgNameRef ref, BgModelId model)
{
        Record *r = record(names, ref);
        Class *class = class_of(names, r);

        assert(model < LINK_NONE);
        if (class)
                class->model = model;
        else
                r->link = model;
}

BgNameRef bg_names_display(const BgNames *names, BgNameRef ref)
{
        const Class *class = class_of(names, record(names, ref));

        return class ? class->display : ref;
}

bool bg_names_cited(const BgNames *names, BgNameRef ref)
{
        const Record *r = record(names, ref);
        const Class *class = class_of(names, r);

        return class ? class->cited : r->cited;
}

void bg_names_cite(BgNames *names, BgNameRef ref)
{
        Record *r = record(names, ref);
        Class *class = class_of(names, r);

        if (class)
                class->cited = true;
        r->cited = true;
}

static Class *ensure_class(BgNames *names, BgNameRef ref)
{
        Record *r = record(names, ref);
        Class *class = class_of(names, r);

        if (class)
                return class;

        uint32_t id = (uint32_t)names->classes.n;

        class = bg_chunks_push(&names->classes);
        if (!class)
                return NULL;
        *class = (Class){ .up = id, .model = bg_names_model(names, ref), .first = ref, .display = ref, .cited = r->cited };
        r->link = LINK_CLASS | id;
        return class;
}

static void show(const BgNames *names, Class *class, BgNameRef display, BgSecond at)
{
        if (class->renamed &&
            (at < class->renamed_at || (at == class->renamed_at && bg_names_compare(names, display, class->display) <= 0)))
                return;
        class->renamed = true;
        class->renamed_at = at;
        class->display = display;
}

int bg_names_join(BgNames *names, BgNameRef from, BgNameRef to, BgSecond at)
{
        Class *class = ensure_class(names, from);
        Class *other = ensure_class(names, to);

        if (!class || !other)
                return -ENOMEM;
        if (class != other) {
                other->up = class->up;
                class->cited |= other->cited;
                if (other->renamed)
                        show(names, class, other->display, other->renamed_at);
        }
        show(names, class, to, at);
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "client/revisions.h"

typedef struct BgRevision {
        char *key; /* NULL: free */
        size_t n_key;
        uint64_t hash;
        int64_t revision;
} BgRevision;

/* FNV-1a: the keys come from the daemon we trust with the content */
static uint64_t hash_of(const char *key, size_t n)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ (unsigned char)key[i]) * UINT64_C(0x100000001b3);
        return hash ^ hash >> 32;
}

static int grow(BgRevisions *revisions)
{
        size_t cap = revisions->cap ? 2 * revisions->cap : 64;
        BgRevision *slots = calloc(cap, sizeof(*slots));

        if (!slots)
                return -1;
        for (size_t i = 0; i < revisions->cap; i++) {
                size_t j = revisions->slots[i].hash & (cap - 1);

                if (!revisions->slots[i].key)
                        continue;
                while (slots[j].key)
                        j = (j + 1) & (cap - 1);
                slots[j] = revisions->slots[i];
        }
        free(revisions->slots);
        revisions->slots = slots;
        revisions->cap = cap;
        return 0;
}

int64_t *bg_revisions_at(BgRevisions *revisions, const char *key, size_t n_key)
{
        uint64_t hash = hash_of(key, n_key);
        BgRevision *slot;
        size_t i;

        if (4 * (revisions->n + 1) > 3 * revisions->cap && grow(revisions))
                return NULL;
        for (i = hash & (revisions->cap - 1);; i = (i + 1) & (revisions->cap - 1)) {
                slot = &revisions->slots[i];
                if (!slot->key)
                        break;
                if (slot->hash == hash && slot->n_key == n_key && !memcmp(slot->key, key, n_key))
                        return &slot->revision;
        }
        slot->key = malloc(n_key ? n_key : 1);
        if (!slot->key)
                return NULL;
        memcpy(slot->key, key, n_key);
        slot->n_key = n_key;
        slot->hash = hash;
        slot->revision = 0;
        revisions->n++;
        return &slot->revision;
}

void bg_revisions_clear(BgRevisions *revisions)
{
        for (size_t i = 0; i < revisions->cap; i++)
                free(revisions->slots[i].key);
        free(revisions->slots);
        *revisions = (BgRevisions){ 0 };
}

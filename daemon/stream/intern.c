/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Open addressing with linear probing on 32 bits of SipHash, which are kept, so that growing hashes nothing again. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "daemon/stream/intern.h"

_Static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == 8, "SipHash-2-4");

struct BgInternSlot {
        uint32_t hash;
        uint32_t id; /* 0 = free */
};

#define SLOTS_FIRST 64

void bg_intern_init(BgIntern *names, const unsigned char key[16])
{
        *names = (BgIntern){ 0 };
        memcpy(names->key, key, 16);
}

void bg_intern_deinit(BgIntern *names)
{
        free(names->slots);
        free(names->texts);
        bg_text_chunks_deinit(&names->chunks);
        *names = (BgIntern){ 0 };
}

static void slots_place(struct BgInternSlot *slots, size_t n_slots, struct BgInternSlot slot)
{
        size_t i = slot.hash & (n_slots - 1);
        while (slots[i].id)
                i = (i + 1) & (n_slots - 1);
        slots[i] = slot;
}

/* Room for one more, in both tables: after this nothing can fail but the text. */
static int names_reserve(BgIntern *names)
{
        if (names->n >= names->cap_texts) {
                size_t cap = names->cap_texts ? names->cap_texts * 2 : SLOTS_FIRST;
                const char **texts = realloc(names->texts, cap * sizeof(*texts));
                if (!texts)
                        return -ENOMEM;
                names->texts = texts;
                names->cap_texts = cap;
        }
        if (names->n + 1 > names->n_slots / 4 * 3) {
                size_t n_slots = names->n_slots ? names->n_slots * 2 : SLOTS_FIRST;
                struct BgInternSlot *slots = calloc(n_slots, sizeof(*slots));
                if (!slots)
                        return -ENOMEM;
                for (size_t i = 0; i < names->n_slots; i++)
                        if (names->slots[i].id)
                                slots_place(slots, n_slots, names->slots[i]);
                free(names->slots);
                names->slots = slots;
                names->n_slots = n_slots;
        }
        return 0;
}

int bg_intern_number(BgIntern *names, BgStr name, uint32_t *idp)
{
        unsigned char hash_bytes[crypto_shorthash_BYTES];
        char text[1 + 255];
        uint32_t hash;

        *idp = 0;
        if (name.len == 0)
                return 0;
        assert(name.len <= 255);
        crypto_shorthash(hash_bytes, (const unsigned char *)name.data, name.len, names->key);
        memcpy(&hash, hash_bytes, sizeof(hash));

        for (size_t i = hash & (names->n_slots - 1); names->n_slots && names->slots[i].id; i = (i + 1) & (names->n_slots - 1)) {
                if (names->slots[i].hash != hash || !bg_str_equal(bg_intern_text(names, names->slots[i].id), name))
                        continue;
                *idp = names->slots[i].id;
                return 0;
        }

        if (names->n == UINT32_MAX || names_reserve(names))
                return -ENOMEM;
        text[0] = (char)(unsigned char)name.len;
        memcpy(text + 1, name.data, name.len);
        const char *copy = bg_text_chunks_copy(&names->chunks, text, 1 + name.len, NULL);
        if (!copy)
                return -ENOMEM;
        names->texts[names->n++] = copy;
        slots_place(names->slots, names->n_slots, (struct BgInternSlot){ hash, names->n });
        *idp = names->n;
        return 0;
}

BgStr bg_intern_text(const BgIntern *names, uint32_t id)
{
        if (id == 0 || id > names->n)
                return (BgStr){ NULL, 0 };
        return (BgStr){ names->texts[id - 1] + 1, (unsigned char)names->texts[id - 1][0] };
}

/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_REVISIONS_H
#define BURGEON_CLIENT_REVISIONS_H

#include <stddef.h>
#include <stdint.h>

/** Last revision by key: an open hash table that grows. The zero value is empty. About 40 B and the key an entry. */
typedef struct BgRevisions {
        struct BgRevision *slots;
        size_t n;
        size_t cap; /* a power of two, or 0 */
} BgRevisions;

/** Where the revision of a key is kept, 0 when it is new; valid until the next call. NULL: no memory. */
int64_t *bg_revisions_at(BgRevisions *revisions, const char *key, size_t n_key);
void bg_revisions_clear(BgRevisions *revisions); /* frees everything; accepts the zero value, and twice */

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_PROTO_EXAMPLES_H
#define BURGEON_PROTO_EXAMPLES_H

/* Examples of every message, good and bad: for PROTOCOL.md and the test vectors. */

#include "proto/wire.h"

#define BG_EXAMPLE_REJECTS_MAX 4

typedef struct BgExample {
        const char *name;
        const BgProtoType *type;
        const char *json;  /* as JSON (of a good message: times may be text); NULL = `bytes` says it */
        BgStr bytes;
        BgError error;     /* the whole message is refused with this code; NONE: it is good */
        struct {
                size_t index;
                BgReject reason;
                const char *key;
        } rejects[BG_EXAMPLE_REJECTS_MAX]; /* events refused within a good batch; ends with reason NONE */
        const char *doc;
} BgExample;

extern const BgExample bg_examples[];
extern const size_t bg_n_examples;

/** The example's msgpack. Return: 0, negative errno, or BG_PROTO_E_MALFORMED with *error: the example itself is wrong. */
int bg_example_bytes(const BgExample *example, BgBuffer *out, BgProtoError *error);
const BgExample *bg_example_named(const char *name); /* NULL when there is none */

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_DOOR_H
#define BURGEON_IO_DOOR_H

#include "daemon/io/bridge.h"

/*
 * A door: one socket with its options, bound or connected to its endpoints, on the loop.
 *
 * ROUTER doors say when a peer is gone or does not read, instead of dropping answers unseen. XPUB doors are told of every
 * subscription, also repeated ones, and let a peer that hangs go within seconds (ZMTP heartbeats).
 */

enum {
        BG_DOOR_ENDPOINTS_MAX = 16,
        BG_DOOR_ENDPOINT_SIZE = 256,
};

typedef struct BgDoorSpec {
        const char *name; /* "submit": for messages to people */
        int type;         /* ZMQ_ROUTER, ZMQ_XPUB bind; ZMQ_SUB connects and subscribes to `topics` */
        const char *const *endpoints;
        size_t n_endpoints;
        const char *const *topics;
        size_t n_topics;
        int64_t message_bytes_max; /* a larger message is answered by its reader; one over twice of it cuts the connection */
        int out_max;               /* messages queued for one peer; 0 = no bound */
        int in_max;                /* messages queued from one peer */
} BgDoorSpec;

typedef struct BgDoor {
        BgBridge bridge;
        const char *name;
        size_t n_endpoints;
        char endpoints[BG_DOOR_ENDPOINTS_MAX][BG_DOOR_ENDPOINT_SIZE]; /* as bound: a wildcard port is a number here */
} BgDoor;

#define BG_DOOR_E_UNUSABLE 1 /* `why`: which endpoint, and what is wrong with it */

/** @door: zero. 0, BG_DOOR_E_UNUSABLE or negative errno; then nothing is open but loop handles that may still be closing. */
int bg_door_open(BgDoor *door, uv_loop_t *loop, void *zmq, const BgDoorSpec *spec, BgBridgeReceived *received, void *data, char *why,
                 size_t why_size);
void bg_door_close(BgDoor *door, void (*closed)(void *data), void *data);

#endif

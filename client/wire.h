/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_WIRE_H
#define BURGEON_CLIENT_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* The only file of the library that speaks to libzmq: a socket with its own context, translated errors, waits with a deadline. */

typedef enum BgWireKind { BG_WIRE_SUBSCRIBE, BG_WIRE_DEALER } BgWireKind;

typedef struct BgWire {
        void *context;
        void *socket;
} BgWire;

/** @queue_max: messages held in either direction. Return: 0, -EINVAL (endpoint), -ENOMEM, .. with the wire zero. */
int bg_wire_open(BgWire *wire, BgWireKind kind, const char *endpoint, int queue_max);
void bg_wire_close(BgWire *wire); /* drops what was not sent; accepts the zero value, and twice */

int bg_wire_subscribe(BgWire *wire, const char *topic);
int bg_wire_unsubscribe(BgWire *wire, const char *topic);

/** Hand over one message of one frame. Return: 0, BG_E_TIMEOUT when the queue is full, negative errno. */
int bg_wire_send(BgWire *wire, const void *bytes, size_t n_bytes);

/** Up to two frames of a message; further ones are dropped. Zero value is empty. */
typedef struct BgWireMessage {
        size_t n;
        struct {
                void *bytes;
                size_t n_bytes;
        } frames[2];
        _Alignas(8) unsigned char zmq[2][64];
} BgWireMessage;

/** Wait until `deadline_ms` (of bg_wire_now()); INT64_MAX = for ever. Return: 0, BG_E_TIMEOUT, BG_E_INTERRUPTED, negative errno. */
int bg_wire_receive(BgWire *wire, int64_t deadline_ms, BgWireMessage *message);
void bg_wire_message_deinit(BgWireMessage *message);

int64_t bg_wire_now(void); /* monotonic, milliseconds */
/** now + timeout; negative timeouts never end. */
int64_t bg_wire_deadline(int timeout_ms);
int bg_wire_fd(const BgWire *wire);

#endif

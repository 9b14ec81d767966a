/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_BRIDGE_H
#define BURGEON_IO_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include <zmq.h>

/*
 * A ZeroMQ socket on a libuv loop. Nothing else in the program knows of ZMQ_FD.
 *
 * Messages are received whole, up to a budget per turn of the loop, and handed over frame by frame in one call. Nothing blocks.
 * All calls belong to the loop's thread.
 */

enum {
        BG_BRIDGE_FRAMES_MAX = 16,          /* a message with more is handed over as n_frames == 0 */
        BG_BRIDGE_MESSAGES_PER_TURN = 256,  /* so that one door cannot starve the others .. */
        BG_BRIDGE_NS_PER_TURN = 4000000,    /* .. nor the timers: no new message is begun after this long */
};

typedef struct BgBridge BgBridge;

/** One message. The frames may be moved out (zmq_msg_move); what is left is closed afterwards. */
typedef void BgBridgeReceived(void *data, zmq_msg_t *frames, size_t n_frames);

struct BgBridge {
        void *socket; /* NULL when closed */
        uv_poll_t poll;
        uv_prepare_t prepare;
        uv_check_t check;
        uv_idle_t idle;
        unsigned n_handles; /* initialised and not yet closed */
        bool paused;
        bool closing;
        BgBridgeReceived *received;
        void *data;
        void (*closed)(void *data);
        void *closed_data;
};

/** A socket with the options every door shares (linger, IPv6 off, a bound for its messages). 0, or negative errno. */
int bg_bridge_socket(void **socketp, void *zmq, int type, int64_t message_bytes_max);

/**
 * bg_bridge_open() - put a socket on the loop
 * @bridge:   zero; must stay where it is until closed
 * @socket:   taken over on success, also closed by bg_bridge_close(); options set, bound or connected
 * @received: called for every message; NULL for a socket that only sends
 * Return: 0, or negative errno with nothing taken and the bridge zero again; then loop handles may still be closing: run the loop.
 */
int bg_bridge_open(BgBridge *bridge, uv_loop_t *loop, void *socket, BgBridgeReceived *received, void *data);

/** Leave the socket and close it; returns at once; `closed` is called once from the loop, or now when it was never open. */
void bg_bridge_close(BgBridge *bridge, void (*closed)(void *data), void *data);

/** Stop receiving, so that the peers' queues fill up and they feel it; and go on. Idempotent. */
void bg_bridge_pause(BgBridge *bridge, bool paused);

#define BG_BRIDGE_E_FULL 1 /* the peer does not read: its queue is full */
#define BG_BRIDGE_E_GONE 2 /* the peer is not connected any more (ROUTER) */

/**
 * bg_bridge_send() - send frames as one message
 * The frames are taken: moved on success, closed otherwise. All or nothing goes out.
 * Return: 0, a code above, or negative errno.
 */
int bg_bridge_send(BgBridge *bridge, zmq_msg_t *frames, size_t n_frames);

/** A frame with a copy of bytes. 0 or -ENOMEM (then an empty frame: safe to close). */
int bg_bridge_frame(zmq_msg_t *frame, const void *bytes, size_t n_bytes);
void bg_bridge_frames_close(zmq_msg_t *frames, size_t n_frames);

#endif

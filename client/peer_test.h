/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_PEER_TEST_H
#define BURGEON_CLIENT_PEER_TEST_H

/* A real ZeroMQ peer for the tests of the library: the daemon's doors on a port of their own, driven by the test. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>
#include <cmocka.h>

#include "client/burgeon.h"

#define WAIT_MS 5000 /* for what must come; a test that fails takes so long */

typedef struct Peer {
        void *context;
        void *socket;
        char endpoint[128];
} Peer;

static inline void peer_open(Peer *peer, int kind)
{
        const int one = 1, zero = 0, wait = WAIT_MS;
        size_t size = sizeof(peer->endpoint);

        peer->context = zmq_ctx_new();
        peer->socket = zmq_socket(peer->context, kind);
        assert_non_null(peer->socket);
        zmq_setsockopt(peer->socket, ZMQ_LINGER, &zero, sizeof(zero));
        zmq_setsockopt(peer->socket, ZMQ_RCVTIMEO, &wait, sizeof(wait));
        if (kind == ZMQ_XPUB)
                zmq_setsockopt(peer->socket, ZMQ_XPUB_VERBOSER, &one, sizeof(one));
        assert_int_equal(zmq_bind(peer->socket, "tcp://127.0.0.1:*"), 0);
        assert_int_equal(zmq_getsockopt(peer->socket, ZMQ_LAST_ENDPOINT, peer->endpoint, &size), 0);
}

static inline void peer_close(Peer *peer)
{
        zmq_close(peer->socket);
        zmq_ctx_term(peer->context);
}

/* ---- XPUB ------------------------------------------------------------------------------------------------------------------- */

static inline void peer_expect_subscription(Peer *peer, bool on, const char *topic)
{
        char frame[256];
        int n = zmq_recv(peer->socket, frame, sizeof(frame), 0);

        assert_int_equal(n, (int)strlen(topic) + 1);
        assert_int_equal(frame[0], on);
        assert_memory_equal(frame + 1, topic, strlen(topic));
}

static inline void peer_publish(Peer *peer, const char *topic, const BgProtoType *type, const void *message)
{
        BgBuffer bytes = { 0 };

        assert_int_equal(bg_proto_pack(type, message, &bytes), 0);
        assert_int_equal(zmq_send(peer->socket, topic, strlen(topic), ZMQ_SNDMORE), (int)strlen(topic));
        assert_int_equal(zmq_send(peer->socket, bytes.data, bytes.len, 0), (int)bytes.len);
        bg_buffer_deinit(&bytes);
}

/* ---- ROUTER ------------------------------------------------------------------------------------------------------------------ */

typedef struct PeerMessage {
        unsigned char who[256];
        int n_who;
        char bytes[1 << 16];
        int n_bytes;
        BgArena arena;
} PeerMessage;

/* False: nothing came for `timeout_ms`. */
static inline bool peer_receive(Peer *peer, PeerMessage *message, int timeout_ms)
{
        zmq_pollitem_t item = { .socket = peer->socket, .events = ZMQ_POLLIN };

        if (zmq_poll(&item, 1, timeout_ms) <= 0)
                return false;
        message->n_who = zmq_recv(peer->socket, message->who, sizeof(message->who), 0);
        message->n_bytes = zmq_recv(peer->socket, message->bytes, sizeof(message->bytes), 0);
        return message->n_who > 0 && message->n_bytes >= 0 && (size_t)message->n_bytes <= sizeof(message->bytes);
}

static inline void peer_answer_bytes(Peer *peer, const PeerMessage *message, const void *bytes, size_t n)
{
        zmq_send(peer->socket, message->who, (size_t)message->n_who, ZMQ_SNDMORE);
        zmq_send(peer->socket, bytes, n, 0);
}

static inline void peer_answer(Peer *peer, const PeerMessage *message, const BgProtoType *type, const void *answer)
{
        BgBuffer bytes = { 0 };

        if (!bg_proto_pack(type, answer, &bytes))
                peer_answer_bytes(peer, message, bytes.data, bytes.len);
        bg_buffer_deinit(&bytes);
}

#endif

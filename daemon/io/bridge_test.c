/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>

#include "daemon/io/bridge.h"

/*
 * A bridged ROUTER on a loop that has nothing else to wake it, and a peer with blocking calls on its own thread: a lost
 * wake-up ends in a peer that waits for ever, which the receive timeout turns into a failure.
 */
enum { MESSAGES = 1000, PEER_TIMEOUT_MS = 10000 };

typedef struct Fixture {
        uv_loop_t loop;
        void *zmq;
        BgBridge bridge;
        uv_async_t peer_done;
        uv_timer_t timer;
        char endpoint[64];
        unsigned n_received;
        unsigned n_bad;
        unsigned n_frameless;
        unsigned n_closed;
        bool pause_every_hundred;
        int peer_result;
        void (*peer)(struct Fixture *fixture, void *socket);
} Fixture;

static void *run_peer(void *data)
{
        Fixture *f = data;
        const int timeout_ms = PEER_TIMEOUT_MS, zero = 0;
        void *socket = zmq_socket(f->zmq, ZMQ_DEALER);

        zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms));
        zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero));
        f->peer_result = zmq_connect(socket, f->endpoint) ? -errno : 0;
        if (!f->peer_result)
                f->peer(f, socket);
        zmq_close(socket);
        uv_async_send(&f->peer_done);
        return NULL;
}

static void resume(uv_timer_t *timer)
{
        Fixture *f = timer->data;

        bg_bridge_pause(&f->bridge, false);
}

static void echo(void *data, zmq_msg_t *frames, size_t n_frames)
{
        Fixture *f = data;

        if (n_frames != 2) {
                if (n_frames == 0)
                        f->n_frameless++;
                else
                        f->n_bad++;
                return;
        }
        f->n_received++;
        if (bg_bridge_send(&f->bridge, frames, n_frames))
                f->n_bad++;
        if (f->pause_every_hundred && f->n_received % 100 == 0) {
                bg_bridge_pause(&f->bridge, true);
                uv_timer_start(&f->timer, resume, 1, 0);
        }
}

static void on_closed(void *data) { ((Fixture *)data)->n_closed++; }

static void on_peer_done(uv_async_t *async)
{
        Fixture *f = async->data;

        bg_bridge_close(&f->bridge, on_closed, f);
        bg_bridge_close(&f->bridge, on_closed, f); /* idempotent: reports once */
        uv_close((uv_handle_t *)&f->timer, NULL);
        uv_close((uv_handle_t *)async, NULL);
}

static void run(Fixture *f, const char *bind_to)
{
        size_t size = sizeof(f->endpoint);
        pthread_t thread;
        void *socket;

        assert_int_equal(uv_loop_init(&f->loop), 0);
        f->zmq = zmq_ctx_new();
        assert_int_equal(bg_bridge_socket(&socket, f->zmq, ZMQ_ROUTER, 1 << 20), 0);
        assert_int_equal(zmq_bind(socket, bind_to), 0);
        assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, f->endpoint, &size), 0);
        assert_int_equal(bg_bridge_open(&f->bridge, &f->loop, socket, echo, f), 0);
        f->peer_done.data = f->timer.data = f;
        assert_int_equal(uv_async_init(&f->loop, &f->peer_done, on_peer_done), 0);
        assert_int_equal(uv_timer_init(&f->loop, &f->timer), 0);

        assert_int_equal(pthread_create(&thread, NULL, run_peer, f), 0);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        pthread_join(thread, NULL);
        assert_int_equal(f->n_closed, 1);
        assert_int_equal(uv_loop_close(&f->loop), 0);
        while (zmq_ctx_term(f->zmq) && zmq_errno() == EINTR)
                ; /* a signal of the test came in between */
        assert_int_equal(f->peer_result, 0);
        assert_int_equal(f->n_bad, 0);
}

static int expect(void *socket, uint32_t i)
{
        uint32_t got;

        if (zmq_recv(socket, &got, sizeof(got), 0) != sizeof(got))
                return -errno;
        return got == i ? 0 : -EPROTO;
}

/* All at once: many messages behind one edge of the descriptor. */
static void peer_burst(Fixture *f, void *socket)
{
        for (uint32_t i = 0; i < MESSAGES; i++)
                zmq_send(socket, &i, sizeof(i), 0);
        for (uint32_t i = 0; i < MESSAGES && !f->peer_result; i++)
                f->peer_result = expect(socket, i);
}

/* One at a time: every message needs its own wake-up. */
static void peer_ping_pong(Fixture *f, void *socket)
{
        for (uint32_t i = 0; i < MESSAGES && !f->peer_result; i++) {
                zmq_send(socket, &i, sizeof(i), 0);
                f->peer_result = expect(socket, i);
        }
}

/* More frames than anyone needs: handed over as none, and what comes after is whole. */
static void peer_many_frames(Fixture *f, void *socket)
{
        uint32_t i = 7;

        for (int n = 0; n < 100; n++)
                zmq_send(socket, "x", 1, ZMQ_SNDMORE);
        zmq_send(socket, "x", 1, 0);
        zmq_send(socket, &i, sizeof(i), 0);
        f->peer_result = expect(socket, 7);
}

static void thousand_of_thousand_in_a_burst(void **state)
{
        Fixture f = { .peer = peer_burst };

        (void)state;
        run(&f, "tcp://127.0.0.1:*");
        assert_int_equal(f.n_received, MESSAGES);
}

static void thousand_of_thousand_one_at_a_time(void **state)
{
        Fixture f = { .peer = peer_ping_pong };

        (void)state;
        run(&f, "ipc://*");
        assert_int_equal(f.n_received, MESSAGES);
}

/* Paused in the middle with more queued: what waits is delivered after the pause though no new edge comes. */
static void a_pause_loses_nothing(void **state)
{
        Fixture f = { .peer = peer_burst, .pause_every_hundred = true };

        (void)state;
        run(&f, "tcp://127.0.0.1:*");
        assert_int_equal(f.n_received, MESSAGES);
}

static void too_many_frames_are_named(void **state)
{
        Fixture f = { .peer = peer_many_frames };

        (void)state;
        run(&f, "tcp://127.0.0.1:*");
        assert_int_equal(f.n_frameless, 1);
        assert_int_equal(f.n_received, 1);
}

static void count(void *data) { (*(unsigned *)data)++; }

/* The zero value can be closed, and a descriptor the loop refuses leaves nothing behind. */
static void what_was_never_open_closes(void **state)
{
        BgBridge bridge = { 0 };
        unsigned n = 0;

        (void)state;
        bg_bridge_close(&bridge, count, &n);
        assert_int_equal(n, 1);
}

/* Sending to a peer that is not there says so instead of dropping the message unseen. */
static void a_missing_peer_is_told_apart(void **state)
{
        const int on = 1;
        zmq_msg_t frames[2];
        BgBridge bridge = { 0 };
        uv_loop_t loop;
        void *zmq = zmq_ctx_new(), *socket;
        unsigned n = 0;

        (void)state;
        uv_loop_init(&loop);
        assert_int_equal(bg_bridge_socket(&socket, zmq, ZMQ_ROUTER, 1000), 0);
        zmq_setsockopt(socket, ZMQ_ROUTER_MANDATORY, &on, sizeof(on));
        assert_int_equal(bg_bridge_open(&bridge, &loop, socket, NULL, NULL), 0);
        assert_int_equal(bg_bridge_frame(&frames[0], "nobody", 6), 0);
        assert_int_equal(bg_bridge_frame(&frames[1], "text", 4), 0);
        assert_int_equal(bg_bridge_send(&bridge, frames, 2), BG_BRIDGE_E_GONE);
        bg_bridge_close(&bridge, count, &n);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(n, 1);
        assert_int_equal(uv_loop_close(&loop), 0);
        while (zmq_ctx_term(zmq) && zmq_errno() == EINTR)
                ;
}

/* ---- signals --------------------------------------------------------------------------------------------------------------- */

typedef struct Signaller {
        pthread_t target;
        int ended;
} Signaller;

static void on_signal(int number) { (void)number; }

static void *send_signals(void *data)
{
        Signaller *signaller = data;

        while (!__atomic_load_n(&signaller->ended, __ATOMIC_ACQUIRE)) {
                pthread_kill(signaller->target, SIGUSR1);
                sched_yield();
        }
        return NULL;
}

/* A signal that arrives in the middle of a libzmq call costs no message and no frame of one. */
static void signals_lose_nothing(void **state)
{
        const struct sigaction action = { .sa_handler = on_signal };
        Signaller signaller = { .target = pthread_self() };
        Fixture f = { .peer = peer_ping_pong };
        struct sigaction before;
        pthread_t thread;

        (void)state;
        sigaction(SIGUSR1, &action, &before);
        assert_int_equal(pthread_create(&thread, NULL, send_signals, &signaller), 0);
        run(&f, "ipc://*");
        assert_int_equal(f.n_received, MESSAGES);
        f = (Fixture){ .peer = peer_burst };
        run(&f, "ipc://*");
        assert_int_equal(f.n_received, MESSAGES);
        __atomic_store_n(&signaller.ended, 1, __ATOMIC_RELEASE);
        pthread_join(thread, NULL);
        sigaction(SIGUSR1, &before, NULL);
}

/* The thread sanitizer takes signals over, and under a storm of them loses joins of its own: it reports threads that were joined. */
#if defined(__SANITIZE_THREAD__)
#define STORM_OF_SIGNALS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STORM_OF_SIGNALS 0
#endif
#endif
#ifndef STORM_OF_SIGNALS
#define STORM_OF_SIGNALS 1
#endif

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(thousand_of_thousand_in_a_burst), cmocka_unit_test(thousand_of_thousand_one_at_a_time),
                cmocka_unit_test(a_pause_loses_nothing),           cmocka_unit_test(too_many_frames_are_named),
                cmocka_unit_test(what_was_never_open_closes),      cmocka_unit_test(a_missing_peer_is_told_apart),
                cmocka_unit_test(signals_lose_nothing), /* last: left out where it cannot run */
        };

        return _cmocka_run_group_tests("bridge", tests, sizeof(tests) / sizeof(*tests) - !STORM_OF_SIGNALS, NULL, NULL);
}

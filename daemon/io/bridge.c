/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ZMQ_FD is edge-triggered in disguise: it becomes readable when the socket's *state* may have changed, not while there are
 * messages, and reading ZMQ_EVENTS (or any send or receive) takes the signal away. So nobody may go to sleep on it without
 * having looked at ZMQ_EVENTS after the last thing done to the socket. That is what prepare does, right before the loop
 * polls: when there is something to receive it starts an idle handle, which keeps the loop from sleeping; check, right after
 * the poll, receives. The poll handle only wakes the loop. Another module's prepare may run after ours and send: so a send
 * looks again.
 */
#include "daemon/io/bridge.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* enough for replies and acknowledgements to leave after SIGTERM; ends a stuck peer's hold on the exit */
enum { LINGER_MS = 500 };

int bg_bridge_socket(void **socketp, void *zmq, int type, int64_t message_bytes_max)
{
        const int linger_ms = LINGER_MS;
        void *socket;

        socket = zmq_socket(zmq, type);
        if (!socket)
                return -errno;
        if (zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms)) ||
            zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_bytes_max, sizeof(message_bytes_max))) {
                int r = -errno;

                zmq_close(socket);
                return r;
        }
        *socketp = socket;
        return 0;
}

/* libzmq looks for its I/O thread's commands in every call, and gives up with EINTR when a signal arrives just then. Nothing was
 * sent or received: only asking again keeps a message whole. */
static int receive_frame(zmq_msg_t *frame, void *socket)
{
        int r;

        do
                r = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
        while (r < 0 && errno == EINTR);
        return r;
}

static int send_frame(zmq_msg_t *frame, void *socket, int flags)
{
        int r;

        do
                r = zmq_msg_send(frame, socket, flags);
        while (r < 0 && errno == EINTR);
        return r;
}

static bool has_input(BgBridge *bridge)
{
        int events = 0;
        size_t size = sizeof(events);

        while (zmq_getsockopt(bridge->socket, ZMQ_EVENTS, &events, &size))
                if (errno != EINTR)
                        return false;
        return events & ZMQ_POLLIN;
}

/* Return: 1 for a message, 0 when there is none. */
static int receive_one(BgBridge *bridge)
{
        zmq_msg_t frames[BG_BRIDGE_FRAMES_MAX];
        size_t n = 0;
        bool more = true, too_many = false;

        while (more) {
                zmq_msg_t surplus;
                zmq_msg_t *frame = n < BG_BRIDGE_FRAMES_MAX ? &frames[n] : &surplus;

                zmq_msg_init(frame);
                if (receive_frame(frame, bridge->socket) < 0) {
                        /* between the frames of one message libzmq has all of them: only the first can be missing */
                        zmq_msg_close(frame);
                        bg_bridge_frames_close(frames, n);
                        return 0;
                }
                more = zmq_msg_more(frame);
                if (frame == &surplus) {
                        too_many = true;
                        zmq_msg_close(&surplus);
                } else {
                        n++;
                }
        }
        bridge->received(bridge->data, frames, too_many ? 0 : n);
        bg_bridge_frames_close(frames, n);
        return 1;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
        (void)handle;
        (void)status;
        (void)events;
}

static void on_idle(uv_idle_t *handle) { (void)handle; }

/* asked also while paused: it takes the signal away, or the loop would spin on a readable descriptor */
static void stay_awake_for_input(BgBridge *bridge)
{
        if (has_input(bridge) && bridge->received && !bridge->paused && !bridge->closing)
                uv_idle_start(&bridge->idle, on_idle);
}

static void on_prepare(uv_prepare_t *handle) { stay_awake_for_input(handle->data); }

static void on_check(uv_check_t *handle)
{
        BgBridge *bridge = handle->data;
        uint64_t until = uv_hrtime() + BG_BRIDGE_NS_PER_TURN;

        uv_idle_stop(&bridge->idle);
        if (!bridge->received)
                return;
        for (unsigned n = 0; n < BG_BRIDGE_MESSAGES_PER_TURN; n++) {
                /* the receiver may pause or close the bridge */
                if (bridge->paused || bridge->closing || !receive_one(bridge) || uv_hrtime() > until)
                        return;
        }
}

static void on_closed(uv_handle_t *handle)
{
        BgBridge *bridge = handle->data;
        void (*closed)(void *) = bridge->closed;
        void *closed_data = bridge->closed_data;

        if (--bridge->n_handles)
                return;
        /* only now: libzmq owns the descriptor that the poll handle watched */
        if (bridge->socket)
                zmq_close(bridge->socket);
        *bridge = (BgBridge){ 0 };
        if (closed)
                closed(closed_data);
}

static void close_handles(BgBridge *bridge)
{
        bridge->closing = true;
        /* prepare, check and idle cannot fail to start, so either all four are there or none is */
        uv_close((uv_handle_t *)&bridge->poll, on_closed);
        uv_close((uv_handle_t *)&bridge->prepare, on_closed);
        uv_close((uv_handle_t *)&bridge->check, on_closed);
        uv_close((uv_handle_t *)&bridge->idle, on_closed);
}

int bg_bridge_open(BgBridge *bridge, uv_loop_t *loop, void *socket, BgBridgeReceived *received, void *data)
{
        int fd = -1, r;
        size_t size = sizeof(fd);

        assert(!bridge->socket && !bridge->n_handles);
        if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size))
                return -errno;
        r = uv_poll_init(loop, &bridge->poll, fd);
        if (r)
                return r;
        uv_prepare_init(loop, &bridge->prepare);
        uv_check_init(loop, &bridge->check);
        uv_idle_init(loop, &bridge->idle);
        bridge->poll.data = bridge->prepare.data = bridge->check.data = bridge->idle.data = bridge;
        bridge->n_handles = 4;
        bridge->received = received;
        bridge->data = data;

        r = uv_poll_start(&bridge->poll, UV_READABLE, on_poll);
        if (r) {
                close_handles(bridge);
                return r;
        }
        bridge->socket = socket;
        uv_prepare_start(&bridge->prepare, on_prepare);
        uv_check_start(&bridge->check, on_check);
        return 0;
}

void bg_bridge_close(BgBridge *bridge, void (*closed)(void *data), void *data)
{
        if (!bridge->n_handles) {
                closed(data);
                return;
        }
        if (!bridge->closed) {
                bridge->closed = closed;
                bridge->closed_data = data;
        }
        if (!bridge->closing)
                close_handles(bridge);
}

void bg_bridge_pause(BgBridge *bridge, bool paused)
{
        bridge->paused = paused;
        if (!paused && bridge->socket)
                stay_awake_for_input(bridge);
}

static int send_frames(BgBridge *bridge, zmq_msg_t *frames, size_t n_frames)
{
        for (size_t i = 0; i < n_frames; i++) {
                int flags = ZMQ_DONTWAIT | (i + 1 < n_frames ? ZMQ_SNDMORE : 0);
                int r;

                if (send_frame(&frames[i], bridge->socket, flags) >= 0)
                        continue;
                r = errno;
                bg_bridge_frames_close(frames + i, n_frames - i);
                if (r == EAGAIN)
                        return BG_BRIDGE_E_FULL;
                if (r == EHOSTUNREACH)
                        return BG_BRIDGE_E_GONE;
                return -r;
        }
        return 0;
}

int bg_bridge_send(BgBridge *bridge, zmq_msg_t *frames, size_t n_frames)
{
        int r = send_frames(bridge, frames, n_frames);

        stay_awake_for_input(bridge);
        return r;
}

int bg_bridge_frame(zmq_msg_t *frame, const void *bytes, size_t n_bytes)
{
        if (zmq_msg_init_size(frame, n_bytes)) {
                zmq_msg_init(frame);
                return -ENOMEM;
        }
        if (n_bytes)
                memcpy(zmq_msg_data(frame), bytes, n_bytes);
        return 0;
}

void bg_bridge_frames_close(zmq_msg_t *frames, size_t n_frames)
{
        for (size_t i = 0; i < n_frames; i++)
                zmq_msg_close(&frames[i]);
}

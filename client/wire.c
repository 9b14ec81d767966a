/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "client/burgeon.h"
#include "client/wire.h"

_Static_assert(sizeof(zmq_msg_t) <= sizeof(((BgWireMessage *)NULL)->zmq[0]), "a zmq message fits");

static int zmq_result(void)
{
        int e = zmq_errno();

        return e == EINTR ? BG_E_INTERRUPTED : e == EAGAIN ? BG_E_TIMEOUT : e > 0 ? -e : -EIO;
}

static int set_options(void *socket, int queue_max)
{
        const struct {
                int option;
                int value;
        } options[] = {
                { ZMQ_LINGER, 0 },              /* what is unacknowledged is the submitter's, not the socket's */
                { ZMQ_SNDHWM, queue_max },
                { ZMQ_RCVHWM, queue_max },
                { ZMQ_RECONNECT_IVL, 100 },
                { ZMQ_RECONNECT_IVL_MAX, 2000 },
                /* A daemon that vanished without a word is noticed by the kernel. No ZMTP heartbeats: libzmq 4.3 aborts when one
                   comes due while input waits at its mark (its issues 3937, 4364), and a busy daemon would pass for dead. */
                { ZMQ_TCP_KEEPALIVE, 1 },
                { ZMQ_TCP_KEEPALIVE_IDLE, 10 },
                { ZMQ_TCP_KEEPALIVE_INTVL, 5 },
                { ZMQ_TCP_KEEPALIVE_CNT, 3 },
                { ZMQ_IPV6, 1 },
        };
        const int64_t bytes_max = BG_MESSAGE_BYTES_MAX;

        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
                if (zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof(int)))
                        return zmq_result();
        return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &bytes_max, sizeof(bytes_max)) ? zmq_result() : 0;
}

int bg_wire_open(BgWire *wire, BgWireKind kind, const char *endpoint, int queue_max)
{
        int r;

        *wire = (BgWire){ 0 };
        wire->context = zmq_ctx_new();
        if (!wire->context)
                return zmq_result();
        wire->socket = zmq_socket(wire->context, kind == BG_WIRE_SUBSCRIBE ? ZMQ_SUB : ZMQ_DEALER);
        r = wire->socket ? set_options(wire->socket, queue_max) : zmq_result();
        if (!r && zmq_connect(wire->socket, endpoint))
                r = zmq_errno() == EPROTONOSUPPORT ? -EINVAL : zmq_result();
        if (r)
                bg_wire_close(wire);
        return r;
}

void bg_wire_close(BgWire *wire)
{
        if (wire->socket)
                zmq_close(wire->socket);
        while (wire->context && zmq_ctx_term(wire->context) && zmq_errno() == EINTR)
                ;
        *wire = (BgWire){ 0 };
}

int bg_wire_subscribe(BgWire *wire, const char *topic)
{
        return zmq_setsockopt(wire->socket, ZMQ_SUBSCRIBE, topic, strlen(topic)) ? zmq_result() : 0;
}

int bg_wire_unsubscribe(BgWire *wire, const char *topic)
{
        return zmq_setsockopt(wire->socket, ZMQ_UNSUBSCRIBE, topic, strlen(topic)) ? zmq_result() : 0;
}

int bg_wire_send(BgWire *wire, const void *bytes, size_t n_bytes)
{
        return zmq_send(wire->socket, bytes, n_bytes, ZMQ_DONTWAIT) < 0 ? zmq_result() : 0;
}

static int receive_now(BgWire *wire, BgWireMessage *message)
{
        zmq_msg_t extra;
        int r = 0, more = 1;

        for (size_t i = 0; more; i++) {
                zmq_msg_t *frame = i < 2 ? (zmq_msg_t *)message->zmq[i] : &extra;

                zmq_msg_init(frame);
                if (zmq_msg_recv(frame, wire->socket, ZMQ_DONTWAIT) < 0) {
                        r = zmq_result();
                        zmq_msg_close(frame);
                        bg_wire_message_deinit(message);
                        return r;
                }
                more = zmq_msg_more(frame);
                if (i >= 2) {
                        zmq_msg_close(frame);
                        continue;
                }
                message->frames[i].bytes = zmq_msg_data(frame);
                message->frames[i].n_bytes = zmq_msg_size(frame);
                message->n = i + 1;
        }
        return 0;
}

int bg_wire_receive(BgWire *wire, int64_t deadline_ms, BgWireMessage *message)
{
        for (;;) {
                zmq_pollitem_t item = { .socket = wire->socket, .events = ZMQ_POLLIN };
                int64_t left;
                int r;

                bg_wire_message_deinit(message);
                r = receive_now(wire, message);
                if (r != BG_E_TIMEOUT)
                        return r;
                left = deadline_ms == INT64_MAX ? -1 : deadline_ms - bg_wire_now();
                if (deadline_ms != INT64_MAX && left <= 0)
                        return BG_E_TIMEOUT;
                if (zmq_poll(&item, 1, left > 3600000 ? 3600000 : left) < 0)
                        return zmq_result();
        }
}

void bg_wire_message_deinit(BgWireMessage *message)
{
        for (size_t i = 0; i < message->n; i++)
                zmq_msg_close((zmq_msg_t *)message->zmq[i]);
        message->n = 0;
}

int64_t bg_wire_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t bg_wire_deadline(int timeout_ms)
{
        return timeout_ms < 0 ? INT64_MAX : bg_wire_now() + timeout_ms;
}

int bg_wire_fd(const BgWire *wire)
{
        int fd = -1;
        size_t size = sizeof(fd);

        return zmq_getsockopt(wire->socket, ZMQ_FD, &fd, &size) ? -1 : fd;
}

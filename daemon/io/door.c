/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/util/log.h"

/*
 * Heartbeats are for the door of updates alone. Where input may stop at its high-water mark, libzmq 4.3 aborts the process: once
 * the peer is gone, the next heartbeat finds an engine that is waiting to be read (its issues 3937, 4364, 4767); and a peer
 * that feels our back-pressure would take it for our death. Subscriptions have no mark, so that input never stops. No TTL: it
 * would start the same in a subscriber that reads slowly. Elsewhere the kernel notices a dead peer.
 */
enum {
        HEARTBEAT_MS = 1000,
        HEARTBEAT_TIMEOUT_MS = 5000, /* the I/O thread answers, not the loop: five seconds of silence mean a peer that hangs */
        KEEPALIVE_IDLE_S = 30,
        KEEPALIVE_PERIOD_S = 10,
        KEEPALIVE_TRIES = 3,
};

typedef struct Option {
        int name;
        int value;
} Option;

static int set_options(void *socket, const BgDoorSpec *spec)
{
        const Option common[] = {
                { ZMQ_SNDHWM, spec->out_max },
                { ZMQ_RCVHWM, spec->type == ZMQ_XPUB ? 0 : spec->in_max },
                { ZMQ_TCP_KEEPALIVE, 1 },
                { ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S },
                { ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_PERIOD_S },
                { ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_TRIES },
        };
        /* a feed with a fixed identity that reconnects takes its place back at once */
        const Option router[] = { { ZMQ_ROUTER_MANDATORY, 1 }, { ZMQ_ROUTER_HANDOVER, 1 } };
        const Option xpub[] = { { ZMQ_XPUB_VERBOSE, 1 }, { ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS }, { ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS } };
        const Option *more = spec->type == ZMQ_ROUTER ? router : xpub;
        size_t n_more = spec->type == ZMQ_ROUTER ? 2 : spec->type == ZMQ_XPUB ? 3 : 0;

        for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
                if (zmq_setsockopt(socket, common[i].name, &common[i].value, sizeof(int)))
                        return -errno;
        for (size_t i = 0; i < n_more; i++)
                if (zmq_setsockopt(socket, more[i].name, &more[i].value, sizeof(int)))
                        return -errno;
        if (spec->type == ZMQ_SUB)
                for (size_t i = 0; i < spec->n_topics; i++)
                        if (zmq_setsockopt(socket, ZMQ_SUBSCRIBE, spec->topics[i], strlen(spec->topics[i])))
                                return -errno;
        return 0;
}

/* libzmq removes whatever socket file is in its way, also one that somebody listens on. */
static bool is_served(const char *endpoint)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = endpoint + strlen("ipc://");
        bool served;
        int fd;

        if (strncmp(endpoint, "ipc://", strlen("ipc://")) || *path == '@' || *path == '*' || strlen(path) >= sizeof(address.sun_path))
                return false;
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return false;
        served = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
        close(fd);
        return served;
}

static const char *explain(int error)
{
        switch (error) {
        case EADDRINUSE:
                return "somebody serves it already (another burgeond?); stop that one or choose another endpoint";
        case EADDRNOTAVAIL:
        case ENODEV:
                return "this machine has no such address";
        case EACCES:
                return "not permitted; check the directory, or choose a port from 1024 on";
        case ENOENT:
                return "the directory does not exist";
        case EINVAL:
        case EPROTONOSUPPORT:
                return "not an endpoint; write tcp://127.0.0.1:PORT or ipc:///PATH";
        case ENAMETOOLONG:
                return "the path is too long for a socket (107 bytes)";
        default:
                return zmq_strerror(error);
        }
}

static int attach(BgDoor *door, void *socket, const BgDoorSpec *spec, const char *endpoint, char *why, size_t why_size)
{
        char *real = door->endpoints[door->n_endpoints];
        size_t size = BG_DOOR_ENDPOINT_SIZE;
        const int on = 1;
        bool connects = spec->type == ZMQ_SUB;
        int r;

        if (door->n_endpoints == BG_DOOR_ENDPOINTS_MAX) {
                snprintf(why, why_size, "%s: more than %d endpoints", spec->name, BG_DOOR_ENDPOINTS_MAX);
                return BG_DOOR_E_UNUSABLE;
        }
        if (strchr(endpoint, '['))
                zmq_setsockopt(socket, ZMQ_IPV6, &on, sizeof(on));
        errno = EADDRINUSE;
        r = connects ? zmq_connect(socket, endpoint) : is_served(endpoint) ? -1 : zmq_bind(socket, endpoint);
        if (r) {
                snprintf(why, why_size, "%s: cannot %s %s: %s", spec->name, connects ? "connect to" : "bind", endpoint, explain(errno));
                return BG_DOOR_E_UNUSABLE;
        }
        if (connects || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, real, &size))
                snprintf(real, BG_DOOR_ENDPOINT_SIZE, "%s", endpoint);
        door->n_endpoints++;
        bg_log(BG_LOG_INFO, "door.open", connects ? "listens to an upstream" : "a door is open", bg_kv("door", spec->name),
               bg_kv("endpoint", real));
        return 0;
}

int bg_door_open(BgDoor *door, uv_loop_t *loop, void *zmq, const BgDoorSpec *spec, BgBridgeReceived *received, void *data, char *why,
                 size_t why_size)
{
        void *socket = NULL;
        int r;

        door->name = spec->name;
        door->n_endpoints = 0;
        r = bg_bridge_socket(&socket, zmq, spec->type, 2 * spec->message_bytes_max);
        if (r)
                return r;
        r = set_options(socket, spec);
        for (size_t i = 0; i < spec->n_endpoints && !r; i++)
                r = attach(door, socket, spec, spec->endpoints[i], why, why_size);
        if (!r)
                r = bg_bridge_open(&door->bridge, loop, socket, received, data);
        if (r) {
                zmq_close(socket);
                door->n_endpoints = 0;
        }
        return r;
}

void bg_door_close(BgDoor *door, void (*closed)(void *data), void *data) { bg_bridge_close(&door->bridge, closed, data); }

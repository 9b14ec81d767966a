/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/util/clock.h"

int bg_notify(const char *state)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t len = path ? strlen(path) : 0;
        int fd, r = 0;

        if (!len)
                return 0;
        if ((path[0] != '/' && path[0] != '@') || len >= sizeof(address.sun_path))
                return -EINVAL;
        memcpy(address.sun_path, path, len);
        if (path[0] == '@')
                address.sun_path[0] = 0; /* the abstract namespace */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
                r = -errno;
        close(fd);
        return r;
}

int bg_notify_reloading(void)
{
        char state[64];

        snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)bg_clock_steady_us());
        return bg_notify(state);
}

int64_t bg_notify_watchdog_us(void)
{
        const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
        long long value;

        if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid()))
                return 0;
        value = strtoll(us, NULL, 10);
        return value > 0 ? value : 0;
}

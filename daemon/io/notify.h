/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_NOTIFY_H
#define BURGEON_IO_NOTIFY_H

#include <stdint.h>

/*
 * Words to the service manager: the datagrams of sd_notify(3), without its library. Without NOTIFY_SOCKET nothing is sent.
 */

/** "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=..", several lines in one. 0, or negative errno (nobody need care). */
int bg_notify(const char *state);
/** The same with what sd_notify asks for beside RELOADING=1: the time. */
int bg_notify_reloading(void);
/** WATCHDOG_USEC when it is meant for this process, us; 0 = no watchdog. */
int64_t bg_notify_watchdog_us(void);

#endif

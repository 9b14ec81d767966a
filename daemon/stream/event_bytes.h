/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_EVENT_BYTES_H
#define BURGEON_STREAM_EVENT_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * An event as bytes in memory; what is absent takes no room (an `add`: 14 bytes and its names). For the store's open group and
 * for sorting files. Not a format: it is neither sent nor kept, and may change with any build.
 */

#define BG_EVENT_BYTES_TIMES 5
#define BG_EVENT_BYTES_TEXTS 6
#define BG_EVENT_BYTES_MAX (4 + BG_EVENT_BYTES_TIMES * 8 + BG_EVENT_BYTES_TEXTS * (1 + 255))

/** Writes at most BG_EVENT_BYTES_MAX bytes. Texts of the event are at most 255 bytes (messages.def). Return: bytes written. */
size_t bg_event_bytes_put(char *out, const BgEvent *event);

/** The reverse; the event's texts alias `in`. Return: bytes read. */
size_t bg_event_bytes_get(const char *in, BgEvent *event);

#endif

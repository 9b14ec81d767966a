/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_UTIL_CLOCK_H
#define BURGEON_UTIL_CLOCK_H

#include <stdint.h>

/** Time of day, microseconds UTC since 1970. May jump. */
int64_t bg_clock_now_us(void);
/** Microseconds since some start; never jumps back. For durations. */
int64_t bg_clock_steady_us(void);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_SCHEDULE_H
#define BURGEON_STREAM_SCHEDULE_H

#include "daemon/stream/registry.h"

/*
 * When forecasts grow old: a ring of hours. A series has at most one entry, at or before the hour it is due; an entry that comes
 * up early is put back by its owner. Series that were never put in cost nothing.
 */
#define BG_SCHEDULE_HOURS 1024 /* entries further ahead come up early, once a turn of 42 days */

typedef struct BgSchedule {
        struct BgScheduleSlot {
                BgSeriesId *ids;
                uint32_t n;
                uint32_t cap;
        } slots[BG_SCHEDULE_HOURS];
        uint32_t hour; /* all slots before this one are empty; a restart goes on from here */
        size_t n;
} BgSchedule;

void bg_schedule_deinit(BgSchedule *schedule);
int bg_schedule_put(BgSchedule *schedule, BgSeriesId id, BgSecond due); /* 0 or -ENOMEM */
/** Takes out every entry up to and including the hour of `now`, in a fixed order; `each` may put entries back. Cost: entries + hours. */
void bg_schedule_advance(BgSchedule *schedule, BgSecond now, void (*each)(void *data, BgSeriesId id), void *data);
/** First hour with an entry; UINT32_MAX when there is none. */
BgSecond bg_schedule_next(const BgSchedule *schedule);

#endif

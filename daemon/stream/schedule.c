/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/schedule.h"

#include <errno.h>
#include <stdlib.h>

enum { HOUR_S = 3600 };

void bg_schedule_deinit(BgSchedule *schedule)
{
        for (size_t i = 0; i < BG_SCHEDULE_HOURS; i++)
                free(schedule->slots[i].ids);
        *schedule = (BgSchedule){ 0 };
}

static int slot_push(struct BgScheduleSlot *slot, BgSeriesId id)
{
        if (slot->n == slot->cap) {
                uint32_t cap = slot->cap ? slot->cap + slot->cap / 2 : 8;
                BgSeriesId *ids = realloc(slot->ids, cap * sizeof(*ids));
                if (!ids)
                        return -ENOMEM;
                slot->ids = ids;
                slot->cap = cap;
        }
        slot->ids[slot->n++] = id;
        return 0;
}

int bg_schedule_put(BgSchedule *schedule, BgSeriesId id, BgSecond due)
{
        uint32_t hour = due / HOUR_S;
        int r;

        if (!schedule->started) {
                schedule->started = true;
                schedule->hour = hour;
        } else if (schedule->n == 0 && hour < schedule->hour) {
                schedule->hour = hour;
        }
        if (hour < schedule->hour)
                hour = schedule->hour; /* overdue: comes up at the next advance */
        if (hour - schedule->hour >= BG_SCHEDULE_HOURS)
                hour = schedule->hour + BG_SCHEDULE_HOURS - 1;
        r = slot_push(&schedule->slots[hour % BG_SCHEDULE_HOURS], id);
        if (!r)
                schedule->n++;
        return r;
}

void bg_schedule_advance(BgSchedule *schedule, BgSecond now, void (*each)(void *data, BgSeriesId id), void *data)
{
        uint32_t until = now / HOUR_S;

        if (!schedule->started)
                return;
        for (unsigned turns = 0; schedule->hour <= until && schedule->n > 0 && turns <= BG_SCHEDULE_HOURS; turns++) {
                struct BgScheduleSlot slot = schedule->slots[schedule->hour % BG_SCHEDULE_HOURS];

                /* detached first: `each` may put entries back, even into this very slot of the next turn */
                schedule->slots[schedule->hour % BG_SCHEDULE_HOURS] = (struct BgScheduleSlot){ 0 };
                schedule->hour++;
                schedule->n -= slot.n;
                for (uint32_t i = 0; i < slot.n; i++)
                        each(data, slot.ids[i]);
                free(slot.ids);
        }
        if (schedule->hour <= until)
                schedule->hour = until + 1; /* everything that was in was within one turn of the ring */
}

BgSecond bg_schedule_next(const BgSchedule *schedule)
{
        if (!schedule->started || schedule->n == 0)
                return UINT32_MAX;
        for (uint32_t i = 0; i < BG_SCHEDULE_HOURS; i++)
                if (schedule->slots[(schedule->hour + i) % BG_SCHEDULE_HOURS].n)
                        return (schedule->hour + i) * (BgSecond)HOUR_S;
        return UINT32_MAX;
}

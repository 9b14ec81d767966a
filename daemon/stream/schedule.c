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
        uint32_t until = now / HOUR_S, from = schedule->hour, n_hours;
        struct BgScheduleSlot *due;

        if (from > until)
                return;
        n_hours = until - from < BG_SCHEDULE_HOURS ? until - from + 1 : BG_SCHEDULE_HOURS;
        due = schedule->n ? calloc(n_hours, sizeof(*due)) : NULL;
        if (schedule->n && !due)
                return; /* no memory now: everything comes up at a later call */
        /* All slots are detached before the first call: `each` may put entries back, into any of them. */
        schedule->hour = until + 1;
        for (uint32_t i = 0; due && i < n_hours; i++) {
                struct BgScheduleSlot *slot = &schedule->slots[(from + i) % BG_SCHEDULE_HOURS];

                due[i] = *slot;
                schedule->n -= slot->n;
                *slot = (struct BgScheduleSlot){ 0 };
        }
        for (uint32_t i = 0; due && i < n_hours; i++) {
                for (uint32_t k = 0; k < due[i].n; k++)
                        each(data, due[i].ids[k]);
                free(due[i].ids);
        }
        free(due);
}

BgSecond bg_schedule_next(const BgSchedule *schedule)
{
        if (schedule->n == 0)
                return UINT32_MAX;
        for (uint32_t i = 0; i < BG_SCHEDULE_HOURS; i++)
                if (schedule->slots[(schedule->hour + i) % BG_SCHEDULE_HOURS].n)
                        return (schedule->hour + i) * (BgSecond)HOUR_S;
        return UINT32_MAX;
}

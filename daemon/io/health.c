/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/health.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void bg_health_set(BgHealth *health, BgProblem problem, const char *text)
{
        snprintf(health->problem[problem], sizeof(health->problem[problem]), "%s", text ? text : "");
        health->problems = 0;
        for (int i = 0; i < BG_PROBLEM_N; i++)
                health->problems += health->problem[i][0] != 0;
}

const char *bg_health_text(const BgHealth *health)
{
        for (int i = 0; i < BG_PROBLEM_N; i++)
                if (health->problem[i][0])
                        return health->problem[i];
        return "ok";
}

static int append(BgTallied **itemsp, size_t *np, const BgTallied *more, size_t n_more, BgArena *arena)
{
        BgTallied *items = bg_arena_alloc(arena, *np + n_more, sizeof(*items));

        if (!items)
                return -ENOMEM;
        if (*np)
                memcpy(items, *itemsp, *np * sizeof(*items));
        memcpy(items + *np, more, n_more * sizeof(*items));
        *itemsp = items;
        *np += n_more;
        return 0;
}

int bg_health_stats(BgHealth *health, BgArena *arena, BgStats *stats)
{
#define BG_C(name) { BG_STR(#name), health->name },
        const BgTallied counters[] = { BG_HEALTH_COUNTERS(BG_C) };
        const BgTallied gauges[] = { BG_HEALTH_GAUGES(BG_C) };
#undef BG_C
        BgTallied rejected[BG_REJECT_N];
        size_t n_rejected = 0;
        int r;

        for (int i = BG_REJECT_NONE + 1; i < BG_REJECT_N; i++)
                if (health->rejected[i])
                        rejected[n_rejected++] = (BgTallied){ bg_str(bg_proto_reject_name(i)), health->rejected[i] };
        r = append(&stats->counters.items, &stats->counters.n, counters, sizeof(counters) / sizeof(counters[0]), arena);
        if (!r)
                r = append(&stats->gauges.items, &stats->gauges.n, gauges, sizeof(gauges) / sizeof(gauges[0]), arena);
        if (!r && n_rejected)
                r = append(&stats->rejected.items, &stats->rejected.n, rejected, n_rejected, arena);
        return r;
}

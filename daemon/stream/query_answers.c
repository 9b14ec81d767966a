/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Queries that want an answer rather than data: when is a count reached, where does a series end, what moved its forecast, and
 * what were the forecasts worth. Computed from the last published revision, so that they agree with it.
 */
#include "daemon/stream/query.h"

#include <errno.h>

#include "daemon/model/milestone.h"
#include "daemon/model/outlook.h"

enum { DAY_S = 86400 };

/** What the last published forecast of a series was made of. */
typedef struct Origin {
        const BgIssued *issued;
        BgFit fit;
        BgPoolInput input;
} Origin;

static void origin_of(const BgCore *core, const BgSeries *series, Origin *origin)
{
        const BgIssued *issued = series->state->issued;
        BgSeriesBins bins;

        origin->issued = issued;
        origin->fit = bg_issued_fit(series->state, core->spec.fit.m);
        bg_series_bins(&bins, series, issued->release, issued->as_of);
        bg_refit_input(&origin->input, series, &bins, issued->as_of, (double)(issued->as_of - issued->release) / DAY_S,
                       issued->count);
}

static bool has_forecast(const BgSeries *series)
{
        return series->state && series->state->issued;
}

static BgStatus status_of(const BgCore *core, const BgIssued *issued)
{
        return core->stale ? BG_STATUS_STALE_INPUT : issued->status;
}

/** Infinite is nil on the wire. */
static BgQuantiles *quantiles(BgArena *arena, const double q[BG_QUANTILE_N])
{
        BgQuantiles *to = bg_arena_alloc(arena, 1, sizeof(*to));

        if (to)
                *to = (BgQuantiles){ .q05 = q[0], .q10 = q[1], .q25 = q[2], .q50 = q[3], .q75 = q[4], .q90 = q[5], .q95 = q[6] };
        return to;
}

/* ---- milestone ----------------------------------------------------------------------------------------------------------------
 */

/** When a series that has `target` children came to have so many of those that it has now. */
static BgSecond reached_at(const BgSeries *series, int64_t target, BgSecond until)
{
        BgSecond before = 0;

        while (until - before > 1) {
                BgSecond middle = before + (until - before) / 2;

                if (bg_series_count(series, middle) >= target)
                        until = middle;
                else
                        before = middle;
        }
        return until;
}

int bg_query_milestone(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        int r;
        BgSeriesId id = bg_query_series(core, request, arena, reply, &r);
        BgArrival arrival;
        const BgSeries *series;
        BgMilestone *to;
        BgSecond now;
        int64_t count;
        Origin origin;

        if (id == BG_SERIES_NONE)
                return r;
        if (!request->count)
                return bg_query_refuse(reply, arena, BG_ERROR_MALFORMED, "count: missing; which count is to be reached?");
        series = bg_registry_series(core->registry, id);
        if (!has_forecast(series))
                return bg_query_refuse(reply, arena, BG_ERROR_NOT_FOUND, "no forecast yet: the first refit is pending");
        to = bg_arena_alloc(arena, 1, sizeof(*to));
        if (!to)
                return -ENOMEM;
        origin_of(core, series, &origin);
        now = bg_core_as_of(core);
        count = bg_series_count(series, now);
        *to = (BgMilestone){ .model = bg_query_name(core, series),
                             .relation = series->relation,
                             .rev = origin.issued->rev,
                             .status = status_of(core, origin.issued),
                             .as_of = bg_second_to_us(origin.issued->as_of),
                             .count = (int64_t)origin.issued->count,
                             .target = request->count };
        if (count >= request->count) {
                bg_milestone_reached(&arrival);
                to->as_of = bg_second_to_us(now);
                to->count = count;
                to->reached_at = bg_second_to_us(reached_at(series, request->count, now));
        } else if (core->spec.forecaster == BG_FORECASTER_POOLED) {
                bg_milestone_pooled(&arrival, &core->learner.pool, &origin.fit, &origin.input, (double)request->count);
        } else {
                bg_milestone_process(&arrival, &origin.fit, origin.input.count, origin.input.age_days, (double)request->count);
        }
        to->days = quantiles(arena, arrival.days);
        to->p7 = arrival.within[0];
        to->p30 = arrival.within[1];
        to->p90 = arrival.within[2];
        to->p365 = arrival.within[3];
        to->p5y = arrival.within[4];
        reply->milestone = to;
        return to->days ? 0 : -ENOMEM;
}

/* ---- outlook ------------------------------------------------------------------------------------------------------------------
 */

int bg_query_add_outlook(BgCore *core, const BgSeries *series, BgArena *arena, BgReply *reply)
{
        const double farthest = BG_HORIZON_MAX_DAYS;
        BgForecastPoint point;
        BgCourse course;
        BgOutlook *to;
        Origin origin;

        if (!has_forecast(series))
                return 0;
        to = bg_arena_alloc(arena, 1, sizeof(*to));
        if (!to)
                return -ENOMEM;
        origin_of(core, series, &origin);
        bg_outlook(&course, &origin.fit, origin.input.count, origin.input.age_days);
        /* the pool knows of trends that outlive the growth curve: the end is not before what it forecasts */
        bg_refit_forecast(&point, core->spec.forecaster, &core->learner.pool, &origin.fit, &origin.input, &farthest, 1);
        for (int p = 0; p < BG_QUANTILE_N; p++)
                course.ultimate[p] = fmax(course.ultimate[p], point.q[p]);
        *to = (BgOutlook){ .model = bg_query_name(core, series),
                           .relation = series->relation,
                           .as_of = bg_second_to_us(origin.issued->as_of),
                           .ultimate = quantiles(arena, course.ultimate),
                           .impact_days = quantiles(arena, course.impact_days),
                           .peak_days = quantiles(arena, course.peak_days),
                           .peak_past = course.peak_past };
        if (!to->ultimate || !to->impact_days || !to->peak_days)
                return -ENOMEM;
        reply->outlooks.items = to;
        reply->outlooks.n = 1;
        return 0;
}

/* ---- why ----------------------------------------------------------------------------------------------------------------------
 */

/** The incident that a revision may be about: one that goes on, or that moved since the revision before. */
static int add_incident(BgCore *core, const BgSeries *series, bool any, BgArena *arena, BgReply *reply)
{
        const BgIssued *issued = has_forecast(series) ? series->state->issued : NULL;
        BgSurge *surge = bg_arena_alloc(arena, 1, sizeof(*surge));
        int r;

        if (!surge)
                return -ENOMEM;
        r = core->incidents ? bg_incidents_of(core, series, arena, surge) : 1;
        if (r)
                return r < 0 ? r : 0;
        if (any || surge->state == BG_SURGE_OPENED || surge->state == BG_SURGE_UPDATED ||
            (issued && surge->at >= bg_second_to_us(issued->before.as_of))) {
                reply->surges.items = surge;
                reply->surges.n = 1;
        }
        return 0;
}

static int why_incident(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        BgSeriesId id = core->incidents ? bg_incidents_find(core, request->target) : BG_SERIES_NONE;
        const BgSeries *series;
        int r;

        if (id == BG_SERIES_NONE)
                return bg_query_refuse(reply, arena, BG_ERROR_NOT_FOUND, "no incident %.*s; of each series the last one is kept",
                                       (int)request->target.len, request->target.data);
        series = bg_registry_series(core->registry, id);
        r = add_incident(core, series, true, arena, reply);
        return r ? r : bg_query_add_forecast(core, series, arena, reply);
}

int bg_query_why(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        const BgSeries *series;
        BgSeriesId id;
        int r;

        if (request->target.len && !request->model.len)
                return why_incident(core, request, arena, reply);
        id = bg_query_series(core, request, arena, reply, &r);
        if (id == BG_SERIES_NONE)
                return r;
        series = bg_registry_series(core->registry, id);
        if (!has_forecast(series))
                return bg_query_refuse(reply, arena, BG_ERROR_NOT_FOUND, "no forecast yet: the first refit is pending");
        r = bg_query_add_forecast(core, series, arena, reply);
        return r ? r : add_incident(core, series, false, arena, reply);
}

/* ---- receipts -----------------------------------------------------------------------------------------------------------------
 */

int bg_query_add_receipts(const BgCore *core, BgArena *arena, BgStats *stats)
{
        if (core->spec.forecaster != BG_FORECASTER_POOLED)
                return 0;
        stats->receipts.items = bg_arena_alloc(arena, BG_POOL_KNOT_N * BG_LEARN_STRATUM_N, sizeof(BgCoverage));
        if (!stats->receipts.items)
                return -ENOMEM;
        for (int k = 0; k < BG_POOL_KNOT_N; k++)
                for (int s = 0; s < BG_LEARN_STRATUM_N; s++) {
                        const BgReceipt *receipt = &core->learner.receipts[k][s];

                        if (receipt->n < 1)
                                continue;
                        stats->receipts.items[stats->receipts.n++] = (BgCoverage){ .days = bg_pool_knot_days((size_t)k),
                                                                                   .stratum = bg_str(bg_learn_stratum_name(s)),
                                                                                   .n = (int64_t)receipt->n,
                                                                                   .c50 = receipt->inside[0] / receipt->n,
                                                                                   .c80 = receipt->inside[1] / receipt->n,
                                                                                   .c90 = receipt->inside[2] / receipt->n,
                                                                                   .lwis = receipt->wis / receipt->n };
                }
        return 0;
}

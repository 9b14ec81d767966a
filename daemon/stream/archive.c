/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Issued forecasts on their way into the archive and back, with how they turned out.
 *
 * What is kept is the first revision of a day of the stream's time: what people could read that day. A day on which nothing
 * happened to a series but that it grew a day older is kept once a week.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/stream/query.h"

enum { DAY_S = 86400, WEEK_DAYS = 7, NUMBERS = 2 + BG_QUANTILE_N };
/* A number of a horizon takes 17 characters at most: 9 digits of a mean and an exponent, or 16 of a count, and a comma. */
#define TEXT_MAX (BG_CORE_HORIZONS_MAX * (NUMBERS * 18 + 4) + 4)

/* ---- in ------------------------------------------------------------------------------------------------------------------------ */

static bool worth_keeping(const BgSeriesState *state, const BgIssued *issued)
{
        const BgSince *since = &issued->since;
        BgSecond day = issued->as_of / DAY_S, last = state->archived_at / DAY_S;

        if (!state->archived_at || day >= last + WEEK_DAYS)
                return true;
        return day > last && (since->added || since->removed || since->tallied || since->release_changed || since->renamed || since->regime);
}

static BgStr horizons_text(const BgIssued *issued, char text[TEXT_MAX])
{
        size_t n = 0;

        text[n++] = '[';
        for (size_t i = 0; i < issued->n_points; i++) {
                const BgIssuedPoint *point = &issued->points[i];

                n += (size_t)snprintf(text + n, TEXT_MAX - n, "%s[%.9g,%.9g", i ? "," : "", (double)point->days,
                                      issued->count + (double)point->mean);
                for (int q = 0; q < BG_QUANTILE_N; q++)
                        n += (size_t)snprintf(text + n, TEXT_MAX - n, ",%.0f", issued->count + (double)point->q[q]);
                text[n++] = ']';
        }
        text[n++] = ']';
        return (BgStr){ text, n };
}

int bg_archive_put(BgCore *core, BgSeriesId id, const BgSeries *series, const BgIssued *issued)
{
        BgSeriesState *state = series->state;
        char text[TEXT_MAX];
        BgStoreArchived archived;
        int r;

        if (!core->spec.archive_us || !worth_keeping(state, issued))
                return 0;
        archived = (BgStoreArchived){
                .series = id,
                .model = bg_query_name(core, series),
                .relation = series->relation,
                .as_of = bg_second_to_us(issued->as_of),
                .at = issued->at,
                .released_at = bg_second_to_us(issued->release),
                .rev = issued->rev,
                .count = (int64_t)issued->count,
                .status = issued->status,
                .rate = issued->rate,
                .lambda = issued->lambda,
                .lambda_sd = issued->lambda_sd,
                .mu = issued->mu,
                .mu_sd = issued->mu_sd,
                .sigma = issued->sigma,
                .sigma_sd = issued->sigma_sd,
                .m = issued->m,
                .dispersion = issued->dispersion,
                .horizons = horizons_text(issued, text),
        };
        r = bg_store_put_archived(core->store, &archived, archived.as_of - core->spec.archive_us);
        if (!r)
                state->archived_at = issued->as_of;
        return r;
}

/* ---- out ----------------------------------------------------------------------------------------------------------------------- */

/** One [a, b, ..] of NUMBERS numbers. Where it ends; NULL when it is none. */
static const char *read_numbers(const char *at, double numbers[NUMBERS])
{
        if (*at++ != '[')
                return NULL;
        for (int i = 0; i < NUMBERS; i++) {
                char *end;

                numbers[i] = strtod(at, &end);
                if (end == at || *end != (i + 1 < NUMBERS ? ',' : ']') || !(numbers[i] >= 0 && numbers[i] <= 1e15))
                        return NULL;
                at = end + 1;
        }
        return at;
}

/** The horizons of a row, which a person may have written: false when they are none. */
static bool read_horizons(const char *at, BgHorizon *horizons, size_t *np)
{
        double numbers[NUMBERS];

        if (*at++ != '[')
                return false;
        for (*np = 0; *at == '[' && *np < BG_CORE_HORIZONS_MAX;) {
                BgForecastPoint point;

                at = read_numbers(at, numbers);
                if (!at || numbers[0] > 4000)
                        return false;
                point = (BgForecastPoint){ .days = numbers[0], .mean = numbers[1] };
                memcpy(point.q, numbers + 2, sizeof(point.q));
                bg_refit_horizon(&horizons[(*np)++], &point);
                at += *at == ',';
        }
        return at[0] == ']' && !at[1];
}

static BgInside inside(const BgHorizon *h)
{
        double y = (double)h->outcome;

        if (y >= h->q25 && y <= h->q75)
                return BG_INSIDE_HALF;
        if (y >= h->q10 && y <= h->q90)
                return BG_INSIDE_EIGHTY;
        if (y >= h->q05 && y <= h->q95)
                return BG_INSIDE_NINETY;
        return y < h->q05 ? BG_INSIDE_BELOW : BG_INSIDE_ABOVE;
}

static void add_outcome(BgCore *core, BgSeriesId id, BgSecond origin, BgHorizon *horizon)
{
        double due = origin + horizon->days * DAY_S, y;

        if (due > bg_core_as_of(core))
                return;
        y = bg_core_outcome(core, id, origin, (BgSecond)due);
        if (y < 0)
                return;
        horizon->outcome = (int64_t)y;
        horizon->inside = inside(horizon);
}

/** Rows of a series that was another one under other rules of counting are nobody's. */
static bool is_of_series(const BgCore *core, const BgSeries *series, const BgStoreArchived *archived)
{
        return archived->relation == series->relation && bg_registry_find(core->registry, archived->model) == series->model;
}

static int fill(BgCore *core, BgSeriesId id, const BgStoreArchived *archived, BgArena *arena, BgForecast *message)
{
        const BgSeries *series = bg_registry_series(core->registry, id);
        BgParameters *parameters = bg_arena_alloc(arena, 1, sizeof(*parameters));
        BgHorizon *horizons = bg_arena_alloc(arena, BG_CORE_HORIZONS_MAX, sizeof(*horizons));
        char *text = bg_arena_alloc(arena, archived->horizons.len + 1, 1);

        if (!parameters || !horizons || !text)
                return -ENOMEM;
        memcpy(text, archived->horizons.data, archived->horizons.len);
        text[archived->horizons.len] = 0;
        bg_proto_init(&bg_proto_forecast, message);
        bg_proto_init(&bg_proto_parameters, parameters);
        if (!read_horizons(text, horizons, &message->horizons.n))
                return 1;
        message->epoch = core->epoch;
        message->model = bg_query_name(core, series);
        message->relation = series->relation;
        message->rev = archived->rev;
        message->at = archived->at;
        message->as_of = archived->as_of;
        message->status = archived->status;
        message->released_at = archived->released_at;
        message->count = archived->count;
        message->rate = archived->rate;
        parameters->lambda = archived->lambda;
        parameters->lambda_sd = archived->lambda_sd;
        parameters->mu = archived->mu;
        parameters->mu_sd = archived->mu_sd;
        parameters->sigma = archived->sigma;
        parameters->sigma_sd = archived->sigma_sd;
        parameters->m = archived->m;
        parameters->dispersion = archived->dispersion;
        message->parameters = parameters;
        message->horizons.items = horizons;
        for (size_t i = 0; i < message->horizons.n; i++)
                add_outcome(core, id, bg_second_from_us(archived->as_of), &horizons[i]);
        return 0;
}

int bg_archive_query(BgCore *core, BgSeriesId id, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        const BgSeries *series = bg_registry_series(core->registry, id);
        BgForecast *message = bg_arena_alloc(arena, 1, sizeof(*message));
        BgStoreArchived archived;
        int r;

        if (!message)
                return -ENOMEM;
        if (!core->store)
                return bg_query_refuse(reply, arena, BG_ERROR_UNSUPPORTED, "this daemon keeps no forecasts (state = none)");
        if (request->horizons.n)
                return bg_query_refuse(reply, arena, BG_ERROR_RANGE, "with as_of the horizons are those that were issued then");
        r = bg_store_find_archived(core->store, id, request->as_of, arena, &archived);
        if (!r && !is_of_series(core, series, &archived))
                r = BG_STORE_E_NONE;
        if (r == BG_STORE_E_NONE)
                return bg_query_refuse(reply, arena, BG_ERROR_NOT_FOUND, "no forecast of that time or before is kept");
        if (!r)
                r = fill(core, id, &archived, arena, message);
        if (r == -ENOMEM)
                return r;
        if (r)
                return bg_query_refuse(reply, arena, BG_ERROR_INTERNAL, "the archive cannot be read: %s", r < 0 ? strerror(-r) : "a row is damaged");
        reply->forecasts.items = message;
        reply->forecasts.n = 1;
        return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way out: issued forecasts as messages, last values, and the queries about series. Reads the core, changes nothing. */
#include "daemon/stream/ecosystem.h"
#include "daemon/stream/refit.h"
#include "daemon/stream/query.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_LIMIT_DEFAULT = 50, DAY_S = 86400 };
#define DAY_US (INT64_C(86400) * 1000000)

/* ---- issued forecasts as messages ------------------------------------------------------------------------------------------- */

BgStr bg_query_name(const BgCore *core, const BgSeries *series)
{
        const BgModel *model = bg_registry_model(core->registry, series->model);

        return (BgStr){ model->name, model->name_len };
}

static double known(float x)
{
        return isnan(x) ? NAN : (double)x;
}

const BgIssuedPoint *bg_issued_near(const BgIssued *issued, double days)
{
        const BgIssuedPoint *best = NULL;

        for (size_t i = 0; issued && i < issued->n_points; i++)
                if (!best || fabs(issued->points[i].days - days) < fabs(best->days - days))
                        best = &issued->points[i];
        return best;
}

static int before_message(const BgIssuedBefore *from, BgArena *arena, BgBefore **top)
{
        BgBefore *to;

        if (!from->as_of)
                return 0;
        to = bg_arena_alloc(arena, 1, sizeof(*to));
        if (!to)
                return -ENOMEM;
        *to = (BgBefore){ .as_of = bg_second_to_us(from->as_of), .count = (int64_t)from->count, .lambda = from->lambda, .mu = from->mu,
                          .sigma = from->sigma, .expected = known(from->expected), .days = known(from->days),
                          .q50 = from->count + known(from->median) };
        *top = to;
        return 0;
}

/* Fifty outcomes tell a coverage to within .06: beyond .1 it is no chance. */
enum { MISCALIBRATED_OUTCOMES_MIN = 50 };
#define MISCALIBRATED_OFF .1
/* An interval of a few integers holds more than its level, for it cannot be narrower than what is most likely: nobody's fault. */
#define MISCALIBRATED_WIDTH_MIN 5

static bool miscalibrated(const BgHorizon *h)
{
        const double off[3] = { h->c50 - .5, h->c80 - .8, h->c90 - .9 }, width[3] = { h->q75 - h->q25, h->q90 - h->q10, h->q95 - h->q05 };

        for (int i = 0; i < 3 && h->n_outcomes >= MISCALIBRATED_OUTCOMES_MIN; i++)
                if (off[i] < -MISCALIBRATED_OFF || (off[i] > MISCALIBRATED_OFF && width[i] >= MISCALIBRATED_WIDTH_MIN))
                        return true;
        return false;
}

/** What the intervals of this horizon and size were worth so far. */
static void add_receipt(const BgCore *core, BgHorizon *horizon, double count)
{
        const BgReceipt *receipt =
                core->spec.forecaster == BG_FORECASTER_POOLED ? bg_learner_receipt(&core->learner, horizon->days, count) : NULL;

        if (!receipt)
                return;
        horizon->c50 = receipt->inside[0] / receipt->n;
        horizon->c80 = receipt->inside[1] / receipt->n;
        horizon->c90 = receipt->inside[2] / receipt->n;
        horizon->n_outcomes = (int64_t)receipt->n;
        horizon->miscalibrated = miscalibrated(horizon);
}

int bg_issued_message(const BgCore *core, const BgSeries *series, const BgIssued *issued, BgArena *arena, BgForecast *message)
{
        BgParameters *parameters = bg_arena_alloc(arena, 1, sizeof(*parameters));
        BgHorizon *horizons = bg_arena_alloc(arena, issued->n_points, sizeof(*horizons));
        BgWhy *why = bg_arena_alloc(arena, 1, sizeof(*why));

        if (!parameters || !horizons || !why)
                return -ENOMEM;
        bg_proto_init(&bg_proto_forecast, message);
        bg_proto_init(&bg_proto_parameters, parameters);
        bg_proto_init(&bg_proto_why, why);
        message->epoch = core->epoch;
        message->seq = issued->seq;
        message->model = bg_query_name(core, series);
        message->relation = series->relation;
        message->rev = issued->rev;
        message->prev_rev = issued->prev_rev;
        message->at = issued->at;
        message->as_of = bg_second_to_us(issued->as_of);
        message->status = core->stale ? BG_STATUS_STALE_INPUT : issued->status;
        message->released_at = bg_second_to_us(issued->release);
        message->count = (int64_t)issued->count;
        message->rate = issued->rate;
        message->ultimate = issued->ultimate;
        message->impact_days = issued->impact_days;
        *parameters = (BgParameters){ .lambda = issued->lambda, .lambda_sd = issued->lambda_sd, .mu = issued->mu,
                                      .mu_sd = issued->mu_sd, .sigma = issued->sigma, .sigma_sd = issued->sigma_sd, .m = issued->m,
                                      .dispersion = issued->dispersion, .moved = known(issued->moved) };
        message->parameters = parameters;
        why->added = issued->since.added;
        why->removed = issued->since.removed;
        why->late = issued->since.late;
        why->tallied = issued->since.tallied < 0 ? 0 : issued->since.tallied > BG_COUNT_MAX ? BG_COUNT_MAX : issued->since.tallied;
        why->release_changed = issued->since.release_changed;
        why->renamed = issued->since.renamed;
        why->refreshed = issued->since.refreshed;
        why->regime = issued->since.regime;
        why->start = issued->start;
        why->shift = known(issued->shift);
        if (before_message(&issued->before, arena, &why->before))
                return -ENOMEM;
        message->why = why;
        for (size_t i = 0; i < issued->n_points; i++) {
                const BgIssuedPoint *from = &issued->points[i];
                BgHorizon *to = &horizons[i];
                BgForecastPoint point = { .days = from->days, .mean = issued->count + (double)from->mean };

                for (int k = 0; k < BG_QUANTILE_N; k++)
                        point.q[k] = issued->count + (double)from->q[k];
                bg_refit_horizon(to, &point);
                add_receipt(core, to, issued->count);
        }
        message->horizons.items = horizons;
        message->horizons.n = issued->n_points;
        return 0;
}

BgIssued *bg_issued_from_message(const BgForecast *message)
{
        size_t n = message->horizons.n;
        BgIssued *issued;

        if (n > BG_CORE_HORIZONS_MAX || message->rev > UINT32_MAX || message->prev_rev > UINT32_MAX || !message->parameters)
                return NULL;
        issued = calloc(1, sizeof(*issued) + n * sizeof(issued->points[0]));
        if (!issued)
                return NULL;
        *issued = (BgIssued){
                .seq = message->seq, .at = message->at, .count = (double)message->count, .rev = (uint32_t)message->rev,
                .prev_rev = (uint32_t)message->prev_rev, .as_of = bg_second_from_us(message->as_of),
                .release = bg_second_from_us(message->released_at), .rate = (float)message->rate,
                .ultimate = (float)message->ultimate, .impact_days = (float)message->impact_days,
                .lambda = (float)message->parameters->lambda, .lambda_sd = (float)message->parameters->lambda_sd,
                .mu = (float)message->parameters->mu, .mu_sd = (float)message->parameters->mu_sd,
                .sigma = (float)message->parameters->sigma, .sigma_sd = (float)message->parameters->sigma_sd,
                .m = (float)message->parameters->m, .dispersion = (float)message->parameters->dispersion,
                .moved = (float)message->parameters->moved, .status = (uint8_t)message->status, .shift = NAN, .n_points = (uint8_t)n,
        };
        if (message->why) {
                const BgWhy *why = message->why;

                issued->since = (BgSince){ .added = (uint32_t)why->added, .removed = (uint32_t)why->removed,
                                           .late = (uint32_t)why->late, .tallied = why->tallied,
                                           .release_changed = why->release_changed, .renamed = why->renamed,
                                           .refreshed = why->refreshed, .regime = why->regime };
                issued->start = (uint8_t)why->start;
                issued->shift = (float)why->shift;
                if (why->before)
                        issued->before = (BgIssuedBefore){
                                .count = (double)why->before->count, .as_of = bg_second_from_us(why->before->as_of),
                                .lambda = (float)why->before->lambda, .mu = (float)why->before->mu, .sigma = (float)why->before->sigma,
                                .expected = (float)why->before->expected, .days = (float)why->before->days,
                                .median = (float)(why->before->q50 - (double)why->before->count) };
        }
        for (size_t i = 0; i < n; i++) {
                const BgHorizon *from = &message->horizons.items[i];
                const double q[BG_QUANTILE_N] = { from->q05, from->q10, from->q25, from->q50, from->q75, from->q90, from->q95 };

                issued->points[i].days = (float)from->days;
                issued->points[i].mean = (float)(from->mean - issued->count);
                for (int k = 0; k < BG_QUANTILE_N; k++)
                        issued->points[i].q[k] = (float)(q[k] - issued->count);
        }
        return issued;
}

/* ---- last values ---------------------------------------------------------------------------------------------------------------- */

static bool starts_with(BgStr text, BgStr prefix)
{
        return text.len >= prefix.len && (!prefix.len || !memcmp(text.data, prefix.data, prefix.len));
}

/** Does KIND/NAME/ start with the prefix? */
static bool topic_matches(const char *kind, BgStr name, BgStr prefix)
{
        char topic[BG_NAME_MAX + 32];
        int len = snprintf(topic, sizeof(topic), "%s/%.*s/", kind, (int)name.len, name.data);

        return starts_with((BgStr){ topic, (size_t)len }, prefix);
}

static bool kind_possible(const char *kind, BgStr prefix)
{
        size_t n = strlen(kind);

        return !memcmp(kind, prefix.data ? prefix.data : "", prefix.len < n ? prefix.len : n) && (prefix.len <= n || prefix.data[n] == '/');
}

/** forecast/org/name/ names one model, known or not: no walk over all of them. */
static bool names_model(const char *kind, BgStr prefix, BgStr *namep)
{
        size_t n = strlen(kind) + 1;

        if (prefix.len < n + 4 || prefix.data[prefix.len - 1] != '/' || !memchr(prefix.data + n, '/', prefix.len - n - 1))
                return false;
        *namep = (BgStr){ prefix.data + n, prefix.len - n - 1 };
        return true;
}

typedef int EachLast(void *data, const BgCoreValue *value);

static int last_of(BgCore *core, BgSeriesId id, bool forecasts, bool surges, BgArena *arena, EachLast *each, void *data)
{
        BgSeries *series = bg_registry_series(core->registry, id);
        BgForecast forecast;
        BgSurge surge;
        int r = 0;

        bg_arena_clear(arena);
        if (forecasts && series->state && series->state->issued) {
                r = bg_issued_message(core, series, series->state->issued, arena, &forecast);
                if (!r)
                        r = each(data, &(BgCoreValue){ .forecast = &forecast });
        }
        if (!r && surges && core->incidents && bg_incidents_last(core, id, series, arena, &surge))
                r = each(data, &(BgCoreValue){ .surge = &surge });
        return r;
}

static int each_of_model(BgCore *core, BgStr name, bool forecasts, bool surges, BgArena *arena, EachLast *each, void *data)
{
        BgModelId model = bg_registry_find(core->registry, name);
        int r = 0;

        for (int k = 0; model != BG_MODEL_NONE && k < BG_RELATION_N && !r; k++) {
                BgSeriesId id = bg_registry_model(core->registry, model)->series[k];

                if (id != BG_SERIES_NONE)
                        r = last_of(core, id, forecasts, surges, arena, each, data);
        }
        return r;
}

static int step_series(BgCore *core, BgStr prefix, uint32_t *cursorp, size_t n_max, EachLast *each, void *data)
{
        bool forecasts = kind_possible("forecast", prefix), surges = kind_possible("surge", prefix);
        size_t n_series = bg_registry_n_series(core->registry);
        BgArena arena = { 0 };
        BgStr only;
        int r = 0;

        if (!forecasts && !surges)
                return 0;
        if (names_model(forecasts ? "forecast" : "surge", prefix, &only)) {
                r = each_of_model(core, only, forecasts, surges, &arena, each, data);
                bg_arena_deinit(&arena);
                return r;
        }
        for (; n_max > 0 && *cursorp < n_series && !r; n_max--, (*cursorp)++) {
                BgSeries *series = bg_registry_series(core->registry, *cursorp);
                BgStr name = bg_query_name(core, series);

                if (bg_registry_model(core->registry, series->model)->merged_into == BG_MODEL_NONE)
                        r = last_of(core, *cursorp, forecasts && topic_matches("forecast", name, prefix),
                                    surges && topic_matches("surge", name, prefix), &arena, each, data);
        }
        bg_arena_deinit(&arena);
        return r ? r : *cursorp < n_series ? BG_CORE_E_MORE : 0;
}

/* The cursor's upper half is for the aggregates, which come after the series. */
#define CURSOR_AGGREGATES (UINT32_C(1) << 31)

int bg_core_step_last(BgCore *core, BgStr prefix, uint32_t *cursorp, size_t n_max, EachLast *each, void *data)
{
        uint32_t aggregates;
        int r = 0;

        if (*cursorp < CURSOR_AGGREGATES) {
                r = step_series(core, prefix, cursorp, n_max, each, data);
                if (r || (!kind_possible("org", prefix) && !kind_possible("ecosystem", prefix)))
                        return r;
                *cursorp = CURSOR_AGGREGATES;
        }
        aggregates = *cursorp - CURSOR_AGGREGATES;
        r = bg_ecosystem_step_last(core, prefix, &aggregates, n_max, each, data);
        *cursorp = CURSOR_AGGREGATES + aggregates;
        return r;
}

int bg_core_each_last(BgCore *core, BgStr prefix, EachLast *each, void *data)
{
        uint32_t cursor = 0;

        return bg_core_step_last(core, prefix, &cursor, SIZE_MAX, each, data);
}

struct counting {
        size_t n;
        size_t max;
};

static int count_one(void *data, const BgCoreValue *value)
{
        struct counting *counting = data;

        (void)value;
        return ++counting->n >= counting->max;
}

size_t bg_core_count_last(BgCore *core, BgStr prefix, size_t max)
{
        struct counting counting = { .max = max };

        bg_core_each_last(core, prefix, count_one, &counting);
        return counting.n;
}

/* ---- queries ----------------------------------------------------------------------------------------------------------------------- */

int bg_query_refuse(BgReply *reply, BgArena *arena, BgError error, const char *format, ...)
{
        char text[256];
        va_list args;
        int len;

        va_start(args, format);
        len = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (len >= (int)sizeof(text))
                len = sizeof(text) - 1;
        reply->error = error;
        reply->detail = (BgStr){ bg_arena_copy(arena, text, (size_t)len), (size_t)len };
        return reply->detail.data ? 0 : -ENOMEM;
}

static BgSecond back(BgSecond from, BgSecond by)
{
        return from > by ? from - by : 0;
}

static int listing(const BgCore *core, const BgSeries *series, const BgRequest *request, BgArena *arena, BgListing *item)
{
        const BgModel *model = bg_registry_model(core->registry, series->model);
        const BgIssued *issued = series->state ? series->state->issued : NULL;
        const BgIssuedPoint *point = bg_issued_near(issued, 90);
        BgSecond as_of = bg_core_as_of(core), first, last;
        int64_t now_count = bg_series_count(series, as_of);

        bg_proto_init(&bg_proto_listing, item);
        item->model = (BgStr){ model->name, model->name_len };
        item->relation = series->relation;
        item->released_at = model->release ? bg_second_to_us(model->release) : 0;
        item->release_basis = model->release_basis;
        item->count = now_count;
        item->n_events = series->n_times;
        item->n_tallies = series->n_tallies;
        if (bg_series_span(series, &first, &last)) {
                item->first_at = bg_second_to_us(first);
                item->last_at = bg_second_to_us(last);
        }
        item->new_7d = now_count - bg_series_count(series, back(as_of, 7 * DAY_S));
        item->new_30d = now_count - bg_series_count(series, back(as_of, 30 * DAY_S));
        item->status = issued ? issued->status : now_count > 0 ? BG_STATUS_WARMING : BG_STATUS_NO_DATA;
        if (core->stale && now_count > 0)
                item->status = BG_STATUS_STALE_INPUT;
        item->surging = bg_incidents_open(series);
        if (issued) {
                item->rev = issued->rev;
                item->rate = issued->rate;
        }
        if (point) {
                item->days = point->days;
                item->q10 = issued->count + point->q[1];
                item->q50 = issued->count + point->q[3];
                item->q90 = issued->count + point->q[5];
        }
        if (request->spark > 0) {
                BgSecond step = (BgSecond)((request->spark_step_us ? request->spark_step_us : 7 * DAY_US) / 1000000);
                int64_t before;

                item->spark.items = bg_arena_alloc(arena, (size_t)request->spark, sizeof(int64_t));
                if (!item->spark.items)
                        return -ENOMEM;
                item->spark.n = (size_t)request->spark;
                before = bg_series_count(series, back(as_of, (BgSecond)request->spark * step));
                for (size_t i = 0; i < item->spark.n; i++) {
                        int64_t until = bg_series_count(series, back(as_of, (BgSecond)(item->spark.n - 1 - i) * step));
                        item->spark.items[i] = until - before;
                        before = until;
                }
        }
        return 0;
}

struct ranked {
        double key;
        const char *name;
        BgSeriesId id;
};

static int by_rank(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;

        if (x->key != y->key)
                return x->key < y->key ? 1 : -1;
        int r = strcmp(x->name, y->name);
        return r ? r : (x->id > y->id) - (x->id < y->id);
}

static double rank_key(const BgSeries *series, const BgModel *model, BgSort sort, BgSecond as_of)
{
        switch (sort) {
        case BG_SORT_GROWTH:
                return (double)(bg_series_count(series, as_of) - bg_series_count(series, back(as_of, 30 * DAY_S)));
        case BG_SORT_FORECAST: {
                const BgIssued *issued = series->state ? series->state->issued : NULL;
                const BgIssuedPoint *point = bg_issued_near(issued, 90);
                return point ? issued->count + (double)point->q[3] : 0;
        }
        case BG_SORT_RELEASED:
                return model->release;
        case BG_SORT_NAME:
                return 0;
        default:
                return (double)bg_series_count(series, as_of);
        }
}

/** Of a heap with the last in rank at its root: put an item where `i` was, and below it what ranks before. */
static void sift(struct ranked *heap, size_t n, size_t i, struct ranked item)
{
        size_t child;

        while ((child = 2 * i + 1) < n) {
                if (child + 1 < n && by_rank(&heap[child + 1], &heap[child]) > 0)
                        child++;
                if (by_rank(&heap[child], &item) <= 0)
                        break;
                heap[i] = heap[child];
                i = child;
        }
        heap[i] = item;
}

/** Only as many as are asked for are put in order: the first page of a million series costs a look at each. */
static int query_list(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        size_t n_series = bg_registry_n_series(core->registry), n = 0, n_kept = 0, n_wanted, limit, offset;
        BgSecond as_of = bg_core_as_of(core);
        struct ranked *ranked;
        int r = 0;

        limit = request->limit ? (size_t)request->limit : LIST_LIMIT_DEFAULT;
        offset = (uint64_t)request->offset < n_series ? (size_t)request->offset : n_series;
        n_wanted = offset + limit < n_series ? offset + limit : n_series;
        ranked = malloc((n_wanted ? n_wanted : 1) * sizeof(*ranked));
        if (!ranked)
                return -ENOMEM;
        for (BgSeriesId id = 0; id < n_series; id++) {
                const BgSeries *series = bg_registry_series(core->registry, id);
                const BgModel *model = bg_registry_model(core->registry, series->model);
                struct ranked item;

                if (series->relation != request->relation || model->merged_into != BG_MODEL_NONE ||
                    !starts_with((BgStr){ model->name, model->name_len }, request->prefix))
                        continue;
                if (series->n_times == 0 && series->n_tallies == 0 && !model->release)
                        continue; /* what a move or a merger left behind */
                item = (struct ranked){ rank_key(series, model, request->sort, as_of), model->name, id };
                n++;
                if (n_kept < n_wanted) {
                        ranked[n_kept++] = item;
                        for (size_t i = n_kept == n_wanted ? n_wanted / 2 : 0; i-- > 0;) /* full: now it becomes a heap */
                                sift(ranked, n_kept, i, ranked[i]);
                } else if (n_kept && by_rank(&item, &ranked[0]) < 0) {
                        sift(ranked, n_kept, 0, item);
                }
        }
        qsort(ranked, n_kept, sizeof(*ranked), by_rank);
        reply->total = (int64_t)n;
        if (offset > n)
                offset = n;
        if (limit > n - offset)
                limit = n - offset;
        reply->series.items = bg_arena_alloc(arena, limit, sizeof(BgListing));
        if (!reply->series.items && limit)
                r = -ENOMEM;
        for (size_t i = 0; i < limit && !r; i++)
                r = listing(core, bg_registry_series(core->registry, ranked[offset + i].id), request, arena, &reply->series.items[i]);
        reply->series.n = r ? 0 : limit;
        free(ranked);
        return r;
}

BgSeriesId bg_query_series(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply, int *rp)
{
        BgModelId model;
        BgSeriesId id;

        *rp = 0;
        if (!request->model.len) {
                *rp = bg_query_refuse(reply, arena, BG_ERROR_MALFORMED, "model: missing; name it as org/name");
                return BG_SERIES_NONE;
        }
        model = bg_registry_find(core->registry, request->model);
        if (model == BG_MODEL_NONE) {
                *rp = bg_query_refuse(reply, arena, BG_ERROR_NOT_FOUND, "no model is called %.*s", (int)request->model.len, request->model.data);
                return BG_SERIES_NONE;
        }
        id = bg_registry_model(core->registry, model)->series[request->relation];
        if (id == BG_SERIES_NONE)
                *rp = bg_query_refuse(reply, arena, BG_ERROR_NOT_FOUND, "%.*s is known, but has no %s events or tallies", (int)request->model.len,
                             request->model.data, bg_proto_relation_name(request->relation));
        return id;
}

int bg_query_add_forecast(BgCore *core, const BgSeries *series, BgArena *arena, BgReply *reply)
{
        BgForecast *message;

        if (!series->state || !series->state->issued)
                return 0;
        message = bg_arena_alloc(arena, 1, sizeof(*message));
        if (!message)
                return -ENOMEM;
        reply->forecasts.items = message;
        reply->forecasts.n = 1;
        return bg_issued_message(core, series, series->state->issued, arena, message);
}

static int query_get(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        int r;
        BgSeriesId id = bg_query_series(core, request, arena, reply, &r);

        if (id == BG_SERIES_NONE)
                return r;
        reply->series.items = bg_arena_alloc(arena, 1, sizeof(BgListing));
        if (!reply->series.items)
                return -ENOMEM;
        reply->series.n = 1;
        r = listing(core, bg_registry_series(core->registry, id), request, arena, reply->series.items);
        if (!r)
                r = bg_query_add_forecast(core, bg_registry_series(core->registry, id), arena, reply);
        return r || !request->outlook ? r : bg_query_add_outlook(core, bg_registry_series(core->registry, id), arena, reply);
}

static int query_history(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        int r;
        BgSeriesId id = bg_query_series(core, request, arena, reply, &r);
        int64_t from, to, step = request->step_us ? request->step_us : DAY_US, before;
        const BgSeries *series;
        BgHistory *history;
        BgSecond release;
        size_t n;

        if (id == BG_SERIES_NONE)
                return r;
        series = bg_registry_series(core->registry, id);
        release = bg_registry_model(core->registry, series->model)->release;
        from = request->from ? request->from : bg_second_to_us(release);
        to = request->to ? request->to : core->watermark;
        if (to <= from)
                return bg_query_refuse(reply, arena, BG_ERROR_RANGE, "from must be before to; nothing is known after the watermark");
        if ((to - from) / step >= 100000)
                return bg_query_refuse(reply, arena, BG_ERROR_RANGE, "more than 100000 bins; choose a larger step or a shorter time");
        n = (size_t)((to - from + step - 1) / step);
        history = bg_arena_alloc(arena, 1, sizeof(*history));
        if (!history)
                return -ENOMEM;
        bg_proto_init(&bg_proto_history, history);
        history->edges.items = bg_arena_alloc(arena, n + 1, sizeof(int64_t));
        history->counts.items = bg_arena_alloc(arena, n, sizeof(int64_t));
        if (!history->edges.items || !history->counts.items)
                return -ENOMEM;
        history->model = bg_query_name(core, series);
        history->relation = series->relation;
        history->edges.n = n + 1;
        history->counts.n = n;
        before = history->before = bg_series_count(series, bg_second_from_us(from));
        history->edges.items[0] = from;
        for (size_t i = 0; i < n; i++) {
                int64_t edge = i + 1 == n ? to : from + (int64_t)(i + 1) * step;
                int64_t count = bg_series_count(series, bg_second_from_us(edge));

                history->edges.items[i + 1] = edge;
                history->counts.items[i] = count - before;
                before = count;
        }
        reply->history = history;
        return 0;
}

static int query_forecast(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        int r;
        BgSeriesId id = bg_query_series(core, request, arena, reply, &r);
        BgForecastPoint points[64];
        BgSeriesBins bins;
        BgPoolInput input;
        const BgIssued *issued;
        const BgSeries *series;
        BgHorizon *horizons;
        BgFit fit;

        if (id == BG_SERIES_NONE)
                return r;
        series = bg_registry_series(core->registry, id);
        issued = series->state ? series->state->issued : NULL;
        if (!issued)
                return bg_query_refuse(reply, arena, BG_ERROR_NOT_FOUND, "no forecast yet: the first refit is pending");
        for (size_t i = 0; i < request->horizons.n; i++) {
                double days = request->horizons.items[i];

                if (!(days >= BG_HORIZON_MIN_DAYS && days <= BG_HORIZON_MAX_DAYS))
                        return bg_query_refuse(reply, arena, BG_ERROR_RANGE, "horizons: each is 1/24 .. 1826.25 days");
                if (i && days <= request->horizons.items[i - 1])
                        return bg_query_refuse(reply, arena, BG_ERROR_RANGE, "horizons: must rise");
        }
        r = bg_query_add_forecast(core, series, arena, reply);
        if (r || request->horizons.n == 0)
                return r;
        horizons = bg_arena_alloc(arena, request->horizons.n, sizeof(*horizons));
        if (!horizons)
                return -ENOMEM;
        /* other horizons of the very same revision: same parameters, same count, same as_of */
        fit = bg_state_fit(series->state, core->spec.fit.m);
        bg_series_bins(&bins, series, issued->release, issued->as_of);
        bg_refit_input(&input, series, &bins, issued->as_of, (double)(issued->as_of - issued->release) / DAY_S, issued->count);
        bg_refit_forecast(points, core->spec.forecaster, &core->learner.pool, &fit, &input, request->horizons.items, request->horizons.n);
        for (size_t i = 0; i < request->horizons.n; i++) {
                bg_refit_horizon(&horizons[i], &points[i]);
                add_receipt(core, &horizons[i], issued->count);
        }
        reply->forecasts.items[0].horizons.items = horizons;
        reply->forecasts.items[0].horizons.n = request->horizons.n;
        return 0;
}

static int64_t resident_bytes(void)
{
        FILE *file = fopen("/proc/self/statm", "re");
        long long pages = 0;

        if (!file)
                return 0;
        if (fscanf(file, "%*s %lld", &pages) != 1)
                pages = 0;
        fclose(file);
        return pages * sysconf(_SC_PAGESIZE);
}

static int query_stats(BgCore *core, int64_t now, BgArena *arena, BgReply *reply)
{
        const struct {
                const char *name;
                int64_t n;
        } counters[] = {
#define BG_C(name) { #name, core->n.name },
                BG_CORE_COUNTERS(BG_C)
#undef BG_C
        }, gauges[] = {
                { "series_dirty", (int64_t)core->n_dirty },
                { "series_scheduled", (int64_t)core->schedule.n },
                { "series_unsaved", (int64_t)core->n_unsaved },
                { "registry_bytes", (int64_t)bg_registry_memory(core->registry) },
                { "sources", (int64_t)core->n_sources },
                { "stale", core->stale },
        };
        const size_t n_counters = sizeof(counters) / sizeof(*counters), n_gauges = sizeof(gauges) / sizeof(*gauges);
        BgStats *stats = bg_arena_alloc(arena, 1, sizeof(*stats));

        if (!stats)
                return -ENOMEM;
        bg_proto_init(&bg_proto_stats, stats);
        stats->counters.items = bg_arena_alloc(arena, n_counters, sizeof(BgTallied));
        stats->gauges.items = bg_arena_alloc(arena, n_gauges, sizeof(BgTallied));
        if (!stats->counters.items || !stats->gauges.items)
                return -ENOMEM;
        stats->uptime_us = now > core->started_at ? now - core->started_at : 0;
        stats->models = (int64_t)bg_registry_n_models(core->registry);
        stats->series = (int64_t)bg_registry_n_series(core->registry);
        stats->children = bg_registry_n_children(core->registry);
        stats->watermark = core->watermark;
        stats->last_event_at = core->newest;
        stats->last_batch_at = core->batch_at;
        stats->rss_bytes = resident_bytes();
        for (size_t i = 0; i < n_counters; i++)
                stats->counters.items[i] = (BgTallied){ bg_str(counters[i].name), counters[i].n };
        for (size_t i = 0; i < n_gauges; i++)
                stats->gauges.items[i] = (BgTallied){ bg_str(gauges[i].name), gauges[i].n };
        stats->counters.n = n_counters;
        stats->gauges.n = n_gauges;
        reply->stats = stats;
        return bg_query_add_receipts(core, arena, stats);
}

int bg_core_query(BgCore *core, const BgRequest *request, int64_t now, BgArena *arena, BgReply *reply)
{
        reply->epoch = core->epoch;
        reply->seq = core->seq;
        switch (request->query) {
        case BG_QUERY_GET:
                return query_get(core, request, arena, reply);
        case BG_QUERY_LIST:
                return query_list(core, request, arena, reply);
        case BG_QUERY_HISTORY:
                return query_history(core, request, arena, reply);
        case BG_QUERY_FORECAST:
                return query_forecast(core, request, arena, reply);
        case BG_QUERY_SURGES:
                return core->incidents ? bg_incidents_list(core, request, arena, reply) : 0;
        case BG_QUERY_ORG:
                return bg_ecosystem_query_org(core, request, now, arena, reply);
        case BG_QUERY_ECOSYSTEM:
                return bg_ecosystem_query(core, request, now, arena, reply);
        case BG_QUERY_MILESTONE:
                return bg_query_milestone(core, request, arena, reply);
        case BG_QUERY_WHY:
                return bg_query_why(core, request, arena, reply);
        case BG_QUERY_STATS:
                return query_stats(core, now, arena, reply);
        default:
                return 1;
        }
}

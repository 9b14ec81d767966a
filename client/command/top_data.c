/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "client/command/print.h"
#include "client/command/text.h"
#include "client/command/top.h"

static uint64_t hash_of(BgStr text)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < text.len; i++)
                hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static bool ask(BgTop *top, BgQuerier *querier, const BgRequest *request, const BgReply **replyp)
{
        int r = bg_querier_ask(querier, request, replyp);

        switch (r) {
        case 0:
                top->problem[0] = '\0';
                return true;
        case BG_E_TIMEOUT:
                snprintf(top->problem, sizeof(top->problem), "no daemon answers at %s", top->context->query);
                break;
        case BG_QUERIER_E_REFUSED:
                snprintf(top->problem, sizeof(top->problem), "%s: %.*s", bg_proto_error_name((*replyp)->error),
                         (int)((*replyp)->detail.len < 150 ? (*replyp)->detail.len : 150),
                         (*replyp)->detail.len ? (*replyp)->detail.data : "");
                break;
        case BG_E_INTERRUPTED:
                break;
        default:
                snprintf(top->problem, sizeof(top->problem), "%s",
                         r == BG_QUERIER_E_MALFORMED ? bg_querier_error(querier) : strerror(-r));
        }
        return false;
}

static void remember_counts(BgTop *top)
{
        memcpy(top->before, top->now, top->n_now * sizeof(top->now[0]));
        top->n_before = top->n_now;
        top->n_now = top->list->series.n < BG_TOP_ROWS_MAX ? top->list->series.n : BG_TOP_ROWS_MAX;
        for (size_t i = 0; i < top->n_now; i++)
                top->now[i] = (BgTopCount){ hash_of(top->list->series.items[i].model), top->list->series.items[i].count };
}

int64_t bg_top_rise(const BgTop *top, BgStr model, int64_t count)
{
        uint64_t hash = hash_of(model);

        for (size_t i = 0; i < top->n_before; i++)
                if (top->before[i].model == hash)
                        return count - top->before[i].count;
        return 0;
}

bool bg_top_refresh(BgTop *top)
{
        const BgReply *reply;
        BgQuerier *querier;
        BgRequest request;

        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_LIST;
        request.sort = top->sort;
        request.relation = top->relation;
        request.limit = top->n_rows < 1 ? 1 : top->n_rows > BG_TOP_ROWS_MAX ? BG_TOP_ROWS_MAX : top->n_rows;
        request.offset = top->offset;
        request.prefix = bg_str(top->filter);
        request.spark = BG_TOP_SPARK_WEEKS;
        if (!ask(top, top->spare, &request, &reply))
                return false; /* what was known stays on the screen */
        querier = top->spare;
        top->spare = top->querier;
        top->querier = querier;
        top->list = reply;
        remember_counts(top);
        return true;
}

/* ---- details ------------------------------------------------------------------------------------------------------------------ */

static void take_listing(BgTop *top, const BgReply *reply)
{
        top->have_listing = false;
        for (size_t i = 0; i < reply->series.n; i++) {
                if (reply->series.items[i].relation != top->relation)
                        continue;
                top->details_listing = reply->series.items[i];
                top->details_listing.model = (BgStr){ NULL, 0 };
                top->details_listing.spark.items = NULL;
                top->details_listing.spark.n = 0;
                top->have_listing = true;
        }
}

static void take_forecast(BgTop *top, const BgReply *reply)
{
        top->have_forecast = false;
        for (size_t i = 0; i < reply->forecasts.n; i++) {
                const BgForecast *forecast = &reply->forecasts.items[i];

                if (forecast->relation != top->relation)
                        continue;
                top->details_forecast = *forecast;
                top->details_forecast.model = (BgStr){ NULL, 0 };
                top->details_forecast.why = NULL;
                if (top->details_forecast.horizons.n > 16)
                        top->details_forecast.horizons.n = 16;
                for (size_t k = 0; k < top->details_forecast.horizons.n; k++)
                        top->details_horizons[k] = forecast->horizons.items[k];
                top->details_forecast.horizons.items = top->details_horizons;
                if (forecast->parameters) {
                        top->details_parameters = *forecast->parameters;
                        top->details_forecast.parameters = &top->details_parameters;
                }
                top->have_forecast = true;
        }
}

static void take_history(BgTop *top, const BgHistory *history)
{
        const size_t most = sizeof(top->columns) / sizeof(top->columns[0]);

        top->n_columns = 0;
        if (!history || !history->counts.n || history->edges.n != history->counts.n + 1)
                return;
        top->n_columns = history->counts.n < most ? history->counts.n : most;
        memset(top->columns, 0, sizeof(top->columns));
        for (size_t i = 0; i < history->counts.n; i++)
                top->columns[i * top->n_columns / history->counts.n] += history->counts.items[i];
        top->columns_from = history->edges.items[0];
        top->columns_to = history->edges.items[history->counts.n];
}

bool bg_top_refresh_details(BgTop *top)
{
        const BgReply *reply;
        BgRequest request;
        int64_t span;

        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_GET;
        request.model = bg_str(top->details);
        request.relation = top->relation;
        if (!ask(top, top->details_querier, &request, &reply))
                return false;
        take_listing(top, reply);
        take_forecast(top, reply);
        span = top->have_forecast && top->details_listing.released_at > 0 ? top->details_forecast.as_of - top->details_listing.released_at
                                                                         : INT64_C(365) * 86400 * 1000000;
        request.query = BG_QUERY_HISTORY;
        request.step_us = ((span > 0 ? span : 1) / 360 / INT64_C(3600000000) + 1) * INT64_C(3600000000);
        if (!ask(top, top->details_querier, &request, &reply))
                return false;
        take_history(top, reply->history);
        return true;
}

/* ---- what comes by itself ----------------------------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, BgStr from)
{
        snprintf(to, size, "%.*s", (int)from.len, from.len ? from.data : "");
}

static void format_detail(char *text, size_t size, const BgSurge *surge)
{
        char observed[BG_TEXT_MAX], expected[BG_TEXT_MAX];
        int n = snprintf(text, size, "%s, expected %s", bg_text_short(observed, (double)surge->observed),
                         bg_text_short(expected, surge->expected < 10 ? surge->expected : round(surge->expected)));

        if (surge->authors > 0 && isfinite(surge->top_author_share))
                snprintf(text + n, size - (size_t)n, "; %lld uploaders, largest %.0f %%", (long long)surge->authors,
                         100 * surge->top_author_share);
}

/* The newest transition first; an incident has one line. */
static void take_surge(BgTop *top, const BgSurge *surge)
{
        BgTopSurge entry = { .kind = surge->kind, .state = surge->state, .magnitude = surge->magnitude, .at = surge->at };
        size_t i = 0;

        copy_text(entry.id, sizeof(entry.id), surge->id);
        copy_text(entry.model, sizeof(entry.model), surge->model);
        format_detail(entry.detail, sizeof(entry.detail), surge);
        bg_print_surge_text(entry.text, sizeof(entry.text), surge);
        while (i < top->n_surges && strcmp(top->surges[i].id, entry.id))
                i++;
        if (i == top->n_surges && top->n_surges < BG_TOP_SURGES_MAX)
                top->n_surges++;
        if (i == BG_TOP_SURGES_MAX)
                i--;
        for (; i > 0 && top->surges[i - 1].at <= entry.at; i--)
                top->surges[i] = top->surges[i - 1];
        for (; i + 1 < top->n_surges && top->surges[i + 1].at > entry.at; i++)
                top->surges[i] = top->surges[i + 1];
        top->surges[i] = entry;
}

static void take_heartbeat(BgTop *top, const BgHeartbeat *heartbeat)
{
        double now = bg_seconds(), rate;

        if (top->heard && now > top->events_at + 0.2) {
                rate = (double)(heartbeat->events - top->events) / (now - top->events_at);
                top->rate = rate < 0 ? 0 : top->rate > 0 ? 0.5 * top->rate + 0.5 * rate : rate;
        }
        top->heard = true;
        top->events_at = now;
        top->events = heartbeat->events;
        top->models = heartbeat->models;
        top->dirty = heartbeat->dirty;
        top->watermark = heartbeat->watermark;
        copy_text(top->health, sizeof(top->health), heartbeat->health);
}

void bg_top_listen(BgTop *top)
{
        const BgItem *item;

        for (int budget = 1000; budget > 0 && !bg_subscriber_next(top->subscriber, 0, &item); budget--) {
                top->stale = item->kind == BG_ITEM_STALE;
                if (item->kind == BG_ITEM_SURGE)
                        take_surge(top, item->surge);
                else if (item->kind == BG_ITEM_HEARTBEAT)
                        take_heartbeat(top, item->heartbeat);
                else if (item->kind == BG_ITEM_EPOCH)
                        top->n_surges = 0;
        }
}

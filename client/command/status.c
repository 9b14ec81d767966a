/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <time.h>

#include "client/command/print.h"
#include "client/command/text.h"

static int64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void print_line(const BgContext *context, const char *label, const char *text)
{
        printf("%s%-12s%s %s\n", bg_print_color(context->color_out, "\033[2m"), label, bg_print_color(context->color_out, "\033[0m"),
               text);
}

static void print_tallied(const BgContext *context, const char *label, const BgTallied *items, size_t n, double uptime_s)
{
        char count[BG_TEXT_MAX], rate[BG_TEXT_MAX], line[200];

        for (size_t i = 0; i < n; i++) {
                int len;

                if (!items[i].n)
                        continue; /* --json has them all */
                len = snprintf(line, sizeof(line), "%-28.*s %15s", (int)items[i].name.len, items[i].name.data,
                                   bg_text_count(count, (double)items[i].n));

                if (uptime_s > 0 && items[i].n)
                        snprintf(line + len, sizeof(line) - (size_t)len, "   %s/s",
                                 bg_text_short(rate, (double)items[i].n / uptime_s));
                print_line(context, label, line);
                label = "";
        }
}

/* What the forecasts were worth: the levels are what the shares should be. */
static void print_receipts(const BgContext *context, const BgStats *stats)
{
        char line[200], n[BG_TEXT_MAX], horizon[BG_TEXT_MAX], shares[3][BG_TEXT_MAX];

        for (size_t i = 0; i < stats->receipts.n; i++) {
                const BgCoverage *c = &stats->receipts.items[i];
                const double values[3] = { c->c50, c->c80, c->c90 };

                if (!i) {
                        snprintf(line, sizeof(line), "%s%10s %8s %10s %8s %8s %8s %8s%s", bg_print_color(context->color_out, "\033[2m"), "ahead",
                                 "count", "outcomes", "in 50 %", "in 80 %", "in 90 %", "lwis", bg_print_color(context->color_out, "\033[0m"));
                        print_line(context, "receipts", line);
                }
                for (int k = 0; k < 3; k++)
                        snprintf(shares[k], sizeof(shares[k]), "%.0f %%", 100 * values[k]);
                snprintf(horizon, sizeof(horizon), c->days < 1 ? "%.0f h" : "%.0f d", c->days < 1 ? 24 * c->days : c->days);
                snprintf(line, sizeof(line), "%10s %8.*s %10s %8s %8s %8s %8.4f", horizon,
                         (int)c->stratum.len, c->stratum.data, bg_text_count(n, (double)c->n), shares[0], shares[1], shares[2], c->lwis);
                print_line(context, "", line);
        }
        if (!stats->receipts.n)
                print_line(context, "receipts", "none yet: no forecast has fallen due");
}

static void print_stats(const BgContext *context, const BgStats *stats)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX], line[200];

        snprintf(line, sizeof(line), "%s models, %s series, %s children", bg_text_count(a, (double)stats->models),
                 bg_text_count(b, (double)stats->series), bg_text_count(c, (double)stats->children));
        print_line(context, "counted", line);
        snprintf(line, sizeof(line), "newest event %s, complete up to %s", bg_text_minute(a, stats->last_event_at),
                 stats->watermark ? bg_text_minute(b, stats->watermark) : "(no source said)");
        print_line(context, "input", line);
        if (stats->last_batch_at) {
                snprintf(line, sizeof(line), "%s ago", bg_text_duration(a, (double)(now_us() - stats->last_batch_at) / 1e6));
                print_line(context, "last batch", line);
        }
        snprintf(line, sizeof(line), "%s", bg_text_bytes(a, (double)stats->rss_bytes));
        print_line(context, "memory", line);
        print_tallied(context, "since start", stats->counters.items, stats->counters.n, (double)stats->uptime_us / 1e6);
        print_tallied(context, "rejected", stats->rejected.items, stats->rejected.n, 0);
        print_tallied(context, "now", stats->gauges.items, stats->gauges.n, 0);
        print_receipts(context, stats);
}

static void print_info(const BgContext *context, const BgInfo *info, int64_t epoch, int64_t uptime_us)
{
        char up[BG_TEXT_MAX], started[BG_TEXT_MAX], line[400];

        snprintf(line, sizeof(line), "%.*s %.*s, up %s (since %s UTC), epoch %lld", (int)info->program.len, info->program.data,
                 (int)info->version.len, info->version.data, bg_text_duration(up, (double)uptime_us / 1e6),
                 bg_text_minute(started, info->started_at), (long long)epoch);
        print_line(context, "daemon", line);
        for (size_t i = 0; i < info->endpoints.n; i++) {
                const BgEndpoint *endpoint = &info->endpoints.items[i];

                snprintf(line, sizeof(line), "%-10.*s %.*s", (int)endpoint->name.len, endpoint->name.data, (int)endpoint->endpoint.len,
                         endpoint->endpoint.data);
                print_line(context, i ? "" : "doors", line);
        }
        snprintf(line, sizeof(line), "%.*s, m = %g", (int)info->estimator.len, info->estimator.data, info->m);
        print_line(context, "estimator", line);
}

/* The daemon's own word on its health is in its heartbeat. Return: EX_OK when it is well. */
static int print_health(const BgContext *context)
{
        BG_CLEANUP(bg_subscriber_freep) BgSubscriber *subscriber = NULL;
        const char *topic = "heartbeat/";
        double until = bg_seconds() + 2.5;
        const BgItem *item;
        char line[200], age[BG_TEXT_MAX];
        bool ok;

        if (bg_subscriber_new(&subscriber, &(BgSubscriberSpec){ .endpoint = context->updates, .topics = &topic, .n_topics = 1 }))
                return EX_UNAVAILABLE;
        while (bg_seconds() < until && !bg_interrupted()) {
                if (bg_subscriber_next(subscriber, 500, &item) || item->kind != BG_ITEM_HEARTBEAT)
                        continue;
                ok = bg_str_equal(item->heartbeat->health, BG_STR("ok"));
                snprintf(line, sizeof(line), "%s%.*s%s, last batch %s ago, %lld series wait for a refit",
                         bg_print_color(context->color_out, ok ? "\033[32m" : "\033[31m"), (int)item->heartbeat->health.len,
                         item->heartbeat->health.data, bg_print_color(context->color_out, "\033[0m"),
                         bg_text_duration(age, item->heartbeat->input_age_s), (long long)item->heartbeat->dirty);
                print_line(context, "health", line);
                return ok ? EX_OK : EX_TEMPFAIL;
        }
        print_line(context, "health", "no heartbeat heard");
        return EX_UNAVAILABLE;
}

int bg_command_status(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const BgOption options[] = { { NULL, 0, 0, NULL, NULL, 0, 0, NULL } };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        const BgReply *reply;
        BgRequest request;
        BgStats stats;
        int64_t uptime_us = 0;
        char **operands;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands)
                return bg_usage(context, command, "unexpected operand '%s'", operands[0]);
        r = bg_ask_open(context, &querier);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_INFO;
        if (r == BG_OPTIONS_RUN)
                r = bg_ask(context, querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (context->json) {
                if (bg_print_json(&bg_proto_reply, reply))
                        return EX_OSERR;
        } else if (reply->info) {
                uptime_us = now_us() - reply->info->started_at;
                print_info(context, reply->info, reply->epoch, uptime_us);
        }
        request.query = BG_QUERY_STATS;
        r = bg_ask(context, querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (context->json)
                return bg_print_json(&bg_proto_reply, reply);
        r = print_health(context);
        if (reply->stats) {
                stats = *reply->stats;
                print_stats(context, &stats);
        }
        return r;
}

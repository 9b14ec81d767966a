/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/command/print.h"
#include "client/command/text.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RESET "\033[0m"
#define HORIZONS_MAX 64

typedef struct Show {
        const BgContext *context;
        BgQuerier *querier;
        BgRequest request;
} Show;

static void label(const BgContext *context, const char *text)
{
        printf("%s%-12s%s ", bg_print_color(context->color_out, DIM), text, bg_print_color(context->color_out, RESET));
}

static void print_listing(const BgContext *context, const BgListing *item)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX], first[BG_TEXT_MAX], last[BG_TEXT_MAX];

        printf("%s%.*s%s  %s  %s%s%s\n", bg_print_color(context->color_out, BOLD), (int)item->model.len, item->model.data,
               bg_print_color(context->color_out, RESET), bg_proto_relation_name(item->relation),
               bg_print_status_color(context->color_out, item->status), item->surging ? "surging" : bg_proto_status_name(item->status),
               bg_print_color(context->color_out, RESET));
        label(context, "released");
        printf("%s (%s)\n", bg_text_day(a, item->released_at), bg_proto_release_basis_name(item->release_basis));
        label(context, "counted");
        printf("%s; +%s in 7 days, +%s in 30 days; first %s", bg_text_count(a, (double)item->count), bg_text_count(b, (double)item->new_7d),
               bg_text_count(c, (double)item->new_30d), bg_text_day(first, item->first_at));
        printf(", latest %s\n", bg_text_day(last, item->last_at));
}

static void print_parameters(const BgContext *context, const BgForecast *forecast)
{
        const BgParameters *p = forecast->parameters;
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX];

        if (!p)
                return;
        label(context, "fitness");
        printf("lambda %.3g (x/ %.2f): its growth curve alone ends at about %s\n", p->lambda, exp(fmin(p->lambda_sd, 20)),
               bg_text_count(a, forecast->ultimate));
        label(context, "immediacy");
        printf("mu %.2f +- %.2f: half of its log-growth is over %s after the release\n", p->mu, p->mu_sd,
               bg_text_duration(a, exp(fmin(p->mu, 20)) * 86400));
        label(context, "longevity");
        printf("sigma %.2f (x/ %.2f): the middle half of it falls between %s", p->sigma, exp(fmin(p->sigma_sd, 20)),
               bg_text_duration(a, exp(fmin(p->mu - 0.6745 * p->sigma, 20)) * 86400));
        printf(" and %s\n", bg_text_duration(b, exp(fmin(p->mu + 0.6745 * p->sigma, 20)) * 86400));
        label(context, "evidence");
        printf("m = %g, dispersion %.3g", p->m, p->dispersion);
        if (isfinite(p->moved))
                printf("; the data moved the prior by %.1f sd", p->moved);
        putchar('\n');
}

/* The month that lies so many days after the release. */
static char *month(char text[BG_TEXT_MAX], int64_t released_at, double days)
{
        double at = (double)released_at + days * 86400e6;

        if (!isfinite(at) || at > (double)BG_TIME_MAX || released_at <= 0)
                return strcpy(text, "never");
        bg_text_day(text, (int64_t)at);
        text[7] = '\0'; /* 2025-02 */
        return text;
}

static void print_outlook(const BgContext *context, const BgOutlook *outlook, int64_t released_at)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX];
        const BgQuantiles *q = outlook->ultimate;

        if (q) {
                label(context, "in the end");
                printf("%s; with 80 %% between %s and %s\n", bg_text_count(a, q->q50), bg_text_count(b, q->q10), bg_text_count(c, q->q90));
        }
        q = outlook->impact_days;
        if (q) {
                label(context, "impact time");
                printf("%s after the release; with 80 %% between %s and %s\n", bg_text_duration(a, q->q50 * 86400),
                       bg_text_duration(b, q->q10 * 86400), bg_text_duration(c, q->q90 * 86400));
        }
        q = outlook->peak_days;
        if (q) {
                label(context, "peak month");
                printf("%s; with 80 %% between %s and %s; ", month(a, released_at, q->q50), month(b, released_at, q->q10),
                       month(c, released_at, q->q90));
                printf("over with %s\n", bg_text_chance(a, fmin(outlook->peak_past, .999))); /* of 2,048 curves: nothing is certain */
        }
}

static void print_receipts(const BgContext *context, const BgForecast *forecast)
{
        const BgHorizon *h = bg_print_horizon(forecast, 90);
        char n[BG_TEXT_MAX];
        bool first = true;

        if (h && isfinite(h->c80) && h->n_outcomes > 0) {
                label(context, "measured");
                printf("80 %% intervals about %g days ahead, for models of this size, held %.0f %% of %s times\n", h->days, 100 * h->c80,
                       bg_text_count(n, (double)h->n_outcomes));
        }
        for (size_t i = 0; i < forecast->horizons.n; i++) {
                h = &forecast->horizons.items[i];
                if (!h->miscalibrated)
                        continue;
                if (first) {
                        label(context, "note");
                        printf("%sbadly calibrated for models of this size, by what was measured:", bg_print_color(context->color_out, "\033[33m"));
                }
                printf("%s %g days (50/80/90 %% held %.0f/%.0f/%.0f %%)", first ? "" : ",", h->days, 100 * h->c50, 100 * h->c80, 100 * h->c90);
                first = false;
        }
        if (!first)
                printf("%s\n", bg_print_color(context->color_out, RESET));
}

static void print_forecast(const BgContext *context, const BgForecast *forecast)
{
        char mean[BG_TEXT_MAX], q[5][BG_TEXT_MAX], rate[BG_TEXT_MAX], day[BG_TEXT_MAX];

        label(context, "now");
        printf("%s as of %s, revision %lld\n", bg_text_rate(rate, forecast->rate), bg_text_minute(day, forecast->as_of),
               (long long)forecast->rev);
        print_parameters(context, forecast);
        printf("\n%s%10s %12s %12s %12s %12s %12s %12s%s\n", bg_print_color(context->color_out, DIM), "in", "5 %", "25 %", "median", "75 %",
               "95 %", "mean", bg_print_color(context->color_out, RESET));
        for (size_t i = 0; i < forecast->horizons.n; i++) {
                const BgHorizon *h = &forecast->horizons.items[i];

                printf("%8g d %12s %12s %s%12s%s %12s %12s %12s", h->days, bg_text_count(q[0], h->q05), bg_text_count(q[1], h->q25),
                       bg_print_color(context->color_out, BOLD), bg_text_count(q[2], h->q50), bg_print_color(context->color_out, RESET),
                       bg_text_count(q[3], h->q75), bg_text_count(q[4], h->q95), bg_text_count(mean, h->mean));
                if (isfinite(h->c80) && h->n_outcomes > 0)
                        printf("  80 %% held %.0f %% of %lld times", 100 * h->c80, (long long)h->n_outcomes);
                putchar('\n');
        }
        putchar('\n');
        print_receipts(context, forecast);
}

static const char *verdict(const BgHorizon *h)
{
        switch (h->inside) {
        case BG_INSIDE_HALF:
                return "in the middle half";
        case BG_INSIDE_EIGHTY:
                return "within 80 %";
        case BG_INSIDE_NINETY:
                return "within 90 %";
        case BG_INSIDE_BELOW:
                return "below 90 %";
        case BG_INSIDE_ABOVE:
                return "above 90 %";
        default:
                return "";
        }
}

/* A forecast of the past beside what came of it. */
static void print_issued(const BgContext *context, const BgForecast *forecast)
{
        char q[5][BG_TEXT_MAX], outcome[BG_TEXT_MAX], count[BG_TEXT_MAX], rate[BG_TEXT_MAX], day[BG_TEXT_MAX];

        printf("%s%.*s%s  %s  %s%s%s\n", bg_print_color(context->color_out, BOLD), (int)forecast->model.len, forecast->model.data,
               bg_print_color(context->color_out, RESET), bg_proto_relation_name(forecast->relation),
               bg_print_status_color(context->color_out, forecast->status), bg_proto_status_name(forecast->status),
               bg_print_color(context->color_out, RESET));
        label(context, "then");
        printf("%s counted as of %s", bg_text_count(count, (double)forecast->count), bg_text_minute(day, forecast->as_of));
        printf(", %s, revision %lld\n", bg_text_rate(rate, forecast->rate), (long long)forecast->rev);
        print_parameters(context, forecast);
        printf("\n%s%10s %12s %12s %12s %12s %12s %12s%s\n", bg_print_color(context->color_out, DIM), "by", "5 %", "25 %", "median", "75 %",
               "95 %", "outcome", bg_print_color(context->color_out, RESET));
        for (size_t i = 0; i < forecast->horizons.n; i++) {
                const BgHorizon *h = &forecast->horizons.items[i];
                bool due = h->outcome >= 0;

                printf("%10s %12s %12s %s%12s%s %12s %12s %12s  %s\n", bg_text_day(day, forecast->as_of + (int64_t)(h->days * 86400e6)),
                       bg_text_count(q[0], h->q05), bg_text_count(q[1], h->q25), bg_print_color(context->color_out, BOLD),
                       bg_text_count(q[2], h->q50), bg_print_color(context->color_out, RESET), bg_text_count(q[3], h->q75),
                       bg_text_count(q[4], h->q95), due ? bg_text_count(outcome, (double)h->outcome) : "-", verdict(h));
        }
}

/* Bins of the history joined to as many columns as there are. */
static void print_history(const BgContext *context, const BgHistory *history, int width)
{
        int64_t columns[200] = { 0 };
        size_t n = history->counts.n, n_columns = (size_t)(width > 200 ? 200 : width);
        char spark[BG_TEXT_SPARK_BYTES(200)], from[BG_TEXT_MAX], to[BG_TEXT_MAX], each[BG_TEXT_MAX];

        if (!n || history->edges.n != n + 1)
                return;
        n_columns = n < n_columns ? n : n_columns;
        for (size_t i = 0; i < n; i++)
                columns[i * n_columns / n] += history->counts.items[i];
        bg_text_spark(spark, columns, n_columns, n_columns);
        printf("\n%s%s%s\n", bg_print_color(context->color_out, "\033[36m"), spark, bg_print_color(context->color_out, RESET));
        bg_text_day(from, history->edges.items[0]);
        bg_text_day(to, history->edges.items[n]);
        bg_text_duration(each, (double)(history->edges.items[n] - history->edges.items[0]) / 1e6 / (double)n_columns);
        printf("%s%-*s%s%s\n", bg_print_color(context->color_out, DIM), n_columns > 24 ? (int)n_columns - 10 : 11, from, to,
               bg_print_color(context->color_out, RESET));
        printf("%snew children, %s a column%s\n", bg_print_color(context->color_out, DIM), each, bg_print_color(context->color_out, RESET));
}

static int ask(Show *show, BgQuery query, const BgReply **replyp)
{
        show->request.query = query;
        return bg_ask(show->context, show->querier, &show->request, replyp);
}

/* The series and forecasts that are asked about: those of one relation. */
static int show_series(Show *show, bool own_horizons, int64_t *spanp)
{
        const BgContext *context = show->context;
        const BgReply *reply;
        int r = ask(show, BG_QUERY_GET, &reply), failed = 0;
        int64_t released_at = 0;
        bool found = false;

        if (r != BG_OPTIONS_RUN)
                return r;
        for (size_t i = 0; i < reply->series.n; i++) {
                const BgListing *item = &reply->series.items[i];

                if (item->relation != show->request.relation)
                        continue;
                found = true;
                if (context->json)
                        failed |= bg_print_json(&bg_proto_listing, item);
                else
                        print_listing(context, item);
                released_at = item->released_at;
                if (item->released_at > 0 && item->last_at > item->released_at)
                        *spanp = item->last_at - item->released_at;
        }
        if (!found) {
                bg_error(context, "%.*s is known, but nothing of kind '%s' was counted", (int)show->request.model.len,
                         show->request.model.data, bg_proto_relation_name(show->request.relation));
                return EX_NOINPUT;
        }
        for (size_t i = 0; i < reply->outlooks.n; i++) {
                if (reply->outlooks.items[i].relation != show->request.relation)
                        continue;
                if (context->json)
                        failed |= bg_print_json(&bg_proto_outlook, &reply->outlooks.items[i]);
                else
                        print_outlook(context, &reply->outlooks.items[i], released_at);
        }
        if (own_horizons || !reply->forecasts.n) {
                r = ask(show, BG_QUERY_FORECAST, &reply);
                if (r != BG_OPTIONS_RUN)
                        return r;
        }
        for (size_t i = 0; i < reply->forecasts.n; i++) {
                if (reply->forecasts.items[i].relation != show->request.relation)
                        continue;
                if (context->json)
                        failed |= bg_print_json(&bg_proto_forecast, &reply->forecasts.items[i]);
                else
                        print_forecast(context, &reply->forecasts.items[i]);
        }
        return failed ? EX_OSERR : BG_OPTIONS_RUN;
}

/* What was forecast then, and how it turned out. */
static int show_issued(Show *show)
{
        const BgReply *reply;
        int r = ask(show, BG_QUERY_FORECAST, &reply);

        if (r != BG_OPTIONS_RUN)
                return r;
        for (size_t i = 0; i < reply->forecasts.n; i++) {
                if (!show->context->json)
                        print_issued(show->context, &reply->forecasts.items[i]);
                else if (bg_print_json(&bg_proto_forecast, &reply->forecasts.items[i]))
                        return EX_OSERR;
        }
        return BG_OPTIONS_RUN;
}

static int show_history(Show *show, int64_t span_us)
{
        const BgReply *reply;
        int r;

        /* some 200 bins, of whole hours, whatever the age */
        show->request.step_us = (span_us / 200 / INT64_C(3600000000) + 1) * INT64_C(3600000000);
        r = ask(show, BG_QUERY_HISTORY, &reply);
        if (r != BG_OPTIONS_RUN || !reply->history)
                return r;
        if (show->context->json)
                return bg_print_json(&bg_proto_history, reply->history) ? EX_OSERR : BG_OPTIONS_RUN;
        print_history(show->context, reply->history, bg_print_width() - 2);
        return BG_OPTIONS_RUN;
}

/* "30,90,365": rising or not; the daemon checks the range. */
static int parse_horizons(const BgContext *context, const BgCommand *command, const char *text, double *days, size_t *np)
{
        char *end;

        for (*np = 0; *np < HORIZONS_MAX; text = end + 1) {
                days[*np] = strtod(text, &end);
                if (end == text || !(days[*np] >= 1.0 / 24 && days[*np] <= 1826.25))
                        break;
                ++*np;
                if (!*end)
                        return BG_OPTIONS_RUN;
                if (*end != ',')
                        break;
        }
        return bg_usage(context, command, "--horizons: expected days in 1/24 .. 1826.25, such as 30,90,365");
}

int bg_command_show(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *relation = "finetune", *horizons = NULL, *as_of = NULL;
        const BgOption options[] = {
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, "finetune, adapter, quantized, merge or download" },
                { "horizons", 0, BG_OPTION_TEXT, "D,D,..", &horizons, 0, 0, "days ahead; default: the daemon's" },
                { "as-of", 0, BG_OPTION_TEXT, "TIME", &as_of, 0, 0, "what was forecast on that day, and how it turned out" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        Show show = { .context = context };
        double days[HORIZONS_MAX];
        int64_t span_us = INT64_C(365) * 86400 * 1000000;
        char **operands;
        int n_operands, r, value;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands != 1)
                return bg_usage(context, command, n_operands ? "one model at a time" : "which model?");
        if (!bg_proto_name_valid(bg_str(operands[0])))
                return bg_usage(context, command, "'%s' is not of the form org/name", operands[0]);
        bg_proto_init(&bg_proto_request, &show.request);
        show.request.model = bg_str(operands[0]);
        if (bg_proto_relation_find(&value, bg_str(relation)))
                return bg_usage(context, command, "--relation: expected finetune, adapter, quantized, merge or download, got '%s'",
                                relation);
        show.request.relation = value;
        if (horizons) {
                r = parse_horizons(context, command, horizons, days, &show.request.horizons.n);
                if (r != BG_OPTIONS_RUN)
                        return r;
                show.request.horizons.items = days;
        }
        if (as_of) {
                if (horizons)
                        return bg_usage(context, command, "--as-of tells the horizons that were issued then: leave out --horizons");
                if (bg_time_parse(&show.request.as_of, bg_str(as_of)) || show.request.as_of < BG_TIME_MIN || show.request.as_of > BG_TIME_MAX)
                        return bg_usage(context, command, "--as-of: expected a day such as 2025-02-01, or a time, got '%s'", as_of);
                if (strlen(as_of) == sizeof("2025-02-01") - 1)
                        show.request.as_of += INT64_C(86399999999); /* the whole of that day */
        }
        r = bg_ask_open(context, &querier);
        if (r != BG_OPTIONS_RUN)
                return r;
        show.querier = querier;
        if (as_of) {
                r = show_issued(&show);
                return r == BG_OPTIONS_RUN ? EX_OK : r;
        }
        show.request.outlook = true;
        r = show_series(&show, horizons != NULL, &span_us);
        if (r == BG_OPTIONS_RUN)
                r = show_history(&show, span_us);
        return r == BG_OPTIONS_RUN ? EX_OK : r;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/command/print.h"
#include "client/command/text.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RESET "\033[0m"

const char *bg_print_color(bool on, const char *sequence)
{
        return on ? sequence : "";
}

const char *bg_print_status_color(bool on, int status)
{
        static const char *const colors[BG_STATUS_N] = {
                [BG_STATUS_NO_DATA] = DIM,         [BG_STATUS_WARMING] = "\033[36m",    [BG_STATUS_WEAK] = "\033[33m",
                [BG_STATUS_OK] = "\033[32m",       [BG_STATUS_SURGING] = "\033[1;35m", [BG_STATUS_STALE_INPUT] = "\033[31m",
        };

        return on && status >= 0 && status < BG_STATUS_N && colors[status] ? colors[status] : "";
}

int bg_print_width(void)
{
        struct winsize size;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 100 : size.ws_col;
}

int bg_print_json(const BgProtoType *type, const void *message)
{
        BgBuffer line = { 0 };
        int r = bg_proto_to_json(type, message, &line);

        if (!r) {
                fwrite(line.data, 1, line.len, stdout);
                putchar('\n');
        }
        bg_buffer_deinit(&line);
        return r ? EX_OSERR : 0;
}

const BgHorizon *bg_print_horizon(const BgForecast *forecast, double days)
{
        const BgHorizon *best = NULL;

        for (size_t i = 0; i < forecast->horizons.n; i++)
                if (!best || fabs(forecast->horizons.items[i].days - days) < fabs(best->days - days))
                        best = &forecast->horizons.items[i];
        return best;
}

static void print_why(const BgWhy *why)
{
        char count[BG_TEXT_MAX];

        if (!why)
                return;
        if (why->added + why->tallied)
                printf(" +%s", bg_text_count(count, (double)(why->added + why->tallied)));
        if (why->removed)
                printf(" -%s", bg_text_count(count, (double)why->removed));
        if (why->late)
                printf(" (%s late)", bg_text_count(count, (double)why->late));
        if (why->release_changed)
                printf(" release corrected");
        if (why->renamed)
                printf(" renamed");
        if (why->regime)
                printf(" new level");
}

void bg_print_forecast(const BgContext *context, const BgForecast *forecast)
{
        const BgHorizon *horizon = bg_print_horizon(forecast, 90);
        bool color = context->color_out;
        char when[BG_TEXT_MAX], count[BG_TEXT_MAX], low[BG_TEXT_MAX], middle[BG_TEXT_MAX], high[BG_TEXT_MAX];

        printf("%s%s%s  %s%.*s%s", bg_print_color(color, DIM), bg_text_minute(when, forecast->as_of), bg_print_color(color, RESET),
               bg_print_color(color, BOLD), (int)forecast->model.len, forecast->model.data, bg_print_color(color, RESET));
        if (forecast->relation)
                printf(" (%s)", bg_proto_relation_name(forecast->relation));
        printf("  %s", bg_text_count(count, (double)forecast->count));
        print_why(forecast->why);
        if (horizon)
                printf("  in %.0f d %s [%s - %s]", horizon->days, bg_text_count(middle, horizon->q50), bg_text_count(low, horizon->q10),
                       bg_text_count(high, horizon->q90));
        printf("  %s%s%s\n", bg_print_status_color(color, forecast->status), bg_proto_status_name(forecast->status),
               bg_print_color(color, RESET));
}

void bg_print_surge_text(char *text, size_t size, const BgSurge *surge)
{
        char onset[BG_TEXT_MAX], observed[BG_TEXT_MAX], expected[BG_TEXT_MAX];
        int n;

        bg_text_count(observed, (double)surge->observed);
        if (surge->expected < 10)
                snprintf(expected, sizeof(expected), "%.1f", surge->expected);
        else
                bg_text_count(expected, surge->expected);
        n = snprintf(text, size, "%s %s  %.*s  %.1fx: %s where %s were expected since %s", bg_proto_surge_kind_name(surge->kind),
                     bg_proto_surge_state_name(surge->state), (int)surge->model.len, surge->model.data, surge->magnitude, observed,
                     expected, bg_text_day(onset, surge->onset));
        if (n > 0 && (size_t)n < size && surge->authors > 0)
                n += snprintf(text + n, size - (size_t)n, ", %lld uploaders", (long long)surge->authors);
        if (n > 0 && (size_t)n < size && isfinite(surge->top_author_share))
                n += snprintf(text + n, size - (size_t)n, ", largest %.0f %%", 100 * surge->top_author_share);
        if (n > 0 && (size_t)n < size && surge->reason.len)
                snprintf(text + n, size - (size_t)n, " (%.*s)", (int)surge->reason.len, surge->reason.data);
}

void bg_print_surge(const BgContext *context, const BgSurge *surge)
{
        bool color = context->color_out;
        char text[512], when[BG_TEXT_MAX];

        bg_print_surge_text(text, sizeof(text), surge);
        printf("%s%s%s  %s%s%s\n", bg_print_color(color, DIM), bg_text_minute(when, surge->at), bg_print_color(color, RESET),
               bg_print_color(color, surge->state == BG_SURGE_OPENED ? "\033[1;35m" : "\033[35m"), text,
               bg_print_color(color, RESET));
}

static void print_row(const BgContext *context, const BgListing *item, int64_t rank, int name_width, size_t spark_width)
{
        bool color = context->color_out;
        char count[BG_TEXT_MAX], week[BG_TEXT_MAX], month[BG_TEXT_MAX], q10[BG_TEXT_MAX], q50[BG_TEXT_MAX], q90[BG_TEXT_MAX];
        char interval[2 * BG_TEXT_MAX + 4] = "", name[BG_NAME_MAX + 32], spark[BG_TEXT_SPARK_BYTES(120)] = "";
        int columns = (int)item->model.len < name_width ? (int)item->model.len : name_width;

        bg_text_name(name, sizeof(name), item->model, (size_t)name_width);
        if (isfinite(item->q10))
                snprintf(interval, sizeof(interval), "%s - %s", bg_text_short(q10, item->q10), bg_text_short(q90, item->q90));
        if (spark_width)
                bg_text_spark(spark, item->spark.items, item->spark.n, spark_width);
        printf("%4lld  %s%s%*s%s %10s %8s %8s %7s  %-15s %s%-11s%s %s%s%s\n", (long long)rank, bg_print_color(color, BOLD), name, name_width - columns, "",
               bg_print_color(color, RESET), bg_text_count(count, (double)item->count), bg_text_count(week, (double)item->new_7d),
               bg_text_count(month, (double)item->new_30d), bg_text_short(q50, item->q50), interval,
               bg_print_status_color(color, item->status), item->surging ? "surging" : bg_proto_status_name(item->status),
               bg_print_color(color, RESET), bg_print_color(color, "\033[36m"), spark, bg_print_color(color, RESET));
}

void bg_print_table(const BgContext *context, const BgListing *items, size_t n, int64_t first, int width)
{
        char head[40] = "model";
        const int fixed = 78;
        int longest = 17, name_width, spark_width;

        if (n && items[0].relation)
                snprintf(head, sizeof(head), "model (%s)", bg_proto_relation_name(items[0].relation));
        for (size_t i = 0; i < n; i++)
                longest = (int)items[i].model.len > longest ? (int)items[i].model.len : longest;
        if (!isatty(STDOUT_FILENO))
                width = fixed + longest + 27; /* a pipe gets the names whole */
        name_width = width - fixed < longest ? width - fixed : longest;
        name_width = name_width < 17 ? 17 : name_width;
        spark_width = width - fixed - name_width;
        spark_width = spark_width > 52 ? 52 : spark_width < 4 ? 0 : spark_width;
        printf("%s%4s  %-*s %10s %8s %8s %7s  %-15s %-11s %s%s\n", bg_print_color(context->color_out, DIM), "#", name_width, head,
               "count", "+7 d", "+30 d", "in 90 d", "10 - 90 %", "status", spark_width ? "by week" : "",
               bg_print_color(context->color_out, RESET));
        for (size_t i = 0; i < n; i++)
                print_row(context, &items[i], first + (int64_t)i, name_width, (size_t)spark_width);
}

/* ---- asking ----------------------------------------------------------------------------------------------------------------- */

int bg_ask_open(const BgContext *context, BgQuerier **querierp)
{
        int r = bg_querier_new(querierp, &(BgQuerierSpec){ .endpoint = context->query });

        if (!r)
                return BG_OPTIONS_RUN;
        bg_error(context, "%s: %s", context->query, strerror(-r));
        return r == -EINVAL ? EX_USAGE : EX_OSERR;
}

static int refused(const BgContext *context, const BgReply *reply)
{
        bg_error(context, "%s%s%.*s", bg_proto_error_name(reply->error), reply->detail.len ? ": " : "", (int)reply->detail.len,
                 reply->detail.len ? reply->detail.data : "");
        switch (reply->error) {
        case BG_ERROR_NOT_FOUND:
                return EX_NOINPUT;
        case BG_ERROR_FORBIDDEN:
                return EX_NOPERM;
        case BG_ERROR_BUSY:
                return EX_TEMPFAIL;
        case BG_ERROR_RANGE:
        case BG_ERROR_UNSUPPORTED:
                return EX_USAGE;
        default:
                return EX_PROTOCOL;
        }
}

int bg_ask(const BgContext *context, BgQuerier *querier, const BgRequest *request, const BgReply **replyp)
{
        int r;

        do {
                r = bg_querier_ask(querier, request, replyp);
        } while (r == BG_E_INTERRUPTED && !bg_interrupted());
        switch (r) {
        case 0:
                return BG_OPTIONS_RUN;
        case BG_E_TIMEOUT:
                bg_error(context, "no daemon answers at %s; is burgeond running?", context->query);
                return EX_UNAVAILABLE;
        case BG_E_INTERRUPTED:
                return BG_EXIT_INTERRUPTED;
        case BG_QUERIER_E_REFUSED:
                return refused(context, *replyp);
        case BG_QUERIER_E_MALFORMED:
                bg_error(context, "the answer is not understood: %s", bg_querier_error(querier));
                return EX_PROTOCOL;
        default:
                bg_error(context, "%s: %s", context->query, strerror(-r));
                return EX_OSERR;
        }
}

int bg_ask_relation(const BgContext *context, const BgCommand *command, const char *text, int *relationp)
{
        if (!bg_proto_relation_find(relationp, bg_str(text)))
                return BG_OPTIONS_RUN;
        return bg_usage(context, command, "--relation: expected finetune, adapter, quantized, merge or download, got '%s'", text);
}

int bg_ask_model(const BgContext *context, const BgCommand *command, int n_operands, char **operands, BgStr *modelp)
{
        if (n_operands != 1)
                return bg_usage(context, command, n_operands ? "one model at a time" : "which model?");
        if (!bg_proto_name_valid(bg_str(operands[0])))
                return bg_usage(context, command, "'%s' is not of the form org/name", operands[0]);
        *modelp = bg_str(operands[0]);
        return BG_OPTIONS_RUN;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/command/plot.h"
#include "client/command/print.h"
#include "client/command/text.h"

#define DAY_US 86400e6

const char *bg_plot_children(int relation)
{
        static const char *const names[BG_RELATION_N] = {
                [BG_RELATION_FINETUNE] = "fine-tunes",     [BG_RELATION_ADAPTER] = "adapters",
                [BG_RELATION_QUANTIZED] = "quantizations", [BG_RELATION_MERGE] = "merges",
                [BG_RELATION_DOWNLOAD] = "downloads",
        };

        return relation >= 0 && relation < BG_RELATION_N && names[relation] ? names[relation] : "children";
}

void bg_plot_range(const BgPlot *plot, double *lowp, double *highp)
{
        double low = plot->count, high = fmax(plot->count, 1);

        for (size_t i = 0; i < plot->n_history; i++) {
                low = fmin(low, plot->counted[i]);
                high = fmax(high, plot->counted[i]);
        }
        for (size_t i = 0; i < plot->n_forecast; i++)
                high = fmax(high, plot->q[BG_PLOT_LEVELS - 1][i]);
        *lowp = plot->log_scale || low < .6 * high ? 0 : floor(fmax(low - .1 * (high - low), 0));
        *highp = high;
}

bool bg_plot_shows(const BgPlot *plot, const BgPlotSurge *surge)
{
        return plot->n_history && surge->onset >= plot->at[0] && surge->onset <= plot->as_of;
}

static double between(const double *x, const double *y, size_t n, double at)
{
        size_t low = 0, high = n - 1;

        if (n < 2 || !(at >= x[0] && at <= x[n - 1]))
                return NAN;
        while (high - low > 1) {
                size_t middle = (low + high) / 2;

                if (x[middle] <= at)
                        low = middle;
                else
                        high = middle;
        }
        return x[high] > x[low] ? y[low] + (y[high] - y[low]) * (at - x[low]) / (x[high] - x[low]) : y[high];
}

double bg_plot_quantile(const BgPlot *plot, int level, double at)
{
        return between(plot->ahead, plot->q[level], plot->n_forecast, at);
}

double bg_plot_counted(const BgPlot *plot, double at)
{
        return between(plot->at, plot->counted, plot->n_history, at);
}

/* ---- data ---------------------------------------------------------------------------------------------------------------------
 */

typedef struct Asking {
        const BgContext *context;
        BgQuerier *querier;
        BgRequest request;
        double back_days; /* 0: from the release */
} Asking;

static int ask(Asking *asking, BgQuery query, const BgReply **replyp)
{
        asking->request.query = query;
        return bg_ask(asking->context, asking->querier, &asking->request, replyp);
}

static int take_forecast(Asking *asking, BgPlot *plot, double days)
{
        double horizons[BG_PLOT_FORECAST_MAX - 1];
        const size_t n = days < 3 ? 24 : BG_PLOT_FORECAST_MAX - 1;
        const BgForecast *forecast;
        const BgReply *reply;
        int r;

        for (size_t i = 0; i < n; i++)
                horizons[i] = fmax(days * (double)(i + 1) / (double)n, (double)(i + 1) / 24);
        asking->request.horizons.items = horizons;
        asking->request.horizons.n = n;
        r = ask(asking, BG_QUERY_FORECAST, &reply);
        asking->request.horizons.items = NULL;
        asking->request.horizons.n = 0;
        if (r != BG_OPTIONS_RUN)
                return r;
        if (!reply->forecasts.n)
                return EX_PROTOCOL;
        forecast = &reply->forecasts.items[0];
        if (asking->context->json && bg_print_json(&bg_proto_forecast, forecast))
                return EX_OSERR;
        plot->as_of = (double)forecast->as_of;
        plot->count = (double)forecast->count;
        plot->status = forecast->status;
        plot->ahead[0] = plot->as_of;
        for (int level = 0; level < BG_PLOT_LEVELS; level++)
                plot->q[level][0] = plot->count;
        for (size_t i = 0; i < forecast->horizons.n && i < n; i++) {
                const BgHorizon *h = &forecast->horizons.items[i];
                const double q[BG_PLOT_LEVELS] = { h->q05, h->q10, h->q25, h->q50, h->q75, h->q90, h->q95 };

                plot->ahead[i + 1] = plot->as_of + h->days * DAY_US;
                for (int level = 0; level < BG_PLOT_LEVELS; level++)
                        plot->q[level][i + 1] = q[level];
                plot->days = h->days;
                plot->c80 = h->c80;
                plot->n_outcomes = h->n_outcomes;
                plot->miscalibrated = h->miscalibrated;
                plot->n_forecast = i + 2;
        }
        return BG_OPTIONS_RUN;
}

static int take_history(Asking *asking, BgPlot *plot, int64_t released_at)
{
        int64_t to = (int64_t)plot->as_of, from = released_at;
        const BgHistory *history;
        const BgReply *reply;
        int r;

        if (asking->back_days > 0 && to - (int64_t)(asking->back_days * DAY_US) > from)
                from = to - (int64_t)(asking->back_days * DAY_US);
        if (from <= 0 || from >= to)
                return BG_OPTIONS_RUN; /* born now: nothing to show but the forecast */
        asking->request.from = from;
        asking->request.to = to;
        asking->request.step_us = (to - from) / 400 > 1000000 ? (to - from) / 400 : 1000000;
        r = ask(asking, BG_QUERY_HISTORY, &reply);
        if (r != BG_OPTIONS_RUN || !reply->history)
                return r;
        history = reply->history;
        if (asking->context->json && bg_print_json(&bg_proto_history, history))
                return EX_OSERR;
        if (history->edges.n != history->counts.n + 1 || history->edges.n > BG_PLOT_HISTORY_MAX)
                return EX_PROTOCOL;
        plot->n_history = history->edges.n;
        for (size_t i = 0; i < history->edges.n; i++) {
                plot->at[i] = (double)history->edges.items[i];
                plot->counted[i] = i ? plot->counted[i - 1] + (double)history->counts.items[i - 1] : (double)history->before;
        }
        return BG_OPTIONS_RUN;
}

static int take_surges(Asking *asking, BgPlot *plot)
{
        const BgReply *reply;
        int r;

        asking->request.bursts = true;
        asking->request.limit = BG_PLOT_SURGES_MAX;
        r = ask(asking, BG_QUERY_SURGES, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        for (size_t i = 0; i < reply->surges.n && plot->n_surges < BG_PLOT_SURGES_MAX; i++) {
                const BgSurge *surge = &reply->surges.items[i];
                bool open = surge->state == BG_SURGE_OPENED || surge->state == BG_SURGE_UPDATED;
                BgPlotSurge *to = &plot->surges[plot->n_surges++];

                if (asking->context->json && bg_print_json(&bg_proto_surge, surge))
                        return EX_OSERR;
                *to = (BgPlotSurge){ .onset = (double)surge->onset,
                                     .until = open ? plot->as_of : (double)surge->at,
                                     .open = open,
                                     .magnitude = surge->magnitude,
                                     .expected = surge->expected,
                                     .observed = surge->observed,
                                     .kind = surge->kind,
                                     .state = surge->state };
                snprintf(to->id, sizeof(to->id), "%.*s", (int)surge->id.len, surge->id.data);
        }
        return BG_OPTIONS_RUN;
}

static int take_all(Asking *asking, BgPlot *plot, double days)
{
        const BgReply *reply;
        int64_t released_at = 0;
        int r = ask(asking, BG_QUERY_GET, &reply);

        if (r != BG_OPTIONS_RUN)
                return r;
        for (size_t i = 0; i < reply->series.n; i++)
                if (reply->series.items[i].relation == asking->request.relation)
                        released_at = reply->series.items[i].released_at;
        r = take_forecast(asking, plot, days);
        if (r == BG_OPTIONS_RUN)
                r = take_history(asking, plot, released_at);
        return r == BG_OPTIONS_RUN ? take_surges(asking, plot) : r;
}

/* ---- command ------------------------------------------------------------------------------------------------------------------
 */

static int write_file(const BgContext *context, const BgCommand *command, const BgPlot *plot, const char *path, double width,
                      double height)
{
        int r = bg_plot_file(plot, path, width, height);

        if (r == -EINVAL)
                return bg_usage(context, command, "--output: expected a name that ends in .svg or .png, got '%s'", path);
        if (r) {
                bg_error(context, "%s: %s", path, strerror(-r));
                return EX_CANTCREAT;
        }
        bg_note(context, "%s", path);
        return EX_OK;
}

static bool drawable(const char *path)
{
        size_t n = strlen(path);

        return n > 4 && (!strcmp(path + n - 4, ".svg") || !strcmp(path + n - 4, ".png"));
}

int bg_command_plot(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *relation = "finetune", *output = NULL;
        double days = 365;
        int64_t width = 0, height = 0;
        bool log_scale = false;
        Asking asking = { .context = context };
        const BgOption options[] = {
                { "days", 'd', BG_OPTION_NUMBER, "D", &days, 1, 1826.25, "so far into the future" },
                { "back", 'b', BG_OPTION_NUMBER, "D", &asking.back_days, 1, 1e5,
                  "so far into the past; default: to the release" },
                { "log", 'l', BG_OPTION_FLAG, NULL, &log_scale, 0, 0, "logarithmic counts" },
                { "output", 'o', BG_OPTION_TEXT, "FILE", &output, 0, 0, "into FILE.svg or FILE.png" },
                { "width", 0, BG_OPTION_INTEGER, "N", &width, 40, 4000,
                  "columns, default the terminal's; points of a file, default 900" },
                { "height", 0, BG_OPTION_INTEGER, "N", &height, 5, 4000,
                  "lines of the field, default 20; points of a file, default 520" },
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, "finetune, adapter, quantized, merge or download" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        BgPlot *plot;
        char **operands;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        bg_proto_init(&bg_proto_request, &asking.request);
        r = bg_ask_model(context, command, n_operands, operands, &asking.request.model);
        if (r == BG_OPTIONS_RUN)
                r = bg_ask_relation(context, command, relation, &asking.request.relation);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (output && !drawable(output)) /* before anybody is asked */
                return bg_usage(context, command, "--output: expected a name that ends in .svg or .png, got '%s'", output);
        if (output && ((width && width < 320) || (height && height < 200)))
                return bg_usage(context, command, "--width, --height: a file has at least 320 by 200 points");
        r = bg_ask_open(context, &querier);
        if (r != BG_OPTIONS_RUN)
                return r;
        plot = calloc(1, sizeof(*plot));
        if (!plot)
                return EX_OSERR;
        asking.querier = querier;
        plot->relation = asking.request.relation;
        plot->log_scale = log_scale;
        snprintf(plot->model, sizeof(plot->model), "%s", operands[0]);
        r = take_all(&asking, plot, days);
        if (r == EX_PROTOCOL)
                bg_error(context, "the daemon's answer does not hold together");
        if (r == BG_OPTIONS_RUN) {
                r = EX_OK;
                if (output)
                        r = write_file(context, command, plot, output, width ? (double)width : 900,
                                       height ? (double)height : 520);
                else if (!context->json)
                        bg_plot_terminal(context, plot, width ? (int)width : bg_print_width(), height ? (int)height : 20);
        }
        free(plot);
        return r;
}

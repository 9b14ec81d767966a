/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/command/explain.h"
#include "client/command/print.h"
#include "client/command/text.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RESET "\033[0m"
#define LINE_MAX_COLUMNS 100

static int print_paragraph(const BgContext *context, char *text)
{
        int width = bg_print_width();

        if (!text) {
                bg_error(context, "%s", strerror(ENOMEM));
                return EX_OSERR;
        }
        putchar('\n');
        bg_text_wrap(stdout, text, width < LINE_MAX_COLUMNS ? width : LINE_MAX_COLUMNS, 0);
        free(text);
        return EX_OK;
}

static void row(const BgContext *context, const char *name, const char *before, const char *now, double change)
{
        printf("%s%-12s%s %18s  %18s", bg_print_color(context->color_out, DIM), name, bg_print_color(context->color_out, RESET),
               before, now);
        if (isfinite(change))
                printf("  %+.1f %%", 100 * change);
        putchar('\n');
}

static void number_row(const BgContext *context, const char *name, double before, double now, int digits)
{
        char a[BG_TEXT_MAX] = "-", b[BG_TEXT_MAX] = "-";

        if (isfinite(before))
                snprintf(a, sizeof(a), "%.*f", digits, before);
        if (isfinite(now))
                snprintf(b, sizeof(b), "%.*f", digits, now);
        row(context, name, a, b, before > 0 ? now / before - 1 : NAN);
}

static void print_numbers(const BgContext *context, const BgForecast *forecast)
{
        const BgWhy *why = forecast->why;
        const BgBefore *before = why ? why->before : NULL;
        const BgParameters *p = forecast->parameters;
        const BgHorizon *h = bg_print_horizon(forecast, 90);
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], name[BG_TEXT_MAX];

        printf("%s%.*s%s  %s  revision %lld  %s%s%s\n", bg_print_color(context->color_out, BOLD), (int)forecast->model.len,
               forecast->model.data, bg_print_color(context->color_out, RESET), bg_proto_relation_name(forecast->relation),
               (long long)forecast->rev, bg_print_status_color(context->color_out, forecast->status),
               bg_proto_status_name(forecast->status), bg_print_color(context->color_out, RESET));
        if (!before)
                return;
        printf("\n%s%-12s %18s  %18s%s\n", bg_print_color(context->color_out, DIM), "", "before", "now",
               bg_print_color(context->color_out, RESET));
        row(context, "as of", bg_text_minute(a, before->as_of), bg_text_minute(b, forecast->as_of), NAN);
        row(context, "counted", bg_text_count(a, (double)before->count), bg_text_count(b, (double)forecast->count), NAN);
        if (isfinite(before->expected)) {
                snprintf(a, sizeof(a), "+%.1f expected", before->expected);
                snprintf(b, sizeof(b), "+%lld came", (long long)(why->added + why->tallied));
                row(context, "", a, b, NAN);
        }
        if (h && before->days == h->days) {
                snprintf(name, sizeof(name), "in %g days", h->days);
                row(context, name, bg_text_count(a, before->q50), bg_text_count(b, h->q50), (h->q50 + 1) / (before->q50 + 1) - 1);
        }
        if (!p)
                return;
        number_row(context, "lambda", before->lambda, p->lambda, 3);
        number_row(context, "impact, days", exp(fmin(before->mu, 20)), exp(fmin(p->mu, 20)), 0);
        number_row(context, "sigma", before->sigma, p->sigma, 3);
}

static int tell(const BgContext *context, const BgReply *reply, bool incident)
{
        int r = EX_OK;

        if (!incident)
                for (size_t i = 0; i < reply->forecasts.n && r == EX_OK; i++) {
                        print_numbers(context, &reply->forecasts.items[i]);
                        r = print_paragraph(context, bg_explain_forecast(&reply->forecasts.items[i]));
                }
        for (size_t i = 0; i < reply->surges.n && r == EX_OK; i++) {
                if (incident)
                        bg_print_surge(context, &reply->surges.items[i]);
                r = print_paragraph(context, bg_explain_surge(&reply->surges.items[i]));
        }
        return r;
}

int bg_command_why(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *relation = "finetune";
        const BgOption options[] = {
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, "finetune, adapter, quantized, merge or download" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        const BgReply *reply;
        BgRequest request;
        char **operands;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands != 1)
                return bg_usage(context, command,
                                n_operands ? "one model or incident at a time" : "which model, or which incident?");
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_WHY;
        r = bg_ask_relation(context, command, relation, &request.relation);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (strchr(operands[0], '/')) { /* the id of an incident has none */
                r = bg_ask_model(context, command, n_operands, operands, &request.model);
                if (r != BG_OPTIONS_RUN)
                        return r;
        } else {
                if (!operands[0][0] || strlen(operands[0]) > 64)
                        return bg_usage(context, command, "'%s' is neither of the form org/name nor the id of an incident",
                                        operands[0]);
                request.target = bg_str(operands[0]);
        }
        r = bg_ask_open(context, &querier);
        if (r == BG_OPTIONS_RUN)
                r = bg_ask(context, querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (!context->json)
                return tell(context, reply, request.target.len > 0);
        r = EX_OK;
        for (size_t i = 0; i < reply->forecasts.n && r == EX_OK; i++)
                r = bg_print_json(&bg_proto_forecast, &reply->forecasts.items[i]);
        for (size_t i = 0; i < reply->surges.n && r == EX_OK; i++)
                r = bg_print_json(&bg_proto_surge, &reply->surges.items[i]);
        return r;
}

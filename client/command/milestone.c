/* SPDX-License-Identifier: MIT */
#include "client/command/print.h"
#include "client/command/text.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RESET "\033[0m"
#define DAY_US 86400e6

static void print_date(const BgContext *context, const BgMilestone *m, const char *chance, double days, bool median)
{
        char day[BG_TEXT_MAX], in[BG_TEXT_MAX];
        bool color = context->color_out;

        printf("%s%9s%s  ", bg_print_color(color, DIM), chance, bg_print_color(color, RESET));
        if (isfinite(days))
                printf("%s%s  in %s%s\n", bg_print_color(color, median ? BOLD : ""),
                       bg_text_day(day, m->as_of + (int64_t)(days * DAY_US)), bg_text_duration(in, days * 86400),
                       bg_print_color(color, median ? RESET : ""));
        else
                printf("%snot within 5 years%s\n", bg_print_color(color, median ? BOLD : ""),
                       bg_print_color(color, median ? RESET : ""));
}

static void print_milestone(const BgContext *context, const BgMilestone *m)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX];
        bool color = context->color_out;
        const BgQuantiles *q = m->days;

        printf("%s%.*s%s  %s  %s%s%s\n", bg_print_color(color, BOLD), (int)m->model.len, m->model.data,
               bg_print_color(color, RESET), bg_proto_relation_name(m->relation), bg_print_status_color(color, m->status),
               bg_proto_status_name(m->status), bg_print_color(color, RESET));
        if (m->reached_at > 0) {
                printf("%s was reached on %s; %s are counted as of %s\n", bg_text_count(a, (double)m->target),
                       bg_text_minute(b, m->reached_at), bg_text_count(c, (double)m->count),
                       bg_text_minute((char[BG_TEXT_MAX]){ 0 }, m->as_of));
                return;
        }
        printf("%s counted as of %s, %s to go\n\n", bg_text_count(a, (double)m->count), bg_text_minute(b, m->as_of),
               bg_text_count(c, (double)(m->target - m->count)));
        printf("%s%9s  %s is reached by%s\n", bg_print_color(color, DIM), "chance", bg_text_count(a, (double)m->target),
               bg_print_color(color, RESET));
        if (q) {
                print_date(context, m, "5 %", q->q05, false);
                print_date(context, m, "10 %", q->q10, false);
                print_date(context, m, "25 %", q->q25, false);
                print_date(context, m, "50 %", q->q50, true);
                print_date(context, m, "75 %", q->q75, false);
                print_date(context, m, "90 %", q->q90, false);
                print_date(context, m, "95 %", q->q95, false);
        }
        printf("\n%swithin%s 7 days %s, 30 days %s, 90 days %s, ", bg_print_color(color, DIM), bg_print_color(color, RESET),
               bg_text_chance(a, m->p7), bg_text_chance(b, m->p30), bg_text_chance(c, m->p90));
        printf("a year %s, 5 years %s\n", bg_text_chance(a, m->p365), bg_text_chance(b, m->p5y));
}

int bg_command_milestone(BgContext *context, const BgCommand *command, int argc, char **argv)
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
        if (n_operands > 2)
                return bg_usage(context, command, "one model and one count at a time");
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_MILESTONE;
        r = bg_ask_model(context, command, n_operands ? 1 : 0, operands, &request.model);
        if (r == BG_OPTIONS_RUN)
                r = bg_ask_relation(context, command, relation, &request.relation);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands < 2)
                return bg_usage(context, command, "which count?");
        if (bg_text_parse_count(operands[1], &request.count))
                return bg_usage(context, command, "'%s' is no count; expected one such as 10000, 10,000 or 10k", operands[1]);
        r = bg_ask_open(context, &querier);
        if (r == BG_OPTIONS_RUN)
                r = bg_ask(context, querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (!reply->milestone) {
                bg_error(context, "the daemon's answer has no milestone");
                return EX_PROTOCOL;
        }
        if (context->json)
                return bg_print_json(&bg_proto_milestone, reply->milestone);
        print_milestone(context, reply->milestone);
        return EX_OK;
}

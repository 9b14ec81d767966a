/* SPDX-License-Identifier: MIT */
#include "client/command/print.h"
#include "client/command/text.h"

#define DIM "\033[2m"
#define RESET "\033[0m"

static void print_row(const BgContext *context, const BgSurge *surge, int name_width, int id_width)
{
        char onset[BG_TEXT_MAX], observed[BG_TEXT_MAX], authors[BG_TEXT_MAX], name[BG_NAME_MAX + 32];
        bool color = context->color_out, over = surge->state == BG_SURGE_CLOSED || surge->state == BG_SURGE_REGIME;
        int columns = (int)surge->model.len < name_width ? (int)surge->model.len : name_width;

        bg_text_name(name, sizeof(name), surge->model, (size_t)name_width);
        printf("%-*.*s  %s%*s  %-5s  %s%-7s%s  %16s  %6.1fx %9s %9.*f %9s", id_width, (int)surge->id.len, surge->id.data, name,
               name_width - columns, "", bg_proto_surge_kind_name(surge->kind), bg_print_color(color, over ? DIM : "\033[1;35m"),
               over ? bg_proto_surge_state_name(surge->state) : "open", bg_print_color(color, RESET),
               bg_text_minute(onset, surge->onset), surge->magnitude, bg_text_count(observed, (double)surge->observed),
               surge->expected < 100 ? 1 : 0, surge->expected,
               surge->authors > 0 ? bg_text_count(authors, (double)surge->authors) : "-");
        if (isfinite(surge->top_author_share))
                printf(" %6.0f %%", 100 * surge->top_author_share);
        putchar('\n');
}

static void print_table(const BgContext *context, const BgSurge *items, size_t n)
{
        int name_width = 16, id_width = 8;

        for (size_t i = 0; i < n; i++) {
                name_width = (int)items[i].model.len > name_width ? (int)items[i].model.len : name_width;
                id_width = (int)items[i].id.len > id_width ? (int)items[i].id.len : id_width;
        }
        printf("%s%-*s  %-*s  %-5s  %-7s  %16s  %7s %9s %9s %9s %8s%s\n", bg_print_color(context->color_out, DIM), id_width,
               "incident", name_width, "model", "kind", "state", "since", "factor", "observed", "expected", "uploaders",
               "largest", bg_print_color(context->color_out, RESET));
        for (size_t i = 0; i < n; i++)
                print_row(context, &items[i], name_width, id_width);
}

int bg_command_surges(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *relation = "finetune", *model = NULL;
        int64_t limit = 50, offset = 0;
        bool open = false, bursts = false;
        const BgOption options[] = {
                { "open", 0, BG_OPTION_FLAG, NULL, &open, 0, 0, "only what goes on" },
                { "model", 'm', BG_OPTION_TEXT, "MODEL", &model, 0, 0, "of one model" },
                { "bursts", 0, BG_OPTION_FLAG, NULL, &bursts, 0, 0, "also uploads in bulk by one or a few" },
                { "limit", 'n', BG_OPTION_INTEGER, "N", &limit, 1, 10000, "at most so many" },
                { "offset", 0, BG_OPTION_INTEGER, "N", &offset, 0, 1e12, "skip so many" },
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
        if (n_operands)
                return bg_usage(context, command, "unexpected operand '%s'; did you mean --model %s?", operands[0], operands[0]);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_SURGES;
        request.limit = limit;
        request.offset = offset;
        request.open = open;
        request.bursts = bursts;
        r = bg_ask_relation(context, command, relation, &request.relation);
        if (r == BG_OPTIONS_RUN && model)
                r = bg_ask_model(context, command, 1, (char *[]){ (char *)model }, &request.model);
        if (r == BG_OPTIONS_RUN)
                r = bg_ask_open(context, &querier);
        if (r == BG_OPTIONS_RUN)
                r = bg_ask(context, querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        r = EX_OK;
        if (!context->json && !reply->surges.n)
                bg_note(context, open ? "no incident is open" : "no incident is known");
        else if (!context->json)
                print_table(context, reply->surges.items, reply->surges.n);
        for (size_t i = 0; context->json && r == EX_OK && i < reply->surges.n; i++)
                r = bg_print_json(&bg_proto_surge, &reply->surges.items[i]);
        if (reply->total > offset + (int64_t)reply->surges.n)
                bg_note(context, "%zu of %lld; --limit and --offset show more", reply->surges.n, (long long)reply->total);
        return r;
}

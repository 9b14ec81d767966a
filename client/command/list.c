/* SPDX-License-Identifier: MIT */
#include "client/command/print.h"

#define SPARK_WEEKS 52

int bg_command_list(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        int64_t limit = 50, offset = 0;
        const char *sort = "count", *prefix = NULL, *relation = "finetune";
        const BgOption options[] = {
                { "sort", 's', BG_OPTION_TEXT, "KEY", &sort, 0, 0, "count, growth, forecast, name or released" },
                { "limit", 'n', BG_OPTION_INTEGER, "N", &limit, 1, 10000, "at most so many" },
                { "offset", 0, BG_OPTION_INTEGER, "N", &offset, 0, 1e12, "skip so many" },
                { "prefix", 'p', BG_OPTION_TEXT, "TEXT", &prefix, 0, 0, "only names that begin so" },
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, "finetune, adapter, quantized, merge or download" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_querier_freep) BgQuerier *querier = NULL;
        BgRequest request;
        const BgReply *reply;
        char **operands;
        int n_operands, r, value;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands)
                return bg_usage(context, command, "unexpected operand '%s'; did you mean --prefix %s?", operands[0], operands[0]);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_LIST;
        request.limit = limit;
        request.offset = offset;
        request.prefix = bg_str(prefix);
        if (request.prefix.len > BG_NAME_MAX)
                return bg_usage(context, command, "--prefix: longer than %d bytes", BG_NAME_MAX);
        if (bg_proto_sort_find(&value, bg_str(sort)))
                return bg_usage(context, command, "--sort: expected count, growth, forecast, name or released, got '%s'", sort);
        request.sort = value;
        if (bg_proto_relation_find(&value, bg_str(relation)))
                return bg_usage(context, command, "--relation: expected finetune, adapter, quantized, merge or download, got '%s'",
                                relation);
        request.relation = value;
        if (!context->json || context->color_out)
                request.spark = SPARK_WEEKS;
        r = bg_ask_open(context, &querier);
        if (r == BG_OPTIONS_RUN)
                r = bg_ask(context, querier, &request, &reply);
        if (r != BG_OPTIONS_RUN)
                return r;
        r = EX_OK;
        if (!context->json)
                bg_print_table(context, reply->series.items, reply->series.n, offset + 1, bg_print_width());
        for (size_t i = 0; context->json && r == EX_OK && i < reply->series.n; i++)
                r = bg_print_json(&bg_proto_listing, &reply->series.items[i]);
        if (reply->total > offset + (int64_t)reply->series.n)
                bg_note(context, "%zu of %lld; --limit and --offset show more", reply->series.n, (long long)reply->total);
        return r;
}

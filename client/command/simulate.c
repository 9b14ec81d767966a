/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "client/command/command.h"
#include "client/command/text.h"
#include "client/simulate/ecosystem.h"
#include "proto/proto.h"

#define DEFAULT_START_US INT64_C(1672531200000000) /* 2023-01-01: a live daemon takes no events from the future */

typedef struct Report {
        BgProgress progress;
        size_t n_total; /* models, then events */
        bool writing;
} Report;

static int report(void *data, size_t n_models, size_t n_events)
{
        Report *r = data;

        bg_progress_update(&r->progress, (double)n_events, (double)(r->writing ? n_events : n_models) / (double)r->n_total);
        return bg_interrupted();
}

static int failed(const BgContext *context, int r, const char *directory, const char *file)
{
        if (r == -ECANCELED)
                return BG_EXIT_INTERRUPTED;
        bg_error(context, "%s%s%s: %s", directory ? directory : "simulate", file ? "/" : "", file ? file : "", strerror(-r));
        return r == -ENOMEM ? EX_OSERR : r == -EINVAL ? EX_USAGE : EX_CANTCREAT;
}

static void summarize(const BgContext *context, const BgSimulatedEcosystem *eco, const char *directory)
{
        char models[BG_TEXT_MAX], events[BG_TEXT_MAX], incidents[BG_TEXT_MAX];

        if (context->json)
                printf("{\"out\":\"%s\",\"models\":%zu,\"events\":%zu,\"incidents\":%zu}\n", directory, eco->n_models, eco->n_events,
                       eco->n_incidents);
        else
                printf("%s: %s models, %s events, %s incidents (events.csv releases.csv truth.csv params.csv)\n", directory,
                       bg_text_count(models, (double)eco->n_models), bg_text_count(events, (double)eco->n_events),
                       bg_text_count(incidents, (double)eco->n_incidents));
}

int bg_command_simulate(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        int64_t n_models = 300, seed = 1, n_events = 0, n_outages = 0, most = 0, start_us = DEFAULT_START_US;
        double days = 730;
        const char *directory = NULL, *file = NULL;
        bool pure = false, null = false;
        const BgOption options[] = {
                { "out", 'o', BG_OPTION_TEXT, "DIR", &directory, 0, 0, "where to write; made when missing" },
                { "models", 'n', BG_OPTION_INTEGER, "N", &n_models, 1, 1e7, "how many models" },
                { "days", 'd', BG_OPTION_NUMBER, "D", &days, 1, 36525, "days of history" },
                { "seed", 's', BG_OPTION_INTEGER, "S", &seed, 0, 9e18, "same seed, same bytes, on any machine" },
                { "start", 0, BG_OPTION_TIME, "TIME", &start_us, 0, 0, "its begin (2023-01-01)" },
                { "events", 'e', BG_OPTION_INTEGER, "N", &n_events, 1, 4e9, "scale sizes to about N events; surges come on top" },
                { "outages", 0, BG_OPTION_INTEGER, "N", &n_outages, 0, 1000, "feed outages; their backlog follows late" },
                { "children-max", 0, BG_OPTION_INTEGER, "N", &most, 10, 1e9, "no model gets more; else 60,000 or what --events needs" },
                { "null", 0, BG_OPTION_FLAG, NULL, &null, 0, 0, "no surges, bursts or outages" },
                { "pure", 0, BG_OPTION_FLAG, NULL, &pure, 0, 0, "the reinforced process alone, parameters from the prior" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BgEcosystemSpec spec;
        BgSimulatedEcosystem eco;
        Report state;
        char **operands;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands)
                return bg_usage(context, command, "unexpected operand '%s'", operands[0]);
        if (!directory)
                return bg_usage(context, command, "--out DIR is missing");
        if (start_us < BG_TIME_MIN || (double)start_us + days * 86400e6 > (double)BG_TIME_MAX)
                return bg_usage(context, command, "the history must lie between 2015 and 2200");
        if (mkdir(directory, 0777) && errno != EEXIST) {
                bg_error(context, "%s: %s", directory, strerror(errno));
                return EX_CANTCREAT;
        }
        spec = (BgEcosystemSpec){ .n_models = (uint32_t)n_models, .days = days, .start_s = start_us / 1000000, .seed = (uint64_t)seed,
                                  .events = (uint64_t)n_events, .children_max = (uint32_t)most, .n_outages = (unsigned)n_outages,
                                  .pure = pure, .null = null };
        state = (Report){ .n_total = (size_t)n_models };
        bg_progress_begin(&state.progress, context, "events simulated");
        r = bg_ecosystem_simulate(&eco, &spec, report, &state);
        bg_progress_end(&state.progress);
        if (r)
                return failed(context, r, NULL, NULL);
        state = (Report){ .n_total = eco.n_events ? eco.n_events : 1, .writing = true };
        bg_progress_begin(&state.progress, context, "events written");
        r = bg_ecosystem_write(&eco, &spec, directory, &file, report, &state);
        bg_progress_end(&state.progress);
        if (!r)
                summarize(context, &eco, directory);
        bg_ecosystem_deinit(&eco);
        return r ? failed(context, r, directory, file) : EX_OK;
}

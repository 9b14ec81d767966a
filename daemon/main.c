/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_version.h>
#include <math.h>
#include <msgpack.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>
#include <zmq.h>

#include "daemon/app.h"
#include "daemon/config.h"
#include "daemon/stream/replay.h"

typedef enum Action { ACTION_RUN, ACTION_REPLAY, ACTION_CHECK, ACTION_PRINT, ACTION_VERSION, ACTION_HELP } Action;

typedef struct Arguments {
        Action action;
        const char *config_path;
        BgConfigFlag *flags;
        size_t n_flags;
        const char **files;
        size_t n_files;
        const char *out_dir;
        const char *fits_path;
        const char *relation;
        const char *every;
        const char *learned_path;
        bool learned_start;
        bool quiet;
} Arguments;

static void print_help(void)
{
        printf("Usage: burgeond [OPTION..]\n"
               "       burgeond --replay FILE.. (--out DIR | --fits FILE.csv) [OPTION..]\n"
               "\n"
               "Forecasts how base models are adopted: takes fine-tune events, counts them, refits growth curves and publishes\n"
               "revised forecasts and surges. Runs on its defaults; stops on SIGTERM, reads its configuration again on SIGHUP.\n"
               "\n"
               "  --config FILE          read this file [" BG_CONFIG_PATH_DEFAULT ", if there is one]\n"
               "  --check-config         say what is wrong with the configuration; exit code 78 if anything is\n"
               "  --print-config         print the configuration in force as a commented file\n"
               "  --version, --help\n"
               "\n"
               "Replay, the same on the events' own clock and without a network:\n"
               "  --replay FILE..        events from CSV or JSON Lines, plain or gzip, in any order\n"
               "  --out DIR              write forecasts.jsonl, surges.jsonl and report.json here\n"
               "  --fits FILE.csv        write the last fit of every model\n"
               "  --relation WORD        .. of this relation: adapter, quantized, merge, download [finetune]\n"
               "  --every 1mo|30d        forecast at multiples of each model's age [at its revisions]\n"
               "  --learned-start        begin with the figures that a daemon begins with [learn all from the past of these files]\n"
               "  --learned-out FILE.h   write what was learned across models, as such figures\n"
               "  -q, --quiet            no progress and no summary\n"
               "\n"
               "Every key of the configuration is an option too (first endpoints, then state, model, refits, process):\n");
        bg_config_print_flags(stdout);
        printf("\n"
               "Examples:\n"
               "  burgeond                                               run on the defaults\n"
               "  burgeond --state none --submit ipc:///tmp/b.submit     keep nothing, take events from a local socket\n"
               "  burgeond --print-config > burgeond.conf                a file to start from\n"
               "  burgeond --replay events.csv.gz --out result --every 1mo --horizons 30d,365d\n");
}

static void print_version(void)
{
        int major, minor, patch;

        zmq_version(&major, &minor, &patch);
        printf("burgeond %s\n", BG_VERSION);
        printf("libuv %s, libzmq %d.%d.%d, msgpack-c %s, SQLite %s, GSL %s\n", uv_version_string(), major, minor, patch, msgpack_version(),
               sqlite3_libversion(), gsl_version);
        printf("License GPL-3.0-or-later. There is no warranty, to the extent permitted by law.\n");
}

static int usage(const char *format, const char *argument)
{
        fprintf(stderr, "burgeond: ");
        fprintf(stderr, format, argument);
        fprintf(stderr, "\nTry `burgeond --help`.\n");
        return EX_USAGE;
}

/* ---- arguments ------------------------------------------------------------------------------------------------------------- */

typedef struct Own {
        const char *name;
        Action action;       /* ACTION_RUN: does not choose one */
        size_t value_offset; /* of a const char * that takes the value; 0 = no value */
        size_t bool_offset;  /* of a bool that is set; 0 = none */
} Own;

static const Own g_own[] = {
        { "config", ACTION_RUN, offsetof(Arguments, config_path), 0 },
        { "out", ACTION_RUN, offsetof(Arguments, out_dir), 0 },
        { "fits", ACTION_RUN, offsetof(Arguments, fits_path), 0 },
        { "relation", ACTION_RUN, offsetof(Arguments, relation), 0 },
        { "every", ACTION_RUN, offsetof(Arguments, every), 0 },
        { "learned-out", ACTION_RUN, offsetof(Arguments, learned_path), 0 },
        { "learned-start", ACTION_RUN, 0, offsetof(Arguments, learned_start) },
        { "quiet", ACTION_RUN, 0, offsetof(Arguments, quiet) },
        { "replay", ACTION_REPLAY, 0, 0 },
        { "check-config", ACTION_CHECK, 0, 0 },
        { "print-config", ACTION_PRINT, 0, 0 },
        { "version", ACTION_VERSION, 0, 0 },
        { "help", ACTION_HELP, 0, 0 },
};
enum { N_OWN = sizeof(g_own) / sizeof(g_own[0]) };

static const Own *find_own(const char *name)
{
        for (size_t i = 0; i < N_OWN; i++)
                if (!strcmp(g_own[i].name, name))
                        return &g_own[i];
        return NULL;
}

static const char *nearest_option(const char *name)
{
        const char *nearest = bg_config_nearest(name);
        size_t best = nearest ? bg_config_distance(name, nearest) : 3;

        for (size_t i = 0; i < N_OWN; i++) {
                size_t distance = bg_config_distance(name, g_own[i].name);

                if (distance < best) {
                        best = distance;
                        nearest = g_own[i].name;
                }
        }
        return nearest;
}

/* One --option; `value` is what follows its '=', else NULL. Return: 0, 1 when the next argument was used as its value, or EX_USAGE. */
static int take_option(Arguments *arguments, char *name, const char *value, const char *next)
{
        const Own *own = find_own(name);
        bool is_bool = false, used_next = false;
        char *shown = NULL;
        int r;

        if (!own && !bg_config_has_key(name, &is_bool)) {
                const char *nearest = nearest_option(name);

                if (asprintf(&shown, nearest ? "--%s; did you mean --%s?" : "--%s", name, nearest) < 0)
                        return EX_OSERR;
                for (char *c = shown; *c; c++)
                        if (*c == '_')
                                *c = '-';
                r = usage("unknown option %s", shown);
                free(shown);
                return r;
        }
        if (!value && (own ? own->value_offset != 0 : !is_bool)) {
                if (!next)
                        return usage("--%s needs a value", name);
                value = next;
                used_next = true;
        }
        if (!own) {
                arguments->flags[arguments->n_flags++] = (BgConfigFlag){ name, value ? value : "yes" };
                return used_next;
        }
        if (own->value_offset)
                *(const char **)((char *)arguments + own->value_offset) = value;
        else if (value)
                return usage("--%s takes no value", name);
        else if (own->bool_offset)
                *(bool *)((char *)arguments + own->bool_offset) = true;
        else
                arguments->action = own->action;
        return used_next;
}

static int parse_arguments(Arguments *arguments, int argc, char **argv)
{
        bool only_files = false;

        arguments->flags = calloc((size_t)argc + 1, sizeof(*arguments->flags));
        arguments->files = calloc((size_t)argc + 1, sizeof(*arguments->files));
        if (!arguments->flags || !arguments->files)
                return EX_OSERR;
        for (int i = 1; i < argc; i++) {
                char *argument = argv[i], *equals;
                int r;

                if (only_files || argument[0] != '-' || !strcmp(argument, "-")) {
                        arguments->files[arguments->n_files++] = argument;
                } else if (!strcmp(argument, "--")) {
                        only_files = true;
                } else if (!strcmp(argument, "-q")) {
                        arguments->quiet = true;
                } else if (!strcmp(argument, "-h")) {
                        arguments->action = ACTION_HELP;
                } else if (argument[1] != '-') {
                        return usage("unknown option %s", argument);
                } else {
                        equals = strchr(argument, '=');
                        if (equals)
                                *equals = 0;
                        r = take_option(arguments, argument + 2, equals ? equals + 1 : NULL, i + 1 < argc ? argv[i + 1] : NULL);
                        if (r > 1)
                                return r;
                        i += r;
                }
        }
        if (arguments->n_files && arguments->action == ACTION_RUN)
                return usage("unexpected argument %s (files are for --replay)", arguments->files[0]);
        return 0;
}

/* ---- replay ---------------------------------------------------------------------------------------------------------------- */

static int parse_every(BgReplaySpec *spec, const char *text)
{
        char why[BG_CONFIG_WHY_SIZE], *end;
        long months = strtol(text, &end, 10);
        double days;

        if (end != text && !strcmp(end, "mo") && months >= 1 && months <= 1200) {
                spec->every_months = (int)months;
                return 0;
        }
        if (bg_config_parse_days(&days, text, 1.0 / 24, 36525, why))
                return usage("--every: expected 1mo, 30d or 12h, got `%s`", text);
        spec->every_us = llround(days * 86400e6);
        return 0;
}

static int replay(const Arguments *arguments, const BgConfig *config)
{
        BgReplaySpec spec = {
                .paths = arguments->files,
                .n_paths = arguments->n_files,
                .out_dir = arguments->out_dir,
                .fits_path = arguments->fits_path,
                .learned_path = arguments->learned_path,
                .core = bg_app_core_spec(config),
                .unit_days = bg_config_unit_days(config),
                .n_threads = bg_config_threads(config),
                .quiet = arguments->quiet,
                .progress = !arguments->quiet && isatty(STDERR_FILENO),
        };

        spec.core.learned_start = arguments->learned_start;
        if (!arguments->n_files)
                return usage("%s", "--replay needs files of events");
        if (!arguments->out_dir && !arguments->fits_path)
                return usage("%s", "--replay needs --out DIR or --fits FILE.csv: where to write to");
        if (arguments->relation) {
                int relation;

                if (bg_proto_relation_find(&relation, bg_str(arguments->relation)))
                        return usage("--relation: expected finetune, adapter, quantized, merge or download, got `%s`", arguments->relation);
                spec.fits_relation = (BgRelation)relation;
        }
        if (arguments->every && parse_every(&spec, arguments->every))
                return EX_USAGE;
        return bg_replay_main(&spec);
}

/* ---- main ------------------------------------------------------------------------------------------------------------------ */

static int act(const Arguments *arguments, BgConfig *config, const BgConfigSource *source)
{
        switch (arguments->action) {
        case ACTION_CHECK:
                printf("The configuration is right (%s).\n", config->path ? config->path : "defaults, no file");
                return EX_OK;
        case ACTION_PRINT:
                bg_config_print(config, stdout);
                return fflush(stdout) ? EX_IOERR : EX_OK;
        case ACTION_REPLAY:
                return replay(arguments, config);
        default:
                return bg_app_run(config, source);
        }
}

static int configured(const Arguments *arguments)
{
        const char *path = arguments->config_path ? arguments->config_path : getenv("BURGEON_CONFIG");
        BgConfigSource source = { .path = path, .environment = true, .flags = arguments->flags, .n_flags = arguments->n_flags };
        BgBuffer problems = { 0 };
        BgConfig config;
        int r;

        /* a replay is to give the same everywhere: it looks at a file only when told to */
        if (!path && arguments->action != ACTION_REPLAY) {
                source.path = BG_CONFIG_PATH_DEFAULT;
                source.path_may_miss = true;
        }
        r = bg_config_load(&config, &source, &problems);
        bg_log_init(STDERR_FILENO, r ? BG_LOG_INFO : bg_config_log_level(&config));
        if (problems.len)
                fwrite(problems.data, 1, problems.len, stderr);
        if (r)
                r = r == BG_CONFIG_E_INVALID ? EX_CONFIG : EX_OSERR;
        else
                r = act(arguments, &config, &source);
        bg_buffer_deinit(&problems);
        bg_config_deinit(&config);
        return r;
}

int main(int argc, char **argv)
{
        Arguments arguments = { 0 };
        int r;

        gsl_set_error_handler_off(); /* its default aborts; every call's status is looked at instead */
        r = parse_arguments(&arguments, argc, argv);
        if (!r && arguments.action == ACTION_HELP)
                print_help();
        else if (!r && arguments.action == ACTION_VERSION)
                print_version();
        else if (!r)
                r = configured(&arguments);
        free(arguments.flags);
        free(arguments.files);
        return r;
}

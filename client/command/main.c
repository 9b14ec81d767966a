/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zmq.h>

#include "client/command/command.h"
#include "proto/proto.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
        (void)signal_number;
        interrupted = 1;
}

bool bg_interrupted(void)
{
        return interrupted;
}

static const char *setting(const char *variable, const char *fallback)
{
        const char *value = getenv(variable);

        return value && value[0] ? value : fallback;
}

static void print_help(void)
{
        printf("burgeon - live forecasts of how far models spread\n\n"
               "Examples:\n"
               "  burgeon top                                   the leaderboard, live\n"
               "  burgeon watch surge/                          incidents as they come\n"
               "  burgeon show meta-llama/Llama-3.1-8B          one model: counts, forecast, parameters in words\n"
               "  burgeon send events.csv.gz                    count these events\n"
               "  burgeon simulate --out eco                    a hub with known truth, to try it out\n\n"
               "Usage: burgeon COMMAND [OPTION..] [OPERAND..]\n\nCommands:\n");
        for (const BgCommand *command = bg_commands; command->name; command++)
                printf("  %-10s %s\n", command->name, command->summary);
        printf("\nburgeon COMMAND --help tells more; burgeon --version prints versions. The daemon's doors are taken from --submit,\n"
               "--updates, --query, or BURGEON_SUBMIT, BURGEON_UPDATES, BURGEON_QUERY; by default the local daemon's.\n");
}

static void print_version(void)
{
        int major, minor, patch;

        zmq_version(&major, &minor, &patch);
        printf("burgeon %s (protocol %d, libzmq %d.%d.%d, jansson %s, zlib %s)\n", BG_VERSION, BG_PROTO_VERSION, major, minor,
               patch, jansson_version_str(), zlibVersion());
}

static const BgCommand *find(const char *name)
{
        for (const BgCommand *command = bg_commands; command->name; command++)
                if (!strcmp(command->name, name))
                        return command;
        return NULL;
}

static int unknown(const BgContext *context, const char *name)
{
        const char *words[32] = { NULL }, *nearest;

        for (size_t i = 0; i < 31 && bg_commands[i].name; i++)
                words[i] = bg_commands[i].name;
        nearest = bg_options_nearest(name, words);
        if (nearest)
                return bg_usage(context, NULL, "no command '%s'; did you mean '%s'?", name, nearest);
        return bg_usage(context, NULL, "no command '%s'", name);
}

static void catch_signals(void)
{
        struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: a wait must end */

        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        signal(SIGPIPE, SIG_IGN); /* `burgeon list | head` is no error worth a core */
}

/* Where nobody chose a locale, terminals of today still speak UTF-8. */
static void choose_locale(void)
{
        if (!getenv("LC_ALL") && !getenv("LC_CTYPE") && !getenv("LANG"))
                setlocale(LC_CTYPE, "C.UTF-8");
        else
                setlocale(LC_CTYPE, "");
}

int main(int argc, char **argv)
{
        const bool plain = getenv("NO_COLOR") && getenv("NO_COLOR")[0];
        BgContext context = {
                .submit = setting("BURGEON_SUBMIT", "tcp://127.0.0.1:7702"),
                .updates = setting("BURGEON_UPDATES", "tcp://127.0.0.1:7701"),
                .query = setting("BURGEON_QUERY", "tcp://127.0.0.1:7703"),
                .color_out = !plain && isatty(STDOUT_FILENO),
                .color_err = !plain && isatty(STDERR_FILENO),
        };
        const BgCommand *command;
        int status;

        choose_locale();
        catch_signals();
        if (argc < 2)
                return bg_usage(&context, NULL, "which command?");
        if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
                print_version();
                return EX_OK;
        }
        if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || (!strcmp(argv[1], "help") && argc == 2)) {
                print_help();
                return EX_OK;
        }
        if (!strcmp(argv[1], "help")) {
                char *help[] = { argv[2], (char *)"--help", NULL };

                command = find(argv[2]);
                return command ? command->run(&context, command, 2, help) : unknown(&context, argv[2]);
        }
        if (argv[1][0] == '-')
                return bg_usage(&context, NULL, "the command comes first, then its options: burgeon COMMAND %s", argv[1]);
        command = find(argv[1]);
        if (!command)
                return unknown(&context, argv[1]);
        status = command->run(&context, command, argc - 1, argv + 1);
        if (fflush(stdout) || ferror(stdout)) {
                if (status == EX_OK)
                        status = EX_IOERR;
        }
        return bg_interrupted() && status == EX_OK ? BG_EXIT_INTERRUPTED : status;
}

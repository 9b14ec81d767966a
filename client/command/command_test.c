/* SPDX-License-Identifier: MIT */
/* The command as people meet it: exit statuses, what is on stdout and what on stderr. BURGEON names the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>

#include "client/command/command.h"

static char out[65536], err[65536];
static char directory[] = "/tmp/burgeon-command-XXXXXX";

static void slurp(const char *name, char *text, size_t size)
{
        char path[200];
        FILE *file;
        size_t n;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "r");
        assert_non_null(file);
        n = fread(text, 1, size - 1, file);
        text[n] = '\0';
        fclose(file);
}

/* No daemon listens on the discard port. Return: the exit status. */
static int run(const char *arguments)
{
        char line[2000];
        int status;

        snprintf(line, sizeof(line),
                 "cd %s && BURGEON_QUERY=tcp://127.0.0.1:9 BURGEON_SUBMIT=tcp://127.0.0.1:9 BURGEON_UPDATES=tcp://127.0.0.1:9 "
                 "\"$BURGEON\" %s >out 2>err </dev/null",
                 directory, arguments);
        status = system(line);
        assert_true(WIFEXITED(status));
        slurp("out", out, sizeof(out));
        slurp("err", err, sizeof(err));
        return WEXITSTATUS(status);
}

static void expect_usage(const char *arguments, const char *message)
{
        if (run(arguments) != EX_USAGE || !strstr(err, message) || out[0])
                fail_msg("burgeon %s: out '%s', err '%s', expected '%s'", arguments, out, err, message);
}

static void refuses_wrong_usage_by_name(void **state)
{
        (void)state;
        expect_usage("", "which command?");
        expect_usage("lst", "did you mean 'list'?");
        expect_usage("simluate", "did you mean 'simulate'?");
        expect_usage("frobnicate", "no command 'frobnicate'");
        expect_usage("--json list", "the command comes first");
        expect_usage("list --limt 3", "did you mean --limit?");
        expect_usage("list --xyzzy", "unknown option --xyzzy");
        expect_usage("list -Z", "unknown option -Z");
        expect_usage("list --limit", "needs an argument");
        expect_usage("list --json=yes", "--json takes no argument");
        expect_usage("list --limit 0", "expected an integer in 1 .. 10000, got '0'");
        expect_usage("list --limit 1x", "expected an integer");
        expect_usage("list --limit 99999999999999999999", "expected an integer");
        expect_usage("list --sort size", "--sort: expected count");
        expect_usage("list aurora-lab/", "did you mean --prefix aurora-lab/?");
        expect_usage("list --query nonsense", "nonsense");
        expect_usage("show", "which model?");
        expect_usage("show a b", "one model at a time");
        expect_usage("show noslash", "not of the form org/name");
        expect_usage("show a/b --horizons 30,x", "--horizons");
        expect_usage("show a/b --relation cousin", "--relation");
        expect_usage("milestone", "which model?");
        expect_usage("milestone a/b", "which count?");
        expect_usage("milestone a/b many", "'many' is no count");
        expect_usage("milestone a/b 1,5", "'1,5' is no count");
        expect_usage("milestone a/b 0", "'0' is no count");
        expect_usage("milestone a/b 1 2", "one count");
        expect_usage("milestone noslash 5", "not of the form org/name");
        expect_usage("why", "which model, or which incident?");
        expect_usage("why a/b c/d", "at a time");
        expect_usage("why a/b/c", "not of the form org/name");
        expect_usage("surges a/b", "did you mean --model a/b?");
        expect_usage("surges --model noslash", "not of the form org/name");
        expect_usage("plot", "which model?");
        expect_usage("plot a/b -o chart.pdf", "ends in .svg or .png");
        expect_usage("plot a/b -o chart.svg --width 100", "320 by 200");
        expect_usage("plot a/b --days 0.5", "--days");
        expect_usage("plot a/b --days 2000", "--days");
        expect_usage("watch a/b", "did you mean forecast/a/b/?");
        expect_usage("watch --until-idle never", "expected a number");
        expect_usage("send", "which file?");
        expect_usage("send --batch 0 x", "--batch");
        expect_usage("send --speed 5 x", "unknown option --speed");
        expect_usage("replay --speed fast x", "--speed: expected days a second");
        expect_usage("replay --speed -1 x", "--speed");
        expect_usage("simulate", "--out DIR is missing");
        expect_usage("simulate --out x --days nan", "--days");
        expect_usage("simulate --out x --start 2199-12-01", "between 2015 and 2200");
        expect_usage("simulate --out x --start soon", "--start: expected a time");
        expect_usage("top --interval 0", "--interval");
}

static void helps_with_examples_first(void **state)
{
        (void)state;
        assert_int_equal(run("--help"), EX_OK);
        assert_true(strstr(out, "Examples:") && strstr(out, "Usage:") && strstr(out, "Examples:") < strstr(out, "Usage:"));
        for (const BgCommand *command = bg_commands; command->name; command++) {
                char arguments[64];

                assert_non_null(strstr(out, command->name));
                snprintf(arguments, sizeof(arguments), "%s --help", command->name);
                assert_int_equal(run(arguments), EX_OK);
                assert_true(strstr(out, "Examples:") && strstr(out, "Examples:") < strstr(out, "Usage:"));
                assert_string_equal(err, "");
                run("--help");
        }
        assert_int_equal(run("help list"), EX_OK);
        assert_non_null(strstr(out, "burgeon list"));
        assert_int_equal(run("--version"), EX_OK);
        assert_non_null(strstr(out, "burgeon " BG_VERSION));
        assert_non_null(strstr(out, "libzmq"));
}

static void says_when_there_is_no_daemon(void **state)
{
        (void)state;
        assert_int_equal(run("top --plain"), EX_UNAVAILABLE);
        assert_non_null(strstr(err, "no daemon answers at tcp://127.0.0.1:9"));
        assert_string_equal(out, "");
        assert_int_equal(run("watch --until-idle 0.2"), EX_OK);
}

static void simulates_into_a_directory(void **state)
{
        (void)state;
        assert_int_equal(run("simulate --out eco --models 20 --days 200 --seed 3 --json"), EX_OK);
        assert_non_null(strstr(out, "\"models\":20"));
        slurp("eco/events.csv", out, sizeof(out));
        assert_memory_equal(out, "model,child,created_at\n", 23);
        slurp("eco/truth.csv", out, sizeof(out));
        assert_memory_equal(out, "model,kind,onset,end,factor,rate,info\n", 38);
        assert_int_equal(run("simulate --out eco/events.csv --models 2"), EX_CANTCREAT);
        assert_int_equal(run("simulate --out /nonexistent/deep --models 2"), EX_CANTCREAT);
}

static void shows_no_colours_in_a_pipe(void **state)
{
        (void)state;
        run("lst");
        assert_null(strchr(err, '\033'));
}

static int set_up(void **state)
{
        (void)state;
        return getenv("BURGEON") && mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
        char line[100];

        (void)state;
        snprintf(line, sizeof(line), "rm -r %s", directory);
        return system(line);
}

/* commands.c refers to the commands; here only their names matter */
#define BG_M(name)                                                                                 \
        int bg_command_##name(BgContext *context, const BgCommand *command, int argc, char **argv) \
        {                                                                                          \
                (void)context, (void)command, (void)argc, (void)argv;                              \
                return 0;                                                                          \
        }
BG_COMMANDS(BG_M)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(refuses_wrong_usage_by_name),
                cmocka_unit_test(helps_with_examples_first),
                cmocka_unit_test(says_when_there_is_no_daemon),
                cmocka_unit_test(simulates_into_a_directory),
                cmocka_unit_test(shows_no_colours_in_a_pipe),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}

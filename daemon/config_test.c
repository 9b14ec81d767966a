/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/config.h"

typedef struct Fixture {
        char path[64];
        BgConfig config;
        BgBuffer problems;
} Fixture;

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        int fd;

        if (!f)
                return -1;
        strcpy(f->path, "/tmp/burgeon-config-XXXXXX");
        fd = mkstemp(f->path);
        close(fd);
        *state = f;
        return fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        unlink(f->path);
        bg_config_deinit(&f->config);
        bg_buffer_deinit(&f->problems);
        free(f);
        return 0;
}

static int load_bytes(Fixture *f, const char *text, size_t len, const BgConfigFlag *flags, size_t n_flags)
{
        FILE *file = fopen(f->path, "w");

        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, len, file), len);
        fclose(file);
        bg_config_deinit(&f->config);
        bg_buffer_clear(&f->problems);
        return bg_config_load(&f->config, &(BgConfigSource){ .path = f->path, .environment = true, .flags = flags, .n_flags = n_flags },
                              &f->problems);
}

static int load(Fixture *f, const char *text) { return load_bytes(f, text, strlen(text), NULL, 0); }

/* The problems are exactly these, each "FILE:" + text on a line of its own. */
static void assert_problems(Fixture *f, const char *const *expected)
{
        const char *at = f->problems.len ? f->problems.data : "";

        for (; *expected; expected++) {
                char line[600];

                snprintf(line, sizeof(line), "%s:%s\n", f->path, *expected);
                if (strncmp(at, line, strlen(line)))
                        fail_msg("expected %sgot %.*s", line, (int)strcspn(at, "\n"), at);
                at += strlen(line);
        }
        assert_string_equal(at, "");
}

#define ASSERT_PROBLEMS(f, ...) assert_problems(f, (const char *const[]){ __VA_ARGS__, NULL })

static void defaults_are_right(void **state)
{
        Fixture *f = *state;

        assert_int_equal(load(f, ""), 0);
        assert_int_equal(f->config.submit.n, 1);
        assert_string_equal(f->config.submit.items[0], "tcp://127.0.0.1:7702");
        assert_int_equal(f->config.subscribe.n, 0);
        assert_int_equal(f->config.n_horizons, 5);
        assert_true(f->config.horizons[4] == 365);
        assert_true(f->config.m == 0);
        assert_int_equal(f->config.coalesce_us, 20000);
        assert_false(f->config.admin);
        assert_string_equal(f->config.state, "auto");
        assert_int_equal(bg_config_log_level(&f->config), BG_LOG_INFO);
}

static void values_of_every_kind_are_read(void **state)
{
        Fixture *f = *state;

        assert_int_equal(load(f, "\xef\xbb\xbf[doors]\r\n"
                                 "# a comment\n; another\n\n"
                                 "submit = tcp://127.0.0.1:*, tcp://[::1]:7702\n"
                                 "submit: ipc:///run/burgeon/submit\n"
                                 "admin = Yes\n"
                                 "[model]\nestimator=least-squares ; inline\nm = 1.5\nhorizons = 12h 30d, 365.25\nstale_after = never\n"
                                 "[refit]\ncoalesce = 1.5 s\nseries-per-job = 7\n"
                                 "[process]\nlog_level = debug"),
                         0);
        assert_int_equal(f->config.submit.n, 3);
        assert_string_equal(f->config.submit.items[1], "tcp://[::1]:7702");
        assert_string_equal(f->config.submit.items[2], "ipc:///run/burgeon/submit");
        assert_true(f->config.admin);
        assert_int_equal(f->config.estimator, BG_ESTIMATOR_LEAST_SQUARES);
        assert_true(f->config.m == 1.5);
        assert_int_equal(f->config.n_horizons, 3);
        assert_true(f->config.horizons[0] == 0.5 && f->config.horizons[2] == 365.25);
        assert_int_equal(f->config.stale_after_us, 0);
        assert_int_equal(f->config.coalesce_us, 1500000);
        assert_int_equal(f->config.series_per_job, 7);
        assert_int_equal(bg_config_log_level(&f->config), BG_LOG_DEBUG);
        assert_string_equal(f->config.path, f->path);
}

/* All mistakes at once, each with its line and what would be right. */
static void every_mistake_is_told(void **state)
{
        Fixture *f = *state;

        assert_int_equal(load(f, "early = 1\n"
                                 "[doors]\n"
                                 "sumbit = tcp://127.0.0.1:1\n"
                                 "horizons = 7d\n"
                                 "flurb = 1\n"
                                 "admin = perhaps\n"
                                 "no equals sign\n"
                                 "query = tcp://0.0.0.0:7703\n"
                                 "  updates = tcp://127.0.0.1:1\n"
                                 "credit = 10\n"
                                 "credit = 20\n"
                                 "[modle]\n"
                                 "m = 3\n"
                                 "refresh = 1d\n"
                                 "[model\n"
                                 "[model]\n"
                                 "m = nan\n"
                                 "estimator = magic\n"
                                 "horizons = 30d, 7d\n"
                                 "refresh = 10\n"
                                 "audit_every = 1.5\n"
                                 "models_max = 9999999999\n"),
                         BG_CONFIG_E_INVALID);
        ASSERT_PROBLEMS(f, "1: `early` stands before the first [section]",
                        "3: unknown key `sumbit` in [doors]; did you mean `submit`?",
                        "4: `horizons` belongs to [model], not to [doors]",
                        "5: unknown key `flurb` in [doors]; `burgeond --print-config` shows all",
                        "7: expected `key = value`",
                        "9: the line begins with blanks; begin keys at the margin (a list goes on by repeating its key)",
                        "11: `credit` was given in line 10 already",
                        "13: unknown section [modle]; did you mean [model]?",
                        "15: the section has no closing `]`",
                        "8: query: `tcp://0.0.0.0:7703` leaves this machine, unencrypted and open to anyone; use 127.0.0.1, [::1] or "
                        "ipc:// (and a tunnel to other machines)",
                        "6: admin: expected yes or no, got `perhaps`",
                        "18: estimator: expected likelihood or least-squares, got `magic`",
                        "17: m: expected a number, got `nan`",
                        "19: horizons: horizons must rise, and 7d does not",
                        "20: refresh: expected a duration like 20ms, 30s, 5min, 6h or 1d, got `10`",
                        "21: audit_every: expected a whole number, got `1.5`",
                        "22: models_max: 9999999999 is not in 1 .. 4294967294");
}

/* Bytes that would make the INI reader split or hide something are named instead. */
static void what_is_no_text_is_told(void **state)
{
        Fixture *f = *state;
        char text[1000];
        int n;

        n = snprintf(text, sizeof(text), "[doors]\nsubmit = ipc:///%0300d\nadmin = yes\n", 0);
        assert_int_equal(load_bytes(f, text, (size_t)n, NULL, 0), BG_CONFIG_E_INVALID);
        ASSERT_PROBLEMS(f, "2: the line has more than 198 bytes; repeat the key for the rest of a list");

        assert_int_equal(load_bytes(f, "[doors]\nadmin = no\0pe\n", 22, NULL, 0), BG_CONFIG_E_INVALID);
        ASSERT_PROBLEMS(f, "2: the line holds a NUL byte: not a text file?");
}

static void a_missing_file_is_a_mistake_unless_it_may_miss(void **state)
{
        Fixture *f = *state;
        BgConfigSource source = { .path = "/nonexistent/burgeond.conf" };

        assert_int_equal(bg_config_load(&f->config, &source, &f->problems), BG_CONFIG_E_INVALID);
        assert_string_equal(f->problems.data, "/nonexistent/burgeond.conf: cannot be read: No such file or directory\n");
        bg_config_deinit(&f->config);
        source.path_may_miss = true;
        assert_int_equal(bg_config_load(&f->config, &source, &f->problems), 0);
        assert_null(f->config.path);
}

/* Flags over environment over file over default, for single values and for lists; and what is overruled is still checked. */
static void flags_over_environment_over_file(void **state)
{
        static const char file[] = "[doors]\nsubmit = ipc:///file\nquery = ipc:///file\nupdates = ipc:///file\n[process]\nlog_level = error\n";
        const BgConfigFlag flags[] = { { "submit", "ipc:///flag1" }, { "submit", "ipc:///flag2" }, { "group-rows", "5" }, { "group-rows", "6" } };
        Fixture *f = *state;

        setenv("BURGEON_SUBMIT", "ipc:///env", 1);
        setenv("BURGEON_QUERY", "ipc:///env", 1);
        assert_int_equal(load_bytes(f, file, strlen(file), flags, 4), 0);
        assert_int_equal(f->config.submit.n, 2);
        assert_string_equal(f->config.submit.items[0], "ipc:///flag1");
        assert_string_equal(f->config.submit.items[1], "ipc:///flag2");
        assert_int_equal(f->config.query.n, 1);
        assert_string_equal(f->config.query.items[0], "ipc:///env");
        assert_string_equal(f->config.updates.items[0], "ipc:///file");
        assert_int_equal(f->config.log_level, 0);
        assert_int_equal(f->config.group_rows, 6);

        setenv("BURGEON_SUBMIT", "nowhere", 1);
        assert_int_equal(load_bytes(f, file, strlen(file), flags, 4), BG_CONFIG_E_INVALID);
        assert_string_equal(f->problems.data, "BURGEON_SUBMIT: submit: `nowhere` is not an endpoint; write tcp://127.0.0.1:PORT or ipc:///PATH\n");
        unsetenv("BURGEON_SUBMIT");
        unsetenv("BURGEON_QUERY");
}

/* What --print-config writes reads back as the same configuration, long lists included. */
static void printing_and_reading_agree(void **state)
{
        BgConfigFlag flags[14] = { { "m", "2.5" }, { "log-level", "debug" } };
        char endpoints[12][40];
        BgBuffer differences = { 0 };
        Fixture *f = *state;
        BgConfig again;
        FILE *file;

        for (int i = 0; i < 12; i++) {
                snprintf(endpoints[i], sizeof(endpoints[i]), "ipc:///run/some/long/path/number/%d", i);
                flags[2 + i] = (BgConfigFlag){ "subscribe", endpoints[i] };
        }
        assert_int_equal(load_bytes(f, "", 0, flags, 14), 0);
        file = fopen(f->path, "w");
        bg_config_print(&f->config, file);
        fclose(file);
        assert_int_equal(bg_config_load(&again, &(BgConfigSource){ .path = f->path }, &f->problems), 0);
        bg_config_differences(&f->config, &again, &differences);
        assert_int_equal(differences.len, 0);
        assert_int_equal(again.subscribe.n, 12);
        assert_string_equal(again.subscribe.items[11], endpoints[11]);
        assert_int_equal(again.log_level, f->config.log_level);
        assert_true(again.m == 2.5);
        bg_config_deinit(&again);
        bg_buffer_deinit(&differences);
}

static void differences_name_what_needs_a_restart(void **state)
{
        const BgConfigFlag flags[] = { { "query", "ipc:///other" }, { "horizons", "1d" }, { "threads", "7" } };
        BgBuffer differences = { 0 };
        Fixture *f = *state;
        BgConfig other;

        assert_int_equal(load(f, ""), 0);
        assert_int_equal(bg_config_load(&other, &(BgConfigSource){ .flags = flags, .n_flags = 3 }, &f->problems), 0);
        bg_config_differences(&f->config, &other, &differences);
        assert_string_equal(differences.data, "query, threads");
        bg_config_deinit(&other);
        bg_buffer_deinit(&differences);
}

static void only_this_machine_is_let_in(void **state)
{
        static const char *const good[] = { "tcp://127.0.0.1:7701", "tcp://127.9.9.9:1", "tcp://[::1]:65535", "tcp://127.0.0.1:*",
                                            "tcp://127.0.0.1:0",    "ipc:///run/x",      "ipc://relative" };
        static const char *const bad[] = { "tcp://0.0.0.0:1",         "tcp://*:1",         "tcp://192.168.1.1:1",  "tcp://example.org:1",
                                           "tcp://127.0.0.1",         "tcp://127.0.0.1:",  "tcp://127.0.0.1:x",    "tcp://127.0.0.1:65536",
                                           "tcp://127.0.0.1.evil:1",  "tcp://:1",          "tcp://[::]:1",         "udp://127.0.0.1:1",
                                           "inproc://x",              "ipc://",            "tcp://localhost:1",    "127.0.0.1:1" };
        char why[BG_CONFIG_WHY_SIZE];

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_int_equal(bg_config_check_endpoint(good[i], true, why), 0);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (!bg_config_check_endpoint(bad[i], true, why))
                        fail_msg("%s was taken", bad[i]);
        assert_int_equal(bg_config_check_endpoint("tcp://localhost:1", false, why), 0);
        assert_int_equal(bg_config_check_endpoint("tcp://127.0.0.1:*", false, why), BG_CONFIG_E_INVALID);
        assert_int_equal(bg_config_check_endpoint("tcp://203.0.113.7:1", false, why), BG_CONFIG_E_INVALID);
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
        static const char *const bad[] = { "", " ", "1x", "nan", "inf", "1e999", "0x", "5 m", "7 parsecs", "--1" };
        char why[BG_CONFIG_WHY_SIZE];
        int64_t us, n;
        double x;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(bg_config_parse_real(&x, bad[i], -1e300, 1e300, why), BG_CONFIG_E_INVALID);
                assert_int_equal(bg_config_parse_int(&n, bad[i], -1e18, 1e18, why), BG_CONFIG_E_INVALID);
                assert_int_equal(bg_config_parse_duration(&us, bad[i], 0, 1e18, why), BG_CONFIG_E_INVALID);
                assert_int_equal(bg_config_parse_days(&x, bad[i], 0, 1e18, why), BG_CONFIG_E_INVALID);
        }
        assert_int_equal(bg_config_parse_int(&n, "99999999999999999999", -1e18, 1e18, why), BG_CONFIG_E_INVALID);
        assert_int_equal(bg_config_parse_duration(&us, "2w", 0, 1e18, why), 0);
        assert_int_equal(us, INT64_C(14) * 86400 * 1000000);
        assert_int_equal(bg_config_parse_duration(&us, "1h", 0, 60e6, why), BG_CONFIG_E_INVALID);
        assert_string_equal(why, "1h is not in 0 .. 1min");
}

static void nearness_counts_swaps_once(void **state)
{
        (void)state;
        assert_int_equal(bg_config_distance("sumbit", "submit"), 1);
        assert_int_equal(bg_config_distance("", "abc"), 3);
        assert_int_equal(bg_config_distance("abc", "abc"), 0);
        assert_string_equal(bg_config_nearest("estimater"), "estimator");
        assert_null(bg_config_nearest("zzz"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(defaults_are_right, set_up, tear_down),
                cmocka_unit_test_setup_teardown(values_of_every_kind_are_read, set_up, tear_down),
                cmocka_unit_test_setup_teardown(every_mistake_is_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_is_no_text_is_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_missing_file_is_a_mistake_unless_it_may_miss, set_up, tear_down),
                cmocka_unit_test_setup_teardown(flags_over_environment_over_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(printing_and_reading_agree, set_up, tear_down),
                cmocka_unit_test_setup_teardown(differences_name_what_needs_a_restart, set_up, tear_down),
                cmocka_unit_test(only_this_machine_is_let_in),
                cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
                cmocka_unit_test(nearness_counts_swaps_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

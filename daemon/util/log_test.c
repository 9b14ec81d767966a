/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/log.h"

static char g_text[65536];

/* What was written since the last call. */
static const char *drain(int fd)
{
        ssize_t n = read(fd, g_text, sizeof(g_text) - 1);

        g_text[n > 0 ? n : 0] = 0;
        return g_text;
}

static void open_pipe(int ends[2])
{
        assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
        bg_log_init(ends[1], BG_LOG_INFO);
}

static void close_pipe(int ends[2])
{
        bg_log_init(STDERR_FILENO, BG_LOG_INFO);
        close(ends[0]);
        close(ends[1]);
}

static size_t n_lines(const char *text)
{
        size_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

/* Nothing from outside can end a line, open a quote or invent a key. */
static void values_cannot_forge_a_line(void **state)
{
        char line[256];

        (void)state;
        bg_log_format(line, sizeof(line), "a.b", "text",
                      (const BgLogField[]){ bg_kv("plain", "org/name-1.5"), bg_kv("evil", "x\n<3>fake: \"y\" \\ a=b\x7f"),
                                            bg_kv("none", NULL), bg_kv_len("part", "abcdef", 3), bg_kv_int("n", -5),
                                            bg_kv_real("r", 0.25), { .key = NULL } });
        assert_string_equal(line, "a.b: text plain=org/name-1.5 evil=\"x\\x0a<3>fake: \\\"y\\\" \\\\ a=b\\x7f\" none=\"\" part=abc "
                                  "n=-5 r=0.25");
}

static void a_long_line_is_cut_to_its_room(void **state)
{
        char line[16];

        (void)state;
        assert_int_equal(bg_log_format(line, sizeof(line), "id", "0123456789abcdef", (const BgLogField[]){ { .key = NULL } }), 15);
        assert_string_equal(line, "id: 0123456789a");
}

static void levels_filter(void **state)
{
        BgLogLevel level = BG_LOG_ERROR;
        int ends[2];

        (void)state;
        open_pipe(ends);
        bg_log(BG_LOG_DEBUG, "t.debug", "not seen");
        bg_log(BG_LOG_INFO, "t.info", "seen");
        assert_int_equal(n_lines(drain(ends[0])), 1);
        assert_non_null(strstr(g_text, "Z info    t.info: seen\n"));
        bg_log_set_level(BG_LOG_ERROR);
        bg_log(BG_LOG_WARNING, "t.warning", "not seen");
        assert_string_equal(drain(ends[0]), "");
        close_pipe(ends);

        assert_int_equal(bg_log_level_find(&level, "debug"), 0);
        assert_int_equal(level, BG_LOG_DEBUG);
        assert_int_equal(bg_log_level_find(&level, "loud"), -ENOENT);
}

/* One noisy id is held back and counted, and does not silence another. */
static void each_id_is_limited_alone(void **state)
{
        int ends[2];

        (void)state;
        open_pipe(ends);
        for (int i = 0; i < 500; i++) {
                errno = EAGAIN;
                bg_log(BG_LOG_WARNING, "t.noisy", "again", bg_kv_int("i", i));
                assert_int_equal(errno, EAGAIN);
        }
        bg_log(BG_LOG_WARNING, "t.quiet", "once");
        drain(ends[0]);
        assert_in_range(n_lines(g_text), BG_LOG_BURST + 1, BG_LOG_BURST + 3);
        assert_non_null(strstr(g_text, "t.quiet: once"));
        close_pipe(ends);
}

static void journald_gets_priorities(void **state)
{
        char stream[64];
        struct stat st;
        int ends[2];

        (void)state;
        assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
        assert_int_equal(fstat(ends[1], &st), 0);
        snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        bg_log_init(ends[1], BG_LOG_INFO);
        bg_log(BG_LOG_WARNING, "t.w", "text");
        assert_string_equal(drain(ends[0]), "<4>t.w: text\n");
        setenv("JOURNAL_STREAM", "1:1", 1); /* somebody else's */
        bg_log_init(ends[1], BG_LOG_INFO);
        bg_log(BG_LOG_WARNING, "t.w", "text");
        assert_null(strstr(drain(ends[0]), "<4>"));
        unsetenv("JOURNAL_STREAM");
        close_pipe(ends);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(values_cannot_forge_a_line), cmocka_unit_test(a_long_line_is_cut_to_its_room),
                cmocka_unit_test(levels_filter),              cmocka_unit_test(each_id_is_limited_alone),
                cmocka_unit_test(journald_gets_priorities),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "client/command/text.h"

static char text[600];

static void counts_have_thousands(void **state)
{
        (void)state;
        assert_string_equal(bg_text_count(text, 0), "0");
        assert_string_equal(bg_text_count(text, 999), "999");
        assert_string_equal(bg_text_count(text, 1000), "1,000");
        assert_string_equal(bg_text_count(text, 1234567), "1,234,567");
        assert_string_equal(bg_text_count(text, -1234), "-1,234");
        assert_string_equal(bg_text_count(text, 1e15), "1,000,000,000,000,000");
        assert_string_equal(bg_text_count(text, NAN), "-");
}

static void short_numbers_fit_five_columns(void **state)
{
        (void)state;
        assert_string_equal(bg_text_short(text, 0), "0");
        assert_string_equal(bg_text_short(text, 0.26), "0.3");
        assert_string_equal(bg_text_short(text, 9999), "9,999");
        assert_string_equal(bg_text_short(text, 9999.6), "10.0k");
        assert_string_equal(bg_text_short(text, 123456), "123k");
        assert_string_equal(bg_text_short(text, 999499), "999k");
        assert_string_equal(bg_text_short(text, 999501), "1.00M");
        for (double x = 0.01; x < 1e15; x *= 1.0371)
                assert_true(strlen(bg_text_short(text, x)) <= 5);
        assert_string_equal(bg_text_short(text, INFINITY), "-");
}

static void times_and_sizes_are_readable(void **state)
{
        (void)state;
        assert_string_equal(bg_text_duration(text, 3.14), "3.1 s");
        assert_string_equal(bg_text_duration(text, 45), "45 s");
        assert_string_equal(bg_text_duration(text, 600), "10 min");
        assert_string_equal(bg_text_duration(text, 7500), "2 h 5 min");
        assert_string_equal(bg_text_duration(text, 86400), "24 h");
        assert_string_equal(bg_text_duration(text, 86400 * 12.4), "12 d");
        assert_string_equal(bg_text_duration(text, NAN), "-");
        assert_string_equal(bg_text_bytes(text, 999), "999 B");
        assert_string_equal(bg_text_bytes(text, 12340000), "12.3 MB");
        assert_string_equal(bg_text_rate(text, 12), "12/day");
        assert_string_equal(bg_text_rate(text, 0.2), "1.4/week");
        assert_string_equal(bg_text_day(text, 0), "-");
        assert_string_equal(bg_text_minute(text, INT64_C(1704067200000000)), "2024-01-01 00:00");
}

static size_t columns(const char *utf8)
{
        size_t n = 0;

        for (; *utf8; utf8++)
                n += (*utf8 & 0xc0) != 0x80;
        return n;
}

static void names_are_shortened_at_the_organisation(void **state)
{
        const BgStr name = BG_STR("cobalt-research/Nightjar-3B-Instruct");

        (void)state;
        bg_text_name(text, sizeof(text), name, 40);
        assert_string_equal(text, "cobalt-research/Nightjar-3B-Instruct");
        bg_text_name(text, sizeof(text), name, 30);
        assert_string_equal(text, "cobalt-r…/Nightjar-3B-Instruct");
        for (size_t width = 8; width < 40; width++) {
                bg_text_name(text, sizeof(text), name, width);
                assert_true(columns(text) <= width);
                bg_text_name(text, sizeof(text), BG_STR("a/averyveryverylongnameofamodelthatgoesonandon"), width);
                assert_true(columns(text) <= width);
        }
}

static void sparklines_scale_and_align_right(void **state)
{
        const int64_t values[] = { 0, 1, 50, 100 }, zeros[] = { 0, 0 };

        (void)state;
        bg_text_spark(text, values, 4, 6);
        assert_string_equal(text, "  ▁▂▅█");
        bg_text_spark(text, values, 4, 2);
        assert_string_equal(text, "▅█");
        bg_text_spark(text, zeros, 2, 2);
        assert_string_equal(text, "▁▁");
        bg_text_spark(text, NULL, 0, 3);
        assert_string_equal(text, "   ");
}

static void counts_are_read_as_people_write_them(void **state)
{
        static const struct {
                const char *text;
                int64_t n; /* 0: refused */
        } cases[] = {
                { "1", 1 }, { "10000", 10000 }, { "10,000", 10000 }, { "1,234,567", 1234567 }, { "10_000", 10000 }, { "10k", 10000 },
                { "1.5k", 1500 }, { "2M", 2000000 }, { "0.25M", 250000 }, { "1000G", BG_COUNT_MAX }, { "1,000k", 1000000 },
                { "", 0 }, { "0", 0 }, { "-5", 0 }, { "1,5", 0 }, { "1,00", 0 }, { "1,0000", 0 }, { ",100", 0 }, { "100,", 0 }, { "1.5", 0 },
                { "1e3", 0 }, { "10kk", 0 }, { "10 k", 0 }, { "nan", 0 }, { "0x10", 0 }, { "1001G", 0 }, { "99999999999999999999", 0 },
                { "999999999999999999999999999999999999999999", 0 }, { ".5k", 0 }, { "1.k", 0 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int64_t n = 0;
                int r = bg_text_parse_count(cases[i].text, &n);

                if ((r == 0) != (cases[i].n > 0) || n != cases[i].n)
                        fail_msg("'%s': %d, %lld", cases[i].text, r, (long long)n);
        }
}

static void chances_do_not_claim_certainty(void **state)
{
        (void)state;
        assert_string_equal(bg_text_chance(text, 0), "0 %");
        assert_string_equal(bg_text_chance(text, .0001), "< 1 %");
        assert_string_equal(bg_text_chance(text, .54), "54 %");
        assert_string_equal(bg_text_chance(text, .999), "> 99 %");
        assert_string_equal(bg_text_chance(text, 1), "100 %");
        assert_string_equal(bg_text_chance(text, NAN), "-");
}

static void text_is_wrapped_at_spaces(void **state)
{
        char *out = NULL;
        size_t n;
        FILE *file = open_memstream(&out, &n);

        (void)state;
        bg_text_wrap(file, "one two — three four-hundred-and-one five\nsix", 11, 1);
        fclose(file);
        assert_string_equal(out, " one two —\n three\n four-hundred-and-one\n five\n six\n");
        free(out);
}

static int set_up(void **state)
{
        (void)state;
        return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counts_have_thousands),
                cmocka_unit_test(short_numbers_fit_five_columns),
                cmocka_unit_test(times_and_sizes_are_readable),
                cmocka_unit_test(names_are_shortened_at_the_organisation),
                cmocka_unit_test(sparklines_scale_and_align_right),
                cmocka_unit_test(counts_are_read_as_people_write_them),
                cmocka_unit_test(chances_do_not_claim_certainty),
                cmocka_unit_test(text_is_wrapped_at_spaces),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/draw/chart.h"

/* What the leak sanitizer asks for: fontconfig keeps one pattern of its own to the end. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
        return "leak:libfontconfig.so";
}

static void near(double got, double want)
{
        if (!(fabs(got - want) <= 1e-9 * fmax(fabs(want), 1)))
                fail_msg("%.12g is not %.12g", got, want);
}

static void test_shares_are_where_values_lie(void **state)
{
        const BgScale linear = { .kind = BG_SCALE_LINEAR, .lo = -1, .hi = 3 }, log = { .kind = BG_SCALE_LOG, .lo = .1, .hi = 1000 },
                      counts = { .kind = BG_SCALE_LOG1P, .lo = 0, .hi = 99 };

        (void)state;
        near(bg_scale_share(&linear, 0), .25);
        near(bg_scale_share(&linear, 5), 1.5);
        near(bg_scale_share(&log, 10), .5);
        near(bg_scale_share(&counts, 0), 0);
        near(bg_scale_share(&counts, 9), .5);
        assert_true(isnan(bg_scale_share(&log, 0)));
        assert_true(isnan(bg_scale_share(&counts, -1)));
        assert_true(isnan(bg_scale_share(&linear, NAN)));
        assert_true(isnan(bg_scale_share(&(BgScale){ 0 }, 1)));
}

/** Whatever the data: a scale that holds them, ticks inside it that rise, and a few labels. */
static void test_scales_and_ticks_of_anything(void **state)
{
        static const double values[] = { -1e100, -5, 0, 1e-100, 1e-12, .003, .5, 1, 7, 12, 999, 1e6, 3e15, 1e100 };
        enum { N = sizeof(values) / sizeof(values[0]) };

        (void)state;
        for (int kind = BG_SCALE_LINEAR; kind <= BG_SCALE_LOG1P; kind++)
                for (int i = 0; i < N; i++)
                        for (int j = i; j < N; j++) {
                                BgScale scale = bg_scale_fit((BgScaleKind)kind, values[i], values[j]);
                                BgTick ticks[BG_TICKS_MAX];
                                size_t n = bg_scale_ticks(&scale, 6, ticks), n_labels = 0;

                                assert_true(scale.hi > scale.lo);
                                if (kind == BG_SCALE_LINEAR) {
                                        assert_true(bg_scale_share(&scale, values[i]) >= -1e-6 && bg_scale_share(&scale, values[j]) <= 1 + 1e-6);
                                        assert_true(n >= 2);
                                }
                                assert_true(n <= BG_TICKS_MAX);
                                for (size_t k = 0; k < n; k++) {
                                        double share = bg_scale_share(&scale, ticks[k].at);

                                        assert_true(share >= -1e-6 && share <= 1 + 1e-6);
                                        assert_true(!k || ticks[k].at > ticks[k - 1].at);
                                        n_labels += ticks[k].label[0] != '\0';
                                }
                                assert_true(n_labels <= 14);
                        }
}

static void test_ticks_are_round(void **state)
{
        const BgScale linear = bg_scale_fit(BG_SCALE_LINEAR, 3, 97), months = { .kind = BG_SCALE_LINEAR, .hi = 34, .step = 6 };
        const BgScale log = { .kind = BG_SCALE_LOG, .lo = 180, .hi = 9000 };
        BgTick ticks[BG_TICKS_MAX];
        char labels[256] = "";

        (void)state;
        assert_int_equal(bg_scale_ticks(&linear, 5, ticks), 6);
        assert_string_equal(ticks[5].label, "100");
        assert_int_equal(bg_scale_ticks(&months, 5, ticks), 6);
        assert_string_equal(ticks[5].label, "30");
        for (size_t i = 0, n = bg_scale_ticks(&log, 5, ticks); i < n; i++)
                if (ticks[i].label[0])
                        snprintf(labels + strlen(labels), sizeof(labels) - strlen(labels), "%s ", ticks[i].label);
        assert_string_equal(labels, "200 500 1,000 2,000 5,000 ");
}

static void test_times_tick_at_months_and_years(void **state)
{
        const double day = 86400e6;
        const BgScale years = { .kind = BG_SCALE_TIME, .lo = 1.6e15, .hi = 1.6e15 + 1500 * day }; /* from 2020-09-13 on */
        const BgScale weeks = { .kind = BG_SCALE_TIME, .lo = 1.6e15, .hi = 1.6e15 + 20 * day };
        BgTick ticks[BG_TICKS_MAX];

        (void)state;
        assert_int_equal(bg_scale_ticks(&years, 5, ticks), 4);
        assert_string_equal(ticks[0].label, "2021");
        near(ticks[0].at, 1609459200e6);
        assert_int_equal(bg_scale_ticks(&weeks, 4, ticks), 3);
        assert_string_equal(ticks[0].label, "Sep 14"); /* its first midnight, and every week from there */
}

static void test_numbers_as_on_axes(void **state)
{
        static const struct {
                double x;
                const char *label;
        } cases[] = { { 0, "0" }, { .5, "0.5" }, { -2, "-2" }, { 12, "12" }, { 1200, "1,200" }, { 12000, "12k" }, { 3e6, "3M" },
                      { 1e-15, "10⁻¹⁵" }, { 1e12, "10¹²" }, { .30000000000000004, "0.3" } };
        char label[24];

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                bg_tick_number(label, sizeof(label), cases[i].x);
                assert_string_equal(label, cases[i].label);
        }
}

static void test_colours_stay_apart(void **state)
{
        (void)state;
        for (size_t i = 0; i < BG_COLOR_CATEGORY_N; i++)
                for (size_t j = 0; j < i; j++) {
                        BgColor a = bg_color_category(i), b = bg_color_category(j);

                        assert_true(fabs(a.r - b.r) + fabs(a.g - b.g) + fabs(a.b - b.b) > .2);
                }
        for (int i = 1; i <= 100; i++) { /* lightness rises all the way */
                BgColor a = bg_color_sequence((i - 1) / 100.0), b = bg_color_sequence(i / 100.0);

                assert_true(.2126 * b.r + .7152 * b.g + .0722 * b.b > .2126 * a.r + .7152 * a.g + .0722 * a.b);
        }
        near(bg_color_sequence(-3).r, bg_color_sequence(0).r);
        near(bg_color_sequence(NAN).r, bg_color_sequence(0).r);
        near(bg_color_sequence(9).g, bg_color_sequence(1).g);
}

static void draw_everything(BgCanvas *canvas)
{
        BgPanel panel = { .cr = canvas->cr, .x = 50, .y = 20, .w = 120, .h = 60, .sx = { .kind = BG_SCALE_LINEAR, .hi = 4 },
                          .sy = { .kind = BG_SCALE_LOG, .lo = 1, .hi = 100 }, .title = "title", .x_label = "x", .y_label = "y" };
        const double x[] = { 0, 1, 2, 3, 4 }, y[] = { 1, 0, 50, NAN, 200 }, high[] = { 2, 3, 60, 70, INFINITY };

        bg_panel_frame(&panel);
        bg_panel_band(&panel, x, y, high, 5, bg_color_fade(bg_color_model, .2));
        bg_panel_line(&panel, x, y, 5, &(BgStroke){ .color = bg_color_model, .width = 1 });
        bg_panel_steps(&panel, x, y, 4, &(BgStroke){ .color = bg_color_ink, .width = 1 }, bg_color_grid);
        bg_panel_points(&panel, x, y, 5, 2, bg_color_data);
        bg_panel_rule(&panel, 2, NAN, &(BgStroke){ .color = bg_color_alert, .width = 1 });
        bg_draw_legend(canvas->cr, 5, 5, 8, &(BgLegendItem){ "name", bg_color_data, BG_SWATCH_POINT }, 1);
        bg_draw_color_bar(canvas->cr, 180, 20, 8, 60, &panel.sy, "bar");
        bg_draw_text_within(canvas->cr, 10, 95, 30, &(BgTextStyle){ .size = 8, .color = bg_color_ink }, "a text that is far too long, with ümlauts");
}

static void test_canvases_are_written_or_say_why_not(void **state)
{
        char directory[] = "/tmp/burgeon-chart-XXXXXX", path[200], head[16] = "";
        BgCanvas canvas = { 0 };
        FILE *file;

        (void)state;
        assert_non_null(mkdtemp(directory));
        for (int png = 0; png < 2; png++) {
                snprintf(path, sizeof(path), "%s/chart.%s", directory, png ? "png" : "svg");
                assert_int_equal(bg_canvas_open(&canvas, path, 220, 100), 0);
                draw_everything(&canvas);
                assert_int_equal(bg_canvas_close(&canvas), 0);
                assert_int_equal(bg_canvas_close(&canvas), 0); /* twice is fine */
                file = fopen(path, "r");
                assert_non_null(file);
                assert_int_equal(fread(head, 1, 5, file), 5);
                fclose(file);
                assert_memory_equal(head, png ? "\x89PNG\r" : "<?xml", 5);
                unlink(path);
        }
        snprintf(path, sizeof(path), "%s/chart.pdf", directory);
        assert_int_equal(bg_canvas_open(&canvas, path, 220, 100), -EINVAL);
        snprintf(path, sizeof(path), "%s/none/chart.svg", directory);
        assert_int_equal(bg_canvas_open(&canvas, path, 220, 100), -ENOENT);
        rmdir(directory);
        if (symlink("/dev/full", path)) { /* no such directory: the name is free below it */
                snprintf(path, sizeof(path), "%s.svg", directory);
                assert_int_equal(symlink("/dev/full", path), 0);
        }
        assert_int_equal(bg_canvas_open(&canvas, path, 220, 100), 0);
        draw_everything(&canvas);
        assert_int_equal(bg_canvas_close(&canvas), -ENOSPC);
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shares_are_where_values_lie),
                cmocka_unit_test(test_scales_and_ticks_of_anything),
                cmocka_unit_test(test_ticks_are_round),
                cmocka_unit_test(test_times_tick_at_months_and_years),
                cmocka_unit_test(test_numbers_as_on_axes),
                cmocka_unit_test(test_colours_stay_apart),
                cmocka_unit_test(test_canvases_are_written_or_say_why_not),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

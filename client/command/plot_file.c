/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "client/command/plot.h"
#include "client/command/print.h"
#include "client/command/text.h"
#include "client/draw/chart.h"

/* Margins, points: labels of the counts to the left, names of the quantiles to the right, title and key above, dates below. */
#define LEFT 66.0
#define RIGHT 108.0
#define TOP 92.0
#define BOTTOM 58.0
#define SIZE 9.5

static void draw_counts(const BgPanel *panel)
{
        BgTextStyle style = { .size = SIZE, .color = bg_color_quiet, .align = BG_ALIGN_RIGHT };
        BgTick ticks[BG_TICKS_MAX];
        size_t n = bg_scale_ticks(&panel->sy, (size_t)fmax(panel->h / 26, 2), ticks);
        char label[BG_TEXT_MAX];

        for (size_t i = 0; i < n; i++)
                if (ticks[i].label[0])
                        bg_draw_text(panel->cr, panel->x - 8, bg_panel_y(panel, ticks[i].at) + SIZE * .36, &style,
                                     ticks[i].at < 1e7 ? bg_text_count(label, ticks[i].at) : bg_text_short(label, ticks[i].at));
}

static void draw_bands(const BgPanel *panel, const BgPlot *plot)
{
        static const double alphas[3] = { .13, .16, .24 }; /* one above the other */

        for (int i = 0; i < 3; i++)
                bg_panel_band(panel, plot->ahead, plot->q[i], plot->q[BG_PLOT_LEVELS - 1 - i], plot->n_forecast,
                              bg_color_fade(bg_color_model, alphas[i]));
}

/** An incident: its time shaded, a mark at its beginning and the factor above it. */
static void draw_surges(const BgPanel *panel, const BgPlot *plot)
{
        BgTextStyle style = { .size = SIZE - 1, .color = bg_color_alert, .align = BG_ALIGN_CENTER, .bold = true };
        cairo_t *cr = panel->cr;
        double last_label = -1e9;

        for (size_t i = plot->n_surges; i-- > 0;) {
                const BgPlotSurge *surge = &plot->surges[i];
                double onset = bg_panel_x(panel, surge->onset), until = bg_panel_x(panel, surge->until),
                       bottom = panel->y + panel->h;
                char label[40];

                if (!bg_plot_shows(plot, surge))
                        continue;
                until = fmin(fmax(until, onset + 1.5), panel->x + panel->w);
                cairo_set_source_rgba(cr, bg_color_alert.r, bg_color_alert.g, bg_color_alert.b,
                                      surge->kind == BG_SURGE_KIND_SURGE ? .13 : .07);
                cairo_rectangle(cr, onset, panel->y, until - onset, panel->h);
                cairo_fill(cr);
                cairo_set_source_rgb(cr, bg_color_alert.r, bg_color_alert.g, bg_color_alert.b);
                cairo_move_to(cr, onset - 4.5, bottom - .5);
                cairo_line_to(cr, onset + 4.5, bottom - .5);
                cairo_line_to(cr, onset, bottom - 8.5);
                cairo_close_path(cr);
                cairo_fill(cr);
                snprintf(label, sizeof(label), "%s ×%.1f", bg_proto_surge_kind_name(surge->kind), surge->magnitude);
                if (fabs(onset - last_label) > bg_text_extent(cr, style.size, true, label) + 6) {
                        bg_draw_text(cr, fmax(onset, panel->x + 24), panel->y - 5, &style, label);
                        last_label = onset;
                }
        }
}

/** The last values at the right end, kept apart where they would overlap. */
static void draw_ends(const BgPanel *panel, const BgPlot *plot)
{
        static const struct {
                int level;
                const char *name;
        } ends[] = { { 6, "95 %" }, { 4, "75 %" }, { 3, "median" }, { 2, "25 %" }, { 0, "5 %" } };
        enum { N = sizeof(ends) / sizeof(ends[0]) };
        const double gap = SIZE + 4, x = panel->x + panel->w + 10;
        size_t last = plot->n_forecast - 1;
        double y[N];

        for (int i = 0; i < N; i++)
                y[i] = bg_panel_y(panel, plot->q[ends[i].level][last]);
        /* from the median outwards, so that it stays where it is */
        for (int i = 1; i >= 0; i--)
                y[i] = fmin(y[i], y[i + 1] - gap);
        for (int i = 3; i < N; i++)
                y[i] = fmax(y[i], y[i - 1] + gap);
        for (int i = 0; i < N; i++) {
                BgTextStyle name = { .size = SIZE, .color = i == 2 ? bg_color_model : bg_color_quiet, .bold = i == 2 };
                char value[BG_TEXT_MAX];

                bg_text_count(value, plot->q[ends[i].level][last]);
                bg_draw_text(panel->cr, x, y[i] + SIZE * .36, &name, ends[i].name);
                name.color = i == 2 ? bg_color_model : bg_color_ink;
                name.align = BG_ALIGN_RIGHT;
                bg_draw_text_within(panel->cr, x + 82, y[i] + SIZE * .36, RIGHT, &name, value);
        }
}

static void draw_key(cairo_t *cr, const BgPlot *plot, double x, double y)
{
        const BgLegendItem items[] = {
                { "counted", bg_color_ink, BG_SWATCH_LINE },
                { "median of the forecast", bg_color_model, BG_SWATCH_LINE },
                { "50 %", bg_color_fade(bg_color_model, .46), BG_SWATCH_AREA },
                { "80 %", bg_color_fade(bg_color_model, .27), BG_SWATCH_AREA },
                { "90 % interval", bg_color_fade(bg_color_model, .13), BG_SWATCH_AREA },
                { "incident", bg_color_fade(bg_color_alert, .35), BG_SWATCH_AREA },
        };

        bool incidents = false;

        for (size_t i = 0; i < plot->n_surges; i++)
                incidents |= bg_plot_shows(plot, &plot->surges[i]);
        for (size_t i = 0; i < sizeof(items) / sizeof(items[0]) - !incidents; i++) {
                bg_draw_legend(cr, x, y, SIZE, &items[i], 1);
                x += 19 + bg_text_extent(cr, SIZE, false, items[i].name) + 16;
        }
}

static void draw_words(cairo_t *cr, const BgPlot *plot, double width, double height)
{
        BgTextStyle title = { .size = 16, .color = bg_color_ink, .bold = true },
                    quiet = { .size = SIZE + .5, .color = bg_color_quiet };
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX], d[BG_TEXT_MAX], day[BG_TEXT_MAX], ahead[BG_TEXT_MAX], line[300];
        size_t last = plot->n_forecast ? plot->n_forecast - 1 : 0;

        bg_draw_text_within(cr, LEFT - 40, 28, width - LEFT, &title, plot->model);
        if (plot->n_forecast > 1)
                snprintf(line, sizeof(line), "%s %s counted on %s; %s expected %s later, with 80 %% between %s and %s",
                         bg_text_count(a, plot->count), bg_plot_children(plot->relation), bg_text_day(day, (int64_t)plot->as_of),
                         bg_text_count(b, plot->q[BG_PLOT_MEDIAN][last]), bg_text_duration(ahead, plot->days * 86400),
                         bg_text_count(c, plot->q[1][last]), bg_text_count(d, plot->q[5][last]));
        else
                snprintf(line, sizeof(line), "%s %s counted on %s", bg_text_count(a, plot->count),
                         bg_plot_children(plot->relation), bg_text_day(day, (int64_t)plot->as_of));
        bg_draw_text_within(cr, LEFT - 40, 46, width - LEFT, &quiet, line);
        quiet.size = SIZE - 1;
        quiet.align = BG_ALIGN_RIGHT;
        if (isfinite(plot->c80) && plot->n_outcomes > 0)
                snprintf(line, sizeof(line),
                         "Measured: 80 %% intervals so far ahead, for models of this size, held %.0f %% of %s times%s",
                         100 * plot->c80, bg_text_count(a, (double)plot->n_outcomes),
                         plot->miscalibrated ? " — badly calibrated" : "");
        else
                snprintf(line, sizeof(line),
                         "Not measured yet: no forecast so far ahead, for models of this size, has fallen due");
        bg_draw_text(cr, width - 12, height - 12, &quiet, line);
}

int bg_plot_file(const BgPlot *plot, const char *path, double width, double height)
{
        static const double dashes[] = { 3, 3 };
        double from = plot->n_history ? plot->at[0] : plot->as_of,
               until = plot->n_forecast ? plot->ahead[plot->n_forecast - 1] : plot->as_of + 1;
        BgStroke counted = { bg_color_ink, 1.8, NULL, 0 }, median = { bg_color_model, 1.8, NULL, 0 },
                 now = { bg_color_quiet, .8, dashes, 2 };
        BgCanvas canvas;
        BgPanel panel = { .x = LEFT,
                          .y = TOP,
                          .w = width - LEFT - RIGHT,
                          .h = height - TOP - BOTTOM,
                          .size = SIZE,
                          .no_y_ticks = true,
                          .sx = bg_scale_fit(BG_SCALE_TIME, from, until) };
        BgTextStyle quiet = { .size = SIZE - 1, .color = bg_color_quiet, .align = BG_ALIGN_RIGHT };
        char text[BG_TEXT_MAX + 32], day[BG_TEXT_MAX];
        double low, high, at;
        int r = bg_canvas_open(&canvas, path, width, height);

        if (r)
                return r;
        bg_plot_range(plot, &low, &high);
        panel.sy = bg_scale_fit(plot->log_scale ? BG_SCALE_LOG1P : BG_SCALE_LINEAR, low, high);
        panel.cr = canvas.cr;
        bg_panel_frame(&panel);
        draw_counts(&panel);
        draw_surges(&panel, plot);
        draw_bands(&panel, plot);
        bg_panel_rule(&panel, plot->as_of, NAN, &now);
        bg_panel_line(&panel, plot->ahead, plot->q[BG_PLOT_MEDIAN], plot->n_forecast, &median);
        bg_panel_line(&panel, plot->at, plot->counted, plot->n_history, &counted);
        at = bg_panel_x(&panel, plot->as_of);
        snprintf(text, sizeof(text), "forecast from %s on", bg_text_day(day, (int64_t)plot->as_of));
        quiet.align = panel.x + panel.w - at > 160 ? BG_ALIGN_LEFT : BG_ALIGN_RIGHT;
        bg_draw_text(canvas.cr, at + (quiet.align == BG_ALIGN_LEFT ? 6 : -6), TOP + SIZE + 2, &quiet, text);
        bg_panel_points(&panel, &plot->as_of, &plot->count, 1, 2.6, bg_color_ink);
        if (plot->n_forecast > 1)
                draw_ends(&panel, plot);
        draw_key(canvas.cr, plot, LEFT - 40, 56);
        draw_words(canvas.cr, plot, width, height);
        return bg_canvas_close(&canvas);
}

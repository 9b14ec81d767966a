/* SPDX-License-Identifier: MIT */
/* Figures 1 and 4: a line for every model over its age, new children a month and cumulative. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/figures/figures.h"

enum { WIDTH = 640, HEIGHT = 430, LABELS_MAX = 5, YEARS_MAX = 16 };

double bg_figure_head(BgCanvas *canvas, const char *title, const char *caption)
{
        BgTextStyle big = { .size = 13, .color = bg_color_ink, .bold = true }, small = { .size = 9, .color = bg_color_quiet };

        bg_draw_text(canvas->cr, 16, 26, &big, title);
        bg_draw_text_within(canvas->cr, 16, 42, canvas->width - 32, &small, caption);
        return 60;
}

static double year_of(int64_t us)
{
        time_t seconds = (time_t)(us / 1000000);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        return tm.tm_year + 1900;
}

/** What is drawn of a model: cumulative at month k, or new in month k. */
static double value_at(const BgFigureModel *model, size_t k, bool cumulative)
{
        return cumulative ? model->months[k] : model->months[k] - model->months[k - 1];
}

static bool is_drawn(const BgFigureModel *model, const BgFigureSpec *spec)
{
        return model->count >= spec->least && model->n_months >= 2;
}

/** Many lines make a haze, not a thicket; the larger a model, the more it stands out of it. */
static double opacity(const BgFigureModel *model, double least, double most, size_t n)
{
        double base = fmin(fmax(25 / (double)(n + 1), .08), .4), share = most > least ? log(model->count / least) / log(most / least) : 1;

        return base + (.8 - base) * fmin(fmax(share * 1.6, 0), 1);
}

static size_t n_drawn(const BgFigureData *data, const BgFigureSpec *spec)
{
        size_t n = 0;

        for (size_t i = 0; i < data->n; i++)
                n += is_drawn(&data->models[i], spec);
        return n;
}

static int draw_lines(const BgPanel *panel, const BgFigureData *data, const BgFigureSpec *spec, bool cumulative,
                      BgColor (*color_of)(const BgFigureModel *model, const void *arg), const void *arg)
{
        size_t n_max = 2, n_lines = n_drawn(data, spec);
        double *x, *y;

        for (size_t i = 0; i < data->n; i++)
                n_max = data->models[i].n_months > n_max ? data->models[i].n_months : n_max;
        x = malloc(n_max * sizeof(*x));
        y = malloc(n_max * sizeof(*y));
        for (size_t i = data->n; x && y && i-- > 0;) { /* the largest last: they are what is looked for */
                const BgFigureModel *model = &data->models[i];
                BgStroke stroke = { .width = i < LABELS_MAX ? 1.6 : .7 };
                size_t n = 0;

                if (!is_drawn(model, spec))
                        continue;
                for (size_t k = 1; k < model->n_months; k++) {
                        x[n] = (double)k;
                        y[n++] = value_at(model, k, cumulative);
                }
                stroke.color = bg_color_fade(color_of(model, arg), i < LABELS_MAX ? 1 : opacity(model, spec->least, data->models[0].count, n_lines));
                bg_panel_line(panel, x, y, n, &stroke);
                if (n == 1 || i < LABELS_MAX)
                        bg_panel_points(panel, x + n - 1, y + n - 1, 1, i < LABELS_MAX ? 2.2 : 1, stroke.color);
        }
        free(x);
        free(y);
        return x && y ? 0 : -ENOMEM;
}

struct name_tag {
        const BgFigureModel *model;
        double x, y, want;
};

static int by_height(const void *a, const void *b)
{
        const struct name_tag *p = a, *q = b;

        return (p->want > q->want) - (p->want < q->want);
}

/** Names of the largest at the ends of their lines, pushed apart where they would cover each other. */
static void draw_names(const BgPanel *panel, const BgFigureData *data, const BgFigureSpec *spec, bool cumulative,
                       BgColor (*color_of)(const BgFigureModel *model, const void *arg), const void *arg)
{
        struct name_tag tags[LABELS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < data->n && i < LABELS_MAX; i++) {
                const BgFigureModel *model = &data->models[i];
                size_t last = model->n_months - 1;

                if (!is_drawn(model, spec))
                        continue;
                tags[n] = (struct name_tag){ .model = model, .x = bg_panel_x(panel, (double)last),
                                             .want = bg_panel_y(panel, value_at(model, last, cumulative)) };
                tags[n].y = tags[n].want;
                n++;
        }
        qsort(tags, n, sizeof(*tags), by_height);
        for (int turn = 0; turn < 50; turn++)
                for (size_t i = 0; i + 1 < n; i++) {
                        double overlap = 10 - (tags[i + 1].y - tags[i].y);

                        if (overlap > 0) {
                                tags[i].y = fmax(tags[i].y - overlap / 2, panel->y + 6);
                                tags[i + 1].y = fmin(tags[i + 1].y + overlap / 2, panel->y + panel->h - 4);
                        }
                }
        for (size_t i = 0; i < n; i++) {
                BgTextStyle style = { .size = 7.5, .color = color_of(tags[i].model, arg) };
                double width = bg_text_extent(panel->cr, 7.5, false, tags[i].model->name);
                bool left = tags[i].x + 6 + width > panel->x + panel->w;

                style.align = left ? BG_ALIGN_RIGHT : BG_ALIGN_LEFT;
                style.color = (BgColor){ style.color.r * .8, style.color.g * .8, style.color.b * .8, 1 };
                bg_draw_halo(panel->cr, left ? tags[i].x - 6 : tags[i].x + 6, tags[i].y + (left ? -4 : 3), &style, tags[i].model->name);
        }
}

static BgPanel panel_of(BgCanvas *canvas, const BgFigureData *data, const BgFigureSpec *spec, bool cumulative, double top)
{
        BgPanel panel = { .cr = canvas->cr, .x = 62, .y = top + 6, .w = WIDTH - 62 - 92, .h = HEIGHT - top - 6 - 48 };
        double months = 1, most = 1;

        for (size_t i = 0; i < data->n; i++) {
                const BgFigureModel *model = &data->models[i];

                if (!is_drawn(model, spec))
                        continue;
                months = fmax(months, (double)model->n_months - 1);
                for (size_t k = 1; k < model->n_months; k++)
                        most = fmax(most, value_at(model, k, cumulative));
        }
        panel.sx = (BgScale){ .kind = BG_SCALE_LINEAR, .hi = months, .step = months > 90 ? 24 : months > 36 ? 12 : months > 12 ? 6 : 0 };
        panel.sy = bg_scale_fit(BG_SCALE_LOG1P, 0, most);
        panel.x_label = "months after release";
        return panel;
}

/* ---- figure 1 ------------------------------------------------------------------------------------------------------------- */

static BgColor by_release(const BgFigureModel *model, const void *arg)
{
        return bg_color_sequence(bg_scale_share(arg, (double)model->release));
}

int bg_figure_monthly(const BgFigureData *data, const BgFigureSpec *spec, const char *path)
{
        BgScale releases = { .kind = BG_SCALE_TIME, .lo = INFINITY, .hi = -INFINITY };
        char caption[256], label[64];
        BgCanvas canvas;
        BgPanel panel;
        double top;
        int r = bg_canvas_open(&canvas, path, WIDTH, HEIGHT), closed;

        if (r)
                return r;
        for (size_t i = 0; i < data->n; i++) {
                if (!is_drawn(&data->models[i], spec))
                        continue;
                releases.lo = fmin(releases.lo, (double)data->models[i].release);
                releases.hi = fmax(releases.hi, (double)data->models[i].release);
        }
        releases = bg_scale_fit(BG_SCALE_TIME, releases.lo, releases.hi);
        snprintf(caption, sizeof(caption), "A line for each of %zu models with at least %.0f %s, coloured by the day of its release",
                 n_drawn(data, spec), spec->least, spec->counted);
        top = bg_figure_head(&canvas, "Figure 1. Adoption month by month", caption);
        panel = panel_of(&canvas, data, spec, false, top);
        snprintf(label, sizeof(label), "new %s a month", spec->counted);
        panel.y_label = label;
        bg_panel_frame(&panel);
        r = draw_lines(&panel, data, spec, false, by_release, &releases);
        draw_names(&panel, data, spec, false, by_release, &releases);
        bg_draw_color_bar(canvas.cr, WIDTH - 70, panel.y + 14, 9, panel.h - 14, &releases, "released");
        closed = bg_canvas_close(&canvas);
        return r ? r : closed;
}

/* ---- figure 4 ------------------------------------------------------------------------------------------------------------- */

struct years {
        double first, last;
};

static BgColor by_year(const BgFigureModel *model, const void *arg)
{
        const struct years *years = arg;

        return bg_color_sequence(years->last > years->first ? (year_of(model->release) - years->first) / (years->last - years->first) : .5);
}

int bg_figure_cumulative(const BgFigureData *data, const BgFigureSpec *spec, const char *path)
{
        struct years years = { INFINITY, -INFINITY };
        BgLegendItem items[YEARS_MAX];
        char names[YEARS_MAX][40], caption[256], label[64];
        size_t n_items = 0;
        BgCanvas canvas;
        BgPanel panel;
        double top;
        int r = bg_canvas_open(&canvas, path, WIDTH, HEIGHT), closed;

        if (r)
                return r;
        for (size_t i = 0; i < data->n; i++) {
                if (!is_drawn(&data->models[i], spec))
                        continue;
                years.first = fmin(years.first, year_of(data->models[i].release));
                years.last = fmax(years.last, year_of(data->models[i].release));
        }
        snprintf(caption, sizeof(caption), "A line for each of %zu models with at least %.0f %s, coloured by the year of its release",
                 n_drawn(data, spec), spec->least, spec->counted);
        top = bg_figure_head(&canvas, "Figure 4. Cumulative adoption by age", caption);
        panel = panel_of(&canvas, data, spec, true, top);
        snprintf(label, sizeof(label), "cumulative %s", spec->counted);
        panel.y_label = label;
        bg_panel_frame(&panel);
        r = draw_lines(&panel, data, spec, true, by_year, &years);
        draw_names(&panel, data, spec, true, by_year, &years);
        for (double year = years.first; year <= years.last && n_items < YEARS_MAX; year++) {
                size_t n = 0;

                for (size_t i = 0; i < data->n; i++)
                        n += is_drawn(&data->models[i], spec) && year_of(data->models[i].release) == year;
                if (!n)
                        continue;
                snprintf(names[n_items], sizeof(names[0]), "%d (%zu)", (int)year, n);
                items[n_items] = (BgLegendItem){ .name = names[n_items], .swatch = BG_SWATCH_LINE,
                                                 .color = bg_color_sequence(years.last > years.first ? (year - years.first) / (years.last - years.first) : .5) };
                n_items++;
        }
        bg_draw_legend(canvas.cr, WIDTH - 82, panel.y, 8.5, items, n_items);
        closed = bg_canvas_close(&canvas);
        return r ? r : closed;
}

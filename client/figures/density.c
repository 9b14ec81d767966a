/* SPDX-License-Identifier: MIT */
/*
 * Figure 3: how the cumulative counts of an organisation's models are distributed at 2, 6 and 12 months, as ridges: an organisation
 * a row, an age a column, all on one scale of ln(1 + count).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/figures/figures.h"

enum { ROWS_MAX = 12, MODELS_LEAST = 3, GRID = 160, AGES = 3, WIDTH = 720 };
#define ROW_HEIGHT 34.0
#define OVERLAP 1.1 /* rows that a ridge is high: every one the same, as it is the shapes that are compared */
static const double age_months[AGES] = { 2, 6, 12 };

typedef struct Row {
        const char *name; /* of a model: the organisation is its start */
        size_t org_len;
        size_t n; /* models with such a fit */
        size_t first; /* in the sorted list */
} Row;

static bool qualifies(const BgFigureModel *model)
{
        return model->fit.known && model->fit.lambda >= 1 && model->fit.lambda <= 10 && model->n_months > 2;
}

static int by_org(const void *a, const void *b)
{
        const BgFigureModel *x = *(const BgFigureModel *const *)a, *y = *(const BgFigureModel *const *)b;
        size_t n = x->org_len < y->org_len ? x->org_len : y->org_len;
        int r = strncmp(x->name, y->name, n);

        return r ? r : (x->org_len > y->org_len) - (x->org_len < y->org_len);
}

static int by_size(const void *a, const void *b)
{
        const Row *x = a, *y = b;

        return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->name, y->name);
}

static size_t rows_of(const BgFigureModel **models, size_t n, Row *rows)
{
        size_t n_rows = 0;

        for (size_t i = 0, j; i < n; i = j) {
                for (j = i + 1; j < n && !by_org(&models[i], &models[j]); j++)
                        ;
                rows[n_rows++] = (Row){ models[i]->name, models[i]->org_len, j - i, i };
        }
        qsort(rows, n_rows, sizeof(*rows), by_size);
        while (n_rows > 0 && (n_rows > ROWS_MAX || rows[n_rows - 1].n < MODELS_LEAST))
                n_rows--;
        return n_rows;
}

/** Gaussian kernels on ln(1 + count), to a largest value of 1, bandwidth by Silverman's rule, at least a step that integers can show. */
static void density(const double *y, size_t n, double y_max, double *out)
{
        double mean = 0, variance = 0, width, most = 0;

        for (size_t i = 0; i < n; i++)
                mean += y[i] / (double)n;
        for (size_t i = 0; i < n; i++)
                variance += (y[i] - mean) * (y[i] - mean) / fmax((double)n - 1, 1);
        width = fmax(1.06 * sqrt(variance) * pow((double)n, -.2), .22);
        for (int k = 0; k < GRID; k++) {
                double at = y_max * k / (GRID - 1);

                out[k] = 0;
                for (size_t i = 0; i < n; i++) {
                        double low = (at - y[i]) / width, mirrored = (at + y[i]) / width;

                        /* what would leak below zero is reflected: there are no counts there */
                        out[k] += exp(-low * low / 2) + exp(-mirrored * mirrored / 2);
                }
                most = fmax(most, out[k]);
        }
        for (int k = 0; k < GRID; k++)
                out[k] /= most;
}

static double middle(const double *sorted, size_t n)
{
        return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static int rising(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void ridge(const BgPanel *panel, double base, const double *y, size_t n, double y_max, BgColor color, double *scratch)
{
        double mean_line;

        density(y, n, y_max, scratch);
        cairo_save(panel->cr);
        cairo_new_path(panel->cr);
        cairo_move_to(panel->cr, panel->x, base);
        for (int k = 0; k < GRID; k++)
                cairo_line_to(panel->cr, panel->x + panel->w * k / (GRID - 1), base - scratch[k] * OVERLAP * ROW_HEIGHT);
        cairo_line_to(panel->cr, panel->x + panel->w, base);
        cairo_close_path(panel->cr);
        cairo_set_source_rgba(panel->cr, color.r, color.g, color.b, .55);
        cairo_fill_preserve(panel->cr);
        cairo_set_source_rgb(panel->cr, color.r * .8, color.g * .8, color.b * .8);
        cairo_set_line_width(panel->cr, .9);
        cairo_stroke(panel->cr);
        for (size_t i = 0; i < n; i++) { /* every model is a tick: a ridge of three is a ridge of three */
                double x = panel->x + panel->w * y[i] / y_max;

                cairo_move_to(panel->cr, x, base + 1);
                cairo_line_to(panel->cr, x, base + 5);
        }
        cairo_set_line_width(panel->cr, .6);
        cairo_stroke(panel->cr);
        mean_line = panel->x + panel->w * middle(y, n) / y_max;
        cairo_set_source_rgb(panel->cr, bg_color_ink.r, bg_color_ink.g, bg_color_ink.b);
        cairo_set_line_width(panel->cr, 1.4);
        cairo_move_to(panel->cr, mean_line, base);
        cairo_line_to(panel->cr, mean_line, base - 9);
        cairo_stroke(panel->cr);
        cairo_restore(panel->cr);
}

static void column(BgCanvas *canvas, const BgFigureData *data, const BgFigureModel **models, const Row *rows, size_t n_rows, int age,
                   BgPanel *panel, double *y, double *scratch)
{
        double y_max = log1p(panel->sx.hi);
        BgTextStyle note = { .size = 7, .color = bg_color_quiet, .align = BG_ALIGN_RIGHT };
        char text[32];

        bg_panel_frame(panel);
        for (size_t k = 0; k < n_rows; k++) {
                double base = panel->y + ROW_HEIGHT * (double)(k + 1) + ROW_HEIGHT * (OVERLAP - 1);
                size_t n = 0;

                for (size_t i = rows[k].first; i < rows[k].first + rows[k].n; i++) {
                        double count = bg_figure_count_at(models[i], age_months[age], data->end);

                        if (isfinite(count))
                                y[n++] = log1p(fmax(count, 0));
                }
                cairo_set_source_rgb(canvas->cr, bg_color_grid.r, bg_color_grid.g, bg_color_grid.b);
                cairo_set_line_width(canvas->cr, .8);
                cairo_move_to(canvas->cr, panel->x, base);
                cairo_line_to(canvas->cr, panel->x + panel->w, base);
                cairo_stroke(canvas->cr);
                snprintf(text, sizeof(text), "%zu", n);
                if (n) {
                        qsort(y, n, sizeof(*y), rising);
                        ridge(panel, base, y, n, y_max, bg_color_category(k), scratch);
                }
                bg_draw_halo(canvas->cr, panel->x + panel->w - 2, base - 4, &note, text);
        }
}

static int draw(BgCanvas *canvas, const BgFigureData *data, const BgFigureSpec *spec, const BgFigureModel **models, size_t n_models,
                const Row *rows, size_t n_rows)
{
        double top, most = 10, field = ROW_HEIGHT * ((double)n_rows + OVERLAP - 1) + 8, scratch[GRID];
        double *y = malloc((n_models ? n_models : 1) * sizeof(*y));
        char caption[256];

        if (!y)
                return -ENOMEM;
        snprintf(caption, sizeof(caption),
                 "Models with 1 ≤ λ ≤ 10, of organisations with at least %d; %s. Ticks: models, bars: medians, at the right: how many",
                 MODELS_LEAST, spec->fitted_by);
        top = bg_figure_head(canvas, "Figure 3. Counts 2, 6 and 12 months after release", caption) + 14;
        for (size_t k = 0; k < n_rows; k++)
                for (size_t i = rows[k].first; i < rows[k].first + rows[k].n; i++)
                        for (int age = 0; age < AGES; age++)
                                most = fmax(most, bg_figure_count_at(models[i], age_months[age], data->end));
        for (int age = 0; age < AGES; age++) {
                static const char *const titles[AGES] = { "2 months", "6 months", "12 months" };
                BgPanel panel = { .cr = canvas->cr, .x = 118 + age * 200, .y = top, .w = 180, .h = field, .title = titles[age],
                                  .x_label = age == 1 ? "cumulative count" : NULL, .no_y_ticks = true };

                panel.sx = bg_scale_fit(BG_SCALE_LOG1P, 0, most);
                panel.sy = (BgScale){ .kind = BG_SCALE_LINEAR, .lo = 0, .hi = 1, .step = 2 };
                column(canvas, data, models, rows, n_rows, age, &panel, y, scratch);
        }
        for (size_t k = 0; k < n_rows; k++) {
                BgColor color = bg_color_category(k);
                BgTextStyle style = { .size = 8.5, .color = { color.r * .75, color.g * .75, color.b * .75, 1 }, .align = BG_ALIGN_RIGHT, .bold = true };
                char name[64];

                snprintf(name, sizeof(name), "%.*s", (int)rows[k].org_len, rows[k].name);
                bg_draw_text_within(canvas->cr, 110, top + ROW_HEIGHT * (double)(k + 1) + ROW_HEIGHT * (OVERLAP - 1) - 3, 100, &style, name);
        }
        free(y);
        return 0;
}

int bg_figure_density(const BgFigureData *data, const BgFigureSpec *spec, const char *path)
{
        const BgFigureModel **models = malloc((data->n ? data->n : 1) * sizeof(*models));
        Row *rows = malloc((data->n ? data->n : 1) * sizeof(*rows));
        size_t n = 0, n_rows;
        BgCanvas canvas;
        int r = models && rows ? 0 : -ENOMEM, closed;

        for (size_t i = 0; !r && i < data->n; i++)
                if (qualifies(&data->models[i]))
                        models[n++] = &data->models[i];
        if (!r) {
                qsort(models, n, sizeof(*models), by_org);
                n_rows = rows_of(models, n, rows);
                r = bg_canvas_open(&canvas, path, WIDTH, 74 + 62 + ROW_HEIGHT * ((double)(n_rows ? n_rows : 2) + OVERLAP - 1));
                if (!r) {
                        r = draw(&canvas, data, spec, models, n, rows, n_rows);
                        closed = bg_canvas_close(&canvas);
                        r = r ? r : closed;
                }
        }
        free(models);
        free(rows);
        return r;
}

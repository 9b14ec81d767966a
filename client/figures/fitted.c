/* SPDX-License-Identifier: MIT */
/* Figure 5: the largest models, counted and fitted. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/figures/figures.h"

enum { COLUMNS = 5, CURVE_POINTS = 120 };
#define CELL_W 142.0
#define CELL_H 132.0
#define LEFT 20.0

static void cell(BgCanvas *canvas, const BgFigureData *data, const BgFigureSpec *spec, const BgFigureModel *model, double x, double y, double *ages,
                 double *counts)
{
        const double bottom_age = fmax((double)model->n_months - 1, 1);
        BgPanel panel = { .cr = canvas->cr, .x = x + 34, .y = y + 27, .w = CELL_W - 44, .h = CELL_H - 54, .size = 6.5 };
        BgTextStyle note = { .size = 6.3, .color = bg_color_quiet }, title = { .size = 7.2, .color = bg_color_ink, .bold = true };
        double curve_x[CURVE_POINTS], curve_y[CURVE_POINTS], most = 1, least = INFINITY;
        const char *name = strchr(model->name, '/') + 1;
        char text[96];
        size_t n = 0;

        for (size_t k = 1; k < model->n_months; k++) {
                if (model->months[k] < 1)
                        continue;
                ages[n] = (double)k;
                counts[n] = model->months[k];
                most = fmax(most, counts[n]);
                least = fmin(least, counts[n]);
                n++;
        }
        panel.sx = (BgScale){ .kind = BG_SCALE_LINEAR, .hi = bottom_age * 1.03, .step = bottom_age > 60 ? 24 : bottom_age > 24 ? 12 : bottom_age > 9 ? 6 : bottom_age > 3 ? 2 : 1 };
        panel.sy = (BgScale){ .kind = BG_SCALE_LOG, .lo = n ? fmax(least * .6, .8) : .8, .hi = most * 1.8 };
        bg_panel_frame(&panel);
        for (int k = 0; k < CURVE_POINTS; k++) {
                curve_x[k] = panel.sx.hi * (k + 1) / CURVE_POINTS;
                curve_y[k] = spec->likelihood && n ? bg_figure_curve_through(data, &model->fit, curve_x[k], ages[n - 1], counts[n - 1])
                                                   : bg_figure_curve(data, &model->fit, curve_x[k]);
        }
        if (model->fit.fitted)
                bg_panel_line(&panel, curve_x, curve_y, CURVE_POINTS, &(BgStroke){ .color = bg_color_model, .width = 1.5 });
        bg_panel_points(&panel, ages, counts, n, 1.45, bg_color_fade(bg_color_data, .85));
        bg_draw_text_within(canvas->cr, x + 34, y + 14, CELL_W - 40, &title, name);
        if (!model->fit.fitted)
                snprintf(text, sizeof(text), "no fit");
        else if (!model->fit.known)
                snprintf(text, sizeof(text), "no finite optimum: λ, μ → ∞");
        else
                snprintf(text, sizeof(text), "λ %.3g  μ %.3g  σ %.3g", model->fit.lambda, model->fit.mu + 0.0, model->fit.sigma);
        bg_draw_text(canvas->cr, x + 34, y + 22, &note, text);
}

int bg_figure_fitted(const BgFigureData *data, const BgFigureSpec *spec, const char *path)
{
        size_t n = 0, n_months = 2, rows;
        double *ages, *counts, top;
        char caption[256];
        BgTextStyle label = { .size = 9, .color = bg_color_ink, .align = BG_ALIGN_CENTER };
        BgCanvas canvas;
        int r;

        while (n < data->n && n < spec->top && data->models[n].count > 0) {
                n_months = data->models[n].n_months > n_months ? data->models[n].n_months : n_months;
                n++;
        }
        rows = (n + COLUMNS - 1) / COLUMNS;
        ages = malloc(n_months * sizeof(*ages));
        counts = malloc(n_months * sizeof(*counts));
        r = ages && counts ? bg_canvas_open(&canvas, path, LEFT + COLUMNS * CELL_W + 10, 86 + CELL_H * (double)(rows ? rows : 1)) : -ENOMEM;
        if (!r) {
                snprintf(caption, sizeof(caption), "The %zu models with most %s; %s%s", n, spec->counted, spec->fitted_by,
                         spec->likelihood ? "; the curve is the process given the last count" : "");
                top = bg_figure_head(&canvas, "Figure 5. Counted and fitted", caption);
                bg_draw_legend(canvas.cr, canvas.width - 110, 10, 8.5,
                               (const BgLegendItem[]){ { "counted", bg_color_data, BG_SWATCH_POINT }, { "fitted", bg_color_model, BG_SWATCH_LINE } }, 2);
                for (size_t i = 0; i < n; i++)
                        cell(&canvas, data, spec, &data->models[i], LEFT + (double)(i % COLUMNS) * CELL_W, top + (double)(i / COLUMNS) * CELL_H, ages, counts);
                bg_draw_text(canvas.cr, LEFT + COLUMNS * CELL_W / 2, canvas.height - 10, &label, "months after release");
                label.upright = true;
                bg_draw_text(canvas.cr, 18, top + CELL_H * (double)rows / 2, &label, "cumulative count");
                r = bg_canvas_close(&canvas);
        }
        free(ages);
        free(counts);
        return r;
}

/* SPDX-License-Identifier: MIT */
/* Figure 2: (a) how lambda, mu and sigma are distributed, (b) their pairs. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/figures/figures.h"

enum { WIDTH = 720, HEIGHT = 500, BINS = 28, PARAMETERS = 3 };

typedef struct Sample {
        double *values[PARAMETERS]; /* lambda; mu, or of the likelihood's (which may be negative) e^mu; sigma. NaN: mu is 0 */
        double *sorted[PARAMETERS];
        size_t n;
        size_t n_sorted[PARAMETERS]; /* without those NaN */
        size_t n_none;  /* models without a finite optimum */
} Sample;

typedef struct Labels {
        const char *of[PARAMETERS];
} Labels;

static Labels labels(const BgFigureSpec *spec)
{
        return (Labels){ { "relative fitness  λ", spec->likelihood ? "immediacy  exp μ, months" : "immediacy  μ, ln years", "longevity  σ" } };
}

static int rising(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static int sample(Sample *out, const BgFigureData *data, const BgFigureSpec *spec)
{
        *out = (Sample){ 0 };
        for (int p = 0; p < PARAMETERS; p++) {
                out->values[p] = calloc(data->n ? data->n : 1, sizeof(double));
                out->sorted[p] = calloc(data->n ? data->n : 1, sizeof(double));
        }
        for (int p = 0; p < PARAMETERS; p++)
                if (!out->values[p] || !out->sorted[p])
                        return -ENOMEM;
        for (size_t i = 0; i < data->n; i++) {
                const BgFigureFit *fit = &data->models[i].fit;

                if (data->models[i].count < spec->least)
                        continue;
                if (!fit->known) {
                        out->n_none++;
                        continue;
                }
                out->values[0][out->n] = fit->lambda;
                out->values[1][out->n] = spec->likelihood ? exp(fmin(fit->mu, 600)) * data->unit_days / BG_FIGURE_MONTH_DAYS : fit->at_zero ? NAN : fit->mu;
                out->values[2][out->n] = fit->sigma;
                out->n++;
        }
        for (int p = 0; p < PARAMETERS; p++) {
                for (size_t i = 0; i < out->n; i++)
                        if (isfinite(out->values[p][i]))
                                out->sorted[p][out->n_sorted[p]++] = out->values[p][i];
                qsort(out->sorted[p], out->n_sorted[p], sizeof(double), rising);
        }
        return 0;
}

static void sample_free(Sample *out)
{
        for (int p = 0; p < PARAMETERS; p++) {
                free(out->values[p]);
                free(out->sorted[p]);
        }
}

static double quantile(const double *sorted, size_t n, double p)
{
        double at = p * (double)(n - 1);
        size_t i = (size_t)at;

        return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/** Logarithmic, without the outermost hundredth: a fit gone astray must not flatten all the others. Ends need not be decades. */
static BgScale scale_of(const Sample *s, int p)
{
        BgScale scale = { .kind = BG_SCALE_LOG, .lo = .1, .hi = 10 };
        double lo, hi, room;

        if (!s->n_sorted[p])
                return scale;
        lo = log(fmax(quantile(s->sorted[p], s->n_sorted[p], .01), 1e-6));
        hi = log(fmax(quantile(s->sorted[p], s->n_sorted[p], .99), 1e-6));
        room = fmax(.06 * (hi - lo), .15);
        scale.lo = exp(lo - room);
        scale.hi = exp(hi + room);
        return scale;
}

static void histogram(BgPanel *panel, const Sample *s, int p)
{
        const double dashes[] = { 3, 2 };
        double edges[BINS + 1], counts[BINS] = { 0 }, most = 1, lo = log(panel->sx.lo), hi = log(panel->sx.hi), median = NAN;
        BgTextStyle note = { .size = 8, .color = bg_color_quiet, .align = BG_ALIGN_RIGHT };
        char text[64];

        for (int k = 0; k <= BINS; k++)
                edges[k] = exp(lo + (hi - lo) * k / BINS);
        for (size_t i = 0; i < s->n_sorted[p]; i++) {
                double at = (log(s->sorted[p][i]) - lo) / (hi - lo) * BINS;

                if (at >= 0 && at < BINS)
                        most = fmax(most, ++counts[(int)at]);
        }
        panel->sy = bg_scale_fit(BG_SCALE_LINEAR, 0, most * 1.04);
        bg_panel_frame(panel);
        bg_panel_steps(panel, edges, counts, BINS, &(BgStroke){ .color = bg_color_model, .width = 1 }, bg_color_fade(bg_color_model, .28));
        if (s->n_sorted[p]) {
                size_t n_zero = s->n - s->n_sorted[p];

                median = quantile(s->sorted[p], s->n_sorted[p], .5);
                bg_panel_rule(panel, median, NAN, &(BgStroke){ .color = bg_color_ink, .width = 1, .dashes = dashes, .n_dashes = 2 });
                snprintf(text, sizeof(text), "median %.3g", median);
                if (n_zero)
                        snprintf(text, sizeof(text), "%zu at the bound 0, else median %.3g", n_zero, median);
                bg_draw_text(panel->cr, panel->x + panel->w, panel->y - 4, &note, text);
        }
}

/** Kendall's tau: nothing is assumed of the scales; a few thousand fits are compared in a moment. */
static double rank_correlation(const double *x, const double *y, size_t n)
{
        double concordant = 0, pairs = 0;

        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < i; j++) {
                        double product = (x[i] - x[j]) * (y[i] - y[j]);

                        if (isnan(product))
                                continue;
                        concordant += (product > 0) - (product < 0);
                        pairs++;
                }
        return pairs > 0 ? concordant / pairs : NAN;
}

/** Fits with mu = 0 have no place on a logarithmic axis: ticks along the axis tell of them. */
static void mark_zeros(const BgPanel *panel, const double *x, const double *y, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                double at = bg_panel_y(panel, y[i]);

                if (!isnan(x[i]) || !(at >= panel->y && at <= panel->y + panel->h))
                        continue;
                cairo_set_source_rgba(panel->cr, bg_color_data.r, bg_color_data.g, bg_color_data.b, .5);
                cairo_set_line_width(panel->cr, .7);
                cairo_move_to(panel->cr, panel->x, at);
                cairo_line_to(panel->cr, panel->x + 6, at);
                cairo_stroke(panel->cr);
        }
}

int bg_figure_parameters(const BgFigureData *data, const BgFigureSpec *spec, const char *path)
{
        static const int pairs[PARAMETERS][2] = { { 1, 0 }, { 2, 0 }, { 1, 2 } };
        const double w = 176, h = 150, left = 62, gap = 58;
        const Labels names = labels(spec);
        char caption[320], text[64];
        BgCanvas canvas;
        Sample s;
        double top;
        int r = sample(&s, data, spec), closed;

        if (!r)
                r = bg_canvas_open(&canvas, path, WIDTH, HEIGHT);
        if (r) {
                sample_free(&s);
                return r;
        }
        snprintf(caption, sizeof(caption), "%zu models with at least %.0f %s; %s", s.n, spec->least, spec->counted, spec->fitted_by);
        if (s.n_none)
                snprintf(caption + strlen(caption), sizeof(caption) - strlen(caption), "; %zu more have no finite optimum", s.n_none);
        if (s.n_sorted[1] < s.n)
                snprintf(caption + strlen(caption), sizeof(caption) - strlen(caption), "; red ticks: μ = 0");
        top = bg_figure_head(&canvas, "Figure 2. Parameters of the growth curve", caption) + 14;
        for (int p = 0; p < PARAMETERS; p++) {
                static const char *const titles[] = { "a", NULL, NULL };
                BgPanel panel = { .cr = canvas.cr, .x = left + p * (w + gap), .y = top, .w = w, .h = h, .title = titles[p], .x_label = names.of[p] };

                panel.sx = scale_of(&s, p);
                panel.y_label = p ? NULL : "models";
                histogram(&panel, &s, p);
        }
        for (int k = 0; k < PARAMETERS; k++) {
                const int *pair = pairs[k];
                BgTextStyle note = { .size = 8, .color = bg_color_quiet, .align = BG_ALIGN_RIGHT };
                BgPanel panel = { .cr = canvas.cr, .x = left + k * (w + gap), .y = top + h + 72, .w = w, .h = h, .title = k ? NULL : "b",
                                  .x_label = names.of[pair[0]] };

                panel.sx = scale_of(&s, pair[0]);
                panel.sy = scale_of(&s, pair[1]);
                panel.y_label = pair[1] == 0 ? "λ" : "σ";
                bg_panel_frame(&panel);
                bg_panel_points(&panel, s.values[pair[0]], s.values[pair[1]], s.n, 1.7, bg_color_fade(bg_color_model, .45));
                mark_zeros(&panel, s.values[pair[0]], s.values[pair[1]], s.n);
                snprintf(text, sizeof(text), "Kendall's τ = %.2f", rank_correlation(s.values[pair[0]], s.values[pair[1]], s.n));
                if (s.n > 2)
                        bg_draw_text(panel.cr, panel.x + panel.w, panel.y - 4, &note, text);
        }
        closed = bg_canvas_close(&canvas);
        sample_free(&s);
        return closed;
}

/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_DRAW_CHART_H
#define BURGEON_CLIENT_DRAW_CHART_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Charts as files: a canvas, panels with axes on it, and marks in a panel's data coordinates.
 *
 * Drawing does not fail by itself: cairo keeps its first error, and bg_canvas_close() reports it. What has a coordinate that is
 * not finite is left out, and breaks a line. Marks are clipped to their panel. Lengths are points (1/72 in) from the top left.
 */

/* ---- colours ---------------------------------------------------------------------------------------------------------------- */

typedef struct BgColor {
        double r, g, b, a; /* 0..1 */
} BgColor;

extern const BgColor bg_color_ink;    /* text, empirical marks */
extern const BgColor bg_color_quiet;  /* axes, secondary text */
extern const BgColor bg_color_grid;
extern const BgColor bg_color_paper;  /* the background */
extern const BgColor bg_color_data;   /* what was observed */
extern const BgColor bg_color_model;  /* what was fitted or forecast */
extern const BgColor bg_color_alert;  /* surges */

enum { BG_COLOR_CATEGORY_N = 8 };
/** Eight hues that stay apart for colour-blind eyes; further ones repeat. */
BgColor bg_color_category(size_t i);
/** Dark violet (0) over green to yellow (1), evenly rising in lightness; outside 0..1 is its nearest end. */
BgColor bg_color_sequence(double share);
BgColor bg_color_fade(BgColor color, double alpha);

/* ---- canvas ----------------------------------------------------------------------------------------------------------------- */

typedef struct BgCanvas {
        cairo_t *cr; /* draw with it what the helpers do not know */
        cairo_surface_t *surface;
        FILE *file;
        bool png;
        int error; /* of writing, negative errno */
        double width, height;
} BgCanvas;

/** By the end of the name: .svg, or .png in twice the resolution. Return: 0, -EINVAL (another name), or negative errno. */
int bg_canvas_open(BgCanvas *canvas, const char *path, double width, double height);
/** Write out. Accepts the zero value, and twice. Return: 0 or negative errno: the file is then not usable. */
int bg_canvas_close(BgCanvas *canvas);

/* ---- text ------------------------------------------------------------------------------------------------------------------- */

typedef enum BgAlign { BG_ALIGN_LEFT, BG_ALIGN_CENTER, BG_ALIGN_RIGHT } BgAlign;

typedef struct BgTextStyle {
        double size;
        BgColor color;
        BgAlign align;
        bool bold;
        bool upright; /* rotated by 90 degrees, read from below */
} BgTextStyle;

/** UTF-8, on its base line at (x, y). */
void bg_draw_text(cairo_t *cr, double x, double y, const BgTextStyle *style, const char *text);
double bg_text_extent(cairo_t *cr, double size, bool bold, const char *text);
/** The same over a halo of paper, to be read above lines. */
void bg_draw_halo(cairo_t *cr, double x, double y, const BgTextStyle *style, const char *text);
/** At most `width` wide, cut at the end with an ellipsis. */
void bg_draw_text_within(cairo_t *cr, double x, double y, double width, const BgTextStyle *style, const char *text);

/* ---- scales and ticks --------------------------------------------------------------------------------------------------------- */

typedef enum BgScaleKind {
        BG_SCALE_LINEAR,
        BG_SCALE_LOG,   /* lo > 0 */
        BG_SCALE_LOG1P, /* ln(1 + x): counts, 0 included */
        BG_SCALE_TIME,  /* microseconds UTC: ticks at days, months, years */
} BgScaleKind;

typedef struct BgScale {
        BgScaleKind kind;
        double lo, hi;
        double step; /* between ticks of a linear scale; 0 = chosen */
} BgScale;

/** A scale that holds lo..hi and ends at ticks (TIME: ends where the data do); lo == hi is widened. Not finite: 0..1. */
BgScale bg_scale_fit(BgScaleKind kind, double lo, double hi);
/** Where a value lies: 0 at lo, 1 at hi; NaN when the scale has no place for it (0 on a logarithmic one). */
double bg_scale_share(const BgScale *scale, double value);

typedef struct BgTick {
        double at;
        bool major;
        char label[24]; /* "" = none */
} BgTick;

enum { BG_TICKS_MAX = 64 };
/** Ticks within the scale, at most about `n_wanted` with labels. Return: how many. */
size_t bg_scale_ticks(const BgScale *scale, size_t n_wanted, BgTick ticks[BG_TICKS_MAX]);
/** A number as on an axis: 0.5, 12, 1,200, 12k, 3M, 10⁻¹⁵. */
void bg_tick_number(char *label, size_t size, double x);

/* ---- panels ----------------------------------------------------------------------------------------------------------------- */

typedef struct BgPanel {
        cairo_t *cr;
        double x, y, w, h; /* of the field of data; labels are outside it: about 44 left, 34 below, 18 above */
        BgScale sx, sy;
        const char *title;   /* NULL = none, all three */
        const char *x_label;
        const char *y_label;
        double size;         /* of the ticks' text; 0 = 8.5 */
        bool no_x_ticks, no_y_ticks; /* their labels: inside a grid of panels */
} BgPanel;

/** Grid, axes, ticks, labels: first, the marks come above it. */
void bg_panel_frame(const BgPanel *panel);
double bg_panel_x(const BgPanel *panel, double x);
double bg_panel_y(const BgPanel *panel, double y);

typedef struct BgStroke {
        BgColor color;
        double width;
        const double *dashes; /* NULL = solid */
        int n_dashes;
} BgStroke;

void bg_panel_line(const BgPanel *panel, const double *x, const double *y, size_t n, const BgStroke *stroke);
/** A staircase: y[i] holds from x[i] to x[i + 1]; n + 1 edges. */
void bg_panel_steps(const BgPanel *panel, const double *edges, const double *y, size_t n, const BgStroke *stroke, BgColor fill);
/** Between two curves. */
void bg_panel_band(const BgPanel *panel, const double *x, const double *low, const double *high, size_t n, BgColor fill);
/** Those beyond the scales are left out. */
void bg_panel_points(const BgPanel *panel, const double *x, const double *y, size_t n, double radius, BgColor fill);
/** A straight line through the field: at x (NaN: at y). */
void bg_panel_rule(const BgPanel *panel, double x, double y, const BgStroke *stroke);

/** Swatches and names below each other from (x, y) on. Return: its height. */
typedef enum BgSwatch { BG_SWATCH_LINE, BG_SWATCH_POINT, BG_SWATCH_AREA } BgSwatch;
typedef struct BgLegendItem {
        const char *name;
        BgColor color;
        BgSwatch swatch;
} BgLegendItem;
double bg_draw_legend(cairo_t *cr, double x, double y, double size, const BgLegendItem *items, size_t n);

/** The colours of bg_color_sequence() as an upright bar with ticks on its right side; the label stands above it. */
void bg_draw_color_bar(cairo_t *cr, double x, double y, double w, double h, const BgScale *scale, const char *label);

#endif

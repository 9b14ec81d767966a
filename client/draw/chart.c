/* SPDX-License-Identifier: MIT */
#include "client/draw/chart.h"

#include <cairo-svg.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PNG_SCALE 2.0
#define FONT "DejaVu Sans" /* comes with cairo on Debian; elsewhere fontconfig finds the nearest */
#define TICK_LENGTH 3.5

const BgColor bg_color_ink = { .13, .14, .17, 1 };
const BgColor bg_color_quiet = { .42, .44, .49, 1 };
const BgColor bg_color_grid = { .90, .91, .93, 1 };
const BgColor bg_color_paper = { 1, 1, 1, 1 };
const BgColor bg_color_data = { .80, .17, .18, 1 };
const BgColor bg_color_model = { .13, .37, .66, 1 };
const BgColor bg_color_alert = { .76, .24, .55, 1 };

/* ---- colours ------------------------------------------------------------------------------------------------------------------ */

static BgColor rgb(unsigned hex)
{
        return (BgColor){ (hex >> 16 & 255) / 255.0, (hex >> 8 & 255) / 255.0, (hex & 255) / 255.0, 1 };
}

BgColor bg_color_category(size_t i)
{
        /* Okabe and Ito 2008, the yellow darkened: it is to be seen on white */
        static const unsigned hues[BG_COLOR_CATEGORY_N] = { 0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0x56b4e9, 0xe69f00, 0x7a5195, 0x8a8d00 };

        return rgb(hues[i % BG_COLOR_CATEGORY_N]);
}

BgColor bg_color_sequence(double share)
{
        /* viridis (van der Walt and Smith 2015), cut before its palest end */
        static const unsigned stops[] = { 0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21918c, 0x28ae80, 0x5ec962, 0xaddc30, 0xdde318 };
        const size_t n = sizeof(stops) / sizeof(stops[0]) - 1;
        double at = share > 0 ? fmin(share, 1) * (double)n : 0, f;
        size_t i = at >= (double)n ? n - 1 : (size_t)at;
        BgColor a = rgb(stops[i]), b = rgb(stops[i + 1]);

        f = at - (double)i;
        return (BgColor){ a.r + f * (b.r - a.r), a.g + f * (b.g - a.g), a.b + f * (b.b - a.b), 1 };
}

BgColor bg_color_fade(BgColor color, double alpha)
{
        color.a *= alpha;
        return color;
}

static void use(cairo_t *cr, BgColor color)
{
        cairo_set_source_rgba(cr, color.r, color.g, color.b, color.a);
}

/* ---- canvas ------------------------------------------------------------------------------------------------------------------- */

static cairo_status_t write_out(void *closure, const unsigned char *data, unsigned length)
{
        BgCanvas *canvas = closure;

        if (fwrite(data, 1, length, canvas->file) == length)
                return CAIRO_STATUS_SUCCESS;
        canvas->error = errno ? -errno : -EIO;
        return CAIRO_STATUS_WRITE_ERROR;
}

static bool ends_in(const char *path, const char *suffix)
{
        size_t n = strlen(path), m = strlen(suffix);

        return n > m && !strcmp(path + n - m, suffix);
}

int bg_canvas_open(BgCanvas *canvas, const char *path, double width, double height)
{
        *canvas = (BgCanvas){ .width = width, .height = height, .png = ends_in(path, ".png") };
        if (!canvas->png && !ends_in(path, ".svg"))
                return -EINVAL;
        canvas->file = fopen(path, "we");
        if (!canvas->file)
                return -errno;
        if (canvas->png)
                canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width * PNG_SCALE), (int)ceil(height * PNG_SCALE));
        else
                canvas->surface = cairo_svg_surface_create_for_stream(write_out, canvas, width, height);
        canvas->cr = cairo_create(canvas->surface);
        if (canvas->png)
                cairo_scale(canvas->cr, PNG_SCALE, PNG_SCALE);
        use(canvas->cr, bg_color_paper);
        cairo_paint(canvas->cr);
        cairo_set_line_join(canvas->cr, CAIRO_LINE_JOIN_ROUND);
        return 0;
}

int bg_canvas_close(BgCanvas *canvas)
{
        cairo_status_t status;
        int r;

        if (!canvas->file)
                return 0;
        status = cairo_status(canvas->cr);
        cairo_destroy(canvas->cr);
        if (canvas->png && !status)
                status = cairo_surface_write_to_png_stream(canvas->surface, write_out, canvas);
        cairo_surface_finish(canvas->surface);
        if (!status)
                status = cairo_surface_status(canvas->surface);
        cairo_surface_destroy(canvas->surface);
        r = canvas->error ? canvas->error : status == CAIRO_STATUS_NO_MEMORY ? -ENOMEM : status ? -EIO : 0;
        if (fclose(canvas->file) && !r)
                r = -errno;
        *canvas = (BgCanvas){ 0 };
        return r;
}

/* ---- text --------------------------------------------------------------------------------------------------------------------- */

static void choose_font(cairo_t *cr, double size, bool bold)
{
        cairo_select_font_face(cr, FONT, CAIRO_FONT_SLANT_NORMAL, bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
        cairo_set_font_size(cr, size);
}

double bg_text_extent(cairo_t *cr, double size, bool bold, const char *text)
{
        cairo_text_extents_t extents;

        choose_font(cr, size, bold);
        cairo_text_extents(cr, text, &extents);
        return extents.x_advance;
}

void bg_draw_text(cairo_t *cr, double x, double y, const BgTextStyle *style, const char *text)
{
        double width = bg_text_extent(cr, style->size, style->bold, text);
        double shift = style->align == BG_ALIGN_RIGHT ? -width : style->align == BG_ALIGN_CENTER ? -width / 2 : 0;

        cairo_save(cr);
        use(cr, style->color);
        cairo_translate(cr, x, y);
        if (style->upright)
                cairo_rotate(cr, -M_PI / 2);
        cairo_move_to(cr, shift, 0);
        cairo_show_text(cr, text);
        cairo_restore(cr);
        cairo_new_path(cr);
}

void bg_draw_halo(cairo_t *cr, double x, double y, const BgTextStyle *style, const char *text)
{
        double width = bg_text_extent(cr, style->size, style->bold, text);

        cairo_save(cr);
        cairo_move_to(cr, style->align == BG_ALIGN_RIGHT ? x - width : style->align == BG_ALIGN_CENTER ? x - width / 2 : x, y);
        cairo_text_path(cr, text);
        use(cr, bg_color_fade(bg_color_paper, .85));
        cairo_set_line_width(cr, 2.5);
        cairo_stroke(cr);
        cairo_restore(cr);
        bg_draw_text(cr, x, y, style, text);
}

void bg_draw_text_within(cairo_t *cr, double x, double y, double width, const BgTextStyle *style, const char *text)
{
        char cut[512];
        size_t n = strlen(text);

        if (bg_text_extent(cr, style->size, style->bold, text) <= width || n + 4 > sizeof(cut)) {
                bg_draw_text(cr, x, y, style, text);
                return;
        }
        memcpy(cut, text, n + 1);
        while (n > 0) {
                do
                        n--;
                while (n > 0 && (cut[n] & 0xc0) == 0x80); /* not inside a character */
                memcpy(cut + n, "…", sizeof("…"));
                if (bg_text_extent(cr, style->size, style->bold, cut) <= width)
                        break;
        }
        bg_draw_text(cr, x, y, style, cut);
}

/* ---- scales ------------------------------------------------------------------------------------------------------------------- */

static double forward(const BgScale *scale, double x)
{
        switch (scale->kind) {
        case BG_SCALE_LOG:
                return x > 0 ? log10(x) : NAN;
        case BG_SCALE_LOG1P:
                return x >= 0 ? log1p(x) : NAN;
        default:
                return x;
        }
}

double bg_scale_share(const BgScale *scale, double value)
{
        double lo = forward(scale, scale->lo), hi = forward(scale, scale->hi), at = forward(scale, value);

        return hi > lo && isfinite(at) ? (at - lo) / (hi - lo) : NAN;
}

/** 1, 2 or 5 times a power of ten: the smallest that makes at most n steps of `span`. */
static double nice_step(double span, double n)
{
        double raw = span / fmax(n, 1), power = pow(10, floor(log10(raw)));

        for (int i = 0; i < 3; i++)
                if (power * (double[]){ 1, 2, 5 }[i] >= raw * (1 - 1e-9))
                        return power * (double[]){ 1, 2, 5 }[i];
        return power * 10;
}

BgScale bg_scale_fit(BgScaleKind kind, double lo, double hi)
{
        BgScale scale = { .kind = kind };
        double step;

        if (!isfinite(lo) || !isfinite(hi) || hi < lo || (kind == BG_SCALE_LOG && lo <= 0))
                return (BgScale){ .kind = kind, .lo = kind == BG_SCALE_LOG, .hi = kind == BG_SCALE_LOG ? 10 : 1 };
        switch (kind) {
        case BG_SCALE_LOG:
                scale.lo = pow(10, floor(log10(lo) + 1e-9));
                scale.hi = pow(10, ceil(log10(hi) - 1e-9));
                if (scale.hi <= scale.lo)
                        scale.hi = scale.lo * 10;
                break;
        case BG_SCALE_LOG1P:
                scale.lo = 0;
                scale.hi = fmax(hi, 1) * 1.15;
                break;
        case BG_SCALE_LINEAR:
                if (hi - lo < 1e-12 * fmax(fabs(hi), 1)) {
                        double room = fmax(.5, fabs(hi) * .1);

                        lo -= room;
                        hi += room;
                }
                step = nice_step(hi - lo, 5);
                scale.lo = floor(lo / step + 1e-9) * step;
                scale.hi = ceil(hi / step - 1e-9) * step;
                break;
        case BG_SCALE_TIME:
                scale.lo = lo;
                scale.hi = hi > lo ? hi : lo + 86400e6;
                break;
        }
        return scale;
}

static void superscript(char *label, size_t size, int exponent)
{
        static const char *const digits[] = { "⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹" };
        char plain[16];
        size_t n = (size_t)snprintf(label, size, "10");

        snprintf(plain, sizeof(plain), "%d", exponent);
        for (const char *c = plain; *c && n < size; c++)
                n += (size_t)snprintf(label + n, size - n, "%s", *c == '-' ? "⁻" : digits[*c - '0']);
}

void bg_tick_number(char *label, size_t size, double x)
{
        double a = fabs(x), exponent = a > 0 ? log10(a) : 0;

        if (a > 0 && fabs(exponent - round(exponent)) < 1e-9 && (exponent < -3.5 || exponent > 8.5) && x > 0)
                superscript(label, size, (int)round(exponent));
        else if (a >= 1e9 || (a > 0 && a < 1e-4))
                snprintf(label, size, "%.0e", x);
        else if (a >= 1e6)
                snprintf(label, size, "%.4gM", x / 1e6);
        else if (a >= 1e4)
                snprintf(label, size, "%.4gk", x / 1e3);
        else if (a >= 1e3)
                snprintf(label, size, "%s%d,%03d", x < 0 ? "-" : "", (int)round(a) / 1000, (int)round(a) % 1000);
        else
                snprintf(label, size, "%.4g", round(x * 1e6) / 1e6 + 0.0);
}

static void put(BgTick *ticks, size_t *np, const BgScale *scale, double at, bool major, bool label)
{
        double share = bg_scale_share(scale, at);
        BgTick *tick;

        if (*np >= BG_TICKS_MAX || !(share >= -1e-9 && share <= 1 + 1e-9))
                return;
        tick = &ticks[(*np)++];
        *tick = (BgTick){ .at = at, .major = major };
        if (label)
                bg_tick_number(tick->label, sizeof(tick->label), at);
}

static size_t log_ticks(const BgScale *scale, size_t n_wanted, BgTick *ticks)
{
        double lo = scale->kind == BG_SCALE_LOG ? scale->lo : 1;
        int first = (int)floor(log10(lo) + 1e-9), last = (int)ceil(log10(scale->hi) - 1e-9);
        int every = (last - first) / (int)(n_wanted ? n_wanted : 1) + 1;
        bool fine = floor(log10(scale->hi) + 1e-9) - ceil(log10(lo) - 1e-9) < 1; /* one power of ten at most: 2 and 5 are named too */
        size_t n = 0;

        if (scale->kind == BG_SCALE_LOG1P)
                put(ticks, &n, scale, 0, true, true);
        for (int e = first; e <= last; e++) {
                bool major = (e - first) % every == 0;

                if (major || last - first <= 24) /* of many decades only some are worth a line */
                        put(ticks, &n, scale, pow(10, e), major, major);
                for (int k = 2; k < 10 && last - first <= 5; k++)
                        put(ticks, &n, scale, k * pow(10, e), false, fine && (k == 2 || k == 5));
        }
        return n;
}

/** The months since year 0 that contain a time, and the time at which a month begins. */
static int month_of(double us)
{
        time_t seconds = (time_t)floor(us / 1e6);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        return (tm.tm_year + 1900) * 12 + tm.tm_mon;
}

static double month_begins(int month)
{
        struct tm tm = { .tm_year = month / 12 - 1900, .tm_mon = month % 12, .tm_mday = 1 };

        return (double)timegm(&tm) * 1e6;
}

static size_t time_ticks(const BgScale *scale, size_t n_wanted, BgTick *ticks)
{
        static const int months[] = { 1, 3, 6, 12, 24, 60, 120 }, days[] = { 1, 2, 7, 14 };
        double span_days = (scale->hi - scale->lo) / 86400e6, want = (double)(n_wanted ? n_wanted : 1);
        size_t n = 0;
        time_t seconds;
        struct tm tm;

        for (size_t i = 0; i < 4 && span_days < 62; i++) {
                if (span_days / days[i] > want)
                        continue;
                for (double day = ceil(scale->lo / 86400e6); day * 86400e6 <= scale->hi; day += days[i]) {
                        put(ticks, &n, scale, day * 86400e6, true, false);
                        seconds = (time_t)(day * 86400);
                        gmtime_r(&seconds, &tm);
                        strftime(ticks[n - 1].label, sizeof(ticks[0].label), "%b %e", &tm);
                }
                return n;
        }
        for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++) {
                if (span_days / 30.4375 / months[i] > want && i + 1 < sizeof(months) / sizeof(months[0]))
                        continue;
                for (int m = month_of(scale->lo) / months[i] * months[i]; month_begins(m) <= scale->hi; m += months[i]) {
                        size_t before = n;

                        put(ticks, &n, scale, month_begins(m), true, false);
                        if (n == before)
                                continue;
                        seconds = (time_t)(month_begins(m) / 1e6);
                        gmtime_r(&seconds, &tm);
                        strftime(ticks[n - 1].label, sizeof(ticks[0].label), months[i] >= 12 ? "%Y" : "%b %Y", &tm);
                }
                break;
        }
        return n;
}

size_t bg_scale_ticks(const BgScale *scale, size_t n_wanted, BgTick ticks[BG_TICKS_MAX])
{
        size_t n = 0;
        double step;

        switch (scale->kind) {
        case BG_SCALE_LOG:
        case BG_SCALE_LOG1P:
                return log_ticks(scale, n_wanted, ticks);
        case BG_SCALE_TIME:
                return time_ticks(scale, n_wanted, ticks);
        default:
                break;
        }
        if (!(scale->hi > scale->lo))
                return 0;
        step = scale->step > 0 ? scale->step : nice_step(scale->hi - scale->lo, (double)n_wanted);
        for (double k = ceil(scale->lo / step - 1e-9); n < BG_TICKS_MAX && k * step <= scale->hi + 1e-9 * step; k++)
                put(ticks, &n, scale, k * step, true, true);
        return n;
}

/* ---- panels ------------------------------------------------------------------------------------------------------------------- */

double bg_panel_x(const BgPanel *panel, double x)
{
        return panel->x + panel->w * bg_scale_share(&panel->sx, x);
}

double bg_panel_y(const BgPanel *panel, double y)
{
        return panel->y + panel->h * (1 - bg_scale_share(&panel->sy, y));
}

static void segment(cairo_t *cr, double x0, double y0, double x1, double y1)
{
        cairo_move_to(cr, x0, y0);
        cairo_line_to(cr, x1, y1);
        cairo_stroke(cr);
}

static void frame_x(const BgPanel *panel, double size)
{
        BgTextStyle style = { .size = size, .color = bg_color_quiet, .align = BG_ALIGN_CENTER };
        BgTick ticks[BG_TICKS_MAX];
        size_t n = bg_scale_ticks(&panel->sx, (size_t)fmax(panel->w / (panel->sx.kind == BG_SCALE_TIME ? 52 : 40), 2), ticks);
        double bottom = panel->y + panel->h;

        for (size_t i = 0; i < n; i++) {
                double x = bg_panel_x(panel, ticks[i].at);

                if (ticks[i].major) {
                        use(panel->cr, bg_color_grid);
                        segment(panel->cr, x, panel->y, x, bottom);
                }
                use(panel->cr, bg_color_quiet);
                segment(panel->cr, x, bottom, x, bottom + (ticks[i].major ? TICK_LENGTH : TICK_LENGTH / 2));
                if (!panel->no_x_ticks && ticks[i].label[0])
                        bg_draw_text(panel->cr, x, bottom + TICK_LENGTH + size + 1, &style, ticks[i].label);
        }
}

static void frame_y(const BgPanel *panel, double size)
{
        BgTextStyle style = { .size = size, .color = bg_color_quiet, .align = BG_ALIGN_RIGHT };
        BgTick ticks[BG_TICKS_MAX];
        size_t n = bg_scale_ticks(&panel->sy, (size_t)fmax(panel->h / 26, 2), ticks);

        for (size_t i = 0; i < n; i++) {
                double y = bg_panel_y(panel, ticks[i].at);

                if (ticks[i].major) {
                        use(panel->cr, bg_color_grid);
                        segment(panel->cr, panel->x, y, panel->x + panel->w, y);
                }
                use(panel->cr, bg_color_quiet);
                segment(panel->cr, panel->x - (ticks[i].major ? TICK_LENGTH : TICK_LENGTH / 2), y, panel->x, y);
                if (!panel->no_y_ticks && ticks[i].label[0])
                        bg_draw_text(panel->cr, panel->x - TICK_LENGTH - 3, y + size * .36, &style, ticks[i].label);
        }
}

void bg_panel_frame(const BgPanel *panel)
{
        double size = panel->size > 0 ? panel->size : 8.5;
        BgTextStyle label = { .size = size + .5, .color = bg_color_ink, .align = BG_ALIGN_CENTER };
        BgTextStyle title = { .size = size + 1.5, .color = bg_color_ink, .bold = true };

        cairo_save(panel->cr);
        cairo_set_line_width(panel->cr, .6);
        frame_x(panel, size);
        frame_y(panel, size);
        use(panel->cr, bg_color_quiet);
        cairo_set_line_width(panel->cr, .8);
        segment(panel->cr, panel->x, panel->y + panel->h, panel->x + panel->w, panel->y + panel->h);
        segment(panel->cr, panel->x, panel->y, panel->x, panel->y + panel->h);
        if (panel->title)
                bg_draw_text_within(panel->cr, panel->x, panel->y - size * .75, panel->w, &title, panel->title);
        if (panel->x_label)
                bg_draw_text(panel->cr, panel->x + panel->w / 2, panel->y + panel->h + 3 * size + 4, &label, panel->x_label);
        label.upright = true;
        if (panel->y_label)
                bg_draw_text(panel->cr, panel->x - 4 * size, panel->y + panel->h / 2, &label, panel->y_label);
        cairo_restore(panel->cr);
}

static void begin(const BgPanel *panel)
{
        cairo_save(panel->cr);
        /* half a mark may stand over the edge: a point at zero is a whole point */
        cairo_rectangle(panel->cr, panel->x - 2, panel->y - 2, panel->w + 4, panel->h + 4);
        cairo_clip(panel->cr);
        cairo_new_path(panel->cr);
}

static void stroke_path(const BgPanel *panel, const BgStroke *stroke)
{
        use(panel->cr, stroke->color);
        cairo_set_line_width(panel->cr, stroke->width);
        cairo_set_dash(panel->cr, stroke->dashes, stroke->n_dashes, 0);
        cairo_stroke(panel->cr);
}

void bg_panel_line(const BgPanel *panel, const double *x, const double *y, size_t n, const BgStroke *stroke)
{
        bool drawing = false;

        begin(panel);
        for (size_t i = 0; i < n; i++) {
                double px = bg_panel_x(panel, x[i]), py = bg_panel_y(panel, y[i]);

                if (!isfinite(px) || !isfinite(py)) {
                        drawing = false;
                        continue;
                }
                if (drawing)
                        cairo_line_to(panel->cr, px, py);
                else
                        cairo_move_to(panel->cr, px, py);
                drawing = true;
        }
        stroke_path(panel, stroke);
        cairo_restore(panel->cr);
}

static void trace_steps(const BgPanel *panel, const double *edges, const double *y, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                double py = bg_panel_y(panel, y[i]);

                if (!isfinite(py))
                        py = panel->y + panel->h;
                cairo_line_to(panel->cr, bg_panel_x(panel, edges[i]), py);
                cairo_line_to(panel->cr, bg_panel_x(panel, edges[i + 1]), py);
        }
}

void bg_panel_steps(const BgPanel *panel, const double *edges, const double *y, size_t n, const BgStroke *stroke, BgColor fill)
{
        double base = panel->y + panel->h;

        if (!n)
                return;
        begin(panel);
        cairo_move_to(panel->cr, bg_panel_x(panel, edges[0]), base);
        trace_steps(panel, edges, y, n);
        cairo_line_to(panel->cr, bg_panel_x(panel, edges[n]), base);
        cairo_close_path(panel->cr);
        use(panel->cr, fill);
        cairo_fill(panel->cr);
        trace_steps(panel, edges, y, n);
        stroke_path(panel, stroke);
        cairo_restore(panel->cr);
}

void bg_panel_band(const BgPanel *panel, const double *x, const double *low, const double *high, size_t n, BgColor fill)
{
        begin(panel);
        for (size_t i = 0; i < 2 * n; i++) {
                size_t k = i < n ? i : 2 * n - 1 - i;
                double px = bg_panel_x(panel, x[k]), py = bg_panel_y(panel, i < n ? high[k] : low[k]);

                if (isfinite(px) && isfinite(py))
                        cairo_line_to(panel->cr, px, py);
        }
        cairo_close_path(panel->cr);
        use(panel->cr, fill);
        cairo_fill(panel->cr);
        cairo_restore(panel->cr);
}

void bg_panel_points(const BgPanel *panel, const double *x, const double *y, size_t n, double radius, BgColor fill)
{
        begin(panel);
        use(panel->cr, fill);
        for (size_t i = 0; i < n; i++) {
                double px = bg_panel_x(panel, x[i]), py = bg_panel_y(panel, y[i]);

                if (!isfinite(px) || !isfinite(py) || px < panel->x - .01 || px > panel->x + panel->w + .01 || py < panel->y - .01 ||
                    py > panel->y + panel->h + .01)
                        continue; /* half a mark at the edge would be taken for a mark there */
                cairo_new_sub_path(panel->cr);
                cairo_arc(panel->cr, px, py, radius, 0, 2 * M_PI);
                cairo_fill(panel->cr);
        }
        cairo_restore(panel->cr);
}

void bg_panel_rule(const BgPanel *panel, double x, double y, const BgStroke *stroke)
{
        double px = bg_panel_x(panel, x), py = bg_panel_y(panel, y);

        begin(panel);
        if (isfinite(px)) {
                cairo_move_to(panel->cr, px, panel->y);
                cairo_line_to(panel->cr, px, panel->y + panel->h);
        } else if (isfinite(py)) {
                cairo_move_to(panel->cr, panel->x, py);
                cairo_line_to(panel->cr, panel->x + panel->w, py);
        }
        stroke_path(panel, stroke);
        cairo_restore(panel->cr);
}

/* ---- keys --------------------------------------------------------------------------------------------------------------------- */

double bg_draw_legend(cairo_t *cr, double x, double y, double size, const BgLegendItem *items, size_t n)
{
        BgTextStyle style = { .size = size, .color = bg_color_ink };
        double line = size * 1.6;

        cairo_save(cr);
        for (size_t i = 0; i < n; i++) {
                double middle = y + line * ((double)i + .5);

                use(cr, items[i].color);
                switch (items[i].swatch) {
                case BG_SWATCH_LINE:
                        cairo_set_line_width(cr, 1.8);
                        segment(cr, x, middle, x + 14, middle);
                        break;
                case BG_SWATCH_POINT:
                        cairo_arc(cr, x + 7, middle, 2.6, 0, 2 * M_PI);
                        cairo_fill(cr);
                        break;
                case BG_SWATCH_AREA:
                        cairo_rectangle(cr, x + 1, middle - size * .4, 12, size * .8);
                        cairo_fill(cr);
                        break;
                }
                bg_draw_text(cr, x + 19, middle + size * .36, &style, items[i].name);
        }
        cairo_restore(cr);
        return line * (double)n;
}

void bg_draw_color_bar(cairo_t *cr, double x, double y, double w, double h, const BgScale *scale, const char *label)
{
        const double size = 8.5;
        BgTextStyle style = { .size = size, .color = bg_color_quiet };
        cairo_pattern_t *pattern = cairo_pattern_create_linear(0, y + h, 0, y);
        BgTick ticks[BG_TICKS_MAX];
        size_t n = bg_scale_ticks(scale, (size_t)fmax(h / 30, 2), ticks);

        cairo_save(cr);
        for (int i = 0; i <= 16; i++) {
                BgColor color = bg_color_sequence(i / 16.0);

                cairo_pattern_add_color_stop_rgb(pattern, i / 16.0, color.r, color.g, color.b);
        }
        cairo_rectangle(cr, x, y, w, h);
        cairo_set_source(cr, pattern);
        cairo_fill(cr);
        cairo_pattern_destroy(pattern);
        use(cr, bg_color_quiet);
        cairo_set_line_width(cr, .6);
        for (size_t i = 0; i < n; i++) {
                double at = y + h * (1 - bg_scale_share(scale, ticks[i].at));

                use(cr, bg_color_quiet);
                segment(cr, x + w, at, x + w + TICK_LENGTH, at);
                bg_draw_text(cr, x + w + TICK_LENGTH + 3, at + size * .36, &style, ticks[i].label);
        }
        style.color = bg_color_ink;
        bg_draw_text(cr, x, y - size, &style, label);
        cairo_restore(cr);
}

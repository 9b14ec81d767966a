/* SPDX-License-Identifier: MIT */
/*
 * The fan chart in characters. Lines are Braille patterns, two by four dots a character; intervals are coloured backgrounds of
 * half characters, or shades where there are no colours. A terminal without Unicode gets letters.
 */
#include <stdlib.h>
#include <string.h>

#include "client/command/plot.h"
#include "client/command/print.h"
#include "client/command/text.h"
#include "client/draw/chart.h"

#define DIM "\033[2m"
#define RESET "\033[0m"
#define MAGENTA "\033[1;35m"

enum { NOTHING, COUNTED, MEDIAN };

typedef struct Cell {
        unsigned char dots;     /* Braille: bit 0 .. 7 */
        unsigned char ink;      /* whose dots these are; the history goes above the forecast */
        unsigned char shade[2]; /* upper and lower half: 0, or 1 2 3 for the 90, 80, 50 % interval */
} Cell;

typedef struct Field {
        const BgPlot *plot;
        int width, height;
        BgScale x, y;
        Cell *cells;
} Field;

static Cell *cell(const Field *field, int column, int line)
{
        return &field->cells[line * field->width + column];
}

static double time_of(const Field *field, double share)
{
        return field->x.lo + share * (field->x.hi - field->x.lo);
}

/* ---- painting -----------------------------------------------------------------------------------------------------------------
 */

static void dot(const Field *field, int x, int y, int ink)
{
        static const unsigned char bits[4][2] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };
        Cell *c;

        if (x < 0 || x >= 2 * field->width || y < 0 || y >= 4 * field->height)
                return;
        c = cell(field, x / 2, y / 4);
        if (c->ink == COUNTED && ink == MEDIAN)
                return;
        if (c->ink != ink)
                c->dots = 0;
        c->dots |= bits[y % 4][x % 2];
        c->ink = (unsigned char)ink;
}

/** A curve, dot by dot; where it is steep its dots are joined upright. */
static void paint_line(const Field *field, int ink)
{
        int before = -1;

        for (int x = 0; x < 2 * field->width; x++) {
                double at = time_of(field, (x + .5) / (2 * field->width));
                double value =
                        ink == COUNTED ? bg_plot_counted(field->plot, at) : bg_plot_quantile(field->plot, BG_PLOT_MEDIAN, at);
                double share = bg_scale_share(&field->y, value);
                int y;

                if (!isfinite(share)) {
                        before = -1;
                        continue;
                }
                y = (int)fmin(fmax((1 - share) * 4 * field->height, 0), 4 * field->height - 1);
                if (before < 0)
                        before = y;
                for (int k = y < before ? y : before; k <= (y > before ? y : before); k++)
                        if (k == y || k != before)
                                dot(field, x, k, ink);
                before = y;
        }
}

static void paint_intervals(const Field *field)
{
        for (int column = 0; column < field->width; column++) {
                double at = time_of(field, (column + .5) / field->width), low[3], high[3];

                for (int i = 0; i < 3; i++) {
                        low[i] = bg_scale_share(&field->y, bg_plot_quantile(field->plot, i, at));
                        high[i] = bg_scale_share(&field->y, bg_plot_quantile(field->plot, BG_PLOT_LEVELS - 1 - i, at));
                }
                for (int half = 0; half < 2 * field->height; half++) {
                        double share = 1 - (half + .5) / (2 * field->height);

                        for (int i = 0; i < 3; i++)
                                if (share >= low[i] && share <= high[i])
                                        cell(field, column, half / 2)->shade[half % 2] = (unsigned char)(i + 1);
                }
        }
}

/* ---- printing -----------------------------------------------------------------------------------------------------------------
 */

/* Blues that rise in brightness towards the median, on which white is readable, on dark and light terminals alike. */
static const int backgrounds[4] = { 0, 24, 25, 26 };

static void print_braille(unsigned dots)
{
        putchar(0xe2);
        putchar(0xa0 | (int)(dots >> 6));
        putchar(0x80 | (int)(dots & 0x3f));
}

static void print_colored(const Cell *c, bool now)
{
        int upper = c->shade[0], lower = c->shade[1];

        if (c->dots) {
                int shade = upper > lower ? upper : lower;

                if (shade)
                        printf("\033[48;5;%dm", backgrounds[shade]);
                fputs(c->ink == MEDIAN ? shade ? "\033[1;38;5;231m" : "\033[1;38;5;26m" : "\033[1m", stdout);
                print_braille(c->dots);
                fputs(RESET, stdout);
        } else if (upper && lower && upper == lower) {
                printf("\033[48;5;%dm \033[0m", backgrounds[upper]);
        } else if (upper || lower) {
                if (upper && lower)
                        printf("\033[48;5;%d;38;5;%dm▄" RESET, backgrounds[upper], backgrounds[lower]);
                else
                        printf("\033[38;5;%dm%s" RESET, backgrounds[upper + lower], upper ? "▀" : "▄");
        } else {
                fputs(now ? DIM "┊" RESET : " ", stdout);
        }
}

static void print_plain(const Cell *c, bool now, bool unicode)
{
        static const char *const shades[2][4] = { { " ", ".", ":", "+" }, { " ", "░", "▒", "▓" } };
        int shade = c->shade[0] > c->shade[1] ? c->shade[0] : c->shade[1];

        if (c->dots && unicode)
                print_braille(c->dots);
        else if (c->dots)
                putchar(c->ink == COUNTED ? '*' : 'o');
        else if (!shade && now)
                fputs(unicode ? "┊" : "|", stdout);
        else
                fputs(shades[unicode][shade], stdout);
}

static int column_of(const Field *field, double at)
{
        double share = bg_scale_share(&field->x, at);

        return isfinite(share) && share >= 0 && share <= 1 ? (int)fmin(share * field->width, field->width - 1) : -1;
}

/** Labels of the y axis, one a line at most; "" where there is none. Return: columns of the longest. */
static int label_lines(const Field *field, char (*labels)[BG_TEXT_MAX])
{
        BgTick ticks[BG_TICKS_MAX];
        size_t n = bg_scale_ticks(&field->y, (size_t)(field->height / 4 > 2 ? field->height / 4 : 2), ticks);
        int longest = 1;

        for (int line = 0; line < field->height; line++)
                labels[line][0] = '\0';
        for (size_t i = 0; i < n; i++) {
                double share = bg_scale_share(&field->y, ticks[i].at);
                int line = (int)fmin((1 - share) * field->height, field->height - 1);

                if (!ticks[i].label[0] || !isfinite(share) || line < 0)
                        continue;
                bg_text_count(labels[line], ticks[i].at);
                longest = (int)strlen(labels[line]) > longest ? (int)strlen(labels[line]) : longest;
        }
        return longest;
}

static void print_dates(const Field *field, int margin, bool unicode)
{
        char line[512];
        BgTick ticks[BG_TICKS_MAX];
        size_t n = bg_scale_ticks(&field->x, (size_t)(field->width / 12 > 2 ? field->width / 12 : 2), ticks);
        int free_from = 0, width = field->width < 500 ? field->width : 500;

        printf("%*s %s", margin, "", unicode ? "└" : "+");
        for (int column = 0; column < field->width; column++) {
                bool tick = false;

                for (size_t i = 0; i < n; i++)
                        tick |= ticks[i].label[0] && column_of(field, ticks[i].at) == column;
                fputs(unicode ? tick ? "┴" : "─" : tick ? "+" : "-", stdout);
        }
        memset(line, ' ', sizeof(line));
        for (size_t i = 0; i < n; i++) {
                int len = (int)strlen(ticks[i].label), from = column_of(field, ticks[i].at) - len / 2;

                from = from < free_from ? free_from : from;
                if (!len || column_of(field, ticks[i].at) < 0 || from + len > width || from > column_of(field, ticks[i].at))
                        continue;
                memcpy(line + from, ticks[i].label, (size_t)len);
                free_from = from + len + 1;
        }
        printf("\n%*s  %.*s\n", margin, "", free_from, line);
}

static size_t n_shown(const BgPlot *plot)
{
        size_t n = 0;

        for (size_t i = 0; i < plot->n_surges; i++)
                n += bg_plot_shows(plot, &plot->surges[i]);
        return n;
}

static void print_surge_marks(const BgContext *context, const Field *field, int margin, bool unicode)
{
        const BgPlot *plot = field->plot;

        if (!n_shown(plot))
                return;
        printf("%*s  %s", margin, "", bg_print_color(context->color_out, MAGENTA));
        for (int column = 0; column < field->width; column++) {
                const char *mark = " ";

                for (size_t i = 0; i < plot->n_surges; i++) {
                        int from = column_of(field, plot->surges[i].onset), until = column_of(field, plot->surges[i].until);

                        if (from == column)
                                mark = unicode ? "▲" : "^";
                        else if (from >= 0 && column > from && column <= until && mark[0] == ' ')
                                mark = unicode ? "╌" : "~";
                }
                fputs(mark, stdout);
        }
        printf("%s\n", bg_print_color(context->color_out, RESET));
}

static void print_legend(const BgContext *context, const BgPlot *plot, int margin, bool unicode)
{
        printf("%*s  ", margin, "");
        if (context->color_out && unicode)
                printf("\033[1m⣀⡠⠤\033[0m counted   \033[48;5;26m\033[1;38;5;231m⠤⠤⠤\033[0m median   \033[48;5;26m   \033[0m 50 "
                       "%%   \033[48;5;25m   \033[0m "
                       "80 %%   \033[48;5;24m   \033[0m 90 %%");
        else if (unicode)
                printf("⣀⡠⠤ counted, then median   ▓ 50 %%   ▒ 80 %%   ░ 90 %%");
        else
                printf("* counted   o median   + 50 %%   : 80 %%   . 90 %%");
        if (n_shown(plot))
                printf("   %s%s%s incident", bg_print_color(context->color_out, MAGENTA), unicode ? "▲" : "^",
                       bg_print_color(context->color_out, RESET));
        putchar('\n');
}

static void print_summary(const BgContext *context, const BgPlot *plot, int margin)
{
        size_t last = plot->n_forecast - 1;
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX], d[BG_TEXT_MAX];

        printf("\n%*s  %s on %s", margin, "", bg_text_count(a, plot->count), bg_text_day(d, (int64_t)plot->as_of));
        if (plot->n_forecast > 1) {
                printf("; %s in %s", bg_text_count(a, plot->q[BG_PLOT_MEDIAN][last]), bg_text_duration(d, plot->days * 86400));
                printf(", with 80 %% between %s and %s", bg_text_count(b, plot->q[1][last]), bg_text_count(c, plot->q[5][last]));
        }
        putchar('\n');
        if (isfinite(plot->c80) && plot->n_outcomes > 0)
                printf("%*s  such intervals held %.0f %% of %s times%s\n", margin, "", 100 * plot->c80,
                       bg_text_count(a, (double)plot->n_outcomes), plot->miscalibrated ? ": badly calibrated" : "");
        for (size_t i = 0; i < plot->n_surges; i++) {
                const BgPlotSurge *surge = &plot->surges[i];

                if (!bg_plot_shows(plot, surge))
                        continue;
                printf("%*s  %s%s%s %s  %s %s, %.1fx: %s where %.*f were expected\n", margin, "",
                       bg_print_color(context->color_out, MAGENTA), bg_text_unicode() ? "▲" : "^",
                       bg_print_color(context->color_out, RESET), bg_text_day(d, (int64_t)surge->onset),
                       bg_proto_surge_kind_name(surge->kind), surge->open ? "open" : bg_proto_surge_state_name(surge->state),
                       surge->magnitude, bg_text_count(a, (double)surge->observed), surge->expected < 10 ? 1 : 0,
                       surge->expected);
        }
}

void bg_plot_terminal(const BgContext *context, const BgPlot *plot, int width, int height)
{
        bool unicode = bg_text_unicode();
        double from = plot->n_history ? plot->at[0] : plot->as_of,
               until = plot->n_forecast ? plot->ahead[plot->n_forecast - 1] : plot->as_of + 1;
        char(*labels)[BG_TEXT_MAX] = calloc((size_t)height, sizeof(*labels));
        Field field = { .plot = plot, .height = height, .x = bg_scale_fit(BG_SCALE_TIME, from, until) };
        double low, high;
        int margin, now;

        bg_plot_range(plot, &low, &high);
        field.y = bg_scale_fit(plot->log_scale ? BG_SCALE_LOG1P : BG_SCALE_LINEAR, low, high);
        margin = labels ? label_lines(&field, labels) : 0;
        field.width = width - margin - 3 > 20 ? width - margin - 3 : 20;
        field.cells = calloc((size_t)field.width * (size_t)height, sizeof(*field.cells));
        if (!labels || !field.cells) {
                bg_error(context, "out of memory");
                free(labels);
                free(field.cells);
                return;
        }
        paint_intervals(&field);
        paint_line(&field, MEDIAN);
        paint_line(&field, COUNTED);
        now = column_of(&field, plot->as_of);
        printf("%s%s%s  %s  %s%s%s\n", bg_print_color(context->color_out, "\033[1m"), plot->model,
               bg_print_color(context->color_out, RESET), bg_plot_children(plot->relation),
               bg_print_status_color(context->color_out, plot->status), bg_proto_status_name(plot->status),
               bg_print_color(context->color_out, RESET));
        for (int line = 0; line < height; line++) {
                printf("%*s %s", margin, labels[line], unicode ? labels[line][0] ? "┤" : "│" : "|");
                for (int column = 0; column < field.width; column++) {
                        if (context->color_out && unicode)
                                print_colored(cell(&field, column, line), column == now);
                        else
                                print_plain(cell(&field, column, line), column == now, unicode);
                }
                putchar('\n');
        }
        print_dates(&field, margin, unicode);
        print_surge_marks(context, &field, margin, unicode);
        print_legend(context, plot, margin, unicode);
        print_summary(context, plot, margin);
        free(labels);
        free(field.cells);
}

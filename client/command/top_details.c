/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "client/command/text.h"
#include "client/command/top.h"

#include <curses.h> /* after the wire: its macro OK is also a word of ours */

#define MARGIN 2

static void put_label(int y, const char *label, const char *text)
{
        bg_top_look(BG_TOP_DIM, false);
        bg_top_put(y, MARGIN, 11, label);
        bg_top_look(BG_TOP_PLAIN, false);
        bg_top_put(y, MARGIN + 11, COLS - MARGIN - 12, text);
}

static int draw_facts(const BgTop *top, int y)
{
        const BgListing *item = &top->details_listing;
        char line[300], a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX];

        snprintf(line, sizeof(line), "%s; +%s in 7 days, +%s in 30 days", bg_text_count(a, (double)item->count),
                 bg_text_count(b, (double)item->new_7d), bg_text_count(c, (double)item->new_30d));
        put_label(y++, "counted", line);
        snprintf(line, sizeof(line), "%s (%s), latest child %s", bg_text_day(a, item->released_at),
                 bg_proto_release_basis_name(item->release_basis), bg_text_day(b, item->last_at));
        put_label(y++, "released", line);
        return y;
}

static int draw_parameters(const BgTop *top, int y)
{
        const BgForecast *forecast = &top->details_forecast;
        const BgParameters *p = forecast->parameters;
        char line[300], a[BG_TEXT_MAX];

        snprintf(line, sizeof(line), "%s", bg_text_rate(a, forecast->rate));
        put_label(y++, "now", line);
        if (!p)
                return y;
        snprintf(line, sizeof(line), "lambda %.3g (x/ %.2f): about %s in the end", p->lambda, exp(fmin(p->lambda_sd, 20)),
                 bg_text_count(a, forecast->ultimate));
        put_label(y++, "fitness", line);
        snprintf(line, sizeof(line), "mu %.2f +- %.2f: half of its log-growth is over %s after the release", p->mu, p->mu_sd,
                 bg_text_duration(a, exp(fmin(p->mu, 20)) * 86400));
        put_label(y++, "immediacy", line);
        snprintf(line, sizeof(line), "sigma %.2f (x/ %.2f)", p->sigma, exp(fmin(p->sigma_sd, 20)));
        put_label(y++, "longevity", line);
        return y;
}

/* New children by time: columns of eighths, `rows` high. */
static void draw_chart(const BgTop *top, int y, int rows, int width)
{
        static const char *const eighths[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
        static const char *const ascii[] = { " ", " ", ".", ".", ":", ":", "|", "|", "|" };
        const char *const *marks = bg_text_unicode() ? eighths : ascii;
        int64_t bars[400] = { 0 }, most = 1;
        size_t n = top->n_columns < (size_t)width ? top->n_columns : (size_t)width;
        char from[BG_TEXT_MAX], to[BG_TEXT_MAX], peak[BG_TEXT_MAX], each[BG_TEXT_MAX], line[200];

        if (!n || rows < 2)
                return;
        for (size_t i = 0; i < top->n_columns; i++)
                bars[i * n / top->n_columns] += top->columns[i];
        for (size_t i = 0; i < n; i++)
                most = bars[i] > most ? bars[i] : most;
        bg_top_look(BG_TOP_CYAN, false);
        for (int row = 0; row < rows; row++) {
                move(y + row, MARGIN);
                for (size_t i = 0; i < n; i++) {
                        double level = (double)bars[i] / (double)most * rows * 8 - (double)(rows - 1 - row) * 8;
                        int eighth = level >= 8 ? 8 : level <= 0 ? 0 : (int)ceil(level);

                        addstr(marks[eighth]);
                }
        }
        bg_text_duration(each, (double)(top->columns_to - top->columns_from) / 1e6 / (double)n);
        snprintf(line, sizeof(line), "%s .. %s, new children per %s, at most %s", bg_text_day(from, top->columns_from),
                 bg_text_day(to, top->columns_to), each, bg_text_count(peak, (double)most));
        bg_top_look(BG_TOP_DIM, false);
        bg_top_put(y + rows, MARGIN, COLS - MARGIN, line);
}

static int draw_horizons(const BgTop *top, int y)
{
        char cell[BG_TEXT_MAX], line[80];

        bg_top_look(BG_TOP_DIM, false);
        snprintf(line, sizeof(line), "%8s %9s %9s %9s %9s %9s", "in", "5 %", "25 %", "median", "75 %", "95 %");
        bg_top_put(y++, MARGIN, COLS - MARGIN, line);
        for (size_t i = 0; i < top->details_forecast.horizons.n && y < LINES - 1; i++, y++) {
                const BgHorizon *h = &top->details_horizons[i];
                const double values[] = { h->q05, h->q25, h->q50, h->q75, h->q95 };

                bg_top_look(BG_TOP_PLAIN, false);
                snprintf(line, sizeof(line), "%6g d", h->days);
                bg_top_put(y, MARGIN, 8, line);
                for (int k = 0; k < 5; k++) {
                        bg_top_look(k == 2 ? BG_TOP_BOLD : BG_TOP_PLAIN, false);
                        snprintf(line, sizeof(line), "%9s", bg_text_short(cell, values[k]));
                        bg_top_put(y, MARGIN + 9 + 10 * k, 9, line);
                }
        }
        return y;
}

void bg_top_draw_details(const BgTop *top)
{
        int status = top->details_listing.surging ? BG_STATUS_SURGING : top->details_listing.status, y = 2, n_horizons, chart;

        bg_top_look(BG_TOP_PLAIN, false);
        erase();
        bg_top_look(BG_TOP_BAR, false);
        bg_top_put(0, 0, COLS, "");
        attron(A_BOLD);
        bg_top_put(0, 1, COLS - 2, top->details);
        attroff(A_BOLD);
        if (top->have_listing) {
                int n = (int)strlen(bg_proto_status_name(status)) + 2;

                bg_top_put(0, COLS - n - 1, 1, bg_top_status_glyph(status));
                bg_top_put(0, COLS - n + 1, n - 2, bg_proto_status_name(status));
                y = draw_facts(top, y);
        }
        if (top->have_forecast)
                y = draw_parameters(top, y);
        n_horizons = top->have_forecast ? (int)top->details_forecast.horizons.n + 2 : 0;
        chart = LINES - y - n_horizons - 4;
        if (chart > 14)
                chart = 14;
        if (chart >= 2) {
                draw_chart(top, y + 1, chart, COLS - 2 * MARGIN);
                y += chart + 3;
        } else {
                y++;
        }
        if (top->have_forecast)
                draw_horizons(top, y);
        bg_top_look(top->problem[0] ? BG_TOP_RED : BG_TOP_BAR, top->problem[0] != '\0');
        bg_top_put(LINES - 1, 0, COLS, top->problem[0] ? top->problem : " Esc, Enter back   q quit");
        refresh();
}

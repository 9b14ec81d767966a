/* SPDX-License-Identifier: MIT */
/*
 * The leaderboard. A narrow screen first loses the words of the status (a coloured mark stays), then the sparkline, the week,
 * the interval: rank, name and count are the last to go.
 */
#include <math.h>
#include <string.h>
#include <wchar.h>

#include "client/command/text.h"
#include "client/command/top.h"

#include <curses.h> /* after the wire: its macro OK is also a word of ours */

#define SURGE_ROWS 5
#define NAME_MIN 14
#define NAME_MAX_WIDTH 40
#define SPARK_MAX 52

static bool colors;

void bg_top_look(BgTopLook look, bool selected)
{
        static const int extra[BG_TOP_LOOK_N] = { [BG_TOP_BOLD] = A_BOLD, [BG_TOP_DIM] = A_DIM, [BG_TOP_MAGENTA] = A_BOLD };
        attr_t attributes = (attr_t)extra[look];

        if (look == BG_TOP_BAR && !colors)
                attributes |= A_REVERSE;
        if (selected)
                attributes = (attributes & ~A_DIM) | A_REVERSE;
        attr_set(attributes, colors ? (short)look : 0, NULL);
}

void bg_top_screen_begin(const BgTop *top)
{
        initscr();
        cbreak();
        noecho();
        keypad(stdscr, TRUE);
        set_escdelay(25);
        timeout(50);
        curs_set(0);
        colors = !top->context->no_color && top->context->color_out && has_colors();
        if (!colors)
                return;
        start_color();
        use_default_colors();
        init_pair(BG_TOP_DIM, -1, -1);
        init_pair(BG_TOP_BOLD, -1, -1);
        init_pair(BG_TOP_BAR, COLOR_WHITE, COLOR_BLUE);
        init_pair(BG_TOP_GREEN, COLOR_GREEN, -1);
        init_pair(BG_TOP_YELLOW, COLOR_YELLOW, -1);
        init_pair(BG_TOP_CYAN, COLOR_CYAN, -1);
        init_pair(BG_TOP_MAGENTA, COLOR_MAGENTA, -1);
        init_pair(BG_TOP_RED, COLOR_RED, -1);
        init_pair(BG_TOP_BLUE, COLOR_BLUE, -1);
}

void bg_top_screen_end(void)
{
        endwin();
}

BgTopLook bg_top_status_look(int status)
{
        static const BgTopLook looks[BG_STATUS_N] = { [BG_STATUS_NO_DATA] = BG_TOP_DIM,      [BG_STATUS_WARMING] = BG_TOP_CYAN,
                                                      [BG_STATUS_WEAK] = BG_TOP_YELLOW,      [BG_STATUS_OK] = BG_TOP_GREEN,
                                                      [BG_STATUS_SURGING] = BG_TOP_MAGENTA, [BG_STATUS_STALE_INPUT] = BG_TOP_RED };

        return status >= 0 && status < BG_STATUS_N ? looks[status] : BG_TOP_PLAIN;
}

const char *bg_top_status_glyph(int status)
{
        static const char *const glyphs[] = { "·", "○", "◐", "●", "▲", "✕", "?" };
        static const char *const ascii[] = { ".", "o", "~", "*", "^", "x", "?" };

        if (status < 0 || status >= BG_STATUS_N)
                status = BG_STATUS_N;
        return bg_text_unicode() ? glyphs[status] : ascii[status];
}

void bg_top_put(int y, int x, int width, const char *text)
{
        mbstate_t state = { 0 };
        size_t left = strlen(text), n;
        int column = 0;
        wchar_t c;

        if (width <= 0 || x >= COLS || y >= LINES || y < 0)
                return;
        if (width > COLS - x)
                width = COLS - x;
        move(y, x);
        while (left && column < width) {
                int w;

                n = mbrtowc(&c, text, left, &state);
                if (n == 0 || n == (size_t)-1 || n == (size_t)-2)
                        break;
                w = wcwidth(c);
                if (w < 0 || column + w > width)
                        break;
                addnstr(text, (int)n);
                text += n;
                left -= n;
                column += w;
        }
        for (; column < width; column++)
                addch(' ');
}

/* ---- columns ------------------------------------------------------------------------------------------------------------------ */

typedef struct Layout {
        int name, count, week, month, median, interval, status, spark; /* widths; 0 = not shown */
} Layout;

static Layout layout_for(int width)
{
        Layout layout = { .name = NAME_MIN, .count = 9 };
        int left = width - 5 - NAME_MIN - 10 - 2; /* rank, name, count, mark */
        int grow;

        if (left >= 8) {
                layout.median = 7;
                left -= 8;
        }
        if (left >= 7) {
                layout.month = 6;
                left -= 7;
        }
        if (left >= 14) {
                layout.interval = 13;
                left -= 14;
        }
        if (left >= 27) { /* with names that can be told apart */
                layout.week = 6;
                left -= 7;
        }
        if (left >= 30) {
                layout.status = 11;
                left -= 12;
        }
        grow = layout.status ? left / 2 : left > 9 ? left - 9 : 0;
        grow = grow > NAME_MAX_WIDTH - NAME_MIN ? NAME_MAX_WIDTH - NAME_MIN : grow;
        layout.name += grow;
        left -= grow;
        if (left >= 6)
                layout.spark = left - 1 > SPARK_MAX ? SPARK_MAX : left - 1;
        return layout;
}

static void put_right(int y, int x, int width, const char *text)
{
        int n = (int)strlen(text);

        bg_top_put(y, x, width, "");
        if (n <= width)
                bg_top_put(y, x + width - n, n, text);
        else
                bg_top_put(y, x, width, text);
}

static void draw_header(const BgTop *top, int y, const Layout *layout)
{
        int x = 0;

        bg_top_look(BG_TOP_DIM, false);
        bg_top_put(y, 0, COLS, "");
        put_right(y, x, 4, "#");
        bg_top_look(top->sort == BG_SORT_NAME || top->sort == BG_SORT_RELEASED ? BG_TOP_BOLD : BG_TOP_DIM, false);
        bg_top_put(y, x + 5, layout->name, top->sort == BG_SORT_RELEASED ? "model (newest first)" : "model");
        x = 5 + layout->name + 1;
        bg_top_look(top->sort == BG_SORT_COUNT ? BG_TOP_BOLD : BG_TOP_DIM, false);
        put_right(y, x, layout->count, "count");
        x += layout->count + 1;
        bg_top_look(BG_TOP_DIM, false);
        if (layout->week) {
                put_right(y, x, layout->week, "+7 d");
                x += layout->week + 1;
        }
        if (layout->month) {
                bg_top_look(top->sort == BG_SORT_GROWTH ? BG_TOP_BOLD : BG_TOP_DIM, false);
                put_right(y, x, layout->month, "+30 d");
                x += layout->month + 1;
        }
        if (layout->median) {
                bg_top_look(top->sort == BG_SORT_FORECAST ? BG_TOP_BOLD : BG_TOP_DIM, false);
                put_right(y, x, layout->median, "in 90 d");
                x += layout->median + 1;
        }
        bg_top_look(BG_TOP_DIM, false);
        if (layout->interval) {
                bg_top_put(y, x, layout->interval, "  10 - 90 %");
                x += layout->interval + 1;
        }
        x += 2;
        if (layout->status) {
                bg_top_put(y, x, layout->status, "status");
                x += layout->status + 1;
        }
        if (layout->spark)
                put_right(y, x, layout->spark, layout->spark >= 18 ? "new children by week" : "by week");
}

static void format_interval(char text[32], const BgListing *item)
{
        char low[BG_TEXT_MAX], high[BG_TEXT_MAX];

        if (isfinite(item->q10) && isfinite(item->q90))
                snprintf(text, 32, "%5s - %-5s", bg_text_short(low, item->q10), bg_text_short(high, item->q90));
        else
                snprintf(text, 32, "%5s", "-");
}

static void draw_row(const BgTop *top, int y, const Layout *layout, const BgListing *item, int64_t rank)
{
        bool selected = rank - 1 == top->selected;
        int status = item->surging ? BG_STATUS_SURGING : item->status, x = 0;
        int64_t rise = bg_top_rise(top, item->model, item->count);
        char text[BG_NAME_MAX + 32], number[BG_TEXT_MAX], interval[32];
        char spark[BG_TEXT_SPARK_BYTES(SPARK_MAX)];

        bg_top_look(BG_TOP_PLAIN, selected);
        bg_top_put(y, 0, COLS, "");
        snprintf(text, sizeof(text), "%lld", (long long)rank);
        bg_top_look(BG_TOP_DIM, selected);
        put_right(y, x, 4, text);
        bg_text_name(text, sizeof(text), item->model, (size_t)layout->name);
        bg_top_look(item->surging ? BG_TOP_MAGENTA : BG_TOP_PLAIN, selected);
        bg_top_put(y, 5, layout->name, text);
        x = 5 + layout->name + 1;
        bg_top_look(rise > 0 ? BG_TOP_GREEN : BG_TOP_BOLD, selected);
        put_right(y, x, layout->count, bg_text_count(number, (double)item->count));
        x += layout->count + 1;
        bg_top_look(item->new_7d ? BG_TOP_PLAIN : BG_TOP_DIM, selected);
        if (layout->week) {
                put_right(y, x, layout->week, bg_text_short(number, (double)item->new_7d));
                x += layout->week + 1;
        }
        bg_top_look(item->new_30d ? BG_TOP_PLAIN : BG_TOP_DIM, selected);
        if (layout->month) {
                put_right(y, x, layout->month, bg_text_short(number, (double)item->new_30d));
                x += layout->month + 1;
        }
        if (layout->median) {
                bg_top_look(BG_TOP_BOLD, selected);
                put_right(y, x, layout->median, bg_text_short(number, item->q50));
                x += layout->median + 1;
        }
        if (layout->interval) {
                format_interval(interval, item);
                bg_top_look(BG_TOP_DIM, selected);
                bg_top_put(y, x, layout->interval, interval);
                x += layout->interval + 1;
        }
        bg_top_look(bg_top_status_look(status), selected);
        bg_top_put(y, x, 1, bg_top_status_glyph(status));
        x += 2;
        if (layout->status) {
                bg_top_put(y, x, layout->status, bg_proto_status_name(status));
                x += layout->status + 1;
        }
        if (layout->spark) {
                bg_text_spark(spark, item->spark.items, item->spark.n, (size_t)layout->spark);
                bg_top_look(item->surging ? BG_TOP_MAGENTA : BG_TOP_CYAN, selected);
                bg_top_put(y, x, layout->spark, spark);
        }
}

/* ---- the rest of the screen ---------------------------------------------------------------------------------------------------- */

/* Of the screen's height alone, so that rows do not jump when the first surge comes. */
static int surge_rows(void)
{
        return LINES >= 34 ? SURGE_ROWS + 3 : LINES >= 20 ? SURGE_ROWS : LINES >= 14 ? 3 : 0;
}

int bg_top_rows(void)
{
        int pane = surge_rows(), rows = LINES - 3 - (pane ? pane + 1 : 0);

        return rows < 1 ? 1 : rows > BG_TOP_ROWS_MAX ? BG_TOP_ROWS_MAX : rows;
}

static void draw_title(const BgTop *top)
{
        char left[300], right[120], a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX];
        bool well = top->heard && !top->stale && !strcmp(top->health, "ok");
        int n_right;

        if (top->stale)
                snprintf(left, sizeof(left), "no heartbeat: the daemon is silent");
        else if (!top->heard)
                snprintf(left, sizeof(left), "listening ..");
        else
                snprintf(left, sizeof(left), "%s   %s models   %s children   %s/s", well ? "ok" : top->health,
                         bg_text_count(a, (double)top->models), bg_text_count(b, (double)top->events), bg_text_short(c, top->rate));
        if (top->dirty > 0 && COLS >= 100) {
                size_t n = strlen(left);

                snprintf(left + n, sizeof(left) - n, "   %s to refit", bg_text_count(a, (double)top->dirty));
        }
        snprintf(right, sizeof(right), "%s%sby %s ", top->watermark ? bg_text_day(a, top->watermark) : "", top->watermark ? "   " : "",
                 bg_proto_sort_name(top->sort));
        n_right = COLS >= 60 ? (int)strlen(right) : 0;
        bg_top_look(top->stale ? BG_TOP_RED : BG_TOP_BAR, top->stale);
        bg_top_put(0, 0, COLS, "");
        attron(A_BOLD);
        bg_top_put(0, 0, 10, " burgeon");
        attroff(A_BOLD);
        bg_top_put(0, 10, COLS - 10 - n_right > 0 ? COLS - 10 - n_right : 0, left);
        bg_top_put(0, COLS - n_right, n_right, right);
}

static void draw_surge(const BgTopSurge *surge, int y)
{
        bool closed = surge->state == BG_SURGE_CLOSED, burst = surge->kind == BG_SURGE_KIND_BURST;
        int x = 13, detail = COLS >= 116 ? 50 : 20, name = COLS - x - 2 - 14 - 7 - detail;
        char text[BG_NAME_MAX + 32], number[BG_TEXT_MAX];

        bg_top_look(BG_TOP_DIM, false);
        bg_top_put(y, 1, 10, bg_text_day(number, surge->at));
        bg_top_look(closed ? BG_TOP_DIM : burst ? BG_TOP_YELLOW : BG_TOP_MAGENTA, false);
        bg_top_put(y, x, 1, bg_text_unicode() ? closed ? "▽" : "▲" : closed ? "v" : "^");
        snprintf(text, sizeof(text), "%s %s", bg_proto_surge_kind_name(surge->kind), bg_proto_surge_state_name(surge->state));
        bg_top_put(y, x + 2, 13, text);
        x += 16;
        snprintf(text, sizeof(text), surge->magnitude < 99.95 ? "%.1fx" : "%.0fx", surge->magnitude);
        put_right(y, x, 6, text);
        x += 8;
        name = name > NAME_MAX_WIDTH ? NAME_MAX_WIDTH : name < NAME_MIN ? NAME_MIN : name;
        bg_text_name(text, sizeof(text), (BgStr){ surge->model, strlen(surge->model) }, (size_t)name);
        bg_top_look(closed ? BG_TOP_DIM : BG_TOP_PLAIN, false);
        bg_top_put(y, x, name, text);
        x += name + 1;
        bg_top_look(BG_TOP_DIM, false);
        snprintf(text, sizeof(text), "%.*s", (int)(COLS < 116 ? strcspn(surge->detail, ";") : strlen(surge->detail)), surge->detail);
        bg_top_put(y, x, COLS - x, text);
}

static void draw_surges(const BgTop *top, int y, int rows)
{
        char line[64];

        bg_top_look(BG_TOP_DIM, false);
        move(y, 0);
        for (int i = 0; i < COLS; i++)
                addstr(bg_text_unicode() ? "─" : "-");
        bg_top_look(BG_TOP_MAGENTA, false);
        snprintf(line, sizeof(line), " surges%s ", top->n_surges ? "" : ": none so far");
        bg_top_put(y, 2, (int)strlen(line), line);
        for (size_t i = 0; i < (size_t)rows && i < top->n_surges; i++)
                draw_surge(&top->surges[i], y + 1 + (int)i);
}

static void draw_keys(const BgTop *top, int y)
{
        char line[BG_NAME_MAX + 200];

        bg_top_look(BG_TOP_BAR, false);
        if (top->editing)
                snprintf(line, sizeof(line), " models that begin with: %s_   (Enter, Esc)", top->edit);
        else if (top->problem[0])
                snprintf(line, sizeof(line), " %s", top->problem);
        else if (COLS >= 76)
                snprintf(line, sizeof(line), " q quit   %s PgUp PgDn move   Enter details   s sort   / filter   r reload%s%s",
                         bg_text_unicode() ? "↑↓" : "arrows", top->filter[0] ? "   filter: " : "", top->filter);
        else
                snprintf(line, sizeof(line), " q quit  Enter details  s sort  / filter");
        if (top->problem[0] && !top->editing)
                bg_top_look(BG_TOP_RED, true);
        bg_top_put(y, 0, COLS, line);
}

void bg_top_draw(BgTop *top)
{
        int rows = bg_top_rows(), pane = surge_rows();
        Layout layout = layout_for(COLS);

        bg_top_look(BG_TOP_PLAIN, false);
        erase();
        draw_title(top);
        draw_header(top, 1, &layout);
        for (int i = 0; top->list && i < rows && (size_t)i < top->list->series.n; i++)
                draw_row(top, 2 + i, &layout, &top->list->series.items[i], top->offset + i + 1);
        if (top->list && !top->list->series.n) {
                bg_top_look(BG_TOP_DIM, false);
                bg_top_put(3, 5, COLS - 5, top->filter[0] ? "no model begins so" : "no models yet: burgeon send FILE counts events");
        }
        if (pane)
                draw_surges(top, 2 + rows, pane);
        draw_keys(top, LINES - 1);
        refresh();
}

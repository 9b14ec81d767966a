/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/command/print.h"
#include "client/command/text.h"
#include "client/command/top.h"

#include <curses.h> /* after the wire: its macro OK is also a word of ours */

#define ASK_TIMEOUT_MS 1500
#define KEY_ESCAPE 27

static int64_t n_total(const BgTop *top)
{
        return top->list ? top->list->total > 0 ? top->list->total : (int64_t)top->list->series.n : 0;
}

/* Keep the selection inside the list, and inside the window. */
static void follow(BgTop *top)
{
        int64_t last = n_total(top) - 1;

        if (top->selected > last)
                top->selected = last;
        if (top->selected < 0)
                top->selected = 0;
        if (top->selected < top->offset)
                top->offset = top->selected;
        if (top->selected >= top->offset + top->n_rows)
                top->offset = top->selected - top->n_rows + 1;
        if (top->list && top->offset + top->n_rows > last + 1)
                top->offset = last + 1 > top->n_rows ? last + 1 - top->n_rows : 0;
}

static void open_details(BgTop *top)
{
        int64_t row = top->selected - top->offset;

        if (!top->list || row < 0 || row >= (int64_t)top->list->series.n)
                return;
        snprintf(top->details, sizeof(top->details), "%.*s", (int)top->list->series.items[row].model.len,
                 top->list->series.items[row].model.data);
        top->have_listing = top->have_forecast = false;
        top->n_columns = 0;
}

static void edit_filter(BgTop *top, int key)
{
        size_t n = strlen(top->edit);

        if (key == '\n' || key == KEY_ENTER || key == '\r') {
                memcpy(top->filter, top->edit, sizeof(top->filter));
                top->editing = false;
                top->offset = top->selected = 0;
        } else if (key == KEY_ESCAPE) {
                top->editing = false;
        } else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
                if (n)
                        top->edit[n - 1] = '\0';
        } else if (key > 0x20 && key < 0x7f && n < BG_NAME_MAX) {
                top->edit[n] = (char)key;
                top->edit[n + 1] = '\0';
        }
}

/* True: the list must be asked for again. False with *quitp: the end. */
static bool press(BgTop *top, int key, bool *quitp)
{
        int64_t offset = top->offset;

        if (top->editing) {
                edit_filter(top, key);
                return !top->editing;
        }
        if (key == 'q' || key == 'Q') {
                *quitp = true;
                return false;
        }
        if (top->details[0]) {
                if (key == KEY_ESCAPE || key == '\n' || key == KEY_ENTER || key == KEY_LEFT)
                        top->details[0] = '\0';
                return true;
        }
        switch (key) {
        case KEY_UP:
        case 'k':
                top->selected--;
                break;
        case KEY_DOWN:
        case 'j':
                top->selected++;
                break;
        case KEY_PPAGE:
                top->selected -= top->n_rows;
                break;
        case KEY_NPAGE:
        case ' ':
                top->selected += top->n_rows;
                break;
        case KEY_HOME:
        case 'g':
                top->selected = 0;
                break;
        case KEY_END:
        case 'G':
                top->selected = n_total(top) - 1;
                break;
        case '\n':
        case KEY_ENTER:
        case KEY_RIGHT:
                open_details(top);
                return true;
        case 's':
                top->sort = (top->sort + 1) % BG_SORT_N;
                top->offset = top->selected = 0;
                return true;
        case '/':
                top->editing = true;
                memcpy(top->edit, top->filter, sizeof(top->edit));
                return false;
        case 'r':
        case KEY_RESIZE:
                return true;
        case KEY_ESCAPE:
                top->filter[0] = '\0';
                top->offset = top->selected = 0;
                return true;
        default:
                return false;
        }
        follow(top);
        return top->offset != offset;
}

static void update(BgTop *top)
{
        top->n_rows = bg_top_rows();
        follow(top);
        if (top->details[0])
                bg_top_refresh_details(top);
        else if (bg_top_refresh(top) && top->offset && !top->list->series.n) {
                top->offset = top->selected = 0; /* the list has become shorter than where we were */
                bg_top_refresh(top);
        }
}

static int run_screen(BgTop *top, double end_s)
{
        double begun = bg_seconds(), next = 0;
        bool quit = false;
        int key;

        bg_top_screen_begin(top);
        while (!quit && !bg_interrupted() && (end_s <= 0 || bg_seconds() - begun < end_s)) {
                bg_top_listen(top);
                if (bg_seconds() >= next) {
                        update(top);
                        next = bg_seconds() + top->interval_s;
                }
                if (top->details[0])
                        bg_top_draw_details(top);
                else
                        bg_top_draw(top);
                while ((key = getch()) != ERR) {
                        if (press(top, key, &quit))
                                next = 0;
                        if (quit || next == 0)
                                break;
                }
        }
        bg_top_screen_end();
        return EX_OK;
}

static int print_once(BgTop *top, bool first)
{
        const BgContext *context = top->context;
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX];
        int r = 0;

        if (!bg_top_refresh(top)) {
                bg_error(context, "%s", top->problem[0] ? top->problem : "interrupted");
                return bg_interrupted() ? BG_EXIT_INTERRUPTED : EX_UNAVAILABLE;
        }
        if (context->json) {
                for (size_t i = 0; !r && i < top->list->series.n; i++)
                        r = bg_print_json(&bg_proto_listing, &top->list->series.items[i]);
                return r ? EX_OSERR : BG_OPTIONS_RUN;
        }
        if (!first)
                putchar('\n');
        if (top->heard)
                printf("%s models, %s children, complete up to %s\n", bg_text_count(a, (double)top->models),
                       bg_text_count(b, (double)top->events), bg_text_minute(c, top->watermark));
        bg_print_table(context, top->list->series.items, top->list->series.n, 1, bg_print_width());
        for (size_t i = 0; i < top->n_surges && i < 5; i++)
                printf("  %s  %s\n", bg_text_day(a, top->surges[i].at), top->surges[i].text);
        fflush(stdout);
        return BG_OPTIONS_RUN;
}

static int run_plain(BgTop *top, int64_t count, double end_s)
{
        double begun = bg_seconds(), next = begun, now;
        int r = BG_OPTIONS_RUN;

        for (int64_t i = 0; i < count && r == BG_OPTIONS_RUN && !bg_interrupted(); i++) {
                while (i && (now = bg_seconds()) < next && !bg_interrupted()) {
                        struct timespec pause = { .tv_nsec = 50000000 };

                        bg_top_listen(top);
                        nanosleep(&pause, NULL);
                }
                if (end_s > 0 && bg_seconds() - begun >= end_s)
                        break;
                bg_top_listen(top);
                r = print_once(top, i == 0);
                next += top->interval_s;
        }
        return r == BG_OPTIONS_RUN ? EX_OK : r;
}

static int open_doors(BgTop *top)
{
        const BgContext *context = top->context;
        const char *topic = "surge/";
        const BgQuerierSpec spec = { .endpoint = context->query, .timeout_ms = ASK_TIMEOUT_MS, .n_tries = 1 };
        int r = bg_querier_new(&top->querier, &spec);

        if (!r)
                r = bg_querier_new(&top->spare, &spec);
        if (!r)
                r = bg_querier_new(&top->details_querier, &spec);
        if (!r)
                r = bg_subscriber_new(&top->subscriber,
                                      &(BgSubscriberSpec){ .endpoint = context->updates, .topics = &topic, .n_topics = 1 });
        if (!r)
                return BG_OPTIONS_RUN;
        bg_error(context, "%s, %s: %s", context->query, context->updates, strerror(-r));
        return r == -EINVAL ? EX_USAGE : EX_OSERR;
}

static int run(BgTop *top, bool plain, int64_t rows, int64_t count, double end_s)
{
        int r = open_doors(top);

        if (r == BG_OPTIONS_RUN) {
                plain = plain || top->context->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || !getenv("TERM");
                top->n_rows = (int)rows;
                r = plain ? run_plain(top, count, end_s) : run_screen(top, end_s);
        }
        bg_subscriber_free(top->subscriber);
        bg_querier_free(top->querier);
        bg_querier_free(top->spare);
        bg_querier_free(top->details_querier);
        return r;
}

int bg_command_top(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        const char *sort = "count", *filter = "", *relation = "finetune";
        double interval_s = 1, end_s = 0;
        int64_t count = 1, rows = 20;
        bool plain = false;
        const BgOption options[] = {
                { "interval", 'i', BG_OPTION_NUMBER, "S", &interval_s, 0.1, 3600, "seconds between refreshes" },
                { "sort", 's', BG_OPTION_TEXT, "KEY", &sort, 0, 0, "count, growth, forecast, name or released" },
                { "filter", 'f', BG_OPTION_TEXT, "TEXT", &filter, 0, 0, "only models that begin so" },
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &relation, 0, 0, "finetune, adapter, quantized, merge or download" },
                { "for", 0, BG_OPTION_NUMBER, "S", &end_s, 0.1, 1e6, "end after S seconds" },
                { "plain", 'p', BG_OPTION_FLAG, NULL, &plain, 0, 0, "a table instead of a screen" },
                { "count", 'n', BG_OPTION_INTEGER, "N", &count, 1, 1e9, "plain: so many tables, one an interval" },
                { "rows", 0, BG_OPTION_INTEGER, "N", &rows, 1, BG_TOP_ROWS_MAX, "plain: rows of a table" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        char **operands;
        int n_operands, r, value;
        BgTop *top;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (n_operands)
                return bg_usage(context, command, "unexpected operand '%s'; did you mean --filter %s?", operands[0], operands[0]);
        if (strlen(filter) > BG_NAME_MAX)
                return bg_usage(context, command, "--filter: longer than %d bytes", BG_NAME_MAX);
        top = calloc(1, sizeof(*top));
        if (!top) {
                bg_error(context, "%s", strerror(ENOMEM));
                return EX_OSERR;
        }
        top->context = context;
        top->interval_s = interval_s;
        strcpy(top->filter, filter);
        if (bg_proto_sort_find(&value, bg_str(sort))) {
                free(top);
                return bg_usage(context, command, "--sort: expected count, growth, forecast, name or released, got '%s'", sort);
        }
        top->sort = value;
        if (bg_proto_relation_find(&value, bg_str(relation))) {
                free(top);
                return bg_usage(context, command, "--relation: expected finetune, adapter, quantized, merge or download, got '%s'",
                                relation);
        }
        top->relation = value;
        r = run(top, plain, rows, count, end_s);
        free(top);
        return r;
}

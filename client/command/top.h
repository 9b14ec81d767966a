/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_COMMAND_TOP_H
#define BURGEON_CLIENT_COMMAND_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/burgeon.h"
#include "client/command/command.h"

/*
 * The leaderboard: top.c runs the loop and the keys, top_data.c asks and listens, top_screen.c and top_details.c draw.
 */

#define BG_TOP_SURGES_MAX 32
#define BG_TOP_SPARK_WEEKS 104
#define BG_TOP_ROWS_MAX 500

typedef struct BgTopSurge {
        char id[65];
        char model[BG_NAME_MAX + 1];
        int kind;
        int state;
        double magnitude;
        int64_t at;
        char detail[80]; /* 40 where 12 were expected, 31 uploaders .. */
        char text[400];  /* all of it in a line */
} BgTopSurge;

typedef struct BgTopCount {
        uint64_t model; /* hash of its name */
        int64_t count;
} BgTopCount;

typedef struct BgTop {
        BgContext *context;
        BgQuerier *querier; /* its last reply is the list on the screen .. */
        BgQuerier *spare;   /* .. while this one asks for the next */
        BgQuerier *details_querier;
        BgSubscriber *subscriber;
        const BgReply *list; /* NULL: nothing yet */
        char problem[200];   /* "" = all is well */

        int sort;
        int relation;
        char filter[BG_NAME_MAX + 1];
        double interval_s;
        int64_t offset;      /* first row shown */
        int64_t selected;    /* rank from 0 */
        int n_rows;          /* that fit the screen */

        BgTopSurge surges[BG_TOP_SURGES_MAX]; /* newest first */
        size_t n_surges;

        bool heard; /* a heartbeat */
        bool stale;
        char health[65];
        int64_t models, events, dirty, watermark;
        double events_at;
        double rate; /* events a second, smoothed */

        BgTopCount before[BG_TOP_ROWS_MAX]; /* counts of the last refresh but one: what rose is lit */
        size_t n_before;
        BgTopCount now[BG_TOP_ROWS_MAX];
        size_t n_now;

        bool editing;              /* the filter */
        char edit[BG_NAME_MAX + 1];
        char details[BG_NAME_MAX + 1]; /* model on the details page, "" = leaderboard */
        BgListing details_listing;     /* texts and lists alias nothing: cleared */
        bool have_listing;
        BgForecast details_forecast;   /* likewise, but for .. */
        BgHorizon details_horizons[16];
        BgParameters details_parameters;
        bool have_forecast;
        int64_t columns[400];          /* new children by time */
        size_t n_columns;
        int64_t columns_from, columns_to;
} BgTop;

/** Ask for the rows on the screen. False: no answer (problem says why). */
bool bg_top_refresh(BgTop *top);
/** Ask for what the details page shows. */
bool bg_top_refresh_details(BgTop *top);
/** Take in heartbeats and surges that came; does not wait. */
void bg_top_listen(BgTop *top);
/** How much a model's count rose at the last refresh. */
int64_t bg_top_rise(const BgTop *top, BgStr model, int64_t count);

void bg_top_screen_begin(const BgTop *top);
void bg_top_screen_end(void);
void bg_top_draw(BgTop *top);
void bg_top_draw_details(const BgTop *top);
/** Rows of the leaderboard that fit the screen now. */
int bg_top_rows(void);

/* colour pairs, and how the parts look */
typedef enum BgTopLook {
        BG_TOP_PLAIN,
        BG_TOP_DIM,
        BG_TOP_BOLD,
        BG_TOP_BAR,   /* title and key line */
        BG_TOP_GREEN,
        BG_TOP_YELLOW,
        BG_TOP_CYAN,
        BG_TOP_MAGENTA,
        BG_TOP_RED,
        BG_TOP_BLUE,
        BG_TOP_LOOK_N
} BgTopLook;
void bg_top_look(BgTopLook look, bool selected); /* attributes for what is written next */
BgTopLook bg_top_status_look(int status);
const char *bg_top_status_glyph(int status);
/** Text at a place, cut at `width` columns and padded to it. */
void bg_top_put(int y, int x, int width, const char *text);

#endif

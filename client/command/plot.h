/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_COMMAND_PLOT_H
#define BURGEON_CLIENT_COMMAND_PLOT_H

#include "client/command/command.h"
#include "proto/proto.h"

/* A fan chart: what was counted, and the forecast's median and intervals. One set of data, drawn in a terminal or into a file. */

enum { BG_PLOT_HISTORY_MAX = 801, BG_PLOT_FORECAST_MAX = 65, BG_PLOT_SURGES_MAX = 16, BG_PLOT_LEVELS = 7, BG_PLOT_MEDIAN = 3 };

typedef struct BgPlotSurge {
        double onset, until; /* microseconds; until as_of while it is open */
        double magnitude, expected;
        int64_t observed;
        int kind;  /* BgSurgeKind */
        int state; /* BgSurgeState */
        bool open;
        char id[65];
} BgPlotSurge;

/** Times are microseconds UTC, in doubles: exact. Both curves meet at as_of. */
typedef struct BgPlot {
        char model[BG_NAME_MAX + 1];
        int relation;
        int status;
        double as_of;
        double count;
        size_t n_history;
        double at[BG_PLOT_HISTORY_MAX]; /* rising, the last is as_of */
        double counted[BG_PLOT_HISTORY_MAX];
        size_t n_forecast;                  /* 0: there is none yet */
        double ahead[BG_PLOT_FORECAST_MAX]; /* the first is as_of */
        double q[BG_PLOT_LEVELS][BG_PLOT_FORECAST_MAX];
        double days; /* of the farthest horizon */
        double c80;  /* receipts there; NaN = not known */
        int64_t n_outcomes;
        bool miscalibrated;
        size_t n_surges;
        BgPlotSurge surges[BG_PLOT_SURGES_MAX];
        bool log_scale;
} BgPlot;

const char *bg_plot_children(int relation); /* "fine-tunes" */
/** What the chart spans: from 0, but from just below the least value when all are far from 0. */
void bg_plot_range(const BgPlot *plot, double *lowp, double *highp);
bool bg_plot_shows(const BgPlot *plot, const BgPlotSurge *surge);  /* it began within the time that is drawn */
double bg_plot_quantile(const BgPlot *plot, int level, double at); /* between horizons; NaN outside the forecast */
double bg_plot_counted(const BgPlot *plot, double at);             /* NaN outside the history */

/** In the terminal: `width` columns, `height` lines of field. */
void bg_plot_terminal(const BgContext *context, const BgPlot *plot, int width, int height);

/** As a file, by its ending .svg or .png, in points. Return: 0, -EINVAL (another ending), or negative errno. */
int bg_plot_file(const BgPlot *plot, const char *path, double width, double height);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_FIGURES_DATA_H
#define BURGEON_CLIENT_FIGURES_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/feed/reader.h"

/*
 * What the figures are drawn from: counts by age, read from the same files that are sent to a daemon, and fitted parameters, read
 * from what `burgeond --replay .. --fits` writes. A child counts once a model; removals and moves are not followed (their number
 * is kept, for a note).
 */

#define BG_FIGURE_MONTH_DAYS 30.4375

/** When how many were known: a child, or the end of a tally. */
typedef struct BgFigurePoint {
        int64_t at; /* us */
        int64_t n;  /* new ones */
        int64_t from; /* of a tally: its start; of a child: 0 */
} BgFigurePoint;

typedef struct BgFigureFit {
        bool fitted; /* there is a curve */
        bool known;  /* and it is an optimum with finite parameters: not one where lambda and mu run away together */
        bool at_zero;  /* mu ended at the bound 0 of the least squares */
        double lambda, mu, sigma; /* mu in ln of the unit */
} BgFigureFit;

typedef struct BgFigureModel {
        char *name;
        size_t org_len;     /* of the name before the slash */
        int64_t release;    /* us; stated, else hinted, else of the first thing known */
        bool stated;        /* the release is no guess from the first child */
        BgFigurePoint *points; /* by time, once read */
        size_t n_points;
        size_t cap_points;
        double count;
        double *months;     /* cumulative count at 0, 1, 2 .. months of age */
        size_t n_months;    /* 0: younger than a month */
        BgFigureFit fit;
} BgFigureModel;

typedef struct BgFigureData {
        BgFigureModel *models; /* after loading: by falling count, then by name */
        size_t n;
        size_t cap;
        struct BgFigureIndex *index;
        size_t n_ignored;  /* removals and moves */
        int64_t end;       /* us: the newest time */
        double m;          /* of the fits */
        double unit_days;
} BgFigureData;

/** Read the events of one relation. 0, BG_FEED_E_UNUSABLE (the complaint told), or negative errno. Deinit it in any case. */
int bg_figure_data_load(BgFigureData *data, const char *const *paths, size_t n_paths, int relation, BgFeedComplaint *complain, void *arg);
#define BG_FIGURE_E_FITS 4
/** Read a file of fits made with that m and unit. 0, BG_FIGURE_E_FITS (not such a file), or negative errno. */
int bg_figure_data_fits(BgFigureData *data, const char *path, int relation, double m, double unit_days);
void bg_figure_data_deinit(BgFigureData *data); /* accepts the zero value, and twice */

/** Cumulative count at an age in months: as counted, between the edges of tallies in proportion. NaN beyond what is known. */
double bg_figure_count_at(const BgFigureModel *model, double months, int64_t end);
/** The fitted curve: c(t) = m (exp(lambda F(t)) - 1), F(t) = Phi((ln t - mu) / sigma). NaN without a fit. */
double bg_figure_curve(const BgFigureData *data, const BgFigureFit *fit, double months);
/** The same process, given that n was counted at an age T: (n + m) exp(lambda (F(t) - F(T))) - m. It goes through that point. */
double bg_figure_curve_through(const BgFigureData *data, const BgFigureFit *fit, double months, double through_months, double n);
double bg_figure_age_months(const BgFigureModel *model, int64_t at);

#endif

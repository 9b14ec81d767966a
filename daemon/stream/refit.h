/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_REFIT_H
#define BURGEON_STREAM_REFIT_H

#include "daemon/stream/core_private.h"

/* A job is a set of series with copies of everything a worker needs. Private to the stream room: replay builds jobs of its own. */

typedef struct BgRefitItem {
        BgSeriesId id;
        BgSecond release;
        BgSecond as_of;      /* the count is known up to here */
        double age_days;     /* of as_of */
        double count;
        size_t edges;        /* offset into the job's edges; counts are at edges - item number */
        size_t n_bins;
        BgFit previous;      /* status NONE: cold */
        BgPoolInput input;
        BgSince since;       /* taken along: what comes while the job runs belongs to the next revision */
        unsigned train;      /* knots (bits) that learn from this origin: their opinions are wanted */
        bool audit;
        bool origin;         /* replay: write the forecast at this origin, whatever the revision */
        /* results */
        BgFit fit;
        BgFit cold;          /* of an audit */
        double rate;
        double ultimate;
        BgForecastPoint points[BG_CORE_HORIZONS_MAX];
        BgPoolOpinion knot_opinions[BG_POOL_KNOT_N];
        BgForecastPoint knot_points[BG_POOL_KNOT_N];
} BgRefitItem;

struct BgRefitJob {
        BgFitSpec spec;      /* with the prior of this step */
        BgForecaster forecaster;
        BgPool pool;         /* of this step */
        double horizons[BG_CORE_HORIZONS_MAX];
        size_t n_horizons;
        BgRefitItem *items;
        size_t n;
        size_t cap;
        double *edges;       /* of all items */
        double *counts;
        size_t n_edges;
        size_t cap_edges;
};

int bg_refit_job_new(BgRefitJob **jobp, const BgCore *core);
void bg_refit_job_free(BgRefitJob *job);
/** Empty, and with what has been learned by now. */
void bg_refit_job_reset(BgRefitJob *job, const BgCore *core);
/** Copy the inputs of one series as they are at `as_of`. 0, -ENOMEM, or 1 when the series has no age yet (nothing to fit). */
int bg_refit_job_add(BgRefitJob *job, BgCore *core, BgSeriesId id, BgSecond as_of, bool origin);
/** A series' part of a job is on its way: what has happened so far goes with it. */
void bg_refit_begin(BgCore *core, BgSeries *series, BgRefitItem *item);
/** Run items [from, to): several threads may run disjoint ranges. */
void bg_refit_job_run(BgRefitJob *job, size_t from, size_t to);
/** Take over the result of one item; publishes. */
void bg_refit_adopt_item(BgCore *core, const BgRefitJob *job, const BgRefitItem *item, int64_t now);

/** Pooled or process forecast of one fit at rising horizons. */
void bg_refit_forecast(BgForecastPoint *points, BgForecaster forecaster, const BgPool *pool, const BgFit *fit, const BgPoolInput *input,
                       const double *horizons, size_t n_horizons);
/** A point in wire form, without receipts. */
void bg_refit_horizon(BgHorizon *horizon, const BgForecastPoint *point);
/** What the pool looks at, as of an age. */
void bg_refit_input(BgPoolInput *input, const BgSeries *series, const BgSeriesBins *bins, BgSecond as_of, double age_days, double count);

/** What happened before and what happened after, as one. */
void bg_since_add(BgSince *to, const BgSince *from);

/* ---- issue.c ------------------------------------------------------------------------------------------------------------------- */

/** A refit was adopted: it becomes a revision, now or after a while, or says nothing new. 0 or -ENOMEM. */
int bg_issue(BgCore *core, const BgRefitJob *job, const BgRefitItem *item, BgStart start, int64_t now);

/** How far a forecast can be trusted, from the counts and the fit alone. */
BgStatus bg_refit_status(const BgFitSpec *spec, const BgFit *fit, double count, double age_days);

#endif

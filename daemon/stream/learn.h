/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_LEARN_H
#define BURGEON_STREAM_LEARN_H

#include <stdio.h>

#include "daemon/model/pool.h"
#include "daemon/model/prior.h"
#include "daemon/stream/registry.h"

/*
 * What is learned across series, and only from the past: the shared prior, the pool's weights and trackers, and the receipts -
 * how often the published intervals held, and how wide they were.
 *
 * Learning happens in steps of one day of the watermark. Within a step every forecast is issued with what was known at its
 * start; what the step teaches takes effect at the next. Each series gives one training origin a bin (30.4375 d), and for horizons
 * of less than a bin one a day or week, as long as the horizon: forecasts that are renewed more often are not learned from more
 * often, as their outcomes would overlap.
 */

/** Receipts of one horizon and stratum: over all outcomes that fell due. */
typedef struct BgReceipt {
        double n;
        double inside[3]; /* of the central 50, 80, 90 % interval, ends included */
        double wis;       /* sum of the log-scale weighted interval scores */
} BgReceipt;

enum { BG_LEARN_STRATUM_N = 4 }; /* count at the origin: 0, 1-9, 10-99, 100+ */
int bg_learn_stratum(double count);
const char *bg_learn_stratum_name(int stratum);

/** A forecast at a knot's horizon, waiting for its outcome. */
typedef struct BgPending {
        BgSeriesId series;
        BgSecond origin;
        double count;
        float u[BG_EXPERT_N];
        float s;
        float q[BG_QUANTILE_N]; /* as published: increments over count */
} BgPending;

typedef struct BgPendingQueue {
        BgPending *items; /* ring; origins do not fall but for late corrections, which are taken at the head's time */
        size_t head;
        size_t n;
        size_t cap;
        uint64_t first; /* ordinal of the head: how many have left the queue */
        uint64_t saved; /* ordinal up to which bg_learner_save() has written */
        uint64_t kept;  /* first piece that may be in the store */
} BgPendingQueue;

typedef struct BgLearner {
        BgPriorSums sums;
        BgPrior prior; /* of this step */
        BgPool pool;
        BgReceipt receipts[BG_POOL_KNOT_N][BG_LEARN_STRATUM_N];
        BgPendingQueue pending[BG_POOL_KNOT_N];
        BgSecond day; /* of the last step: its midnight */
        bool changed; /* since bg_learner_save() */
        bool loaded;  /* bg_learner_load() met a state it can use */
} BgLearner;

/** Blank: the fixed population prior, equal weights, normal quantiles. */
void bg_learner_init(BgLearner *learner);
/**
 * bg_learner_start() - initialised with the shipped figures (learned_start.h says what they were learned from)
 * Weights, widths and quantiles; learned from at the speed of a blank one, hence soon outweighed by what comes true. Receipts are
 * empty: they are of this stream. For another `m` than that of the figures: blank.
 */
void bg_learner_start(BgLearner *learner, double m);
/** Write what was learned as learned_start.h. `provenance`: what from; one line of a comment. */
void bg_learner_print(const BgLearner *learner, double m, const char *provenance, FILE *out);
void bg_learner_deinit(BgLearner *learner);

#define BG_LEARN_ALL_KNOTS ((1u << BG_POOL_KNOT_N) - 1)
/** Remember a training origin at some knots (bits). `opinions` and `points` are those of the knots' horizons. 0 or -ENOMEM. */
int bg_learner_origin(BgLearner *learner, unsigned knots, BgSeriesId series, BgSecond origin, double count, const BgPoolOpinion *opinions,
                      const BgForecastPoint *points);

/** Count of a series at a time, as the outcome of a forecast issued at `origin`, or a negative number: not known (any more). */
typedef double BgLearnOutcome(void *data, BgSeriesId series, BgSecond origin, BgSecond at);

/** If `now` has passed midnight: learn from what fell due, and start the next step. Cost: outcomes due. Returns true at a new step. */
bool bg_learner_step(BgLearner *learner, BgSecond now, BgLearnOutcome *outcome, void *data);

/** Coverage of a horizon and stratum between knots: the nearer knot's in ln h. NULL before there are 20 outcomes. */
const BgReceipt *bg_learner_receipt(const BgLearner *learner, double horizon_days, double count);

/** A posterior joins the prior's sums (sign = 1), or leaves them (-1). Takes effect at the next step. */
void bg_learner_contribute(BgLearner *learner, double sign, const double theta[BG_THETA_N], const double spread[BG_SYM_N]);

/* ---- what survives a restart --------------------------------------------------------------------------------------------------- */

/**
 * bg_learner_save() - hand out, as named pieces of bytes, what changed since the last call
 * @put: replaces the piece of that name; no bytes: takes it away. A negative errno ends it.
 *
 * The queues are cut into pieces of 1,024 forecasts (64 KiB) that are written once: a save costs what is new, not what waits.
 */
int bg_learner_save(BgLearner *learner, int (*put)(void *data, BgStr name, BgStr bytes), void *data);
/** One saved piece, in bytewise order of the names, into a learner that was just initialised. Strange names are left. 0 or -ENOMEM. */
int bg_learner_load(BgLearner *learner, BgStr name, BgStr bytes);
/** After the last piece. false: there was no state, or it is not whole, or another version's: initialise it again. */
bool bg_learner_loaded(const BgLearner *learner);

#endif

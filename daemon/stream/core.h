/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_CORE_H
#define BURGEON_STREAM_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/model/fit.h"
#include "daemon/model/forecast.h"
#include "daemon/stream/store.h"
#include "proto/proto.h"

/*
 * The stream core: events in, revised forecasts and incidents out. One core, two clocks: the daemon drives it with the time of
 * day and a store, a replay with the events' own time. It never asks for the time and never does I/O but through the store.
 *
 *   apply (count) -> dirty series -> take (copy inputs) -> run (pure, any thread) -> adopt (fixed order) -> sink
 *
 * All functions but bg_refit_run() belong to one thread. What a core publishes depends on the calls alone, not on the number
 * of workers.
 */

#define BG_CORE_HORIZONS_MAX 16
#define BG_CORE_SOURCES_MAX 1024 /* names of sources, which are kept for good */

/** process: quantiles of the negative binomial of one series' own fit. pooled: that fit under the learned prior, pooled with
 *  simple trends, widths and quantiles calibrated online (model/pool.h). */
typedef enum BgForecaster { BG_FORECASTER_POOLED, BG_FORECASTER_PROCESS } BgForecaster;

typedef struct BgCoreSpec {
        BgFitSpec fit;             /* its prior is where a learned prior starts from */
        BgForecaster forecaster;   /* default pooled */
        double horizons[BG_CORE_HORIZONS_MAX]; /* days, rising; default 7 30 90 180 365 */
        size_t n_horizons;
        int64_t refresh_us;        /* a forecast with data is renewed after so long without an event; default 1 day */
        double material;           /* a forecast that moved by so much (ln of a count + 1) is told at once; default 0.05 */
        int64_t settle_us;         /* smaller moves, and storms, are told after so long a quiet time; 0 = every refit is a revision */
        int64_t stale_after_us;    /* no batch and no `alive` for so long: status stale_input; 0 = never (replay) */
        unsigned audit_every;      /* every so-manieth warm refit of a series is checked against a cold one; default 16; 0 = never */
        double surge_threshold;    /* nats; 0 = no detection; default 9.25 */
        bool publish_bursts;       /* incidents of few uploaders are told too, as kind burst; default no */
        bool learned_start;        /* begin with the shipped figures; default: blank, everything learned from this stream's past */
        uint32_t models_max;
} BgCoreSpec;
BgCoreSpec bg_core_spec_default(void);

/** Where results go; strings and lists in the messages live until the callback returns. */
typedef struct BgCoreSink {
        void (*forecast)(void *data, const BgForecast *forecast);
        void (*surge)(void *data, const BgSurge *surge);
        void (*org)(void *data, const BgOrg *org);                   /* may be NULL, as may the next */
        void (*ecosystem)(void *data, const BgEcosystem *ecosystem);
        void *data;
} BgCoreSink;

/** One last value: exactly one of them is set. */
typedef struct BgCoreValue {
        const BgForecast *forecast;
        const BgSurge *surge;
        const BgOrg *org;
        const BgEcosystem *ecosystem;
} BgCoreValue;

typedef struct BgCore BgCore;

/**
 * bg_core_new() - a core, continued from a store
 * @store:   NULL (replay), or an open store that was not appended to yet: its log is applied and the series' state taken over
 * @now:     us
 * Return: 0, -ENOMEM, or an error of the store.
 */
int bg_core_new(BgCore **corep, const BgCoreSpec *spec, BgCoreSink sink, BgStore *store, const BgStoreReceipt *receipt, int64_t now);
void bg_core_free(BgCore *core);
/** Reload: takes over what can change while running (horizons, refresh, stale, audit, threshold); the rest is kept. */
void bg_core_configure(BgCore *core, const BgCoreSpec *spec);

/* ---- in --------------------------------------------------------------------------------------------------------------------- */

#define BG_CORE_E_DUPLICATE 1
#define BG_CORE_E_REJECTED 2

/**
 * bg_core_apply() - take one event
 * @source: who says so
 * @now:    us; an event after now + 5 minutes is rejected (FUTURE)
 * Accepted events are appended to the store's open group. Rejected ones, also those the unpacker refused, are for the caller
 * to count and to put away (it has the bytes); *reasonp says why.
 * Return: 0, a code above, or negative errno.
 */
int bg_core_apply(BgCore *core, BgStr source, const BgEvent *event, int64_t now, BgReject *reasonp);

/** A whole batch is in: cursor of the source, input age. */
int bg_core_batch_done(BgCore *core, BgStr source, int64_t seq, int64_t now);
int64_t bg_core_source_seq(const BgCore *core, BgStr source); /* last batch taken, 0 = none */
/** Batches of this source can be taken: it is known, or there is room for one more. Those of others must not be begun. */
bool bg_core_knows_source(const BgCore *core, BgStr source);

/* ---- refits ------------------------------------------------------------------------------------------------------------------- */

typedef struct BgRefitJob BgRefitJob;

/** Series that wait for a refit: with new counts, or (after bg_core_advance) with a forecast that has grown old. */
size_t bg_core_n_dirty(const BgCore *core);
/** Move the clock: series whose forecast is due become dirty. Silent models cost nothing. */
void bg_core_advance(BgCore *core, int64_t now);
/**
 * When bg_core_advance() has something to do next, us; INT64_MAX = not before the next event. Forecasts grow old by the
 * watermark: what falls due by it is due when it gets there, which the time of day does not tell; ask again after a batch.
 */
int64_t bg_core_next_due(const BgCore *core);
/** Copy the inputs of up to `max_series` dirty series (in order of their ids) into a job; NULL when there is none. They are clean now. */
BgRefitJob *bg_core_take(BgCore *core, size_t max_series, int64_t now);
/** Fit and forecast; pure; any thread. */
void bg_refit_run(BgRefitJob *job);
/** Take the results over, publish through the sink, free the job. Jobs are adopted in the order they were taken. */
void bg_core_adopt(BgCore *core, BgRefitJob *job, int64_t now);
/** What a job would have changed is dirty again; frees it (shutdown without waiting). */
void bg_core_abandon(BgCore *core, BgRefitJob *job);

/* ---- aggregates of organisations and of all models ------------------------------------------------------------------------------ */

typedef struct BgEcosystemJob BgEcosystemJob;

/** Something changed, and the aggregates are an hour old, of event time or of `now`; false while a job is under way. */
bool bg_core_ecosystem_due(const BgCore *core, int64_t now);
/** Anything counted, fitted or alerted since the last aggregates began? */
bool bg_core_ecosystem_changed(const BgCore *core);
/** Begin; one at a time. NULL: one is under way, or no memory. Other calls may come between its steps. */
BgEcosystemJob *bg_core_ecosystem_begin(BgCore *core, int64_t now);
/** Copy what is needed of up to `n_max` models. 0 when all are, or BG_CORE_E_MORE.         Cost: about 1 us a model. */
int bg_core_ecosystem_collect(BgCore *core, BgEcosystemJob *job, size_t n_max);
/** Compute; pure; any thread.                                                             Cost: about 1 us a model. */
void bg_ecosystem_run(BgEcosystemJob *job);
/** Take up to `n_max` organisations over, publish what changed. 0 when done (the job is freed), or BG_CORE_E_MORE. */
int bg_core_ecosystem_adopt(BgCore *core, BgEcosystemJob *job, size_t n_max, int64_t now);
/** Drop it, at whatever step; frees the job. */
void bg_core_ecosystem_abandon(BgCore *core, BgEcosystemJob *job);

/** Put what changed since the last call, of the series and of what was learned, into the store's open group. 0 or negative errno. */
int bg_core_checkpoint(BgCore *core);

/* ---- out ---------------------------------------------------------------------------------------------------------------------- */

int64_t bg_core_epoch(const BgCore *core);
int64_t bg_core_seq(const BgCore *core); /* of the last update given to the sink */
void bg_core_set_stale(BgCore *core, bool stale);
/** Fill a heartbeat but for `at` and `health`. */
void bg_core_heartbeat(const BgCore *core, BgHeartbeat *heartbeat, int64_t now);
/** Last published values below a topic prefix, e.g. "forecast/org/" or "": calls back with each; ends on non-zero. */
int bg_core_each_last(BgCore *core, BgStr topic_prefix, int (*each)(void *data, const BgCoreValue *value), void *data);
#define BG_CORE_E_MORE 3
/**
 * bg_core_step_last() - bg_core_each_last() in steps that do not hold up the loop
 * @cursorp: 0 to begin; where the next step goes on. Series that come up between two steps are seen, or were published since.
 * @n_max:   series looked at in this step; a prefix that names one model is done in one
 * Return: 0 when all were seen, BG_CORE_E_MORE, or what `each` returned to end it.
 */
int bg_core_step_last(BgCore *core, BgStr topic_prefix, uint32_t *cursorp, size_t n_max,
                      int (*each)(void *data, const BgCoreValue *value), void *data);
/** How many bg_core_each_last() would report, counting stops at `max`. */
size_t bg_core_count_last(BgCore *core, BgStr topic_prefix, size_t max);

/**
 * bg_core_query() - answer get, list, history, forecast, milestone, why, surges, org, ecosystem, stats (the counters of the
 * stream; io adds its own)
 * Fills `reply` (initialised by the caller, with v, id and q); lists and texts live in the arena. Unknown models and bad ranges
 * are answered as typed errors in the reply. Return: 0, -ENOMEM, or 1 when the query is not the core's (info, reload ..).
 */
int bg_core_query(BgCore *core, const BgRequest *request, int64_t now, BgArena *arena, BgReply *reply);

#endif

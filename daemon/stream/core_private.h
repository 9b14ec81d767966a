/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_CORE_PRIVATE_H
#define BURGEON_STREAM_CORE_PRIVATE_H

/* The inside of the core, shared by core.c (in), refit.c (take, run, adopt), keep.c (restarts), incident.c (surges) and
 * query.c (out). */

#include "daemon/stream/core.h"
#include "daemon/stream/learn.h"
#include "daemon/stream/registry.h"
#include "daemon/stream/schedule.h"
#include "daemon/stream/state.h"

typedef struct BgCoreSource {
        char name[BG_SOURCE_MAX + 1];
        int64_t seq;
        int64_t watermark; /* us */
        int64_t batch_at;  /* us */
} BgCoreSource;

/* name, what: the counters of the stream, in `stats` under these names */
#define BG_CORE_COUNTERS(C) \
        C(events_accepted) C(events_duplicate) C(events_rejected) C(batches) C(children_added) C(children_removed) C(events_late) \
        C(refits_warm) C(refits_cold) C(refit_iterations) C(audits) C(audits_apart) C(forecasts) C(refits_held) C(refits_empty) \
        C(refreshes) C(surges_opened) \
        C(surges_updated) C(surges_closed) C(bursts) C(aggregations)

typedef struct BgCoreCounters {
#define BG_C(name) int64_t name;
        BG_CORE_COUNTERS(BG_C)
#undef BG_C
} BgCoreCounters;

typedef struct BgIncidents BgIncidents; /* incident.c */
typedef struct BgEcosystemState BgEcosystemState; /* ecosystem.c */

struct BgCore {
        BgCoreSpec spec;
        BgCoreSink sink;
        BgStore *store;
        BgRegistry *registry;
        BgSchedule schedule;
        BgIncidents *incidents; /* NULL: no detection */
        BgEcosystemState *ecosystem;
        BgLearner learner;
        BgSeriesId *dirty;
        size_t n_dirty;
        size_t cap_dirty;
        BgSeriesId *held;       /* series whose last refit is not a revision yet; others may be among them */
        size_t n_held;
        size_t cap_held;
        int64_t held_due;       /* us; of the first of them, or earlier; INT64_MAX = none */
        BgSeriesId *unsaved;
        size_t n_unsaved;
        size_t cap_unsaved;
        BgCoreSource *sources;
        size_t n_sources;
        size_t cap_sources;
        BgCoreSource *current;  /* source of the event being applied */
        int64_t epoch;
        int64_t seq;
        int64_t started_at;
        int64_t watermark;      /* us; 0 = none */
        int64_t newest;         /* us; newest event time */
        int64_t batch_at;       /* us; when the last batch came, 0 = never */
        int64_t now;            /* us; of the call being served */
        int64_t log;            /* of the newest event in the store */
        int64_t saved_log;      /* of the newest event that the state restored knows of */
        bool loading;           /* the log is being applied: nothing is published, stored or detected */
        bool restored;          /* while loading: the state is back, what follows came after it was saved */
        bool stale;
        int failed;             /* a callback could not do its work (-ENOMEM); reported by the next call */
        BgCoreCounters n;
};

/** Source of that name, made when there is none; NULL without memory. */
BgCoreSource *bg_core_source(BgCore *core, BgStr name);
void bg_core_raise_watermark(BgCore *core, BgCoreSource *source, int64_t at);
/** Count one event; `source` NULL: from the log. As bg_core_apply(), without the clock and the store. */
int bg_core_count(BgCore *core, BgCoreSource *source, const BgEvent *event, BgReject *reasonp);

/** Where a series' clock stands: the watermark in seconds. */
BgSecond bg_core_as_of(const BgCore *core);
/** State of a series, made when there is none; NULL without memory. */
BgSeriesState *bg_core_state(BgCore *core, BgSeries *series);
int bg_core_mark_dirty(BgCore *core, BgSeriesId id, BgSeries *series);
int bg_core_mark_unsaved(BgCore *core, BgSeriesId id, BgSeriesState *state);

/**
 * Count of a series at a time for scoring a forecast issued at `origin`: exact for single events; a tally is known near its ends
 * (an eighth of its length), and in proportion when it is short beside the horizon (an eighth of that). Of a forecast over less
 * than half of its length it tells nothing at all. Negative: not known.
 */
double bg_core_outcome(void *core, BgSeriesId id, BgSecond origin, BgSecond at);

/** The series of a model that was taken over: its part in the shared prior is taken back. */
void bg_refit_forget(BgCore *core, BgSeries *series);

/** The last fit of a series in the model room's form; status NONE when there was none. */
BgFit bg_state_fit(const BgSeriesState *state, double m);
void bg_state_free(BgSeriesState *state);
int bg_core_list_push(BgSeriesId **idsp, size_t *np, size_t *capp, BgSeriesId id); /* 0 or -ENOMEM */

/** Publish what was held long enough. */
void bg_issue_advance(BgCore *core, int64_t now);
void bg_held_free(BgHeld *held);

/** The last published forecast as a posterior: its mode and spreads, with the correlations of Laplace's covariance. */
BgFit bg_issued_fit(const BgSeriesState *state, double m);
/** The horizon of an issued forecast nearest to `days`; NULL when it has none. */
const BgIssuedPoint *bg_issued_near(const BgIssued *issued, double days);

/** Wire form of an issued forecast; its lists live in `arena`. 0 or -ENOMEM. */
int bg_issued_message(const BgCore *core, const BgSeries *series, const BgIssued *issued, BgArena *arena, BgForecast *message);
/** And back, of a stored one. NULL without memory or when it does not fit. */
BgIssued *bg_issued_from_message(const BgForecast *message);

/** Nothing learned yet: blank, or the shipped figures. */
void bg_core_begin_learning(BgCore *core);
/** A new core is what the one was that wrote the store. 0, -ENOMEM, or an error of the store. */
int bg_keep_restore(BgCore *core);

/* ---- incident.c ---------------------------------------------------------------------------------------------------------------- */

int bg_incidents_new(BgIncidents **incidentsp, BgCore *core, const unsigned char key[16]);
void bg_incidents_free(BgIncidents *incidents);
void bg_incidents_series_free(struct BgSeriesSurge *surge);
/** The threshold was changed. */
void bg_incidents_configure(BgCore *core);
/** The series went to a model that took over: what was open of it ends here, and is not carried on under a name that is gone. */
void bg_incidents_forget(BgCore *core, BgSeriesId id, BgSeries *series);
/** A child was counted. */
void bg_incidents_event(BgCore *core, BgSeriesId id, BgSeries *series, BgSecond at, BgStr child);
/** A refit was adopted: the expectation follows, unless an excursion is being judged against it. */
void bg_incidents_refitted(BgCore *core, BgSeries *series, const BgFit *fit, const BgPoolInput *input, BgSecond release, BgSecond as_of);
/** Time passed: incidents that end without an event. */
void bg_incidents_advance(BgCore *core, BgSecond now);
BgSecond bg_incidents_next(const BgCore *core);
bool bg_incidents_open(const BgSeries *series);
/** An incident is open that was published: no burst, unless those are. */
bool bg_incidents_told(const BgCore *core, const BgSeries *series);
/**
 * The last incident of every series, the latest first: of all or of one model, by the request's relation, open, bursts, limit and
 * offset; reply->total counts all that match.
 */
int bg_incidents_list(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply);
/** Last transition of the open incident of a series; false when there is none. */
bool bg_incidents_last(BgCore *core, BgSeriesId id, BgSeries *series, BgArena *arena, BgSurge *message);
/** The last incident of a series, over or not. 0, 1 when there is none, or -ENOMEM. */
int bg_incidents_of(BgCore *core, const BgSeries *series, BgArena *arena, BgSurge *message);
/** The series whose last incident has that id, or BG_SERIES_NONE. */
BgSeriesId bg_incidents_find(BgCore *core, BgStr id);
int bg_incidents_pack(const BgSeries *series, BgBuffer *out);
int bg_incidents_unpack(BgCore *core, BgSeriesId id, BgSeries *series, BgStr bytes);

#endif

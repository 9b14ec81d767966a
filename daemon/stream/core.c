/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way in: an event is checked against the clock, counted by the registry, appended to the store, and what it touched becomes
 * dirty. The registry calls back for every series touched; everything else follows from there.
 */
#include "daemon/stream/ecosystem.h"

#include <errno.h>
#include <stdlib.h>

/* Feeds' clocks run ahead a little; more than this is an error of the sender, and would drag the watermark along. */
#define FUTURE_SLACK_US (INT64_C(300) * 1000000)

BgCoreSpec bg_core_spec_default(void)
{
        return (BgCoreSpec){
                .fit = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD),
                .horizons = { 7, 30, 90, 180, 365 },
                .n_horizons = 5,
                .refresh_us = INT64_C(86400) * 1000000,
                .material = 0.05,
                .audit_every = 16,
                .surge_threshold = 9.25,
        };
}

BgSecond bg_core_as_of(const BgCore *core)
{
        return bg_second_from_us(core->watermark);
}

/* ---- states and lists of series -------------------------------------------------------------------------------------------- */

BgSeriesState *bg_core_state(BgCore *core, BgSeries *series)
{
        if (!series->state) {
                series->state = calloc(1, sizeof(*series->state));
                if (!series->state)
                        core->failed = -ENOMEM;
        }
        return series->state;
}

void bg_state_free(BgSeriesState *state)
{
        if (!state)
                return;
        bg_held_free(state->held);
        free(state->issued);
        free(state);
}

int bg_core_list_push(BgSeriesId **idsp, size_t *np, size_t *capp, BgSeriesId id)
{
        if (*np == *capp) {
                size_t cap = *capp ? *capp * 2 : 256;
                BgSeriesId *ids = realloc(*idsp, cap * sizeof(*ids));
                if (!ids)
                        return -ENOMEM;
                *idsp = ids;
                *capp = cap;
        }
        (*idsp)[(*np)++] = id;
        return 0;
}

int bg_core_mark_dirty(BgCore *core, BgSeriesId id, BgSeries *series)
{
        int r;

        if (series->dirty)
                return 0;
        r = bg_core_list_push(&core->dirty, &core->n_dirty, &core->cap_dirty, id);
        if (!r)
                series->dirty = true;
        return r;
}

int bg_core_mark_unsaved(BgCore *core, BgSeriesId id, BgSeriesState *state)
{
        int r;

        if (state->unsaved || !core->store)
                return 0;
        r = bg_core_list_push(&core->unsaved, &core->n_unsaved, &core->cap_unsaved, id);
        if (!r)
                state->unsaved = true;
        return r;
}

/* ---- sources ----------------------------------------------------------------------------------------------------------------- */

static BgCoreSource *source_find(const BgCore *core, BgStr name)
{
        for (size_t i = 0; i < core->n_sources; i++)
                if (bg_str_equal(bg_str(core->sources[i].name), name))
                        return &core->sources[i];
        return NULL;
}

BgCoreSource *bg_core_source(BgCore *core, BgStr name)
{
        BgCoreSource *source = core->current;

        /* one batch, one source: the search is done once a batch */
        if (source && bg_str_equal(bg_str(source->name), name))
                return source;
        source = source_find(core, name);
        if (source || name.len > BG_SOURCE_MAX)
                return core->current = source;
        if (core->n_sources == core->cap_sources) {
                size_t cap = core->cap_sources ? core->cap_sources * 2 : 8;
                BgCoreSource *sources = realloc(core->sources, cap * sizeof(*sources));
                if (!sources)
                        return NULL;
                core->sources = sources;
                core->cap_sources = cap;
        }
        source = &core->sources[core->n_sources++];
        *source = (BgCoreSource){ 0 };
        memcpy(source->name, name.data, name.len);
        return core->current = source;
}

int64_t bg_core_source_seq(const BgCore *core, BgStr name)
{
        const BgCoreSource *source = source_find(core, name);

        return source ? source->seq : 0;
}

bool bg_core_knows_source(const BgCore *core, BgStr name)
{
        return core->n_sources < BG_CORE_SOURCES_MAX || source_find(core, name);
}

static int source_put(BgCore *core, const BgCoreSource *source)
{
        return bg_store_put_source(core->store, &(BgStoreSource){ .source = bg_str(source->name), .seq = source->seq,
                                                                  .watermark = source->watermark, .batch_at = source->batch_at });
}

void bg_core_raise_watermark(BgCore *core, BgCoreSource *source, int64_t at)
{
        if (source && at > source->watermark)
                source->watermark = at;
        if (at > core->watermark)
                core->watermark = at;
}

/* ---- the registry's call ----------------------------------------------------------------------------------------------------- */

static void series_changed(void *data, BgSeriesId id, const BgSeriesChange *change)
{
        BgCore *core = data;
        BgSeries *series = bg_registry_series(core->registry, id);
        bool told = core->loading && !core->restored; /* in revisions that are about to be restored, but for series that have none */
        BgSeriesState *state;

        if (!core->loading) {
                core->n.children_added += change->added;
                core->n.children_removed += change->removed;
        }
        if (bg_registry_model(core->registry, series->model)->merged_into != BG_MODEL_NONE) {
                if (!told) {
                        bg_refit_forget(core, series);
                        bg_incidents_forget(core, id, series);
                }
                return; /* what it had is another series' now, and that one is told of too */
        }
        state = bg_core_state(core, series);
        if (!state || (!told && bg_core_mark_dirty(core, id, series))) {
                core->failed = -ENOMEM;
                return;
        }
        state->since.added += change->added;
        state->since.removed += change->removed;
        state->since.tallied += change->tallied;
        state->since.release_changed |= change->release_changed;
        state->since.renamed |= change->renamed;
        /* of a series without a revision the log tells all: a stop need not write a row for each new model */
        if (!told && (state->issued || state->saved) && bg_core_mark_unsaved(core, id, state))
                core->failed = -ENOMEM;
        if (change->added && change->at && state->issued && change->at <= state->issued->as_of) {
                state->since.late += change->added;
                core->n.events_late += core->loading ? 0 : change->added;
        }
        if (!core->loading && core->incidents && change->added == 1 && !change->removed && change->child.len)
                bg_incidents_event(core, id, series, change->at, change->child);
}

/* ---- in ---------------------------------------------------------------------------------------------------------------------- */

/** When an event happened, for the check against the clock and for the watermark. */
static int64_t event_time(const BgEvent *event)
{
        return event->type == BG_EVENT_TALLY ? event->to : event->at;
}

int bg_core_count(BgCore *core, BgCoreSource *source, const BgEvent *event, BgReject *reasonp)
{
        int64_t at = event_time(event);
        int r = 0;

        if (event->type == BG_EVENT_ALIVE) {
                if (event->source.len && source && !bg_str_equal(event->source, bg_str(source->name))) {
                        if (!bg_core_knows_source(core, event->source)) {
                                *reasonp = BG_REJECT_LIMIT;
                                return BG_CORE_E_REJECTED;
                        }
                        source = bg_core_source(core, event->source);
                        if (!source)
                                return -ENOMEM;
                }
                if (source && at <= source->watermark)
                        return BG_CORE_E_DUPLICATE;
                bg_core_raise_watermark(core, source, at);
                return 0;
        }
        r = bg_registry_apply(core->registry, event, reasonp);
        if (r == BG_REGISTRY_E_DUPLICATE)
                return BG_CORE_E_DUPLICATE;
        if (r == BG_REGISTRY_E_REJECTED)
                return BG_CORE_E_REJECTED;
        if (r)
                return r;
        if (at > core->newest)
                core->newest = at;
        /* A source is complete at least up to the newest event it has told of, give or take its lateness: late events correct. */
        if (event->type != BG_EVENT_RELEASE || at <= core->now)
                bg_core_raise_watermark(core, source, at);
        return 0;
}

static int append(BgCore *core, const BgEvent *event, int64_t now)
{
        int r = bg_store_append(core->store, event, now);

        core->log += r == 0;
        return r;
}

int bg_core_apply(BgCore *core, BgStr source_name, const BgEvent *event, int64_t now, BgReject *reasonp)
{
        BgCoreSource *source;
        int r;

        *reasonp = BG_REJECT_NONE;
        if (event->type == BG_EVENT_NONE || event->type >= BG_EVENT_N) {
                *reasonp = event->reject ? event->reject : BG_REJECT_MALFORMED;
                core->n.events_rejected++;
                return BG_CORE_E_REJECTED;
        }
        if (event_time(event) > now && event_time(event) - now > FUTURE_SLACK_US) {
                *reasonp = BG_REJECT_FUTURE;
                core->n.events_rejected++;
                return BG_CORE_E_REJECTED;
        }
        source = bg_core_source(core, source_name);
        if (!source)
                return -ENOMEM;
        core->now = now;
        r = bg_core_count(core, source, event, reasonp);
        if (core->failed)
                r = core->failed;
        switch (r) {
        case 0:
                core->n.events_accepted++;
                if (!core->store)
                        break;
                if (event->type == BG_EVENT_ALIVE) /* a cursor, not a fact: only the newest one is worth keeping */
                        r = source_put(core, core->current);
                else
                        r = append(core, event, now);
                break;
        case BG_CORE_E_DUPLICATE:
                core->n.events_duplicate++;
                break;
        case BG_CORE_E_REJECTED:
                core->n.events_rejected++;
                break;
        }
        return r;
}

int bg_core_batch_done(BgCore *core, BgStr source_name, int64_t seq, int64_t now)
{
        BgCoreSource *source = bg_core_source(core, source_name);

        if (!source)
                return -ENOMEM;
        if (seq > source->seq)
                source->seq = seq;
        source->batch_at = now;
        core->batch_at = now;
        core->n.batches++;
        if (core->stale) /* the source speaks again */
                bg_core_set_stale(core, false);
        if (core->stale) /* not only when the clock is next looked at */
                bg_core_set_stale(core, false);
        if (!core->store)
                return 0;
        return source_put(core, source);
}

/* ---- life ---------------------------------------------------------------------------------------------------------------------- */

void bg_core_begin_learning(BgCore *core)
{
        bg_learner_deinit(&core->learner);
        if (core->spec.learned_start && core->spec.fit.estimator == BG_ESTIMATOR_LIKELIHOOD)
                bg_learner_start(&core->learner, core->spec.fit.m);
        else
                bg_learner_init(&core->learner);
}

int bg_core_new(BgCore **corep, const BgCoreSpec *spec, BgCoreSink sink, BgStore *store, const BgStoreReceipt *receipt, int64_t now)
{
        BgCore *core = calloc(1, sizeof(*core));
        BgRegistrySpec registry_spec = { .models_max = spec->models_max, .changed = series_changed, .data = core };
        int r;

        if (!core)
                return -ENOMEM;
        core->spec = *spec;
        core->sink = sink;
        core->store = store;
        core->started_at = now;
        core->now = now;
        core->epoch = 1;
        core->held_due = INT64_MAX;
        bg_core_begin_learning(core);
        if (receipt) {
                core->epoch = receipt->epoch;
                memcpy(registry_spec.hash_key, receipt->hash_key, sizeof(registry_spec.hash_key));
        }
        r = bg_registry_new(&core->registry, &registry_spec);
        if (!r)
                r = bg_ecosystem_state_new(&core->ecosystem);
        if (!r && spec->surge_threshold > 0)
                r = bg_incidents_new(&core->incidents, core, registry_spec.hash_key);
        if (!r && store) {
                r = bg_keep_restore(core);
                core->current = NULL;
        }
        if (r) {
                bg_core_free(core);
                return r;
        }
        *corep = core;
        return 0;
}

void bg_core_free(BgCore *core)
{
        if (!core)
                return;
        for (BgSeriesId id = 0; core->registry && id < bg_registry_n_series(core->registry); id++) {
                BgSeries *series = bg_registry_series(core->registry, id);

                bg_state_free(series->state);
                bg_incidents_series_free(series->surge);
        }
        bg_incidents_free(core->incidents);
        bg_ecosystem_state_free(core->ecosystem);
        bg_learner_deinit(&core->learner);
        bg_registry_free(core->registry);
        bg_schedule_deinit(&core->schedule);
        free(core->dirty);
        free(core->unsaved);
        free(core->held);
        free(core->sources);
        free(core);
}

void bg_core_configure(BgCore *core, const BgCoreSpec *spec)
{
        memcpy(core->spec.horizons, spec->horizons, sizeof(core->spec.horizons));
        core->spec.n_horizons = spec->n_horizons;
        core->spec.refresh_us = spec->refresh_us;
        core->spec.material = spec->material;
        core->spec.settle_us = spec->settle_us;
        core->spec.stale_after_us = spec->stale_after_us;
        core->spec.audit_every = spec->audit_every;
        core->spec.publish_bursts = spec->publish_bursts;
        /* detection is switched on and off at a start: its baselines have to grow with the stream */
        if (spec->surge_threshold > 0 && core->incidents) {
                core->spec.surge_threshold = spec->surge_threshold;
                bg_incidents_configure(core);
        }
}

/* ---- clock --------------------------------------------------------------------------------------------------------------------- */

double bg_core_outcome(void *data, BgSeriesId id, BgSecond origin, BgSecond at)
{
        BgCore *core = data;
        const BgSeries *series = bg_registry_series(core->registry, id);
        size_t low = 0, high = series->n_tallies;

        if (bg_registry_model(core->registry, series->model)->merged_into != BG_MODEL_NONE)
                return -1;
        while (low < high) { /* first tally that ends at or after `at` */
                size_t middle = (low + high) / 2;

                if (series->tallies[middle].to < at)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low < series->n_tallies && series->tallies[low].from < at) {
                const BgTally *tally = &series->tallies[low];
                BgSecond length = tally->to - tally->from;
                double before, after;

                /* an hour after the edge where it was issued, the edge's count is no outcome */
                if (at - origin < length / 2)
                        return -1;
                if (tally->to - at <= length / 8)
                        return (double)bg_series_count(series, tally->to);
                if (at - tally->from <= length / 8)
                        return (double)bg_series_count(series, tally->from);
                if (length > (at - origin) / 8)
                        return -1;
                /* days within a month: a forecast of a month is judged, whatever the hour at which it is due */
                before = (double)bg_series_count(series, tally->from);
                after = (double)bg_series_count(series, tally->to);
                return round(before + (after - before) * (at - tally->from) / length);
        }
        if (low > 0 && low == series->n_tallies && !series->n_times) { /* after the last tally, of which nothing is known */
                const BgTally *tally = &series->tallies[low - 1];

                if (at - tally->to > (tally->to - tally->from) / 8 || at - origin < (tally->to - tally->from) / 2)
                        return -1;
        }
        return (double)bg_series_count(series, at);
}

static void came_due(void *data, BgSeriesId id)
{
        BgCore *core = data;
        BgSeries *series = bg_registry_series(core->registry, id);
        BgSeriesState *state = series->state;

        if (!state)
                return;
        state->queued = false;
        if (series->dirty)
                return; /* gets a new entry when it is adopted */
        if (state->due > bg_core_as_of(core)) { /* an early entry */
                state->queued = !bg_schedule_put(&core->schedule, id, state->due);
                return;
        }
        state->since.refreshed = true;
        core->n.refreshes++;
        if (bg_core_mark_dirty(core, id, series) || bg_core_mark_unsaved(core, id, state))
                core->failed = -ENOMEM;
}

void bg_core_advance(BgCore *core, int64_t now)
{
        bool stale = core->spec.stale_after_us > 0 && core->batch_at > 0 && now - core->batch_at > core->spec.stale_after_us;

        core->now = now;
        if (core->spec.forecaster == BG_FORECASTER_POOLED)
                bg_learner_step(&core->learner, bg_core_as_of(core), bg_core_outcome, core);
        if (stale != core->stale)
                bg_core_set_stale(core, stale);
        /* Forecasts grow old by the watermark, not by the clock on the wall: where nothing is known, nothing can be renewed. */
        bg_schedule_advance(&core->schedule, bg_core_as_of(core), came_due, core);
        bg_issue_advance(core, now);
        if (core->incidents && !core->stale)
                bg_incidents_advance(core, bg_core_as_of(core));
}

int64_t bg_core_next_due(const BgCore *core)
{
        BgSecond next = bg_schedule_next(&core->schedule);
        BgSecond incident = core->incidents ? bg_incidents_next(core) : UINT32_MAX;
        int64_t due = INT64_MAX;

        if (incident < next)
                next = incident;
        if (next <= bg_core_as_of(core))
                due = bg_second_to_us(next);
        if (core->held_due < due)
                due = core->held_due;
        if (core->spec.stale_after_us > 0 && core->batch_at > 0 && !core->stale && core->batch_at + core->spec.stale_after_us < due)
                due = core->batch_at + core->spec.stale_after_us;
        return due;
}

size_t bg_core_n_dirty(const BgCore *core)
{
        return core->n_dirty;
}

int64_t bg_core_epoch(const BgCore *core)
{
        return core->epoch;
}

int64_t bg_core_seq(const BgCore *core)
{
        return core->seq;
}

void bg_core_set_stale(BgCore *core, bool stale)
{
        core->stale = stale;
}

void bg_core_heartbeat(const BgCore *core, BgHeartbeat *heartbeat, int64_t now)
{
        heartbeat->v = BG_PROTO_VERSION;
        heartbeat->epoch = core->epoch;
        heartbeat->seq = core->seq;
        heartbeat->watermark = core->watermark;
        heartbeat->input_age_s = core->batch_at ? (double)(now - core->batch_at) / 1e6 : NAN;
        heartbeat->models = (int64_t)bg_registry_n_models(core->registry);
        heartbeat->events = bg_registry_n_children(core->registry);
        heartbeat->dirty = (int64_t)core->n_dirty;
}

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
        free(state->issued);
        free(state);
}

static int list_push(BgSeriesId **idsp, size_t *np, size_t *capp, BgSeriesId id)
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
        r = list_push(&core->dirty, &core->n_dirty, &core->cap_dirty, id);
        if (!r)
                series->dirty = true;
        return r;
}

int bg_core_mark_unsaved(BgCore *core, BgSeriesId id, BgSeriesState *state)
{
        int r;

        if (state->unsaved || !core->store)
                return 0;
        r = list_push(&core->unsaved, &core->n_unsaved, &core->cap_unsaved, id);
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

static BgCoreSource *source_get(BgCore *core, BgStr name)
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

static void watermark_raise(BgCore *core, BgCoreSource *source, int64_t at)
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
        BgSeriesState *state;

        if (core->loading)
                return;
        core->n.children_added += change->added;
        core->n.children_removed += change->removed;
        if (bg_registry_model(core->registry, series->model)->merged_into != BG_MODEL_NONE) {
                bg_refit_forget(core, series);
                bg_incidents_forget(core, id, series);
                return; /* what it had is another series' now, and that one is told of too */
        }
        state = bg_core_state(core, series);
        if (!state || bg_core_mark_dirty(core, id, series)) {
                core->failed = -ENOMEM;
                return;
        }
        state->since.added += change->added;
        state->since.removed += change->removed;
        state->since.tallied += change->tallied;
        state->since.release_changed |= change->release_changed;
        state->since.renamed |= change->renamed;
        if (change->added && change->at && state->issued && change->at <= state->issued->as_of) {
                state->since.late += change->added;
                core->n.events_late += change->added;
        }
        if (core->incidents && change->added == 1 && !change->removed && change->child.len)
                bg_incidents_event(core, id, series, change->at, change->child);
}

/* ---- in ---------------------------------------------------------------------------------------------------------------------- */

/** When an event happened, for the check against the clock and for the watermark. */
static int64_t event_time(const BgEvent *event)
{
        return event->type == BG_EVENT_TALLY ? event->to : event->at;
}

static int apply(BgCore *core, BgCoreSource *source, const BgEvent *event, BgReject *reasonp)
{
        int64_t at = event_time(event);
        int r = 0;

        if (event->type == BG_EVENT_ALIVE) {
                if (event->source.len && source && !bg_str_equal(event->source, bg_str(source->name))) {
                        if (!bg_core_knows_source(core, event->source)) {
                                *reasonp = BG_REJECT_LIMIT;
                                return BG_CORE_E_REJECTED;
                        }
                        source = source_get(core, event->source);
                        if (!source)
                                return -ENOMEM;
                }
                if (source && at <= source->watermark)
                        return BG_CORE_E_DUPLICATE;
                watermark_raise(core, source, at);
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
                watermark_raise(core, source, at);
        return 0;
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
        source = source_get(core, source_name);
        if (!source)
                return -ENOMEM;
        core->now = now;
        r = apply(core, source, event, reasonp);
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
                        r = bg_store_append(core->store, event, now);
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
        BgCoreSource *source = source_get(core, source_name);

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

static int load_event(void *data, int64_t log, const BgEvent *event)
{
        BgCore *core = data;
        BgReject reason;
        int r;

        (void)log;
        r = apply(core, NULL, event, &reason);
        /* the same rules accepted it once; a rule that became stricter must not make the state unreadable */
        return r < 0 ? r : 0;
}

static int load_source(void *data, const BgStoreSource *stored)
{
        BgCore *core = data;
        BgCoreSource *source = source_get(core, stored->source);

        if (!source)
                return -ENOMEM;
        source->seq = stored->seq;
        source->batch_at = stored->batch_at;
        if (stored->batch_at > core->batch_at) /* who was silent before the restart is silent still */
                core->batch_at = stored->batch_at;
        watermark_raise(core, source, stored->watermark);
        return 0;
}

static int load_series(void *data, const BgStoreSeries *stored)
{
        BgCore *core = data;
        BgModelId model = bg_registry_find(core->registry, stored->model);
        BgSeriesId id = model == BG_MODEL_NONE || stored->relation >= BG_RELATION_N
                                ? BG_SERIES_NONE
                                : bg_registry_model(core->registry, model)->series[stored->relation];
        BgArena arena = { 0 };
        BgForecast message;
        BgIssued *issued = NULL;
        BgSeriesState *state;
        BgSeries *series;
        bool renamed = false;
        int r = 0;

        if (id == BG_SERIES_NONE)
                return 0; /* the model was merged into another since: that one has its own state, or is refitted cold */
        series = bg_registry_series(core->registry, id);
        state = bg_core_state(core, series);
        if (!state)
                return -ENOMEM;
        if (stored->issued.len && !bg_proto_unpack(&bg_proto_forecast, stored->issued.data, stored->issued.len, &arena, &message, NULL)) {
                issued = bg_issued_from_message(&message);
                renamed = !bg_str_equal(message.model, bg_str(bg_registry_model(core->registry, series->model)->name));
        }
        bg_arena_deinit(&arena);
        /* Renamed and merged models have several rows. Revisions of two models that became one do not tell which is newer: time does.
         * But they never fall. */
        if (state->issued && issued) {
                uint32_t rev = issued->rev > state->issued->rev ? issued->rev : state->issued->rev;

                state->issued->rev = issued->rev = rev;
        }
        if (state->issued && (!issued || issued->at <= state->issued->at)) {
                free(issued);
                return 0;
        }
        free(state->issued);
        state->issued = issued;
        state->since.renamed = renamed;
        if (issued)
                issued->seq = 0; /* of another epoch: it would run ahead of the numbers of this one */
        for (int i = 0; i < BG_THETA_N; i++)
                state->theta[i] = stored->theta[i];
        for (int i = 0; i < BG_SYM_N; i++)
                state->laplace[i] = (float)stored->spread[i];
        state->dispersion = (float)stored->dispersion;
        state->objective = stored->objective;
        state->fit_status = (uint8_t)stored->fit_status;
        for (int i = 0; i < BG_THETA_N; i++)
                if (!isfinite(state->theta[i]))
                        state->fit_status = BG_FIT_NONE; /* a cold start is always right */
        if (core->incidents)
                r = bg_incidents_unpack(core, id, series, stored->extra);
        return r;
}

/** What the log tells beyond the last revision that was saved. False: nothing. */
static bool note_unpublished(BgCore *core, const BgSeries *series, BgSeriesState *state)
{
        int64_t more = bg_series_count(series, UINT32_MAX) - (int64_t)state->issued->count;

        if (series->n_tallies)
                state->since.tallied = more;
        else if (more > 0)
                state->since.added = (uint32_t)more;
        else
                state->since.removed = (uint32_t)-more;
        state->since.release_changed = bg_registry_model(core->registry, series->model)->release != state->issued->release;
        return more || state->since.release_changed || state->since.renamed;
}

/** After loading: what has no forecast, or one that the log has gone beyond, waits for a refit; the rest for its day. */
static int settle(BgCore *core)
{
        for (BgSeriesId id = 0; id < bg_registry_n_series(core->registry); id++) {
                BgSeries *series = bg_registry_series(core->registry, id);
                BgSeriesState *state = series->state;
                int r = 0;

                if (series->n_times == 0 && series->n_tallies == 0 && !(state && state->issued))
                        continue;
                if (!state || !state->issued || note_unpublished(core, series, state)) {
                        r = bg_core_mark_dirty(core, id, series);
                } else {
                        state->due = state->issued->as_of + (BgSecond)(core->spec.refresh_us / 1000000);
                        state->queued = true;
                        r = bg_schedule_put(&core->schedule, id, state->due);
                }
                if (r)
                        return r;
        }
        return 0;
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
        bg_learner_init(&core->learner);
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
                core->loading = true;
                r = bg_store_read_log(store, load_event, core);
                if (!r)
                        r = bg_store_read_sources(store, load_source, core);
                if (!r)
                        r = bg_store_read_series(store, load_series, core);
                if (!r)
                        r = settle(core);
                core->loading = false;
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
        free(core->sources);
        free(core);
}

void bg_core_configure(BgCore *core, const BgCoreSpec *spec)
{
        memcpy(core->spec.horizons, spec->horizons, sizeof(core->spec.horizons));
        core->spec.n_horizons = spec->n_horizons;
        core->spec.refresh_us = spec->refresh_us;
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
        if (bg_core_mark_dirty(core, id, series))
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

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What survives a restart. A checkpoint writes, in one group with the events, the state of every series that changed and what was
 * learned across them, and where in the log that was. A restart applies the log up to there, puts the state back, and lets the
 * rest of the log happen to it: then it stands where it would stand had it not been away.
 *
 * Series are known by their dense ids in what was learned: the log alone decides them, as every event in it is one that changed
 * something, and one that did not makes no series. A program that counts by other rules than the one that wrote the state is
 * found out by a digest over all names in order.
 */
#include "daemon/stream/refit.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/util/log.h"

enum { STATE_VERSION = 1 };
enum { FLAG_RELEASE = 1, FLAG_RENAMED = 2, FLAG_REFRESHED = 4, FLAG_REGIME = 8, FLAG_DIRTY = 16 };

/** Row `core` of what was learned, in this layout under STATE_VERSION. */
struct kept {
        uint32_t version;
        uint32_t hour;    /* of the schedule */
        int64_t log;
        uint64_t n_series;
        uint64_t digest;
};

/** Which series is which: FNV-1a over models and relations in order of the ids. */
static uint64_t digest_of(const BgCore *core)
{
        uint64_t digest = UINT64_C(0xcbf29ce484222325);

        for (BgSeriesId id = 0; id < bg_registry_n_series(core->registry); id++) {
                const BgSeries *series = bg_registry_series(core->registry, id);
                const BgModel *model = bg_registry_model(core->registry, series->model);

                digest = (digest ^ series->relation) * UINT64_C(0x100000001b3);
                for (size_t i = 0; i < model->name_len; i++)
                        digest = (digest ^ (unsigned char)model->name[i]) * UINT64_C(0x100000001b3);
        }
        return digest;
}

/* ---- checkpoint ---------------------------------------------------------------------------------------------------------------- */

static void since_put(BgStoreSeries *row, const BgSince *since)
{
        row->added = since->added;
        row->removed = since->removed;
        row->late = since->late;
        row->tallied = since->tallied;
        row->flags = (since->release_changed ? FLAG_RELEASE : 0) | (since->renamed ? FLAG_RENAMED : 0) |
                     (since->refreshed ? FLAG_REFRESHED : 0) | (since->regime ? FLAG_REGIME : 0);
}

static int save_series(BgCore *core, const BgSeries *series, BgArena *arena, BgBuffer *issued, BgBuffer *extra)
{
        const BgModel *model = bg_registry_model(core->registry, series->model);
        BgSeriesState *state = series->state;
        BgStoreSeries row = { .model = { model->name, model->name_len }, .relation = series->relation };
        BgSince since = state->since;
        BgForecast message;
        int r = 0;

        bg_buffer_clear(issued);
        bg_buffer_clear(extra);
        bg_arena_clear(arena);
        if (state->issued) {
                r = bg_issued_message(core, series, state->issued, arena, &message);
                message.status = state->issued->status; /* whether the input is stale is a matter of the moment */
                if (!r)
                        r = bg_proto_pack(&bg_proto_forecast, &message, issued);
                row.rev = state->issued->rev;
        }
        if (!r && series->surge)
                r = bg_incidents_pack(series, extra);
        if (r)
                return r;
        memcpy(row.theta, state->fit.theta, sizeof(row.theta));
        for (int k = 0; k < BG_SYM_N; k++)
                row.spread[k] = state->fit.laplace[k];
        row.dispersion = state->fit.dispersion;
        row.objective = state->fit.objective;
        row.moved = state->fit.moved;
        row.fit_status = state->fit.status;
        row.trained_at = state->trained_at ? bg_second_to_us(state->trained_at) : 0;
        row.archived_at = state->archived_at ? bg_second_to_us(state->archived_at) : 0;
        row.due = state->queued ? bg_second_to_us(state->due) : 0;
        row.contributed = state->contributed;
        for (int k = 0; k < BG_THETA_N + BG_SYM_N; k++)
                row.contribution[k] = state->contribution[k];
        if (state->held)
                bg_since_add(&since, &state->held->draft->since);
        since_put(&row, &since);
        if (series->dirty || state->in_job || state->held)
                row.flags |= FLAG_DIRTY;
        row.issued = (BgStr){ issued->data, issued->len };
        row.extra = (BgStr){ extra->data, extra->len };
        state->saved = true;
        return bg_store_put_series(core->store, &row);
}

static int put_learned(void *store, BgStr name, BgStr bytes)
{
        return bg_store_put_learned(store, name, bytes);
}

/** Each time, for the place in the log has moved: what is restored from here belongs to this place. */
static int save_shared(BgCore *core)
{
        struct kept kept = {
                .version = STATE_VERSION,
                .hour = core->schedule.hour,
                .log = core->log,
                .n_series = bg_registry_n_series(core->registry),
                .digest = digest_of(core),
        };
        int r = bg_learner_save(&core->learner, put_learned, core->store);

        return r ? r : bg_store_put_learned(core->store, BG_STR("core"), (BgStr){ (const char *)&kept, sizeof(kept) });
}

int bg_core_checkpoint(BgCore *core)
{
        BgBuffer issued = { 0 }, extra = { 0 };
        BgArena arena = { 0 };
        size_t n = 0;
        int r = 0;

        if (!core->store || (core->n_unsaved == 0 && !core->learner.changed && core->log == core->saved_log))
                return 0;
        for (; n < core->n_unsaved && !r; n += !r) {
                BgSeries *series = bg_registry_series(core->registry, core->unsaved[n]);

                if (bg_registry_model(core->registry, series->model)->merged_into == BG_MODEL_NONE)
                        r = save_series(core, series, &arena, &issued, &extra); /* else who took over has a state of its own */
                if (!r)
                        series->state->unsaved = false;
        }
        /* what was not put stays on the list */
        if (core->n_unsaved > n)
                memmove(core->unsaved, core->unsaved + n, (core->n_unsaved - n) * sizeof(*core->unsaved));
        core->n_unsaved -= n;
        if (!r)
                r = save_shared(core);
        if (!r)
                core->saved_log = core->log;
        bg_buffer_deinit(&issued);
        bg_buffer_deinit(&extra);
        bg_arena_deinit(&arena);
        return r;
}

/* ---- restart ------------------------------------------------------------------------------------------------------------------- */

struct restart {
        BgCore *core;
        struct kept kept;
        bool known;   /* `kept` was there */
        bool learned; /* the learner's state was */
};

static int find_kept(void *data, BgStr name, BgStr bytes)
{
        struct restart *restart = data;

        if (!bg_str_equal(name, BG_STR("core")) || bytes.len != sizeof(restart->kept))
                return 0;
        memcpy(&restart->kept, bytes.data, sizeof(restart->kept));
        restart->known = restart->kept.version == STATE_VERSION;
        return 0;
}

static int load_learned(void *data, BgStr name, BgStr bytes)
{
        return bg_learner_load(&((BgCore *)data)->learner, name, bytes);
}

static BgSince since_of(const BgStoreSeries *row)
{
        return (BgSince){
                .added = (uint32_t)row->added,
                .removed = (uint32_t)row->removed,
                .late = (uint32_t)row->late,
                .tallied = row->tallied,
                .release_changed = row->flags & FLAG_RELEASE,
                .renamed = row->flags & FLAG_RENAMED,
                .refreshed = row->flags & FLAG_REFRESHED,
                .regime = row->flags & FLAG_REGIME,
        };
}

static void load_fit(BgKeptFit *fit, const BgStoreSeries *row)
{
        for (int i = 0; i < BG_THETA_N; i++)
                fit->theta[i] = row->theta[i];
        for (int i = 0; i < BG_SYM_N; i++)
                fit->laplace[i] = (float)row->spread[i];
        fit->dispersion = (float)row->dispersion;
        fit->objective = row->objective;
        fit->moved = (float)row->moved;
        fit->status = (uint8_t)row->fit_status;
        for (int i = 0; i < BG_THETA_N; i++)
                if (!isfinite(fit->theta[i]))
                        fit->status = BG_FIT_NONE; /* a cold start is always right */
}

static void load_contribution(BgSeriesState *state, const BgStoreSeries *row)
{
        bool finite = true;

        state->trained_at = row->trained_at ? bg_second_from_us(row->trained_at) : 0;
        for (int i = 0; i < BG_THETA_N + BG_SYM_N; i++) {
                state->contribution[i] = (float)row->contribution[i];
                finite &= (bool)isfinite(state->contribution[i]);
        }
        state->contributed = row->contributed && finite;
}

static int load_series(void *data, const BgStoreSeries *row)
{
        const struct restart *restart = data;
        BgCore *core = restart->core;
        BgModelId model = bg_registry_find(core->registry, row->model);
        BgSeriesId id = model == BG_MODEL_NONE ? BG_SERIES_NONE : bg_registry_model(core->registry, model)->series[row->relation];
        BgArena arena = { 0 };
        BgForecast message;
        BgSeriesState *state;
        BgSeries *series;
        bool current;
        int r = 0;

        if (id == BG_SERIES_NONE)
                return 0; /* the model was merged into another since: that one has its own state, or is refitted cold */
        series = bg_registry_series(core->registry, id);
        current = bg_str_equal(row->model, bg_str(bg_registry_model(core->registry, model)->name));
        if (series->state && series->state->saved && (!current || (series->state->issued && series->state->issued->rev > row->rev)))
                return 0; /* a renamed model has a row under each of its names */
        state = bg_core_state(core, series);
        if (!state)
                return -ENOMEM;
        state->saved = true;
        load_fit(&state->fit, row);
        if (restart->learned)
                load_contribution(state, row);
        state->since = since_of(row);
        state->archived_at = row->archived_at ? bg_second_from_us(row->archived_at) : 0;
        state->queued = row->due != 0;
        state->due = row->due ? bg_second_from_us(row->due) : 0;
        if (row->issued.len && !bg_proto_unpack(&bg_proto_forecast, row->issued.data, row->issued.len, &arena, &message, NULL)) {
                free(state->issued);
                state->issued = bg_issued_from_message(&message);
                if (state->issued)
                        state->issued->seq = 0; /* of another epoch: it would run ahead of the numbers of this one */
        }
        series->dirty = false; /* said by a former name's row, perhaps; its entry in the list is passed over then */
        if (row->flags & FLAG_DIRTY)
                r = bg_core_mark_dirty(core, id, series);
        if (!r && core->incidents)
                r = bg_incidents_unpack(core, id, series, row->extra);
        bg_arena_deinit(&arena);
        return r;
}

/** The state as it was saved, at its place in the log. */
static int restore(struct restart *restart)
{
        BgCore *core = restart->core;
        bool same = restart->known && restart->kept.n_series == bg_registry_n_series(core->registry) &&
                    restart->kept.digest == digest_of(core);
        int r = same ? bg_store_read_learned(core->store, load_learned, core) : 0;

        core->restored = true;
        if (r)
                return r;
        restart->learned = bg_learner_loaded(&core->learner);
        if (!restart->learned)
                bg_core_begin_learning(core);
        if (restart->known && !restart->learned)
                bg_log(BG_LOG_WARNING, "state.unlearned", "what was learned across models cannot be used; it is learned anew",
                       bg_kv("why", same ? "another version's, or not whole" : "the log was counted by other rules"));
        if (restart->known)
                core->schedule.hour = restart->kept.hour;
        return bg_store_read_series(core->store, load_series, restart);
}

static int load_event(void *data, int64_t log, const BgEvent *event)
{
        struct restart *restart = data;
        BgReject reason;
        int r = 0;

        if (!restart->core->restored && restart->known && log > restart->kept.log)
                r = restore(restart);
        if (!r)
                r = bg_core_count(restart->core, NULL, event, &reason);
        restart->core->log = log;
        /* the same rules accepted it once; a rule that became stricter must not make the state unreadable */
        return r < 0 ? r : 0;
}

static int load_source(void *data, const BgStoreSource *stored)
{
        BgCore *core = data;
        BgCoreSource *source = bg_core_source(core, stored->source);

        if (!source)
                return -ENOMEM;
        source->seq = stored->seq;
        source->batch_at = stored->batch_at;
        if (stored->batch_at > core->batch_at) /* who was silent before the restart is silent still */
                core->batch_at = stored->batch_at;
        bg_core_raise_watermark(core, source, stored->watermark);
        return 0;
}

/** Entries of the schedule are made anew: what is due at a time waits for it; what was not known of then is refitted now. */
static int settle(const struct restart *restart)
{
        BgCore *core = restart->core;

        for (BgSeriesId id = 0; id < bg_registry_n_series(core->registry); id++) {
                BgSeries *series = bg_registry_series(core->registry, id);
                BgSeriesState *state = series->state;
                int r = 0;

                if (series->n_times == 0 && series->n_tallies == 0 && !(state && state->issued))
                        continue;
                if (state && state->queued)
                        r = bg_schedule_put(&core->schedule, id, state->due);
                else if (!state || !state->saved)
                        r = bg_core_mark_dirty(core, id, series);
                /* not known where in the log the state was saved: what it does not know of shows in the counts only */
                if (!r && !restart->known && state && state->issued &&
                    state->issued->count != (double)bg_series_count(series, UINT32_MAX))
                        r = bg_core_mark_dirty(core, id, series);
                if (r)
                        return r;
        }
        return 0;
}

int bg_keep_restore(BgCore *core)
{
        struct restart restart = { .core = core };
        BgCoreSink sink = core->sink;
        int r;

        core->sink = (BgCoreSink){ 0 }; /* what ends with a merger was told when it ended */

        core->loading = true;
        core->restored = false;
        r = bg_store_read_learned(core->store, find_kept, &restart);
        if (!r)
                r = bg_store_read_log(core->store, load_event, &restart);
        if (!r && !core->restored)
                r = restore(&restart);
        if (!r)
                r = bg_store_read_sources(core->store, load_source, core);
        if (!r)
                r = settle(&restart);
        core->saved_log = restart.known ? restart.kept.log : 0;
        core->loading = false;
        core->sink = sink;
        core->seq = 0;
        return r;
}

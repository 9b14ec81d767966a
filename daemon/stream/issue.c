/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Publishing with judgement: when a refit becomes a revision.
 *
 *   at once       the first one; a material move (below), unless the last revision is too fresh; any other after a calm minute
 *   after a while everything else is held, and told when nothing new came for `settle`, at the latest after a calm minute
 *   never         a renewal that has nothing new to say
 *
 * Material is a move of the median or of an end of the 80 % band, at any of the configured horizons, by more than `material` on the
 * scale ln(1 + count); and what is no number: another status, another release, another name, an accepted regime.
 *
 * How fresh is too fresh doubles with every revision that comes on the heels of the one before, from `settle` to twelve times of
 * it: a storm of a minute makes five revisions, one of an hour makes one a minute, and the last one is right `settle` after its
 * end. Until then queries and last values go on telling the last revision, whole: its fit is kept beside the newer one.
 */
#include "daemon/stream/refit.h"

#include <errno.h>
#include <stdlib.h>

enum {
        CALM = 12,  /* times `settle` */
        TICKS = 20, /* `settle` is so many: held series come up together, not one by one */
};

void bg_held_free(BgHeld *held)
{
        if (!held)
                return;
        free(held->draft);
        free(held);
}

/* ---- drafts -------------------------------------------------------------------------------------------------------------------- */

static float shift_of(const BgIssued *before, const BgRefitItem *item, size_t n_horizons)
{
        size_t i = n_horizons > 2 ? 2 : n_horizons - 1;

        if (!before || n_horizons == 0 || before->n_points <= i || before->points[i].days != (float)item->points[i].days)
                return NAN;
        return (float)log((item->points[i].q[3] + 1) / (before->count + (double)before->points[i].q[3] + 1));
}

/** What the revision before said: its curve, its forecast, and what it expected by now. */
static BgIssuedBefore before_of(const BgSeriesState *state, const BgRefitItem *item)
{
        const BgIssued *before = state->issued;
        const BgFit fit = bg_state_fit(state, item->fit.m);
        const BgIssuedPoint *point = before ? bg_issued_near(before, 90) : NULL;
        BgIssuedBefore kept = { .expected = NAN, .days = NAN, .median = NAN };

        if (!before)
                return kept;
        kept.count = before->count;
        kept.as_of = before->as_of;
        kept.lambda = before->lambda;
        kept.mu = before->mu;
        kept.sigma = before->sigma;
        if (item->as_of > before->as_of && before->as_of >= before->release && fit.status != BG_FIT_NONE)
                kept.expected = (float)bg_forecast_increment(&fit, before->count,
                                                             (double)(before->as_of - before->release) / 86400,
                                                             (double)(item->as_of - before->release) / 86400);
        if (point) {
                kept.days = point->days;
                kept.median = point->q[3];
        }
        return kept;
}

static BgIssued *draft_new(const BgSeries *series, const BgRefitJob *job, const BgRefitItem *item, BgStart start)
{
        const BgFit *fit = &item->fit;
        size_t n = job->n_horizons;
        BgIssued *draft = calloc(1, sizeof(*draft) + n * sizeof(draft->points[0]));
        BgGrowth growth = bg_fit_growth(fit);

        if (!draft)
                return NULL;
        *draft = (BgIssued){
                .count = item->count,
                .as_of = item->as_of,
                .release = item->release,
                .since = item->since,
                .before = before_of(series->state, item),
                .shift = shift_of(series->state->issued, item, n),
                .rate = (float)item->rate,
                .ultimate = (float)item->ultimate,
                .impact_days = (float)fmin(exp(growth.mu), 1e15),
                .lambda = (float)growth.lambda,
                .lambda_sd = (float)sqrt(fit->spread[0]),
                .mu = (float)growth.mu,
                .mu_sd = (float)sqrt(fit->spread[2]),
                .sigma = (float)growth.sigma,
                .sigma_sd = (float)sqrt(fit->spread[5]),
                .m = (float)growth.m,
                .dispersion = (float)fit->dispersion,
                .moved = (float)fit->moved,
                .status = (uint8_t)bg_refit_status(&job->spec, fit, item->count, item->age_days),
                .start = (uint8_t)start,
                .n_points = (uint8_t)n,
        };
        if (bg_incidents_open(series))
                draft->status = BG_STATUS_SURGING;
        for (size_t i = 0; i < n; i++) {
                const BgForecastPoint *from = &item->points[i];
                BgIssuedPoint *to = &draft->points[i];

                to->days = (float)from->days;
                to->mean = (float)(from->mean - item->count);
                for (int q = 0; q < BG_QUANTILE_N; q++)
                        to->q[q] = (float)(from->q[q] - item->count);
        }
        return draft;
}

static BgKeptFit kept_of(const BgFit *fit)
{
        BgKeptFit kept = { .objective = fit->objective, .dispersion = (float)fit->dispersion, .moved = (float)fit->moved,
                           .status = (uint8_t)fit->status };

        memcpy(kept.theta, fit->theta, sizeof(kept.theta));
        for (int i = 0; i < BG_SYM_N; i++)
                kept.laplace[i] = (float)fit->laplace[i];
        return kept;
}

/* ---- judgement ----------------------------------------------------------------------------------------------------------------- */

/** The largest move of a median or an end of an 80 % band; infinite when the horizons are others. */
static double move_between(const BgIssued *before, const BgIssued *after)
{
        static const int told[] = { 1, 3, 5 }; /* 10, 50, 90 % */
        double move = 0;

        if (before->n_points != after->n_points)
                return INFINITY;
        for (size_t i = 0; i < after->n_points; i++) {
                if (before->points[i].days != after->points[i].days)
                        return INFINITY;
                for (size_t k = 0; k < sizeof(told) / sizeof(*told); k++) {
                        double a = before->count + (double)before->points[i].q[told[k]];
                        double b = after->count + (double)after->points[i].q[told[k]];

                        move = fmax(move, fabs(log1p(b) - log1p(a)));
                }
        }
        return move;
}

static bool is_material(const BgCore *core, const BgIssued *before, const BgIssued *draft)
{
        const BgSince *since = &draft->since;

        return draft->status != before->status || since->release_changed || since->renamed || since->regime ||
               move_between(before, draft) > core->spec.material;
}

/** A renewal of the same counts, as of the same time: a tally's series knows nothing of the time after. */
static bool is_empty(const BgIssued *before, const BgIssued *draft)
{
        const BgSince *since = &draft->since;

        return draft->as_of == before->as_of && draft->count == before->count && !since->added && !since->removed && !since->tallied;
}

/** How long after the last revision the next one may come. */
static int64_t pace(const BgCore *core, const BgSeriesState *state)
{
        int64_t calm = core->spec.settle_us * CALM, wait = core->spec.settle_us;

        for (int i = 0; i < state->haste && wait < calm; i++)
                wait *= 2;
        return wait < calm ? wait : calm;
}

/** Time since the last revision; a clock that was set back has no say. */
static int64_t gap_of(const BgSeriesState *state, int64_t now)
{
        return now >= state->issued->at ? now - state->issued->at : INT64_MAX;
}

/* ---- revisions ----------------------------------------------------------------------------------------------------------------- */

static void publish(BgCore *core, const BgSeries *series, const BgIssued *issued)
{
        BgArena arena = { 0 };
        BgForecast message;

        if (core->sink.forecast && !bg_issued_message(core, series, issued, &arena, &message))
                core->sink.forecast(core->sink.data, &message);
        bg_arena_deinit(&arena);
}

/** The draft becomes the last revision. */
static void issue(BgCore *core, BgSeries *series, const BgKeptFit *fit, BgIssued *draft, int64_t now)
{
        BgSeriesState *state = series->state;
        const BgIssued *before = state->issued;

        if (before && core->spec.settle_us && gap_of(state, now) < 2 * pace(core, state)) {
                if (core->spec.settle_us << state->haste < core->spec.settle_us * CALM)
                        state->haste++;
        } else {
                state->haste = 0;
        }
        draft->seq = ++core->seq;
        draft->at = now;
        draft->rev = before ? before->rev + 1 : 1;
        draft->prev_rev = before ? before->rev : 0;
        free(state->issued);
        state->issued = draft;
        state->fit = *fit;
        core->n.forecasts++;
        publish(core, series, draft);
}

/** Up to the next tick. */
static int64_t rounded_up(const BgCore *core, int64_t at)
{
        int64_t tick = core->spec.settle_us / TICKS + 1;

        return (at + tick - 1) / tick * tick;
}

static int hold(BgCore *core, BgSeriesId id, BgSeriesState *state, const BgKeptFit *fit, BgIssued *draft, bool material, int64_t now)
{
        int64_t quiet = now + core->spec.settle_us, latest;

        if (!state->held) {
                if (!state->listed && bg_core_list_push(&core->held, &core->n_held, &core->cap_held, id))
                        return -ENOMEM;
                state->listed = true;
                state->held = calloc(1, sizeof(*state->held));
                if (!state->held)
                        return -ENOMEM;
                state->held->first = now;
        }
        free(state->held->draft);
        state->held->draft = draft;
        state->held->fit = *fit;
        latest = material ? state->issued->at + pace(core, state) : state->held->first + core->spec.settle_us * CALM;
        if (latest < now)
                latest = now;
        state->held->due = rounded_up(core, quiet < latest ? quiet : latest);
        if (state->held->due < core->held_due)
                core->held_due = state->held->due;
        core->n.refits_held++;
        return 0;
}

/** The held one is overtaken: what happened before it goes to the one that takes its place. */
static void overtake(BgSeriesState *state, BgIssued *draft)
{
        if (!state->held)
                return;
        bg_since_add(&draft->since, &state->held->draft->since);
        if (draft->since.added || draft->since.removed || draft->since.tallied)
                draft->since.refreshed = false;
}

int bg_issue(BgCore *core, const BgRefitJob *job, const BgRefitItem *item, BgStart start, int64_t now)
{
        BgSeries *series = bg_registry_series(core->registry, item->id);
        BgSeriesState *state = series->state;
        BgIssued *draft = draft_new(series, job, item, start);
        BgKeptFit fit = kept_of(&item->fit);
        bool material;
        int r;

        if (!draft)
                return -ENOMEM;
        overtake(state, draft);
        if (core->spec.settle_us && state->issued) {
                material = is_material(core, state->issued, draft);
                if (!material && !state->held && is_empty(state->issued, draft)) {
                        free(draft);
                        core->n.refits_empty++;
                        return 0;
                }
                /* a renewal is due because its day is over: that is reason enough */
                if (!item->since.refreshed && gap_of(state, now) < (material ? pace(core, state) : core->spec.settle_us * CALM)) {
                        r = hold(core, item->id, state, &fit, draft, material, now);
                        if (r)
                                free(draft);
                        return r;
                }
        }
        bg_held_free(state->held); /* its entry in the list goes when it comes up */
        state->held = NULL;
        issue(core, series, &fit, draft, now);
        return 0;
}

void bg_issue_advance(BgCore *core, int64_t now)
{
        int64_t next = INT64_MAX, horizon = now + core->spec.settle_us * CALM * 2;
        size_t n = 0;

        if (core->n_held == 0 || (now < core->held_due && core->held_due <= horizon))
                return;
        for (size_t i = 0; i < core->n_held; i++) {
                BgSeriesId id = core->held[i];
                BgSeries *series = bg_registry_series(core->registry, id);
                BgHeld *held = series->state->held;

                if (held && held->due > now && held->due <= horizon) { /* beyond the horizon: the clock was set back */
                        core->held[n++] = id;
                        if (held->due < next)
                                next = held->due;
                        continue;
                }
                series->state->listed = false;
                series->state->held = NULL;
                if (held && bg_registry_model(core->registry, series->model)->merged_into == BG_MODEL_NONE) {
                        issue(core, series, &held->fit, held->draft, now);
                        held->draft = NULL;
                        if (bg_core_mark_unsaved(core, id, series->state))
                                core->failed = -ENOMEM;
                }
                bg_held_free(held);
        }
        core->n_held = n;
        core->held_due = next;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Refits: dirty series are copied into a job, fitted and forecast on any thread, and adopted in the order of the job on the
 * thread that owns the core. A job knows nothing of the core while it runs, so there is nothing to lock.
 */
#include "daemon/stream/refit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A week is what it takes to see a weekday pattern once: before that the forecast is the prior's, however many children came. */
#define WARMING_AGE_DAYS 7.0
/* Mean of the posterior's share of the prior's variance: above one half the prior says more than the data. */
#define WEAK_SHARE 0.5
/* An audit calls warm and cold optimum apart beyond this relative difference in any parameter. */
#define AUDIT_TOLERANCE 1e-4
/* One training origin a bin; a little less, because calendar months have 28 days too. */
enum { TRAIN_EVERY_S = 27 * 86400 };
/* Younger series tell the shared prior about the prior. */
#define CONTRIBUTE_AGE_DAYS (3 * BG_POOL_BIN_DAYS)

/* ---- jobs ---------------------------------------------------------------------------------------------------------------------- */

int bg_refit_job_new(BgRefitJob **jobp, const BgCore *core)
{
        BgRefitJob *job = calloc(1, sizeof(*job));

        if (!job)
                return -ENOMEM;
        memcpy(job->horizons, core->spec.horizons, sizeof(job->horizons));
        job->n_horizons = core->spec.n_horizons;
        bg_refit_job_reset(job, core);
        *jobp = job;
        return 0;
}

void bg_refit_job_free(BgRefitJob *job)
{
        if (!job)
                return;
        free(job->items);
        free(job->edges);
        free(job->counts);
        free(job);
}

void bg_refit_job_reset(BgRefitJob *job, const BgCore *core)
{
        job->n = 0;
        job->n_edges = 0;
        job->spec = core->spec.fit;
        job->forecaster = core->spec.forecaster;
        if (job->forecaster == BG_FORECASTER_POOLED) {
                job->spec.prior = core->learner.prior;
                job->pool = core->learner.pool;
        }
}

static int job_reserve(BgRefitJob *job, size_t n_edges)
{
        if (job->n == job->cap) {
                size_t cap = job->cap ? job->cap * 2 : 64;
                BgRefitItem *items = realloc(job->items, cap * sizeof(*items));
                if (!items)
                        return -ENOMEM;
                job->items = items;
                job->cap = cap;
        }
        if (job->n_edges + n_edges > job->cap_edges) {
                size_t cap = (job->cap_edges + n_edges) * 2;
                double *edges = realloc(job->edges, cap * sizeof(*edges));
                double *counts;
                if (!edges)
                        return -ENOMEM;
                job->edges = edges;
                counts = realloc(job->counts, cap * sizeof(*counts));
                if (!counts)
                        return -ENOMEM;
                job->counts = counts;
                job->cap_edges = cap;
        }
        return 0;
}

static BgFit fit_of(const BgKeptFit *kept, double m)
{
        BgFit fit = { 0 };

        if (kept->status == BG_FIT_NONE)
                return fit;
        for (int i = 0; i < BG_THETA_N; i++)
                fit.theta[i] = kept->theta[i];
        for (int i = 0; i < BG_SYM_N; i++)
                fit.spread[i] = fit.laplace[i] = kept->laplace[i];
        fit.m = m;
        fit.dispersion = kept->dispersion;
        fit.objective = kept->objective;
        fit.moved = kept->moved;
        fit.status = kept->status;
        return fit;
}

BgFit bg_state_fit(const BgSeriesState *state, double m)
{
        return state ? fit_of(&state->fit, m) : (BgFit){ 0 };
}

BgFit bg_issued_fit(const BgSeriesState *state, double m)
{
        const BgIssued *issued = state->issued;
        const double sd[BG_THETA_N] = { issued->lambda_sd, issued->mu_sd, issued->sigma_sd };
        BgFit fit = bg_state_fit(state, m);
        double scale[BG_THETA_N];

        if (fit.status == BG_FIT_NONE)
                return fit;
        for (int i = 0, k = 0; i < BG_THETA_N; k += ++i + 1)
                scale[i] = fit.laplace[k] > 0 && sd[i] > 0 ? sd[i] / sqrt(fit.laplace[k]) : 1;
        for (int i = 0, k = 0; i < BG_THETA_N; i++)
                for (int j = 0; j <= i; j++, k++)
                        fit.spread[k] = fit.laplace[k] * scale[i] * scale[j];
        return fit;
}

/**
 * Which knots learn from an origin. All of them from one a bin; those of less than a bin also from the first refit in every day
 * or week, as long as they are: outcomes that do not overlap, each of them news.
 */
static unsigned training(const BgSeriesState *state, BgSecond as_of)
{
        unsigned knots = 0;
        BgSecond last = !state ? 0 : state->held ? state->held->draft->as_of : state->issued ? state->issued->as_of : 0;

        if (!state || !state->trained_at || as_of >= state->trained_at + TRAIN_EVERY_S)
                return BG_LEARN_ALL_KNOTS;
        for (unsigned k = 0; k < BG_POOL_KNOT_N && bg_pool_knot_days(k) < BG_POOL_BIN_DAYS; k++) {
                BgSecond slot = (BgSecond)(fmax(bg_pool_knot_days(k), 1) * 86400);

                if (as_of / slot != last / slot)
                        knots |= 1u << k;
        }
        return knots;
}

int bg_refit_job_add(BgRefitJob *job, BgCore *core, BgSeriesId id, BgSecond as_of, bool origin)
{
        BgSeries *series = bg_registry_series(core->registry, id);
        const BgModel *model = bg_registry_model(core->registry, series->model);
        BgSeriesState *state = series->state;
        BgSeriesBins bins;
        BgRefitItem *item;
        int r;

        if (model->merged_into != BG_MODEL_NONE || as_of <= model->release)
                return 1;
        bg_series_bins(&bins, series, model->release, as_of);
        r = job_reserve(job, bins.n + 1);
        if (r)
                return r;
        if (job->spec.estimator == BG_ESTIMATOR_LEAST_SQUARES && series->n_times == 0 && bins.n) /* the paper's clock counts months */
                bg_counts_snap_months(bins.edges_days, bins.n);
        item = &job->items[job->n++];
        *item = (BgRefitItem){ .id = id, .release = model->release, .as_of = as_of, .edges = job->n_edges, .n_bins = bins.n,
                               .origin = origin };
        memcpy(job->edges + job->n_edges, bins.edges_days, (bins.n + 1) * sizeof(double));
        memcpy(job->counts + job->n_edges, bins.counts, bins.n * sizeof(double));
        job->n_edges += bins.n + 1;
        /* tallies may end before as_of, and then nothing is known of the time after: the forecast starts where knowledge ends */
        if (bins.n && bins.known_days < (double)(as_of - model->release) / 86400)
                item->as_of = model->release + (BgSecond)llround(bins.known_days * 86400);
        item->age_days = (double)(item->as_of - model->release) / 86400;
        item->count = (double)bg_series_count(series, item->as_of);
        item->previous = state && state->held ? fit_of(&state->held->fit, job->spec.m) : bg_state_fit(state, job->spec.m);
        if (job->forecaster == BG_FORECASTER_POOLED) {
                bg_refit_input(&item->input, series, &bins, item->as_of, item->age_days, item->count);
                item->train = training(state, item->as_of);
        } else {
                item->input = (BgPoolInput){ .count = item->count, .age_days = item->age_days };
        }
        item->audit = item->previous.status != BG_FIT_NONE && core->spec.audit_every &&
                      state->n_refits % core->spec.audit_every == core->spec.audit_every - 1;
        return 0;
}

/** Cumulative count at an age by linear interpolation between bin edges: for rates over windows that cut a tally. */
static double interpolated(const BgSeriesBins *bins, double age_days)
{
        double sum = 0;

        for (size_t j = 0; j < bins->n && bins->edges_days[j] < age_days; j++)
                sum += bins->counts[j] * fmin(1, (age_days - bins->edges_days[j]) / (bins->edges_days[j + 1] - bins->edges_days[j]));
        return sum;
}

void bg_refit_input(BgPoolInput *input, const BgSeries *series, const BgSeriesBins *bins, BgSecond as_of, double age_days, double count)
{
        double before = count;

        *input = (BgPoolInput){ .count = count, .age_days = age_days };
        while (input->n_windows < BG_POOL_WINDOW_MAX && age_days - (double)input->n_windows * BG_POOL_BIN_DAYS > 0) {
                double back_days = (double)(input->n_windows + 1) * BG_POOL_BIN_DAYS, at;

                if (back_days >= age_days)
                        at = 0;
                else if (series->n_tallies)
                        at = interpolated(bins, age_days - back_days);
                else
                        at = (double)bg_series_count(series, as_of - (BgSecond)(back_days * 86400));
                input->windows[input->n_windows++] = fmax(before - at, 0);
                before = at;
        }
}

void bg_refit_horizon(BgHorizon *horizon, const BgForecastPoint *point)
{
        bg_proto_init(&bg_proto_horizon, horizon);
        horizon->days = point->days;
        horizon->mean = point->mean;
        horizon->q05 = point->q[0];
        horizon->q10 = point->q[1];
        horizon->q25 = point->q[2];
        horizon->q50 = point->q[3];
        horizon->q75 = point->q[4];
        horizon->q90 = point->q[5];
        horizon->q95 = point->q[6];
}

void bg_refit_forecast(BgForecastPoint *points, BgForecaster forecaster, const BgPool *pool, const BgFit *fit, const BgPoolInput *input,
                       const double *horizons, size_t n_horizons)
{
        if (forecaster == BG_FORECASTER_PROCESS) {
                bg_forecast(points, fit, input->count, input->age_days, horizons, n_horizons);
                return;
        }
        for (size_t i = 0; i < n_horizons; i++) {
                BgPoolOpinion opinion;

                bg_pool_opinion(&opinion, fit, input, horizons[i]);
                bg_pool_quantiles(&points[i], pool, &opinion, input->count, horizons[i]);
                /* counts only grow: a farther horizon cannot promise less */
                for (int p = 0; i && p < BG_QUANTILE_N; p++)
                        points[i].q[p] = fmax(points[i].q[p], points[i - 1].q[p]);
                if (i)
                        points[i].mean = fmax(points[i].mean, points[i - 1].mean);
        }
}

void bg_refit_job_run(BgRefitJob *job, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++) {
                BgRefitItem *item = &job->items[i];
                BgCounts counts = { .edges_days = job->edges + item->edges, .counts = job->counts + item->edges,
                                    .n_bins = item->n_bins };

                bg_fit(&item->fit, &job->spec, &counts, item->previous.status == BG_FIT_NONE ? NULL : &item->previous);
                if (item->audit)
                        bg_fit(&item->cold, &job->spec, &counts, NULL);
                bg_refit_forecast(item->points, job->forecaster, &job->pool, &item->fit, &item->input, job->horizons, job->n_horizons);
                for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                        if (!(item->train & 1u << k))
                                continue;
                        bg_pool_opinion(&item->knot_opinions[k], &item->fit, &item->input, bg_pool_knot_days((size_t)k));
                        bg_pool_quantiles(&item->knot_points[k], &job->pool, &item->knot_opinions[k], item->count,
                                          bg_pool_knot_days((size_t)k));
                }
                item->rate = bg_forecast_rate(&item->fit, item->count, item->age_days);
                item->ultimate = bg_forecast_ultimate(&item->fit, item->count, item->age_days);
        }
}

void bg_refit_run(BgRefitJob *job)
{
        bg_refit_job_run(job, 0, job->n);
}

/* ---- take ---------------------------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
        BgSeriesId x = *(const BgSeriesId *)a, y = *(const BgSeriesId *)b;

        return (x > y) - (x < y);
}

void bg_refit_begin(BgCore *core, BgSeries *series, BgRefitItem *item)
{
        BgSeriesState *state = bg_core_state(core, series);

        if (!state)
                return;
        state->in_job = true;
        item->since = state->since;
        state->since = (BgSince){ 0 };
}

/** A series that began this very second has no age to fit: it comes back in an hour of the stream. */
static void wait_for_age(BgCore *core, BgSeriesId id, BgSeries *series, BgSecond as_of)
{
        BgSeriesState *state = bg_core_state(core, series);

        if (!state || state->queued || bg_registry_model(core->registry, series->model)->merged_into != BG_MODEL_NONE)
                return;
        state->due = as_of + 3600;
        state->queued = !bg_schedule_put(&core->schedule, id, state->due);
        if (bg_core_mark_unsaved(core, id, state))
                core->failed = -ENOMEM;
}

void bg_since_add(BgSince *to, const BgSince *from)
{
        to->added += from->added;
        to->removed += from->removed;
        to->late += from->late;
        to->tallied += from->tallied;
        to->release_changed |= from->release_changed;
        to->renamed |= from->renamed;
        to->refreshed |= from->refreshed;
        to->regime |= from->regime;
}

BgRefitJob *bg_core_take(BgCore *core, size_t max_series, int64_t now)
{
        BgSecond as_of = bg_core_as_of(core);
        BgRefitJob *job = NULL;
        size_t n_kept = 0, i;

        core->now = now;
        if (core->n_dirty == 0 || bg_refit_job_new(&job, core))
                return NULL;
        if (core->n_dirty <= max_series)
                qsort(core->dirty, core->n_dirty, sizeof(*core->dirty), by_id);
        for (i = 0; i < core->n_dirty && job->n < max_series; i++) {
                BgSeriesId id = core->dirty[i];
                BgSeries *series = bg_registry_series(core->registry, id);
                int r;

                if (!series->dirty)
                        continue; /* refitted meanwhile: replay takes series one by one */
                if (series->state && series->state->in_job) { /* its turn comes when the running one is adopted */
                        core->dirty[n_kept++] = id;
                        continue;
                }
                r = bg_refit_job_add(job, core, id, as_of, false);
                if (r < 0) {
                        core->dirty[n_kept++] = id;
                        continue;
                }
                series->dirty = false;
                if (r == 0)
                        bg_refit_begin(core, series, &job->items[job->n - 1]);
                else
                        wait_for_age(core, id, series, as_of);
        }
        memmove(core->dirty + n_kept, core->dirty + i, (core->n_dirty - i) * sizeof(*core->dirty));
        core->n_dirty = n_kept + core->n_dirty - i;
        if (job->n == 0) {
                bg_refit_job_free(job);
                return NULL;
        }
        return job;
}

/* ---- adopt --------------------------------------------------------------------------------------------------------------------- */

BgStatus bg_refit_status(const BgFitSpec *spec, const BgFit *fit, double count, double age_days)
{
        double share = 0;
        /* prior variances: the diagonal of the inverse is not at hand; 1/P_ii is it for a diagonal prior and a lower bound else */
        static const int diagonal[BG_THETA_N] = { 0, 2, 5 };

        if (count <= 0)
                return BG_STATUS_NO_DATA;
        if (age_days < WARMING_AGE_DAYS)
                return BG_STATUS_WARMING;
        if (fit->status != BG_FIT_OK && fit->status != BG_FIT_BOUND)
                return BG_STATUS_WEAK;
        if (spec->estimator == BG_ESTIMATOR_LEAST_SQUARES)
                return fit->status == BG_FIT_OK ? BG_STATUS_OK : BG_STATUS_WEAK;
        for (int i = 0; i < BG_THETA_N; i++)
                share += fit->spread[diagonal[i]] * spec->prior.precision[diagonal[i]] / BG_THETA_N;
        return share > WEAK_SHARE ? BG_STATUS_WEAK : BG_STATUS_OK;
}

static bool apart(const BgFit *a, const BgFit *b)
{
        for (int i = 0; i < BG_THETA_N; i++) {
                /* ln lambda and ln sigma: absolute differences are relative ones of the parameters */
                double scale = i == BG_THETA_MU ? fmax(1, fabs(b->theta[i])) : 1;
                if (fabs(a->theta[i] - b->theta[i]) > AUDIT_TOLERANCE * scale)
                        return true;
        }
        return false;
}

static const BgFit *judge(BgCore *core, const BgRefitItem *item, BgStart *startp)
{
        const BgFit *fit = &item->fit;

        *startp = fit->warm ? BG_START_WARM : BG_START_COLD;
        core->n.refit_iterations += fit->iterations;
        if (fit->warm)
                core->n.refits_warm++;
        else
                core->n.refits_cold++;
        if (item->audit) {
                core->n.audits++;
                if (apart(fit, &item->cold))
                        core->n.audits_apart++;
        }
        return fit;
}

static void sums_add(BgLearner *learner, double sign, const BgSeriesState *state)
{
        double theta[BG_THETA_N], spread[BG_SYM_N];

        for (int i = 0; i < BG_THETA_N; i++)
                theta[i] = state->contribution[i];
        for (int i = 0; i < BG_SYM_N; i++)
                spread[i] = state->contribution[BG_THETA_N + i];
        bg_learner_contribute(learner, sign, theta, spread);
}

void bg_refit_forget(BgCore *core, BgSeries *series)
{
        if (series->state && series->state->contributed)
                sums_add(&core->learner, -1, series->state);
        if (!series->state)
                return;
        series->state->contributed = false;
        bg_held_free(series->state->held);
        series->state->held = NULL;
}

/** The series' part in what all share: its posterior in the prior, its forecast among those that wait for their outcome. */
static void learn(BgCore *core, BgSeriesState *state, const BgRefitItem *item, const BgFit *fit)
{
        BgLearner *learner = &core->learner;

        if (core->spec.forecaster != BG_FORECASTER_POOLED)
                return;
        if (item->train) {
                if (item->train == BG_LEARN_ALL_KNOTS)
                        state->trained_at = item->as_of;
                if (bg_learner_origin(learner, item->train, item->id, item->as_of, item->count, item->knot_opinions, item->knot_points))
                        core->failed = -ENOMEM;
        }
        /* take the old contribution back, then add the new one: both as kept, in floats */
        if (state->contributed)
                sums_add(learner, -1, state);
        state->contributed = item->count >= 1 && item->age_days >= CONTRIBUTE_AGE_DAYS && fit->status == BG_FIT_OK;
        if (!state->contributed)
                return;
        for (int i = 0; i < BG_THETA_N; i++)
                state->contribution[i] = (float)fit->theta[i];
        for (int i = 0; i < BG_SYM_N; i++)
                state->contribution[BG_THETA_N + i] = (float)fit->laplace[i];
        sums_add(learner, 1, state);
}

/** A day after the forecast's as_of; or after now, where the counts end long ago with a tally, and asking each hour tells nothing. */
static void renew_later(const BgCore *core, BgSeriesState *state, BgSecond as_of)
{
        BgSecond refresh = (BgSecond)(core->spec.refresh_us / 1000000), now = bg_core_as_of(core);
        BgSecond due = (as_of + refresh > now ? as_of : now) + refresh;

        if (!state->queued || due > state->due) /* the entry in the schedule is never behind what is due */
                state->due = due;
}

void bg_refit_adopt_item(BgCore *core, const BgRefitJob *job, const BgRefitItem *item, int64_t now)
{
        BgSeries *series = bg_registry_series(core->registry, item->id);
        BgSeriesState *state = bg_core_state(core, series);
        const BgFit *fit;
        BgStart start;

        if (!state)
                return;
        state->in_job = false;
        if (bg_registry_model(core->registry, series->model)->merged_into != BG_MODEL_NONE)
                return; /* merged into another model while the job ran: that one is dirty */
        fit = judge(core, item, &start);
        state->n_refits++;
        renew_later(core, state, item->as_of);
        learn(core, state, item, fit);
        if (core->incidents)
                bg_incidents_refitted(core, series, fit, &item->input, item->release, item->as_of);
        if (bg_issue(core, job, item, start, now)) {
                core->failed = -ENOMEM;
                return;
        }
        if (item->count > 0 && !state->queued)
                state->queued = !bg_schedule_put(&core->schedule, item->id, state->due);
        if (bg_core_mark_unsaved(core, item->id, state))
                core->failed = -ENOMEM;
}

void bg_core_adopt(BgCore *core, BgRefitJob *job, int64_t now)
{
        core->now = now;
        for (size_t i = 0; i < job->n; i++)
                bg_refit_adopt_item(core, job, &job->items[i], now);
        bg_refit_job_free(job);
}

void bg_core_abandon(BgCore *core, BgRefitJob *job)
{
        for (size_t i = 0; i < job->n; i++) {
                BgSeries *series = bg_registry_series(core->registry, job->items[i].id);

                if (series->state) {
                        series->state->in_job = false;
                        bg_since_add(&series->state->since, &job->items[i].since);
                }
                if (bg_core_mark_dirty(core, job->items[i].id, series))
                        core->failed = -ENOMEM;
        }
        bg_refit_job_free(job);
}

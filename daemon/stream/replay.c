/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replay: the stream core driven by the events' own time. The clock stops at every origin (a multiple of a model's own age) and
 * at every midnight; refits that fell due since the last midnight are run together on all threads and adopted in order.
 */
#include "daemon/stream/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "daemon/stream/reader.h"
#include "daemon/stream/refit.h"
#include "daemon/stream/replay_out.h"
#include "daemon/stream/score.h"
#include "daemon/util/crew.h"

enum { DAY_S = 86400, JOB_MAX = 4096, GRAIN = 32 };
/* On files nothing renews a forecast but events and origins: a line a day and silent model would drown the rest. */
#define REFRESH_NEVER_US (INT64_C(86400) * 7300 * 1000000)
/* Tallies may end a little after an outcome is due, and be what tells it: scores wait for them. */
#define OUTCOME_WAIT_S (5 * DAY_S)

struct origin {
        BgSecond at;
        BgSeriesId id;
        uint32_t k; /* at = release + k steps */
};

typedef struct Replay {
        const BgReplaySpec *spec;
        BgCore *core;
        BgMerge *merge;
        BgCrew *crew;
        BgScore *score;
        BgRefitJob *job;
        FILE *forecasts;
        FILE *surges;
        struct origin *heap;
        size_t n_heap;
        size_t cap_heap;
        size_t n_series;      /* that have their first origin */
        BgSecond now;
        BgSecond midnight;    /* next one */
        int64_t n_applied, n_duplicate, n_rejected, n_lines, n_opened, n_closed, n_bursts;
        int64_t first_at, last_at;
        size_t n_complaints;
        struct timespec began, told;
} Replay;

/* ---- calendar ------------------------------------------------------------------------------------------------------------------- */

static int days_in_month(int year, int month) /* month 0 .. 11 */
{
        static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return days[month] + (month == 1 && ((year % 4 == 0 && year % 100) || year % 400 == 0));
}

int64_t bg_replay_add_months(int64_t origin, int k)
{
        time_t seconds = (time_t)(origin / 1000000);
        struct tm tm;
        int months;

        gmtime_r(&seconds, &tm);
        months = tm.tm_year * 12 + tm.tm_mon + k;
        tm.tm_year = months / 12;
        tm.tm_mon = months % 12;
        if (tm.tm_mday > days_in_month(tm.tm_year + 1900, tm.tm_mon))
                tm.tm_mday = days_in_month(tm.tm_year + 1900, tm.tm_mon);
        return (int64_t)timegm(&tm) * 1000000 + origin % 1000000;
}

/* ---- origins: a heap of the next one of every series ------------------------------------------------------------------------------ */

static bool earlier(const struct origin *a, const struct origin *b)
{
        return a->at != b->at ? a->at < b->at : a->id < b->id;
}

static int heap_push(Replay *replay, struct origin origin)
{
        size_t i;

        if (replay->n_heap == replay->cap_heap) {
                size_t cap = replay->cap_heap ? replay->cap_heap * 2 : 1024;
                struct origin *heap = realloc(replay->heap, cap * sizeof(*heap));
                if (!heap)
                        return -ENOMEM;
                replay->heap = heap;
                replay->cap_heap = cap;
        }
        for (i = replay->n_heap++; i > 0 && earlier(&origin, &replay->heap[(i - 1) / 2]); i = (i - 1) / 2)
                replay->heap[i] = replay->heap[(i - 1) / 2];
        replay->heap[i] = origin;
        return 0;
}

static struct origin heap_pop(Replay *replay)
{
        struct origin top = replay->heap[0], last = replay->heap[--replay->n_heap];
        size_t i = 0, child;

        while ((child = 2 * i + 1) < replay->n_heap) {
                if (child + 1 < replay->n_heap && earlier(&replay->heap[child + 1], &replay->heap[child]))
                        child++;
                if (!earlier(&replay->heap[child], &last))
                        break;
                replay->heap[i] = replay->heap[child];
                i = child;
        }
        replay->heap[i] = last;
        return top;
}

static bool has_origins(const Replay *replay)
{
        return replay->spec->out_dir && (replay->spec->every_us || replay->spec->every_months);
}

/** The k-th multiple of the age of a model. */
static BgSecond origin_at(const BgReplaySpec *spec, BgSecond release, uint32_t k)
{
        int64_t at = bg_second_to_us(release);

        return bg_second_from_us(spec->every_months ? bg_replay_add_months(at, (int)k * spec->every_months)
                                                    : at + (int64_t)k * spec->every_us);
}

/** How many multiples there are up to `at`, or a few less: months have at most 31 days. Counting them would be quadratic in all. */
static uint32_t n_origins(const BgReplaySpec *spec, BgSecond release, BgSecond at)
{
        int64_t step_s = spec->every_months ? INT64_C(31) * DAY_S * spec->every_months : spec->every_us / 1000000 + 1;

        return at > release ? (uint32_t)((at - release) / step_s) : 0;
}

/** The last multiple up to `now`; false when the model is younger than one. */
static bool last_origin(const BgReplaySpec *spec, BgSecond release, BgSecond now, BgSecond *atp)
{
        uint32_t k = n_origins(spec, release, now);

        while (origin_at(spec, release, k + 1) <= now)
                k++;
        *atp = origin_at(spec, release, k);
        return k > 0;
}

/** The first multiple of the model's age after `after`. */
static struct origin next_origin(const Replay *replay, BgSeriesId id, BgSecond after)
{
        const BgSeries *series = bg_registry_series(replay->core->registry, id);
        BgSecond release = bg_registry_model(replay->core->registry, series->model)->release;
        struct origin origin = { .id = id };

        origin.k = n_origins(replay->spec, release, after);
        do
                origin.at = origin_at(replay->spec, release, ++origin.k);
        while (origin.at <= after);
        return origin;
}

/* ---- refits ------------------------------------------------------------------------------------------------------------------------ */

static void run_range(void *data, size_t from, size_t to)
{
        bg_refit_job_run(data, from, to);
}

static double last_month(const BgSeries *series, BgSecond at)
{
        const BgSecond month = (BgSecond)(30.4375 * DAY_S);

        return (double)(bg_series_count(series, at) - bg_series_count(series, at > month ? at - month : 0));
}

static int write_origin(Replay *replay, const BgRefitItem *item)
{
        BgSeries *series = bg_registry_series(replay->core->registry, item->id);
        BgArena arena = { 0 };
        BgForecast message;
        int r;

        r = bg_issued_message(replay->core, series, series->state->issued, &arena, &message);
        if (!r) {
                bg_replay_out_forecast(replay->forecasts, &message);
                replay->n_lines += (int64_t)message.horizons.n;
                r = bg_score_add(replay->score, item->id, item->as_of, item->count, last_month(series, item->as_of), item->points);
        }
        bg_arena_deinit(&arena);
        return r;
}

static int flush(Replay *replay)
{
        int r = 0;

        bg_crew_run(replay->crew, replay->job->n, GRAIN, run_range, replay->job);
        for (size_t i = 0; i < replay->job->n && !r; i++) {
                const BgRefitItem *item = &replay->job->items[i];

                bg_refit_adopt_item(replay->core, replay->job, item, bg_second_to_us(item->as_of));
                r = replay->core->failed;
                if (!r && item->origin)
                        r = write_origin(replay, item);
        }
        bg_refit_job_reset(replay->job, replay->core);
        return r;
}

static int add(Replay *replay, BgSeriesId id, BgSecond as_of, bool origin)
{
        BgSeries *series = bg_registry_series(replay->core->registry, id);
        BgRefitItem *item;
        int r;

        if (replay->job->n >= JOB_MAX || (series->state && series->state->in_job)) {
                r = flush(replay);
                if (r)
                        return r;
        }
        r = bg_refit_job_add(replay->job, replay->core, id, as_of, origin);
        if (r)
                return r < 0 ? r : 0;
        item = &replay->job->items[replay->job->n - 1];
        if (item->as_of < as_of) /* nothing is known of the time since the last tally: there is no origin here */
                item->origin = false;
        series->dirty = false;
        bg_refit_begin(replay->core, series, item);
        return replay->core->failed;
}

/** Everything dirty, as of midnight. With origins, and without a detector that wants fresh expectations, only origins refit. */
static int step(Replay *replay)
{
        BgCore *core = replay->core;
        int r = 0;

        if (!replay->spec->out_dir) {
                for (size_t i = 0; i < core->n_dirty; i++)
                        bg_registry_series(core->registry, core->dirty[i])->dirty = false;
                core->n_dirty = 0;
                return 0;
        }
        bg_core_advance(core, bg_second_to_us(replay->now));
        for (size_t i = 0; i < core->n_dirty && !r; i++) {
                BgSeries *series = bg_registry_series(core->registry, core->dirty[i]);

                if (series->dirty) {
                        series->dirty = false;
                        if (!has_origins(replay) || series->n_times)
                                r = add(replay, core->dirty[i], replay->now, false);
                }
        }
        core->n_dirty = 0;
        return r ? r : flush(replay);
}

/** Move the clock to `until` (not included: what happens at `until` is applied first), stopping at midnights and origins. */
static int advance(Replay *replay, BgSecond until)
{
        int r = 0;

        while (!r) {
                BgSecond origin = replay->n_heap ? replay->heap[0].at : UINT32_MAX;

                if (origin >= until && replay->midnight >= until)
                        break;
                if (origin <= replay->midnight) {
                        struct origin top = heap_pop(replay);
                        struct origin now = next_origin(replay, top.id, top.at - 1);

                        replay->now = top.at;
                        if (now.at == top.at) { /* else the release was corrected meanwhile, and the origins with it */
                                r = add(replay, top.id, top.at, true);
                                now = next_origin(replay, top.id, top.at);
                        }
                        if (!r)
                                r = heap_push(replay, now);
                } else {
                        replay->now = replay->midnight;
                        replay->midnight += DAY_S;
                        r = step(replay);
                        if (!r && replay->score && replay->now > OUTCOME_WAIT_S)
                                r = bg_score_settle(replay->score, replay->now - OUTCOME_WAIT_S, bg_core_outcome, replay->core);
                }
        }
        return r;
}

/* ---- in and out -------------------------------------------------------------------------------------------------------------------- */

static void on_forecast(void *data, const BgForecast *forecast)
{
        Replay *replay = data;

        if (has_origins(replay))
                return; /* written at the origins */
        bg_replay_out_forecast(replay->forecasts, forecast);
        replay->n_lines += (int64_t)forecast->horizons.n;
}

static void on_surge(void *data, const BgSurge *surge)
{
        Replay *replay = data;

        if (surge->kind == BG_SURGE_KIND_BURST)
                replay->n_bursts += surge->state == BG_SURGE_OPENED;
        else if (surge->state == BG_SURGE_OPENED)
                replay->n_opened++;
        else if (surge->state != BG_SURGE_UPDATED)
                replay->n_closed++;
        if (replay->surges && surge->kind != BG_SURGE_KIND_BURST)
                bg_replay_out_surge(replay->surges, surge);
}

static void on_complaint(void *data, const char *path, int64_t line, const char *what)
{
        Replay *replay = data;

        if (replay->n_complaints++ < 20)
                fprintf(stderr, "burgeond: %s:%" PRId64 ": %s\n", path, line, what);
        else if (replay->n_complaints == 21)
                fprintf(stderr, "burgeond: more lines are skipped; their number is in the report\n");
}

static double seconds_since(const struct timespec *then)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static void tell_progress(Replay *replay, int64_t done, bool last)
{
        double total = (double)bg_merge_n_events(replay->merge), elapsed;
        char date[BG_TIME_TEXT_MAX];

        if (!replay->spec->progress || (!last && seconds_since(&replay->told) < .2))
                return;
        clock_gettime(CLOCK_MONOTONIC, &replay->told);
        elapsed = seconds_since(&replay->began);
        bg_time_format(bg_second_to_us(replay->now), date);
        fprintf(stderr, "\r\033[Kreplay %.10s  %3.0f %%  %.0f events/s  %.0f s left", date, total ? 100 * (double)done / total : 100,
                elapsed > 0 ? (double)done / elapsed : 0, done ? elapsed * (total - (double)done) / (double)done : 0);
        if (last)
                fprintf(stderr, "\r\033[K");
}

static int stream(Replay *replay)
{
        BgEvent event;
        int64_t at, done = 0;
        int r;

        while ((r = bg_merge_next(replay->merge, &event, &at)) == 0) {
                BgSecond second = bg_second_from_us(at);
                BgReject reason;

                if (!replay->first_at) {
                        replay->first_at = at;
                        replay->now = second;
                        replay->midnight = (second / DAY_S + 1) * DAY_S;
                }
                replay->last_at = at;
                r = advance(replay, second);
                if (r)
                        return r;
                replay->now = second;
                /* forecasts at origins before a rename are of the old name, also when it is of a model that another one takes over */
                if (event.type == BG_EVENT_MOVE && !event.model.len && (r = flush(replay)))
                        return r;
                r = bg_core_apply(replay->core, BG_STR("replay"), &event, at, &reason);
                if (r < 0)
                        return r;
                replay->n_applied += r == 0;
                replay->n_duplicate += r == BG_CORE_E_DUPLICATE;
                replay->n_rejected += r == BG_CORE_E_REJECTED;
                for (; has_origins(replay) && replay->n_series < bg_registry_n_series(replay->core->registry); replay->n_series++) {
                        r = heap_push(replay, next_origin(replay, (BgSeriesId)replay->n_series, second - 1));
                        if (r)
                                return r;
                }
                if ((++done & 1023) == 0)
                        tell_progress(replay, done, false);
        }
        if (r != BG_READER_E_END)
                return r;
        tell_progress(replay, done, true);
        r = advance(replay, replay->now + 1);
        if (!r)
                r = step(replay);
        if (!r && replay->score)
                r = bg_score_settle(replay->score, replay->now, bg_core_outcome, replay->core);
        return r;
}

/* ---- fits and report ----------------------------------------------------------------------------------------------------------------- */

struct named_series {
        const char *name;
        BgSeriesId id;
};

static int by_name(const void *a, const void *b)
{
        const struct named_series *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r ? r : (x->id > y->id) - (x->id < y->id);
}

static void write_fit(FILE *out, const BgReplaySpec *spec, const char *name, const BgFit *fit)
{
        BgGrowth growth = bg_fit_growth(fit);

        fprintf(out, "%s,%.12g,%.12g,%.12g,%.12g,%u,%s\n", name, growth.lambda, growth.mu - log(spec->unit_days), growth.sigma, fit->sse,
                fit->iterations, bg_fit_status_name(fit->status));
}

/** The last fit of every model: cold, on all that is known, so that it does not depend on how the stream came by its start. */
static int write_fits(Replay *replay)
{
        size_t n = bg_registry_n_series(replay->core->registry), n_named = 0;
        struct named_series *named = calloc(n ? n : 1, sizeof(*named));
        FILE *out = fopen(replay->spec->fits_path, "we");
        BgRefitJob *job = replay->job;
        int r = 0;

        if (!named || !out) {
                r = named ? -errno : -ENOMEM;
                fprintf(stderr, "burgeond: %s: %s\n", replay->spec->fits_path, strerror(-r));
                goto out;
        }
        for (BgSeriesId id = 0; id < n; id++) {
                const BgSeries *series = bg_registry_series(replay->core->registry, id);
                const BgModel *model = bg_registry_model(replay->core->registry, series->model);

                if (series->relation == replay->spec->fits_relation && model->merged_into == BG_MODEL_NONE)
                        named[n_named++] = (struct named_series){ model->name, id };
        }
        qsort(named, n_named, sizeof(*named), by_name);
        fprintf(out, "model,lambda,mu,sigma,sse,iterations,status\n");
        for (size_t i = 0; i < n_named && !r;) {
                size_t first = i;

                for (; i < n_named && job->n < JOB_MAX && !r; i++) {
                        r = bg_refit_job_add(job, replay->core, named[i].id, replay->now, false);
                        if (r == 0)
                                job->items[job->n - 1].previous.status = BG_FIT_NONE;
                        if (r == 1) /* no age: born this very second; the prior is all there is */
                                r = 0;
                }
                if (r)
                        break;
                bg_crew_run(replay->crew, job->n, 1, run_range, job);
                for (size_t k = 0, s = first; k < job->n; k++, s++) {
                        while (named[s].id != job->items[k].id)
                                s++;
                        write_fit(out, replay->spec, named[s].name, &job->items[k].fit);
                }
                bg_refit_job_reset(job, replay->core);
        }
out:
        if (out && fclose(out) && !r)
                r = -errno;
        free(named);
        return r;
}

/** A model that was released, and of which nothing else is known, gets an answer too: the prior's, labelled no_data. */
static int answer_silent(Replay *replay)
{
        const BgCore *core = replay->core;
        BgFitSpec fit_spec = core->spec.fit;
        BgForecastPoint points[BG_CORE_HORIZONS_MAX];
        BgHorizon horizons[BG_CORE_HORIZONS_MAX];
        BgCounts nothing = { 0 };
        BgFit fit;

        if (core->spec.forecaster == BG_FORECASTER_POOLED)
                fit_spec.prior = core->learner.prior;
        bg_fit(&fit, &fit_spec, &nothing, NULL);
        for (BgModelId id = 0; id < bg_registry_n_models(core->registry); id++) {
                const BgModel *model = bg_registry_model(core->registry, id);
                BgPoolInput input = { 0 };
                BgForecast message;
                BgSecond as_of;
                bool any = model->merged_into != BG_MODEL_NONE || !model->release || model->release >= replay->now;

                for (int k = 0; k < BG_RELATION_N; k++)
                        any |= model->series[k] != BG_SERIES_NONE;
                if (any)
                        continue;
                as_of = replay->now;
                if (has_origins(replay) && !last_origin(replay->spec, model->release, replay->now, &as_of))
                        continue;
                input.age_days = (double)(as_of - model->release) / DAY_S;
                bg_refit_forecast(points, core->spec.forecaster, &core->learner.pool, &fit, &input, core->spec.horizons,
                                  core->spec.n_horizons);
                bg_proto_init(&bg_proto_forecast, &message);
                message.model = (BgStr){ model->name, model->name_len };
                message.as_of = bg_second_to_us(as_of);
                message.status = BG_STATUS_NO_DATA;
                message.horizons.items = horizons;
                message.horizons.n = core->spec.n_horizons;
                for (size_t i = 0; i < core->spec.n_horizons; i++)
                        bg_refit_horizon(&horizons[i], &points[i]);
                bg_replay_out_forecast(replay->forecasts, &message);
                replay->n_lines += (int64_t)message.horizons.n;
        }
        return 0;
}

/** The figures of a stream that was learned from, for bg_learner_start(). */
static int write_learned(const Replay *replay)
{
        FILE *out = fopen(replay->spec->learned_path, "we");
        char text[256], from[BG_TIME_TEXT_MAX], to[BG_TIME_TEXT_MAX];

        if (!out) {
                fprintf(stderr, "burgeond: %s: %s\n", replay->spec->learned_path, strerror(errno));
                return -errno;
        }
        bg_time_format(replay->first_at, from);
        bg_time_format(replay->last_at, to);
        snprintf(text, sizeof(text), "Learned from %" PRId64 " events and tallies of %zu models, %.10s to %.10s.", replay->n_applied,
                 bg_registry_n_models(replay->core->registry), from, to);
        bg_learner_print(&replay->core->learner, replay->core->spec.fit.m, text, out);
        return fclose(out) ? -errno : 0;
}

/** What the published intervals were worth, as the daemon tells it: by knot of the horizon and size at the origin. */
static void print_receipts(const BgLearner *learner, FILE *out)
{
        const char *next = "";

        fprintf(out, "{");
        for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                const char *inner = "";

                for (int s = 0; s < BG_LEARN_STRATUM_N; s++) {
                        const BgReceipt *receipt = &learner->receipts[k][s];

                        if (receipt->n < 1)
                                continue;
                        if (!*inner)
                                fprintf(out, "%s\n    \"%.10g\": {", next, bg_pool_knot_days((size_t)k));
                        fprintf(out, "%s\n      \"%s\": {\"n\": %.0f, \"lwis\": %.6f, \"c50\": %.4f, \"c80\": %.4f, \"c90\": %.4f}", inner,
                                bg_learn_stratum_name(s), receipt->n, receipt->wis / receipt->n, receipt->inside[0] / receipt->n,
                                receipt->inside[1] / receipt->n, receipt->inside[2] / receipt->n);
                        next = inner = ",";
                }
                if (*inner)
                        fprintf(out, "}");
        }
        fprintf(out, "}");
}

static int write_report(Replay *replay)
{
        const BgCoreCounters *n = &replay->core->n;
        double days = (double)(replay->last_at - replay->first_at) / 8.64e10;
        char path[4096], from[BG_TIME_TEXT_MAX], to[BG_TIME_TEXT_MAX];
        FILE *out;

        snprintf(path, sizeof(path), "%s/report.json", replay->spec->out_dir);
        out = fopen(path, "we");
        if (!out)
                return -errno;
        bg_time_format(replay->first_at, from);
        bg_time_format(replay->last_at, to);
        fprintf(out, "{\n  \"input\": {\"from\": \"%s\", \"to\": \"%s\", \"days\": %.6g, \"lines_bad\": %" PRId64 ", \"events\": %" PRId64
                ", \"duplicates\": %" PRId64 ", \"rejected\": %" PRId64 "},\n", from, to, days, bg_merge_n_bad(replay->merge),
                replay->n_applied, replay->n_duplicate, replay->n_rejected);
        fprintf(out, "  \"models\": %zu,\n  \"series\": %zu,\n  \"children\": %" PRId64 ",\n", bg_registry_n_models(replay->core->registry),
                bg_registry_n_series(replay->core->registry), bg_registry_n_children(replay->core->registry));
        fprintf(out, "  \"forecasts\": {\"revisions\": %" PRId64 ", \"lines\": %" PRId64 "},\n", n->forecasts, replay->n_lines);
        fprintf(out, "  \"refits\": {\"warm\": %" PRId64 ", \"cold\": %" PRId64 ", \"iterations\": %" PRId64 ", \"audits\": %" PRId64
                ", \"audits_apart\": %" PRId64 "},\n", n->refits_warm, n->refits_cold, n->refit_iterations, n->audits, n->audits_apart);
        fprintf(out, "  \"surges\": {\"opened\": %" PRId64 ", \"closed\": %" PRId64 ", \"bursts\": %" PRId64 ", \"opened_per_year\": %.6g"
                ", \"threshold\": %.6g},\n", replay->n_opened, replay->n_closed, replay->n_bursts,
                days > 0 ? (double)replay->n_opened * 365.25 / days : 0, replay->spec->core.surge_threshold);
        fprintf(out, "  \"memory\": {\"registry_bytes\": %zu},\n", bg_registry_memory(replay->core->registry));
        fprintf(out, "  \"scores\": ");
        if (replay->score)
                bg_score_print(replay->score, out);
        else
                fprintf(out, "{}");
        fprintf(out, ",\n  \"receipts\": ");
        print_receipts(&replay->core->learner, out);
        fprintf(out, "\n}\n");
        return fclose(out) ? -errno : 0;
}

static void summary(const Replay *replay)
{
        const BgCoreCounters *n = &replay->core->n;
        struct rusage usage;
        double elapsed = seconds_since(&replay->began);

        getrusage(RUSAGE_SELF, &usage);
        fprintf(stderr, "replay: %" PRId64 " events of %zu models in %.1f s (%.0f/s), %" PRId64 " refits warm, %" PRId64 " cold, %" PRId64
                " audits (%" PRId64 " apart), %" PRId64 " forecast lines, %" PRId64 " surges, %.0f MiB resident at most\n",
                replay->n_applied, bg_registry_n_models(replay->core->registry), elapsed,
                elapsed > 0 ? (double)replay->n_applied / elapsed : 0, n->refits_warm, n->refits_cold, n->audits, n->audits_apart,
                replay->n_lines, replay->n_opened, (double)usage.ru_maxrss / 1024);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------------ */

static FILE *open_out(const char *dir, const char *name)
{
        char path[4096];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        file = fopen(path, "we");
        if (!file)
                fprintf(stderr, "burgeond: %s: %s\n", path, strerror(errno));
        return file;
}

static int open_all(Replay *replay)
{
        const BgReplaySpec *spec = replay->spec;
        BgCoreSpec core_spec = spec->core;
        BgCoreSink sink = { .forecast = on_forecast, .surge = on_surge, .data = replay };
        char why[512];

        core_spec.refresh_us = REFRESH_NEVER_US;
        core_spec.stale_after_us = 0;
        core_spec.settle_us = 0; /* one step a day is the judgement already, and origins are always answered */
        if (!spec->out_dir)
                core_spec.surge_threshold = 0;
        if (bg_merge_open(&replay->merge, spec->paths, spec->n_paths, on_complaint, replay, why, sizeof(why))) {
                fprintf(stderr, "burgeond: %s\n", why);
                return EX_NOINPUT;
        }
        if (bg_core_new(&replay->core, &core_spec, sink, NULL, NULL, 0) || bg_crew_new(&replay->crew, spec->n_threads) ||
            bg_refit_job_new(&replay->job, replay->core))
                return EX_OSERR;
        if (!spec->out_dir)
                return 0;
        if (mkdir(spec->out_dir, 0777) && errno != EEXIST) {
                fprintf(stderr, "burgeond: %s: %s\n", spec->out_dir, strerror(errno));
                return EX_CANTCREAT;
        }
        replay->forecasts = open_out(spec->out_dir, "forecasts.jsonl");
        replay->surges = open_out(spec->out_dir, "surges.jsonl");
        if (!replay->forecasts || !replay->surges)
                return EX_CANTCREAT;
        if (has_origins(replay) && bg_score_new(&replay->score, core_spec.horizons, core_spec.n_horizons))
                return EX_OSERR;
        return 0;
}

static int close_out(FILE **filep, const char *what, int code)
{
        FILE *file = *filep;
        bool bad;

        *filep = NULL;
        if (!file)
                return code;
        bad = ferror(file);
        if (fclose(file))
                bad = true;
        if (!bad)
                return code;
        fprintf(stderr, "burgeond: %s: could not be written: %s\n", what, strerror(errno));
        return code ? code : EX_IOERR;
}

int bg_replay_main(const BgReplaySpec *spec)
{
        Replay replay = { .spec = spec };
        int code, r = 0;

        clock_gettime(CLOCK_MONOTONIC, &replay.began);
        replay.told = replay.began;
        code = open_all(&replay);
        if (!code) {
                r = stream(&replay);
                if (!r && spec->out_dir)
                        r = answer_silent(&replay);
                if (!r && spec->learned_path)
                        r = write_learned(&replay);
                if (!r && spec->fits_path)
                        r = write_fits(&replay);
                if (!r && spec->out_dir)
                        r = write_report(&replay);
                if (r) {
                        fprintf(stderr, "burgeond: replay: %s\n", strerror(-r));
                        code = r == -ENOMEM ? EX_OSERR : EX_IOERR;
                }
        }
        code = close_out(&replay.forecasts, "forecasts.jsonl", code);
        code = close_out(&replay.surges, "surges.jsonl", code);
        if (!code && replay.n_applied == 0) {
                fprintf(stderr, "burgeond: no usable event in %zu file%s\n", spec->n_paths, spec->n_paths == 1 ? "" : "s");
                code = EX_DATAERR;
        }
        if (!code && !spec->quiet)
                summary(&replay);
        bg_score_free(replay.score);
        bg_refit_job_free(replay.job);
        bg_crew_free(replay.crew);
        bg_core_free(replay.core);
        bg_merge_close(replay.merge);
        free(replay.heap);
        return code;
}

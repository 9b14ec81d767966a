/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Surges: the detector of the model room fed with what the stream knows - who uploaded, what the forecast expected, whether the
 * whole feed is out - and its transitions turned into messages with a stable id.
 *
 * The expectation is the forecaster's own, frozen while an excursion is judged against it: a baseline must not learn the surge.
 */
#include "daemon/stream/core_private.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/model/detector.h"
#include "daemon/model/feed_watch.h"
#include "daemon/model/sessions.h"

enum {
        DAY_S = 86400,
        CHILDREN_MAX = 8,
        RECENT_N = 32768,     /* children remembered by name, of all series together, for the next incident's message */
        RECENT_NAME_MAX = 104, /* longer names are real, rare, and left out */
        TICK_S = 3600,
        STATE_VERSION = 1,
};
/* The rate's uncertainty is that of the week ahead: windows of days to weeks are what incidents are judged on. */
#define SHAPE_DAYS 7.0
#define WANDER_VARIANCE .05 /* of the log rate within a month or two, beyond the curve: bg_surge's default */
#define CURVE_VARIANCE .1   /* of the log rate, because the process is not quite the model's */
#define CLUSTER 2.0         /* events come in sessions: their variance over their mean */
#define LEVEL_WINDOWS 6
#define LEVEL_DECAY .5
#define LEVEL_MIN .02
#define LEVEL_MAX 50.0

/** What the forecast said when it was last taken over. */
typedef struct Baseline {
        double theta[BG_THETA_N];
        double m;
        double count;   /* n at as_of */
        float variance; /* relative, of the rate */
        float level;    /* the rate that the recent months speak for, over the curve's own */
        BgSecond as_of; /* 0 = no forecast yet */
        BgSecond release;
} Baseline;

/** One open (or just ended) incident; `kept` survives a restart like Kept below, followed by the children, each with its NUL. */
typedef struct Incident {
        struct IncidentKept {
                char id[40];
                BgTransition last;
                uint32_t rev;
                bool over;
                uint8_t n_children;
        } kept;
        int64_t seq; /* of the last transition published; 0 = in an earlier epoch */
        char *children[CHILDREN_MAX];
} Incident;

/** What survives a restart, in this layout under STATE_VERSION. */
typedef struct Kept {
        uint32_t version;
        uint32_t n_incidents; /* so far: the ordinal in the ids */
        uint32_t events;      /* raw, counted children */
        uint32_t sessions;
        bool rebase;          /* a regime was accepted: the next refit is the baseline, and nothing is judged before it */
        Baseline baseline;
        BgDetector detector;
} Kept;

struct BgSeriesSurge {
        Kept kept;
        Incident *incident; /* NULL: none yet */
        bool listed;        /* is among the open ones */
};

struct recent {
        BgSeriesId series;
        BgSecond at;
        uint8_t len;
        char name[RECENT_NAME_MAX];
};

struct BgIncidents {
        BgSurgeSpec spec;
        BgFeedWatchSpec watch_spec;
        BgFeedWatch watch;
        BgSessions *sessions;
        unsigned char key[crypto_shorthash_KEYBYTES];
        struct recent *recent; /* ring */
        size_t n_recent;       /* ever */
        BgSeriesId *open;
        size_t n_open;
        size_t cap_open;
        BgSecond ticked_at;    /* when the open ones were last looked at */
};

_Static_assert(crypto_shorthash_KEYBYTES == 16, "the store's hash key is used as it is");

int bg_incidents_new(BgIncidents **incidentsp, BgCore *core, const unsigned char key[16])
{
        BgIncidents *incidents = calloc(1, sizeof(*incidents));

        if (!incidents)
                return -ENOMEM;
        incidents->spec = bg_surge_spec_default();
        incidents->spec.threshold = core->spec.surge_threshold;
        memcpy(incidents->key, key, sizeof(incidents->key));
        incidents->watch_spec = bg_feed_watch_spec_default();
        incidents->recent = calloc(RECENT_N, sizeof(*incidents->recent));
        if (!incidents->recent || bg_sessions_new(&incidents->sessions)) {
                bg_incidents_free(incidents);
                return -ENOMEM;
        }
        *incidentsp = incidents;
        return 0;
}

void bg_incidents_configure(BgCore *core)
{
        core->incidents->spec.threshold = core->spec.surge_threshold;
}

void bg_incidents_free(BgIncidents *incidents)
{
        if (!incidents)
                return;
        bg_sessions_free(incidents->sessions);
        free(incidents->recent);
        free(incidents->open);
        free(incidents);
}

static void incident_free(Incident *incident)
{
        if (!incident)
                return;
        for (int i = 0; i < incident->kept.n_children; i++)
                free(incident->children[i]);
        free(incident);
}

void bg_incidents_series_free(struct BgSeriesSurge *surge)
{
        if (!surge)
                return;
        incident_free(surge->incident);
        free(surge);
}

static struct BgSeriesSurge *surge_of(BgCore *core, BgSeries *series)
{
        if (!series->surge) {
                series->surge = calloc(1, sizeof(*series->surge));
                if (!series->surge)
                        core->failed = -ENOMEM;
        }
        return series->surge;
}

/* ---- expectation ------------------------------------------------------------------------------------------------------------------- */

/** Integral of the weekday factors from Monday 00:00 to `s` seconds later, in days. */
static double weekday_integral(double days)
{
        double weeks = floor(days / 7), rest = days - 7 * weeks, sum = 7 * weeks;
        int d = 0;

        for (; d < 6 && rest >= 1; d++, rest -= 1)
                sum += bg_surge_weekday[d];
        return sum + rest * bg_surge_weekday[d];
}

/** Mean weekday factor of an interval. The epoch of BgSecond, 2015-01-01, was a Thursday. */
static double weekday_mean(BgSecond from, BgSecond to)
{
        double a = (double)from / DAY_S + 3, b = (double)to / DAY_S + 3;

        return b > a ? (weekday_integral(b) - weekday_integral(a)) / (b - a) : 1;
}

/** Raw children expected in (from, to], given the count at the baseline's as_of; the conditional mean runs both ways from there. */
static double expected_children(const Baseline *baseline, BgSecond from, BgSecond to)
{
        BgGrowth growth = bg_growth_from_theta(baseline->theta, baseline->m);
        double origin = (double)(baseline->as_of - baseline->release) / DAY_S;
        double a = from > baseline->release ? (double)(from - baseline->release) / DAY_S : 0;
        double b = to > baseline->release ? (double)(to - baseline->release) / DAY_S : 0;
        double at_a, at_b;

        if (!baseline->as_of || b <= a)
                return 0;
        at_a = a >= origin ? growth.lambda * bg_growth_share_between(&growth, origin, a)
                           : -growth.lambda * bg_growth_share_between(&growth, a, origin);
        at_b = b >= origin ? growth.lambda * bg_growth_share_between(&growth, origin, b)
                           : -growth.lambda * bg_growth_share_between(&growth, b, origin);
        at_a = fmin(at_a, 30);
        at_b = fmin(at_b, 30);
        return baseline->level * (baseline->count + baseline->m) * exp(at_a) * expm1(at_b - at_a) * weekday_mean(from, to);
}

/*
 * What to expect in the days to come is not the fitted curve alone: it is wrong where the process is not the model's. Its shape is
 * kept, its level corrected by the recent months: what came in them over what the curve has there, discounted with age, with the
 * curve's own uncertainty as the weight of "no correction" (a Gamma prior on the level and a Poisson of sessions).
 */
static void level_of(Baseline *baseline, const BgFit *fit, const BgPoolInput *input, double curve_variance)
{
        BgGrowth growth = bg_fit_growth(fit);
        double weight = 1, came = 0, due = 0, strength = 1 / (curve_variance + CURVE_VARIANCE);

        for (size_t j = 0; j < input->n_windows && j < LEVEL_WINDOWS; j++, weight *= LEVEL_DECAY) {
                double to = input->age_days - (double)j * BG_POOL_BIN_DAYS, from = fmax(to - BG_POOL_BIN_DAYS, 0);
                double after = growth.lambda * bg_growth_share_between(&growth, to, input->age_days);
                double d = growth.lambda * bg_growth_share_between(&growth, from, to);

                came += weight * input->windows[j];
                due += weight * (input->count + fit->m) * exp(-fmin(after, 30)) * -expm1(-fmin(d, 30));
        }
        baseline->level = (float)fmin(fmax((strength + came / CLUSTER) / (strength + due / CLUSTER), LEVEL_MIN), LEVEL_MAX);
        baseline->variance = (float)(WANDER_VARIANCE + 1 / (strength + came / CLUSTER));
}

void bg_incidents_refitted(BgCore *core, BgSeries *series, const BgFit *fit, const BgPoolInput *input, BgSecond release, BgSecond as_of)
{
        struct BgSeriesSurge *surge;
        BgSecond onset, last;
        Baseline *baseline;
        BgGrowth growth;
        double gradient[BG_THETA_N], variance = 0, d, age;

        if (series->n_times == 0) /* tallies have no authors: nothing for this detector */
                return;
        surge = surge_of(core, series);
        if (!surge)
                return;
        baseline = &surge->kept.baseline;
        last = bg_detector_last_s(&surge->kept.detector, as_of);
        if (baseline->as_of && !surge->kept.rebase &&
            bg_detector_excursion_running(&surge->kept.detector, &core->incidents->spec, as_of,
                                          bg_surge_session_share(surge->kept.sessions, surge->kept.events) *
                                                  expected_children(baseline, last, as_of), &onset))
                return;
        growth = bg_fit_growth(fit);
        age = (double)(as_of - release) / DAY_S; /* the fit's release: the model's may be another by now, and later than as_of */
        d = fmax(bg_growth_exposure(&growth, age, age + SHAPE_DAYS, gradient), 1e-10);
        for (int i = 0; i < BG_THETA_N; i++)
                gradient[i] /= d;
        for (int i = 0, k = 0; i < BG_THETA_N; i++)
                for (int j = 0; j <= i; j++, k++)
                        variance += (i == j ? 1 : 2) * gradient[i] * gradient[j] * fit->laplace[k];
        surge->kept.rebase = false;
        *baseline = (Baseline){ .m = fit->m, .count = input->count, .as_of = as_of, .release = release };
        memcpy(baseline->theta, fit->theta, sizeof(baseline->theta));
        level_of(baseline, fit, input, variance);
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------------ */

static BgSurgeState wire_state(BgTransitionType type)
{
        switch (type) {
        case BG_TRANSITION_OPENED:
                return BG_SURGE_OPENED;
        case BG_TRANSITION_UPDATED:
                return BG_SURGE_UPDATED;
        case BG_TRANSITION_CLOSED:
                return BG_SURGE_CLOSED;
        case BG_TRANSITION_REGIME:
                return BG_SURGE_REGIME;
        default:
                return BG_SURGE_NONE;
        }
}

static int incident_message(BgCore *core, const BgSeries *series, const Incident *incident, BgArena *arena, BgSurge *message)
{
        const BgModel *model = bg_registry_model(core->registry, series->model);
        const BgTransition *t = &incident->kept.last;
        char text[160];
        int len;

        bg_proto_init(&bg_proto_surge, message);
        message->epoch = core->epoch;
        message->seq = incident->seq;
        message->id = bg_str(incident->kept.id);
        message->kind = t->kind == BG_INCIDENT_BURST ? BG_SURGE_KIND_BURST : BG_SURGE_KIND_SURGE;
        message->model = (BgStr){ model->name, model->name_len };
        message->relation = series->relation;
        message->state = wire_state(t->type);
        message->reason = bg_str(bg_close_reason_name(t->reason));
        message->rev = incident->kept.rev;
        message->prev_rev = incident->kept.rev - 1;
        message->at = bg_second_to_us(t->at_s);
        message->onset = bg_second_to_us(t->onset_s);
        message->observed = (int64_t)t->observed;
        message->expected = t->expected;
        message->magnitude = t->magnitude;
        message->evidence = t->evidence;
        message->threshold = core->incidents->spec.threshold;
        message->events = (int64_t)t->events;
        message->authors = t->authors;
        message->top_author_share = t->top_share;
        message->children.items = bg_arena_alloc(arena, incident->kept.n_children ? incident->kept.n_children : 1, sizeof(BgStr));
        if (!message->children.items)
                return -ENOMEM;
        for (size_t i = 0; i < incident->kept.n_children; i++)
                message->children.items[message->children.n++] = bg_str(incident->children[i]);
        if (incident->kept.over)
                return 0;
        if (t->kind == BG_INCIDENT_BURST)
                len = snprintf(text, sizeof(text), "%u days without an event", core->incidents->spec.burst_quiet_s / DAY_S);
        else
                len = snprintf(text, sizeof(text), "about %.3g more expected sessions without as many coming, or %u days without one; after "
                               "%u days it is the new level", bg_detector_expected_to_close(&series->surge->kept.detector,
                               &core->incidents->spec), core->incidents->spec.quiet_close_s / DAY_S, core->incidents->spec.regime_s / DAY_S);
        message->closes_when = (BgStr){ bg_arena_copy(arena, text, (size_t)len), (size_t)len };
        return message->closes_when.data ? 0 : -ENOMEM;
}

static void publish(BgCore *core, const BgSeries *series, Incident *incident)
{
        BgArena arena = { 0 };
        BgSurge message;

        incident->seq = ++core->seq;
        if (core->sink.surge && !incident_message(core, series, incident, &arena, &message))
                core->sink.surge(core->sink.data, &message);
        bg_arena_deinit(&arena);
}

static void note_recent(BgIncidents *incidents, BgSeriesId id, BgSecond at, BgStr child)
{
        struct recent *recent;

        if (child.len > RECENT_NAME_MAX)
                return;
        recent = &incidents->recent[incidents->n_recent++ % RECENT_N];
        recent->series = id;
        recent->at = at;
        recent->len = (uint8_t)child.len;
        memcpy(recent->name, child.data, child.len);
}

/** The first children since onset that are still remembered. */
static void collect_children(const BgIncidents *incidents, BgSeriesId id, Incident *incident)
{
        size_t first = incidents->n_recent > RECENT_N ? incidents->n_recent - RECENT_N : 0;

        for (size_t i = first; i < incidents->n_recent && incident->kept.n_children < CHILDREN_MAX; i++) {
                const struct recent *recent = &incidents->recent[i % RECENT_N];

                if (recent->series != id || recent->at < incident->kept.last.onset_s)
                        continue;
                incident->children[incident->kept.n_children] = strndup(recent->name, recent->len);
                if (incident->children[incident->kept.n_children])
                        incident->kept.n_children++;
        }
}

static int open_list_add(BgIncidents *incidents, BgSeriesId id)
{
        if (incidents->n_open == incidents->cap_open) {
                size_t cap = incidents->cap_open ? incidents->cap_open * 2 : 64;
                BgSeriesId *open = realloc(incidents->open, cap * sizeof(*open));
                if (!open)
                        return -ENOMEM;
                incidents->open = open;
                incidents->cap_open = cap;
        }
        incidents->open[incidents->n_open++] = id;
        return 0;
}

static void count_transition(BgCore *core, const BgTransition *t)
{
        if (t->kind == BG_INCIDENT_BURST)
                core->n.bursts += t->type == BG_TRANSITION_OPENED;
        else if (t->type == BG_TRANSITION_OPENED)
                core->n.surges_opened++;
        else if (t->type == BG_TRANSITION_UPDATED)
                core->n.surges_updated++;
        else
                core->n.surges_closed++;
}

static void begin_incident(BgCore *core, BgSeriesId id, BgSeries *series, const BgTransition *t)
{
        struct BgSeriesSurge *surge = series->surge;
        Incident *incident;
        char date[BG_TIME_TEXT_MAX];

        incident_free(surge->incident);
        incident = surge->incident = calloc(1, sizeof(*incident));
        if (!incident) {
                core->failed = -ENOMEM;
                return;
        }
        bg_time_format(bg_second_to_us(t->onset_s), date);
        snprintf(incident->kept.id, sizeof(incident->kept.id), "%.4s%.2s%.2s-%x-%u", date, date + 5, date + 8, id, ++surge->kept.n_incidents);
        incident->kept.last = *t;
        collect_children(core->incidents, id, incident);
        if (!surge->listed)
                surge->listed = !open_list_add(core->incidents, id);
}

static void take_transition(BgCore *core, BgSeriesId id, BgSeries *series, const BgTransition *t)
{
        struct BgSeriesSurge *surge = series->surge;
        Incident *incident;

        if (t->type == BG_TRANSITION_OPENED && !t->was_burst)
                begin_incident(core, id, series, t);
        incident = surge->incident;
        if (!incident) /* out of memory, or opened before a restart that could not keep it: the incident goes on unnamed */
                begin_incident(core, id, series, t);
        incident = surge->incident;
        if (!incident)
                return;
        incident->kept.last = *t;
        incident->kept.over = t->type == BG_TRANSITION_CLOSED || t->type == BG_TRANSITION_REGIME;
        incident->kept.rev++;
        count_transition(core, t);
        if (series->state) {
                if (t->type == BG_TRANSITION_REGIME) {
                        series->state->since.regime = true;
                        surge->kept.rebase = true;
                }
                /* the forecast's status follows: open and closed incidents are part of it */
                if (bg_core_mark_dirty(core, id, series) || bg_core_mark_unsaved(core, id, series->state))
                        core->failed = -ENOMEM;
        }
        if (t->kind == BG_INCIDENT_SURGE || core->spec.publish_bursts)
                publish(core, series, incident);
}

/* ---- in ------------------------------------------------------------------------------------------------------------------------------ */

static uint64_t fingerprint(const BgIncidents *incidents, BgSeriesId id, BgStr child)
{
        BgStr author = bg_proto_name_org(child);
        unsigned char bytes[sizeof(id) + BG_NAME_MAX], hash[crypto_shorthash_BYTES];
        uint64_t value;

        memcpy(bytes, &id, sizeof(id));
        memcpy(bytes + sizeof(id), author.data, author.len);
        crypto_shorthash(hash, bytes, sizeof(id) + author.len, incidents->key);
        memcpy(&value, hash, sizeof(value));
        return value;
}

void bg_incidents_event(BgCore *core, BgSeriesId id, BgSeries *series, BgSecond at, BgStr child)
{
        BgIncidents *incidents = core->incidents;
        struct BgSeriesSurge *surge = surge_of(core, series);
        const BgModel *model = bg_registry_model(core->registry, series->model);
        BgDetectorInput input = { .at_s = at };
        BgTransition transition;
        const Baseline *baseline;
        BgSecond last;

        if (!surge)
                return;
        input.author = fingerprint(incidents, id, child);
        if (bg_sessions_count(incidents->sessions, input.author, at, &input.counted)) {
                core->failed = -ENOMEM;
                return;
        }
        input.blackout_s = bg_feed_watch_events(&incidents->watch, &incidents->watch_spec, at, 1);
        input.resumed_s = incidents->watch.resumed_s;
        note_recent(incidents, id, at, child);
        baseline = &surge->kept.baseline;
        surge->kept.events++;
        surge->kept.sessions += input.counted;
        if (!baseline->as_of || surge->kept.rebase) /* no forecast (of this level) yet, hence nothing to compare with */
                return;
        input.age_days = at > model->release ? (double)(at - model->release) / DAY_S : 0;
        /* A launch is judged by nothing: its excursions would hold the baseline back, and open when the age gate lets them. */
        if (input.age_days <= incidents->spec.age_min_days)
                return;
        last = bg_detector_last_s(&surge->kept.detector, at);
        input.session_share = bg_surge_session_share(surge->kept.sessions, surge->kept.events);
        input.expected = input.session_share * expected_children(baseline, last, at);
        if (input.blackout_s && at > input.blackout_s)
                input.expected_dark = input.session_share *
                                      expected_children(baseline, last > input.blackout_s ? last : input.blackout_s, at);
        input.expected_day = input.session_share * expected_children(baseline, at > DAY_S ? at - DAY_S : 0, at);
        input.shape = bg_surge_shape(baseline->variance);
        /* not before there is a forecast: the first refit saves it all, and a stop must not have to save a million that have none */
        if (series->state && bg_core_mark_unsaved(core, id, series->state))
                core->failed = -ENOMEM;
        if (bg_detector_event(&transition, &surge->kept.detector, &incidents->spec, &input))
                take_transition(core, id, series, &transition);
}

void bg_incidents_advance(BgCore *core, BgSecond now)
{
        BgIncidents *incidents = core->incidents;
        size_t n_kept = 0;

        incidents->ticked_at = now;
        for (size_t i = 0; i < incidents->n_open; i++) {
                BgSeriesId id = incidents->open[i];
                BgSeries *series = bg_registry_series(core->registry, id);
                struct BgSeriesSurge *surge = series->surge;
                BgSecond last = surge ? bg_detector_last_s(&surge->kept.detector, now) : now;
                BgDetectorClock clock = { .now_s = now, .resumed_s = incidents->watch.resumed_s };
                BgTransition transition;
                double share;

                if (!surge)
                        continue;
                share = bg_surge_session_share(surge->kept.sessions, surge->kept.events);
                clock.blackout_s = bg_feed_watch_silence(&incidents->watch, &incidents->watch_spec, now);
                clock.expected = share * expected_children(&surge->kept.baseline, last, now);
                clock.expected_day = share * expected_children(&surge->kept.baseline, now > DAY_S ? now - DAY_S : 0, now);
                clock.shape = bg_surge_shape(surge->kept.baseline.variance);
                if (bg_detector_tick(&transition, &surge->kept.detector, &incidents->spec, &clock))
                        take_transition(core, id, series, &transition);
                surge->listed = bg_detector_open(&surge->kept.detector);
                if (surge->listed)
                        incidents->open[n_kept++] = id;
        }
        incidents->n_open = n_kept;
}

BgSecond bg_incidents_next(const BgCore *core)
{
        return core->incidents->n_open ? core->incidents->ticked_at + TICK_S : UINT32_MAX;
}

void bg_incidents_forget(BgCore *core, BgSeriesId id, BgSeries *series)
{
        struct BgSeriesSurge *surge = series->surge;

        if (!surge)
                return;
        if (surge->incident && !surge->incident->kept.over) {
                BgTransition end = surge->incident->kept.last;

                end.type = BG_TRANSITION_CLOSED;
                end.reason = BG_CLOSE_MERGED;
                end.at_s = bg_core_as_of(core);
                take_transition(core, id, series, &end);
        }
        bg_incidents_series_free(surge); /* the next bg_incidents_advance() takes it off the list of open ones */
        series->surge = NULL;
}

bool bg_incidents_open(const BgSeries *series)
{
        return series->surge && series->surge->kept.detector.is_open;
}

/* ---- out ----------------------------------------------------------------------------------------------------------------------------- */

bool bg_incidents_told(const BgCore *core, const BgSeries *series)
{
        const struct BgSeriesSurge *surge = series->surge;

        return surge && surge->incident && !surge->incident->kept.over &&
               (surge->incident->kept.last.kind != BG_INCIDENT_BURST || core->spec.publish_bursts);
}

bool bg_incidents_last(BgCore *core, BgSeriesId id, BgSeries *series, BgArena *arena, BgSurge *message)
{
        const struct BgSeriesSurge *surge = series->surge;

        (void)id;
        if (!bg_incidents_told(core, series))
                return false;
        return !incident_message(core, series, surge->incident, arena, message);
}

struct listed {
        BgSecond at;
        BgSeriesId id;
};

static int latest_first(const void *a, const void *b)
{
        const struct listed *x = a, *y = b;

        return x->at != y->at ? (x->at < y->at ? 1 : -1) : (x->id > y->id) - (x->id < y->id);
}

static bool wanted(const BgRequest *request, const BgSeries *series)
{
        const struct IncidentKept *kept;

        if (!series->surge || !series->surge->incident || series->relation != request->relation)
                return false;
        kept = &series->surge->incident->kept;
        return !(request->open && kept->over) && (request->bursts || kept->last.kind != BG_INCIDENT_BURST);
}

int bg_incidents_list(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        size_t limit = request->limit ? (size_t)request->limit : 50, skip = (size_t)request->offset, n = 0;
        size_t n_series = bg_registry_n_series(core->registry);
        BgModelId model = request->model.len ? bg_registry_find(core->registry, request->model) : BG_MODEL_NONE;
        struct listed *all = malloc((n_series ? n_series : 1) * sizeof(*all));
        int r = 0;

        if (!all)
                return -ENOMEM;
        for (BgSeriesId id = 0; id < n_series; id++) {
                const BgSeries *series = bg_registry_series(core->registry, id);

                if (wanted(request, series) && (!request->model.len || series->model == model))
                        all[n++] = (struct listed){ series->surge->incident->kept.last.at_s, id };
        }
        qsort(all, n, sizeof(*all), latest_first);
        reply->total = (int64_t)n;
        skip = skip < n ? skip : n;
        limit = limit < n - skip ? limit : n - skip;
        reply->surges.items = bg_arena_alloc(arena, limit ? limit : 1, sizeof(BgSurge));
        if (!reply->surges.items)
                r = -ENOMEM;
        for (size_t i = 0; i < limit && !r; i++) {
                const BgSeries *series = bg_registry_series(core->registry, all[skip + i].id);

                r = incident_message(core, series, series->surge->incident, arena, &reply->surges.items[i]);
        }
        reply->surges.n = r ? 0 : limit;
        free(all);
        return r;
}

int bg_incidents_of(BgCore *core, const BgSeries *series, BgArena *arena, BgSurge *message)
{
        if (!series->surge || !series->surge->incident)
                return 1;
        return incident_message(core, series, series->surge->incident, arena, message);
}

BgSeriesId bg_incidents_find(BgCore *core, BgStr id)
{
        for (BgSeriesId i = 0; i < bg_registry_n_series(core->registry); i++) {
                const BgSeries *series = bg_registry_series(core->registry, i);

                if (series->surge && series->surge->incident && bg_str_equal(id, bg_str(series->surge->incident->kept.id)))
                        return i;
        }
        return BG_SERIES_NONE;
}

int bg_incidents_pack(const BgSeries *series, BgBuffer *out)
{
        const Incident *incident = series->surge->incident;
        Kept kept = series->surge->kept;
        int r;

        kept.version = STATE_VERSION;
        r = bg_buffer_append(out, &kept, sizeof(kept));
        if (r || !incident)
                return r;
        r = bg_buffer_append(out, &incident->kept, sizeof(incident->kept));
        for (int i = 0; i < incident->kept.n_children && !r; i++)
                r = bg_buffer_append(out, incident->children[i], strlen(incident->children[i]) + 1);
        return r;
}

static int incident_unpack(struct BgSeriesSurge *surge, BgStr bytes)
{
        Incident *incident;
        unsigned n_children;

        if (bytes.len < sizeof(incident->kept))
                return 0;
        incident = calloc(1, sizeof(*incident));
        if (!incident)
                return -ENOMEM;
        memcpy(&incident->kept, bytes.data, sizeof(incident->kept));
        incident->kept.id[sizeof(incident->kept.id) - 1] = 0;
        bytes = (BgStr){ bytes.data + sizeof(incident->kept), bytes.len - sizeof(incident->kept) };
        n_children = incident->kept.n_children < CHILDREN_MAX ? incident->kept.n_children : CHILDREN_MAX;
        incident->kept.n_children = 0;
        for (unsigned i = 0; i < n_children; i++) {
                const char *end = bytes.len ? memchr(bytes.data, 0, bytes.len) : NULL;

                if (!end)
                        break;
                incident->children[i] = strdup(bytes.data);
                if (!incident->children[i])
                        break;
                incident->kept.n_children++;
                bytes.len -= (size_t)(end + 1 - bytes.data);
                bytes.data = end + 1;
        }
        surge->incident = incident;
        return 0;
}

int bg_incidents_unpack(BgCore *core, BgSeriesId id, BgSeries *series, BgStr bytes)
{
        struct BgSeriesSurge *surge;
        Kept kept;

        if (bytes.len < sizeof(kept))
                return 0; /* none, or another version's: the detector starts afresh */
        memcpy(&kept, bytes.data, sizeof(kept));
        if (kept.version != STATE_VERSION)
                return 0;
        surge = surge_of(core, series);
        if (!surge)
                return -ENOMEM;
        surge->kept = kept;
        if (bg_detector_open(&kept.detector) && !surge->listed)
                surge->listed = !open_list_add(core->incidents, id);
        incident_free(surge->incident);
        surge->incident = NULL;
        return incident_unpack(surge, (BgStr){ bytes.data + sizeof(kept), bytes.len - sizeof(kept) });
}

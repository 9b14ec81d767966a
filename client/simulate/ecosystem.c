/* SPDX-License-Identifier: MIT */
/*
 * One random stream per model, so that a model's history does not depend on the others. Time is walked in shares x = F(age) of
 * the model's life; marks (begin and end of surges, bursts) cut it into stretches in which the rate has one upper bound.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/simulate/ecosystem.h"
#include "client/simulate/random.h"

#define DAY 86400.0
#define SESSION_MORE 0.2    /* share of sessions with more than one child */
#define SESSION_SHAPE 1.6   /* Pareto tail of their size: 20 % of children come in batches of 5 and more */
#define SESSION_SCALE 1.1
#define SESSION_MAX 89
#define SESSION_GAP_S 1200.0 /* mean time between two uploads of one session */
#define RETURNING 0.3        /* share of sessions by one of the regulars */
#define AUTHOR_OTHERS UINT32_C(0x40000000) /* numbers below are regulars */

/* adoption by weekday, Monday first, mean 1: measured on a public hub */
static const double weekday_factor[7] = { 1.117, 1.052, 1.082, 1.078, 1.025, .848, .798 };
#define WEEKDAY_MAX 1.117

typedef enum MarkKind { MARK_SURGE_BEGIN, MARK_SURGE_END, MARK_BURST, MARK_END } MarkKind;

typedef struct Mark {
        double share; /* F(age) */
        MarkKind kind;
        BgIncident *incident;
} Mark;

#define MARKS_MAX 12
#define PLANS_MAX 4

/* What is to befall a model: an incident and, for a burst, its authors. */
typedef struct Plan {
        BgIncidentKind kind;
        double factor;
        double days;
        double place; /* 0..1 within the part of its life that the history shows */
} Plan;

typedef struct Walk {
        BgSimulatedEcosystem *out;
        const BgEcosystemSpec *spec;
        BgRandom random;
        BgEcosystemModel *model;
        uint32_t id;
        uint32_t regulars;
        uint32_t n_sessions;
        double mean_session;
        double end_s;
} Walk;

static double mean_session(void)
{
        double sum = 0;

        for (int j = 0; j <= SESSION_MAX - 2; j++)
                sum += bg_random_exp(-SESSION_SHAPE * bg_random_ln(1 + j / SESSION_SCALE));
        return 1 + SESSION_MORE * sum;
}

static double share_at(const BgEcosystemModel *model, double age_days)
{
        return age_days > 0 ? bg_random_normal_cdf((bg_random_ln(age_days) - model->mu) / model->sigma) : 0;
}

static double age_at(const BgEcosystemModel *model, double share)
{
        return bg_random_exp(model->mu + model->sigma * bg_random_normal_quantile(share));
}

static int grow(void *itemsp, size_t *capp, size_t n, size_t size)
{
        void *items;
        size_t cap = *capp ? *capp : 1024;

        while (cap < n)
                cap += cap / 2;
        if (cap == *capp)
                return 0;
        items = realloc(*(void **)itemsp, cap * size);
        if (!items)
                return -ENOMEM;
        *(void **)itemsp = items;
        *capp = cap;
        return 0;
}

static int emit(Walk *walk, double at_s, uint32_t author)
{
        BgSimulatedEcosystem *out = walk->out;
        int r;

        if (at_s >= walk->end_s)
                return 0;
        if (out->n_events == out->cap_events) {
                r = grow(&out->events, &out->cap_events, out->n_events + 1, sizeof(*out->events));
                if (r)
                        return r;
        }
        out->events[out->n_events++] = (BgEcosystemEvent){
                .at = (uint32_t)at_s, .model = walk->id, .author = author, .child = walk->model->n_children++
        };
        return 0;
}

static uint32_t next_author(Walk *walk)
{
        uint64_t x;

        /* regulars by a log-uniform rank: the first of them are everywhere */
        if (!walk->spec->pure && bg_random_uniform(&walk->random) < RETURNING)
                return (uint32_t)bg_random_exp(bg_random_uniform(&walk->random) * bg_random_ln(walk->regulars));
        x = ((uint64_t)walk->id << 32 | walk->n_sessions++) * UINT64_C(0x9e3779b97f4a7c15);
        return AUTHOR_OTHERS + (uint32_t)((x ^ x >> 29) % (UINT32_MAX - AUTHOR_OTHERS));
}

static int session(Walk *walk, double at_s)
{
        uint32_t author = next_author(walk), size = 1;
        int r;

        if (!walk->spec->pure && bg_random_uniform(&walk->random) < SESSION_MORE) {
                double tail = bg_random_exp(-bg_random_ln(bg_random_uniform(&walk->random)) / SESSION_SHAPE) - 1;

                size = (uint32_t)fmin(2 + floor(SESSION_SCALE * tail), SESSION_MAX);
        }
        for (uint32_t i = 0; i < size; i++) {
                r = emit(walk, at_s, author);
                if (r)
                        return r;
                at_s += SESSION_GAP_S * bg_random_exponential(&walk->random);
        }
        return 0;
}

/* Children of one author, or of a small team, within a day or a few: not adoption. */
static int burst(Walk *walk, const BgIncident *incident)
{
        uint32_t n_authors = incident->kind == BG_INCIDENT_TEAM ? 2 + (uint32_t)bg_random_below(&walk->random, 3) : 1;
        uint32_t authors[4];
        double span = incident->end - incident->onset;
        int r;

        for (uint32_t i = 0; i < n_authors; i++)
                authors[i] = next_author(walk);
        for (uint32_t i = 0; i < (uint32_t)incident->factor; i++) {
                double at = incident->onset + span * bg_random_uniform(&walk->random);

                r = emit(walk, at, authors[bg_random_below(&walk->random, n_authors)]);
                if (r)
                        return r;
        }
        return 0;
}

static double weekday(const BgEcosystemSpec *spec, double at_s)
{
        int64_t day = (int64_t)floor(((double)spec->start_s + at_s) / DAY);

        return weekday_factor[((day + 3) % 7 + 7) % 7]; /* 1970-01-01 was a Thursday */
}

static double rate_at(const BgEcosystemModel *model, double age_days)
{
        double z = (bg_random_ln(age_days) - model->mu) / model->sigma;

        return model->lambda * 0.39894228040143267794 * bg_random_exp(-z * z / 2) / (model->sigma * age_days) *
               (model->n_children + model->m);
}

#define WALK_E_TOO_MANY 1

static int stretch(Walk *walk, double *sharep, double until, double factor)
{
        const BgEcosystemModel *model = walk->model;
        bool pure = walk->spec->pure;
        double bound = pure ? 1 : WEEKDAY_MAX * factor / walk->mean_session, at;
        int r;

        for (;;) {
                *sharep += bg_random_exponential(&walk->random) / ((model->n_children + model->m) * bound * model->lambda);
                if (*sharep >= until)
                        break;
                if (model->n_children >= walk->spec->children_max)
                        return WALK_E_TOO_MANY;
                at = model->release + age_at(model, *sharep) * DAY;
                if (!pure && bg_random_uniform(&walk->random) * WEEKDAY_MAX > weekday(walk->spec, at))
                        continue;
                r = session(walk, at);
                if (r)
                        return r;
        }
        *sharep = until; /* without memory: what was left of the wait starts anew */
        return 0;
}

static int compare_marks(const void *a, const void *b)
{
        double x = ((const Mark *)a)->share, y = ((const Mark *)b)->share;

        return (x > y) - (x < y);
}

/* Turn the plans into incidents and marks. Return: number of marks. */
static size_t place_marks(Walk *walk, const Plan *plans, size_t n_plans, BgIncident incidents[PLANS_MAX], Mark marks[MARKS_MAX])
{
        const BgEcosystemModel *model = walk->model;
        double age_end = (walk->end_s - model->release) / DAY, share_end = share_at(model, age_end), taken_until = 0;
        size_t n = 0;

        for (size_t i = 0; i < n_plans; i++) {
                double age = age_at(model, share_end * (0.15 + 0.7 * plans[i].place)), end;
                double onset_s, limit;

                /* young models have no forecast to be above; incidents of one model stay apart */
                age = fmax(fmax(age, 21), taken_until + 30);
                end = fmin(age + plans[i].days, age_end);
                if (age + 2 > age_end)
                        continue;
                if (plans[i].kind == BG_INCIDENT_SURGE) {
                        /* growth feeds on itself: e^(factor d) must stay a surge, and not the rest of the hub */
                        limit = share_at(model, age) + 1.4 / (model->lambda * plans[i].factor);
                        if (limit < share_at(model, end))
                                end = fmax(age_at(model, limit), age + 1);
                }
                taken_until = end;
                onset_s = model->release + age * DAY;
                incidents[i] = (BgIncident){ .kind = plans[i].kind, .model = walk->id, .onset = (uint32_t)onset_s,
                                             .end = (uint32_t)(model->release + end * DAY), .factor = plans[i].factor };
                if (plans[i].kind == BG_INCIDENT_SURGE) {
                        marks[n++] = (Mark){ share_at(model, age), MARK_SURGE_BEGIN, &incidents[i] };
                        marks[n++] = (Mark){ share_at(model, end), MARK_SURGE_END, &incidents[i] };
                } else {
                        marks[n++] = (Mark){ share_at(model, age), MARK_BURST, &incidents[i] };
                }
        }
        marks[n++] = (Mark){ share_end, MARK_END, NULL };
        qsort(marks, n, sizeof(*marks), compare_marks);
        return n;
}

static void incident_begins(Walk *walk, BgIncident *incident)
{
        const BgEcosystemModel *model = walk->model;
        double from = (incident->onset - (double)model->release) / DAY, to = (incident->end - (double)model->release) / DAY;
        double f = incident->factor, expected;

        incident->rate = rate_at(model, fmax(from, 1 / DAY));
        if (incident->kind != BG_INCIDENT_SURGE)
                return;
        expected = (model->n_children + model->m) *
                   (bg_random_exp(model->lambda * (share_at(model, to) - share_at(model, from))) - 1) / walk->mean_session;
        incident->info_nats = expected * (f * bg_random_ln(f) - f + 1);
}

static int walk_life(Walk *walk, const Plan *plans, size_t n_plans)
{
        BgSimulatedEcosystem *out = walk->out;
        BgIncident incidents[PLANS_MAX];
        Mark marks[MARKS_MAX];
        size_t n_marks = place_marks(walk, plans, n_plans, incidents, marks);
        double share = 0, factor = 1;
        int r;

        for (size_t i = 0; i < n_marks; i++) {
                r = stretch(walk, &share, marks[i].share, factor);
                if (r)
                        return r;
                factor = 1;
                if (marks[i].kind == MARK_END)
                        break;
                if (marks[i].kind == MARK_SURGE_END)
                        continue;
                incident_begins(walk, marks[i].incident);
                if (marks[i].kind == MARK_SURGE_BEGIN)
                        factor = marks[i].incident->factor;
                r = marks[i].kind == MARK_BURST ? burst(walk, marks[i].incident) : 0;
                if (!r)
                        r = grow(&out->incidents, &out->cap_incidents, out->n_incidents + 1, sizeof(*out->incidents));
                if (r)
                        return r;
                out->incidents[out->n_incidents++] = *marks[i].incident;
        }
        return 0;
}

static void draw_prior(Walk *walk)
{
        BgEcosystemModel *model = walk->model;

        model->m = 3;
        model->lambda = bg_random_exp(1 + bg_random_normal(&walk->random));
        model->mu = 2 + 3.41567470 + bg_random_normal(&walk->random); /* ln 30.4375 days */
        model->sigma = bg_random_exp(0.5 + 0.70710678118654752440 * bg_random_normal(&walk->random));
}

/* One draw a statement, here and everywhere: the order of evaluation inside an expression is the compiler's. */
static Plan draw_plan(BgRandom *random, BgIncidentKind kind)
{
        double size = bg_random_uniform(random), length = bg_random_uniform(random);
        Plan plan = { .kind = kind, .place = bg_random_uniform(random) };

        switch (kind) {
        case BG_INCIDENT_SURGE:
                plan.factor = 2 * bg_random_exp(1.6 * size); /* 2 to 10 */
                plan.days = 4 + 26 * length;
                break;
        case BG_INCIDENT_AUTHOR:
                plan.factor = 12 + floor(-12 * bg_random_ln(size));
                plan.days = 0.1 + length;
                break;
        default:
                plan.factor = 12 + floor(-12 * bg_random_ln(size));
                plan.days = 1 + 3 * length;
        }
        return plan;
}

static size_t draw_plans(Walk *walk, Plan plans[PLANS_MAX])
{
        double size = walk->model->m * (bg_random_exp(walk->model->lambda) - 1);
        /* where there is something to surge: a few percent of the small, every third of the large */
        const double chances[] = { fmin(0.35, 0.02 + size / 4000), 0.05, 0.03 };
        size_t n = 0;

        if (walk->spec->pure || walk->spec->null)
                return 0;
        for (int kind = BG_INCIDENT_SURGE; kind <= BG_INCIDENT_TEAM; kind++)
                if (bg_random_uniform(&walk->random) < chances[kind])
                        plans[n++] = draw_plan(&walk->random, (BgIncidentKind)kind);
        return n;
}

static int live(Walk *walk)
{
        BgSimulatedEcosystem *out = walk->out;
        size_t n_events = out->n_events, n_incidents = out->n_incidents, n_plans;
        Plan plans[PLANS_MAX];
        int r;

        for (;;) {
                /* selection looks at the data alone, so that posteriors stay calibrated among the models that are kept */
                if (walk->spec->pure)
                        draw_prior(walk);
                n_plans = draw_plans(walk, plans);
                r = walk_life(walk, plans, n_plans);
                if (r != WALK_E_TOO_MANY)
                        return r;
                out->n_events = n_events;
                out->n_incidents = n_incidents;
                walk->model->n_children = 0;
                walk->model->lambda *= 0.95;
        }
}

/* ---- the whole hub ---------------------------------------------------------------------------------------------------------- */

static double expected_events(const BgEcosystemModel *models, const double *sizes, const double *shares, size_t n, double scale,
                              double size_max)
{
        double sum = 0;

        for (size_t i = 0; i < n; i++) {
                double lambda = bg_random_ln(1 + fmin(sizes[i] * scale, size_max) / models[i].m);

                sum += models[i].m * (bg_random_exp(lambda * shares[i]) - 1);
        }
        return sum;
}

/* Sizes: quantiles of a log-normal in random order, so that a hub of any size has its giants and its many unknown. */
static int draw_sizes(BgSimulatedEcosystem *out, const BgEcosystemSpec *spec, BgRandom *random)
{
        size_t n = out->n_models;
        double *sizes = malloc(2 * n * sizeof(*sizes)), *shares = sizes + n, scale = 1, size_max = spec->children_max / 4.0;

        if (!sizes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                size_t j = bg_random_below(random, i + 1);

                sizes[i] = sizes[j];
                sizes[j] = bg_random_exp(3.2 + 2.1 * bg_random_normal_quantile(((double)i + 0.5) / (double)n));
        }
        for (size_t i = 0; i < n; i++) {
                BgEcosystemModel *model = &out->models[i];

                model->m = 3;
                model->mu = 4.2 + 0.7 * bg_random_normal(random);
                model->sigma = bg_random_exp(0.05 + 0.25 * bg_random_normal(random));
                shares[i] = share_at(model, spec->days - model->release / DAY);
        }
        if (spec->events) {
                double low = -12, high = 12;

                for (int i = 0; i < 40; i++) {
                        scale = bg_random_exp((low + high) / 2);
                        if (expected_events(out->models, sizes, shares, n, scale, size_max) < (double)spec->events)
                                low = (low + high) / 2;
                        else
                                high = (low + high) / 2;
                }
        }
        for (size_t i = 0; i < n; i++)
                out->models[i].lambda = bg_random_ln(1 + fmin(sizes[i] * scale, size_max) / out->models[i].m);
        free(sizes);
        return 0;
}

static int draw_models(BgSimulatedEcosystem *out, const BgEcosystemSpec *spec, BgRandom *random)
{
        uint32_t n_orgs = (uint32_t)fmax(1, 2 * sqrt((double)spec->n_models)), *used;

        used = calloc(n_orgs, sizeof(*used));
        if (!used)
                return -ENOMEM;
        for (size_t i = 0; i < out->n_models; i++) {
                BgEcosystemModel *model = &out->models[i];
                double u = bg_random_uniform(random);

                model->org = (uint32_t)(n_orgs * bg_random_uniform(random));
                model->org = (uint32_t)(model->org * bg_random_uniform(random)); /* a few have many */
                model->number = used[model->org]++;
                /* pure: every model is seen for half of the history at least */
                model->release = (uint32_t)(spec->days * DAY * (spec->pure ? 0.5 * u : 0.85 * u));
        }
        free(used);
        return spec->pure ? 0 : draw_sizes(out, spec, random);
}

static int draw_outages(BgSimulatedEcosystem *out, const BgEcosystemSpec *spec, BgRandom *random)
{
        int r;

        for (unsigned i = 0; i < (spec->null || spec->pure ? 0 : spec->n_outages); i++) {
                /* one in each part of the history, so that they never overlap */
                double part = spec->days / spec->n_outages;
                double length = fmin(0.5 + 2.5 * bg_random_uniform(random), part / 4);
                double begin = part * (i + 0.25 + 0.4 * bg_random_uniform(random));

                r = grow(&out->incidents, &out->cap_incidents, out->n_incidents + 1, sizeof(*out->incidents));
                if (r)
                        return r;
                out->incidents[out->n_incidents++] = (BgIncident){ .kind = BG_INCIDENT_OUTAGE, .model = UINT32_MAX,
                                                                  .onset = (uint32_t)(begin * DAY),
                                                                  .end = (uint32_t)((begin + length) * DAY) };
        }
        return 0;
}

/* When the feed brings what was born at `at`: after an outage the backlog comes at ten times the pace. */
static uint32_t arrival(const BgIncident *outages, size_t n_outages, uint32_t at)
{
        for (size_t i = 0; i < n_outages; i++)
                if (at >= outages[i].onset && at < outages[i].end)
                        return outages[i].end + (at - outages[i].onset) / 10;
        return at;
}

/* Stable radix sort by arrival: equal seconds keep the order of the models. */
static int sort_events(BgSimulatedEcosystem *out, const BgIncident *outages, size_t n_outages)
{
        BgEcosystemEvent *from = out->events, *to = malloc((out->n_events + 1) * sizeof(*to));

        if (!to)
                return -ENOMEM;
        for (int pass = 0; pass < 3; pass++) {
                size_t start[2048] = { 0 }, sum = 0;
                int shift = 11 * pass;

                for (size_t i = 0; i < out->n_events; i++)
                        start[arrival(outages, n_outages, from[i].at) >> shift & 2047]++;
                for (size_t i = 0; i < 2048; i++) {
                        size_t n = start[i];

                        start[i] = sum;
                        sum += n;
                }
                for (size_t i = 0; i < out->n_events; i++)
                        to[start[arrival(outages, n_outages, from[i].at) >> shift & 2047]++] = from[i];
                BgEcosystemEvent *swap = from;
                from = to;
                to = swap;
        }
        out->events = from;
        out->cap_events = out->n_events + 1;
        free(to);
        return 0;
}

static int compare_incidents(const void *a, const void *b)
{
        const BgIncident *x = a, *y = b;

        if (x->onset != y->onset)
                return x->onset < y->onset ? -1 : 1;
        if (x->model != y->model)
                return x->model < y->model ? -1 : 1;
        return (x->kind > y->kind) - (x->kind < y->kind);
}

static int simulate(BgSimulatedEcosystem *out, const BgEcosystemSpec *spec, BgEcosystemProgress *progress, void *data)
{
        Walk walk = { .out = out, .spec = spec, .mean_session = spec->pure ? 1 : mean_session(), .end_s = spec->days * DAY };
        BgIncident *outages = NULL;
        size_t n_outages;
        BgRandom random;
        int r;

        walk.regulars = 100 + spec->n_models * 4 < AUTHOR_OTHERS / 2 ? 100 + spec->n_models * 4 : AUTHOR_OTHERS / 2;
        bg_random_init(&random, spec->seed, 0);
        out->models = calloc(spec->n_models, sizeof(*out->models));
        if (!out->models)
                return -ENOMEM;
        out->n_models = spec->n_models;
        r = draw_models(out, spec, &random);
        if (!r)
                r = draw_outages(out, spec, &random);
        if (r)
                return r;
        n_outages = out->n_incidents;
        if (n_outages) {
                outages = malloc(n_outages * sizeof(*outages));
                if (!outages)
                        return -ENOMEM;
                memcpy(outages, out->incidents, n_outages * sizeof(*outages));
        }
        for (uint32_t i = 0; !r && i < spec->n_models; i++) {
                walk.id = i;
                walk.model = &out->models[i];
                walk.n_sessions = 0;
                bg_random_init(&walk.random, spec->seed, (uint64_t)i + 1);
                r = live(&walk);
                if (!r && progress && i % 256 == 255 && progress(data, i + 1, out->n_events))
                        r = -ECANCELED;
        }
        if (!r)
                r = sort_events(out, outages, n_outages);
        free(outages);
        if (!r && out->n_incidents)
                qsort(out->incidents, out->n_incidents, sizeof(*out->incidents), compare_incidents);
        return r;
}

int bg_ecosystem_simulate(BgSimulatedEcosystem *ecosystem, const BgEcosystemSpec *asked, BgEcosystemProgress *progress, void *data)
{
        BgEcosystemSpec spec = *asked;
        uint64_t most;
        int r;

        *ecosystem = (BgSimulatedEcosystem){ 0 };
        if (!spec.n_models || spec.n_models > 100000000 || !(spec.days > 0 && spec.days <= 36525) || spec.n_outages > 1000 ||
            spec.events > UINT32_MAX)
                return -EINVAL;
        if (!spec.children_max) {
                most = spec.events / 20 > 60000 ? spec.events / 20 : 60000;
                if (spec.events / spec.n_models * 10 > most)
                        most = spec.events / spec.n_models * 10;
                spec.children_max = (uint32_t)(most < 1000000000 ? most : 1000000000);
        }
        r = simulate(ecosystem, &spec, progress, data);
        if (r)
                bg_ecosystem_deinit(ecosystem);
        return r;
}

void bg_ecosystem_deinit(BgSimulatedEcosystem *ecosystem)
{
        free(ecosystem->models);
        free(ecosystem->events);
        free(ecosystem->incidents);
        *ecosystem = (BgSimulatedEcosystem){ 0 };
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copying what aggregates need, and computing them. The organisations of a relation lie one after the other, in order of their
 * names, so that each is a slice of every array: sorted in place, summarised, and added to the variance components.
 */
#include "daemon/stream/ecosystem.h"

#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "daemon/stream/refit.h"

enum { DAY_S = 86400 };
/* Histograms leave the outermost hundredths to their end bins: one extreme fit must not make all the others one bin. */
#define HISTOGRAM_TAIL .01
#define TINY 1e-12 /* lambda may be 0 under least squares: the first bin */

const double bg_ecosystem_age_days[BG_ECOSYSTEM_AGE_N] = { 2 * BG_POOL_BIN_DAYS, 6 * BG_POOL_BIN_DAYS, 12 * BG_POOL_BIN_DAYS };

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

int bg_ecosystem_state_new(BgEcosystemState **statep)
{
        BgEcosystemState *state = calloc(1, sizeof(*state));

        if (!state)
                return -ENOMEM;
        randombytes_buf(state->key, sizeof(state->key));
        *statep = state;
        return 0;
}

void bg_ecosystem_state_free(BgEcosystemState *state)
{
        if (!state)
                return;
        bg_ecosystem_job_free(state->job);
        bg_ecosystem_result_free(state->result);
        free(state);
}

void bg_ecosystem_result_free(BgEcosystemResult *result)
{
        if (!result)
                return;
        bg_intern_deinit(&result->names);
        free(result->orgs);
        free(result);
}

void bg_ecosystem_job_free(BgEcosystemJob *job)
{
        if (!job)
                return;
        bg_ecosystem_result_free(job->result);
        free(job->items);
        free(job);
}

/* ---- collecting -------------------------------------------------------------------------------------------------------------------- */

static uint64_t stamp_of(const BgCore *core)
{
        const BgCoreCounters *n = &core->n;

        return (uint64_t)(n->events_accepted + n->forecasts + n->surges_opened + n->surges_closed + n->bursts) +
               bg_registry_n_models(core->registry);
}

bool bg_core_ecosystem_changed(const BgCore *core)
{
        return stamp_of(core) != core->ecosystem->stamp;
}

bool bg_core_ecosystem_due(const BgCore *core, int64_t now)
{
        const BgEcosystemState *state = core->ecosystem;
        BgSecond as_of = bg_core_as_of(core);

        if (state->job || as_of == 0 || !bg_core_ecosystem_changed(core))
                return false;
        return !state->result || as_of >= state->result->as_of + 3600 || now >= state->result->at + INT64_C(3600) * 1000000;
}

BgEcosystemJob *bg_core_ecosystem_begin(BgCore *core, int64_t now)
{
        BgEcosystemState *state = core->ecosystem;
        BgEcosystemJob *job;

        if (state->job)
                return NULL;
        job = calloc(1, sizeof(*job));
        if (!job)
                return NULL;
        job->result = calloc(1, sizeof(*job->result));
        /* once, not by doubling: a million items are not copied in one step. Pages come as they are touched */
        job->cap_items = bg_registry_n_models(core->registry) + bg_registry_n_models(core->registry) / 8 + 64;
        job->items = malloc(job->cap_items * sizeof(*job->items));
        if (!job->result || !job->items) {
                bg_ecosystem_job_free(job);
                return NULL;
        }
        bg_intern_init(&job->result->names, state->key);
        job->result->at = now;
        job->result->as_of = bg_core_as_of(core);
        job->fit_spec = core->spec.fit;
        if (core->spec.forecaster == BG_FORECASTER_POOLED)
                job->fit_spec.prior = core->learner.prior;
        job->stamp = stamp_of(core);
        state->job = job;
        return job;
}

static BgTrust trust_of(const BgFitSpec *spec, const BgSeriesState *state, double age_days)
{
        const BgIssued *issued = state ? state->issued : NULL;
        BgFit fit;

        if (!issued || state->fit.status == BG_FIT_NONE || issued->count <= 0)
                return BG_TRUST_NONE;
        fit = bg_state_fit(state, spec->m);
        fit.spread[0] = (double)issued->lambda_sd * (double)issued->lambda_sd;
        fit.spread[2] = (double)issued->mu_sd * (double)issued->mu_sd;
        fit.spread[5] = (double)issued->sigma_sd * (double)issued->sigma_sd;
        return bg_refit_status(spec, &fit, issued->count, age_days) == BG_STATUS_OK ? BG_TRUST_OK : BG_TRUST_WEAK;
}

static double days_between(BgSecond from, BgSecond to)
{
        return to > from ? (double)(to - from) / DAY_S : 0;
}

/** Counts at the ages that a model reached. Of a guessed release nothing is said: the guess is the first child, and "a child on
 *  the first day" would be true of every such model. */
static void collect_ages(BgCore *core, const BgModel *model, BgSeriesId id, BgSecond as_of, double aged[BG_ECOSYSTEM_AGE_N])
{
        for (int k = 0; k < BG_ECOSYSTEM_AGE_N; k++) {
                BgSecond at = model->release + (BgSecond)(bg_ecosystem_age_days[k] * DAY_S);
                double count;

                aged[k] = NAN;
                if (!model->release || model->release_basis == BG_RELEASE_GUESSED || at > as_of)
                        continue;
                count = id == BG_SERIES_NONE ? 0 : bg_core_outcome(core, id, model->release, at);
                if (count >= 0)
                        aged[k] = count;
        }
}

static int collect_series(BgCore *core, BgEcosystemJob *job, BgModelId model_id, int relation)
{
        const BgModel *model = bg_registry_model(core->registry, model_id);
        BgSecond as_of = job->result->as_of, month = as_of > 30 * DAY_S ? as_of - 30 * DAY_S : 0;
        BgSeriesId id = model->series[relation];
        const BgSeries *series = id == BG_SERIES_NONE ? NULL : bg_registry_series(core->registry, id);
        const BgSeriesState *state = series ? series->state : NULL;
        BgEcosystemItem *item;

        if (job->n_items == job->cap_items) {
                size_t cap = job->cap_items * 2;
                BgEcosystemItem *items = realloc(job->items, cap * sizeof(*items));

                if (!items)
                        return -ENOMEM;
                job->items = items;
                job->cap_items = cap;
        }
        item = &job->items[job->n_items];
        *item = (BgEcosystemItem){ .model = model_id, .relation = (uint8_t)relation };
        collect_ages(core, model, id, as_of, item->aged);
        if (series) {
                item->count = (double)bg_series_count(series, as_of);
                item->new_30d = item->count - (double)bg_series_count(series, month);
                item->surging = bg_incidents_told(core, series);
                item->trust = (uint8_t)trust_of(&job->fit_spec, state, state && state->issued ?
                                                days_between(state->issued->release, state->issued->as_of) : 0);
                for (int i = 0; i < BG_THETA_N && item->trust; i++)
                        item->theta[i] = state->fit.theta[i];
        }
        job->n_items++;
        return bg_intern_number(&job->result->names, bg_proto_name_org((BgStr){ model->name, model->name_len }), &item->org);
}

int bg_core_ecosystem_collect(BgCore *core, BgEcosystemJob *job, size_t n_max)
{
        size_t n_models = bg_registry_n_models(core->registry);

        for (; n_max > 0 && job->next < n_models && !job->failed; n_max--, job->next++) {
                const BgModel *model = bg_registry_model(core->registry, job->next);

                for (int k = 0; k < BG_RELATION_N && !job->failed && model->merged_into == BG_MODEL_NONE; k++)
                        if (k == BG_RELATION_FINETUNE || model->series[k] != BG_SERIES_NONE)
                                job->failed = collect_series(core, job, job->next, k);
        }
        return job->next < n_models && !job->failed ? BG_CORE_E_MORE : 0;
}

/* ---- computing --------------------------------------------------------------------------------------------------------------------- */

/** Memory for one relation: as many numbers as it has models, some times. */
typedef struct Scratch {
        double *values[BG_THETA_N];
        double *sorted;
        double *means;  /* of the counts, by organisation */
        size_t *bounds; /* of the organisations' slices in `values[0]` */
} Scratch;

static void scratch_free(Scratch *scratch)
{
        for (int i = 0; i < BG_THETA_N; i++)
                free(scratch->values[i]);
        free(scratch->sorted);
        free(scratch->means);
        free(scratch->bounds);
}

static int scratch_new(Scratch *scratch, size_t n, size_t n_orgs)
{
        *scratch = (Scratch){ 0 };
        for (int i = 0; i < BG_THETA_N; i++)
                scratch->values[i] = malloc((n ? n : 1) * sizeof(double));
        scratch->sorted = malloc((n ? n : 1) * sizeof(double));
        scratch->means = malloc((n_orgs ? n_orgs : 1) * sizeof(double));
        scratch->bounds = malloc((n_orgs + 1) * sizeof(size_t));
        for (int i = 0; i < BG_THETA_N; i++)
                if (!scratch->values[i])
                        return -ENOMEM;
        return scratch->sorted && scratch->means && scratch->bounds ? 0 : -ENOMEM;
}

static BgKeptSummary kept(const BgSummary *summary)
{
        BgKeptSummary out = { .mean = (float)summary->mean };

        for (int k = 0; k < BG_SUMMARY_N; k++)
                out.q[k] = (float)summary->q[k];
        return out;
}

/** Fits of one trust among items; the values are left behind in scratch, sorted, each parameter for itself. */
static void fits(BgKeptFits *out, const BgEcosystemItem *items, size_t n, BgTrust trust, Scratch *scratch)
{
        size_t n_fits = 0;

        for (size_t j = 0; j < n; j++) {
                BgGrowth growth;

                if (items[j].trust != trust)
                        continue;
                growth = bg_growth_from_theta(items[j].theta, 1);
                scratch->values[BG_THETA_LN_LAMBDA][n_fits] = growth.lambda;
                scratch->values[BG_THETA_MU][n_fits] = growth.mu;
                scratch->values[BG_THETA_LN_SIGMA][n_fits] = growth.sigma;
                n_fits++;
        }
        out->n = (uint32_t)n_fits;
        for (int i = 0; i < BG_THETA_N; i++) {
                BgSummary summary;

                bg_population_sort(scratch->values[i], n_fits);
                summary = bg_population_summary(scratch->values[i], n_fits);
                out->of[i] = kept(&summary);
        }
}

static void count_up(BgAggregate *aggregate, const BgEcosystemItem *items, size_t n)
{
        aggregate->largest = BG_MODEL_NONE;
        for (size_t j = 0; j < n; j++) {
                const BgEcosystemItem *item = &items[j];

                aggregate->models++;
                aggregate->with_children += item->count > 0;
                aggregate->surges += item->surging;
                aggregate->children += item->count;
                aggregate->new_30d += item->new_30d;
                if (item->count > aggregate->largest_count || (item->count > 0 && item->count == aggregate->largest_count &&
                                                                item->model < aggregate->largest)) {
                        aggregate->largest = item->model;
                        aggregate->largest_count = item->count;
                }
        }
}

/** Counts at one age: each organisation's, all organisations', and what a new model of each may expect. */
static void ages(BgPopulation *population, BgAggregate *orgs, const size_t *slices, size_t n_orgs, const BgEcosystemItem *items, int age,
                 Scratch *scratch)
{
        double *values = scratch->values[0];
        BgComponents components = { 0 };
        size_t n = 0;
        BgSummary all;

        for (size_t g = 0; g < n_orgs; g++) {
                double sum = 0, squares = 0;
                size_t first = n;
                BgSummary summary;

                for (size_t j = slices[g]; j < slices[g + 1]; j++)
                        if (isfinite(items[j].aged[age]))
                                values[n++] = items[j].aged[age];
                scratch->bounds[g] = first;
                bg_population_sort(values + first, n - first);
                summary = bg_population_summary(values + first, n - first);
                for (size_t j = first; j < n; j++)
                        sum += log1p(values[j]);
                for (size_t j = first; j < n; j++) {
                        double off = log1p(values[j]) - sum / (double)(n - first);

                        squares += off * off;
                }
                bg_components_add(&components, (double)(n - first), sum, squares);
                scratch->means[g] = summary.mean;
                orgs[g].ages[age] = (BgKeptAge){ .n = (uint32_t)(n - first), .count = kept(&summary), .expected_mean = NAN };
        }
        scratch->bounds[n_orgs] = n;
        memcpy(scratch->sorted, values, n * sizeof(double));
        bg_population_sort(scratch->sorted, n);
        all = bg_population_summary(scratch->sorted, n);
        population->sum.ages[age] = (BgKeptAge){ .n = (uint32_t)n, .count = kept(&all), .expected_mean = NAN };
        for (size_t g = 0; g < n_orgs && n > 0; g++) {
                size_t first = scratch->bounds[g], n_group = scratch->bounds[g + 1] - first;
                double weight = bg_components_weight(&components, (double)n_group), q[BG_QUANTILE_N];
                BgKeptAge *out = &orgs[g].ages[age];

                out->expected_mean = (float)bg_population_expected(values + first, n_group, scratch->means[g], scratch->sorted, n, all.mean,
                                                                   weight, q);
                out->weight = (float)weight;
                for (int k = 0; k < BG_QUANTILE_N; k++)
                        out->expected[k] = (float)q[k];
        }
}

/** Bins of equal width in theta between the outermost hundredths; `values` are natural and sorted. */
static void histogram(BgPopulation *population, int i, const double *values, size_t n)
{
        double lo = bg_population_quantile(values, n, HISTOGRAM_TAIL), hi = bg_population_quantile(values, n, 1 - HISTOGRAM_TAIL), step;
        bool logarithmic = i != BG_THETA_MU;

        if (n == 0)
                return;
        if (logarithmic) {
                lo = log(fmax(lo, TINY));
                hi = log(fmax(hi, TINY));
        }
        if (!(hi - lo > 1e-6)) { /* all alike: they are in the middle of something */
                lo -= .5;
                hi += .5;
        }
        step = (hi - lo) / BG_ECOSYSTEM_BIN_N;
        for (int k = 0; k <= BG_ECOSYSTEM_BIN_N; k++)
                population->edges[i][k] = logarithmic ? exp(lo + k * step) : lo + k * step;
        for (size_t j = 0; j < n; j++) {
                double at = ((logarithmic ? log(fmax(values[j], TINY)) : values[j]) - lo) / step;

                population->bins[i][at <= 0 ? 0 : at >= BG_ECOSYSTEM_BIN_N ? BG_ECOSYSTEM_BIN_N - 1 : (int)at]++;
        }
}

static void correlations(BgPopulation *population, const BgEcosystemItem *items, size_t n, Scratch *scratch)
{
        static const int pairs[3][2] = { { BG_THETA_LN_LAMBDA, BG_THETA_MU }, { BG_THETA_LN_LAMBDA, BG_THETA_LN_SIGMA },
                                         { BG_THETA_MU, BG_THETA_LN_SIGMA } };
        size_t n_fits = 0;

        for (size_t j = 0; j < n; j++) {
                for (int i = 0; i < BG_THETA_N && items[j].trust == BG_TRUST_OK; i++)
                        scratch->values[i][n_fits] = items[j].theta[i];
                n_fits += items[j].trust == BG_TRUST_OK;
        }
        for (int p = 0; p < 3; p++)
                population->correlations[p] = bg_population_correlation(scratch->values[pairs[p][0]], scratch->values[pairs[p][1]], n_fits);
}

/** Keep the largest of a growing ranking; equal ones by name, which is their order. */
static void rank(const BgAggregate *orgs, size_t index, double key, bool by_growth, size_t *best, size_t *np)
{
        size_t i = *np;

        if (!(key > 0))
                return;
        while (i > 0 && key > (by_growth ? orgs[best[i - 1]].new_30d : orgs[best[i - 1]].children))
                i--;
        if (i == BG_ECOSYSTEM_TOP_N)
                return;
        if (*np < BG_ECOSYSTEM_TOP_N)
                (*np)++;
        memmove(best + i + 1, best + i, (*np - i - 1) * sizeof(*best));
        best[i] = index;
}

/** One relation: `items` in order of their organisations' names, slices[g] .. slices[g + 1] is organisation g. */
static int relate(BgEcosystemResult *result, BgPopulation *population, const BgEcosystemItem *items, const size_t *slices, size_t n_orgs)
{
        BgAggregate *orgs = result->orgs + population->first;
        size_t n = slices[n_orgs];
        Scratch scratch;
        int r = scratch_new(&scratch, n, n_orgs);

        for (size_t g = 0; g < n_orgs && !r; g++) {
                const BgEcosystemItem *own = items + slices[g];
                size_t n_own = slices[g + 1] - slices[g];

                orgs[g] = (BgAggregate){ .org = own->org, .relation = own->relation };
                count_up(&orgs[g], own, n_own);
                fits(&orgs[g].ok, own, n_own, BG_TRUST_OK, &scratch);
                fits(&orgs[g].weak, own, n_own, BG_TRUST_WEAK, &scratch);
                rank(result->orgs, population->first + g, orgs[g].children, false, population->top, &population->n_top);
                rank(result->orgs, population->first + g, orgs[g].new_30d, true, population->growing, &population->n_growing);
        }
        if (!r) {
                population->n_orgs = n_orgs;
                population->sum.relation = items->relation;
                count_up(&population->sum, items, n);
                for (int k = 0; k < BG_ECOSYSTEM_AGE_N; k++)
                        ages(population, orgs, slices, n_orgs, items, k, &scratch);
                correlations(population, items, n, &scratch);
                fits(&population->sum.weak, items, n, BG_TRUST_WEAK, &scratch);
                fits(&population->sum.ok, items, n, BG_TRUST_OK, &scratch);
                for (int i = 0; i < BG_THETA_N; i++)
                        histogram(population, i, scratch.values[i], population->sum.ok.n);
                for (size_t j = 0; j < n; j++)
                        scratch.sorted[j] = items[j].count;
                bg_population_sort(scratch.sorted, n);
                population->gini = bg_population_gini(scratch.sorted, n);
                population->n_80 = bg_population_largest(scratch.sorted, n, .8);
                bg_population_lorenz(scratch.sorted, n, population->lorenz, BG_ECOSYSTEM_LORENZ_N);
        }
        scratch_free(&scratch);
        return r;
}

struct named {
        BgStr name;
        uint32_t id;
};

static int by_name(const void *a, const void *b)
{
        const struct named *x = a, *y = b;
        int r = memcmp(x->name.data, y->name.data, x->name.len < y->name.len ? x->name.len : y->name.len);

        return r ? r : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/** orders[id] = place of the organisation among all names. NULL without memory. */
static uint32_t *order_names(const BgIntern *names)
{
        struct named *named = malloc(((size_t)names->n + 1) * sizeof(*named));
        uint32_t *orders = malloc(((size_t)names->n + 1) * sizeof(*orders));

        if (!named || !orders) {
                free(named);
                free(orders);
                return NULL;
        }
        for (uint32_t id = 1; id <= names->n; id++)
                named[id - 1] = (struct named){ bg_intern_text(names, id), id };
        qsort(named, names->n, sizeof(*named), by_name);
        orders[0] = 0;
        for (uint32_t i = 0; i < names->n; i++)
                orders[named[i].id] = i;
        free(named);
        return orders;
}

/** Items by relation and organisation's name (a counting sort: in order of models within); starts[] has the first of each. */
static int order_items(BgEcosystemJob *job, const uint32_t *orders, size_t *starts, size_t n_keys)
{
        size_t n_names = job->result->names.n;
        BgEcosystemItem *ordered = malloc((job->n_items ? job->n_items : 1) * sizeof(*ordered));

        if (!ordered)
                return -ENOMEM;
        for (size_t j = 0; j < job->n_items; j++)
                starts[job->items[j].relation * n_names + orders[job->items[j].org] + 1]++;
        for (size_t k = 0; k < n_keys; k++)
                starts[k + 1] += starts[k];
        for (size_t j = 0; j < job->n_items; j++)
                ordered[starts[job->items[j].relation * n_names + orders[job->items[j].org]]++] = job->items[j];
        for (size_t k = n_keys; k > 0; k--) /* filling moved every start to its end: the next one's start */
                starts[k] = starts[k - 1];
        starts[0] = 0;
        free(job->items);
        job->items = ordered;
        return 0;
}

static int compute(BgEcosystemJob *job, uint32_t *orders, size_t *starts, size_t *slices)
{
        BgEcosystemResult *result = job->result;
        size_t n_names = result->names.n, n_keys = BG_RELATION_N * n_names, n_orgs = 0;
        int r;

        if (!orders || !starts || !slices)
                return -ENOMEM;
        r = order_items(job, orders, starts, n_keys);
        for (size_t k = 0; k < n_keys && !r; k++)
                n_orgs += starts[k + 1] > starts[k];
        result->orgs = r ? NULL : malloc((n_orgs ? n_orgs : 1) * sizeof(*result->orgs));
        if (!result->orgs)
                return -ENOMEM;
        for (int relation = 0; relation < BG_RELATION_N && !r; relation++) {
                const size_t *own = starts + (size_t)relation * n_names;
                size_t n_slices = 0;

                for (size_t k = 0; k < n_names; k++)
                        if (own[k + 1] > own[k])
                                slices[n_slices++] = own[k] - own[0];
                slices[n_slices] = own[n_names] - own[0];
                result->known[relation] = n_slices > 0;
                result->populations[relation].first = result->n_orgs;
                if (n_slices)
                        r = relate(result, &result->populations[relation], job->items + own[0], slices, n_slices);
                result->n_orgs += n_slices;
        }
        return r;
}

void bg_ecosystem_run(BgEcosystemJob *job)
{
        size_t n_names = job->result->names.n;
        uint32_t *orders = job->failed ? NULL : order_names(&job->result->names);
        size_t *starts = calloc(BG_RELATION_N * n_names + 1, sizeof(*starts)), *slices = calloc(n_names + 1, sizeof(*slices));

        if (!job->failed)
                job->failed = compute(job, orders, starts, slices);
        free(orders);
        free(starts);
        free(slices);
        free(job->items); /* the copy was all it was for */
        job->items = NULL;
        job->n_items = job->cap_items = 0;
}

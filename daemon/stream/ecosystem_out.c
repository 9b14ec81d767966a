/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taking aggregates over, publishing what changed, last values, and the queries `org` and `ecosystem`. */
#include "daemon/stream/ecosystem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What counts as a change: a hundredth of a count, of the forecast for new models, or of a parameter's scale. Incidents and models
 * that come or go always do. Smaller changes wait, but not longer than a day of event time. */
#define CHANGE_SHARE .01
#define CHANGE_PARAMETER .01
enum { CHANGE_WAIT_S = 86400 };
/* So many models are aggregated while a query waits (about 1 us each), and not more often than once a second. */
enum { QUERY_MODELS_MAX = 10000, QUERY_EVERY_US = 1000000, LIST_LIMIT_DEFAULT = 50 };

/* ---- messages ------------------------------------------------------------------------------------------------------------------------ */

/** A sum of counts, each at most 1e12, as the wire has it: below 2^63 for more models than there are ids. */
static int64_t whole(double sum)
{
        return sum > 0 ? (int64_t)fmin(sum, 9e18) : 0;
}

static BgSpread *spread_message(const BgKeptSummary *summary, BgArena *arena)
{
        BgSpread *spread = bg_arena_alloc(arena, 1, sizeof(*spread));

        if (spread)
                *spread = (BgSpread){ (double)summary->mean, (double)summary->q[0], (double)summary->q[1], (double)summary->q[2],
                                      (double)summary->q[3], (double)summary->q[4] };
        return spread;
}

static BgFits *fits_message(const BgKeptFits *fits, BgArena *arena)
{
        BgFits *message = bg_arena_alloc(arena, 1, sizeof(*message));

        if (!message)
                return NULL;
        bg_proto_init(&bg_proto_fits, message);
        message->n = fits->n;
        if (!fits->n)
                return message;
        message->lambda = spread_message(&fits->of[BG_THETA_LN_LAMBDA], arena);
        message->mu = spread_message(&fits->of[BG_THETA_MU], arena);
        message->sigma = spread_message(&fits->of[BG_THETA_LN_SIGMA], arena);
        return message->lambda && message->mu && message->sigma ? message : NULL;
}

static BgAged *ages_message(const BgKeptAge ages[BG_ECOSYSTEM_AGE_N], BgArena *arena)
{
        BgAged *messages = bg_arena_alloc(arena, BG_ECOSYSTEM_AGE_N, sizeof(*messages));

        for (int k = 0; messages && k < BG_ECOSYSTEM_AGE_N; k++) {
                const BgKeptAge *age = &ages[k];
                const float *q = age->expected;

                bg_proto_init(&bg_proto_aged, &messages[k]);
                messages[k].days = bg_ecosystem_age_days[k];
                messages[k].n = age->n;
                if (age->n) {
                        messages[k].count = spread_message(&age->count, arena);
                        if (!messages[k].count)
                                return NULL;
                }
                if (isnan(age->expected_mean))
                        continue;
                messages[k].weight = (double)age->weight;
                messages[k].expected = bg_arena_alloc(arena, 1, sizeof(*messages[k].expected));
                if (!messages[k].expected)
                        return NULL;
                *messages[k].expected = (BgExpected){ (double)age->expected_mean, (double)q[0], (double)q[1], (double)q[2], (double)q[3],
                                                      (double)q[4], (double)q[5], (double)q[6] };
        }
        return messages;
}

static double share_of(const BgAggregate *org, const BgEcosystemResult *result)
{
        double all = result->populations[org->relation].sum.children;

        return all > 0 ? org->children / all : NAN;
}

int bg_ecosystem_org_message(const BgCore *core, const BgEcosystemResult *result, const BgAggregate *org, BgArena *arena, BgOrg *message)
{
        const BgModel *largest = org->largest == BG_MODEL_NONE ? NULL : bg_registry_model(core->registry, org->largest);

        bg_proto_init(&bg_proto_org, message);
        message->epoch = core->epoch;
        message->seq = org->revision.seq;
        message->org = bg_intern_text(&result->names, org->org);
        message->relation = org->relation;
        message->rev = org->revision.rev;
        message->prev_rev = org->revision.prev_rev;
        message->at = result->at;
        message->as_of = bg_second_to_us(result->as_of);
        message->models = org->models;
        message->with_children = org->with_children;
        message->children = whole(org->children);
        message->share = share_of(org, result);
        message->new_30d = whole(org->new_30d);
        message->surges = org->surges;
        /* by now the model may have another name, or be part of another one */
        if (largest && largest->merged_into == BG_MODEL_NONE) {
                message->largest = (BgStr){ largest->name, largest->name_len };
                message->largest_count = whole(org->largest_count);
        }
        message->ok = fits_message(&org->ok, arena);
        message->weak = fits_message(&org->weak, arena);
        message->ages.items = ages_message(org->ages, arena);
        message->ages.n = BG_ECOSYSTEM_AGE_N;
        return message->ok && message->weak && message->ages.items ? 0 : -ENOMEM;
}

static BgOrgShare *shares_message(const BgEcosystemResult *result, const size_t *indices, size_t n, BgArena *arena)
{
        BgOrgShare *shares = bg_arena_alloc(arena, n ? n : 1, sizeof(*shares));

        for (size_t i = 0; shares && i < n; i++) {
                const BgAggregate *org = &result->orgs[indices[i]];

                shares[i] = (BgOrgShare){ .org = bg_intern_text(&result->names, org->org), .models = org->models,
                                          .children = whole(org->children), .share = share_of(org, result),
                                          .new_30d = whole(org->new_30d) };
        }
        return shares;
}

static BgHistogram *histogram_message(const BgPopulation *population, int i, BgArena *arena)
{
        BgHistogram *histogram = bg_arena_alloc(arena, 1, sizeof(*histogram));
        double *edges = bg_arena_alloc(arena, BG_ECOSYSTEM_BIN_N + 1, sizeof(*edges));
        int64_t *counts = bg_arena_alloc(arena, BG_ECOSYSTEM_BIN_N, sizeof(*counts));

        if (!histogram || !edges || !counts)
                return NULL;
        memcpy(edges, population->edges[i], sizeof(population->edges[i]));
        memcpy(counts, population->bins[i], sizeof(population->bins[i]));
        bg_proto_init(&bg_proto_histogram, histogram);
        histogram->edges.items = edges;
        histogram->edges.n = BG_ECOSYSTEM_BIN_N + 1;
        histogram->counts.items = counts;
        histogram->counts.n = BG_ECOSYSTEM_BIN_N;
        return histogram;
}

int bg_ecosystem_message(const BgCore *core, const BgEcosystemResult *result, const BgPopulation *population, BgArena *arena,
                         BgEcosystem *message)
{
        const BgAggregate *sum = &population->sum;

        bg_proto_init(&bg_proto_ecosystem, message);
        message->epoch = core->epoch;
        message->seq = sum->revision.seq;
        message->relation = sum->relation;
        message->rev = sum->revision.rev;
        message->prev_rev = sum->revision.prev_rev;
        message->at = result->at;
        message->as_of = bg_second_to_us(result->as_of);
        message->models = sum->models;
        message->with_children = sum->with_children;
        message->children = whole(sum->children);
        message->new_30d = whole(sum->new_30d);
        message->orgs = (int64_t)population->n_orgs;
        message->surges = sum->surges;
        message->n_80 = (int64_t)population->n_80;
        message->share_80 = sum->children > 0 ? (double)population->n_80 / sum->models : NAN;
        message->gini = population->gini;
        message->lorenz.items = bg_arena_alloc(arena, BG_ECOSYSTEM_LORENZ_N, sizeof(double));
        message->top.items = shares_message(result, population->top, population->n_top, arena);
        message->top.n = population->n_top;
        message->growing.items = shares_message(result, population->growing, population->n_growing, arena);
        message->growing.n = population->n_growing;
        message->ok = fits_message(&sum->ok, arena);
        message->weak = fits_message(&sum->weak, arena);
        message->ages.items = ages_message(sum->ages, arena);
        message->ages.n = BG_ECOSYSTEM_AGE_N;
        message->lambda_mu = population->correlations[0];
        message->lambda_sigma = population->correlations[1];
        message->mu_sigma = population->correlations[2];
        if (!message->lorenz.items || !message->top.items || !message->growing.items || !message->ok || !message->weak || !message->ages.items)
                return -ENOMEM;
        memcpy(message->lorenz.items, population->lorenz, sizeof(population->lorenz));
        message->lorenz.n = BG_ECOSYSTEM_LORENZ_N;
        if (!sum->ok.n)
                return 0;
        message->lambda = histogram_message(population, BG_THETA_LN_LAMBDA, arena);
        message->mu = histogram_message(population, BG_THETA_MU, arena);
        message->sigma = histogram_message(population, BG_THETA_LN_SIGMA, arena);
        return message->lambda && message->mu && message->sigma ? 0 : -ENOMEM;
}

/* ---- taking over --------------------------------------------------------------------------------------------------------------------- */

static bool apart(double before, double now, double share)
{
        return fabs(now - before) > share * fmax(fabs(before), 1);
}

/** A median that there was not, or is not any more, is a change too. */
static bool parameter_moved(double before, double now, bool logarithmic)
{
        if (isnan(before) || isnan(now))
                return isnan(before) != isnan(now);
        return logarithmic ? fabs(log(fmax(now, 1e-6) / fmax(before, 1e-6))) > CHANGE_PARAMETER : fabs(now - before) > CHANGE_PARAMETER;
}

static BgKeptRevision digest(const BgAggregate *aggregate, BgSecond as_of)
{
        return (BgKeptRevision){
                .as_of = as_of,
                .models = aggregate->models,
                .surges = aggregate->surges,
                .children = (float)aggregate->children,
                .new_30d = (float)aggregate->new_30d,
                .lambda = aggregate->ok.of[BG_THETA_LN_LAMBDA].q[2],
                .mu = aggregate->ok.of[BG_THETA_MU].q[2],
                .sigma = aggregate->ok.of[BG_THETA_LN_SIGMA].q[2],
                .expected = isnan(aggregate->ages[1].expected_mean) ? -1 : aggregate->ages[1].expected[3],
        };
}

static bool moved(const BgKeptRevision *before, const BgKeptRevision *now)
{
        if (before->rev == 0 || before->models != now->models || before->surges != now->surges)
                return true;
        if (now->as_of >= before->as_of + CHANGE_WAIT_S && (before->children != now->children || before->new_30d != now->new_30d))
                return true;
        return apart((double)before->children, (double)now->children, CHANGE_SHARE) ||
               apart((double)before->new_30d, (double)now->new_30d, 5 * CHANGE_SHARE) ||
               apart((double)before->expected, (double)now->expected, CHANGE_SHARE) ||
               parameter_moved((double)before->lambda, (double)now->lambda, true) ||
               parameter_moved((double)before->mu, (double)now->mu, false) ||
               parameter_moved((double)before->sigma, (double)now->sigma, true);
}

/** Give an aggregate its revision: the one before, or a new one when there is something to tell. */
static bool revise(BgCore *core, BgAggregate *aggregate, const BgKeptRevision *before, BgSecond as_of)
{
        static const BgKeptRevision none;
        BgKeptRevision now = digest(aggregate, as_of);

        before = before ? before : &none;
        if (!moved(before, &now)) {
                aggregate->revision = *before;
                return false;
        }
        now.rev = before->rev + 1;
        now.prev_rev = before->rev;
        now.seq = ++core->seq;
        aggregate->revision = now;
        return true;
}

static int compare(const BgEcosystemResult *a, const BgAggregate *x, const BgEcosystemResult *b, const BgAggregate *y)
{
        BgStr p = bg_intern_text(&a->names, x->org), q = bg_intern_text(&b->names, y->org);
        int r = x->relation - y->relation;

        if (!r)
                r = memcmp(p.data, q.data, p.len < q.len ? p.len : q.len);
        return r ? r : (p.len > q.len) - (p.len < q.len);
}

static void adopt_org(BgCore *core, BgEcosystemJob *job, BgAggregate *org, BgArena *arena)
{
        const BgEcosystemResult *before = core->ecosystem->result;
        const BgKeptRevision *revision = NULL;
        BgOrg message;

        while (before && job->before < before->n_orgs && compare(before, &before->orgs[job->before], job->result, org) < 0)
                job->before++;
        if (before && job->before < before->n_orgs && compare(before, &before->orgs[job->before], job->result, org) == 0)
                revision = &before->orgs[job->before].revision;
        bg_arena_clear(arena);
        if (revise(core, org, revision, job->result->as_of) && core->sink.org &&
            !bg_ecosystem_org_message(core, job->result, org, arena, &message))
                core->sink.org(core->sink.data, &message);
}

static void adopt_populations(BgCore *core, BgEcosystemResult *result, BgArena *arena)
{
        const BgEcosystemResult *before = core->ecosystem->result;

        for (int k = 0; k < BG_RELATION_N; k++) {
                BgPopulation *population = &result->populations[k];
                BgEcosystem message;

                if (!result->known[k])
                        continue;
                bg_arena_clear(arena);
                if (revise(core, &population->sum, before && before->known[k] ? &before->populations[k].sum.revision : NULL, result->as_of) &&
                    core->sink.ecosystem && !bg_ecosystem_message(core, result, population, arena, &message))
                        core->sink.ecosystem(core->sink.data, &message);
        }
}

int bg_core_ecosystem_adopt(BgCore *core, BgEcosystemJob *job, size_t n_max, int64_t now)
{
        BgEcosystemState *state = core->ecosystem;
        BgArena arena = { 0 };

        core->now = now;
        for (; n_max > 0 && !job->failed && job->adopted < job->result->n_orgs; n_max--)
                adopt_org(core, job, &job->result->orgs[job->adopted++], &arena);
        if (!job->failed && job->adopted < job->result->n_orgs) {
                bg_arena_deinit(&arena);
                return BG_CORE_E_MORE;
        }
        if (!job->failed) {
                adopt_populations(core, job->result, &arena);
                bg_ecosystem_result_free(state->result);
                state->result = job->result;
                state->stamp = job->stamp;
                job->result = NULL;
                core->n.aggregations++;
        }
        bg_arena_deinit(&arena);
        bg_core_ecosystem_abandon(core, job);
        return 0;
}

void bg_core_ecosystem_abandon(BgCore *core, BgEcosystemJob *job)
{
        if (core->ecosystem->job == job)
                core->ecosystem->job = NULL;
        bg_ecosystem_job_free(job);
}

/* ---- last values --------------------------------------------------------------------------------------------------------------------- */

static bool matches(const char *kind, BgStr name, BgStr prefix)
{
        char topic[BG_NAME_MAX + 16];
        int len = name.len ? snprintf(topic, sizeof(topic), "%s/%.*s/", kind, (int)name.len, name.data) : snprintf(topic, sizeof(topic), "%s/", kind);

        return prefix.len <= (size_t)len && (!prefix.len || !memcmp(topic, prefix.data, prefix.len));
}

static int last_org(BgCore *core, const BgEcosystemResult *result, const BgAggregate *org, BgArena *arena,
                    int (*each)(void *data, const BgCoreValue *value), void *data)
{
        BgOrg message;
        int r;

        bg_arena_clear(arena);
        r = bg_ecosystem_org_message(core, result, org, arena, &message);
        return r ? r : each(data, &(BgCoreValue){ .org = &message });
}

int bg_ecosystem_step_last(BgCore *core, BgStr prefix, uint32_t *cursorp, size_t n_max,
                           int (*each)(void *data, const BgCoreValue *value), void *data)
{
        const BgEcosystemResult *result = core->ecosystem->result;
        BgArena arena = { 0 };
        int r = 0;

        if (!result)
                return 0;
        if (!*cursorp && matches("ecosystem", (BgStr){ 0 }, prefix)) {
                for (int k = 0; k < BG_RELATION_N && !r; k++) {
                        BgEcosystem message;

                        bg_arena_clear(&arena);
                        if (!result->known[k])
                                continue;
                        r = bg_ecosystem_message(core, result, &result->populations[k], &arena, &message);
                        if (!r)
                                r = each(data, &(BgCoreValue){ .ecosystem = &message });
                }
        }
        /* between two steps a new result may have come: what is missed or seen twice then was published since, too */
        for (; n_max > 0 && *cursorp < result->n_orgs && !r; n_max--, (*cursorp)++)
                if (matches("org", bg_intern_text(&result->names, result->orgs[*cursorp].org), prefix))
                        r = last_org(core, result, &result->orgs[*cursorp], &arena, each, data);
        bg_arena_deinit(&arena);
        return r ? r : *cursorp < result->n_orgs ? BG_CORE_E_MORE : 0;
}

/* ---- queries ------------------------------------------------------------------------------------------------------------------------- */

static int answer_error(BgReply *reply, BgArena *arena, BgError error, const char *what, BgStr name)
{
        char text[BG_NAME_MAX + 128];
        int len = snprintf(text, sizeof(text), what, (int)name.len, name.len ? name.data : "");

        reply->error = error;
        reply->detail = (BgStr){ bg_arena_copy(arena, text, (size_t)len), (size_t)len };
        return reply->detail.data ? 0 : -ENOMEM;
}

/** What is known, renewed where that takes a moment. NULL with the error in the reply. */
static const BgEcosystemResult *current(BgCore *core, int64_t now, BgArena *arena, BgReply *reply, int *rp)
{
        BgEcosystemState *state = core->ecosystem;
        bool changed = !state->result || state->result->as_of != bg_core_as_of(core) || bg_core_ecosystem_changed(core);

        *rp = 0;
        if (!state->job && changed && bg_registry_n_models(core->registry) <= QUERY_MODELS_MAX && bg_core_as_of(core) &&
            (!state->result || now >= state->result->at + QUERY_EVERY_US || now < state->result->at)) {
                BgEcosystemJob *job = bg_core_ecosystem_begin(core, now);

                if (job) {
                        bg_core_ecosystem_collect(core, job, SIZE_MAX);
                        bg_ecosystem_run(job);
                        bg_core_ecosystem_adopt(core, job, SIZE_MAX, now);
                        reply->seq = core->seq;
                }
        }
        if (state->result)
                return state->result;
        *rp = bg_core_as_of(core) ? answer_error(reply, arena, BG_ERROR_BUSY, "aggregates are being computed: ask again in some seconds%.*s", (BgStr){ 0 })
                                  : answer_error(reply, arena, BG_ERROR_NOT_FOUND, "nothing was counted yet%.*s", (BgStr){ 0 });
        return NULL;
}

static bool named(const BgEcosystemResult *result, const BgAggregate *org, BgStr name)
{
        return bg_str_equal(bg_intern_text(&result->names, org->org), name);
}

struct ranked_org {
        double key;
        size_t index;
};

static int by_key(const void *a, const void *b)
{
        const struct ranked_org *x = a, *y = b;

        if (x->key != y->key)
                return x->key < y->key ? 1 : -1;
        return (x->index > y->index) - (x->index < y->index);
}

static int list_orgs(BgCore *core, const BgEcosystemResult *result, const BgRequest *request, BgArena *arena, BgReply *reply)
{
        const BgPopulation *population = &result->populations[request->relation];
        struct ranked_org *ranked = malloc((population->n_orgs ? population->n_orgs : 1) * sizeof(*ranked));
        size_t n = 0, offset = (size_t)request->offset, limit = request->limit ? (size_t)request->limit : LIST_LIMIT_DEFAULT;
        int r = 0;

        if (!ranked)
                return -ENOMEM;
        for (size_t i = population->first; i < population->first + population->n_orgs; i++) {
                const BgAggregate *org = &result->orgs[i];
                BgStr name = bg_intern_text(&result->names, org->org);

                if (name.len < request->prefix.len || (request->prefix.len && memcmp(name.data, request->prefix.data, request->prefix.len)))
                        continue;
                ranked[n++] = (struct ranked_org){ request->sort == BG_SORT_GROWTH ? org->new_30d :
                                                   request->sort == BG_SORT_NAME   ? 0 : org->children, i };
        }
        qsort(ranked, n, sizeof(*ranked), by_key);
        reply->total = (int64_t)n;
        offset = offset < n ? offset : n;
        limit = limit < n - offset ? limit : n - offset;
        reply->orgs.items = bg_arena_alloc(arena, limit ? limit : 1, sizeof(BgOrg));
        if (!reply->orgs.items)
                r = -ENOMEM;
        for (size_t i = 0; i < limit && !r; i++)
                r = bg_ecosystem_org_message(core, result, &result->orgs[ranked[offset + i].index], arena, &reply->orgs.items[i]);
        reply->orgs.n = r ? 0 : limit;
        free(ranked);
        return r;
}

int bg_ecosystem_query_org(BgCore *core, const BgRequest *request, int64_t now, BgArena *arena, BgReply *reply)
{
        BgStr name = request->model.len ? bg_proto_name_org(request->model) : request->target;
        const BgEcosystemResult *result;
        const BgPopulation *population;
        int r;

        result = current(core, now, arena, reply, &r);
        if (!result)
                return r;
        population = &result->populations[request->relation];
        if (!name.len)
                return list_orgs(core, result, request, arena, reply);
        if (name.len > 1 && name.data[name.len - 1] == '/') /* org/ is how one begins to write a model's name */
                name.len--;
        for (size_t i = population->first; i < population->first + population->n_orgs; i++) {
                if (!named(result, &result->orgs[i], name))
                        continue;
                reply->orgs.items = bg_arena_alloc(arena, 1, sizeof(BgOrg));
                if (!reply->orgs.items)
                        return -ENOMEM;
                reply->orgs.n = 1;
                reply->total = 1;
                return bg_ecosystem_org_message(core, result, &result->orgs[i], arena, reply->orgs.items);
        }
        return answer_error(reply, arena, BG_ERROR_NOT_FOUND, "no model of an organisation called %.*s was counted so", name);
}

int bg_ecosystem_query(BgCore *core, const BgRequest *request, int64_t now, BgArena *arena, BgReply *reply)
{
        const BgEcosystemResult *result;
        int r;

        result = current(core, now, arena, reply, &r);
        if (!result)
                return r;
        if (!result->known[request->relation])
                return answer_error(reply, arena, BG_ERROR_NOT_FOUND, "nothing was counted under the relation %.*s",
                                    bg_str(bg_proto_relation_name(request->relation)));
        reply->ecosystem = bg_arena_alloc(arena, 1, sizeof(*reply->ecosystem));
        if (!reply->ecosystem)
                return -ENOMEM;
        return bg_ecosystem_message(core, result, &result->populations[request->relation], arena, reply->ecosystem);
}

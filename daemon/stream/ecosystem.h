/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_ECOSYSTEM_H
#define BURGEON_STREAM_ECOSYSTEM_H

#include "daemon/model/population.h"
#include "daemon/stream/core_private.h"
#include "daemon/stream/intern.h"

/*
 * Aggregates of organisations and of all models: a compact copy of what is needed (128 bytes a series), made in steps on the
 * core's thread, then statistics on any thread, then taken over and published in steps again. Recomputed as a whole: quantiles
 * and concentration have no cheap update, and all of it is under two seconds of a worker for a million models.
 *
 *   begin -> collect (steps) -> run (any thread) -> adopt (steps)
 *
 * ecosystem.c copies and computes, ecosystem_out.c publishes and answers. Private to the stream room but for core.h.
 */

enum { BG_ECOSYSTEM_AGE_N = 3, BG_ECOSYSTEM_TOP_N = 10, BG_ECOSYSTEM_BIN_N = 20, BG_ECOSYSTEM_LORENZ_N = 21 };
extern const double bg_ecosystem_age_days[BG_ECOSYSTEM_AGE_N]; /* 2, 6 and 12 months of 30.4375 days */

/** How much a fit is worth, as the forecast's status says. */
typedef enum BgTrust { BG_TRUST_NONE, BG_TRUST_OK, BG_TRUST_WEAK } BgTrust;

/** One series, copied. */
typedef struct BgEcosystemItem {
        BgModelId model;
        uint32_t org;      /* number in the job's names */
        uint8_t relation;
        uint8_t trust;     /* BgTrust */
        bool surging;
        double count;
        double new_30d;
        double theta[BG_THETA_N];
        double aged[BG_ECOSYSTEM_AGE_N]; /* count at each age; NaN = not so old, or not known */
} BgEcosystemItem;

/* Kept for every organisation: in single precision. */
typedef struct BgKeptSummary {
        float mean;
        float q[BG_SUMMARY_N];
} BgKeptSummary;

typedef struct BgKeptFits {
        uint32_t n;
        BgKeptSummary of[BG_THETA_N]; /* lambda, mu, sigma */
} BgKeptFits;

typedef struct BgKeptAge {
        uint32_t n;
        float weight;
        BgKeptSummary count;
        float expected_mean; /* NaN: nobody is so old yet */
        float expected[BG_QUANTILE_N];
} BgKeptAge;

/** What of it was last published, to know a change when there is one. */
typedef struct BgKeptRevision {
        uint32_t rev;
        uint32_t prev_rev;
        int64_t seq;
        BgSecond as_of;
        uint32_t models;
        uint32_t surges;
        float children;
        float new_30d;
        float lambda;   /* medians of the ok fits */
        float mu;
        float sigma;
        float expected; /* median at half a year */
} BgKeptRevision;

/** Aggregates of one organisation (or of all) and relation. */
typedef struct BgAggregate {
        uint32_t org; /* number in the names; 0 = all organisations */
        uint8_t relation;
        uint32_t models;
        uint32_t with_children;
        uint32_t surges;
        BgModelId largest; /* BG_MODEL_NONE when there is no child */
        double largest_count;
        double children;
        double new_30d;
        BgKeptFits ok;
        BgKeptFits weak;
        BgKeptAge ages[BG_ECOSYSTEM_AGE_N];
        BgKeptRevision revision;
} BgAggregate;

/** What is said of all models together only. */
typedef struct BgPopulation {
        BgAggregate sum;
        size_t first, n_orgs; /* its organisations among the result's */
        size_t n_80;
        double gini;
        double lorenz[BG_ECOSYSTEM_LORENZ_N];
        double edges[BG_THETA_N][BG_ECOSYSTEM_BIN_N + 1];
        int64_t bins[BG_THETA_N][BG_ECOSYSTEM_BIN_N];
        double correlations[3]; /* (ln lambda, mu), (ln lambda, ln sigma), (mu, ln sigma); NaN = not known */
        size_t top[BG_ECOSYSTEM_TOP_N], n_top; /* indices of organisations */
        size_t growing[BG_ECOSYSTEM_TOP_N], n_growing;
} BgPopulation;

typedef struct BgEcosystemResult {
        BgIntern names;
        BgAggregate *orgs; /* by relation, then by name */
        size_t n_orgs;
        BgPopulation populations[BG_RELATION_N];
        bool known[BG_RELATION_N]; /* there is a model with such a series (finetune: any model) */
        BgSecond as_of;
        int64_t at; /* us */
} BgEcosystemResult;

struct BgEcosystemJob {
        BgEcosystemResult *result;
        BgEcosystemItem *items;
        size_t n_items;
        size_t cap_items;
        BgModelId next;       /* collecting: the model that comes next */
        BgFitSpec fit_spec;   /* of the prior that trust is judged by */
        uint64_t stamp;       /* what had happened when it began */
        int failed;           /* -ENOMEM: nothing of it is taken over */
        size_t adopted, before; /* adopting: how far in the new and in the old organisations */
};

struct BgEcosystemState {
        BgEcosystemResult *result; /* NULL before the first */
        BgEcosystemJob *job;       /* under way, or NULL */
        uint64_t stamp;            /* of the result */
        unsigned char key[16];     /* of the names' hash */
};

int bg_ecosystem_state_new(BgEcosystemState **statep);
void bg_ecosystem_state_free(BgEcosystemState *state);
void bg_ecosystem_result_free(BgEcosystemResult *result);
void bg_ecosystem_job_free(BgEcosystemJob *job);

/** Messages of what was computed; their lists live in the arena. 0 or -ENOMEM. */
int bg_ecosystem_org_message(const BgCore *core, const BgEcosystemResult *result, const BgAggregate *org, BgArena *arena, BgOrg *message);
int bg_ecosystem_message(const BgCore *core, const BgEcosystemResult *result, const BgPopulation *population, BgArena *arena,
                         BgEcosystem *message);

/** bg_core_step_last() over aggregates; @cursorp counts from 0. */
int bg_ecosystem_step_last(BgCore *core, BgStr prefix, uint32_t *cursorp, size_t n_max,
                           int (*each)(void *data, const BgCoreValue *value), void *data);
int bg_ecosystem_query_org(BgCore *core, const BgRequest *request, int64_t now, BgArena *arena, BgReply *reply);
int bg_ecosystem_query(BgCore *core, const BgRequest *request, int64_t now, BgArena *arena, BgReply *reply);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_SIMULATE_ECOSYSTEM_H
#define BURGEON_CLIENT_SIMULATE_ECOSYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A hub of models with known truth: the reinforced process, simulated exactly.
 *
 * A model with N children gets the next one at rate lambda f(t) (N + m), f the lognormal density (mu, sigma) of its age t in
 * days. In exposure D = lambda F(t) that is a pure birth process: the wait from N to N + 1 is exponential with rate N + m, and
 * the time of the birth is F^-1(D / lambda). No step size, no error but rounding down to a second.
 *
 * `pure` is that process alone, with parameters from the prior ln lambda ~ N(1, 1), mu ~ N(2 + ln 30.4375, 1),
 * ln sigma ~ N(1/2, variance 1/2), m = 3: for tests that compare an estimator with truth.
 *
 * The ecosystem adds what a hub has: sizes with a heavy tail (log-normal quantiles, so that every seed has its giants), births
 * in sessions of one author (80 % single, a heavy tail to 89, mean K; sessions come at 1/K of the rate, so that lambda stays
 * what it says), weekdays, surges (rate x factor, many authors), and decoys: bursts of one author or of a team of two to four,
 * and outages of the feed (what was born meanwhile follows later, out of order). A factor g(t) is exact too, by thinning.
 */

typedef struct BgEcosystemSpec {
        uint32_t n_models;
        double days;       /* of history, > 0 */
        int64_t start_s;   /* its begin, seconds since 1970, UTC */
        uint64_t seed;
        uint64_t events;   /* scale sizes so that about so many children are expected; 0 = as they come (ecosystem only) */
        uint32_t children_max; /* a model that would exceed it is drawn again (pure) or shrunk; 0 = 60,000, more if `events` asks */
        unsigned n_outages;
        bool pure;
        bool null; /* no surges, bursts or outages: what an alarm sees here is false */
} BgEcosystemSpec;

typedef struct BgEcosystemModel {
        uint32_t org;
        uint32_t number; /* of the model in its organisation: bg_names_model(org, number) */
        double lambda, mu, sigma, m;
        uint32_t release; /* seconds after the start, all times below too */
        uint32_t n_children;
} BgEcosystemModel;

typedef struct BgEcosystemEvent {
        uint32_t at;     /* birth of the child */
        uint32_t model;
        uint32_t author;
        uint32_t child;  /* 0, 1, .. in its model */
} BgEcosystemEvent;

typedef enum BgIncidentKind { BG_INCIDENT_SURGE, BG_INCIDENT_AUTHOR, BG_INCIDENT_TEAM, BG_INCIDENT_OUTAGE } BgIncidentKind;

typedef struct BgIncident {
        BgIncidentKind kind;
        uint32_t model;   /* UINT32_MAX: all (an outage) */
        uint32_t onset;
        uint32_t end;
        double factor;    /* surge: of the rate; bursts: children in it */
        double rate;      /* expected children per day just before the onset */
        double info_nats; /* surge: expected evidence B (f ln f - f + 1) in sessions, B those expected without it; else 0 */
} BgIncident;

typedef struct BgSimulatedEcosystem {
        BgEcosystemModel *models;
        size_t n_models;
        BgEcosystemEvent *events; /* in the order in which a feed would bring them */
        size_t n_events;
        size_t cap_events;
        BgIncident *incidents; /* by onset */
        size_t n_incidents;
        size_t cap_incidents;
} BgSimulatedEcosystem;

/** Called now and then with the models done so far; non-zero ends the simulation with -ECANCELED. May be NULL. */
typedef int BgEcosystemProgress(void *data, size_t n_models, size_t n_events);

/**
 * bg_ecosystem_simulate() - the same spec gives the same ecosystem, to the bit, everywhere
 * Cost: about 0.2 us and 16 B an event, twice the memory while sorting.
 * Return: 0, -EINVAL (no models, days outside (0, 36525], ..), -ENOMEM, -ECANCELED. `ecosystem` is then empty.
 */
int bg_ecosystem_simulate(BgSimulatedEcosystem *ecosystem, const BgEcosystemSpec *spec, BgEcosystemProgress *progress, void *data);
void bg_ecosystem_deinit(BgSimulatedEcosystem *ecosystem); /* accepts the zero value, and twice */

/**
 * bg_ecosystem_write() - events.csv, releases.csv, truth.csv and params.csv into a directory that exists
 *   events    model,child,created_at               releases  model,org,released_at
 *   truth     model,kind,onset,end,factor,rate,info   params  model,lambda,mu,sigma,m,count      (mu, sigma in ln days)
 * Return: 0, or negative errno with *failedp the file it happened to.
 */
int bg_ecosystem_write(const BgSimulatedEcosystem *ecosystem, const BgEcosystemSpec *spec, const char *directory, const char **failedp,
                       BgEcosystemProgress *progress, void *data);

#endif

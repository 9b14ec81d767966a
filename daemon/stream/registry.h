/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_REGISTRY_H
#define BURGEON_STREAM_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * Models, their children and the counts, exact whatever the order of arrival.
 *
 * What is counted is a function of the *set* of facts received, not of their order. It is what comes out when all facts are told
 * in the order of their times:
 *  - an `add` puts a child into (model, relation), where it counts once, at the earliest time said;
 *  - a `remove` takes it away, from every relation to that model; only a later `add` brings it back;
 *  - a re-parenting takes the child from one model and gives it to another at its original time of appearance. It concerns this
 *    pair alone: when the child was renamed too, a plain rename says so for its other parents;
 *  - a rename of a child gives all that the old name has to the new one, and one child listed under both names counts once. What
 *    is said of the old name at a later time is about a new child that took the name;
 *  - a rename of a model makes the two names one model, whatever the times: facts about either are about both. It is shown under
 *    the new name of its latest rename (same second: the bytewise larger name).
 * A rename does not say whether it is of a model or of a child: it is taken for both.
 * Ordinary children cost one entry in a keyed-hash table. The few that are removed, moved or listed very often keep a dossier of
 * all their facts, from which their places are told anew: order-independent by construction.
 * Two things follow the order of arrival, because they have to: of several stated releases, and of several tallies for the same
 * interval, the last one heard counts (in the order of the log, hence the same after a restart); and a tally that overlaps
 * another one is refused. Limits (below) refuse by order of arrival as well.
 *
 * Time is kept in whole seconds (uint32 since 2015-01-01T00:00:00Z), rounded down: releases, events and tally edges alike.
 * Within one second adds come first, then moves, then renames; its removes win over all of them.
 */

typedef uint32_t BgSecond;   /* since BG_TIME_MIN; until 2151, later times count as then */
typedef uint32_t BgModelId;  /* dense, from 0; kept over renames */
typedef uint32_t BgSeriesId; /* dense, from 0 */
#define BG_SERIES_NONE UINT32_MAX
#define BG_MODEL_NONE UINT32_MAX

static inline BgSecond bg_second_from_us(int64_t us)
{
        if (us <= BG_TIME_MIN)
                return 0;
        return us - BG_TIME_MIN >= UINT32_MAX * INT64_C(1000000) ? UINT32_MAX : (BgSecond)((us - BG_TIME_MIN) / 1000000);
}
static inline int64_t bg_second_to_us(BgSecond s) { return BG_TIME_MIN + (int64_t)s * 1000000; }

/** So many appeared in (from, to]. */
typedef struct BgTally {
        BgSecond from;
        BgSecond to;
        int64_t count;
        int64_t extra; /* by how much this tally and all before it exceed the single events inside them: kept by the registry */
} BgTally;

/**
 * The counts of one model and relation. Invariants: tallies rise and do not overlap; times rise (ties allowed) in two runs, as
 * the last n_late are events that came late and were not yet merged into the rest: bg_series_settle() makes it one.
 */
typedef struct BgSeries {
        BgModelId model;
        uint8_t relation;
        bool dirty;          /* the scheduler's: waiting for a refit */
        uint32_t n_times;    /* single events counted now */
        uint32_t cap_times;
        uint32_t n_late;     /* about 4 sqrt(n_times) at most, 0 for small series */
        BgSecond *times;     /* of appearance */
        uint32_t n_tallies;
        uint32_t cap_tallies;
        BgTally *tallies;
        struct BgSeriesState *state; /* the scheduler's: fit, last issued forecast; NULL before the first refit */
        struct BgSeriesSurge *surge; /* the detector's; NULL before the first counted author */
} BgSeries;

typedef struct BgModel {
        const char *name; /* current name; NUL-terminated; owned by the registry */
        uint16_t name_len;
        uint8_t release_basis;   /* BgReleaseBasis */
        BgSecond release;        /* age 0: stated, else the earliest hint, else the first event or tally edge; 0 = not known */
        BgSeriesId series[BG_RELATION_N]; /* BG_SERIES_NONE where there is none */
        BgModelId merged_into;   /* BG_MODEL_NONE, or the model that took over (this one then has no series) */
        uint32_t release_heard;  /* which of all statements of a release it was; the later one counts when models merge */
} BgModel;

/** What one event did to one series. A child whose time moved, for it turned out to be older, is one removed and one added. */
typedef struct BgSeriesChange {
        uint32_t added;        /* children */
        uint32_t removed;
        BgSecond at;           /* time of appearance of the single child added or removed; 0 when several */
        BgStr child;           /* of a single addition by an `add`; {NULL, 0} otherwise */
        int64_t tallied;       /* change of the tallied count, may be negative */
        bool release_changed;
        bool renamed;          /* the model is shown under another name, or the series went to the model that took over */
} BgSeriesChange;

typedef void BgRegistryChanged(void *data, BgSeriesId series, const BgSeriesChange *change);

typedef struct BgRegistrySpec {
        unsigned char hash_key[16]; /* secret of this store: the table's hash can then not be attacked */
        uint32_t models_max;        /* names: of models, aliases, moved and removed children; 0 = 2^27. A flood of invented names
                                     * ends in rejections, not in swapping */
        BgRegistryChanged *changed; /* called at the end of apply, once for every series touched; must not apply; may be NULL */
        void *data;
} BgRegistrySpec;

typedef struct BgRegistry BgRegistry;

int bg_registry_new(BgRegistry **registryp, const BgRegistrySpec *spec); /* 0 or -ENOMEM */
void bg_registry_free(BgRegistry *registry);

#define BG_REGISTRY_E_DUPLICATE 1 /* known already: nothing changed, nothing need be stored */
#define BG_REGISTRY_E_REJECTED 2  /* *reasonp says why: nothing changed */

/** A child, with all its names, has this many facts at most: more are rejected as LIMIT. Real ones have fewer than 100. */
#define BG_REGISTRY_CHILD_FACTS_MAX 512
/** A series has this many tallies at most, LIMIT beyond: hourly ones for 119 years. So their sum is an int64_t, whatever they say. */
#define BG_REGISTRY_TALLIES_MAX (UINT32_C(1) << 20)

/**
 * bg_registry_apply() - count one valid event (`alive` is not for the registry: a no-op, 0)
 *
 * Rejections: SELF (a model as its own child, a move from a name to itself), INTERVAL (a tally of less than a second), OVERLAP
 * (with a tally of another interval), LIMIT (names, facts of one child, tallies), UNKNOWN_TYPE.
 * When a rename merges two models with tallies, those of the interval that begins first stay (then the shorter one, then the
 * larger count), and what overlaps them goes.
 *
 * Cost: O(1) for an add, O(sqrt n) for a late one; removes, moves and renames of children O(facts x places of that child);
 * a rename that merges two models with children on both sides, and only that, walks the table of children.
 * Return: 0 when anything changed (or may matter later: a remove before its add), a code above, or -ENOMEM: the registry is then
 * good for nothing but bg_registry_free().
 */
int bg_registry_apply(BgRegistry *registry, const BgEvent *event, BgReject *reasonp);

size_t bg_registry_n_models(const BgRegistry *registry);   /* ids are < this; merged ones included */
size_t bg_registry_n_series(const BgRegistry *registry);
int64_t bg_registry_n_children(const BgRegistry *registry); /* counted now */
size_t bg_registry_memory(const BgRegistry *registry);      /* bytes held, names and tables included */
const BgModel *bg_registry_model(const BgRegistry *registry, BgModelId id);
BgSeries *bg_registry_series(BgRegistry *registry, BgSeriesId id); /* valid until the next apply */
/** By current or former name: BG_MODEL_NONE when unknown. */
BgModelId bg_registry_find(const BgRegistry *registry, BgStr name);

/* ---- counting -------------------------------------------------------------------------------------------------------------- */

/** Make `times` one rising run. O(n) when there are late events, else nothing. 0 or -ENOMEM. */
int bg_series_settle(BgSeries *series);
/** Children counted up to and including a second. A tally that straddles `until` is counted when it is over: at its `to`.
 *  Single events inside a tally's interval are part of it: they count at their times, and at its end the interval counts
 *  max(tally, events). Never falls with time; BG_COUNT_MAX at most, as no message can say more. O(log n). */
int64_t bg_series_count(const BgSeries *series, BgSecond until);
/** First and last second with anything; false when there is nothing. */
bool bg_series_span(const BgSeries *series, BgSecond *firstp, BgSecond *lastp);

#define BG_SERIES_BINS_MAX 192

/** Counts by age, ready for the model room. */
typedef struct BgSeriesBins {
        size_t n;                               /* bins */
        double edges_days[BG_SERIES_BINS_MAX + 1]; /* age; edges[0] = 0 */
        double counts[BG_SERIES_BINS_MAX];
        double known_days;                      /* the last edge: age up to which the counts are known; 0 when n = 0 */
} BgSeriesBins;

/**
 * bg_series_bins() - bin a series from its release to `as_of`
 *
 * Edges: hours on the first day, days in the first week, weeks to the first month (30.4375 d), then months; beyond 120 months
 * years; the last bin ends at as_of. Where a tally covers the time, its own edges replace the grid inside it (adjacent tallies
 * keep theirs; a grid cell that a tally cuts is shortened). Edges are exact differences of seconds / 86400. When this makes more
 * than BG_SERIES_BINS_MAX cells, neighbours are merged, q at a time among the older and q - 1 at a time among the newer, with
 * the smallest q that will do. Children older than the release count in the first bin: the counts sum up to
 * bg_series_count(as_of). Empty when as_of <= release.
 *
 * Behind the last tally nothing is known to be zero. Unless single events tell of that time, the bins of a series with tallies
 * therefore end with the last tally that is over by as_of, and are empty when there is none behind the release.
 *
 * Cost: O(bins log n + tallies), independent of the number of events.  No allocation.
 */
void bg_series_bins(BgSeriesBins *bins, const BgSeries *series, BgSecond release, BgSecond as_of);

#endif

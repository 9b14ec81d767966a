/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_STATE_H
#define BURGEON_STREAM_STATE_H

/*
 * What the core keeps of a series beside its counts: the last fit to start the next one from, what happened since the last
 * revision, and the last revision itself, small enough for a million models. Private to the stream room.
 */

#include "daemon/model/fit.h"
#include "daemon/model/forecast.h"
#include "daemon/stream/registry.h"

/** What happened since the last revision; becomes the forecast's `why`. */
typedef struct BgSince {
        uint32_t added;
        uint32_t removed;
        uint32_t late;
        bool release_changed;
        bool renamed;
        bool refreshed;
        bool regime;
        int64_t tallied;
} BgSince;

/** One horizon of an issued forecast. Increments over the count, in single precision: integers to 2^24, 6e-8 relative beyond.
 *  They are rounded *before* the first publication, so that a last value repeats what was published to the bit. */
typedef struct BgIssuedPoint {
        float days;
        float mean;
        float q[BG_QUANTILE_N];
} BgIssuedPoint;

/** Of the revision before: what a reader wants to compare with. */
typedef struct BgIssuedBefore {
        double count;
        BgSecond as_of; /* 0 = there is none */
        float lambda, mu, sigma;
        float expected; /* children that its curve expected in (its as_of, this as_of]; NaN = no time passed */
        float days;     /* horizon nearest to 90 days */
        float median;   /* there, increment over its count */
} BgIssuedBefore;

/** The last published revision of a series. */
typedef struct BgIssued {
        int64_t seq;
        int64_t at;    /* us */
        double count;
        uint32_t rev;
        uint32_t prev_rev;
        BgSecond as_of;
        BgSecond release;
        BgSince since;
        BgIssuedBefore before;
        float shift;   /* NaN = no revision to compare with */
        float rate;
        float ultimate;
        float impact_days;
        float lambda, lambda_sd;
        float mu, mu_sd;
        float sigma, sigma_sd;
        float m;
        float dispersion;
        float moved;
        uint8_t status; /* BgStatus */
        uint8_t start;  /* BgStart */
        uint8_t n_points;
        BgIssuedPoint points[];
} BgIssued;

/** What is kept of a fit, to start the next one from and to forecast from at other horizons. */
typedef struct BgKeptFit {
        double theta[BG_THETA_N]; /* double: a warm start from a rounded optimum would cost iterations */
        double objective;
        float laplace[BG_SYM_N];
        float dispersion;
        float moved;
        uint8_t status; /* BgFitStatus */
} BgKeptFit;

/** A refit that is not a revision yet (issue.c). */
typedef struct BgHeld {
        BgKeptFit fit;
        BgIssued *draft; /* all but seq, at, rev */
        int64_t first;   /* us; of the refits that were held since the last revision */
        int64_t due;     /* us; becomes a revision then, if nothing comes before */
} BgHeld;

typedef struct BgSeriesState {
        BgKeptFit fit;      /* of the last revision */
        bool queued;        /* has its one entry in the schedule */
        bool unsaved;       /* changed since the last checkpoint */
        bool in_job;        /* a refit is under way; a second one waits for it */
        uint32_t n_refits;  /* since the start; picks the audits */
        BgSecond due;       /* when the forecast has grown old */
        BgSecond trained_at; /* last training origin; 0 = none */
        bool contributed;    /* to the shared prior, with: */
        float contribution[BG_THETA_N + BG_SYM_N];
        BgSince since;
        bool saved;         /* has a row in the store */
        bool listed;        /* among the core's held ones */
        uint8_t haste;      /* revisions that came on the heels of one another */
        BgIssued *issued;   /* NULL before the first revision */
        BgHeld *held;       /* NULL: the last revision is of the last refit */
} BgSeriesState;

#endif

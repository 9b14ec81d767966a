/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_SURGE_H
#define BURGEON_MODEL_SURGE_H

#include <stdint.h>

/*
 * What a surge is: the evidence, its threshold, and every constant of the detector (detector.h) with its reason.
 *
 * What is counted are *sessions* (sessions.h): an author's first event on a model for 7 days. Evidence compares the number of
 * sessions in a window with the number that the forecaster expected there, as a log likelihood ratio in nats. The
 * forecaster's own uncertainty is part of it, as a Gamma(a, a) factor on the expectation: a negative binomial instead of a
 * Poisson. A forecaster that doubts itself raises fewer alarms.
 */

enum { BG_SURGE_CUSUM_N = 5 };

/** All constants of the detector. Times in seconds, evidence in nats. bg_surge_spec_default() gives the values named here. */
typedef struct BgSurgeSpec {
        double threshold;             /* 9.25: opens an incident; about 9 false alarms per 1000 model-years (simulated) */
        double rho[BG_SURGE_CUSUM_N]; /* 1.25 1.5 2 4 8, rising, > 1: the factors whose CUSUMs propose onsets */
        double age_min_days;          /* 14: the forecast of a younger model is the prior's, and a launch is not a surge */
        double ratio_min;             /* 1.25: observed / expected; less is of no interest however certain */
        uint32_t authors_min;         /* 5, at most BG_AUTHORS_RECENT: fewer are a team, not adoption */
        double top_share_max;         /* 0.5: of the raw events since onset; more is one uploader's burst */
        double close_prior;           /* 3: pseudo-sessions that shrink the factor of an open incident towards 1 .. */
        double close_ratio_min;       /* 1.5: .. but not below, or it would take months to close .. */
        double close_ratio_max;       /* 8: .. nor above, or one quiet afternoon would close it */
        double close_base;            /* 4: evidence against an incident that closes it, + ln(1 + sessions): long, busy ones do */
                                      /* not close by chance */
        uint32_t quiet_close_s;       /* 21 d without a session close an incident, whatever was expected */
        uint32_t regime_s;            /* 30 d: still open, it is the new level, no longer an incident */
        double regime_revert;         /* 15: evidence that an accepted level is over */
        double update_ratio;          /* 1.25: publish when the magnitude moved by so much .. */
        double update_authors_ratio;  /* 2: .. or there are so many times the authors .. */
        uint32_t update_s;            /* 1 d: .. or so long after the last publication, if there was a session */
        uint32_t hold_back_s;         /* 15 d: the forecaster does not learn from a running excursion for so long */
        uint32_t burst_events_min;    /* 10: one author's smaller batches are everyday */
        uint32_t burst_quiet_s;       /* 7 d without any event end a burst */
} BgSurgeSpec;

BgSurgeSpec bg_surge_spec_default(void);

#define BG_SURGE_FLOOR_S 86400u        /* no window is judged as if less than one day's expectation was due in it */
#define BG_SURGE_RATIO_MAX 50.0        /* evidence per session saturates: at tiny expectations the ratio is noise */
#define BG_SURGE_VARIANCE_MIN 0.03     /* relative, of the rate forecast: no forecaster is better than 17 % */
#define BG_SURGE_VARIANCE_DEFAULT 0.05 /* where none is known: shape 20 */
#define BG_SURGE_VARIANCE_MAX 1e6      /* beyond, there is no evidence anyway */
#define BG_SURGE_SESSION_SHARE 0.635   /* sessions per raw event in a simulated hub */

/** Activity by weekday, Monday first, relative to the mean; measured on the Hugging Face Hub. For the caller's expectation. */
extern const double bg_surge_weekday[7];

/**
 * bg_surge_evidence() - log likelihood ratio of n sessions where `expected` were due
 * @n:        sessions, >= 0
 * @expected: > 0; 0 and below are taken as 1e-12
 * @shape:    a = 1 / relative variance of the expectation, > 0; large values give the Poisson n ln r - (r - 1) B
 *
 * G = n ln r - (n + a) ln((a + r B) / (a + B)), r = min(n / B, 50); 0 where r <= 1. Below a (r - 1 - ln r) for any n.
 * Return: nats, >= 0, finite for finite input.
 */
double bg_surge_evidence(double n, double expected, double shape);

/** Shape for a relative variance of the rate forecast, clamped to the limits above; what is no number gives the default. */
double bg_surge_shape(double relative_variance);

/** (n + 1.5) / (expected + 0.5): the factor without the upward bias of looking when the evidence has just peaked. */
double bg_surge_magnitude(double n, double expected);

/** Sessions per raw event of one model, shrunk to the population: (sessions + 20 q) / (events + 20). In (0, 1]. */
double bg_surge_session_share(double sessions, double events);

/**
 * bg_surge_threshold(), bg_surge_false_alarms() - threshold for a rate of false alarms, and the inverse
 *
 * Log-linear between simulated rates (forecast error sd 0.15 and wander sd 0.15, shape 20; 18,032 model-years): 117 per 1000
 * model-years at 6 nats to 0.1 at 15. Nothing was simulated outside, so both are clamped there. Good to a factor of about
 * 1.5, of 4 at the far end; replay real history to calibrate. Rescaling the forecast error with an honest shape moves the
 * threshold for one rate by less than 1 nat.
 */
double bg_surge_threshold(double false_alarms_per_1000_model_years);
double bg_surge_false_alarms(double threshold);

#endif

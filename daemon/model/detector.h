/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_DETECTOR_H
#define BURGEON_MODEL_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/model/authors.h"
#include "daemon/model/surge.h"

/*
 * The surge detector of one series: CUSUM5-NB.
 *
 * Five Poisson CUSUMs, one for each assumed factor, propose onsets; a negative-binomial deviance with the forecaster's own
 * uncertainty judges the window since each onset; the authors in that window decide whether it is a surge (many) or a burst
 * (few, or one who dominates). It works at events, never at bins, and is exact: between events every CUSUM only falls. An open
 * surge closes when the evidence against it is enough, when no session came for 21 days, or as a new regime after 30 days; never
 * in a blackout.
 *
 *      bg_sessions_count(sessions, pair, at_s, &input.counted);
 *      input.expected = q * (expected count at at_s - expected count at bg_detector_last_s(d, at_s)); ..
 *      if (bg_detector_event(&transition, d, spec, &input))
 *              publish(transition);
 *      if (bg_detector_open(d))                        one timer, only while something is open
 *              wake at the earlier of bg_detector_deadline_s() and the time at which the expectation since
 *              bg_detector_last_s() reaches bg_detector_expected_to_close(); then bg_detector_tick()
 *
 * Times are seconds (uint32) since any origin the caller likes; the detector only takes differences, and 0 means "none" for
 * blackouts. Expectations are counts of sessions. Numbers that are negative count as 0, others out of range as "very much
 * expected": bad input leads to silence, never to an alarm, a NaN or an error. Pure functions of state and input.
 */

typedef enum BgTransitionType {
        BG_TRANSITION_NONE,
        BG_TRANSITION_OPENED,
        BG_TRANSITION_UPDATED,
        BG_TRANSITION_CLOSED,
        BG_TRANSITION_REGIME, /* closed too: the forecaster shall learn everything since onset, level = observed / expected */
} BgTransitionType;

typedef enum BgIncidentKind {
        BG_INCIDENT_SURGE, /* many authors */
        BG_INCIDENT_BURST, /* few authors, or one with most of the raw events: of lower severity */
} BgIncidentKind;

typedef enum BgCloseReason {
        BG_CLOSE_NONE,
        BG_CLOSE_EVIDENCE, /* so much was expected since, at the incident's factor, that it must be over */
        BG_CLOSE_QUIET,    /* nothing came for the longest time that is allowed */
        BG_CLOSE_REGIME,
        BG_CLOSE_MERGED,   /* by the owner, not the detector: the series became part of another one */
} BgCloseReason;
const char *bg_close_reason_name(BgCloseReason reason); /* "", "evidence", "quiet", "regime", "merged" */

/**
 * What happened. For a surge observed and expected are sessions, for a burst raw events: the stream that the evidence is about.
 */
typedef struct BgTransition {
        BgTransitionType type;
        BgIncidentKind kind;
        BgCloseReason reason; /* of CLOSED and REGIME */
        bool was_burst;       /* a surge OPENED: the burst that was open has widened into it, and is not closed apart */
        uint32_t at_s;
        uint32_t onset_s; /* estimate of when it began; never changes while open */
        double observed;  /* since onset */
        double expected;  /* since onset, >= 0 */
        double evidence;  /* nats, as bg_surge_evidence() */
        double magnitude; /* as bg_surge_magnitude() */
        double events;    /* raw, since onset */
        uint32_t authors; /* different ones since onset: exact below 6; else sessions, the same up to 7 days from onset and */
                          /* at most as many too many as authors came back later (about 1 in 10) */
        double top_share; /* of the largest author in the raw events since onset, [0, 1]; a lower bound (authors.h) */
} BgTransition;

/** One event of the series, raw; already without duplicates. */
typedef struct BgDetectorInput {
        uint32_t at_s;
        uint64_t author; /* keyed fingerprint, the same for an author's every event on this model */
        bool counted;    /* bg_sessions_count() */
        double expected; /* sessions expected in (bg_detector_last_s(), at_s]; for a fresh one in a blackout since its start */
        double expected_dark; /* of these: in the blackout that at_s lies in; 0 outside blackouts */
        double expected_day;  /* in the day (BG_SURGE_FLOOR_S) until at_s: the floor of every window */
        uint32_t blackout_s;  /* start of the blackout that at_s lies in; 0 = none */
        uint32_t resumed_s;   /* end of the last blackout, 0 = none: quiet counts from there at the earliest */
        double session_share; /* q in the expectations above: sessions per raw event, (0, 1] */
        double shape;         /* bg_surge_shape() of the forecast */
        double age_days;      /* of the model */
} BgDetectorInput;

/** The passing of time, for bg_detector_tick(). */
typedef struct BgDetectorClock {
        uint32_t now_s;
        double expected; /* sessions expected in (bg_detector_last_s(), now_s] */
        double expected_day;
        double shape;
        uint32_t blackout_s; /* as in BgDetectorInput: while it lasts, nothing closes */
        uint32_t resumed_s;
} BgDetectorClock;

typedef struct BgCusum {
        float w;        /* nats; 0 at rest; negative only in a blackout */
        float expected; /* sessions since onset */
        uint32_t n;     /* sessions since onset */
        uint32_t onset_s;
} BgCusum;

/** An open surge. The CUSUMs rest meanwhile, it takes their place. */
typedef struct BgIncident {
        double expected;      /* sessions since onset, up to the last counted event */
        double against;       /* D: evidence against it, nats, >= 0, up to the last counted event or its blackout */
        double dark_expected; /* sessions expected and come since in the blackout: one bin, weighed when it is over */
        uint32_t dark_n;
        double magnitude_published;
        uint32_t n;      /* sessions since onset */
        uint32_t events; /* raw since onset; saturates */
        uint32_t onset_s;
        uint32_t opened_s;
        uint32_t published_s;
        uint32_t authors_published;
        uint8_t window; /* of the authors */
} BgIncident;

/** The last burst, beside the running CUSUMs. Its figures are those of its window while that lasted. */
typedef struct BgBurst {
        uint32_t onset_s;
        uint32_t last_s; /* last event at which it was one */
        uint32_t events; /* raw, since onset */
        float expected;  /* raw, since onset */
        float top_share;
        uint16_t authors;
        uint8_t window;
} BgBurst;

/** 216 bytes, open or not, no pointers; public to be embedded and stored, for the functions below to write. Zero = fresh. */
typedef struct BgDetector {
        union {
                BgCusum cusum[BG_SURGE_CUSUM_N];
                BgIncident incident; /* is_open */
        };
        BgAuthors authors;
        uint32_t last_s; /* last counted event, if seen */
        BgBurst burst;   /* is_burst; kept when over, so that the same events do not open it again */
        bool is_open;    /* a surge */
        bool is_burst;   /* never both */
        bool seen;
} BgDetector;

/**
 * bg_detector_event() - take one event
 *
 * An event older than the last counted one (late) adds to the totals of the windows that contain it, but proposes nothing.
 * One transition a call. If something open should have ended by now (bg_detector_tick() was not called in time), the call
 * returns that, and the event is the first after it.  Cost: O(1), 0.15 us, 0.4 us where the state is not in the cache.
 *
 * Return: transition->type; the rest of *transition is set if it is not NONE.
 */
BgTransitionType bg_detector_event(BgTransition *transition, BgDetector *detector, const BgSurgeSpec *spec,
                                   const BgDetectorInput *input);
/** Close what is over by now. When several reasons hold: evidence before quiet before regime. Return: as above. */
BgTransitionType bg_detector_tick(BgTransition *transition, BgDetector *detector, const BgSurgeSpec *spec,
                                  const BgDetectorClock *clock);

/** A surge or a burst is open, and a timer is needed. */
bool bg_detector_open(const BgDetector *detector);
/** Since when the next expectation counts: the last counted event, `at_s` itself while there was none or if it is later. */
uint32_t bg_detector_last_s(const BgDetector *detector, uint32_t at_s);
/** Sessions expected since the last counted event at which an open surge closes, >= 0; -1 when none is open (bursts wait). */
double bg_detector_expected_to_close(const BgDetector *detector, const BgSurgeSpec *spec);
/** When what is open closes for quiet or as a regime, if nothing comes; UINT32_MAX when nothing is open. */
uint32_t bg_detector_deadline_s(const BgDetector *detector, const BgSurgeSpec *spec, uint32_t resumed_s);

/**
 * bg_detector_excursion_running() - should the forecaster hold back what came since *onset_sp?
 * @expected: sessions expected since bg_detector_last_s()
 *
 * True while a surge is open, and for at most hold_back_s during an excursion of the CUSUM for factor 2 (the third).
 */
bool bg_detector_excursion_running(const BgDetector *detector, const BgSurgeSpec *spec, uint32_t now_s, double expected,
                                   uint32_t *onset_sp);

/* ---- after a regime: is the new level over again? ------------------------------------------------------------------------ */

/** `level` > 1: the factor on the expectation that was accepted; 0 = none. */
typedef struct BgRegimeWatch {
        float level;
        float w; /* nats in favour of level 1 */
} BgRegimeWatch;

/** Returns true, and the zero value is back, when the level is over. `expected` includes the level. */
bool bg_regime_watch_event(BgRegimeWatch *watch, const BgSurgeSpec *spec, double expected);

#endif

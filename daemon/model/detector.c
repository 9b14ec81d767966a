/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/detector.h"

#include <assert.h>
#include <math.h>

/*
 * Life of the state: CUSUMs -> (evidence and breadth) -> incident, in the same memory -> (closing) -> zero. What the authors'
 * table holds for a window is restarted together with its CUSUM. A burst is only a mark beside running CUSUMs: it must not
 * blind them, as the next author may make it a surge.
 *
 * A blackout is one long bin: an onset may lie at its start but not inside, so inside it the CUSUMs are not clamped at 0.
 */

enum { HOLD_BACK_CUSUM = 2 };

#define EXPECTED_MAX 1e9 /* per step: far above any hub, and sums stay well inside a float */

static double sane(double expected)
{
        if (expected <= 0)
                return 0;
        return expected < EXPECTED_MAX ? expected : EXPECTED_MAX; /* NaN too: silence */
}

static double sane_shape(double shape)
{
        return shape > 1 / BG_SURGE_VARIANCE_MAX ? fmin(shape, 1 / BG_SURGE_VARIANCE_MIN) : 1 / BG_SURGE_VARIANCE_MAX;
}

static double sane_share(double share)
{
        return share > 1e-3 && share <= 1 ? share : share > 1 ? 1 : BG_SURGE_SESSION_SHARE;
}

static double dark_part(const BgDetectorInput *in)
{
        return in->blackout_s ? fmin(sane(in->expected_dark), sane(in->expected)) : 0;
}

static uint32_t add_s(uint32_t at_s, uint32_t s)
{
        return at_s > UINT32_MAX - s ? UINT32_MAX : at_s + s;
}

static uint32_t since_s(uint32_t now_s, uint32_t then_s)
{
        return now_s > then_s ? now_s - then_s : 0;
}

const char *bg_close_reason_name(BgCloseReason reason)
{
        static const char *const names[] = { "", "evidence", "quiet", "regime", "merged" };

        return names[reason];
}

/* different authors in a window with n sessions */
static uint32_t authors_in(const BgDetector *d, unsigned window, uint32_t n)
{
        unsigned distinct = bg_authors_distinct(&d->authors, window);

        return distinct < BG_AUTHORS_RECENT || n < distinct ? distinct : n;
}

/* few authors, or one with most of it */
static bool narrow(const BgDetector *d, const BgSurgeSpec *spec, unsigned window)
{
        return bg_authors_distinct(&d->authors, window) < spec->authors_min ||
               bg_authors_top_share(&d->authors, window) > spec->top_share_max;
}

/* ---- CUSUMs -------------------------------------------------------------------------------------------------------------- */

static void restart(BgDetector *d, unsigned k, uint32_t onset_s)
{
        d->cusum[k] = (BgCusum){ .onset_s = onset_s };
        bg_authors_restart(&d->authors, k);
}

static void decay(BgDetector *d, const BgSurgeSpec *spec, double expected)
{
        for (unsigned k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                d->cusum[k].w -= (float)((spec->rho[k] - 1) * expected);
                d->cusum[k].expected += (float)expected;
        }
}

static void clamp(BgDetector *d, uint32_t onset_s)
{
        for (unsigned k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                if (d->cusum[k].w <= 0)
                        restart(d, k, onset_s);
        }
}

static void count_session(BgDetector *d, const BgSurgeSpec *spec, const BgDetectorInput *in)
{
        double dark = dark_part(in);

        decay(d, spec, sane(in->expected) - dark);
        if (!in->blackout_s) {
                clamp(d, in->at_s);
        } else {
                if (!d->seen || d->last_s < in->blackout_s)
                        clamp(d, in->blackout_s);
                decay(d, spec, dark);
        }
        for (unsigned k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                d->cusum[k].w += (float)log(spec->rho[k]);
                ++d->cusum[k].n;
        }
        d->last_s = in->at_s;
        d->seen = true;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

static unsigned judge(const BgDetector *d, double expected_day, double shape, double *evidencep)
{
        unsigned best = 0;

        *evidencep = 0;
        for (unsigned k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                double expected = fmax(d->cusum[k].expected, expected_day);
                double g = d->cusum[k].n > expected ? bg_surge_evidence(d->cusum[k].n, expected, shape) : 0;
                if (g > *evidencep) {
                        *evidencep = g;
                        best = k;
                }
        }
        return best;
}

static void report_surge(BgTransition *t, const BgDetector *d, BgTransitionType type, uint32_t at_s, double pending,
                         double expected_day, double shape)
{
        const BgIncident *i = &d->incident;
        double expected = i->expected + pending;

        *t = (BgTransition){
                .type = type,
                .kind = BG_INCIDENT_SURGE,
                .at_s = at_s,
                .onset_s = i->onset_s,
                .observed = i->n,
                .expected = expected,
                .evidence = bg_surge_evidence(i->n, fmax(expected, expected_day), shape),
                .magnitude = bg_surge_magnitude(i->n, expected),
                .events = i->events,
                .authors = authors_in(d, i->window, i->n),
                .top_share = bg_authors_top_share(&d->authors, i->window),
        };
}

static void remember_published(BgIncident *i, const BgTransition *t)
{
        i->magnitude_published = t->magnitude;
        i->authors_published = t->authors;
        i->published_s = t->at_s;
}

static void open_surge(BgTransition *t, BgDetector *d, unsigned k, uint32_t at_s, double expected_day, double shape)
{
        BgCusum c = d->cusum[k];

        d->incident = (BgIncident){
                .expected = c.expected,
                .n = c.n,
                .events = bg_authors_events(&d->authors, k),
                .onset_s = c.onset_s,
                .opened_s = at_s,
                .window = (uint8_t)k,
        };
        d->is_open = true;
        report_surge(t, d, BG_TRANSITION_OPENED, at_s, 0, expected_day, shape);
        t->was_burst = d->is_burst;
        d->is_burst = false;
        remember_published(&d->incident, t);
}

/* ---- bursts -------------------------------------------------------------------------------------------------------------- */

static void report_burst(BgTransition *t, const BgDetector *d, BgTransitionType type, uint32_t at_s, double expected_day_raw,
                         double shape)
{
        const BgBurst *b = &d->burst;

        *t = (BgTransition){
                .type = type,
                .kind = BG_INCIDENT_BURST,
                .at_s = at_s,
                .onset_s = b->onset_s,
                .observed = b->events,
                .expected = b->expected,
                .evidence = bg_surge_evidence(b->events, fmax(b->expected, expected_day_raw), shape),
                .magnitude = bg_surge_magnitude(b->events, b->expected),
                .events = b->events,
                .authors = b->authors,
                .top_share = b->top_share,
        };
}

/* the narrow window with the most evidence of its raw events, CUSUM_N if none has enough */
static unsigned judge_raw(const BgDetector *d, const BgSurgeSpec *spec, double pending, double expected_day, double share,
                          double shape)
{
        unsigned best = BG_SURGE_CUSUM_N;
        double most = spec->threshold;

        for (unsigned k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                double n = bg_authors_events(&d->authors, k);
                double expected = fmax(d->cusum[k].expected + pending, expected_day) / share;
                double g;

                if (n < spec->burst_events_min || n < spec->ratio_min * expected || !narrow(d, spec, k))
                        continue;
                g = bg_surge_evidence(n, expected, shape);
                if (g >= most) {
                        most = g;
                        best = k;
                }
        }
        return best;
}

static void burst(BgTransition *t, BgDetector *d, unsigned k, const BgDetectorInput *in, double pending)
{
        double share = sane_share(in->session_share), day = sane(in->expected_day) / share, shape = sane_shape(in->shape);
        uint32_t n = bg_authors_events(&d->authors, k), before = d->burst.events;
        unsigned authors = authors_in(d, k, d->cusum[k].n);

        /* a window with an earlier burst in it is told of again only when that has doubled */
        if (!d->is_burst && before && d->cusum[k].onset_s <= d->burst.onset_s && n / 2 < before)
                return;
        if (d->is_burst) {
                d->burst.last_s = in->at_s;
                if (d->cusum[d->burst.window].onset_s != d->burst.onset_s)
                        return; /* the window it was seen in is over */
                k = d->burst.window;
                n = bg_authors_events(&d->authors, k);
                authors = authors_in(d, k, d->cusum[k].n);
        }
        d->burst = (BgBurst){
                .onset_s = d->cusum[k].onset_s,
                .last_s = in->at_s,
                .events = n,
                .expected = (float)((d->cusum[k].expected + pending) / share),
                .top_share = (float)bg_authors_top_share(&d->authors, k),
                .authors = (uint16_t)(authors < UINT16_MAX ? authors : UINT16_MAX),
                .window = (uint8_t)k,
        };
        if (!d->is_burst)
                report_burst(t, d, BG_TRANSITION_OPENED, in->at_s, day, shape);
        else if ((n ^ before) > (n & before)) /* one binary digit more: it has about doubled */
                report_burst(t, d, BG_TRANSITION_UPDATED, in->at_s, day, shape);
        d->is_burst = true;
}

/* ---- an open surge ------------------------------------------------------------------------------------------------------- */

static double closing_ratio(const BgIncident *i, const BgSurgeSpec *spec)
{
        double ratio = (i->n + spec->close_prior) / (i->expected + spec->close_prior);

        return fmin(fmax(ratio, spec->close_ratio_min), spec->close_ratio_max);
}

/* Evidence against it now. What a blackout held is weighed as a whole, at the factor that takes all of it into account: charged
 * at the factor from before, and credited event by event at ever smaller ones, a long outage would close whatever was open. */
static double against(const BgIncident *i, double ratio)
{
        return fmax(i->against + (ratio - 1) * i->dark_expected - i->dark_n * log(ratio), 0);
}

double bg_detector_expected_to_close(const BgDetector *d, const BgSurgeSpec *spec)
{
        double ratio;

        if (!d->is_open)
                return -1;
        ratio = closing_ratio(&d->incident, spec);
        return fmax(spec->close_base + log1p(d->incident.n) - against(&d->incident, ratio), 0) / (ratio - 1);
}

static void more_of_surge(BgTransition *t, BgDetector *d, const BgSurgeSpec *spec, const BgDetectorInput *in)
{
        double expected = sane(in->expected), dark = dark_part(in), ratio = closing_ratio(&d->incident, spec);
        BgIncident *i = &d->incident;
        BgTransition now;

        if (!in->blackout_s || d->last_s < in->blackout_s) {
                i->against = against(i, ratio) + (ratio - 1) * (expected - dark);
                i->dark_expected = 0;
                i->dark_n = 0;
        }
        if (in->blackout_s) {
                i->dark_expected += dark;
                ++i->dark_n;
        } else {
                i->against = fmax(i->against - log(ratio), 0);
        }
        i->expected += expected;
        ++i->n;
        d->last_s = in->at_s;

        report_surge(&now, d, BG_TRANSITION_UPDATED, in->at_s, 0, sane(in->expected_day), sane_shape(in->shape));
        if (now.magnitude >= spec->update_ratio * i->magnitude_published ||
            now.magnitude * spec->update_ratio <= i->magnitude_published ||
            now.authors >= spec->update_authors_ratio * i->authors_published ||
            since_s(in->at_s, i->published_s) >= spec->update_s) {
                remember_published(i, &now);
                *t = now;
        }
}

/* ---- endings ------------------------------------------------------------------------------------------------------------- */

static uint32_t quiet_since_s(uint32_t last_s, uint32_t resumed_s)
{
        return last_s > resumed_s ? last_s : resumed_s;
}

static BgCloseReason over(const BgDetector *d, const BgSurgeSpec *spec, const BgDetectorClock *c)
{
        if (c->blackout_s)
                return BG_CLOSE_NONE;
        if (sane(c->expected) >= bg_detector_expected_to_close(d, spec))
                return BG_CLOSE_EVIDENCE;
        if (since_s(c->now_s, quiet_since_s(d->last_s, c->resumed_s)) >= spec->quiet_close_s)
                return BG_CLOSE_QUIET;
        if (since_s(c->now_s, d->incident.opened_s) >= spec->regime_s)
                return BG_CLOSE_REGIME;
        return BG_CLOSE_NONE;
}

BgTransitionType bg_detector_tick(BgTransition *t, BgDetector *d, const BgSurgeSpec *spec, const BgDetectorClock *c)
{
        BgCloseReason reason = BG_CLOSE_NONE;

        t->type = BG_TRANSITION_NONE;
        if (d->is_open) {
                reason = over(d, spec, c);
                if (!reason)
                        return BG_TRANSITION_NONE;
                report_surge(t, d, reason == BG_CLOSE_REGIME ? BG_TRANSITION_REGIME : BG_TRANSITION_CLOSED, c->now_s,
                             sane(c->expected), sane(c->expected_day), sane_shape(c->shape));
                *d = (BgDetector){ .last_s = d->last_s, .seen = true };
        } else if (d->is_burst && !c->blackout_s &&
                   since_s(c->now_s, quiet_since_s(d->burst.last_s, c->resumed_s)) >= spec->burst_quiet_s) {
                reason = BG_CLOSE_QUIET;
                report_burst(t, d, BG_TRANSITION_CLOSED, c->now_s, 0, sane_shape(c->shape));
                d->is_burst = false;
        }
        t->reason = reason;
        return t->type;
}

uint32_t bg_detector_deadline_s(const BgDetector *d, const BgSurgeSpec *spec, uint32_t resumed_s)
{
        uint32_t quiet_s, regime_s;

        if (!d->is_open)
                return d->is_burst ? add_s(quiet_since_s(d->burst.last_s, resumed_s), spec->burst_quiet_s) : UINT32_MAX;
        quiet_s = add_s(quiet_since_s(d->last_s, resumed_s), spec->quiet_close_s);
        regime_s = add_s(d->incident.opened_s, spec->regime_s);
        return quiet_s < regime_s ? quiet_s : regime_s;
}

/* ---- one event ----------------------------------------------------------------------------------------------------------- */

/* windows that a raw event at a time is part of; one without a session has not begun */
static unsigned windows_at(const BgDetector *d, uint32_t at_s)
{
        unsigned windows = 0;

        if (d->is_open)
                return at_s >= d->incident.onset_s ? BG_AUTHORS_ALL : 0;
        for (unsigned k = 0; k < BG_SURGE_CUSUM_N; ++k)
                windows |= (unsigned)(d->cusum[k].n && at_s >= d->cusum[k].onset_s) << k;
        return windows;
}

static void count_raw(BgDetector *d, const BgDetectorInput *in)
{
        unsigned windows = windows_at(d, in->at_s);

        bg_authors_add(&d->authors, in->author, windows);
        if (d->is_open && windows && d->incident.events < UINT32_MAX)
                ++d->incident.events;
}

static void count_late(BgDetector *d, const BgDetectorInput *in)
{
        count_raw(d, in);
        if (!in->counted)
                return;
        if (d->is_open) {
                d->incident.n += in->at_s >= d->incident.onset_s;
                return;
        }
        for (unsigned k = 0; k < BG_SURGE_CUSUM_N; ++k)
                d->cusum[k].n += d->cusum[k].n && in->at_s >= d->cusum[k].onset_s;
}

static void consider(BgTransition *t, BgDetector *d, const BgSurgeSpec *spec, const BgDetectorInput *in)
{
        double day = sane(in->expected_day), shape = sane_shape(in->shape);
        double pending = in->counted ? 0 : sane(in->expected);
        double evidence;
        unsigned k;

        if (!(in->age_days > spec->age_min_days))
                return;
        if (in->counted) {
                k = judge(d, day, shape, &evidence);
                if (evidence >= spec->threshold && d->cusum[k].n >= spec->ratio_min * d->cusum[k].expected) {
                        if (narrow(d, spec, k))
                                burst(t, d, k, in, 0);
                        else
                                open_surge(t, d, k, in->at_s, day, shape);
                        return;
                }
        }
        k = judge_raw(d, spec, pending, day, sane_share(in->session_share), shape);
        if (k < BG_SURGE_CUSUM_N)
                burst(t, d, k, in, pending);
}

BgTransitionType bg_detector_event(BgTransition *t, BgDetector *d, const BgSurgeSpec *spec, const BgDetectorInput *in)
{
        BgDetectorClock clock = { .now_s = in->at_s,
                                  .expected = in->expected,
                                  .expected_day = in->expected_day,
                                  .shape = in->shape,
                                  .blackout_s = in->blackout_s,
                                  .resumed_s = in->resumed_s };
        bool late = d->seen && in->at_s < d->last_s;

        t->type = BG_TRANSITION_NONE;
        if (late) {
                count_late(d, in);
                return BG_TRANSITION_NONE;
        }
        bg_detector_tick(t, d, spec, &clock);
        if (d->is_open) {
                count_raw(d, in);
                if (in->counted)
                        more_of_surge(t, d, spec, in);
                return t->type;
        }
        if (in->counted)
                count_session(d, spec, in);
        count_raw(d, in);
        if (t->type == BG_TRANSITION_NONE)
                consider(t, d, spec, in);
        return t->type;
}

/* ---- questions ----------------------------------------------------------------------------------------------------------- */

bool bg_detector_open(const BgDetector *d)
{
        return d->is_open || d->is_burst;
}

uint32_t bg_detector_last_s(const BgDetector *d, uint32_t at_s)
{
        return d->seen && d->last_s < at_s ? d->last_s : at_s;
}

bool bg_detector_excursion_running(const BgDetector *d, const BgSurgeSpec *spec, uint32_t now_s, double expected,
                                   uint32_t *onset_sp)
{
        const BgCusum *c = &d->cusum[HOLD_BACK_CUSUM];

        if (d->is_open) {
                *onset_sp = d->incident.onset_s;
                return true;
        }
        if (!c->n || c->w <= (spec->rho[HOLD_BACK_CUSUM] - 1) * sane(expected) || since_s(now_s, c->onset_s) >= spec->hold_back_s)
                return false;
        *onset_sp = c->onset_s;
        return true;
}

bool bg_regime_watch_event(BgRegimeWatch *watch, const BgSurgeSpec *spec, double expected)
{
        double level = watch->level, w;

        if (!(level > 1))
                return false;
        w = fmax(watch->w + (level - 1) / level * sane(expected) - log(level), 0);
        watch->w = (float)w;
        if (w < spec->regime_revert)
                return false;
        *watch = (BgRegimeWatch){ 0 };
        return true;
}

static_assert((int)BG_SURGE_CUSUM_N == (int)BG_AUTHORS_WINDOWS, "one window a CUSUM");
static_assert(sizeof(BgIncident) <= sizeof(BgCusum[BG_SURGE_CUSUM_N]), "an incident costs no memory of its own");
static_assert(sizeof(BgDetector) == 216, "the header says so");

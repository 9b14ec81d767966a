/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/detector.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/model/test_random.h"

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

enum { DAY = 86400, HOUR = 3600, START = 4000 * DAY };

/* one series with a constant expectation */
typedef struct World {
        BgDetector d;
        BgSurgeSpec spec;
        BgTransition t;
        double rate; /* sessions a day */
        double age_days;
        uint32_t now_s;
        uint32_t blackout_s;
        uint32_t resumed_s;
        uint64_t authors;
} World;

static World world(double rate)
{
        return (World){ .spec = bg_surge_spec_default(), .rate = rate, .age_days = 100, .now_s = START };
}

static double due(const World *w, uint32_t from_s, uint32_t to_s)
{
        return to_s > from_s ? w->rate * (to_s - from_s) / DAY : 0;
}

static uint64_t fingerprint(uint64_t author)
{
        TestRandom random = { author };

        return test_u64(&random);
}

static BgDetectorInput input(const World *w, uint64_t author, bool counted)
{
        uint32_t last_s = bg_detector_last_s(&w->d, w->now_s);

        if (w->blackout_s && !w->d.seen)
                last_s = w->blackout_s;
        return (BgDetectorInput){
                .at_s = w->now_s,
                .author = fingerprint(author),
                .counted = counted,
                .expected = due(w, last_s, w->now_s),
                .expected_dark = w->blackout_s ? due(w, last_s > w->blackout_s ? last_s : w->blackout_s, w->now_s) : 0,
                .expected_day = w->rate,
                .blackout_s = w->blackout_s,
                .resumed_s = w->resumed_s,
                .session_share = 0.635,
                .shape = 20,
                .age_days = w->age_days,
        };
}

static BgTransitionType event(World *w, uint32_t wait_s, uint64_t author, bool counted)
{
        BgDetectorInput in;

        w->now_s += wait_s;
        in = input(w, author, counted);
        return bg_detector_event(&w->t, &w->d, &w->spec, &in);
}

/* a session of an author not seen before */
static BgTransitionType session(World *w, uint32_t wait_s)
{
        return event(w, wait_s, ++w->authors, true);
}

static BgTransitionType tick_with(World *w, double expected)
{
        BgDetectorClock clock = { .now_s = w->now_s,
                                  .expected = expected,
                                  .expected_day = w->rate,
                                  .shape = 20,
                                  .blackout_s = w->blackout_s,
                                  .resumed_s = w->resumed_s };

        return bg_detector_tick(&w->t, &w->d, &w->spec, &clock);
}

static BgTransitionType tick(World *w, uint32_t wait_s)
{
        w->now_s += wait_s;
        return tick_with(w, due(w, bg_detector_last_s(&w->d, w->now_s), w->now_s));
}

/* many sessions within hours */
static void open_one(World *w, unsigned n)
{
        BgTransitionType type = BG_TRANSITION_NONE;

        for (unsigned i = 0; i < n; ++i) {
                BgTransitionType now = session(w, 600);
                type = now == BG_TRANSITION_OPENED ? now : type;
        }
        assert_int_equal(type, BG_TRANSITION_OPENED);
        assert_true(w->d.is_open);
}

/* ---- CUSUMs -------------------------------------------------------------------------------------------------------------- */

/* W = max over starts j of (events since j) ln rho - (rho - 1) (B - B_j), from the whole list, in double precision */
static void check_against_list(const BgDetector *d, const BgSurgeSpec *spec, const double *b, const uint32_t *at_s, int n)
{
        for (int k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                double lowest = INFINITY, second = INFINITY, w;
                int start = 0;

                for (int j = 0; j < n; ++j) {
                        double s = j * log(spec->rho[k]) - (spec->rho[k] - 1) * b[j];
                        if (s <= lowest) {
                                second = lowest;
                                lowest = s;
                                start = j;
                        } else {
                                second = fmin(second, s);
                        }
                }
                w = n * log(spec->rho[k]) - (spec->rho[k] - 1) * b[n - 1] - lowest;
                NEAR(d->cusum[k].w, w, 1e-3 * (1 + w));
                if (second - lowest < 1e-3)
                        continue; /* a tie within a float's rounding */
                assert_int_equal(d->cusum[k].n, n - start);
                assert_int_equal(d->cusum[k].onset_s, at_s[start]);
                NEAR(d->cusum[k].expected, b[n - 1] - b[start], 1e-4 * (1 + b[n - 1] - b[start]));
        }
}

static void cusums_equal_a_recomputation_from_the_list(void **state)
{
        enum { N = 400 };
        TestRandom random = { test_seed(31) };

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (int run = 0; run < 40; ++run) {
                World w = world(1);
                double b[N], total = 0, factor = 1;
                uint32_t at_s[N];

                w.spec.threshold = 1e9;
                for (int i = 0; i < N; ++i) {
                        BgDetectorInput in;
                        if (!test_below(&random, 50))
                                factor = exp(1.5 * test_normal(&random));
                        w.now_s += 1 + test_below(&random, 3 * DAY);
                        in = input(&w, test_u64(&random), true);
                        in.expected = i ? test_exponential(&random, 1) * factor : 0;
                        b[i] = total += in.expected;
                        at_s[i] = w.now_s;
                        bg_detector_event(&w.t, &w.d, &w.spec, &in);
                        check_against_list(&w.d, &w.spec, b, at_s, i + 1);
                        for (int k = 1; k < BG_SURGE_CUSUM_N; ++k) /* nested: what the authors' table relies on */
                                assert_true(w.d.cusum[k].onset_s >= w.d.cusum[k - 1].onset_s);
                }
        }
}

/* events that a blackout delays are one bin: neither their spacing inside nor their order to the silence matters */
static void a_blackout_is_one_long_bin(void **state)
{
        TestRandom random = { test_seed(32) };

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (int run = 0; run < 200; ++run) {
                World w = world(0.5 + 4 * test_uniform(&random));
                unsigned n = 1 + test_below(&random, 30);
                uint32_t span_s = (1 + test_below(&random, 20)) * DAY, s, sums[30];
                double at_start[BG_SURGE_CUSUM_N], dark;

                w.spec.threshold = 1e9;
                for (unsigned i = test_below(&random, 40); i-- > 0;)
                        session(&w, (uint32_t)(test_exponential(&random, w.rate) * DAY));
                s = w.now_s + 1 + test_below(&random, DAY);
                for (int k = 0; k < BG_SURGE_CUSUM_N; ++k)
                        at_start[k] = fmax(w.d.cusum[k].w - (w.spec.rho[k] - 1) * due(&w, bg_detector_last_s(&w.d, s), s), 0);
                w.blackout_s = s;
                for (unsigned i = 0; i < n; ++i)
                        sums[i] = test_below(&random, span_s);
                for (unsigned i = 0; i < n; ++i) { /* in time order */
                        uint32_t least = UINT32_MAX;
                        unsigned which = 0;
                        for (unsigned j = 0; j < n; ++j) {
                                if (sums[j] < least) {
                                        least = sums[j];
                                        which = j;
                                }
                        }
                        sums[which] = UINT32_MAX;
                        w.now_s = s + least;
                        session(&w, 0);
                }
                dark = due(&w, s, w.now_s);
                for (int k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                        double bin = at_start[k] + n * log(w.spec.rho[k]) - (w.spec.rho[k] - 1) * dark;
                        NEAR(w.d.cusum[k].w, bin, 1e-3 * (1 + fabs(bin) + dark * w.spec.rho[k]));
                        assert_true(w.d.cusum[k].onset_s <= s); /* none starts inside */
                }
                /* afterwards the clamp is back */
                w.blackout_s = 0;
                session(&w, 1000 * DAY);
                for (int k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                        assert_int_equal(w.d.cusum[k].n, 1);
                        assert_int_equal(w.d.cusum[k].onset_s, w.now_s);
                }
        }
}

/* a week's silence and its whole backlog within two hours: an alarm without the rule, none with it */
static void a_backlog_is_no_surge(void **state)
{
        (void)state;
        for (int rule = 0; rule <= 1; ++rule) {
                World w = world(5);
                bool opened = false;

                for (int i = 0; i < 50; ++i)
                        session(&w, DAY / 5);
                w.blackout_s = rule ? w.now_s + 1 : 0;
                w.now_s += 7 * DAY;
                for (int i = 0; i < 35; ++i)
                        opened |= session(&w, 200) == BG_TRANSITION_OPENED;
                assert_int_equal(opened, !rule);
        }
}

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

static void five_authors_open_a_surge_four_a_burst(void **state)
{
        World w = world(0.01);
        uint32_t first_s;

        (void)state;
        assert_int_equal(session(&w, 0), BG_TRANSITION_NONE);
        first_s = w.now_s;
        assert_int_equal(session(&w, HOUR), BG_TRANSITION_NONE);
        /* enough evidence from 3 on, at this rate: but few people */
        assert_int_equal(session(&w, HOUR), BG_TRANSITION_OPENED);
        assert_int_equal(w.t.kind, BG_INCIDENT_BURST);
        assert_int_equal(w.t.authors, 3);
        assert_int_equal(session(&w, HOUR), BG_TRANSITION_UPDATED);
        assert_int_equal(w.t.kind, BG_INCIDENT_BURST);
        assert_false(w.d.is_open);
        /* a failed gate resets nothing */
        assert_int_equal(session(&w, HOUR), BG_TRANSITION_OPENED);
        assert_int_equal(w.t.kind, BG_INCIDENT_SURGE);
        assert_true(w.t.was_burst);
        assert_int_equal(w.t.onset_s, first_s);
        assert_int_equal(w.t.at_s, w.now_s);
        assert_int_equal(w.t.authors, 5);
        NEAR(w.t.observed, 5, 0);
        NEAR(w.t.events, 5, 0);
        NEAR(w.t.expected, 0.01 * 4 / 24, 1e-6);
        NEAR(w.t.evidence, bg_surge_evidence(5, 0.01, 20), 1e-9); /* floor: a day's expectation */
        NEAR(w.t.magnitude, 6.5 / (0.5 + w.t.expected), 1e-9);
        NEAR(w.t.top_share, 0.2, 1e-6);
}

static void a_young_model_does_not_surge(void **state)
{
        World w = world(0.05);

        (void)state;
        w.age_days = 14;
        for (int i = 0; i < 20; ++i)
                assert_int_equal(session(&w, HOUR), BG_TRANSITION_NONE);
        w.age_days = 14.1;
        assert_int_equal(session(&w, HOUR), BG_TRANSITION_OPENED);
        assert_int_equal(w.t.kind, BG_INCIDENT_SURGE);
        NEAR(w.t.observed, 21, 0);
}

/* 1.2 times the expectation is of no interest, however long and however sure the forecast */
static void small_factors_do_not_open(void **state)
{
        World w = world(400);

        (void)state;
        w.spec.threshold = 0.3; /* the usual one is out of reach of such a factor: the shape is clamped */
        for (int i = 0; i < 20000; ++i) {
                BgDetectorInput in;
                w.now_s += (uint32_t)(DAY / (1.2 * w.rate));
                in = input(&w, ++w.authors, true);
                in.shape = 1e12;
                assert_int_equal(bg_detector_event(&w.t, &w.d, &w.spec, &in), BG_TRANSITION_NONE);
        }
        w.spec.ratio_min = 1;
        assert_int_equal(session(&w, 1), BG_TRANSITION_OPENED);
        NEAR(w.t.observed / w.t.expected, 1.2, 0.01);
}

/* on a model where next to nothing is expected the excursion outlives the burst, and with it the burst's events */
static void a_burst_is_told_of_once(void **state)
{
        World w = world(1e-4);

        (void)state;
        for (int i = 0; i < 40; ++i)
                event(&w, 60, 1, i == 0);
        assert_true(w.d.is_burst);
        assert_int_equal(tick(&w, 7 * DAY), BG_TRANSITION_CLOSED);
        assert_int_equal(event(&w, DAY, 2, true), BG_TRANSITION_NONE);
        for (int i = 0; i < 38; ++i)
                assert_int_equal(event(&w, HOUR, 2, false), BG_TRANSITION_NONE);
        assert_int_equal(event(&w, HOUR, 2, false), BG_TRANSITION_OPENED); /* as much again */
        assert_int_equal(w.t.kind, BG_INCIDENT_BURST);
        NEAR(w.t.observed, 80, 0);
        assert_int_equal(w.t.authors, 2);
}

static void one_author_is_a_burst_never_a_surge(void **state)
{
        World w = world(0.1);
        unsigned n_opened = 0, n_updated = 0;

        (void)state;
        for (int i = 0; i < 2000; ++i) {
                BgTransitionType type = event(&w, 60, 1, i == 0);
                assert_false(w.d.is_open);
                n_opened += type == BG_TRANSITION_OPENED;
                n_updated += type == BG_TRANSITION_UPDATED;
                if (type != BG_TRANSITION_NONE)
                        assert_int_equal(w.t.kind, BG_INCIDENT_BURST);
        }
        assert_int_equal(n_opened, 1);
        assert_in_range(n_updated, 5, 10); /* as it doubles */
        assert_int_equal(w.t.authors, 1);
        NEAR(w.t.top_share, 1, 0);
        assert_int_equal(w.t.onset_s, START + 60);
        assert_true(bg_detector_open(&w.d));
        assert_true(bg_detector_expected_to_close(&w.d, &w.spec) < 0);
        assert_int_equal(bg_detector_deadline_s(&w.d, &w.spec, 0), w.now_s + 7 * DAY);
        assert_int_equal(bg_detector_deadline_s(&w.d, &w.spec, w.now_s + DAY), w.now_s + 8 * DAY);
        w.blackout_s = w.now_s + 1;
        assert_int_equal(tick(&w, 8 * DAY), BG_TRANSITION_NONE);
        w.blackout_s = 0;
        assert_int_equal(tick(&w, 0), BG_TRANSITION_CLOSED);
        assert_int_equal(w.t.kind, BG_INCIDENT_BURST);
        assert_int_equal(w.t.reason, BG_CLOSE_QUIET);
        NEAR(w.t.observed, 2000, 0);
        assert_int_equal(tick(&w, DAY), BG_TRANSITION_NONE);
        assert_false(bg_detector_open(&w.d));
        /* one more event is not another burst */
        assert_int_equal(event(&w, DAY, 1, true), BG_TRANSITION_NONE);
        assert_int_equal(event(&w, DAY, 1, false), BG_TRANSITION_NONE);
        assert_int_equal(session(&w, DAY), BG_TRANSITION_NONE);
}

/* the same uploader in the middle of a long, broad excursion of a busy model; and a surge that has one loud author */
static void one_loud_author_is_judged_in_the_right_window(void **state)
{
        World w = world(1);
        bool burst = false;

        (void)state;
        for (int i = 0; i < 60; ++i)
                assert_int_equal(session(&w, DAY * 10 / 12), BG_TRANSITION_NONE); /* a running excursion of 1.25 */
        assert_in_range(bg_authors_distinct(&w.d.authors, 0), 6, 6);
        event(&w, HOUR, 1000, true);
        for (int i = 0; i < 200; ++i) {
                burst |= event(&w, 60, 1000, false) == BG_TRANSITION_OPENED && w.t.kind == BG_INCIDENT_BURST;
                assert_false(w.d.is_open);
        }
        assert_true(burst);
        /* 40 sessions in 7 hours, beside 200 raw events of one: the crowd is too small to be called one .. */
        for (int i = 0; i < 40; ++i) {
                session(&w, 600);
                assert_false(w.d.is_open);
        }
        /* .. until it outweighs the uploader */
        for (int i = 0; i < 200 && !w.d.is_open; ++i)
                session(&w, 600);
        assert_true(w.d.is_open);
        assert_true(w.t.top_share <= 0.5 && w.t.top_share > 0.4);
        assert_true(w.t.was_burst);
}

/* four authors who each come back after a week are eight sessions, and still four authors */
static void returning_authors_do_not_add_up(void **state)
{
        World w = world(0.01);

        (void)state;
        for (int round = 0; round < 5; ++round) {
                for (uint64_t a = 1; a <= 4; ++a) {
                        event(&w, a == 1 ? 8 * DAY : HOUR, a, true);
                        assert_false(w.d.is_open);
                }
        }
        assert_true(w.d.cusum[0].n == 20);
        event(&w, HOUR, 5, true);
        assert_true(w.d.is_open);
}

/* ---- an open surge ------------------------------------------------------------------------------------------------------- */

/* D kept apart, in the test's own words; and the root of B against small steps of the clock */
static void the_closing_root_equals_stepping(void **state)
{
        TestRandom random = { test_seed(33) };
        unsigned n_closed = 0;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (int run = 0; run < 100; ++run) {
                World w = world(0.2 + 5 * test_uniform(&random));
                double n, b, against = 0, factor = 1 + 2 * test_uniform(&random);

                open_one(&w, 60);
                n = w.d.incident.n;
                b = w.d.incident.expected;
                against = w.d.incident.against;
                w.spec.regime_s = UINT32_MAX;
                while (w.d.is_open && n < 2000) {
                        double rc = fmin(fmax((n + 3) / (b + 3), 1.5), 8), hc = 4 + log(1 + n);
                        uint32_t wait_s = (uint32_t)(test_exponential(&random, factor * w.rate) * DAY);
                        double db = due(&w, 0, wait_s);
                        double root = bg_detector_expected_to_close(&w.d, &w.spec);
                        bool closes = against + (rc - 1) * db >= hc;

                        NEAR(root, (hc - against) / (rc - 1), 1e-6 * (1 + root));
                        if (wait_s >= 21 * DAY)
                                break;
                        /* by small steps: it closes where the root says, and not before */
                        for (int step = 1; step <= 10 && closes; ++step) {
                                BgTransitionType type = tick_with(&w, db * step / 10);
                                assert_int_equal(type != BG_TRANSITION_NONE, db * step / 10 >= root);
                                if (type != BG_TRANSITION_NONE) {
                                        assert_int_equal(w.t.reason, BG_CLOSE_EVIDENCE);
                                        NEAR(w.t.expected, b + db * step / 10, 1e-6);
                                        NEAR(w.t.observed, n, 0);
                                        break;
                                }
                        }
                        assert_int_equal(w.d.is_open, !closes);
                        if (closes) {
                                ++n_closed;
                                break;
                        }
                        session(&w, wait_s);
                        against = fmax(0, against + (rc - 1) * db - log(rc));
                        n += 1;
                        b += db;
                }
        }
        assert_in_range(n_closed, 30, 100);
}

/* a caller that forgot its timer gets the ending from the next event, which then belongs to a fresh start */
static void an_event_after_the_end_ends_it(void **state)
{
        World w = world(2);
        uint32_t onset_s;

        (void)state;
        open_one(&w, 40);
        onset_s = w.d.incident.onset_s;
        assert_int_equal(session(&w, 10 * DAY), BG_TRANSITION_CLOSED);
        assert_int_equal(w.t.reason, BG_CLOSE_EVIDENCE);
        assert_int_equal(w.t.onset_s, onset_s);
        assert_false(w.d.is_open);
        for (int k = 0; k < BG_SURGE_CUSUM_N; ++k) {
                assert_int_equal(w.d.cusum[k].n, 1);
                assert_int_equal(w.d.cusum[k].onset_s, w.now_s);
                assert_int_equal(bg_authors_events(&w.d.authors, (unsigned)k), 1);
        }
}

static void silence_closes_after_21_days_but_not_in_a_blackout(void **state)
{
        World w = world(1e-6); /* nothing is expected, so the evidence cannot close it */
        World copy;

        (void)state;
        open_one(&w, 6);
        assert_int_equal(bg_detector_deadline_s(&w.d, &w.spec, 0), w.now_s + 21 * DAY);
        assert_int_equal(tick(&w, 21 * DAY - 1), BG_TRANSITION_NONE);
        copy = w;
        assert_int_equal(tick(&copy, 1), BG_TRANSITION_CLOSED);
        assert_int_equal(copy.t.reason, BG_CLOSE_QUIET);
        assert_false(bg_detector_open(&copy.d));
        /* the feed is out: not a silence of the model */
        copy = w;
        copy.blackout_s = w.now_s - DAY;
        assert_int_equal(tick(&copy, 100 * DAY), BG_TRANSITION_NONE);
        copy.rate = 10;
        assert_int_equal(tick(&copy, 100 * DAY), BG_TRANSITION_NONE); /* nor is it evidence, however much was expected */
        copy = w;
        copy.resumed_s = w.now_s - 5 * DAY;
        assert_int_equal(tick(&copy, 1), BG_TRANSITION_NONE);
        assert_true(copy.d.is_open);
}

/* a timer missed, then a blackout: it does not close inside, and the backlog does not wash away what was before */
static void evidence_from_before_a_blackout_still_counts(void **state)
{
        World w = world(2);
        double before;

        (void)state;
        open_one(&w, 40);
        before = bg_detector_expected_to_close(&w.d, &w.spec) * 1.01;
        w.now_s += (uint32_t)(before / w.rate * DAY);
        w.blackout_s = w.now_s;
        for (int i = 0; i < 10; ++i) {
                assert_int_not_equal(session(&w, DAY / 2), BG_TRANSITION_CLOSED);
                assert_int_equal(tick(&w, 0), BG_TRANSITION_NONE);
        }
        NEAR(w.d.incident.dark_expected, 10, 1e-9);
        assert_int_equal(w.d.incident.dark_n, 10);
        w.blackout_s = 0;
        w.resumed_s = w.now_s;
        assert_int_equal(tick(&w, 0), BG_TRANSITION_CLOSED);
        assert_int_equal(w.t.reason, BG_CLOSE_EVIDENCE);
        NEAR(w.t.expected, before + 10 + 40 * 2 * 600.0 / DAY, 0.05);
}

/* what a blackout holds is one bin: it ends a surge if it held no more than was due, and only when it is over */
static void the_dark_is_weighed_as_a_whole(void **state)
{
        (void)state;
        for (int factor = 1; factor <= 4; factor += 3) {
                World w = world(2);

                open_one(&w, 40);
                w.blackout_s = w.now_s + 60;
                w.now_s += 20 * DAY;
                for (int i = 0; i < 40 * factor; ++i)
                        assert_int_not_equal(session(&w, 10), BG_TRANSITION_CLOSED);
                assert_int_equal(tick(&w, 0), BG_TRANSITION_NONE);
                w.blackout_s = 0;
                w.resumed_s = w.now_s;
                assert_int_equal(tick(&w, 1), factor == 1 ? BG_TRANSITION_CLOSED : BG_TRANSITION_NONE);
                if (factor == 1)
                        assert_int_equal(w.t.reason, BG_CLOSE_EVIDENCE);
                else
                        assert_true(session(&w, 60) != BG_TRANSITION_CLOSED && w.d.incident.against == 0);
        }
}

static void what_stays_for_30_days_is_a_regime(void **state)
{
        World w = world(1);
        uint32_t opened_s;
        BgTransitionType type = BG_TRANSITION_NONE;

        (void)state;
        open_one(&w, 20);
        opened_s = w.d.incident.opened_s;
        while (type != BG_TRANSITION_REGIME) {
                type = session(&w, DAY / 4);
                assert_int_not_equal(type, BG_TRANSITION_CLOSED);
                assert_int_not_equal(type, BG_TRANSITION_OPENED);
        }
        assert_in_range(w.now_s - opened_s, 30 * DAY, 30 * DAY + DAY / 4);
        assert_int_equal(w.t.reason, BG_CLOSE_REGIME);
        assert_true(w.t.observed / w.t.expected > 3.5 && w.t.observed / w.t.expected < 6);
        assert_false(w.d.is_open);
        /* the new level is the caller's expectation from here: no more alarms */
        w.rate = 4;
        for (int i = 0; i < 1000; ++i)
                assert_int_equal(session(&w, DAY / 4), BG_TRANSITION_NONE);
        assert_string_equal(bg_close_reason_name(BG_CLOSE_REGIME), "regime");
        assert_string_equal(bg_close_reason_name(BG_CLOSE_NONE), "");
}

static void updates_are_worth_reading(void **state)
{
        World w = world(1);
        BgTransition last = { 0 };
        unsigned n_updates = 0, n_sessions = 0, n_raw = 0;
        TestRandom random = { test_seed(34) };

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        while (session(&w, HOUR) != BG_TRANSITION_OPENED)
                ;
        last = w.t;
        for (uint32_t end_s = w.now_s + 25 * DAY; w.now_s < end_s; ++n_sessions) {
                if (n_sessions % 2) { /* every second author has one more event */
                        assert_int_equal(event(&w, 0, w.authors, false), BG_TRANSITION_NONE);
                        ++n_raw;
                }
                if (session(&w, (uint32_t)(test_exponential(&random, 20) * DAY)) == BG_TRANSITION_NONE)
                        continue;
                assert_int_equal(w.t.type, BG_TRANSITION_UPDATED);
                assert_int_equal(w.t.onset_s, last.onset_s);
                assert_true(w.t.observed > last.observed && w.t.expected >= last.expected);
                assert_true(w.t.magnitude >= 1.25 * last.magnitude || w.t.magnitude * 1.25 <= last.magnitude ||
                            w.t.authors >= 2 * last.authors || w.t.at_s - last.at_s >= DAY);
                NEAR(w.t.events, w.t.observed + n_raw, 0);
                last = w.t;
                ++n_updates;
        }
        assert_true(n_sessions > 300);
        assert_in_range(n_updates, 20, 40);
}

static void late_events_count_but_propose_nothing(void **state)
{
        World w = world(0.01);
        BgDetectorInput in;
        BgDetector before;

        (void)state;
        for (int i = 0; i < 2; ++i)
                session(&w, DAY);
        in = input(&w, 77, true);
        in.at_s = w.now_s - DAY / 2; /* between the two */
        in.expected = 1e6;           /* not looked at */
        before = w.d;
        for (int i = 0; i < 10; ++i) {
                in.author = fingerprint(100 + (uint64_t)i);
                assert_int_equal(bg_detector_event(&w.t, &w.d, &w.spec, &in), BG_TRANSITION_NONE);
        }
        assert_int_equal(w.d.cusum[0].n, 12);
        assert_true(w.d.cusum[0].w == before.cusum[0].w && w.d.cusum[0].expected == before.cusum[0].expected);
        assert_int_equal(w.d.last_s, before.last_s);
        in.at_s = w.now_s - 5 * DAY; /* before the onset: another time's */
        bg_detector_event(&w.t, &w.d, &w.spec, &in);
        assert_int_equal(w.d.cusum[0].n, 12);
        /* the next one in time sees the whole */
        assert_int_equal(session(&w, 1), BG_TRANSITION_OPENED);
        NEAR(w.t.observed, 13, 0);
        in.at_s = w.now_s - 60;
        assert_int_equal(bg_detector_event(&w.t, &w.d, &w.spec, &in), BG_TRANSITION_NONE);
        assert_int_equal(w.d.incident.n, 14);
        in.at_s = START - 60;
        assert_int_equal(bg_detector_event(&w.t, &w.d, &w.spec, &in), BG_TRANSITION_NONE);
        assert_int_equal(w.d.incident.n, 14);
}

/* ---- for the forecaster -------------------------------------------------------------------------------------------------- */

static void the_forecaster_is_told_to_wait(void **state)
{
        World w = world(1);
        uint32_t onset_s = 0, first_s;

        (void)state;
        assert_false(bg_detector_excursion_running(&w.d, &w.spec, w.now_s, 0, &onset_s));
        session(&w, 0);
        first_s = w.now_s;
        session(&w, HOUR);
        session(&w, HOUR);
        assert_true(bg_detector_excursion_running(&w.d, &w.spec, w.now_s, 0, &onset_s));
        assert_int_equal(onset_s, first_s);
        assert_true(bg_detector_excursion_running(&w.d, &w.spec, w.now_s, 1.9, &onset_s)); /* 3 ln 2 = 2.08 less 1/12 */
        assert_false(bg_detector_excursion_running(&w.d, &w.spec, w.now_s, 2.1, &onset_s));
        assert_true(bg_detector_excursion_running(&w.d, &w.spec, first_s + 15 * DAY - 1, 0, &onset_s));
        assert_false(bg_detector_excursion_running(&w.d, &w.spec, first_s + 15 * DAY, 0, &onset_s));
        open_one(&w, 30);
        assert_true(bg_detector_excursion_running(&w.d, &w.spec, first_s + 29 * DAY, 1e9, &onset_s));
        assert_int_equal(onset_s, w.d.incident.onset_s);
}

static void an_accepted_level_is_given_up_when_it_is_over(void **state)
{
        BgSurgeSpec spec = bg_surge_spec_default();
        BgRegimeWatch none = { 0 }, level;
        TestRandom random = { test_seed(35) };
        unsigned n_wrong = 0;
        int n;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        assert_false(bg_regime_watch_event(&none, &spec, 1e9));
        /* it lasts: the expectation with the level is right */
        for (int run = 0; run < 100; ++run) {
                level = (BgRegimeWatch){ .level = 3 };
                for (n = 0; n < 1000; ++n)
                        n_wrong += bg_regime_watch_event(&level, &spec, test_exponential(&random, 1));
        }
        assert_in_range(n_wrong, 0, 3);
        /* it is over: three times as much is expected as comes */
        level = (BgRegimeWatch){ .level = 3 };
        for (n = 1; !bg_regime_watch_event(&level, &spec, 3); ++n)
                ;
        assert_int_equal(n, 17); /* 15 / (3 * 2/3 - ln 3) = 16.6 */
        assert_true(level.level == 0 && level.w == 0);
}

/* ---- anything at all ----------------------------------------------------------------------------------------------------- */

static double odd_number(TestRandom *random)
{
        static const double odd[] = { 0, -0.0, -1, 1e-300, 1e-9, 1, 1e9, 1e300, -1e300, NAN, INFINITY, -INFINITY };

        return test_below(random, 3) ? test_exponential(random, 2) : odd[test_below(random, sizeof(odd) / sizeof(odd[0]))];
}

static void check_finite(const BgTransition *t)
{
        assert_true(isfinite(t->observed) && isfinite(t->expected) && isfinite(t->evidence) && isfinite(t->magnitude));
        assert_true(t->expected >= 0 && t->evidence >= 0 && t->magnitude >= 0);
        assert_true(t->top_share >= 0 && t->top_share <= 1);
        assert_true(t->onset_s <= t->at_s);
}

static void nothing_that_is_fed_breaks_it(void **state)
{
        TestRandom random = { test_seed(36) };
        unsigned n[BG_TRANSITION_REGIME + 1] = { 0 };

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (int run = 0; run < 300; ++run) {
                World w = world(1);
                bool odd = run % 3 == 0;

                if (test_below(&random, 10) == 0)
                        w.now_s = UINT32_MAX - 5 * DAY;
                for (int i = 0; i < 1000; ++i) {
                        BgDetectorInput in;
                        BgTransitionType type;
                        uint32_t step_s = test_below(&random, test_below(&random, run % 2 ? 100 : 3000) ? 2 * HOUR : 30 * DAY);

                        w.now_s = w.now_s > UINT32_MAX - step_s ? UINT32_MAX : w.now_s + step_s;
                        in = input(&w, test_below(&random, 30), test_below(&random, 2));
                        if (!test_below(&random, 20))
                                in.at_s -= test_below(&random, 10 * DAY);
                        if (!test_below(&random, 50))
                                w.blackout_s = w.blackout_s || run % 2 ? 0 : w.now_s;
                        if (odd) {
                                in.expected = odd_number(&random);
                                in.expected_dark = odd_number(&random);
                                in.expected_day = odd_number(&random);
                                in.session_share = odd_number(&random);
                                in.shape = odd_number(&random);
                                in.age_days = odd_number(&random) * 100;
                        }
                        type = bg_detector_event(&w.t, &w.d, &w.spec, &in);
                        assert_int_equal(type, w.t.type);
                        ++n[type];
                        if (type != BG_TRANSITION_NONE)
                                check_finite(&w.t);
                        assert_false(w.d.is_open && w.d.is_burst);
                        if (w.d.is_open)
                                assert_true(isfinite(bg_detector_expected_to_close(&w.d, &w.spec)) &&
                                            isfinite(w.d.incident.against));
                        for (int k = 0; k < BG_SURGE_CUSUM_N && !w.d.is_open; ++k)
                                assert_true(isfinite(w.d.cusum[k].w) && isfinite(w.d.cusum[k].expected));
                        if (tick(&w, 0) != BG_TRANSITION_NONE)
                                check_finite(&w.t);
                }
        }
        for (int type = 0; type <= BG_TRANSITION_REGIME; ++type)
                assert_true(n[type] > 0); /* the run reached every transition */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cusums_equal_a_recomputation_from_the_list),
                cmocka_unit_test(a_blackout_is_one_long_bin),
                cmocka_unit_test(a_backlog_is_no_surge),
                cmocka_unit_test(five_authors_open_a_surge_four_a_burst),
                cmocka_unit_test(a_young_model_does_not_surge),
                cmocka_unit_test(small_factors_do_not_open),
                cmocka_unit_test(one_author_is_a_burst_never_a_surge),
                cmocka_unit_test(a_burst_is_told_of_once),
                cmocka_unit_test(one_loud_author_is_judged_in_the_right_window),
                cmocka_unit_test(returning_authors_do_not_add_up),
                cmocka_unit_test(the_closing_root_equals_stepping),
                cmocka_unit_test(an_event_after_the_end_ends_it),
                cmocka_unit_test(silence_closes_after_21_days_but_not_in_a_blackout),
                cmocka_unit_test(evidence_from_before_a_blackout_still_counts),
                cmocka_unit_test(the_dark_is_weighed_as_a_whole),
                cmocka_unit_test(what_stays_for_30_days_is_a_regime),
                cmocka_unit_test(updates_are_worth_reading),
                cmocka_unit_test(late_events_count_but_propose_nothing),
                cmocka_unit_test(the_forecaster_is_told_to_wait),
                cmocka_unit_test(an_accepted_level_is_given_up_when_it_is_over),
                cmocka_unit_test(nothing_that_is_fed_breaks_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

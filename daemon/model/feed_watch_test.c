/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/feed_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/model/test_random.h"

enum { DAY = 86400 };

/* Poisson at `rate` a day from t to end; returns the last time */
static double feed(BgFeedWatch *w, const BgFeedWatchSpec *spec, TestRandom *random, double t, double end, double rate,
                   unsigned *n_darkp)
{
        for (;;) {
                double step = test_exponential(random, rate);
                if (t + step > end)
                        return t;
                t += step;
                *n_darkp += bg_feed_watch_events(w, spec, (uint32_t)(t * DAY), 1) != 0;
        }
}

static void an_ordinary_feed_is_never_out(void **state)
{
        BgFeedWatchSpec spec = bg_feed_watch_spec_default();
        TestRandom random = { test_seed(11) };

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (double rate = 0.1; rate < 2000; rate *= 10) {
                BgFeedWatch w = { 0 };
                unsigned n_dark = 0;
                feed(&w, &spec, &random, 1, 200, rate, &n_dark);
                assert_int_equal(n_dark, 0);
                if (rate > 50)
                        assert_true(fabs(bg_feed_watch_rate(&w) - rate) < 0.15 * rate);
        }
}

static void an_outage_and_its_catch_up_are_a_blackout(void **state)
{
        BgFeedWatchSpec spec = bg_feed_watch_spec_default();
        TestRandom random = { test_seed(12) };
        BgFeedWatch w = { 0 };
        unsigned n_dark = 0, patience;
        double last, rate = 200;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        last = feed(&w, &spec, &random, 1, 60, rate, &n_dark);
        assert_int_equal(n_dark, 0);
        patience = bg_feed_watch_patience_s(&w, &spec);
        assert_true(patience > 0.1 * DAY && patience < 0.2 * DAY); /* 30 of 200 a day */
        assert_int_equal(bg_feed_watch_silence(&w, &spec, (uint32_t)(last * DAY) + patience - 1), 0);
        /* two days of silence, then the backlog of 400 within two hours, then as usual */
        assert_int_equal(bg_feed_watch_silence(&w, &spec, (uint32_t)(last * DAY) + patience), (uint32_t)(last * DAY));
        feed(&w, &spec, &random, 62, 62.08, 5000, &n_dark);
        assert_true(n_dark > 200);
        assert_int_equal(w.blackout_s, (uint32_t)(last * DAY));
        feed(&w, &spec, &random, 62.08, 90, rate, &n_dark);
        assert_int_equal(w.blackout_s, 0);
        assert_true(w.resumed_s >= 62 * DAY && w.resumed_s < 62.6 * DAY);
        /* neither the silence nor the flood was learnt */
        assert_true(fabs(bg_feed_watch_rate(&w) - rate) < 0.12 * rate);
}

static void a_feed_that_lost_its_backlog_resumes(void **state)
{
        BgFeedWatchSpec spec = bg_feed_watch_spec_default();
        TestRandom random = { test_seed(13) };
        BgFeedWatch w = { 0 };
        unsigned n_dark = 0;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        feed(&w, &spec, &random, 1, 60, 100, &n_dark);
        /* not looked at in between: the event itself finds the silence before it */
        feed(&w, &spec, &random, 70, 72, 100, &n_dark);
        assert_in_range(n_dark, 30, 60);
        assert_int_equal(w.blackout_s, 0);
        assert_in_range(w.resumed_s, 70 * DAY, 71 * DAY);
        /* batches are judged as what they hold */
        n_dark = bg_feed_watch_events(&w, &spec, 80 * DAY, 100);
        assert_true(n_dark);
        assert_true(bg_feed_watch_events(&w, &spec, 80 * DAY + 600, 900));
        assert_true(bg_feed_watch_events(&w, &spec, 80 * DAY + 1200, 20));
        assert_true(bg_feed_watch_events(&w, &spec, 80 * DAY + 1200 + DAY / 4, 100)); /* a usual time for 30, not for 100 */
        assert_true(!bg_feed_watch_events(&w, &spec, 80 * DAY + 1200 + DAY / 2, 30));
        assert_int_equal(w.resumed_s, 80 * DAY + 1200 + DAY / 4);
}

static void nothing_is_declared_before_a_week_was_seen(void **state)
{
        BgFeedWatchSpec spec = bg_feed_watch_spec_default();
        BgFeedWatch w = { 0 };

        (void)state;
        assert_int_equal(bg_feed_watch_silence(&w, &spec, UINT32_MAX), 0);
        assert_int_equal(bg_feed_watch_patience_s(&w, &spec), UINT32_MAX);
        for (uint32_t i = 0; i < 6 * 24; ++i)
                bg_feed_watch_events(&w, &spec, 5 * DAY + i * 3600, 50);
        assert_int_equal(bg_feed_watch_silence(&w, &spec, 30 * DAY), 0);
        /* time that runs backwards, n = 0, one moment, the end of time: no arithmetic falls over */
        bg_feed_watch_events(&w, &spec, 0, 0);
        bg_feed_watch_events(&w, &spec, 12 * DAY, UINT32_MAX);
        bg_feed_watch_events(&w, &spec, 12 * DAY, UINT32_MAX);
        bg_feed_watch_events(&w, &spec, UINT32_MAX, 1);
        bg_feed_watch_events(&w, &spec, UINT32_MAX, 1);
        assert_true(bg_feed_watch_rate(&w) >= 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_ordinary_feed_is_never_out),
                cmocka_unit_test(an_outage_and_its_catch_up_are_a_blackout),
                cmocka_unit_test(a_feed_that_lost_its_backlog_resumes),
                cmocka_unit_test(nothing_is_declared_before_a_week_was_seen),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "daemon/stream/series.h"

/*
 * Counts and bins against counting by hand, on random events and tallies; and the edges that registry.h promises.
 */

#define DAY 86400u
#define MONTH_S 2629800u

static uint64_t rng;

static uint64_t draw(void)
{
        uint64_t z = rng += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
        return (unsigned)(draw() % n);
}

static void insert(BgSeries *series, BgSecond at, size_t *held)
{
        assert_int_equal(bg_series_insert(series, at, held), 0);
}

static void tally(BgSeries *series, BgSecond from, BgSecond to, int64_t count, size_t *held)
{
        int64_t delta;

        assert_int_equal(bg_series_put_tally(series, from, to, count, &delta, held), 0);
}

/* ---- by hand --------------------------------------------------------------------------------------------------------------- */

static int64_t events_by_hand(const BgSeries *series, BgSecond after, BgSecond until)
{
        int64_t n = 0;

        for (uint32_t i = 0; i < series->n_times; i++)
                n += series->times[i] > after && series->times[i] <= until;
        return n;
}

static int64_t count_by_hand(const BgSeries *series, BgSecond until)
{
        int64_t n = 0;

        for (uint32_t i = 0; i < series->n_times; i++)
                n += series->times[i] <= until;
        for (uint32_t i = 0; i < series->n_tallies; i++) {
                const BgTally *t = &series->tallies[i];
                int64_t inside = events_by_hand(series, t->from, t->to);

                if (t->to <= until && t->count > inside)
                        n += t->count - inside;
        }
        return n;
}

static void check_invariants(const BgSeries *series)
{
        uint32_t n_main = series->n_times - series->n_late;

        for (uint32_t i = 1; i < series->n_times; i++)
                assert_true(i == n_main || series->times[i - 1] <= series->times[i]);
        for (uint32_t i = 1; i < series->n_tallies; i++)
                assert_true(series->tallies[i - 1].to <= series->tallies[i].from);
}

/* ---- counts ---------------------------------------------------------------------------------------------------------------- */

static void test_count(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 300; seed++) {
                BgSeries series = { 0 };
                size_t held = 0;
                unsigned n, span;

                rng = seed;
                n = below(40);
                span = 20 + below(200);
                for (unsigned i = 0; i < n; i++) {
                        unsigned kind = below(10);
                        BgSecond at = below(span), other = below(span);
                        int64_t delta;

                        if (kind < 6) {
                                insert(&series, at, &held);
                        } else if (kind < 8 && at != other) {
                                int r = bg_series_put_tally(&series, at < other ? at : other, at < other ? other : at, below(8),
                                                            &delta, &held);

                                assert_true(r >= 0);
                        } else if (series.n_times) {
                                BgSecond gone = series.times[below(series.n_times)];

                                assert_int_equal(bg_series_edit(&series, &gone, 1, &at, 1, &held), 0);
                        }
                        check_invariants(&series);
                        for (BgSecond until = 0; until <= span; until += 1 + below(5))
                                assert_int_equal(bg_series_count(&series, until), count_by_hand(&series, until));
                }
                bg_series_deinit(&series, &held);
                assert_int_equal(held, 0);
        }
}

static int compare_seconds(const void *left, const void *right)
{
        BgSecond a = *(const BgSecond *)left, b = *(const BgSecond *)right;

        return (a > b) - (a < b);
}

/* Newest first, in order and at random, in a series that is long enough for a late run; then much of it taken out at once. */
static void test_late(void **state)
{
        enum { N = 30000 };
        static BgSecond all[N], fresh[N], gone[N];

        (void)state;
        for (unsigned mode = 0; mode < 3; mode++) {
                BgSeries series = { 0 };
                size_t held = 0, n_gone = 0, n_fresh = 0, n_late_max = 0;
                BgSecond first, last;

                rng = 7 + mode;
                for (unsigned i = 0; i < N; i++) {
                        all[i] = mode == 0 ? N - i : mode == 1 ? i : below(N);
                        insert(&series, all[i], &held);
                        n_late_max = series.n_late > n_late_max ? series.n_late : n_late_max;
                }
                assert_true(mode == 1 ? n_late_max == 0 : n_late_max > 100 && n_late_max < 1000);
                check_invariants(&series);
                qsort(all, N, sizeof(*all), compare_seconds);
                for (unsigned i = 0; i < N; i += 97)
                        assert_int_equal(bg_series_count(&series, all[i]), count_by_hand(&series, all[i]));
                assert_true(bg_series_span(&series, &first, &last));
                assert_int_equal(first, all[0]);
                assert_int_equal(last, all[N - 1]);

                for (unsigned i = 0; i < N; i += 3)
                        gone[n_gone++] = all[i];
                for (unsigned i = 0; i < N; i += 5)
                        fresh[n_fresh++] = N + i;
                assert_int_equal(bg_series_edit(&series, gone, n_gone, fresh, n_fresh, &held), 0);
                assert_int_equal(bg_series_settle(&series), 0);
                assert_int_equal(series.n_times, N - n_gone + n_fresh);
                check_invariants(&series);
                for (unsigned i = 0, k = 0; i < N; i++)
                        if (i % 3)
                                assert_int_equal(series.times[k++], all[i]);
                bg_series_deinit(&series, &held);
        }
}

static void test_tallies(void **state)
{
        BgSeries series = { 0 }, other = { 0 };
        size_t held = 0;
        int64_t delta = 0;
        BgSecond first, last;

        (void)state;
        assert_false(bg_series_span(&series, &first, &last));
        tally(&series, 10, 20, 5, &held);
        assert_int_equal(bg_series_put_tally(&series, 10, 20, 5, &delta, &held), BG_SERIES_E_KNOWN);
        assert_int_equal(bg_series_put_tally(&series, 10, 20, 3, &delta, &held), 0);
        assert_int_equal(delta, -2);
        assert_int_equal(bg_series_put_tally(&series, 19, 30, 3, &delta, &held), BG_SERIES_E_OVERLAP);
        assert_int_equal(bg_series_put_tally(&series, 5, 11, 3, &delta, &held), BG_SERIES_E_OVERLAP);
        assert_int_equal(bg_series_put_tally(&series, 11, 12, 3, &delta, &held), BG_SERIES_E_OVERLAP);
        assert_int_equal(bg_series_put_tally(&series, 1, 99, 3, &delta, &held), BG_SERIES_E_OVERLAP);
        tally(&series, 20, 30, 7, &held);
        tally(&series, 5, 10, 0, &held);
        assert_true(bg_series_span(&series, &first, &last));
        assert_int_equal(first, 5);
        assert_int_equal(last, 30);

        assert_int_equal(bg_series_count(&series, 19), 0); /* counted when it is over */
        assert_int_equal(bg_series_count(&series, 20), 3);
        insert(&series, 12, &held); /* part of the tally, known at its own time */
        assert_int_equal(bg_series_count(&series, 11), 0);
        assert_int_equal(bg_series_count(&series, 12), 1);
        assert_int_equal(bg_series_count(&series, 20), 3);
        for (BgSecond at = 13; at < 17; at++)
                insert(&series, at, &held);
        assert_int_equal(bg_series_count(&series, 20), 5); /* more events than the tally says: max */
        assert_int_equal(bg_series_count(&series, 30), 12);
        insert(&series, 10, &held); /* an edge belongs to the interval that it ends */
        assert_int_equal(bg_series_count(&series, 10), 1);
        assert_int_equal(bg_series_count(&series, 20), 6);

        /* merging: what begins first stays, then the shorter, then the larger */
        tally(&other, 8, 12, 100, &held);
        tally(&other, 20, 30, 9, &held);
        tally(&other, 40, 50, 2, &held);
        assert_int_equal(bg_series_absorb_tallies(&series, &other, &held), 0);
        assert_int_equal(other.n_tallies, 0);
        assert_int_equal(series.n_tallies, 4);
        assert_int_equal(series.tallies[1].count, 3);
        assert_int_equal(series.tallies[2].count, 9);
        assert_int_equal(series.tallies[3].from, 40);
        assert_int_equal(bg_series_count(&series, 50), count_by_hand(&series, 50));
        bg_series_deinit(&series, &held);
        bg_series_deinit(&other, &held);
        assert_int_equal(held, 0);
}

/* ---- bins ------------------------------------------------------------------------------------------------------------------ */

static void check_bins(const BgSeriesBins *bins, const BgSeries *series, BgSecond release, BgSecond as_of)
{
        double sum = 0;

        assert_true(bins->n <= BG_SERIES_BINS_MAX);
        assert_true(bins->edges_days[0] == 0);
        assert_true(bins->known_days == bins->edges_days[bins->n]);
        if (!bins->n)
                return;
        for (size_t i = 0; i < bins->n; i++) {
                BgSecond end = release + (BgSecond)(bins->edges_days[i + 1] * DAY + 0.5);

                assert_true(bins->edges_days[i + 1] > bins->edges_days[i]);
                assert_true(bins->edges_days[i + 1] == (double)(end - release) / DAY);
                assert_true(bins->counts[i] >= 0);
                sum += bins->counts[i];
                assert_true(sum == (double)count_by_hand(series, end));
        }
        assert_true(bins->known_days * DAY <= as_of - release + 0.5);
        assert_true(sum == (double)bg_series_count(series, as_of));
}

static void test_grid(void **state)
{
        BgSeries series = { 0 };
        BgSeriesBins bins;
        size_t held = 0, i = 0;
        BgSecond release = 1000;

        (void)state;
        insert(&series, 500, &held); /* older than the release: in the first bin */
        insert(&series, release + 3600, &held);
        insert(&series, release + 3601, &held);
        insert(&series, release + 200 * DAY, &held);
        bg_series_bins(&bins, &series, release, release);
        assert_int_equal(bins.n, 0);
        bg_series_bins(&bins, &series, release, release - 1);
        assert_int_equal(bins.n, 0);
        bg_series_bins(&bins, &series, release, release + 90);
        assert_int_equal(bins.n, 1);
        assert_true(bins.counts[0] == 1);

        bg_series_bins(&bins, &series, release, release + 5000 * DAY);
        check_bins(&bins, &series, release, release + 5000 * DAY);
        assert_true(bins.counts[0] == 2 && bins.counts[1] == 1);
        for (unsigned h = 1; h <= 24; h++)
                assert_true(bins.edges_days[++i] == h / 24.0);
        for (unsigned d = 2; d <= 7; d++)
                assert_true(bins.edges_days[++i] == d);
        for (unsigned w = 2; w <= 4; w++)
                assert_true(bins.edges_days[++i] == 7.0 * w);
        for (unsigned m = 1; m <= 120; m++)
                assert_true(bins.edges_days[++i] == 30.4375 * m);
        for (unsigned y = 11; y <= 13; y++)
                assert_true(bins.edges_days[++i] == 365.25 * y);
        assert_true(bins.edges_days[++i] == 5000);
        assert_int_equal(bins.n, i);

        bg_series_bins(&bins, &series, release, UINT32_MAX); /* 136 years: too many cells, neighbours merge */
        check_bins(&bins, &series, release, UINT32_MAX);
        assert_int_equal(bins.n, BG_SERIES_BINS_MAX);
        bg_series_deinit(&series, &held);
}

/* As in the real monthly data: calendar months from the release on. */
static void test_monthly_tallies(void **state)
{
        static const unsigned days[] = { 30, 31, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31 };
        enum { N = sizeof(days) / sizeof(*days) };
        BgSeries series = { 0 };
        BgSeriesBins bins;
        size_t held = 0;
        BgSecond release = 247219670, at = release;
        double age = 0;

        (void)state;
        for (unsigned i = 0; i < N; i++, at += days[i - 1] * DAY)
                tally(&series, at, at + days[i] * DAY, i * i, &held);
        bg_series_bins(&bins, &series, release, at + 400 * DAY);
        check_bins(&bins, &series, release, at + 400 * DAY);
        assert_int_equal(bins.n, N); /* nothing is known behind the last one */
        for (unsigned i = 0; i < N; i++) {
                assert_true(bins.counts[i] == i * i);
                assert_true(bins.edges_days[i + 1] == (age += days[i]));
        }
        assert_true(bins.known_days == age);

        bg_series_bins(&bins, &series, release, at - 1); /* the last tally is not over */
        check_bins(&bins, &series, release, at - 1);
        assert_int_equal(bins.n, N - 1);

        bg_series_bins(&bins, &series, release - 3 * DAY, at); /* an older release: the grid, cut by the first tally */
        check_bins(&bins, &series, release - 3 * DAY, at);
        assert_int_equal(bins.n, N + 24 + 2);
        assert_true(bins.edges_days[26] == 3 && bins.edges_days[27] == 33);

        bg_series_bins(&bins, &series, release + 3 * DAY, at); /* a newer one: within the first tally */
        check_bins(&bins, &series, release + 3 * DAY, at);
        assert_true(bins.edges_days[1] == 27 && bins.n == N);

        bg_series_bins(&bins, &series, at + DAY, at + 9 * DAY); /* all known is older than the release */
        assert_int_equal(bins.n, 0);

        insert(&series, at + 40 * DAY, &held); /* single events tell that the time behind is known */
        bg_series_bins(&bins, &series, release, at + 41 * DAY);
        check_bins(&bins, &series, release, at + 41 * DAY);
        assert_true(bins.known_days == age + 41);
        bg_series_deinit(&series, &held);
}

static void test_daily_tallies(void **state)
{
        BgSeries series = { 0 };
        BgSeriesBins bins;
        size_t held = 0, coarse = 0;
        enum { DAYS = 2000 };

        (void)state;
        for (unsigned i = 0; i < DAYS; i++)
                tally(&series, DAY * (i + 1), DAY * (i + 2), i % 7, &held);
        bg_series_bins(&bins, &series, DAY, DAY * (DAYS + 1));
        check_bins(&bins, &series, DAY, DAY * (DAYS + 1));
        assert_int_equal(bins.n, BG_SERIES_BINS_MAX);
        for (size_t i = 0; i < bins.n; i++) {
                double width = bins.edges_days[i + 1] - bins.edges_days[i];

                assert_true(width == 11 || width == 10); /* 2000 / 192 = 10.4 */
                assert_true(width == 10 || coarse == i); /* the older ones are the coarser */
                coarse += width == 11;
        }
        assert_int_equal(coarse, DAYS - 10 * BG_SERIES_BINS_MAX);
        bg_series_deinit(&series, &held);
}

static void test_random_bins(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 400; seed++) {
                BgSeries series = { 0 };
                BgSeriesBins bins;
                size_t held = 0;
                BgSecond at = 1, span, release, as_of;

                rng = seed;
                span = (1 + below(1500)) * DAY;
                for (unsigned n = below(300); n > 0; n--)
                        insert(&series, below(span), &held);
                for (unsigned n = below(4) ? below(300) : 0; n > 0; n--) {
                        BgSecond to = at + 1 + below(1 + span / 100);

                        if (below(3))
                                tally(&series, at, to, below(5), &held);
                        at = to;
                }
                release = below(span / 2);
                as_of = below(span + span / 4);
                bg_series_bins(&bins, &series, release, as_of);
                check_bins(&bins, &series, release, as_of);
                if (as_of > release && !series.n_tallies)
                        assert_true(bins.known_days == (double)(as_of - release) / DAY);
                if (bins.n < BG_SERIES_BINS_MAX) /* all edges of tallies are edges */
                        for (uint32_t i = 0; i < series.n_tallies; i++) {
                                double edge = ((double)series.tallies[i].to - release) / DAY;
                                bool found = edge <= 0 || edge > bins.known_days;

                                for (size_t k = 1; k <= bins.n && !found; k++)
                                        found = bins.edges_days[k] == edge;
                                assert_true(found);
                        }
                bg_series_deinit(&series, &held);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_count),           cmocka_unit_test(test_late),
                cmocka_unit_test(test_tallies),         cmocka_unit_test(test_grid),
                cmocka_unit_test(test_monthly_tallies), cmocka_unit_test(test_daily_tallies),
                cmocka_unit_test(test_random_bins),
        };

        return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/series.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Events mostly come in time order and are appended. What comes late into a long series goes to a second, short run behind the
 * first one, and the two are merged when the second exceeds about 4 sqrt(n): a listing that comes newest first costs sqrt(n) an
 * event and not n.
 */

#define NEAR_END 1024u /* so many times are rather moved than put into the late run: 4 KiB, below a microsecond */

static inline uint32_t n_main(const BgSeries *series)
{
        return series->n_times - series->n_late;
}

/* Number of times <= second. */
static uint32_t count_to(const BgSecond *times, uint32_t n, BgSecond second)
{
        uint32_t low = 0;

        while (n) {
                uint32_t half = n / 2;

                if (times[low + half] <= second) {
                        low += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        return low;
}

static uint32_t events_to(const BgSeries *series, BgSecond until)
{
        uint32_t m = n_main(series);
        uint32_t n = count_to(series->times, m, until);

        return series->n_late ? n + count_to(series->times + m, series->n_late, until) : n;
}

uint32_t bg_series_events(const BgSeries *series, BgSecond after, BgSecond until)
{
        return events_to(series, until) - events_to(series, after);
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------- */

/* What malloc really takes for n times: a multiple of 16 with 8 of its own. The spare room is filled, not wasted. */
static size_t block_bytes(size_t n)
{
        size_t bytes = (n * sizeof(BgSecond) + 8 + 15) / 16 * 16;

        return bytes < 32 ? 32 : bytes;
}

static int reserve_times(BgSeries *series, size_t n_more, size_t *heldp)
{
        size_t need = (size_t)series->n_times + n_more;

        if (need <= series->cap_times)
                return 0;
        if (need > UINT32_MAX / 2)
                return -ENOMEM;

        size_t bytes = block_bytes(n_more == 1 ? need + need / 4 : need);
        BgSecond *grown = realloc(series->times, bytes - 8);

        if (!grown)
                return -ENOMEM;
        *heldp += bytes - (series->cap_times ? block_bytes(series->cap_times) : 0);
        series->times = grown;
        series->cap_times = (uint32_t)((bytes - 8) / sizeof(BgSecond));
        return 0;
}

static int reserve_tallies(BgSeries *series, size_t n_more, size_t *heldp)
{
        size_t need = (size_t)series->n_tallies + n_more;

        if (need <= series->cap_tallies)
                return 0;
        if (need > UINT32_MAX / 2)
                return -ENOMEM;

        size_t cap = n_more == 1 ? need + need / 4 : need;
        BgTally *grown = reallocarray(series->tallies, cap, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        *heldp += (cap - series->cap_tallies) * sizeof(*grown);
        series->tallies = grown;
        series->cap_tallies = (uint32_t)cap;
        return 0;
}

static void drop_times(BgSeries *series, size_t *heldp)
{
        if (series->cap_times)
                *heldp -= block_bytes(series->cap_times);
        free(series->times);
        series->times = NULL;
        series->n_times = series->cap_times = series->n_late = 0;
}

static void drop_tallies(BgSeries *series, size_t *heldp)
{
        *heldp -= series->cap_tallies * sizeof(*series->tallies);
        free(series->tallies);
        series->tallies = NULL;
        series->n_tallies = series->cap_tallies = 0;
}

void bg_series_deinit(BgSeries *series, size_t *heldp)
{
        drop_times(series, heldp);
        drop_tallies(series, heldp);
}

/* ---- tallies beside events ------------------------------------------------------------------------------------------------- */

uint32_t bg_series_tally_after(const BgSeries *series, BgSecond second)
{
        uint32_t low = 0, n = series->n_tallies;

        while (n) {
                uint32_t half = n / 2;

                if (series->tallies[low + half].to <= second) {
                        low += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        return low;
}

static int64_t excess(int64_t count, int64_t events)
{
        return count > events ? count - events : 0;
}

static void count_extra(BgSeries *series, uint32_t first)
{
        int64_t extra = first ? series->tallies[first - 1].extra : 0;

        for (uint32_t i = first; i < series->n_tallies; i++) {
                BgTally *tally = &series->tallies[i];

                extra += excess(tally->count, bg_series_events(series, tally->from, tally->to));
                tally->extra = extra;
        }
}

/* One event more (or less) at a second: of all tallies at most the one around it exceeds its events by less (or more). */
static void adjust_extra(BgSeries *series, BgSecond at)
{
        if (!series->n_tallies || at == 0)
                return;

        uint32_t i = bg_series_tally_after(series, at - 1);

        if (i == series->n_tallies || at <= series->tallies[i].from)
                return;

        const BgTally *tally = &series->tallies[i];
        int64_t before = i ? series->tallies[i - 1].extra : 0;
        int64_t delta = before + excess(tally->count, bg_series_events(series, tally->from, tally->to)) - tally->extra;

        for (; delta && i < series->n_tallies; i++)
                series->tallies[i].extra += delta;
}

/* ---- events ---------------------------------------------------------------------------------------------------------------- */

int bg_series_settle(BgSeries *series)
{
        uint32_t n_late = series->n_late;

        if (!n_late)
                return 0;

        BgSecond *late = malloc(n_late * sizeof(*late));

        if (!late)
                return -ENOMEM;
        memcpy(late, series->times + n_main(series), n_late * sizeof(*late));

        for (uint32_t m = n_main(series); n_late > 0;) { /* from behind: nothing is overwritten before it was moved */
                BgSecond at = late[--n_late];
                uint32_t i = count_to(series->times, m, at);

                memmove(series->times + i + n_late + 1, series->times + i, (size_t)(m - i) * sizeof(*series->times));
                series->times[i + n_late] = at;
                m = i;
        }
        free(late);
        series->n_late = 0;
        return 0;
}

static void place(BgSecond *times, uint32_t n, BgSecond at, uint32_t n_behind)
{
        uint32_t i = count_to(times, n, at);

        memmove(times + i + 1, times + i, ((size_t)(n - i) + n_behind) * sizeof(*times));
        times[i] = at;
}

int bg_series_insert(BgSeries *series, BgSecond at, size_t *heldp)
{
        int r = reserve_times(series, 1, heldp);

        if (r)
                return r;

        uint32_t m = n_main(series);
        BgSecond *late = series->times + m;

        if (m < NEAR_END || at >= series->times[m - NEAR_END]) {
                place(series->times, m, at, series->n_late);
        } else {
                place(late, series->n_late, at, 0);
                series->n_late++;
        }
        series->n_times++;
        adjust_extra(series, at);
        if ((uint64_t)series->n_late * series->n_late > UINT64_C(16) * series->n_times)
                return bg_series_settle(series);
        return 0;
}

static void take_out(BgSeries *series, BgSecond at)
{
        uint32_t m = n_main(series);
        uint32_t i = count_to(series->times, m, at);

        if (i && series->times[i - 1] == at) {
                i--;
        } else {
                i = m + count_to(series->times + m, series->n_late, at) - 1;
                assert(i >= m && i < series->n_times && series->times[i] == at);
                series->n_late--;
        }
        memmove(series->times + i, series->times + i + 1, (size_t)(series->n_times - i - 1) * sizeof(*series->times));
        series->n_times--;
        adjust_extra(series, at);
}

static void subtract(BgSeries *series, const BgSecond *gone, size_t n_gone)
{
        uint32_t kept = 0;
        size_t g = 0;

        for (uint32_t i = 0; i < series->n_times; i++) {
                if (g < n_gone && gone[g] == series->times[i])
                        g++;
                else
                        series->times[kept++] = series->times[i];
        }
        assert(g == n_gone);
        series->n_times = kept;
}

/* The new times become the late run; settled at once. */
static int append_run(BgSeries *series, const BgSecond *fresh, size_t n_fresh, size_t *heldp)
{
        int r = reserve_times(series, n_fresh, heldp);

        if (r)
                return r;
        if (n_fresh)
                memcpy(series->times + series->n_times, fresh, n_fresh * sizeof(*fresh));
        series->n_times += (uint32_t)n_fresh;
        series->n_late = (uint32_t)n_fresh;
        return bg_series_settle(series);
}

int bg_series_edit(BgSeries *series, const BgSecond *gone, size_t n_gone, const BgSecond *fresh, size_t n_fresh, size_t *heldp)
{
        int r = 0;

        if (n_gone + n_fresh <= 4) {
                for (size_t i = 0; i < n_gone; i++)
                        take_out(series, gone[i]);
                for (size_t i = 0; i < n_fresh && !r; i++)
                        r = bg_series_insert(series, fresh[i], heldp);
                return r;
        }
        r = bg_series_settle(series);
        if (r)
                return r;
        subtract(series, gone, n_gone);
        r = append_run(series, fresh, n_fresh, heldp);
        count_extra(series, 0);
        return r;
}

int bg_series_absorb(BgSeries *series, BgSeries *other, size_t *heldp)
{
        int r = bg_series_settle(series);

        if (!r)
                r = bg_series_settle(other);
        if (!r)
                r = append_run(series, other->times, other->n_times, heldp);
        if (r)
                return r;
        drop_times(other, heldp);
        count_extra(series, 0);
        count_extra(other, 0);
        return 0;
}

/* ---- tallies --------------------------------------------------------------------------------------------------------------- */

int bg_series_put_tally(BgSeries *series, BgSecond from, BgSecond to, int64_t count, int64_t *deltap, size_t *heldp)
{
        uint32_t i = bg_series_tally_after(series, from);

        assert(from < to);
        if (i < series->n_tallies && series->tallies[i].from < to) {
                BgTally *same = &series->tallies[i];

                if (same->from != from || same->to != to)
                        return BG_SERIES_E_OVERLAP;
                if (same->count == count)
                        return BG_SERIES_E_KNOWN;
                *deltap = count - same->count;
                same->count = count;
        } else {
                int r = reserve_tallies(series, 1, heldp);

                if (r)
                        return r;
                memmove(series->tallies + i + 1, series->tallies + i, (series->n_tallies - i) * sizeof(*series->tallies));
                series->tallies[i] = (BgTally){ .from = from, .to = to, .count = count };
                series->n_tallies++;
                *deltap = count;
        }
        count_extra(series, i);
        return 0;
}

static int compare_tallies(const void *left, const void *right)
{
        const BgTally *a = left, *b = right;

        if (a->from != b->from)
                return a->from < b->from ? -1 : 1;
        if (a->to != b->to)
                return a->to < b->to ? -1 : 1;
        return (a->count < b->count) - (a->count > b->count);
}

int bg_series_absorb_tallies(BgSeries *series, BgSeries *other, size_t *heldp)
{
        if (!other->n_tallies)
                return 0;

        int r = reserve_tallies(series, other->n_tallies, heldp);

        if (r)
                return r;
        memcpy(series->tallies + series->n_tallies, other->tallies, other->n_tallies * sizeof(*series->tallies));
        qsort(series->tallies, series->n_tallies + other->n_tallies, sizeof(*series->tallies), compare_tallies);

        uint32_t n = series->n_tallies + other->n_tallies, kept = 0;

        for (uint32_t i = 0; i < n; i++)
                if (!kept || series->tallies[i].from >= series->tallies[kept - 1].to)
                        series->tallies[kept++] = series->tallies[i];
        series->n_tallies = kept;
        drop_tallies(other, heldp);
        count_extra(series, 0);
        return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

int64_t bg_series_tallied(const BgSeries *series)
{
        int64_t sum = 0;

        for (uint32_t i = 0; i < series->n_tallies; i++)
                sum += series->tallies[i].count;
        return sum;
}

int64_t bg_series_count(const BgSeries *series, BgSecond until)
{
        uint32_t over = bg_series_tally_after(series, until);

        int64_t count = (int64_t)events_to(series, until) + (over ? series->tallies[over - 1].extra : 0);

        return count < BG_COUNT_MAX ? count : BG_COUNT_MAX; /* inside, the sum stays exact: corrections take away from it */
}

bool bg_series_span(const BgSeries *series, BgSecond *firstp, BgSecond *lastp)
{
        uint32_t m = n_main(series);
        BgSecond first = UINT32_MAX, last = 0;

        if (!series->n_times && !series->n_tallies)
                return false;
        if (m) {
                first = series->times[0];
                last = series->times[m - 1];
        }
        if (series->n_late) {
                const BgSecond *late = series->times + m;

                first = late[0] < first ? late[0] : first;
                last = late[series->n_late - 1] > last ? late[series->n_late - 1] : last;
        }
        if (series->n_tallies) {
                const BgTally *end = &series->tallies[series->n_tallies - 1];

                first = series->tallies[0].from < first ? series->tallies[0].from : first;
                last = end->to > last ? end->to : last;
        }
        *firstp = first;
        *lastp = last;
        return true;
}

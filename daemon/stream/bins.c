/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/series.h"

/*
 * Two passes over the cells: one counts them, the other keeps the ends of groups of cells. Only kept ends are looked up.
 */

#define HOUR UINT64_C(3600)
#define DAY UINT64_C(86400)
#define WEEK (7 * DAY)
#define MONTH UINT64_C(2629800) /* 30.4375 d */
#define YEAR (12 * MONTH)

typedef struct Cells {
        const BgSeries *series;
        BgSecond release;
        BgSecond end;       /* of the last cell */
        BgSecond at;        /* end of the previous cell */
        uint32_t tally;     /* first tally that ends behind `at` */
        uint32_t n_tallies; /* those that are over by the end */
} Cells;

static Cells cells_begin(const BgSeries *series, BgSecond release, BgSecond end)
{
        return (Cells){ .series = series,
                        .release = release,
                        .end = end,
                        .at = release,
                        .tally = bg_series_tally_after(series, release),
                        .n_tallies = bg_series_tally_after(series, end) };
}

static uint64_t grid_after(uint64_t age)
{
        if (age < DAY)
                return (age / HOUR + 1) * HOUR;
        if (age < WEEK)
                return (age / DAY + 1) * DAY;
        if (age < 4 * WEEK)
                return (age / WEEK + 1) * WEEK;
        if (age < 10 * YEAR)
                return (age / MONTH + 1) * MONTH;
        return (age / YEAR + 1) * YEAR;
}

/* End of the next cell. Not to be called at the end. */
static BgSecond cells_next(Cells *cells)
{
        uint64_t next = cells->release + grid_after(cells->at - cells->release);

        if (cells->tally < cells->n_tallies) {
                const BgTally *tally = &cells->series->tallies[cells->tally];

                if (tally->from <= cells->at) {
                        next = tally->to;
                        cells->tally++;
                } else if (tally->from < next) {
                        next = tally->from;
                }
        }
        cells->at = next < cells->end ? (BgSecond)next : cells->end;
        return cells->at;
}

static BgSecond known_until(const BgSeries *series, BgSecond as_of)
{
        if (!series->n_tallies)
                return as_of;

        uint32_t over = bg_series_tally_after(series, as_of);
        BgSecond tallied = over ? series->tallies[over - 1].to : 0;

        return bg_series_events(series, tallied, as_of) ? as_of : tallied;
}

void bg_series_bins(BgSeriesBins *bins, const BgSeries *series, BgSecond release, BgSecond as_of)
{
        BgSecond end = known_until(series, as_of);
        size_t n_cells = 0;

        bins->n = 0;
        bins->edges_days[0] = 0;
        bins->known_days = 0;
        if (end <= release)
                return;

        for (Cells cells = cells_begin(series, release, end); cells.at < end; n_cells++)
                cells_next(&cells);

        /* n_coarse groups of `coarse` cells, then groups of coarse - 1: BG_SERIES_BINS_MAX groups exactly, when there are too
         * many */
        size_t coarse = (n_cells + BG_SERIES_BINS_MAX - 1) / BG_SERIES_BINS_MAX;
        size_t n_coarse = coarse > 1 ? n_cells - BG_SERIES_BINS_MAX * (coarse - 1) : n_cells;
        int64_t before = 0;

        for (Cells cells = cells_begin(series, release, end); cells.at < end;) {
                size_t size = bins->n < n_coarse ? coarse : coarse - 1;

                for (size_t i = 0; i < size; i++)
                        cells_next(&cells);

                int64_t count = bg_series_count(series, cells.at);

                bins->counts[bins->n] = (double)(count - before);
                bins->edges_days[++bins->n] = (double)(cells.at - release) / 86400.0;
                before = count;
        }
        bins->known_days = bins->edges_days[bins->n];
}

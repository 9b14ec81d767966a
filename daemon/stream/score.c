/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/score.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { INTERVAL_N = 3, BASELINE_N = 2 };

static const double interval_alpha[INTERVAL_N] = { .5, .2, .1 };
static const int interval_low[INTERVAL_N] = { 2, 1, 0 };
static const int interval_high[INTERVAL_N] = { 4, 5, 6 };
static const char *const stratum_names[BG_STRATUM_N] = { "0", "1-9", "10-99", "100+" };
static const char *const baseline_names[BASELINE_N] = { "last", "drift30" };

struct pending {
        BgSeriesId series;
        BgSecond origin;
        double count;
        float last_month;
        double q[BG_QUANTILE_N];
};

struct cell {
        int64_t n;
        int64_t inside[INTERVAL_N];
        double wis;
        double baseline[BASELINE_N];
        float *ape; /* of the median */
        size_t cap;
};

struct horizon {
        double days;
        struct pending *queue; /* ring: origins do not fall, so outcomes fall due in order */
        size_t head;
        size_t n;
        size_t cap;
        struct cell cells[BG_STRATUM_N];
};

struct BgScore {
        struct horizon *horizons;
        size_t n;
};

int bg_score_new(BgScore **scorep, const double *horizons_days, size_t n_horizons)
{
        BgScore *score = calloc(1, sizeof(*score));

        if (!score)
                return -ENOMEM;
        score->n = n_horizons;
        score->horizons = calloc(n_horizons ? n_horizons : 1, sizeof(*score->horizons));
        if (!score->horizons) {
                free(score);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n_horizons; i++)
                score->horizons[i].days = horizons_days[i];
        *scorep = score;
        return 0;
}

void bg_score_free(BgScore *score)
{
        if (!score)
                return;
        for (size_t i = 0; i < score->n; i++) {
                free(score->horizons[i].queue);
                for (int s = 0; s < BG_STRATUM_N; s++)
                        free(score->horizons[i].cells[s].ape);
        }
        free(score->horizons);
        free(score);
}

static int queue_push(struct horizon *horizon, const struct pending *pending)
{
        if (horizon->n == horizon->cap) {
                size_t cap = horizon->cap ? horizon->cap * 2 : 1024;
                struct pending *queue = malloc(cap * sizeof(*queue));
                if (!queue)
                        return -ENOMEM;
                for (size_t i = 0; i < horizon->n; i++)
                        queue[i] = horizon->queue[(horizon->head + i) % horizon->cap];
                free(horizon->queue);
                horizon->queue = queue;
                horizon->cap = cap;
                horizon->head = 0;
        }
        horizon->queue[(horizon->head + horizon->n++) % horizon->cap] = *pending;
        return 0;
}

int bg_score_add(BgScore *score, BgSeriesId series, BgSecond origin, double count, double last_month, const BgForecastPoint *points)
{
        for (size_t i = 0; i < score->n; i++) {
                struct pending pending = { .series = series, .origin = origin, .count = count, .last_month = (float)last_month };
                int r;

                for (int q = 0; q < BG_QUANTILE_N; q++)
                        pending.q[q] = points[i].q[q];
                r = queue_push(&score->horizons[i], &pending);
                if (r)
                        return r;
        }
        return 0;
}

static int cell_add(struct cell *cell, const struct pending *pending, double days, double y)
{
        double ly = log1p(y), wis = fabs(ly - log1p(pending->q[3])) / 2;
        const double drift = pending->count + pending->last_month * days / 30.4375;

        if ((size_t)cell->n == cell->cap) {
                size_t cap = cell->cap ? cell->cap * 2 : 256;
                float *ape = realloc(cell->ape, cap * sizeof(*ape));
                if (!ape)
                        return -ENOMEM;
                cell->ape = ape;
                cell->cap = cap;
        }
        for (int i = 0; i < INTERVAL_N; i++) {
                double low = pending->q[interval_low[i]], high = pending->q[interval_high[i]];

                cell->inside[i] += y >= low && y <= high;
                wis += interval_alpha[i] / 2 * (log1p(high) - log1p(low)) + fmax(log1p(low) - ly, 0) + fmax(ly - log1p(high), 0);
        }
        cell->wis += wis / (INTERVAL_N + .5);
        cell->baseline[0] += fabs(ly - log1p(pending->count));
        cell->baseline[1] += fabs(ly - log1p(drift));
        cell->ape[cell->n++] = (float)(fabs(pending->q[3] - y) / fmax(y, 1));
        return 0;
}

int bg_score_settle(BgScore *score, BgSecond now, BgLearnOutcome *outcome, void *data)
{
        for (size_t i = 0; i < score->n; i++) {
                struct horizon *horizon = &score->horizons[i];

                while (horizon->n) {
                        const struct pending *pending = &horizon->queue[horizon->head];
                        double due = pending->origin + horizon->days * 86400, y;
                        int stratum = pending->count < 1 ? BG_STRATUM_0 : pending->count < 10 ? BG_STRATUM_1_9
                                      : pending->count < 100 ? BG_STRATUM_10_99 : BG_STRATUM_100;
                        int r;

                        if (due > now)
                                break;
                        y = outcome(data, pending->series, pending->origin, (BgSecond)due);
                        r = y >= 0 ? cell_add(&horizon->cells[stratum], pending, horizon->days, y) : 0;
                        if (r)
                                return r;
                        horizon->head = (horizon->head + 1) % horizon->cap;
                        horizon->n--;
                }
        }
        return 0;
}

static int by_value(const void *a, const void *b)
{
        float x = *(const float *)a, y = *(const float *)b;

        return (x > y) - (x < y);
}

static void cell_print(struct cell *cell, FILE *out)
{
        double n = (double)cell->n;

        qsort(cell->ape, (size_t)cell->n, sizeof(*cell->ape), by_value);
        fprintf(out, "{\"n\": %lld, \"lwis\": %.6f, \"c50\": %.4f, \"c80\": %.4f, \"c90\": %.4f, \"mdape\": %.4f, \"baselines\": {",
                (long long)cell->n, cell->wis / n, (double)cell->inside[0] / n, (double)cell->inside[1] / n,
                (double)cell->inside[2] / n, (double)cell->ape[cell->n / 2]);
        for (int i = 0; i < BASELINE_N; i++)
                fprintf(out, "%s\"%s\": {\"lwis\": %.6f}", i ? ", " : "", baseline_names[i], cell->baseline[i] / n);
        fprintf(out, "}}");
}

void bg_score_print(BgScore *score, FILE *out)
{
        fprintf(out, "{");
        for (size_t i = 0; i < score->n; i++) {
                bool first = true;

                fprintf(out, "%s\n    \"%.10g\": {", i ? "," : "", score->horizons[i].days);
                for (int s = 0; s < BG_STRATUM_N; s++) {
                        struct cell *cell = &score->horizons[i].cells[s];

                        if (!cell->n)
                                continue;
                        fprintf(out, "%s\n      \"%s\": ", first ? "" : ",", stratum_names[s]);
                        cell_print(cell, out);
                        first = false;
                }
                fprintf(out, "}");
        }
        fprintf(out, "}");
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/learn.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { DAY_S = 86400, RECEIPT_MIN = 20, STATE_VERSION = 1 };
/* Tallies may end a little after an outcome is due, and be what tells it: an eighth of a month. */
#define OUTCOME_WAIT_S (5 * DAY_S)
/* A training set of this size per knot teaches the trackers all they can hold; more pending origins would only cost memory. */
#define PENDING_MAX (1u << 20)
#define EXTRA_MAX (1u << 16) /* no more origins than one a bin beyond this: there is plenty to learn from */

int bg_learn_stratum(double count)
{
        return count < 1 ? 0 : count < 10 ? 1 : count < 100 ? 2 : 3;
}

const char *bg_learn_stratum_name(int stratum)
{
        static const char *const names[BG_LEARN_STRATUM_N] = { "0", "1-9", "10-99", "100+" };

        return names[stratum];
}

void bg_learner_init(BgLearner *learner)
{
        *learner = (BgLearner){ 0 };
        bg_prior_sums_init(&learner->sums);
        learner->prior = bg_prior_population();
        bg_pool_init(&learner->pool);
}

void bg_learner_deinit(BgLearner *learner)
{
        for (int k = 0; k < BG_POOL_KNOT_N; k++)
                free(learner->pending[k].items);
        *learner = (BgLearner){ 0 };
}

static int queue_push(BgPendingQueue *queue, const BgPending *pending)
{
        if (queue->n == queue->cap) {
                size_t cap = queue->cap ? queue->cap * 2 : 256;
                BgPending *items = malloc(cap * sizeof(*items));
                if (!items)
                        return -ENOMEM;
                for (size_t i = 0; i < queue->n; i++)
                        items[i] = queue->items[(queue->head + i) % queue->cap];
                free(queue->items);
                queue->items = items;
                queue->cap = cap;
                queue->head = 0;
        }
        queue->items[(queue->head + queue->n++) % queue->cap] = *pending;
        return 0;
}

int bg_learner_origin(BgLearner *learner, unsigned knots, BgSeriesId series, BgSecond origin, double count, const BgPoolOpinion *opinions,
                      const BgForecastPoint *points)
{
        for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                BgPending pending = { .series = series, .origin = origin, .count = count, .s = (float)opinions[k].s };
                int r;

                if (!(knots & 1u << k) || learner->pending[k].n >= (knots == BG_LEARN_ALL_KNOTS ? PENDING_MAX : EXTRA_MAX))
                        continue;
                for (int e = 0; e < BG_EXPERT_N; e++)
                        pending.u[e] = (float)opinions[k].u[e];
                for (int p = 0; p < BG_QUANTILE_N; p++)
                        pending.q[p] = (float)(points[k].q[p] - count);
                r = queue_push(&learner->pending[k], &pending);
                if (r)
                        return r;
        }
        return 0;
}

static void receipt_add(BgReceipt *receipt, const BgPending *pending, double y)
{
        static const double alpha[3] = { .5, .2, .1 };
        double ly = log1p(y), wis = fabs(ly - log1p(pending->count + (double)pending->q[3])) / 2;

        for (int i = 0; i < 3; i++) {
                double low = pending->count + (double)pending->q[2 - i], high = pending->count + (double)pending->q[4 + i];

                receipt->inside[i] += y >= low && y <= high;
                wis += alpha[i] / 2 * (log1p(high) - log1p(low)) + fmax(log1p(low) - ly, 0) + fmax(ly - log1p(high), 0);
        }
        receipt->wis += wis / 3.5;
        receipt->n++;
}

static void settle(BgLearner *learner, int k, BgSecond now, BgLearnOutcome *outcome, void *data)
{
        BgPendingQueue *queue = &learner->pending[k];
        double horizon = bg_pool_knot_days(k) * DAY_S;

        while (queue->n) {
                const BgPending *pending = &queue->items[queue->head];
                double due = pending->origin + horizon;
                BgPoolOpinion opinion = { .s = pending->s };
                double y;

                if (due + OUTCOME_WAIT_S > now)
                        break;
                y = outcome(data, pending->series, pending->origin, (BgSecond)due);
                if (y >= 0) {
                        for (int e = 0; e < BG_EXPERT_N; e++)
                                opinion.u[e] = pending->u[e];
                        receipt_add(&learner->receipts[k][bg_learn_stratum(pending->count)], pending, y);
                        bg_pool_learn(&learner->pool, (size_t)k, &opinion, pending->count, y);
                }
                queue->head = (queue->head + 1) % queue->cap;
                queue->n--;
        }
}

bool bg_learner_step(BgLearner *learner, BgSecond now, BgLearnOutcome *outcome, void *data)
{
        BgSecond day = now / DAY_S * DAY_S;

        if (day <= learner->day)
                return false;
        learner->day = day;
        for (int k = 0; k < BG_POOL_KNOT_N; k++)
                settle(learner, k, day, outcome, data);
        learner->prior = bg_prior_from_sums(&learner->sums);
        return true;
}

const BgReceipt *bg_learner_receipt(const BgLearner *learner, double horizon_days, double count)
{
        int best = 0;
        const BgReceipt *receipt;

        for (int k = 1; k < BG_POOL_KNOT_N; k++)
                if (fabs(log(bg_pool_knot_days(k) / horizon_days)) < fabs(log(bg_pool_knot_days(best) / horizon_days)))
                        best = k;
        receipt = &learner->receipts[best][bg_learn_stratum(count)];
        return receipt->n >= RECEIPT_MIN ? receipt : NULL;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------------------- */

/** In this layout under STATE_VERSION, of the machine that wrote it: a state file does not move between byte orders. */
struct kept {
        uint32_t version;
        uint32_t day;
        BgPriorSums sums;
        BgPrior prior;
        BgPool pool;
        BgReceipt receipts[BG_POOL_KNOT_N][BG_LEARN_STRATUM_N];
};

int bg_learner_pack(const BgLearner *learner, BgBuffer *out)
{
        struct kept *kept = calloc(1, sizeof(*kept));
        int r;

        if (!kept)
                return -ENOMEM;
        kept->version = STATE_VERSION;
        kept->day = learner->day;
        kept->sums = learner->sums;
        kept->prior = learner->prior;
        kept->pool = learner->pool;
        memcpy(kept->receipts, learner->receipts, sizeof(kept->receipts));
        r = bg_buffer_append(out, kept, sizeof(*kept));
        for (int k = 0; k < BG_POOL_KNOT_N && !r; k++) {
                uint64_t n = learner->pending[k].n;

                r = bg_buffer_append(out, &n, sizeof(n));
                for (size_t i = 0; i < n && !r; i++)
                        r = bg_buffer_append(out, &learner->pending[k].items[(learner->pending[k].head + i) % learner->pending[k].cap],
                                             sizeof(BgPending));
        }
        free(kept);
        return r;
}

static bool all_finite(const double *x, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!isfinite(x[i]))
                        return false;
        return true;
}

int bg_learner_unpack(BgLearner *learner, BgStr bytes)
{
        struct kept *kept;
        const char *at, *end = bytes.data + bytes.len;

        if (bytes.len < sizeof(*kept))
                return 1;
        kept = malloc(sizeof(*kept));
        if (!kept)
                return -ENOMEM;
        memcpy(kept, bytes.data, sizeof(*kept));
        at = bytes.data + sizeof(*kept);
        if (kept->version != STATE_VERSION ||
            !all_finite(&kept->sums.s0, (sizeof(*kept) - offsetof(struct kept, sums)) / sizeof(double))) {
                free(kept);
                return 1;
        }
        learner->day = kept->day;
        learner->sums = kept->sums;
        learner->prior = kept->prior;
        learner->pool = kept->pool;
        memcpy(learner->receipts, kept->receipts, sizeof(kept->receipts));
        free(kept);
        for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                uint64_t n;

                if ((size_t)(end - at) < sizeof(n))
                        return 1;
                memcpy(&n, at, sizeof(n));
                at += sizeof(n);
                for (uint64_t i = 0; i < n; i++) {
                        BgPending pending;

                        if ((size_t)(end - at) < sizeof(pending))
                                return 1;
                        memcpy(&pending, at, sizeof(pending));
                        at += sizeof(pending);
                        if (queue_push(&learner->pending[k], &pending))
                                return -ENOMEM;
                }
        }
        return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/learn.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

enum { DAY_S = 86400, RECEIPT_MIN = 20, STATE_VERSION = 2 };
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
        learner->changed = true;
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
                queue->first++;
                queue->n--;
        }
}

bool bg_learner_step(BgLearner *learner, BgSecond now, BgLearnOutcome *outcome, void *data)
{
        BgSecond day = now / DAY_S * DAY_S;

        if (day <= learner->day)
                return false;
        learner->day = day;
        learner->changed = true;
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

void bg_learner_contribute(BgLearner *learner, double sign, const double theta[BG_THETA_N], const double spread[BG_SYM_N])
{
        bg_prior_sums_add(&learner->sums, sign, theta, spread);
        learner->changed = true;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------------------- */

/** In this layout under STATE_VERSION, of the machine that wrote it: a state file does not move between byte orders. */
struct kept {
        uint32_t version;
        uint32_t day;
        uint64_t first[BG_POOL_KNOT_N]; /* forecasts [first, end) of each queue wait */
        uint64_t end[BG_POOL_KNOT_N];
        BgPriorSums sums;
        BgPrior prior;
        BgPool pool;
        BgReceipt receipts[BG_POOL_KNOT_N][BG_LEARN_STRATUM_N];
};

enum { PIECE = 1024, PIECE_NAME_MAX = 40 };

/** Bytewise order of these names is the order of the pieces. */
static BgStr piece_name(char text[PIECE_NAME_MAX], int k, uint64_t piece)
{
        int n = snprintf(text, PIECE_NAME_MAX, "pending/%02d/%016" PRIx64, k, piece);

        return (BgStr){ text, (size_t)n };
}

/** A piece: the ordinal of its first forecast, and the forecasts. */
static int save_piece(const BgPendingQueue *queue, int k, uint64_t piece, BgBuffer *bytes,
                      int (*put)(void *data, BgStr name, BgStr bytes), void *data)
{
        uint64_t from = piece * PIECE > queue->first ? piece * PIECE : queue->first, end = queue->first + queue->n;
        uint64_t to = (piece + 1) * PIECE < end ? (piece + 1) * PIECE : end;
        char name[PIECE_NAME_MAX];
        int r;

        bg_buffer_clear(bytes);
        r = bg_buffer_append(bytes, &from, sizeof(from));
        for (uint64_t i = from; i < to && !r; i++)
                r = bg_buffer_append(bytes, &queue->items[(queue->head + (size_t)(i - queue->first)) % queue->cap], sizeof(BgPending));
        return r ? r : put(data, piece_name(name, k, piece), (BgStr){ bytes->data, bytes->len });
}

static int save_queue(BgPendingQueue *queue, int k, BgBuffer *bytes, int (*put)(void *data, BgStr name, BgStr bytes), void *data)
{
        uint64_t end = queue->first + queue->n, from = queue->saved > queue->first ? queue->saved : queue->first;
        int r = 0;

        for (uint64_t piece = from / PIECE; piece * PIECE < end && from < end && !r; piece++)
                r = save_piece(queue, k, piece, bytes, put, data);
        if (!r)
                queue->saved = end;
        return r;
}

int bg_learner_save(BgLearner *learner, int (*put)(void *data, BgStr name, BgStr bytes), void *data)
{
        struct kept *kept;
        BgBuffer bytes = { 0 };
        int r = 0;

        if (!learner->changed)
                return 0;
        kept = calloc(1, sizeof(*kept));
        if (!kept)
                return -ENOMEM;
        kept->version = STATE_VERSION;
        kept->day = learner->day;
        kept->sums = learner->sums;
        kept->prior = learner->prior;
        kept->pool = learner->pool;
        memcpy(kept->receipts, learner->receipts, sizeof(kept->receipts));
        /* new pieces, then what says that they count, then what is no longer wanted: cut off anywhere, the old state is there */
        for (int k = 0; k < BG_POOL_KNOT_N && !r; k++) {
                BgPendingQueue *queue = &learner->pending[k];

                kept->first[k] = queue->first;
                kept->end[k] = queue->first + queue->n;
                r = save_queue(queue, k, &bytes, put, data);
        }
        if (!r)
                r = put(data, BG_STR("learner"), (BgStr){ (const char *)kept, sizeof(*kept) });
        for (int k = 0; k < BG_POOL_KNOT_N && !r; k++) {
                BgPendingQueue *queue = &learner->pending[k];
                char name[PIECE_NAME_MAX];

                for (; queue->kept < queue->first / PIECE && !r; queue->kept += !r)
                        r = put(data, piece_name(name, k, queue->kept), (BgStr){ NULL, 0 });
        }
        learner->changed = r != 0;
        free(kept);
        bg_buffer_deinit(&bytes);
        return r;
}

static bool all_finite(const double *x, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!isfinite(x[i]))
                        return false;
        return true;
}

static int load_state(BgLearner *learner, BgStr bytes)
{
        struct kept *kept;

        if (bytes.len != sizeof(*kept))
                return 0;
        kept = malloc(sizeof(*kept));
        if (!kept)
                return -ENOMEM;
        memcpy(kept, bytes.data, sizeof(*kept));
        learner->loaded = kept->version == STATE_VERSION &&
                          all_finite(&kept->sums.s0, (sizeof(*kept) - offsetof(struct kept, sums)) / sizeof(double));
        for (int k = 0; k < BG_POOL_KNOT_N && learner->loaded; k++) {
                learner->loaded = kept->first[k] <= kept->end[k] && kept->end[k] - kept->first[k] <= PENDING_MAX;
                learner->pending[k].first = kept->first[k];
                learner->pending[k].saved = kept->end[k];
                learner->pending[k].kept = kept->first[k] / PIECE;
        }
        if (learner->loaded) {
                learner->day = kept->day;
                learner->sums = kept->sums;
                learner->prior = kept->prior;
                learner->pool = kept->pool;
                memcpy(learner->receipts, kept->receipts, sizeof(kept->receipts));
        }
        free(kept);
        return 0;
}

/** Forecasts that left the queue after the piece was written are in it still: skipped. */
static int load_piece(BgPendingQueue *queue, BgStr bytes)
{
        uint64_t ordinal;
        size_t n;

        if (bytes.len < sizeof(ordinal))
                return 0;
        memcpy(&ordinal, bytes.data, sizeof(ordinal));
        n = (bytes.len - sizeof(ordinal)) / sizeof(BgPending);
        for (size_t i = 0; i < n; i++, ordinal++) {
                BgPending pending;
                int r;

                if (ordinal != queue->first + queue->n || ordinal >= queue->saved)
                        continue;
                memcpy(&pending, bytes.data + sizeof(ordinal) + i * sizeof(pending), sizeof(pending));
                r = queue_push(queue, &pending);
                if (r)
                        return r;
        }
        return 0;
}

int bg_learner_load(BgLearner *learner, BgStr name, BgStr bytes)
{
        char expected[PIECE_NAME_MAX];
        BgStr prefix;

        if (bg_str_equal(name, BG_STR("learner")))
                return load_state(learner, bytes);
        for (int k = 0; k < BG_POOL_KNOT_N && learner->loaded; k++) {
                prefix = piece_name(expected, k, 0);
                prefix.len = sizeof("pending/00/") - 1;
                if (name.len > prefix.len && !memcmp(name.data, prefix.data, prefix.len))
                        return load_piece(&learner->pending[k], bytes);
        }
        return 0;
}

bool bg_learner_loaded(const BgLearner *learner)
{
        bool whole = learner->loaded;

        for (int k = 0; k < BG_POOL_KNOT_N && whole; k++)
                whole = learner->pending[k].first + learner->pending[k].n == learner->pending[k].saved;
        return whole;
}

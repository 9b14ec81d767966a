/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was learned: saved in pieces and put together again, and the figures a daemon starts with. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stream/learn.h"
#include "daemon/stream/testing.h"

enum { DAY = 86400, ROWS_MAX = 400 };

/** A store of named pieces, in memory. */
typedef struct Rows {
        char *names[ROWS_MAX];
        BgBuffer bytes[ROWS_MAX];
        size_t n;
        size_t n_put;
        size_t n_bytes;
        size_t fail_at; /* this call fails; 0 = none */
} Rows;

static int put(void *data, BgStr name, BgStr bytes)
{
        Rows *rows = data;
        size_t i = 0;

        if (++rows->n_put == rows->fail_at)
                return -1;
        while (i < rows->n && !bg_str_equal(bg_str(rows->names[i]), name))
                i++;
        if (i == rows->n) {
                assert_true(rows->n < ROWS_MAX);
                rows->names[rows->n++] = strndup(name.data, name.len);
        }
        bg_buffer_clear(&rows->bytes[i]);
        rows->n_bytes += bytes.len;
        return bytes.len ? bg_buffer_append(&rows->bytes[i], bytes.data, bytes.len) : 0;
}

static void rows_deinit(Rows *rows)
{
        for (size_t i = 0; i < rows->n; i++) {
                free(rows->names[i]);
                bg_buffer_deinit(&rows->bytes[i]);
        }
        *rows = (Rows){ 0 };
}

static bool load(BgLearner *learner, const Rows *rows)
{
        const char *before = "";

        bg_learner_init(learner);
        for (;;) { /* in order of the names, as the store does */
                size_t next = SIZE_MAX;

                for (size_t i = 0; i < rows->n; i++)
                        if (rows->bytes[i].len && strcmp(rows->names[i], before) > 0 &&
                            (next == SIZE_MAX || strcmp(rows->names[i], rows->names[next]) < 0))
                                next = i;
                if (next == SIZE_MAX)
                        return bg_learner_loaded(learner);
                before = rows->names[next];
                assert_int_equal(bg_learner_load(learner, bg_str(before), (BgStr){ rows->bytes[next].data, rows->bytes[next].len }), 0);
        }
}

static void assert_same(const BgLearner *a, const BgLearner *b)
{
        assert_memory_equal(&a->sums, &b->sums, sizeof(a->sums));
        assert_memory_equal(&a->prior, &b->prior, sizeof(a->prior));
        assert_memory_equal(&a->pool, &b->pool, sizeof(a->pool));
        assert_memory_equal(a->receipts, b->receipts, sizeof(a->receipts));
        assert_int_equal(a->day, b->day);
        for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                const BgPendingQueue *x = &a->pending[k], *y = &b->pending[k];

                assert_int_equal(x->n, y->n);
                assert_int_equal(x->first, y->first);
                for (size_t i = 0; i < x->n; i++) {
                        const BgPending *p = &x->items[(x->head + i) % x->cap], *q = &y->items[(y->head + i) % y->cap];

                        assert_memory_equal(p, q, sizeof(*p));
                }
        }
}

static double outcome(void *data, BgSeriesId series, BgSecond origin, BgSecond at)
{
        (void)data;
        return series % 7 == 6 ? -1 : (double)((at - origin) / DAY + series);
}

static void one_day(BgLearner *learner, BgSecond day, int n)
{
        BgPoolOpinion opinions[BG_POOL_KNOT_N] = { 0 };
        BgForecastPoint points[BG_POOL_KNOT_N] = { 0 };

        bg_learner_step(learner, day * DAY, outcome, NULL);
        for (int i = 0; i < n; i++) {
                BgSeriesId series = (BgSeriesId)testing_between(0, 300);

                for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                        opinions[k] = (BgPoolOpinion){ .u = { 1, 2, .5 * k, 1 }, .s = 1 };
                        for (int p = 0; p < BG_QUANTILE_N; p++)
                                points[k].q[p] = series + p;
                }
                assert_int_equal(bg_learner_origin(learner, BG_LEARN_ALL_KNOTS, series, day * DAY + (BgSecond)i, series, opinions, points), 0);
        }
}

static void test_saved_in_pieces(void **state)
{
        BgLearner learner, again;
        Rows rows = { 0 };
        size_t before;

        (void)state;
        bg_learner_init(&learner);
        for (BgSecond day = 100; day < 400; day++) {
                one_day(&learner, day, (int)testing_between(0, 60));
                if (testing_between(0, 3))
                        continue;
                if (testing_between(0, 4) == 0) { /* a save that is cut off: what was there still counts, and the next one is whole */
                        rows.fail_at = rows.n_put + (size_t)testing_between(1, 12);
                        bg_learner_save(&learner, put, &rows);
                        rows.fail_at = 0;
                }
                assert_int_equal(bg_learner_save(&learner, put, &rows), 0);
                assert_true(load(&again, &rows));
                assert_same(&learner, &again);
                bg_learner_deinit(&learner);
                learner = again; /* goes on from what was loaded */
        }
        assert_true(learner.pending[0].first > 2048 && learner.pending[9].n > 2048);
        before = rows.n_put;
        assert_int_equal(bg_learner_save(&learner, put, &rows), 0);
        one_day(&learner, 400, 1);
        rows.n_bytes = 0;
        assert_int_equal(bg_learner_save(&learner, put, &rows), 0);
        assert_true(rows.n_put > before);
        assert_true(rows.n_bytes < 800000); /* the last piece of each queue, not all that wait: 9 MB */
        before = rows.n_put;
        assert_int_equal(bg_learner_save(&learner, put, &rows), 0);
        assert_int_equal(rows.n_put, before); /* nothing new */
        bg_learner_deinit(&learner);
        rows_deinit(&rows);
}

static void test_damage_is_met(void **state)
{
        BgLearner learner, again;
        Rows rows = { 0 };

        (void)state;
        bg_learner_init(&learner);
        for (BgSecond day = 100; day < 150; day++)
                one_day(&learner, day, 40);
        assert_int_equal(bg_learner_save(&learner, put, &rows), 0);
        for (size_t i = 0; i < rows.n; i++) { /* each piece missing, cut, and with its first byte spoilt */
                size_t len = rows.bytes[i].len;

                if (!len)
                        continue; /* was taken away */
                rows.bytes[i].len = 0;
                assert_false(load(&again, &rows));
                bg_learner_deinit(&again);
                rows.bytes[i].len = len - 60;
                assert_false(load(&again, &rows));
                bg_learner_deinit(&again);
                rows.bytes[i].len = len;
                rows.bytes[i].data[0] ^= 0x10;
                assert_false(load(&again, &rows));
                bg_learner_deinit(&again);
                rows.bytes[i].data[0] ^= 0x10;
        }
        assert_true(load(&again, &rows));
        bg_learner_deinit(&again);
        bg_learner_deinit(&learner);
        rows_deinit(&rows);
}

static void test_start(void **state)
{
        BgLearner blank, start, other;

        (void)state;
        bg_learner_init(&blank);
        bg_learner_start(&start, 3);
        bg_learner_start(&other, 1);
        assert_same(&blank, &other); /* figures of another m */
        assert_true(memcmp(&blank.pool, &start.pool, sizeof(blank.pool)) != 0);
        assert_memory_equal(blank.receipts, start.receipts, sizeof(blank.receipts));
        assert_memory_equal(&blank.prior, &start.prior, sizeof(blank.prior)); /* measured: the learned one is no help */
        for (int side = 0; side < 2; side++)
                for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                        const BgPoolKnot *knot = &start.pool.knots[side][k];

                        assert_true(knot->days == blank.pool.knots[side][k].days);
                        for (int b = 0; b < BG_POOL_SIZE_N; b++) {
                                double sum = 0;

                                for (int e = 0; e < BG_EXPERT_N; e++) {
                                        assert_true(knot->weight[b][e] > 0);
                                        sum += knot->weight[b][e];
                                }
                                assert_true(fabs(sum - 1) < 1e-3);
                                assert_true(fabs(knot->scale[b]) <= 1.5);
                        }
                        for (int i = 0; i < BG_POOL_NODE_N; i++)
                                assert_true(knot->quantile[i][0] < knot->quantile[i][BG_QUANTILE_N - 1]);
                }
        bg_learner_deinit(&blank);
        bg_learner_deinit(&start);
        bg_learner_deinit(&other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_saved_in_pieces),
                cmocka_unit_test(test_damage_is_met),
                cmocka_unit_test(test_start),
        };

        testing_seed_init();
        return cmocka_run_group_tests_name("learn", tests, NULL, NULL);
}

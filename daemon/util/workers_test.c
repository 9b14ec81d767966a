/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>

#include "daemon/util/workers.h"

enum { TASKS = 5000 };

typedef struct Square {
        BgTask task;
        uint64_t in;
        uint64_t out;
} Square;

/* Unequal work, so that tasks finish out of order. */
static void run_square(BgTask *task)
{
        Square *square = (Square *)task;
        volatile uint64_t spin = 0;

        for (uint64_t i = 0; i < square->in * 7919 % 3000; i++)
                spin = spin + i;
        square->out = square->in * square->in;
}

static void count_done(void *data) { __atomic_add_fetch((int *)data, 1, __ATOMIC_SEQ_CST); }

/* Whatever the threads, results come back complete, each once, in the order they were handed over. */
static void results_come_in_order(void **state)
{
        (void)state;
        for (unsigned n_threads = 1; n_threads <= 4; n_threads++) {
                Square *squares = calloc(TASKS, sizeof(*squares));
                size_t handed = 0, collected = 0;
                int n_done = 0;
                BgWorkers *workers;

                assert_non_null(squares);
                assert_int_equal(bg_workers_new(&workers, n_threads, count_done, &n_done), 0);
                while (collected < TASKS) {
                        BgTask *task;

                        while (handed < TASKS && bg_workers_n_outstanding(workers) < 64) {
                                squares[handed] = (Square){ .task.run = run_square, .in = handed };
                                bg_workers_submit(workers, &squares[handed++].task);
                        }
                        task = collected % 3 ? bg_workers_wait(workers) : bg_workers_collect(workers);
                        if (!task)
                                continue;
                        assert_ptr_equal(task, &squares[collected].task);
                        assert_int_equal(squares[collected].out, collected * collected);
                        collected++;
                }
                assert_null(bg_workers_collect(workers));
                assert_null(bg_workers_wait(workers));
                bg_workers_free(workers);
                assert_int_equal(n_done, TASKS);
                free(squares);
        }
}

/* Ending with work under way finishes the work first: nothing of the owner's is touched afterwards. */
static void free_waits_for_the_work(void **state)
{
        Square *squares = calloc(200, sizeof(*squares));
        BgWorkers *workers;

        (void)state;
        assert_non_null(squares);
        assert_int_equal(bg_workers_new(&workers, 2, NULL, NULL), 0);
        for (uint64_t i = 0; i < 200; i++) {
                squares[i] = (Square){ .task.run = run_square, .in = i + 1 };
                bg_workers_submit(workers, &squares[i].task);
        }
        bg_workers_free(workers);
        for (uint64_t i = 0; i < 200; i++)
                assert_int_equal(squares[i].out, (i + 1) * (i + 1));
        free(squares);
        bg_workers_free(NULL);
}

typedef struct Mask {
        BgTask task;
        sigset_t blocked;
} Mask;

static void run_mask(BgTask *task) { pthread_sigmask(SIG_SETMASK, NULL, &((Mask *)task)->blocked); }

/* Signals are for the loop: no worker may take one. */
static void workers_take_no_signals(void **state)
{
        Mask mask = { .task.run = run_mask };
        sigset_t mine;
        BgWorkers *workers;

        (void)state;
        assert_int_equal(bg_workers_new(&workers, 1, NULL, NULL), 0);
        bg_workers_submit(workers, &mask.task);
        assert_ptr_equal(bg_workers_wait(workers), &mask.task);
        bg_workers_free(workers);
        assert_true(sigismember(&mask.blocked, SIGTERM));
        assert_true(sigismember(&mask.blocked, SIGHUP));
        pthread_sigmask(SIG_SETMASK, NULL, &mine);
        assert_false(sigismember(&mine, SIGTERM));
}

static void default_is_at_least_one(void **state)
{
        (void)state;
        assert_in_range(bg_workers_n_threads_default(), 1, 4096);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(results_come_in_order),
                cmocka_unit_test(free_waits_for_the_work),
                cmocka_unit_test(workers_take_no_signals),
                cmocka_unit_test(default_is_at_least_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

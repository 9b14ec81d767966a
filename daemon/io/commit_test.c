/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/io/commit.h"

/*
 * A store that commits when it is told to, on a thread of its own as the real one does. It stands in for the four functions
 * that the group commit uses.
 */
struct BgStore {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        pthread_t writer;
        size_t n_rows;
        struct {
                BgStoreDone *done;
                void *data;
                size_t n_rows;
        } groups[64];
        size_t n_groups;   /* handed over */
        size_t n_allowed;  /* may be committed */
        size_t n_done;     /* committed, and told */
        size_t fail_at;    /* this one (from 1) fails, those after it do not: the worst case */
        bool ending;
};

size_t bg_store_group_size(const BgStore *store) { return store->n_rows; }

int bg_store_error(const BgStore *store, const char **whyp)
{
        (void)store;
        *whyp = "as the test wants it";
        return -ENOSPC;
}

int bg_store_commit(BgStore *store, BgStoreDone *done, void *data)
{
        pthread_mutex_lock(&store->mutex);
        store->groups[store->n_groups].done = done;
        store->groups[store->n_groups].data = data;
        store->groups[store->n_groups++].n_rows = store->n_rows;
        store->n_rows = 0;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->mutex);
        return 0;
}

void bg_store_wait(BgStore *store)
{
        pthread_mutex_lock(&store->mutex);
        store->n_allowed = SIZE_MAX;
        pthread_cond_broadcast(&store->changed);
        while (store->n_done < store->n_groups)
                pthread_cond_wait(&store->changed, &store->mutex);
        pthread_mutex_unlock(&store->mutex);
}

static void *write_groups(void *data)
{
        BgStore *store = data;

        pthread_mutex_lock(&store->mutex);
        while (!store->ending) {
                size_t i = store->n_done;

                if (i == store->n_groups || i >= store->n_allowed) {
                        pthread_cond_wait(&store->changed, &store->mutex);
                        continue;
                }
                pthread_mutex_unlock(&store->mutex);
                store->groups[i].done(store->groups[i].data, i + 1 == store->fail_at ? -ENOSPC : 0);
                pthread_mutex_lock(&store->mutex);
                store->n_done++;
                pthread_cond_broadcast(&store->changed);
        }
        pthread_mutex_unlock(&store->mutex);
        return NULL;
}

static void allow(BgStore *store, size_t n)
{
        pthread_mutex_lock(&store->mutex);
        store->n_allowed += n;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->mutex);
}

/* ---- fixture --------------------------------------------------------------------------------------------------------------- */

typedef struct Fixture {
        BgStore store;
        uv_loop_t loop;
        BgHealth health;
        BgCommit commit;
        char told[64]; /* names of the waiters told, in order */
        char results[64];
        int n_told;
        int n_pressed;
        int n_released;
        unsigned n_closed;
} Fixture;

typedef struct Waiter {
        BgCommitWaiter waiter;
        Fixture *fixture;
        char name;
} Waiter;

static void told(BgCommitWaiter *base, int result)
{
        Waiter *waiter = (Waiter *)base;
        Fixture *f = waiter->fixture;

        f->told[f->n_told] = waiter->name;
        f->results[f->n_told++] = result == 0 ? '+' : result == BG_COMMIT_E_VOLATILE ? 'v' : '-';
        free(waiter);
}

static void wait_for(Fixture *f, char name)
{
        Waiter *waiter = calloc(1, sizeof(*waiter));

        waiter->waiter.done = told;
        waiter->fixture = f;
        waiter->name = name;
        assert_int_equal(bg_commit_wait(&f->commit, &waiter->waiter), 0);
}

static void append_and_wait(Fixture *f, char name, size_t n_rows)
{
        f->store.n_rows += n_rows;
        wait_for(f, name);
}

static void pressure(void *data, bool on)
{
        Fixture *f = data;

        *(on ? &f->n_pressed : &f->n_released) += 1;
}

static void turn(Fixture *f) { uv_run(&f->loop, UV_RUN_NOWAIT); }

static void turn_until_told(Fixture *f, int n)
{
        while (f->n_told < n)
                uv_run(&f->loop, UV_RUN_ONCE);
}

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        BgCommitSpec spec = { .rows_per_group = 100, .groups_pending_max = 3, .pressure = pressure, .data = f };

        pthread_mutex_init(&f->store.mutex, NULL);
        pthread_cond_init(&f->store.changed, NULL);
        pthread_create(&f->store.writer, NULL, write_groups, &f->store);
        uv_loop_init(&f->loop);
        *state = f;
        return bg_commit_open(&f->commit, &f->loop, &f->store, &f->health, &spec);
}

static void closed(void *data) { ((Fixture *)data)->n_closed++; }

static int tear_down(void **state)
{
        Fixture *f = *state;
        int r;

        bg_commit_close(&f->commit, closed, f);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        r = uv_loop_close(&f->loop) || f->n_closed != 1;
        pthread_mutex_lock(&f->store.mutex);
        f->store.ending = true;
        pthread_cond_broadcast(&f->store.changed);
        pthread_mutex_unlock(&f->store.mutex);
        pthread_join(f->store.writer, NULL);
        pthread_cond_destroy(&f->store.changed);
        pthread_mutex_destroy(&f->store.mutex);
        free(f);
        return r;
}

/* ---- tests ----------------------------------------------------------------------------------------------------------------- */

/* What comes in one turn is one group; what comes while the writer is busy is the next one, and waits for it. */
static void a_busy_writer_makes_large_groups(void **state)
{
        Fixture *f = *state;

        append_and_wait(f, 'a', 1);
        append_and_wait(f, 'b', 1);
        turn(f);
        assert_int_equal(f->store.n_groups, 1);
        for (char name = 'c'; name <= 'f'; name++) {
                append_and_wait(f, name, 1);
                turn(f);
        }
        assert_int_equal(f->store.n_groups, 1);
        assert_int_equal(f->n_told, 0);
        allow(&f->store, 1);
        turn_until_told(f, 2);
        assert_string_equal(f->told, "ab");
        turn(f);
        assert_int_equal(f->store.n_groups, 2);
        assert_int_equal(f->store.groups[1].n_rows, 4);
        allow(&f->store, 1);
        turn_until_told(f, 6);
        assert_string_equal(f->told, "abcdef");
        assert_string_equal(f->results, "++++++");
        assert_int_equal(f->health.commits, 2);
        assert_true(bg_commit_idle(&f->commit));
}

/* A batch of duplicates appends nothing, and is still not called durable before what it duplicates is. */
static void who_adds_nothing_waits_for_what_was_before(void **state)
{
        Fixture *f = *state;

        append_and_wait(f, 'a', 5);
        turn(f);
        wait_for(f, 'b');
        turn(f);
        turn(f);
        assert_int_equal(f->n_told, 0);
        assert_int_equal(f->store.n_groups, 1);
        allow(&f->store, 1);
        turn_until_told(f, 2);
        assert_string_equal(f->told, "ab");

        wait_for(f, 'c'); /* nothing is pending: it is durable already */
        turn(f);
        assert_string_equal(f->told, "abc");
        assert_string_equal(f->results, "+++");
        assert_int_equal(f->store.n_groups, 1);
}

/* Large groups do not wait for the writer; too many of them ask for a pause, which ends well below the limit. */
static void pressure_has_two_edges(void **state)
{
        Fixture *f = *state;

        for (char name = 'a'; name <= 'd'; name++) {
                append_and_wait(f, name, 100);
                turn(f);
        }
        assert_int_equal(f->store.n_groups, 4);
        assert_int_equal(f->n_pressed, 1);
        allow(&f->store, 2);
        turn_until_told(f, 2);
        assert_int_equal(f->n_released, 0);
        allow(&f->store, 1);
        turn_until_told(f, 3);
        assert_int_equal(f->n_released, 1);
        assert_int_equal(f->n_pressed, 1);
}

/* After a failure nobody is told that his events are safe, whatever the store says of later groups; and nothing more is written. */
static void a_failure_is_final(void **state)
{
        Fixture *f = *state;

        f->store.fail_at = 2;
        for (char name = 'a'; name <= 'c'; name++) {
                append_and_wait(f, name, 100);
                turn(f);
        }
        allow(&f->store, 3);
        turn_until_told(f, 3);
        assert_string_equal(f->results, "+--");
        append_and_wait(f, 'd', 100);
        turn(f);
        assert_string_equal(f->results, "+---");
        assert_int_equal(f->store.n_groups, 3);
        assert_int_equal(f->commit.failed, -ENOSPC);
        assert_string_not_equal(bg_health_text(&f->health), "ok");
}

/* Closing commits what is open and tells everybody first. */
static void closing_tells_everybody(void **state)
{
        Fixture *f = *state;
        BgStore *store = &f->store;

        append_and_wait(f, 'a', 1);
        turn(f);
        append_and_wait(f, 'b', 1);
        bg_commit_close(&f->commit, closed, f);
        assert_string_equal(f->told, "ab");
        assert_string_equal(f->results, "++");
        assert_int_equal(store->n_groups, 2);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(f->n_closed, 1);
        f->n_closed = 0; /* tear_down closes the zero value */
}

static void without_a_store_nothing_is_durable(void **state)
{
        BgCommitSpec spec = { .rows_per_group = 100, .groups_pending_max = 3, .pressure = pressure };
        Fixture *f = calloc(1, sizeof(*f));

        (void)state;
        uv_loop_init(&f->loop);
        assert_int_equal(bg_commit_open(&f->commit, &f->loop, NULL, &f->health, &spec), 0);
        wait_for(f, 'a');
        assert_int_equal(f->n_told, 0); /* never from within the call */
        turn(f);
        assert_string_equal(f->results, "v");
        wait_for(f, 'b');
        bg_commit_close(&f->commit, closed, f);
        assert_string_equal(f->results, "vv");
        uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&f->loop), 0);
        free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_busy_writer_makes_large_groups, set_up, tear_down),
                cmocka_unit_test_setup_teardown(who_adds_nothing_waits_for_what_was_before, set_up, tear_down),
                cmocka_unit_test_setup_teardown(pressure_has_two_edges, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_failure_is_final, set_up, tear_down),
                cmocka_unit_test_setup_teardown(closing_tells_everybody, set_up, tear_down),
                cmocka_unit_test(without_a_store_nothing_is_durable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

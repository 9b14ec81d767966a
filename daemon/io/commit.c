/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/commit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/clock.h"
#include "daemon/util/log.h"

struct BgCommitGroup {
        BgCommit *commit;
        BgCommitGroup *next;
        BgCommitWaiter *first;
        BgCommitWaiter *last;
        int64_t handed_over_at;
        int result;
        bool done; /* written by the writer's thread, after `result` */
};

/* ---- groups ---------------------------------------------------------------------------------------------------------------- */

static void tell(BgCommitGroup *group, int result)
{
        BgCommitWaiter *waiter = group->first;

        group->first = group->last = NULL;
        while (waiter) {
                BgCommitWaiter *next = waiter->next;

                waiter->done(waiter, result);
                waiter = next;
        }
}

static void add(BgCommitGroup *group, BgCommitWaiter *waiter)
{
        waiter->next = NULL;
        if (group->last)
                group->last->next = waiter;
        else
                group->first = waiter;
        group->last = waiter;
}

static void press(BgCommit *commit)
{
        bool on = commit->pressed ? commit->n_pending > commit->spec.groups_pending_max / 2
                                  : commit->n_pending >= commit->spec.groups_pending_max;

        commit->health->groups_pending = (int64_t)commit->n_pending;
        if (on == commit->pressed)
                return;
        commit->pressed = on;
        commit->spec.pressure(commit->spec.data, on);
}

static void note_failure(BgCommit *commit, int result)
{
        const char *why = "";

        commit->health->commits_failed++;
        if (commit->failed)
                return;
        commit->failed = result;
        bg_store_error(commit->store, &why);
        bg_health_set(commit->health, BG_PROBLEM_STORE, "the store failed: restart, then send again");
        bg_log(BG_LOG_ERROR, "store.commit_failed",
               "a commit failed: no event is taken any more; make room or repair, restart, and the feeds will send again",
               bg_kv("error", strerror(-result)), bg_kv("why", why));
}

static void group_done(void *data, int result) /* on the writer's thread */
{
        BgCommitGroup *group = data;
        BgCommit *commit = group->commit;

        group->result = result;
        __atomic_store_n(&group->done, true, __ATOMIC_RELEASE);
        /* the group may be freed by now, the async handle not: close waits for the writer first */
        uv_async_send(&commit->async);
}

/* Waiters of an open group without rows: what they wait for is in the groups before it, or on disk. */
static void settle_empty(BgCommit *commit)
{
        BgCommitGroup *group = commit->open;
        int result = commit->failed ? commit->failed : commit->store ? 0 : BG_COMMIT_E_VOLATILE;

        commit->open = NULL;
        if (commit->last) {
                for (BgCommitWaiter *w = group->first, *next; w; w = next) {
                        next = w->next;
                        add(commit->last, w);
                }
        } else {
                tell(group, result);
        }
        free(group);
}

static void collect_done(BgCommit *commit)
{
        while (commit->first && __atomic_load_n(&commit->first->done, __ATOMIC_ACQUIRE)) {
                BgCommitGroup *group = commit->first;

                commit->first = group->next;
                if (!commit->first)
                        commit->last = NULL;
                commit->n_pending--;
                if (group->result)
                        note_failure(commit, group->result);
                else
                        commit->health->commits++;
                /* behind a failed group nothing is called durable: a feed must go back to before the failure */
                tell(group, commit->failed);
                free(group);
        }
}

/* After a failure nothing is worth waiting for: everybody is told now, so that later refusals do not overtake. */
static void collect(BgCommit *commit)
{
        collect_done(commit);
        if (commit->failed && (commit->first || commit->open)) {
                bg_store_wait(commit->store);
                collect_done(commit);
                if (commit->open)
                        settle_empty(commit);
        }
        press(commit);
}

static void hand_over(BgCommit *commit)
{
        BgCommitGroup *group = commit->open;
        int r = 0;

        if (!group)
                group = calloc(1, sizeof(*group)); /* rows nobody waits for */
        if (!group)
                r = -ENOMEM;
        if (!r) {
                group->commit = commit;
                group->handed_over_at = bg_clock_steady_us();
                r = bg_store_commit(commit->store, group_done, group);
        }
        if (r) {
                commit->open = group;
                bg_commit_fail(commit, r);
                return;
        }
        commit->open = NULL;
        if (commit->last)
                commit->last->next = group;
        else
                commit->first = group;
        commit->last = group;
        commit->n_pending++;
        press(commit);
}

static void on_prepare(uv_prepare_t *handle)
{
        BgCommit *commit = handle->data;
        size_t n_rows = commit->store ? bg_store_group_size(commit->store) : 0;

        if (n_rows && !commit->failed) {
                if (commit->n_pending == 0 || n_rows >= commit->spec.rows_per_group)
                        hand_over(commit);
        } else if (commit->open) {
                settle_empty(commit);
        }
}

static void on_async(uv_async_t *handle) { collect(handle->data); }

/* ---- doors ----------------------------------------------------------------------------------------------------------------- */

int bg_commit_open(BgCommit *commit, uv_loop_t *loop, BgStore *store, BgHealth *health, const BgCommitSpec *spec)
{
        int r;

        *commit = (BgCommit){ .spec = *spec, .store = store, .health = health };
        r = uv_async_init(loop, &commit->async, on_async);
        if (r)
                return r;
        uv_prepare_init(loop, &commit->prepare);
        uv_prepare_start(&commit->prepare, on_prepare);
        commit->async.data = commit->prepare.data = commit;
        commit->n_handles = 2;
        return 0;
}

int bg_commit_wait(BgCommit *commit, BgCommitWaiter *waiter)
{
        if (!commit->open) {
                commit->open = calloc(1, sizeof(*commit->open));
                if (!commit->open)
                        return -ENOMEM;
        }
        add(commit->open, waiter);
        return 0;
}

void bg_commit_flush(BgCommit *commit)
{
        if (commit->store && !commit->failed && bg_store_group_size(commit->store))
                hand_over(commit);
        else if (commit->open)
                settle_empty(commit);
}

void bg_commit_fail(BgCommit *commit, int result)
{
        note_failure(commit, result);
        collect(commit);
}

int64_t bg_commit_oldest_us(const BgCommit *commit) { return commit->first ? commit->first->handed_over_at : 0; }

static void on_closed(uv_handle_t *handle)
{
        BgCommit *commit = handle->data;
        void (*closed)(void *) = commit->closed;
        void *data = commit->closed_data;

        if (--commit->n_handles)
                return;
        *commit = (BgCommit){ 0 };
        closed(data);
}

void bg_commit_close(BgCommit *commit, void (*closed)(void *data), void *data)
{
        if (!commit->n_handles) {
                closed(data);
                return;
        }
        commit->closed = closed;
        commit->closed_data = data;
        bg_commit_flush(commit);
        if (commit->store)
                bg_store_wait(commit->store);
        collect(commit);
        assert(bg_commit_idle(commit));
        uv_close((uv_handle_t *)&commit->prepare, on_closed);
        uv_close((uv_handle_t *)&commit->async, on_closed);
}

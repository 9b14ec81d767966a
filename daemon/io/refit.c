/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The workers keep the order; here is only the pace. `prepare` looks at the end of each turn whether anything is dirty, so
 * that whoever makes it so need not know of refits.
 */
#include "daemon/io/refit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/util/clock.h"
#include "daemon/util/log.h"

enum {
        JOBS_PER_THREAD = 2,          /* one running, one waiting: no worker idles while the loop adopts */
        DUE_MS_MAX = 60 * 1000,       /* the wall clock may jump: look again */
        ADOPT_NS_PER_TURN = 10000000, /* adopting publishes: leave the doors their turn */
};

typedef struct Job {
        BgTask task;
        BgRefitJob *refit;
} Job;

static void run_job(BgTask *task) { bg_refit_run(((Job *)task)->refit); }

static void on_done(void *data) { uv_async_send(&((BgRefit *)data)->async); } /* on a worker */

/* ---- taking ---------------------------------------------------------------------------------------------------------------- */

static void take(BgRefit *refit)
{
        refit->taken_at = bg_clock_steady_us();
        while (bg_workers_n_outstanding(refit->workers) < JOBS_PER_THREAD * refit->spec.n_threads) {
                Job *job = calloc(1, sizeof(*job));

                if (!job)
                        return; /* still dirty: the next turn tries again */
                job->task.run = run_job;
                job->refit = bg_core_take(refit->core, refit->spec.series_per_job, bg_clock_now_us());
                if (!job->refit) {
                        free(job);
                        return;
                }
                if (bg_workers_n_outstanding(refit->workers) == 0)
                        refit->progress_at = refit->taken_at;
                bg_workers_submit(refit->workers, &job->task);
                refit->health->refit_jobs++;
                refit->health->refit_jobs_running++;
        }
}

static void on_coalesce(uv_timer_t *timer)
{
        BgRefit *refit = timer->data;

        if (!refit->stopped)
                take(refit);
}

static void on_prepare(uv_prepare_t *handle)
{
        BgRefit *refit = handle->data;
        int64_t wait_us;

        if (refit->stopped || bg_core_n_dirty(refit->core) == 0 || uv_is_active((uv_handle_t *)&refit->coalesce) ||
            bg_workers_n_outstanding(refit->workers) >= JOBS_PER_THREAD * refit->spec.n_threads)
                return;
        /* a series that was quiet is refitted at once; the wait is for what comes on its heels */
        wait_us = refit->taken_at + refit->spec.coalesce_us - bg_clock_steady_us();
        if (wait_us <= 0)
                take(refit);
        else
                uv_timer_start(&refit->coalesce, on_coalesce, (uint64_t)(wait_us + 999) / 1000, 0);
}

/* ---- adopting -------------------------------------------------------------------------------------------------------------- */

static void arm_due(BgRefit *refit);

static void adopt(BgRefit *refit, BgTask *task)
{
        Job *job = (Job *)task;

        bg_core_adopt(refit->core, job->refit, bg_clock_now_us());
        free(job);
        refit->progress_at = bg_clock_steady_us();
        refit->health->refit_jobs_running--;
}

static void on_async(uv_async_t *handle)
{
        BgRefit *refit = handle->data;
        uint64_t until = uv_hrtime() + ADOPT_NS_PER_TURN;
        BgTask *task;

        while ((task = bg_workers_collect(refit->workers))) {
                adopt(refit, task);
                if (uv_hrtime() > until) {
                        uv_async_send(&refit->async);
                        break;
                }
        }
        arm_due(refit);
}

/* ---- time ------------------------------------------------------------------------------------------------------------------ */

static void on_due(uv_timer_t *timer)
{
        BgRefit *refit = timer->data;

        if (refit->stopped)
                return;
        bg_core_advance(refit->core, bg_clock_now_us());
        arm_due(refit);
}

static void arm_due(BgRefit *refit)
{
        int64_t due = bg_core_next_due(refit->core), now = bg_clock_now_us();
        uint64_t wait_ms = DUE_MS_MAX;

        if (refit->stopped)
                return;
        if (due <= now)
                wait_ms = 1;
        else if ((due - now) / 1000 < DUE_MS_MAX)
                wait_ms = (uint64_t)(due - now) / 1000 + 1;
        uv_timer_start(&refit->due, on_due, wait_ms, 0);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

int bg_refit_open(BgRefit *refit, uv_loop_t *loop, const BgRefitSpec *spec, BgCore *core, BgHealth *health)
{
        int r;

        *refit = (BgRefit){ .spec = *spec, .core = core, .health = health };
        r = uv_async_init(loop, &refit->async, on_async);
        if (r)
                return r;
        uv_prepare_init(loop, &refit->prepare);
        uv_timer_init(loop, &refit->coalesce);
        uv_timer_init(loop, &refit->due);
        refit->async.data = refit->prepare.data = refit->coalesce.data = refit->due.data = refit;
        refit->n_handles = 4;
        r = bg_workers_new(&refit->workers, spec->n_threads, on_done, refit);
        if (r)
                return r;
        uv_prepare_start(&refit->prepare, on_prepare);
        arm_due(refit);
        return 0;
}

void bg_refit_configure(BgRefit *refit, const BgRefitSpec *spec)
{
        refit->spec.coalesce_us = spec->coalesce_us;
        refit->spec.series_per_job = spec->series_per_job;
        arm_due(refit);
}

void bg_refit_stop(BgRefit *refit)
{
        BgTask *task;

        if (refit->stopped || !refit->workers)
                return;
        refit->stopped = true;
        while ((task = bg_workers_wait(refit->workers)))
                adopt(refit, task);
        uv_timer_stop(&refit->coalesce);
        uv_timer_stop(&refit->due);
}

int64_t bg_refit_waiting_since_us(const BgRefit *refit)
{
        return refit->workers && bg_workers_n_outstanding(refit->workers) ? refit->progress_at : 0;
}

static void handle_closed(uv_handle_t *handle)
{
        BgRefit *refit = handle->data;
        void (*closed)(void *) = refit->closed;
        void *data = refit->closed_data;

        if (--refit->n_handles)
                return;
        *refit = (BgRefit){ 0 };
        closed(data);
}

void bg_refit_close(BgRefit *refit, void (*closed)(void *data), void *data)
{
        if (!refit->n_handles) {
                closed(data);
                return;
        }
        bg_refit_stop(refit);
        refit->closed = closed;
        refit->closed_data = data;
        /* the threads first: their call of on_done ends in the async handle */
        bg_workers_free(refit->workers);
        refit->workers = NULL;
        uv_close((uv_handle_t *)&refit->prepare, handle_closed);
        uv_close((uv_handle_t *)&refit->async, handle_closed);
        uv_close((uv_handle_t *)&refit->coalesce, handle_closed);
        uv_close((uv_handle_t *)&refit->due, handle_closed);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The core is only ever touched on the loop; the thread has the job alone. The job is the core's: whoever closes early leaves it
 * there, unless a thread is at it. It is then the callback that ends the closing.
 */
#include "daemon/io/aggregator.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/util/clock.h"
#include "daemon/util/log.h"

enum {
        LOOK_MS = 1000,
        STEP_NS = 1000000,   /* of the loop's time, a turn */
        MODELS_PER_STEP = 256,
        REST_TIMES = 20,     /* at most a twentieth of the loop's time, however fast the events' time runs */
};

struct BgAggregatorJob {
        uv_work_t work;
        BgAggregator *aggregator;
        BgEcosystemJob *ecosystem;
        bool computed;
};

static void finish(BgAggregator *aggregator)
{
        aggregator->rest_until = uv_hrtime() + REST_TIMES * aggregator->loop_ns;
        aggregator->health->aggregate_loop_us = (int64_t)(aggregator->loop_ns / 1000);
        free(aggregator->job);
        aggregator->job = NULL;
        uv_idle_stop(&aggregator->stepper);
}

static void on_look(uv_timer_t *timer);
static void on_step(uv_idle_t *idle);
static void handle_closed(uv_handle_t *handle);

static void close_handles(BgAggregator *aggregator)
{
        uv_close((uv_handle_t *)&aggregator->timer, handle_closed);
        uv_close((uv_handle_t *)&aggregator->stepper, handle_closed);
}

static void on_work(uv_work_t *work)
{
        BgAggregatorJob *job = work->data;

        bg_ecosystem_run(job->ecosystem);
}

static void on_computed(uv_work_t *work, int status)
{
        BgAggregatorJob *job = work->data;
        BgAggregator *aggregator = job->aggregator;

        (void)status; /* nobody cancels */
        job->computed = true;
        if (!aggregator->stopped) {
                uv_idle_start(&aggregator->stepper, on_step);
                return;
        }
        bg_core_ecosystem_abandon(aggregator->core, job->ecosystem);
        finish(aggregator);
        if (aggregator->closed)
                close_handles(aggregator);
}

/* Return: 0 when this part is done, or BG_CORE_E_MORE. */
static int step(BgAggregator *aggregator, BgAggregatorJob *job)
{
        if (job->computed)
                return bg_core_ecosystem_adopt(aggregator->core, job->ecosystem, MODELS_PER_STEP, bg_clock_now_us());
        return bg_core_ecosystem_collect(aggregator->core, job->ecosystem, MODELS_PER_STEP);
}

static void on_step(uv_idle_t *idle)
{
        BgAggregator *aggregator = idle->data;
        BgAggregatorJob *job = aggregator->job;
        uint64_t began = uv_hrtime(), now;
        int r;

        do {
                r = step(aggregator, job);
                now = uv_hrtime();
        } while (r == BG_CORE_E_MORE && now - began < STEP_NS);
        aggregator->loop_ns += now - began;
        if (r == BG_CORE_E_MORE)
                return;
        if (job->computed) {
                aggregator->health->aggregates++;
                finish(aggregator);
                return;
        }
        uv_idle_stop(idle);
        r = uv_queue_work(idle->loop, &job->work, on_work, on_computed);
        if (r) {
                bg_log(BG_LOG_WARNING, "aggregate.failed", "aggregates cannot be computed now", bg_kv("error", uv_strerror(r)));
                bg_core_ecosystem_abandon(aggregator->core, job->ecosystem);
                finish(aggregator);
        }
}

static void on_look(uv_timer_t *timer)
{
        BgAggregator *aggregator = timer->data;
        int64_t now = bg_clock_now_us();
        BgAggregatorJob *job;

        if (aggregator->job || aggregator->stopped || uv_hrtime() < aggregator->rest_until || !bg_core_ecosystem_due(aggregator->core, now))
                return;
        job = calloc(1, sizeof(*job));
        if (!job)
                return; /* the next look tries again */
        job->work.data = job;
        job->aggregator = aggregator;
        job->ecosystem = bg_core_ecosystem_begin(aggregator->core, now);
        if (!job->ecosystem) {
                free(job);
                return;
        }
        aggregator->job = job;
        aggregator->loop_ns = 0;
        uv_idle_start(&aggregator->stepper, on_step);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

int bg_aggregator_open(BgAggregator *aggregator, uv_loop_t *loop, BgCore *core, BgHealth *health)
{
        *aggregator = (BgAggregator){ .core = core, .health = health };
        uv_timer_init(loop, &aggregator->timer);
        uv_idle_init(loop, &aggregator->stepper);
        aggregator->timer.data = aggregator->stepper.data = aggregator;
        aggregator->n_handles = 2;
        uv_timer_start(&aggregator->timer, on_look, LOOK_MS, LOOK_MS);
        return 0;
}

void bg_aggregator_stop(BgAggregator *aggregator)
{
        BgAggregatorJob *job = aggregator->job;

        if (aggregator->stopped || !aggregator->n_handles)
                return;
        aggregator->stopped = true;
        uv_timer_stop(&aggregator->timer);
        if (!job || !uv_is_active((uv_handle_t *)&aggregator->stepper))
                return; /* nothing, or a thread has it */
        bg_core_ecosystem_abandon(aggregator->core, job->ecosystem);
        finish(aggregator);
}

static void handle_closed(uv_handle_t *handle)
{
        BgAggregator *aggregator = handle->data;
        void (*closed)(void *) = aggregator->closed;
        void *data = aggregator->closed_data;

        if (--aggregator->n_handles)
                return;
        *aggregator = (BgAggregator){ 0 };
        closed(data);
}

void bg_aggregator_close(BgAggregator *aggregator, void (*closed)(void *data), void *data)
{
        if (!aggregator->n_handles) {
                closed(data);
                return;
        }
        bg_aggregator_stop(aggregator);
        aggregator->closed = closed;
        aggregator->closed_data = data;
        if (!aggregator->job) /* else the thread's end closes */
                close_handles(aggregator);
}

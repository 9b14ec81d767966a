/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_REFIT_H
#define BURGEON_IO_REFIT_H

#include <uv.h>

#include "daemon/io/health.h"
#include "daemon/stream/core.h"
#include "daemon/util/workers.h"

/*
 * Drives the refits of the core on worker threads: takes what is dirty, at most every `coalesce_us`, in jobs of some hundred
 * series (a hand-over costs as much as several fits), and adopts the results in the order in which they were taken. Also wakes
 * the core when forecasts grow old.
 */

typedef struct BgRefitSpec {
        unsigned n_threads;   /* >= 1 */
        int64_t coalesce_us;  /* events of one series that come closer together share a refit */
        size_t series_per_job;
} BgRefitSpec;

typedef struct BgRefit {
        BgRefitSpec spec;
        BgCore *core;
        BgHealth *health;
        BgWorkers *workers;
        uv_prepare_t prepare;
        uv_async_t async;
        uv_timer_t coalesce;
        uv_timer_t due;
        unsigned n_handles;
        int64_t taken_at; /* bg_clock_steady_us of the last take */
        int64_t progress_at; /* bg_clock_steady_us when a job was last handed over with none running, or adopted */
        bool stopped;
        void (*closed)(void *data);
        void *closed_data;
} BgRefit;

/** @refit: zero. 0 or negative errno; close it in any case. */
int bg_refit_open(BgRefit *refit, uv_loop_t *loop, const BgRefitSpec *spec, BgCore *core, BgHealth *health);
void bg_refit_configure(BgRefit *refit, const BgRefitSpec *spec); /* all but n_threads */
/** Take nothing new; wait for what is under way (milliseconds) and adopt it. What is dirty stays so. */
void bg_refit_stop(BgRefit *refit);
/** Since when the workers owe a result, bg_clock_steady_us; 0 = they do not. */
int64_t bg_refit_waiting_since_us(const BgRefit *refit);
void bg_refit_close(BgRefit *refit, void (*closed)(void *data), void *data);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_REPLAY_H
#define BURGEON_STREAM_REPLAY_H

#include <stdbool.h>

#include "daemon/stream/core.h"

/*
 * The stream core on the events' own clock: files in, forecasts.jsonl, surges.jsonl and report.json out.
 *
 * Deterministic to the byte, whatever the number of threads: series are refitted in steps of one day of event time, in order of
 * their ids, and adopted in that order. Time on the wall and resident memory, which differ from run to run, go to stderr.
 */
typedef struct BgReplaySpec {
        const char *const *paths;
        size_t n_paths;
        const char *out_dir;   /* made when missing; NULL: only the fits */
        const char *fits_path; /* CSV of the last fit of every series of one relation; NULL: none */
        BgRelation fits_relation;
        const char *learned_path; /* what was learned by the end, as learned_start.h; NULL: none */
        BgCoreSpec core;
        int64_t every_us;      /* origins at multiples of each model's own age; 0 = see every_months */
        int every_months;      /* calendar months of age; both 0: a forecast at every revision */
        double unit_days;      /* unit of mu in the fits: 1, 30.4375 or 365.25 */
        unsigned n_threads;    /* >= 1 */
        bool quiet;            /* no summary on stderr */
        bool progress;         /* stderr is a terminal */
} BgReplaySpec;

/** Return: exit code of the process (sysexits): 0, 65 (no usable event), 66 (unreadable input), 73 (cannot write), 71, 74. */
int bg_replay_main(const BgReplaySpec *spec);

/** `origin` plus k calendar months, at the same time of day; the last day of the month where the day does not exist. us. */
int64_t bg_replay_add_months(int64_t origin, int k);

#endif

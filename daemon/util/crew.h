/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_UTIL_CREW_H
#define BURGEON_UTIL_CREW_H

#include <stddef.h>

/** Threads that share one loop at a time: bg_crew_run() cuts [0, n) into ranges of `grain` and returns when all are done. */
typedef struct BgCrew BgCrew;

int bg_crew_new(BgCrew **crewp, unsigned n_threads); /* the caller's thread is one of them; 0 or negative errno */
void bg_crew_free(BgCrew *crew);
void bg_crew_run(BgCrew *crew, size_t n, size_t grain, void (*range)(void *data, size_t from, size_t to), void *data);

#endif

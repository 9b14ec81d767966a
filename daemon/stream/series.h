/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_SERIES_H
#define BURGEON_STREAM_SERIES_H

#include <stddef.h>

#include "daemon/stream/registry.h"

/*
 * How the registry changes a series. `heldp` is the registry's count of bytes held by all series.
 */

void bg_series_deinit(BgSeries *series, size_t *heldp); /* the series then has nothing and is valid */

/** Count one event more. Cost: O(1) in time order, else O(sqrt n). 0 or -ENOMEM. */
int bg_series_insert(BgSeries *series, BgSecond at, size_t *heldp);

/** Many at once: `gone` are in the series, with multiplicity; both lists rise. Cost: O(n). 0 or -ENOMEM. */
int bg_series_edit(BgSeries *series, const BgSecond *gone, size_t n_gone, const BgSecond *fresh, size_t n_fresh, size_t *heldp);

/** Take over all events of another series, which is left without. 0 or -ENOMEM. */
int bg_series_absorb(BgSeries *series, BgSeries *other, size_t *heldp);
/** The same for the tallies (whose overlaps are resolved as registry.h says). */
int bg_series_absorb_tallies(BgSeries *series, BgSeries *other, size_t *heldp);

#define BG_SERIES_E_KNOWN 1
#define BG_SERIES_E_OVERLAP 2
/** Put a tally in, or give another count to the one of this very interval. *deltap: change of the sum. 0, a code, or -ENOMEM. */
int bg_series_put_tally(BgSeries *series, BgSecond from, BgSecond to, int64_t count, int64_t *deltap, size_t *heldp);

/** Sum of the tallies. */
int64_t bg_series_tallied(const BgSeries *series);
/** Number of events in (after, until]. */
uint32_t bg_series_events(const BgSeries *series, BgSecond after, BgSecond until);
/** Index of the first tally that ends after a second; n_tallies when there is none. */
uint32_t bg_series_tally_after(const BgSeries *series, BgSecond second);

#endif

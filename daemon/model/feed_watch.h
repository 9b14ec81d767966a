/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_FEED_WATCH_H
#define BURGEON_MODEL_FEED_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Is the whole feed out? A blackout is a silence of all models together while many events were due, and the catch-up after it.
 *
 * The rate of the feed is an exponential average with a long memory that does not learn from blackouts. A blackout begins at the
 * last event before the silence. When events come again they are taken in blocks: the first block that took at least its share
 * of the usual time ends the catch-up, where that block began. Times are those by which the feed is judged, rising.
 */

typedef struct BgFeedWatchSpec {
        double memory_days;     /* 28: four whole weeks, so that weekends do not look like change */
        double warmup_days;     /* 7: nothing is declared before a whole week was seen */
        double expected_min;    /* 30: silence with so many events due has probability e^-30 if they are independent */
        uint32_t silence_min_s; /* 0: no silence shorter than this; set it above the period of a feed that polls */
        uint32_t block_events;  /* 30: what the catch-up is judged by */
        double block_rate_max;  /* 2: times the usual rate, still usual */
} BgFeedWatchSpec;
BgFeedWatchSpec bg_feed_watch_spec_default(void);

/** Public to be stored; only the functions below write. The zero value has seen nothing. */
typedef struct BgFeedWatch {
        double weight_days;   /* exponentially weighted time observed, <= memory_days */
        double weight_count;  /* exponentially weighted events in it */
        double observed_days; /* outside blackouts */
        uint32_t last_s;      /* last event */
        uint32_t blackout_s;  /* start of the running blackout; 0 = none */
        uint32_t block_s;     /* start of the running block of the catch-up; 0 = silent still */
        uint32_t block_n;
        uint32_t resumed_s; /* end of the last blackout; 0 = none yet */
        bool seen;
} BgFeedWatch;

/** Usual events per day; 0 before there were two. */
double bg_feed_watch_rate(const BgFeedWatch *watch);

/**
 * bg_feed_watch_events() - n events came at a time
 * Times before the last one are taken as that one. Cost: O(1).
 * Return: start of the blackout that this time lies in, 0 = none. watch->resumed_s changes when one ends.
 */
uint32_t bg_feed_watch_events(BgFeedWatch *watch, const BgFeedWatchSpec *spec, uint32_t at_s, uint32_t n);

/** Nothing new until now_s. Return: start of the blackout that now_s lies in, 0 = none. */
uint32_t bg_feed_watch_silence(BgFeedWatch *watch, const BgFeedWatchSpec *spec, uint32_t now_s);

/** The silence after which a blackout is declared, seconds from the last event; UINT32_MAX while none can be. For a timer. */
uint32_t bg_feed_watch_patience_s(const BgFeedWatch *watch, const BgFeedWatchSpec *spec);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/feed_watch.h"

#include <math.h>

#define DAY_S 86400.0

BgFeedWatchSpec bg_feed_watch_spec_default(void)
{
        return (BgFeedWatchSpec){
                .memory_days = 28,
                .warmup_days = 7,
                .expected_min = 30,
                .silence_min_s = 0,
                .block_events = 30,
                .block_rate_max = 2,
        };
}

double bg_feed_watch_rate(const BgFeedWatch *w)
{
        return w->weight_days > 0 ? w->weight_count / w->weight_days : 0;
}

uint32_t bg_feed_watch_patience_s(const BgFeedWatch *w, const BgFeedWatchSpec *spec)
{
        double rate = bg_feed_watch_rate(w), s;

        if (w->observed_days < spec->warmup_days || !(rate > 0))
                return UINT32_MAX;
        s = fmax(ceil(spec->expected_min / rate * DAY_S), spec->silence_min_s);
        return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

/* both weights fade over the same time, so their quotient is a mean over what was really observed, also at the start */
static void learn(BgFeedWatch *w, const BgFeedWatchSpec *spec, uint32_t elapsed_s, uint32_t n)
{
        double days = elapsed_s / DAY_S;
        double keep = exp(-days / spec->memory_days);

        w->weight_days = w->weight_days * keep + spec->memory_days * (1 - keep);
        w->weight_count = w->weight_count * keep + n;
        w->observed_days += days;
}

uint32_t bg_feed_watch_silence(BgFeedWatch *w, const BgFeedWatchSpec *spec, uint32_t now_s)
{
        if (w->seen && !w->blackout_s && now_s > w->last_s && now_s - w->last_s >= bg_feed_watch_patience_s(w, spec)) {
                w->blackout_s = w->last_s ? w->last_s : 1;
                w->block_s = 0;
                w->block_n = 0;
        }
        return w->blackout_s;
}

static void catch_up(BgFeedWatch *w, const BgFeedWatchSpec *spec, uint32_t at_s, uint32_t n)
{
        double usual_s = spec->block_events / (spec->block_rate_max * bg_feed_watch_rate(w)) * DAY_S;

        if (!w->block_s || at_s - w->last_s >= bg_feed_watch_patience_s(w, spec)) {
                w->block_s = at_s ? at_s : 1; /* the first after the silence, or after one more */
                w->block_n = 0;
                return;
        }
        w->block_n += n;
        if (w->block_n < spec->block_events)
                return;
        /* a batch may hold several blocks' worth */
        if (at_s - w->block_s >= usual_s * w->block_n / spec->block_events) {
                w->resumed_s = w->block_s;
                w->blackout_s = 0;
                learn(w, spec, at_s - w->block_s, w->block_n);
        }
        w->block_s = at_s;
        w->block_n = 0;
}

uint32_t bg_feed_watch_events(BgFeedWatch *w, const BgFeedWatchSpec *spec, uint32_t at_s, uint32_t n)
{
        if (!w->seen) {
                w->seen = true; /* the first event only starts the clock */
                w->last_s = at_s;
                return 0;
        }
        if (at_s < w->last_s)
                at_s = w->last_s;
        if (bg_feed_watch_silence(w, spec, at_s))
                catch_up(w, spec, at_s, n);
        else
                learn(w, spec, at_s - w->last_s, n);
        w->last_s = at_s;
        return w->blackout_s;
}

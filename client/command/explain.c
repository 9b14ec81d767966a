/* SPDX-License-Identifier: MIT */
#include "client/command/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/command/print.h"
#include "client/command/text.h"

/* Changes below this share of a number are not worth a word. */
#define NOTABLE .005
/* Surprises below this many standard deviations are what chance does. */
#define SURPRISE 2.0

static const char *plural(double n, const char *one, const char *many)
{
        return n == 1 ? one : many;
}

static const char *children_of(int relation, double n)
{
        switch (relation) {
        case BG_RELATION_FINETUNE:
                return plural(n, "fine-tune", "fine-tunes");
        case BG_RELATION_ADAPTER:
                return plural(n, "adapter", "adapters");
        case BG_RELATION_QUANTIZED:
                return plural(n, "quantization", "quantizations");
        case BG_RELATION_MERGE:
                return plural(n, "merge", "merges");
        default:
                return plural(n, "download", "downloads");
        }
}

/* ---- a revision ---------------------------------------------------------------------------------------------------------------
 */

static void tell_median(FILE *out, const BgForecast *forecast, const BgBefore *before)
{
        const BgHorizon *now = bg_print_horizon(forecast, 90);
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX];
        double change;

        if (!now || !isfinite(now->q50))
                return;
        if (!before || !isfinite(before->q50) || before->days != now->days) {
                fprintf(out, " It expects %s in %g days (median).", bg_text_count(a, now->q50), now->days);
                return;
        }
        change = (now->q50 + 1) / (before->q50 + 1) - 1;
        bg_text_count(a, before->q50);
        bg_text_count(b, now->q50);
        if (fabs(change) < NOTABLE)
                fprintf(out, " The median %g days ahead stayed where it was, at %s.", now->days, b);
        else
                fprintf(out, " The median %g days ahead went %s from %s to %s (%+.1f %%).", now->days, change > 0 ? "up" : "down",
                        a, b, 100 * change);
}

/** What came, and whether that was to be expected: by the spread that the process itself has. */
static void tell_counts(FILE *out, const BgForecast *forecast, const BgWhy *why, const BgBefore *before)
{
        double came = (double)(why->added + why->tallied);
        const BgParameters *p = forecast->parameters;
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX];

        if (came > 0)
                fprintf(out, " Since then %s %s came", bg_text_count(a, came), children_of(forecast->relation, came));
        else
                fprintf(out, " Since then nothing came");
        if (before && isfinite(before->expected)) {
                double surprise = (came - before->expected) / sqrt(before->expected * fmax(p ? p->dispersion : 1, 1) + 1);

                fprintf(out, " in %s, where its curve expected %.*f: %s.",
                        bg_text_duration(b, (double)(forecast->as_of - before->as_of) / 1e6), before->expected < 10 ? 1 : 0,
                        before->expected,
                        surprise > SURPRISE    ? "more than chance explains"
                        : surprise < -SURPRISE ? "fewer than chance explains"
                                               : "within what chance does");
        } else {
                fputc('.', out);
        }
        if (why->late)
                fprintf(out, " %s of them %s late: older than the last revision.", bg_text_count(a, (double)why->late),
                        plural((double)why->late, "is", "are"));
        if (why->tallied && why->added)
                fprintf(out, " %s were told as totals of a time.", bg_text_count(a, (double)why->tallied));
        if (why->removed)
                fprintf(out, " %s vanished and %s no longer counted.", bg_text_count(a, (double)why->removed),
                        plural((double)why->removed, "is", "are"));
}

static void tell_change(FILE *out, const char *name, double before, double now, int digits)
{
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX];

        if (!isfinite(before) || !isfinite(now) || before <= 0)
                return;
        snprintf(a, sizeof(a), "%.*f", digits, before);
        snprintf(b, sizeof(b), "%.*f", digits, now);
        if (fabs(now / before - 1) < NOTABLE || !strcmp(a, b))
                fprintf(out, " its %s stayed at %s", name, b);
        else
                fprintf(out, " its %s went from %s to %s (%+.0f %%)", name, a, b, 100 * (now / before - 1));
}

static void tell_curve(FILE *out, const BgForecast *forecast, const BgWhy *why, const BgBefore *before)
{
        const BgParameters *p = forecast->parameters;

        if (!p || !before)
                return;
        fprintf(out, " The growth curve was fitted anew%s:",
                why->start == BG_START_WARM   ? ", starting from the one before"
                : why->start == BG_START_COLD ? ", from scratch"
                                              : "");
        tell_change(out, "fitness lambda", before->lambda, p->lambda, 2);
        fputc(',', out);
        tell_change(out, "impact time, in days,", exp(fmin(before->mu, 20)), exp(fmin(p->mu, 20)), 0);
        fprintf(out, ", and");
        tell_change(out, "longevity sigma", before->sigma, p->sigma, 2);
        fputc('.', out);
}

static void tell_status(FILE *out, const BgForecast *forecast)
{
        switch (forecast->status) {
        case BG_STATUS_WARMING:
                fprintf(out, " The model is younger than a week: so far the forecast is mostly that of an average model.");
                break;
        case BG_STATUS_WEAK:
                fprintf(out, " The data say less than what is known of all models together: the curve may still move far.");
                break;
        case BG_STATUS_SURGING:
                fprintf(out,
                        " An incident is open: more comes than the forecast allowed, and it may be out of date within hours.");
                break;
        case BG_STATUS_STALE_INPUT:
                fprintf(out, " The sources are silent: what came since is not known.");
                break;
        default:
                break;
        }
}

static void tell_receipts(FILE *out, const BgForecast *forecast)
{
        const BgHorizon *h = bg_print_horizon(forecast, 90);
        char n[BG_TEXT_MAX];

        if (!h || !isfinite(h->c80) || h->n_outcomes <= 0)
                return;
        fprintf(out, " For models of this size 80 %% intervals at about %g days held %.0f %% of %s times%s.", h->days,
                100 * h->c80, bg_text_count(n, (double)h->n_outcomes), h->miscalibrated ? ", which is badly calibrated" : "");
}

static void write_forecast(FILE *out, const BgForecast *forecast)
{
        const BgWhy *why = forecast->why;
        const BgBefore *before = why ? why->before : NULL;
        char when[BG_TEXT_MAX];

        fprintf(out, "Revision %lld of %.*s was made of what was known on %s UTC.", (long long)forecast->rev,
                (int)forecast->model.len, forecast->model.data, bg_text_minute(when, forecast->as_of));
        tell_median(out, forecast, before);
        if (!why || (!before && !forecast->prev_rev)) {
                fprintf(out, " It is the first one: there is none to compare with.");
        } else {
                tell_counts(out, forecast, why, before);
                if (why->refreshed && !why->added && !why->tallied && !why->removed)
                        fprintf(out, " It was renewed because time passed.");
                if (why->release_changed)
                        fprintf(out, " The date of release was corrected, and every age with it.");
                if (why->renamed)
                        fprintf(out, " The model got its present name.");
                if (why->regime)
                        fprintf(out, " A lasting new level was accepted.");
                tell_curve(out, forecast, why, before);
        }
        tell_status(out, forecast);
        tell_receipts(out, forecast);
}

/* ---- an incident --------------------------------------------------------------------------------------------------------------
 */

static void tell_end(FILE *out, const BgSurge *surge)
{
        char when[BG_TEXT_MAX];

        if (surge->state == BG_SURGE_REGIME) {
                fprintf(out, " On %s UTC it was accepted as the new level, and forecasts have learned from it since.",
                        bg_text_minute(when, surge->at));
        } else if (surge->state == BG_SURGE_CLOSED) {
                fprintf(out, " It ended on %s UTC", bg_text_minute(when, surge->at));
                if (bg_str_equal(surge->reason, BG_STR("quiet")))
                        fprintf(out, ", because nothing came any more");
                else if (bg_str_equal(surge->reason, BG_STR("evidence")))
                        fprintf(out, ", because what came since is again what was expected");
                fputc('.', out);
        } else if (surge->closes_when.len) {
                fprintf(out, " What ends it: %.*s.", (int)surge->closes_when.len, surge->closes_when.data);
        }
}

static void write_surge(FILE *out, const BgSurge *surge)
{
        bool burst = surge->kind == BG_SURGE_KIND_BURST,
             over = surge->state == BG_SURGE_CLOSED || surge->state == BG_SURGE_REGIME;
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX];

        fprintf(out, "Incident %.*s %s a %s of %.*s.", (int)surge->id.len, surge->id.data, over ? "was" : "is",
                bg_proto_surge_kind_name(surge->kind), (int)surge->model.len, surge->model.data);
        fprintf(out, " Since about %s UTC %s %s came, where %.*f were expected: %.1f times as many.",
                bg_text_minute(a, surge->onset), bg_text_count(b, (double)surge->observed),
                burst ? "children" : "uploaders' sessions", surge->expected < 10 ? 1 : 0, surge->expected, surge->magnitude);
        fprintf(out, over ? " In the end the evidence was %.1f nats" : " The evidence is %.1f nats", surge->evidence);
        if (isfinite(surge->threshold))
                fprintf(out, "; it takes %.3g to open an incident", surge->threshold);
        fputc('.', out);
        if (surge->authors > 0) {
                fprintf(out, " Behind %s events are %s different %s", bg_text_count(a, (double)surge->events),
                        bg_text_count(b, (double)surge->authors), plural((double)surge->authors, "uploader", "uploaders"));
                if (isfinite(surge->top_author_share))
                        fprintf(out, ", the largest with %.0f %% of them", 100 * surge->top_author_share);
                fprintf(out, burst ? ": the work of few, not adoption." : ": broad, not the work of one.");
        }
        for (size_t i = 0; i < surge->children.n && i < 3; i++)
                fprintf(out, "%s%.*s%s", i ? ", " : " Among the first were ", (int)surge->children.items[i].len,
                        surge->children.items[i].data, i + 1 == surge->children.n || i == 2 ? "." : "");
        tell_end(out, surge);
}

/* -------------------------------------------------------------------------------------------------------------------------------
 */

char *bg_explain_forecast(const BgForecast *forecast)
{
        char *text = NULL;
        size_t n;
        FILE *out = open_memstream(&text, &n);

        if (!out)
                return NULL;
        write_forecast(out, forecast);
        return fclose(out) ? NULL : text;
}

char *bg_explain_surge(const BgSurge *surge)
{
        char *text = NULL;
        size_t n;
        FILE *out = open_memstream(&text, &n);

        if (!out)
                return NULL;
        write_surge(out, surge);
        return fclose(out) ? NULL : text;
}

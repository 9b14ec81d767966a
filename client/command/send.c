/* SPDX-License-Identifier: MIT */
/* send and replay: the same reliable submission, in file order as fast as it goes, or in time order at a chosen pace. */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/burgeon.h"
#include "client/command/command.h"
#include "client/command/text.h"
#include "client/feed/reader.h"

#define DAY_US INT64_C(86400000000)
#define COMPLAINTS_MAX 10     /* shown, of each kind; the rest are counted */
#define RESUME_MS 5000        /* for the first word of the daemon */
#define TAG_LINE_BITS 40      /* a tag is file << 40 | line */
#define PUSH_PERIOD_S 0.05

typedef struct Send {
        BgContext *context;
        char **paths;
        BgSubmitter *submitter;
        BgProgress progress;
        double share; /* done, 0..1, for the bar; negative: not known */
        char source[BG_SOURCE_MAX + 1];
        double patience_s;
        double rate;      /* events a second, 0 = no limit */
        double speed;     /* replay: event-microseconds a second, 0 = no limit */
        int64_t n_events; /* put so far, without clock marks */
        int64_t n_alive;
        int64_t n_bad;    /* lines */
        int64_t n_told;   /* rejections shown */
        double begun;
        double pushed;
} Send;

static void complain(void *data, const char *path, int64_t line, const char *what)
{
        Send *send = data;

        send->n_bad++;
        if (send->n_bad > COMPLAINTS_MAX)
                return;
        bg_progress_end(&send->progress);
        bg_warning(send->context, "%s:%lld: %s", path, (long long)line, what);
        if (send->n_bad == COMPLAINTS_MAX)
                bg_warning(send->context, "(further lines are counted only)");
}

static void rejected(void *data, uint64_t tag, int reason, BgStr detail)
{
        Send *send = data;
        const char *path = send->paths[tag >> TAG_LINE_BITS];
        long long line = (long long)(tag & ((UINT64_C(1) << TAG_LINE_BITS) - 1));

        if (++send->n_told > COMPLAINTS_MAX)
                return;
        bg_progress_end(&send->progress);
        bg_warning(send->context, "%s%s%lld: rejected: %s%s%.*s", send->speed < 0 ? path : "event ", send->speed < 0 ? ":" : "", line,
                   bg_proto_reject_name(reason), detail.len ? ": " : "", (int)detail.len, detail.len ? detail.data : "");
        if (send->n_told == COMPLAINTS_MAX)
                bg_warning(send->context, "(further rejections are counted only)");
}

/* A result of the submitter as an exit status. */
static int explain(const Send *send, int r)
{
        const BgContext *context = send->context;

        switch (r) {
        case BG_E_INTERRUPTED:
                return BG_EXIT_INTERRUPTED;
        case BG_E_TIMEOUT:
                bg_error(context, "no daemon answers at %s; is burgeond running? What was not acknowledged may not have been counted: "
                                  "send again, nothing is counted twice",
                         context->submit);
                return EX_UNAVAILABLE;
        case BG_SUBMITTER_E_REFUSED:
        case BG_SUBMITTER_E_SEQUENCE:
        case BG_SUBMITTER_E_INVALID:
                bg_error(context, "%s", bg_submitter_error(send->submitter));
                return r == BG_SUBMITTER_E_SEQUENCE ? EX_TEMPFAIL : EX_DATAERR;
        default:
                bg_error(context, "%s", strerror(-r));
                return r == -EIO || r == -ENOENT || r == -EACCES || r == -EISDIR ? EX_NOINPUT : EX_OSERR;
        }
}

static bool acknowledged_more(const Send *send, BgSubmitterCounts *before)
{
        BgSubmitterCounts now = bg_submitter_counts(send->submitter);
        bool more = now.last_seq > before->last_seq;

        *before = now;
        return more;
}

/* Put, or with no event flush: patient with a daemon that restarts, and ended by a signal. */
static int put_patiently(Send *send, const BgEvent *event, uint64_t tag)
{
        BgSubmitterCounts before = bg_submitter_counts(send->submitter);
        double since = bg_seconds();
        int r;

        for (;;) {
                r = event ? bg_submitter_put(send->submitter, event, tag, 200) : bg_submitter_flush(send->submitter, 200);
                if (r != BG_E_TIMEOUT && r != BG_E_INTERRUPTED)
                        return r;
                if (bg_interrupted())
                        return BG_E_INTERRUPTED;
                if (acknowledged_more(send, &before))
                        since = bg_seconds();
                if (bg_seconds() - since >= send->patience_s)
                        return BG_E_TIMEOUT;
        }
}

/* Let time pass until there is due what comes next; batches that are not full go out meanwhile. */
static int pause_until(Send *send, double due)
{
        double now;
        int r;

        while ((now = bg_seconds()) < due) {
                double rest = due - now < PUSH_PERIOD_S ? due - now : PUSH_PERIOD_S;
                struct timespec pause = { .tv_nsec = (long)(rest * 1e9) };

                if (bg_interrupted())
                        return BG_E_INTERRUPTED;
                if (now - send->pushed >= PUSH_PERIOD_S) {
                        r = bg_submitter_push(send->submitter);
                        if (r && r != BG_E_INTERRUPTED)
                                return r;
                        send->pushed = now;
                }
                bg_progress_update(&send->progress, (double)send->n_events, send->share);
                nanosleep(&pause, NULL);
        }
        return 0;
}

static int put(Send *send, const BgEvent *event, uint64_t tag)
{
        int r = send->rate > 0 ? pause_until(send, send->begun + (double)send->n_events / send->rate) : 0;

        if (!r)
                r = put_patiently(send, event, tag);
        if (!r)
                send->n_events++;
        if (!r && !(send->n_events & 255) && bg_interrupted())
                r = BG_E_INTERRUPTED;
        return r;
}

static int send_file(Send *send, size_t i, size_t n)
{
        BgFeedReader *reader;
        BgEvent event;
        double share;
        int r = bg_feed_reader_open(&reader, send->paths[i], complain, send);

        if (r) {
                if (r < 0)
                        bg_error(send->context, "%s: %s", send->paths[i], strerror(-r));
                return r < 0 ? EX_NOINPUT : EX_DATAERR;
        }
        while (!(r = bg_feed_reader_next(reader, &event))) {
                r = put(send, &event, (uint64_t)i << TAG_LINE_BITS | (uint64_t)bg_feed_reader_line(reader));
                if (r)
                        break;
                if (!(send->n_events & 255)) {
                        share = bg_feed_reader_progress(reader);
                        send->share = share < 0 ? -1 : ((double)i + share) / (double)n;
                        bg_progress_update(&send->progress, (double)send->n_events, send->share);
                }
        }
        bg_feed_reader_close(reader);
        if (r == BG_FEED_E_END)
                return BG_OPTIONS_RUN;
        bg_progress_end(&send->progress);
        return explain(send, r);
}

static int send_all(Send *send, size_t n_paths)
{
        int r = BG_OPTIONS_RUN;

        bg_progress_begin(&send->progress, send->context, "events");
        for (size_t i = 0; r == BG_OPTIONS_RUN && i < n_paths; i++)
                r = send_file(send, i, n_paths);
        return r;
}

/* "All up to here was said": in a replay that is known, and silence after it is evidence. */
static int put_alive(Send *send, int64_t at)
{
        BgEvent alive = { .type = BG_EVENT_ALIVE, .at = at };
        int r = put_patiently(send, &alive, 0);

        if (!r)
                send->n_alive++;
        return r;
}

static int replay_merged(Send *send, BgFeedMerge *merge)
{
        int64_t first, last, mark, n_all = bg_feed_merge_n_events(merge);
        BgEvent event;
        int r;

        bg_feed_merge_span(merge, &first, &last);
        mark = first - first % DAY_US + DAY_US;
        while (!(r = bg_feed_merge_next(merge, &event))) {
                int64_t time = bg_feed_time(&event);

                send->share = send->speed > 0 ? (double)(time - first) / (double)(last - first + 1) : (double)send->n_events / (double)n_all;
                if (send->speed > 0)
                        r = pause_until(send, send->begun + (double)(time - first) / send->speed);
                if (!r && time > mark) {
                        mark = time - time % DAY_US + DAY_US;
                        r = put_alive(send, mark - DAY_US);
                }
                if (!r)
                        r = put(send, &event, (uint64_t)send->n_events + 1);
                if (r)
                        return r;
                if (!(send->n_events & 63))
                        bg_progress_update(&send->progress, (double)send->n_events, send->share);
        }
        if (r != BG_FEED_E_END)
                return r;
        return send->n_events ? put_alive(send, last) : 0;
}

static int replay_all(Send *send, size_t n_paths)
{
        char from[BG_TEXT_MAX], to[BG_TEXT_MAX], count[BG_TEXT_MAX];
        int64_t first, last;
        BgFeedMerge *merge;
        int r = bg_feed_merge_open(&merge, (const char *const *)send->paths, n_paths, complain, send);

        if (r) {
                if (r < 0)
                        bg_error(send->context, "%s", strerror(-r));
                return r < 0 ? EX_NOINPUT : EX_DATAERR;
        }
        bg_feed_merge_span(merge, &first, &last);
        bg_note(send->context, "replaying %s events, %s to %s", bg_text_count(count, (double)bg_feed_merge_n_events(merge)),
                bg_text_day(from, first), bg_text_day(to, last));
        send->begun = bg_seconds();
        bg_progress_begin(&send->progress, send->context, "events");
        r = replay_merged(send, merge);
        bg_progress_end(&send->progress);
        bg_feed_merge_close(merge);
        return r ? explain(send, r) : BG_OPTIONS_RUN;
}

/* ---- the summary -------------------------------------------------------------------------------------------------------------- */

static void summarize_json(const Send *send, const BgSubmitterCounts *counts, double seconds)
{
        const char *separator = "";

        printf("{\"events\":%lld,\"clock_marks\":%lld,\"accepted\":%lld,\"duplicates\":%lld,\"rejected\":%lld,"
               "\"rejected_by_reason\":{",
               (long long)send->n_events, (long long)send->n_alive, (long long)counts->accepted, (long long)counts->duplicates,
               (long long)counts->rejected);
        for (int i = 1; i < BG_REJECT_N; i++) {
                if (!counts->by_reason[i])
                        continue;
                printf("%s\"%s\":%lld", separator, bg_proto_reject_name(i), (long long)counts->by_reason[i]);
                separator = ",";
        }
        printf("},\"unreadable_lines\":%lld,\"unacknowledged\":%lld,\"resent_batches\":%lld,\"seconds\":%.3f}\n", (long long)send->n_bad,
               (long long)counts->unacknowledged, (long long)counts->resent, seconds);
}

static void summarize(const Send *send)
{
        BgSubmitterCounts counts = bg_submitter_counts(send->submitter);
        double seconds = bg_seconds() - send->begun;
        char a[BG_TEXT_MAX], b[BG_TEXT_MAX], c[BG_TEXT_MAX], d[BG_TEXT_MAX];

        if (send->context->json) {
                summarize_json(send, &counts, seconds);
                return;
        }
        printf("%s events", bg_text_count(a, (double)send->n_events));
        if (send->n_alive)
                printf(" and %s clock marks", bg_text_count(a, (double)send->n_alive));
        printf(": %s accepted, %s duplicates, %s rejected", bg_text_count(b, (double)counts.accepted),
               bg_text_count(c, (double)counts.duplicates), bg_text_count(d, (double)counts.rejected));
        for (int i = 1, n = 0; i < BG_REJECT_N; i++)
                if (counts.by_reason[i])
                        printf("%s%s %s", n++ ? ", " : " (", bg_proto_reject_name(i), bg_text_count(a, (double)counts.by_reason[i]));
        for (int i = 1; i < BG_REJECT_N; i++) {
                if (!counts.by_reason[i])
                        continue;
                putchar(')');
                break;
        }
        if (send->n_bad)
                printf("; %s unreadable lines", bg_text_count(a, (double)send->n_bad));
        if (counts.unacknowledged)
                printf("; %s not acknowledged", bg_text_count(a, (double)counts.unacknowledged));
        printf("; %s, %s/s\n", bg_text_duration(a, seconds), bg_text_short(b, seconds > 0 ? (double)send->n_events / seconds : 0));
}

/* The same file is the same source again: the daemon then knows where it was. */
static void default_source(char source[BG_SOURCE_MAX + 1], const char *command, const char *path)
{
        char *copy = strdup(path);
        const char *name = !strcmp(path, "-") ? "stdin" : copy ? basename(copy) : "file";
        int n = snprintf(source, BG_SOURCE_MAX + 1, "%s:%.40s", command, name);

        for (int i = 0; i < n; i++)
                if ((unsigned char)source[i] < 0x20 || (unsigned char)source[i] > 0x7e)
                        source[i] = '_';
        free(copy);
}

static int submit(Send *send, const char *source, size_t batch, size_t n_paths, bool replay, bool lenient)
{
        const BgContext *context = send->context;
        BgSubmitterCounts counts;
        int r, status;

        r = bg_submitter_new(&send->submitter, &(BgSubmitterSpec){ .endpoint = context->submit, .source = source, .batch_events = batch,
                                                                   .ack_timeout_ms = 3000, .rejected = rejected, .data = send });
        if (r) {
                bg_error(context, "%s: %s", context->submit, strerror(-r));
                return r == -EINVAL ? EX_USAGE : EX_OSERR;
        }
        r = bg_submitter_resume(send->submitter, RESUME_MS, NULL);
        if (r) {
                if (r == BG_E_TIMEOUT)
                        bg_error(context, "no daemon answers at %s; is burgeond running?", context->submit);
                return r == BG_E_TIMEOUT ? EX_UNAVAILABLE : explain(send, r);
        }
        send->begun = bg_seconds();
        status = replay ? replay_all(send, n_paths) : send_all(send, n_paths);
        /* what was read is still delivered after a bad file; not after a failure or an interrupt */
        if (status == BG_OPTIONS_RUN || status == EX_NOINPUT || status == EX_DATAERR) {
                r = put_patiently(send, NULL, 0);
                if (r)
                        status = explain(send, r);
        }
        bg_progress_end(&send->progress);
        summarize(send);
        counts = bg_submitter_counts(send->submitter);
        if (status == BG_OPTIONS_RUN && counts.accepted && !counts.durable)
                bg_note(context, "the daemon keeps no state: what it counted ends with it");
        if (status != BG_OPTIONS_RUN)
                return status;
        return (counts.rejected || send->n_bad) && !lenient ? EX_DATAERR : EX_OK;
}

static int run(BgContext *context, const BgCommand *command, int argc, char **argv, bool replay)
{
        const char *source = NULL, *speed = replay ? "30" : NULL;
        int64_t batch = 1000;
        double rate = 0, patience_s = 60;
        bool lenient = false;
        const BgOption options[] = {
                { "source", 0, BG_OPTION_TEXT, "NAME", &source, 0, 0, "name of the feed, one at a time; else the first file's" },
                { "batch", 'b', BG_OPTION_INTEGER, "N", &batch, 1, BG_BATCH_EVENTS_MAX, "events a batch" },
                { "rate", 0, BG_OPTION_NUMBER, "N", &rate, 0.001, 1e9, "at most N events a second" },
                { "patience", 0, BG_OPTION_NUMBER, "S", &patience_s, 1, 1e6, "give up after S seconds without an answer" },
                { "lenient", 0, BG_OPTION_FLAG, NULL, &lenient, 0, 0, "exit 0 in spite of rejected lines and events" },
                { replay ? "speed" : NULL, 0, BG_OPTION_TEXT, "N|max", &speed, 0, 0, "days of history a second" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        Send send = { .context = context, .speed = -1, .share = -1 };
        char **operands, *end;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        if (!n_operands)
                return bg_usage(context, command, "which file? ('-' is standard input)");
        if (source && (!source[0] || strlen(source) > BG_SOURCE_MAX))
                return bg_usage(context, command, "--source: expected 1 .. %d bytes", BG_SOURCE_MAX);
        if (replay) {
                send.speed = 0;
                if (strcmp(speed, "max")) {
                        send.speed = strtod(speed, &end) * (double)DAY_US;
                        if (end == speed || *end || !(send.speed > 0 && send.speed < 1e300))
                                return bg_usage(context, command, "--speed: expected days a second, or max, got '%s'", speed);
                }
        }
        default_source(send.source, command->name, operands[0]);
        send.paths = operands;
        send.rate = rate;
        send.patience_s = patience_s;
        r = submit(&send, source ? source : send.source, (size_t)batch, (size_t)n_operands, replay, lenient);
        bg_submitter_free(send.submitter);
        return r;
}

int bg_command_send(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        return run(context, command, argc, argv, false);
}

int bg_command_replay(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        return run(context, command, argc, argv, true);
}

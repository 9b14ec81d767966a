/* SPDX-License-Identifier: MIT */
/*
 * Batches wait, packed, in a queue until they are acknowledged; those that were handed to the socket are its first n_sent. After
 * a silence the connection is made anew and all of them are sent again, in order: the daemon knows the numbers it has.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/burgeon.h"
#include "client/wire.h"

#define BATCH_EVENTS 1000
#define ACK_TIMEOUT_MS 5000
#define BUSY_PAUSE_MS 200
#define CREDIT_FIRST 10000 /* events, until the daemon names its own */
#define QUEUE_MAX 10000

typedef struct Batch {
        int64_t seq;
        size_t n_events;
        BgBuffer bytes;
        uint64_t *tags;
        struct Batch *next;
} Batch;

struct BgSubmitter {
        char *endpoint;
        char *source;
        size_t batch_events;
        int ack_timeout_ms;
        BgSubmitterRejected *rejected;
        void *data;

        BgWire wire;
        BgWireMessage message;
        BgArena in;
        BgAck ack;

        BgEvent *open; /* the open batch: events with their texts in `texts` */
        uint64_t *tags;
        size_t n_open;
        BgArena texts;

        Batch *first; /* unacknowledged, by rising seq */
        Batch **endp;
        Batch *unsent; /* the first that was not handed to the socket yet; NULL = none */
        int64_t next_seq;
        int64_t credit;
        int64_t heard_ms;     /* last answer, or when something was sent with nothing outstanding */
        int64_t not_before_ms; /* a busy daemon is given a pause */
        int failure;          /* BG_SUBMITTER_E_REFUSED or _SEQUENCE: sticks until resumed */
        BgSubmitterCounts counts;
        char error[400];
};

static int fail(BgSubmitter *submitter, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(BgSubmitter *submitter, int result, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(submitter->error, sizeof(submitter->error), format, arguments);
        va_end(arguments);
        return result;
}

int bg_submitter_new(BgSubmitter **submitterp, const BgSubmitterSpec *spec)
{
        size_t n = spec->batch_events ? spec->batch_events : BATCH_EVENTS;
        BgSubmitter *submitter;
        int r;

        *submitterp = NULL;
        if (!spec->source || !spec->source[0] || strlen(spec->source) > BG_SOURCE_MAX || n > BG_BATCH_EVENTS_MAX)
                return -EINVAL;
        submitter = calloc(1, sizeof(*submitter));
        if (!submitter)
                return -ENOMEM;
        submitter->endp = &submitter->first;
        submitter->batch_events = n;
        submitter->ack_timeout_ms = spec->ack_timeout_ms > 0 ? spec->ack_timeout_ms : ACK_TIMEOUT_MS;
        submitter->rejected = spec->rejected;
        submitter->data = spec->data;
        submitter->next_seq = 1;
        submitter->credit = CREDIT_FIRST;
        submitter->endpoint = strdup(spec->endpoint ? spec->endpoint : BG_SUBMIT_ENDPOINT);
        submitter->source = strdup(spec->source);
        submitter->open = calloc(n, sizeof(*submitter->open));
        submitter->tags = calloc(n, sizeof(*submitter->tags));
        r = submitter->endpoint && submitter->source && submitter->open && submitter->tags ? 0 : -ENOMEM;
        if (!r)
                r = bg_wire_open(&submitter->wire, BG_WIRE_DEALER, submitter->endpoint, QUEUE_MAX);
        if (r) {
                bg_submitter_free(submitter);
                return r;
        }
        *submitterp = submitter;
        return 0;
}

static void drop_first(BgSubmitter *submitter)
{
        Batch *batch = submitter->first;

        submitter->first = batch->next;
        if (!submitter->first)
                submitter->endp = &submitter->first;
        if (submitter->unsent == batch)
                submitter->unsent = batch->next;
        submitter->counts.unacknowledged -= (int64_t)batch->n_events;
        bg_buffer_deinit(&batch->bytes);
        free(batch->tags);
        free(batch);
}

void bg_submitter_free(BgSubmitter *submitter)
{
        if (!submitter)
                return;
        while (submitter->first)
                drop_first(submitter);
        bg_wire_message_deinit(&submitter->message);
        bg_wire_close(&submitter->wire);
        bg_arena_deinit(&submitter->in);
        bg_arena_deinit(&submitter->texts);
        free(submitter->open);
        free(submitter->tags);
        free(submitter->endpoint);
        free(submitter->source);
        free(submitter);
}

/* ---- out -------------------------------------------------------------------------------------------------------------------- */

static int pack_batch(BgSubmitter *submitter, int64_t seq, BgBuffer *bytes)
{
        BgBatch batch;

        bg_proto_init(&bg_proto_batch, &batch);
        batch.source = bg_str(submitter->source);
        batch.seq = seq;
        batch.events.items = submitter->open;
        batch.events.n = seq ? submitter->n_open : 0;
        return bg_proto_pack(&bg_proto_batch, &batch, bytes);
}

/* Close the open batch: pack it and put it at the end of the queue. */
static int close_batch(BgSubmitter *submitter)
{
        Batch *batch = calloc(1, sizeof(*batch));
        int r = -ENOMEM;

        if (batch)
                batch->tags = malloc(submitter->n_open * sizeof(*batch->tags));
        if (batch && batch->tags)
                r = pack_batch(submitter, submitter->next_seq, &batch->bytes);
        if (r) {
                if (batch) {
                        bg_buffer_deinit(&batch->bytes);
                        free(batch->tags);
                }
                free(batch);
                return r;
        }
        memcpy(batch->tags, submitter->tags, submitter->n_open * sizeof(*batch->tags));
        batch->seq = submitter->next_seq++;
        batch->n_events = submitter->n_open;
        *submitter->endp = batch;
        submitter->endp = &batch->next;
        if (!submitter->unsent)
                submitter->unsent = batch;
        submitter->counts.unacknowledged += (int64_t)batch->n_events;
        submitter->n_open = 0;
        bg_arena_clear(&submitter->texts);
        return 0;
}

static int send_queued(BgSubmitter *submitter)
{
        int64_t now = bg_wire_now();
        int r;

        if (now < submitter->not_before_ms)
                return 0;
        while (submitter->unsent) {
                if (submitter->unsent == submitter->first)
                        submitter->heard_ms = now; /* the silence begins with the first question */
                r = bg_wire_send(&submitter->wire, submitter->unsent->bytes.data, submitter->unsent->bytes.len);
                if (r == BG_E_TIMEOUT)
                        return 0;
                if (r)
                        return r;
                submitter->unsent = submitter->unsent->next;
        }
        return 0;
}

static int send_again(BgSubmitter *submitter)
{
        for (Batch *batch = submitter->first; batch && batch != submitter->unsent; batch = batch->next)
                submitter->counts.resent++;
        submitter->unsent = submitter->first;
        submitter->heard_ms = bg_wire_now();
        bg_wire_message_deinit(&submitter->message);
        bg_wire_close(&submitter->wire);
        return bg_wire_open(&submitter->wire, BG_WIRE_DEALER, submitter->endpoint, QUEUE_MAX);
}

/* ---- in --------------------------------------------------------------------------------------------------------------------- */

static void count_acked(BgSubmitter *submitter, const Batch *batch)
{
        const BgAck *ack = &submitter->ack;
        BgSubmitterCounts *counts = &submitter->counts;

        counts->accepted += ack->accepted;
        counts->duplicates += ack->duplicates;
        counts->rejected += ack->rejected;
        for (size_t i = 0; i < ack->rejections.n; i++) {
                const BgRejection *rejection = &ack->rejections.items[i];

                counts->by_reason[rejection->reason]++;
                if (submitter->rejected && (size_t)rejection->index < batch->n_events)
                        submitter->rejected(submitter->data, batch->tags[rejection->index], rejection->reason, rejection->detail);
        }
}

static int take_refusal(BgSubmitter *submitter)
{
        const BgAck *ack = &submitter->ack;

        if (ack->error == BG_ERROR_BUSY) {
                submitter->not_before_ms = bg_wire_now() + BUSY_PAUSE_MS;
                submitter->unsent = submitter->first;
                return 0;
        }
        if (ack->error == BG_ERROR_SEQUENCE && submitter->first && ack->last_seq + 1 >= submitter->first->seq) {
                /* a batch before it did not arrive, and its acknowledgement is not here yet: begin at the first again */
                submitter->not_before_ms = bg_wire_now() + BUSY_PAUSE_MS;
                submitter->unsent = submitter->first;
                submitter->counts.resent++;
                return 0;
        }
        if (ack->error == BG_ERROR_SEQUENCE) {
                submitter->failure = BG_SUBMITTER_E_SEQUENCE;
                return fail(submitter, BG_SUBMITTER_E_SEQUENCE, "the daemon has seen batch %lld of source '%s' last, not %lld",
                            (long long)ack->last_seq, submitter->source,
                            submitter->first ? (long long)submitter->first->seq - 1 : (long long)submitter->next_seq - 1);
        }
        submitter->failure = BG_SUBMITTER_E_REFUSED;
        return fail(submitter, BG_SUBMITTER_E_REFUSED, "batch %lld was refused: %s%s%.*s", (long long)ack->seq,
                    bg_proto_error_name(ack->error), ack->detail.len ? ": " : "", (int)ack->detail.len,
                    ack->detail.len ? ack->detail.data : "");
}

/* 0: a (possibly late) acknowledgement was taken in. */
static int take_ack(BgSubmitter *submitter)
{
        const BgAck *ack = &submitter->ack;

        if (ack->error)
                return take_refusal(submitter);
        if (ack->credit > 0)
                submitter->credit = ack->credit;
        if (ack->last_seq >= submitter->next_seq) {
                submitter->failure = BG_SUBMITTER_E_SEQUENCE;
                return fail(submitter, BG_SUBMITTER_E_SEQUENCE, "another feed uses the name of source '%s'", submitter->source);
        }
        if (ack->last_seq > submitter->counts.last_seq)
                submitter->counts.last_seq = ack->last_seq;
        /* acknowledgements come in order; an earlier one that got lost was for a batch that was taken all the same */
        submitter->counts.durable = ack->durable;
        while (submitter->first && submitter->first->seq <= ack->seq) {
                if (submitter->first->seq == ack->seq)
                        count_acked(submitter, submitter->first);
                drop_first(submitter);
        }
        return 0;
}

static int receive_ack(BgSubmitter *submitter, int64_t deadline)
{
        BgProtoError error;
        int r = bg_wire_receive(&submitter->wire, deadline, &submitter->message);

        if (r)
                return r;
        submitter->heard_ms = bg_wire_now();
        bg_arena_clear(&submitter->in);
        r = bg_proto_unpack(&bg_proto_ack, submitter->message.frames[0].bytes, submitter->message.frames[0].n_bytes, &submitter->in,
                            &submitter->ack, &error);
        if (r == BG_PROTO_E_MALFORMED)
                return fail(submitter, BG_SUBMITTER_E_REFUSED, "an answer is not understood: %s", error.text);
        return r;
}

/* Send what waits, take in one answer, send again after a silence. E_TIMEOUT: nothing happened until `deadline`. */
static int turn(BgSubmitter *submitter, int64_t deadline)
{
        int64_t until = deadline, overdue;
        int r;

        if (submitter->failure)
                return submitter->failure;
        r = send_queued(submitter);
        if (r)
                return r;
        overdue = submitter->first ? submitter->heard_ms + submitter->ack_timeout_ms : INT64_MAX;
        if (overdue < until)
                until = overdue;
        if (submitter->unsent && submitter->not_before_ms > bg_wire_now() && submitter->not_before_ms < until)
                until = submitter->not_before_ms;
        r = receive_ack(submitter, until);
        if (!r)
                return take_ack(submitter);
        if (r != BG_E_TIMEOUT)
                return r;
        if (bg_wire_now() >= overdue)
                return send_again(submitter);
        return bg_wire_now() < deadline ? 0 : BG_E_TIMEOUT;
}

int bg_submitter_resume(BgSubmitter *submitter, int timeout_ms, int64_t *last_seqp)
{
        int64_t deadline = bg_wire_deadline(timeout_ms), again;
        BgBuffer bytes = { 0 };
        int r = pack_batch(submitter, 0, &bytes);

        while (submitter->first)
                drop_first(submitter);
        submitter->failure = 0;
        while (!r) {
                r = bg_wire_send(&submitter->wire, bytes.data, bytes.len);
                if (r && r != BG_E_TIMEOUT)
                        break;
                again = bg_wire_now() + submitter->ack_timeout_ms;
                do {
                        r = receive_ack(submitter, again < deadline ? again : deadline);
                } while (!r && submitter->ack.seq != 0 && !submitter->ack.error);
                if (r != BG_E_TIMEOUT || bg_wire_now() >= deadline)
                        break;
                r = send_again(submitter); /* the question may have gone to a daemon that died */
        }
        bg_buffer_deinit(&bytes);
        if (r)
                return r;
        if (submitter->ack.error && submitter->ack.error != BG_ERROR_SEQUENCE)
                return take_refusal(submitter) ? submitter->failure : BG_E_TIMEOUT;
        if (submitter->ack.credit > 0)
                submitter->credit = submitter->ack.credit;
        submitter->counts.last_seq = submitter->ack.last_seq;
        submitter->next_seq = submitter->ack.last_seq + 1;
        if (last_seqp)
                *last_seqp = submitter->ack.last_seq;
        return 0;
}

/* ---- events ----------------------------------------------------------------------------------------------------------------- */

static const char *check_event(const BgEvent *event)
{
        bool at = event->at >= BG_TIME_MIN && event->at <= BG_TIME_MAX;

        switch (event->type) {
        case BG_EVENT_ADD:
                if (event->release && (event->release < BG_TIME_MIN || event->release > BG_TIME_MAX))
                        return "release: not between 2015 and 2200";
                /* fall through */
        case BG_EVENT_REMOVE:
                if (!bg_proto_name_valid(event->child))
                        return "child: not of the form author/name";
                break;
        case BG_EVENT_MOVE:
                if (!bg_proto_name_valid(event->from_name) || !bg_proto_name_valid(event->to_name))
                        return "from, to: not of the form author/name";
                if (!event->model.len != !event->to_model.len)
                        return "model, to_model: both or neither";
                if (event->to_model.len && !bg_proto_name_valid(event->to_model))
                        return "to_model: not of the form org/name";
                break;
        case BG_EVENT_TALLY:
                if (event->from < BG_TIME_MIN || event->to > BG_TIME_MAX || event->from >= event->to)
                        return "from, to: not an interval between 2015 and 2200";
                if (event->count < 0 || event->count > BG_COUNT_MAX)
                        return "count: not in 0 .. 1e12";
                at = true;
                break;
        case BG_EVENT_RELEASE:
                break;
        case BG_EVENT_ALIVE:
                return !at ? "at: not between 2015 and 2200" : event->source.len > BG_SOURCE_MAX ? "source: too long" : NULL;
        default:
                return "t: not a type of event";
        }
        if ((unsigned)event->relation >= BG_RELATION_N)
                return "relation: not known";
        if ((event->type != BG_EVENT_MOVE || event->model.len) && !bg_proto_name_valid(event->model))
                return "model: not of the form org/name";
        return at ? NULL : "at: not between 2015 and 2200";
}

static int keep(BgSubmitter *submitter, const BgEvent *event, uint64_t tag)
{
        BgEvent *kept = &submitter->open[submitter->n_open];
        BgStr *texts[] = { &kept->model, &kept->child, &kept->from_name, &kept->to_name, &kept->to_model, &kept->source };

        *kept = *event;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                if (!texts[i]->len)
                        continue;
                texts[i]->data = bg_arena_copy(&submitter->texts, texts[i]->data, texts[i]->len);
                if (!texts[i]->data)
                        return -ENOMEM;
        }
        submitter->tags[submitter->n_open++] = tag;
        return 0;
}

/* Room for one more batch: within the credit, but one batch may always be on its way. */
static bool has_room(const BgSubmitter *submitter)
{
        return !submitter->first || submitter->counts.unacknowledged + (int64_t)submitter->batch_events <= submitter->credit;
}

int bg_submitter_put(BgSubmitter *submitter, const BgEvent *event, uint64_t tag, int timeout_ms)
{
        const char *wrong = check_event(event);
        int64_t deadline;
        int r;

        if (wrong)
                return fail(submitter, BG_SUBMITTER_E_INVALID, "%s", wrong);
        if (submitter->failure)
                return submitter->failure;
        if (submitter->n_open == submitter->batch_events) {
                deadline = bg_wire_deadline(timeout_ms);
                while (!has_room(submitter)) {
                        r = turn(submitter, deadline);
                        if (r)
                                return r;
                }
                r = close_batch(submitter);
                if (!r)
                        r = turn(submitter, 0);
                if (r && r != BG_E_TIMEOUT)
                        return r;
        }
        r = keep(submitter, event, tag);
        if (!r)
                submitter->counts.put++;
        return r;
}

int bg_submitter_push(BgSubmitter *submitter)
{
        int r = submitter->failure;

        if (!r && submitter->n_open && has_room(submitter))
                r = close_batch(submitter);
        while (!r)
                r = turn(submitter, 0);
        return r == BG_E_TIMEOUT ? 0 : r;
}

int bg_submitter_flush(BgSubmitter *submitter, int timeout_ms)
{
        int64_t deadline = bg_wire_deadline(timeout_ms);
        int r = submitter->failure;

        if (!r && submitter->n_open)
                r = close_batch(submitter);
        while (!r && submitter->first)
                r = turn(submitter, deadline);
        return r;
}

BgSubmitterCounts bg_submitter_counts(const BgSubmitter *submitter)
{
        return submitter->counts;
}

const char *bg_submitter_error(const BgSubmitter *submitter)
{
        return submitter->error;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/ingest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/clock.h"
#include "daemon/util/log.h"

enum {
        REJECTIONS_MAX = 64, /* told in an acknowledgement (messages.def) */
        /* Dead letters are for people: a source that sends nothing but rubbish must not fill the disk with it. */
        LETTERS_BURST = 10000,
        LETTERS_PER_S = 10,
};

struct BgIngestUpstream {
        char name[BG_SOURCE_MAX];
        size_t name_len;
        int64_t seq; /* of its last batch */
};

/* ---- refused events -------------------------------------------------------------------------------------------------------- */

static const char *reason_text(BgReject reason)
{
        switch (reason) {
        case BG_REJECT_MALFORMED:
                return "not of the documented type";
        case BG_REJECT_UNKNOWN_TYPE:
                return "no such type of event";
        case BG_REJECT_MISSING:
                return "is missing";
        case BG_REJECT_RANGE:
                return "out of its range";
        case BG_REJECT_NAME:
                return "not a name like org/model, of letters, digits, '.', '_' and '-'";
        case BG_REJECT_FUTURE:
                return "more than 5 minutes in the future";
        case BG_REJECT_TOO_OLD:
                return "before 2015";
        case BG_REJECT_INTERVAL:
                return "must be after `from`";
        case BG_REJECT_OVERLAP:
                return "the interval overlaps another one that is tallied already";
        case BG_REJECT_SELF:
                return "a model cannot derive from, or move to, itself";
        case BG_REJECT_LIMIT:
                return "this daemon's limit is reached";
        case BG_REJECT_NONE:
        case BG_REJECT_N:
                break;
        }
        return "refused";
}

static void reason_detail(char *text, size_t size, const BgEvent *event, BgReject reason)
{
        const char *key = event->reject_key;

        snprintf(text, size, "%.*s%s%s", (int)sizeof(event->reject_key), key, *key ? ": " : "", reason_text(reason));
}

static bool may_put_away(BgIngest *ingest, int64_t now)
{
        if (now > ingest->letters_at) /* the time of day may be set back */
                ingest->letters += (double)(now - ingest->letters_at) / 1e6 * LETTERS_PER_S;
        if (!(ingest->letters < LETTERS_BURST))
                ingest->letters = LETTERS_BURST;
        ingest->letters_at = now;
        if (ingest->letters < 1)
                return false;
        ingest->letters -= 1;
        return true;
}

static int put_away(BgIngest *ingest, const BgBatch *batch, size_t index, BgReject reason, const char *detail, int64_t now)
{
        const BgEvent *event = &batch->events.items[index];
        int r;

        if (!ingest->store)
                return 0;
        if (!may_put_away(ingest, now)) {
                ingest->health->dead_letters_skipped++;
                return 0;
        }
        bg_buffer_clear(&ingest->buffer);
        if (event->refused.len)
                r = bg_proto_bytes_to_json(event->refused.data, event->refused.len, &ingest->buffer);
        else
                r = bg_proto_to_json(&bg_proto_event, event, &ingest->buffer);
        if (!r)
                r = bg_store_append_rejected(ingest->store, batch->source, batch->seq, (int64_t)index, reason, bg_str(detail),
                                             (BgStr){ ingest->buffer.data, ingest->buffer.len }, now);
        if (!r)
                ingest->health->dead_letters++;
        return r;
}

/* ---- a batch --------------------------------------------------------------------------------------------------------------- */

/* What an acknowledgement will say; `arena` holds its texts. */
typedef struct Outcome {
        BgArena *arena;
        int64_t accepted;
        int64_t duplicates;
        int64_t rejected;
        BgRejection *rejections; /* the first REJECTIONS_MAX */
} Outcome;

static int refuse_event(BgIngest *ingest, const BgBatch *batch, size_t index, BgReject reason, Outcome *outcome, int64_t now)
{
        char detail[256];

        reason_detail(detail, sizeof(detail), &batch->events.items[index], reason);
        ingest->health->rejected[reason]++;
        if (outcome->rejected < REJECTIONS_MAX) {
                char *kept = bg_arena_copy(outcome->arena, detail, strlen(detail));

                if (!outcome->rejections)
                        outcome->rejections = bg_arena_alloc(outcome->arena, REJECTIONS_MAX, sizeof(*outcome->rejections));
                if (!kept || !outcome->rejections)
                        return -ENOMEM;
                outcome->rejections[outcome->rejected] = (BgRejection){ .index = (int64_t)index, .reason = reason, .detail = bg_str(kept) };
        }
        outcome->rejected++;
        return put_away(ingest, batch, index, reason, detail, now);
}

static int take_batch(BgIngest *ingest, const BgBatch *batch, Outcome *outcome)
{
        int64_t now = bg_clock_now_us();
        int r = 0;

        for (size_t i = 0; i < batch->events.n && r >= 0; i++) {
                BgReject reason = BG_REJECT_NONE;

                r = bg_core_apply(ingest->core, batch->source, &batch->events.items[i], now, &reason);
                if (r == BG_CORE_E_DUPLICATE)
                        outcome->duplicates++;
                else if (r == BG_CORE_E_REJECTED)
                        r = refuse_event(ingest, batch, i, reason, outcome, now);
                else if (!r)
                        outcome->accepted++;
        }
        if (r >= 0)
                r = bg_core_batch_done(ingest->core, batch->source, batch->seq, now);
        return r < 0 ? r : 0;
}

/* The core failed in the middle of a batch. With a failed store it goes on answering; without memory there is nothing to go on with. */
static bool is_store_failure(BgIngest *ingest)
{
        int failed = ingest->store ? bg_store_error(ingest->store, NULL) : 0;

        if (failed)
                bg_commit_fail(ingest->commit, failed);
        return failed != 0;
}

/* ---- submit ---------------------------------------------------------------------------------------------------------------- */

typedef struct PendingAck {
        BgCommitWaiter waiter;
        BgIngest *ingest;
        BgArena arena;
        BgAck ack;
        size_t n_envelope;
        zmq_msg_t envelope[];
} PendingAck;

static void send_ack(BgIngest *ingest, zmq_msg_t *envelope, size_t n_envelope, const BgAck *ack)
{
        zmq_msg_t frames[BG_BRIDGE_FRAMES_MAX];
        int r;

        bg_buffer_clear(&ingest->buffer);
        r = bg_proto_pack(&bg_proto_ack, ack, &ingest->buffer);
        for (size_t i = 0; i < n_envelope; i++) {
                zmq_msg_init(&frames[i]);
                zmq_msg_move(&frames[i], &envelope[i]);
        }
        if (!r)
                r = bg_bridge_frame(&frames[n_envelope], ingest->buffer.data, ingest->buffer.len);
        if (r)
                bg_bridge_frames_close(frames, n_envelope);
        else
                r = bg_bridge_send(&ingest->submit.bridge, frames, n_envelope + 1);
        if (r) {
                /* the sender sends again, and finds everything counted already */
                ingest->health->acks_lost++;
                bg_log(BG_LOG_DEBUG, "submit.ack_lost", "an acknowledgement could not be delivered",
                       bg_kv_len("source", ack->source.data, ack->source.len), bg_kv_int("seq", ack->seq));
        }
}

static void pending_free(PendingAck *pending)
{
        bg_bridge_frames_close(pending->envelope, pending->n_envelope);
        bg_arena_deinit(&pending->arena);
        free(pending);
}

static void on_durable(BgCommitWaiter *waiter, int result)
{
        PendingAck *pending = (PendingAck *)waiter;
        BgAck *ack = &pending->ack;
        char detail[128];

        ack->durable = result == 0 && !ack->error;
        if (result < 0) {
                ack->accepted = ack->duplicates = ack->rejected = ack->last_seq = 0;
                ack->rejections.n = 0;
        }
        if (result < 0 && !ack->error) {
                snprintf(detail, sizeof(detail), "could not be stored: %s; send it again when the daemon was restarted", strerror(-result));
                ack->error = BG_ERROR_INTERNAL;
                ack->detail = bg_str(detail);
                pending->ingest->health->submit_refused++;
        }
        send_ack(pending->ingest, pending->envelope, pending->n_envelope, ack);
        pending_free(pending);
}

static PendingAck *pending_new(BgIngest *ingest, size_t n_envelope, const BgBatch *batch)
{
        PendingAck *pending = calloc(1, sizeof(*pending) + n_envelope * sizeof(pending->envelope[0]));
        char *source = NULL;

        if (!pending)
                return NULL;
        pending->waiter.done = on_durable;
        pending->ingest = ingest;
        bg_proto_init(&bg_proto_ack, &pending->ack);
        if (batch->source.len)
                source = bg_arena_copy(&pending->arena, batch->source.data, batch->source.len);
        if (batch->source.len && !source) {
                pending_free(pending);
                return NULL;
        }
        pending->ack.source = (BgStr){ source, batch->source.len };
        pending->ack.seq = batch->seq;
        pending->ack.credit = ingest->spec.credit;
        return pending;
}

/* Answer when everything before it is durable: answers keep the order of the batches, and last_seq is true when it is read. */
static int pending_queue(PendingAck *pending, zmq_msg_t *envelope, size_t n_envelope)
{
        BgIngest *ingest = pending->ingest;
        int r;

        if (pending->ack.source.len)
                pending->ack.last_seq = bg_core_source_seq(ingest->core, pending->ack.source);
        r = bg_commit_wait(ingest->commit, &pending->waiter);
        if (r)
                return r;
        for (; pending->n_envelope < n_envelope; pending->n_envelope++) {
                zmq_msg_init(&pending->envelope[pending->n_envelope]);
                zmq_msg_move(&pending->envelope[pending->n_envelope], &envelope[pending->n_envelope]);
        }
        return 0;
}

static void refuse_batch(BgIngest *ingest, zmq_msg_t *envelope, size_t n_envelope, const BgBatch *batch, BgError error, const char *detail)
{
        PendingAck *pending = pending_new(ingest, n_envelope, batch);
        char *kept = pending ? bg_arena_copy(&pending->arena, detail, strlen(detail)) : NULL;

        ingest->health->submit_refused++;
        bg_log(BG_LOG_WARNING, "submit.refused", "a batch was refused whole", bg_kv("error", bg_proto_error_name(error)),
               bg_kv("detail", detail), bg_kv_len("source", batch->source.data, batch->source.len), bg_kv_int("seq", batch->seq));
        if (!pending)
                return; /* without memory for an answer the sender times out, and sends again */
        pending->ack.error = error;
        pending->ack.detail = bg_str(kept);
        if (pending_queue(pending, envelope, n_envelope))
                pending_free(pending);
}

static int take_submitted(BgIngest *ingest, zmq_msg_t *envelope, size_t n_envelope, const BgBatch *batch)
{
        PendingAck *pending = pending_new(ingest, n_envelope, batch);
        Outcome outcome = { 0 };
        int r;

        if (!pending)
                return -ENOMEM;
        outcome.arena = &pending->arena;
        r = take_batch(ingest, batch, &outcome);
        if (!r) {
                pending->ack.accepted = outcome.accepted;
                pending->ack.duplicates = outcome.duplicates;
                pending->ack.rejected = outcome.rejected;
                pending->ack.rejections.items = outcome.rejections;
                pending->ack.rejections.n = (size_t)(outcome.rejected < REJECTIONS_MAX ? outcome.rejected : REJECTIONS_MAX);
                r = pending_queue(pending, envelope, n_envelope);
        }
        if (r)
                pending_free(pending);
        return r;
}

/* Why a readable batch cannot be taken now; NONE when it can. */
static BgError check_batch(BgIngest *ingest, const BgBatch *batch, char *detail, size_t size)
{
        int64_t last = bg_core_source_seq(ingest->core, batch->source);

        if (ingest->commit->failed) {
                snprintf(detail, size, "the store failed (%s): nothing is taken until the daemon is restarted",
                         strerror(-ingest->commit->failed));
                return BG_ERROR_INTERNAL;
        }
        if (batch->seq == 0 && batch->events.n) {
                snprintf(detail, size, "seq: 0 only asks where the source was; number batches with events from 1");
                return BG_ERROR_RANGE;
        }
        /* With a hole in the numbers last_seq would call batches durable that never came. */
        if (last && batch->seq - 1 > last) {
                snprintf(detail, size, "seq: the last one taken of this source is %lld, so %lld is next; send what is missing first",
                         (long long)last, (long long)last + 1);
                return BG_ERROR_SEQUENCE;
        }
        if (!bg_core_knows_source(ingest->core, batch->source)) {
                snprintf(detail, size, "source: %d are known, and no more are taken; a feed keeps its name over restarts", BG_CORE_SOURCES_MAX);
                return BG_ERROR_TOO_LARGE;
        }
        return BG_ERROR_NONE;
}

static void submit_received(void *data, zmq_msg_t *frames, size_t n_frames)
{
        BgIngest *ingest = data;
        size_t n_envelope = n_frames - 1;
        BgProtoError error = { 0 };
        zmq_msg_t *body;
        BgBatch batch;
        char detail[160];
        BgError refusal;
        int r;

        if (n_frames < 2) { /* more frames than anyone needs, or nothing but the peer's name: no way back is known */
                ingest->health->submit_refused++;
                bg_log(BG_LOG_WARNING, "submit.frames", "a message without a usable envelope was dropped");
                return;
        }
        body = &frames[n_envelope];
        bg_arena_clear(&ingest->arena);
        if ((int64_t)zmq_msg_size(body) > ingest->spec.message_bytes_max) {
                snprintf(detail, sizeof(detail), "the batch has %zu bytes; at most %lld are taken: split it", zmq_msg_size(body),
                         (long long)ingest->spec.message_bytes_max);
                refuse_batch(ingest, frames, n_envelope, &(BgBatch){ 0 }, BG_ERROR_TOO_LARGE, detail);
                return;
        }
        r = bg_proto_unpack(&bg_proto_batch, zmq_msg_data(body), zmq_msg_size(body), &ingest->arena, &batch, &error);
        if (r == BG_PROTO_E_MALFORMED) {
                refuse_batch(ingest, frames, n_envelope, &batch, error.code, error.text);
                return;
        }
        if (!r) {
                refusal = check_batch(ingest, &batch, detail, sizeof(detail));
                if (refusal) {
                        refuse_batch(ingest, frames, n_envelope, &batch, refusal, detail);
                        return;
                }
                r = take_submitted(ingest, frames, n_envelope, &batch);
        }
        if (r) {
                bool store_failed = is_store_failure(ingest); /* first: it answers the batches before this one */

                refuse_batch(ingest, frames, n_envelope, &batch, BG_ERROR_INTERNAL, "could not be taken: the daemon has to be restarted");
                if (!store_failed)
                        ingest->spec.fatal(ingest->spec.data, r);
                return;
        }
        ingest->health->submit_batches++;
        ingest->health->submit_events += (int64_t)batch.events.n;
}

/* ---- subscribe ------------------------------------------------------------------------------------------------------------- */

static BgIngestUpstream *find_upstream(BgIngest *ingest, BgStr source)
{
        BgIngestUpstream *upstream;

        for (size_t i = 0; i < ingest->n_upstreams; i++) {
                upstream = &ingest->upstreams[i];
                if (bg_str_equal((BgStr){ upstream->name, upstream->name_len }, source))
                        return upstream;
        }
        if (ingest->n_upstreams == BG_INGEST_SOURCES_MAX)
                return NULL;
        upstream = &ingest->upstreams[ingest->n_upstreams++];
        memcpy(upstream->name, source.data, source.len);
        upstream->name_len = source.len;
        upstream->seq = bg_core_source_seq(ingest->core, source); /* also what was lost while we were down is a gap */
        return upstream;
}

static void follow_upstream(BgIngest *ingest, const BgBatch *batch)
{
        BgIngestUpstream *upstream = find_upstream(ingest, batch->source);

        if (!upstream || batch->seq == 0)
                return;
        if (upstream->seq && batch->seq - 1 > upstream->seq) {
                int64_t missed = batch->seq - upstream->seq - 1, room = INT64_MAX - ingest->health->upstream_batches_missed;

                ingest->health->upstream_gaps++;
                ingest->health->upstream_batches_missed += missed < room ? missed : room; /* the numbers are anybody's */
                bg_log(BG_LOG_WARNING, "subscribe.gap", "an upstream source lost batches on the way; counts are short until it is resent",
                       bg_kv_len("source", batch->source.data, batch->source.len), bg_kv_int("missed", missed),
                       bg_kv_int("seq", batch->seq));
        } else if (batch->seq < upstream->seq) {
                ingest->health->upstream_restarts++;
                bg_log(BG_LOG_NOTICE, "subscribe.restart", "an upstream source numbers its batches anew",
                       bg_kv_len("source", batch->source.data, batch->source.len), bg_kv_int("seq", batch->seq),
                       bg_kv_int("before", upstream->seq));
        }
        upstream->seq = batch->seq;
}

static void subscribe_refused(BgIngest *ingest, const char *why)
{
        ingest->health->subscribe_refused++;
        bg_log(BG_LOG_WARNING, "subscribe.refused", "a message from upstream was dropped", bg_kv("why", why));
}

static void subscribe_received(void *data, zmq_msg_t *frames, size_t n_frames)
{
        BgIngest *ingest = data;
        BgProtoError error = { 0 };
        Outcome outcome = { .arena = &ingest->arena };
        BgBatch batch;
        int r;

        if (n_frames != 1 && n_frames != 2) {
                subscribe_refused(ingest, "expected the frames [topic] [batch], or [batch]");
                return;
        }
        if (ingest->commit->failed) {
                subscribe_refused(ingest, "the store failed");
                return;
        }
        bg_arena_clear(&ingest->arena);
        r = bg_proto_unpack(&bg_proto_batch, zmq_msg_data(&frames[n_frames - 1]), zmq_msg_size(&frames[n_frames - 1]), &ingest->arena,
                            &batch, &error);
        if (r == BG_PROTO_E_MALFORMED) {
                subscribe_refused(ingest, error.text);
                return;
        }
        if (!r && !bg_core_knows_source(ingest->core, batch.source)) {
                subscribe_refused(ingest, "of a source too many");
                return;
        }
        if (!r) {
                follow_upstream(ingest, &batch);
                r = take_batch(ingest, &batch, &outcome);
        }
        if (r) {
                if (!is_store_failure(ingest))
                        ingest->spec.fatal(ingest->spec.data, r);
                return;
        }
        ingest->health->subscribe_batches++;
        ingest->health->subscribe_events += (int64_t)batch.events.n;
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

int bg_ingest_open(BgIngest *ingest, uv_loop_t *loop, void *zmq, const BgIngestSpec *spec, BgCore *core, BgStore *store,
                   BgCommit *commit, BgHealth *health, char *why, size_t why_size)
{
        int r;

        *ingest = (BgIngest){ .spec = *spec, .core = core, .store = store, .commit = commit, .health = health };
        ingest->letters = LETTERS_BURST;
        ingest->letters_at = bg_clock_now_us();
        ingest->upstreams = calloc(BG_INGEST_SOURCES_MAX, sizeof(*ingest->upstreams));
        if (!ingest->upstreams)
                return -ENOMEM;
        r = bg_door_open(&ingest->submit, loop, zmq, &spec->submit, submit_received, ingest, why, why_size);
        if (!r && spec->subscribe.n_endpoints)
                r = bg_door_open(&ingest->subscribe, loop, zmq, &spec->subscribe, subscribe_received, ingest, why, why_size);
        return r;
}

void bg_ingest_pause(BgIngest *ingest, bool paused)
{
        if (!ingest->health)
                return; /* never opened */
        paused = paused || ingest->stopped;
        ingest->health->submit_pauses += paused && !ingest->health->submit_paused;
        ingest->health->submit_paused = paused;
        bg_bridge_pause(&ingest->submit.bridge, paused);
        bg_bridge_pause(&ingest->subscribe.bridge, paused);
}

void bg_ingest_stop(BgIngest *ingest)
{
        ingest->stopped = true;
        bg_ingest_pause(ingest, true);
}

static void subscribe_closed(void *data)
{
        BgIngest *ingest = data;
        void (*closed)(void *) = ingest->closed;
        void *closed_data = ingest->closed_data;

        bg_arena_deinit(&ingest->arena);
        bg_buffer_deinit(&ingest->buffer);
        free(ingest->upstreams);
        *ingest = (BgIngest){ 0 };
        closed(closed_data);
}

static void submit_closed(void *data)
{
        BgIngest *ingest = data;

        bg_door_close(&ingest->subscribe, subscribe_closed, ingest);
}

void bg_ingest_close(BgIngest *ingest, void (*closed)(void *data), void *data)
{
        ingest->closed = closed;
        ingest->closed_data = data;
        bg_door_close(&ingest->submit, submit_closed, ingest);
}

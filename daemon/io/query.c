/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/query.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/clock.h"
#include "daemon/util/log.h"

/* ---- replies --------------------------------------------------------------------------------------------------------------- */

static void refuse(BgReply *reply, BgArena *arena, BgError error, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void refuse(BgReply *reply, BgArena *arena, BgError error, const char *format, ...)
{
        char text[256], *kept;
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        kept = bg_arena_copy(arena, text, strlen(text));
        reply->error = error;
        reply->detail = bg_str(kept); /* without memory the error alone must do */
}

static void begin(BgQueryDoor *query, BgReply *reply, int64_t id, BgQuery what)
{
        bg_proto_init(&bg_proto_reply, reply);
        reply->id = id;
        reply->query = (int)what;
        reply->epoch = bg_core_epoch(query->core);
        reply->seq = bg_core_seq(query->core);
}

static int pack_reply(BgQueryDoor *query, const BgReply *reply)
{
        BgReply instead;
        int r;

        bg_buffer_clear(&query->buffer);
        r = bg_proto_pack(&bg_proto_reply, reply, &query->buffer);
        if (!r && (int64_t)query->buffer.len <= query->spec.message_bytes_max)
                return 0;
        begin(query, &instead, reply->id, (BgQuery)reply->query);
        if (r) {
                instead.error = BG_ERROR_INTERNAL;
                instead.detail = BG_STR("the daemon is out of memory");
        } else {
                refuse(&instead, &query->arena, BG_ERROR_TOO_LARGE, "the answer has %zu bytes, more than %lld: ask for less with `limit`",
                       query->buffer.len, (long long)query->spec.message_bytes_max);
        }
        bg_buffer_clear(&query->buffer);
        return bg_proto_pack(&bg_proto_reply, &instead, &query->buffer);
}

/* Takes the envelope. */
static void send_reply(BgQueryDoor *query, zmq_msg_t *envelope, size_t n_envelope, const BgReply *reply)
{
        zmq_msg_t frames[BG_BRIDGE_FRAMES_MAX];
        int r = pack_reply(query, reply);

        for (size_t i = 0; i < n_envelope; i++) {
                zmq_msg_init(&frames[i]);
                zmq_msg_move(&frames[i], &envelope[i]);
        }
        if (!r)
                r = bg_bridge_frame(&frames[n_envelope], query->buffer.data, query->buffer.len);
        if (r)
                bg_bridge_frames_close(frames, n_envelope);
        else
                r = bg_bridge_send(&query->door.bridge, frames, n_envelope + 1);
        if (r)
                query->health->replies_lost++;
        query->health->query_errors += reply->error != BG_ERROR_NONE;
        if (query->buffer.cap > 1 << 20) /* large answers are rare */
                bg_buffer_deinit(&query->buffer);
}

/* ---- what the core does not answer ----------------------------------------------------------------------------------------- */

static int answer_info(BgQueryDoor *query, BgReply *reply)
{
        static BgStr topics[] = { { "forecast/", 9 }, { "surge/", 6 }, { "org/", 4 }, { "ecosystem/", 10 }, { "heartbeat/", 10 }, { "welcome/", 8 } };
        BgInfo *info = bg_arena_alloc(&query->arena, 1, sizeof(*info));

        if (!info)
                return -ENOMEM;
        bg_proto_init(&bg_proto_info, info);
        info->program = BG_STR("burgeond");
        info->version = BG_STR(BG_VERSION);
        info->topics.items = topics;
        info->topics.n = sizeof(topics) / sizeof(topics[0]);
        info->message_bytes_max = query->spec.message_bytes_max;
        info->batch_events_max = BG_BATCH_EVENTS_MAX;
        reply->info = info;
        return query->spec.info(query->spec.data, &query->arena, info);
}

/* A checkpoint is answered when it is durable. */
typedef struct PendingReply {
        BgCommitWaiter waiter;
        BgQueryDoor *query;
        int64_t id;
        size_t n_envelope;
        zmq_msg_t envelope[];
} PendingReply;

static void on_checkpoint(BgCommitWaiter *waiter, int result)
{
        PendingReply *pending = (PendingReply *)waiter;
        BgQueryDoor *query = pending->query;
        BgReply reply;

        bg_arena_clear(&query->arena);
        begin(query, &reply, pending->id, BG_QUERY_CHECKPOINT);
        if (result < 0)
                refuse(&reply, &query->arena, BG_ERROR_INTERNAL, "the checkpoint could not be stored: %s", strerror(-result));
        else if (result == BG_COMMIT_E_VOLATILE)
                refuse(&reply, &query->arena, BG_ERROR_UNSUPPORTED, "this daemon keeps its state in memory only (state = none)");
        send_reply(query, pending->envelope, pending->n_envelope, &reply);
        bg_bridge_frames_close(pending->envelope, pending->n_envelope);
        free(pending);
}

/* Takes the envelope, but on error. */
static int begin_checkpoint(BgQueryDoor *query, zmq_msg_t *envelope, size_t n_envelope, int64_t id)
{
        PendingReply *pending;
        int r = query->spec.checkpoint(query->spec.data);

        if (r)
                return r;
        pending = calloc(1, sizeof(*pending) + n_envelope * sizeof(pending->envelope[0]));
        if (!pending)
                return -ENOMEM;
        pending->waiter.done = on_checkpoint;
        pending->query = query;
        pending->id = id;
        r = bg_commit_wait(query->commit, &pending->waiter);
        if (r) {
                free(pending);
                return r;
        }
        for (; pending->n_envelope < n_envelope; pending->n_envelope++) {
                zmq_msg_init(&pending->envelope[pending->n_envelope]);
                zmq_msg_move(&pending->envelope[pending->n_envelope], &envelope[pending->n_envelope]);
        }
        return 0;
}

static void answer_reload(BgQueryDoor *query, BgReply *reply)
{
        char why[200] = "";

        if (query->spec.reload(query->spec.data, why, sizeof(why)))
                refuse(reply, &query->arena, BG_ERROR_RANGE, "the old configuration stays in force: %s", why);
}

/* ---- requests -------------------------------------------------------------------------------------------------------------- */

/* Return: 0 with the reply filled in, 1 when the reply comes later, -ENOMEM. */
static int answer(BgQueryDoor *query, zmq_msg_t *envelope, size_t n_envelope, const BgRequest *request, BgReply *reply)
{
        int r = bg_core_query(query->core, request, bg_clock_now_us(), &query->arena, reply);

        if (r < 0)
                return r;
        if (r == 0) {
                if (reply->stats && !reply->error)
                        return bg_health_stats(query->health, &query->arena, reply->stats);
                return 0;
        }
        switch ((BgQuery)request->query) {
        case BG_QUERY_INFO:
                return answer_info(query, reply);
        case BG_QUERY_RELOAD:
        case BG_QUERY_CHECKPOINT:
                if (!query->spec.admin) {
                        refuse(reply, &query->arena, BG_ERROR_FORBIDDEN, "not allowed here; `admin = yes` in [doors] allows it");
                        return 0;
                }
                if (request->query == BG_QUERY_RELOAD) {
                        answer_reload(query, reply);
                        return 0;
                }
                r = begin_checkpoint(query, envelope, n_envelope, request->id);
                return r ? r : 1;
        default:
                refuse(reply, &query->arena, BG_ERROR_UNSUPPORTED, "this daemon does not answer `%s`",
                       bg_proto_query_name(request->query));
                return 0;
        }
}

static void received(void *data, zmq_msg_t *frames, size_t n_frames)
{
        BgQueryDoor *query = data;
        size_t n_envelope = n_frames - 1;
        BgProtoError error = { 0 };
        BgRequest request;
        BgReply reply;
        zmq_msg_t *body;
        int r;

        if (n_frames < 2) {
                query->health->query_errors++;
                return;
        }
        body = &frames[n_envelope];
        bg_arena_clear(&query->arena);
        query->health->queries++;
        r = bg_proto_unpack(&bg_proto_request, zmq_msg_data(body), zmq_msg_size(body), &query->arena, &request, &error);
        if (r == BG_PROTO_E_MALFORMED) {
                begin(query, &reply, 0, BG_QUERY_NONE);
                refuse(&reply, &query->arena, error.code, "%s", error.text);
        } else if (!r) {
                begin(query, &reply, request.id, (BgQuery)request.query);
                r = answer(query, frames, n_envelope, &request, &reply);
                if (r == 1)
                        return;
        }
        if (r < 0) {
                begin(query, &reply, r == -ENOMEM ? 0 : request.id, BG_QUERY_NONE);
                refuse(&reply, &query->arena, BG_ERROR_INTERNAL, "%s", strerror(-r));
        }
        send_reply(query, frames, n_envelope, &reply);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

int bg_query_open(BgQueryDoor *query, uv_loop_t *loop, void *zmq, const BgQuerySpec *spec, BgCore *core, BgCommit *commit,
                  BgHealth *health, char *why, size_t why_size)
{
        *query = (BgQueryDoor){ .spec = *spec, .core = core, .commit = commit, .health = health };
        return bg_door_open(&query->door, loop, zmq, &spec->door, received, query, why, why_size);
}

void bg_query_stop(BgQueryDoor *query) { bg_bridge_pause(&query->door.bridge, true); }

static void door_closed(void *data)
{
        BgQueryDoor *query = data;
        void (*closed)(void *) = query->closed;
        void *closed_data = query->closed_data;

        bg_arena_deinit(&query->arena);
        bg_buffer_deinit(&query->buffer);
        *query = (BgQueryDoor){ 0 };
        closed(closed_data);
}

void bg_query_close(BgQueryDoor *query, void (*closed)(void *data), void *data)
{
        query->closed = closed;
        query->closed_data = data;
        bg_door_close(&query->door, door_closed, query);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/clock.h"
#include "daemon/util/log.h"

enum {
        WELCOME_NS_PER_TURN = 1000000,
        WELCOME_SERIES_PER_STEP = 512,
};

/* A subscription that waits for its welcome. First its last values are collected, then the welcome and they go out. */
struct BgPublishJob {
        BgPublishJob *next;
        uint32_t cursor;
        bool welcomed;
        bool too_many;
        size_t len;
        char topic[];
};

/* ---- one message ----------------------------------------------------------------------------------------------------------- */

static void send_message(BgPublish *publish, BgStr topic, BgStr payload)
{
        zmq_msg_t frames[2];
        int r = bg_bridge_frame(&frames[0], topic.data, topic.len) | bg_bridge_frame(&frames[1], payload.data, payload.len);

        if (r) {
                bg_bridge_frames_close(frames, 2);
                return;
        }
        r = bg_bridge_send(&publish->door.bridge, frames, 2);
        if (r)
                bg_log(BG_LOG_WARNING, "publish.failed", "an update could not be sent", bg_kv_int("error", r));
        else
                publish->health->updates_sent++;
}

static BgStr text_of(const BgBuffer *buffer) { return (BgStr){ buffer->data, buffer->len }; }

/* Pack into `payload` and send, unless nobody listens. */
static void publish_message(BgPublish *publish, const char *kind, BgStr name, const BgProtoType *type, const void *message)
{
        if (!publish->door.bridge.socket)
                return;
        bg_buffer_clear(&publish->topic);
        if (bg_proto_topic(&publish->topic, kind, name))
                return;
        if (!bg_topics_match(&publish->topics, text_of(&publish->topic))) {
                publish->health->updates_skipped++;
                return;
        }
        bg_buffer_clear(&publish->payload);
        if (!bg_proto_pack(type, message, &publish->payload))
                send_message(publish, text_of(&publish->topic), text_of(&publish->payload));
}

static void sink_forecast(void *data, const BgForecast *forecast)
{
        publish_message(data, "forecast", forecast->model, &bg_proto_forecast, forecast);
}

static void sink_surge(void *data, const BgSurge *surge) { publish_message(data, "surge", surge->model, &bg_proto_surge, surge); }

static void sink_org(void *data, const BgOrg *org) { publish_message(data, "org", org->org, &bg_proto_org, org); }

static void sink_ecosystem(void *data, const BgEcosystem *ecosystem)
{
        publish_message(data, "ecosystem", (BgStr){ 0 }, &bg_proto_ecosystem, ecosystem);
}

BgCoreSink bg_publish_sink(BgPublish *publish)
{
        return (BgCoreSink){ .forecast = sink_forecast, .surge = sink_surge, .org = sink_org, .ecosystem = sink_ecosystem, .data = publish };
}

void bg_publish_heartbeat(BgPublish *publish)
{
        int64_t now = bg_clock_now_us();
        BgHeartbeat heartbeat;

        if (!publish->door.bridge.socket || !bg_topics_match(&publish->topics, BG_STR("heartbeat/")))
                return;
        bg_proto_init(&bg_proto_heartbeat, &heartbeat);
        bg_core_heartbeat(publish->core, &heartbeat, now);
        heartbeat.at = now;
        heartbeat.health = bg_str(bg_health_text(publish->health));
        bg_buffer_clear(&publish->payload);
        if (!bg_proto_pack(&bg_proto_heartbeat, &heartbeat, &publish->payload))
                send_message(publish, BG_STR("heartbeat/"), text_of(&publish->payload));
}

static void on_heartbeat(uv_timer_t *timer) { bg_publish_heartbeat(timer->data); }

/* ---- welcomes -------------------------------------------------------------------------------------------------------------- */

static int put_sized(BgBuffer *out, const BgBuffer *bytes)
{
        uint32_t len = (uint32_t)bytes->len;
        int r = bg_buffer_append(out, &len, sizeof(len));

        return r ? r : bg_buffer_append(out, bytes->data, bytes->len);
}

static BgStr take_sized(BgPublish *publish)
{
        uint32_t len;
        const char *at = publish->values.data + publish->values_at;

        memcpy(&len, at, sizeof(len));
        publish->values_at += sizeof(len) + len;
        return (BgStr){ at + sizeof(len), len };
}

/* Topic and payload of a last value, into the scratch buffers. */
static int pack_value(BgPublish *publish, const BgCoreValue *value)
{
        const struct {
                const char *kind;
                BgStr name;
                const BgProtoType *type;
                const void *message;
        } all[] = {
                { "forecast", value->forecast ? value->forecast->model : (BgStr){ 0 }, &bg_proto_forecast, value->forecast },
                { "surge", value->surge ? value->surge->model : (BgStr){ 0 }, &bg_proto_surge, value->surge },
                { "org", value->org ? value->org->org : (BgStr){ 0 }, &bg_proto_org, value->org },
                { "ecosystem", { 0 }, &bg_proto_ecosystem, value->ecosystem },
        };
        int r;

        bg_buffer_clear(&publish->topic);
        bg_buffer_clear(&publish->payload);
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                if (!all[i].message)
                        continue;
                r = bg_proto_topic(&publish->topic, all[i].kind, all[i].name);
                return r ? r : bg_proto_pack(all[i].type, all[i].message, &publish->payload);
        }
        return -EINVAL;
}

static int collect_value(void *data, const BgCoreValue *value)
{
        BgPublish *publish = data;
        int r;

        if (publish->n_values == publish->spec.last_values_max) {
                publish->first->too_many = true;
                return -ECANCELED;
        }
        r = pack_value(publish, value);
        if (!r)
                r = put_sized(&publish->values, &publish->topic);
        if (!r)
                r = put_sized(&publish->values, &publish->payload);
        if (r) {
                publish->first->too_many = true; /* no memory for them: a snapshot is asked for piece by piece */
                return -ECANCELED;
        }
        publish->n_values++;
        return 0;
}

static void drop_values(BgPublish *publish)
{
        bg_buffer_clear(&publish->values);
        if (publish->values.cap > 1 << 20) /* a broad subscription is rare: its memory is given back */
                bg_buffer_deinit(&publish->values);
        publish->values_at = 0;
        publish->n_values = 0;
}

static void send_welcome(BgPublish *publish, const BgPublishJob *job)
{
        BgWelcome welcome;
        int r;

        if (job->too_many) {
                drop_values(publish);
                publish->health->last_values_refused++;
        }
        bg_proto_init(&bg_proto_welcome, &welcome);
        welcome.epoch = bg_core_epoch(publish->core);
        welcome.seq = bg_core_seq(publish->core);
        welcome.topic = (BgStr){ job->topic, job->len };
        welcome.n_last = job->too_many ? -1 : publish->n_values;
        welcome.server = BG_STR("burgeond " BG_VERSION);
        bg_buffer_clear(&publish->topic);
        bg_buffer_clear(&publish->payload);
        r = bg_buffer_append(&publish->topic, "welcome/", strlen("welcome/"));
        if (!r)
                r = bg_buffer_append(&publish->topic, job->topic, job->len);
        if (!r)
                r = bg_proto_pack(&bg_proto_welcome, &welcome, &publish->payload);
        if (!r)
                send_message(publish, text_of(&publish->topic), text_of(&publish->payload));
        publish->health->welcomes++;
}

static void job_end(BgPublish *publish)
{
        BgPublishJob *job = publish->first;

        publish->first = job->next;
        if (!publish->first)
                publish->last = NULL;
        free(job);
        drop_values(publish);
        publish->health->welcomes_waiting--;
}

/* Return: true when the job is done. */
static bool job_step(BgPublish *publish, BgPublishJob *job)
{
        BgStr prefix = { job->topic, job->len };

        if (!job->welcomed) {
                BgTopic *topic = bg_topics_find(&publish->topics, prefix);

                if (!topic)
                        return true; /* gone meanwhile */
                if (bg_core_step_last(publish->core, prefix, &job->cursor, WELCOME_SERIES_PER_STEP, collect_value, publish) == BG_CORE_E_MORE)
                        return false;
                topic->waiting = false;
                send_welcome(publish, job);
                job->welcomed = true;
                return false;
        }
        if (publish->values_at < publish->values.len) {
                BgStr topic = take_sized(publish);

                send_message(publish, topic, take_sized(publish));
                publish->health->last_values_sent++;
        }
        return publish->values_at == publish->values.len;
}

static void on_welcomer(uv_idle_t *idle)
{
        BgPublish *publish = idle->data;
        uint64_t until = uv_hrtime() + WELCOME_NS_PER_TURN;

        while (publish->first && uv_hrtime() < until)
                if (job_step(publish, publish->first))
                        job_end(publish);
        if (!publish->first)
                uv_idle_stop(&publish->welcomer);
}

static bool deserves_welcome(BgStr prefix)
{
        /* it could match nothing, and could not be named in a message either */
        for (size_t i = 0; i < prefix.len; i++)
                if (prefix.data[i] <= ' ' || prefix.data[i] > '~')
                        return false;
        return prefix.len < strlen("welcome/") || memcmp(prefix.data, "welcome/", strlen("welcome/"));
}

static void subscribed(BgPublish *publish, BgStr prefix)
{
        BgTopic *topic = bg_topics_add(&publish->topics, prefix);
        BgPublishJob *job;

        if (!topic || topic->waiting || !deserves_welcome(prefix))
                return;
        job = calloc(1, sizeof(*job) + prefix.len);
        if (!job)
                return; /* the subscriber asks again when no welcome comes */
        job->len = prefix.len;
        if (prefix.len)
                memcpy(job->topic, prefix.data, prefix.len);
        topic->waiting = true;
        if (publish->last)
                publish->last->next = job;
        else
                publish->first = job;
        publish->last = job;
        publish->health->welcomes_waiting++;
        uv_idle_start(&publish->welcomer, on_welcomer);
}

static void received(void *data, zmq_msg_t *frames, size_t n_frames)
{
        BgPublish *publish = data;
        const char *bytes;
        BgStr prefix;

        if (n_frames != 1 || zmq_msg_size(&frames[0]) < 1)
                return;
        bytes = zmq_msg_data(&frames[0]);
        prefix = (BgStr){ bytes + 1, zmq_msg_size(&frames[0]) - 1 };
        if (bytes[0] == 1)
                subscribed(publish, prefix);
        else if (bytes[0] == 0)
                bg_topics_remove(&publish->topics, prefix); /* XPUB tells when the last subscriber of a prefix left */
        publish->health->subscriptions = (int64_t)(publish->topics.n + publish->topics.n_untracked);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

int bg_publish_open(BgPublish *publish, uv_loop_t *loop, void *zmq, const BgPublishSpec *spec, BgCore *core, BgHealth *health, char *why,
                    size_t why_size)
{
        uint64_t every_ms = (uint64_t)(spec->heartbeat_us / 1000);

        publish->spec = *spec;
        publish->core = core;
        publish->health = health;
        uv_timer_init(loop, &publish->heartbeat);
        uv_idle_init(loop, &publish->welcomer);
        publish->heartbeat.data = publish->welcomer.data = publish;
        publish->n_handles = 2;
        uv_timer_start(&publish->heartbeat, on_heartbeat, every_ms, every_ms);
        return bg_door_open(&publish->door, loop, zmq, &spec->door, received, publish, why, why_size);
}

static void door_closed(void *data)
{
        BgPublish *publish = data;
        void (*closed)(void *) = publish->closed;
        void *closed_data = publish->closed_data;

        while (publish->first)
                job_end(publish);
        bg_topics_deinit(&publish->topics);
        bg_buffer_deinit(&publish->topic);
        bg_buffer_deinit(&publish->payload);
        bg_buffer_deinit(&publish->values);
        *publish = (BgPublish){ 0 };
        closed(closed_data);
}

static void handle_closed(uv_handle_t *handle)
{
        BgPublish *publish = handle->data;

        if (--publish->n_handles == 0)
                bg_door_close(&publish->door, door_closed, publish);
}

void bg_publish_close(BgPublish *publish, void (*closed)(void *data), void *data)
{
        if (!publish->n_handles) {
                closed(data);
                return;
        }
        publish->closed = closed;
        publish->closed_data = data;
        uv_close((uv_handle_t *)&publish->heartbeat, handle_closed);
        uv_close((uv_handle_t *)&publish->welcomer, handle_closed);
}

/* SPDX-License-Identifier: MIT */
/*
 * One message may mean several things (a new epoch, a gap, then a forecast): they wait in a short list, and share the memory of
 * the message, which is released when the list is empty and the next message is asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/burgeon.h"
#include "client/revisions.h"
#include "client/wire.h"

#define STALE_AFTER_MS 3500   /* three heartbeats missed */
#define QUEUE_MAX 100000
#define RESYNC_PERIOD_MS 5000 /* a slow reader must not ask for everything over and over */
#define PENDING_MAX 4

struct BgSubscriber {
        BgWire wire;
        BgWireMessage message;
        BgArena arena;
        BgBuffer key;
        BgRevisions revisions;
        char **topics;
        size_t n_topics;
        bool everything; /* subscribed to "": the sequence numbers must have no holes */
        bool stale;
        int stale_after_ms;
        int64_t epoch;   /* 0 = not heard yet */
        int64_t seq;     /* last one seen; everything only; -1 = not known */
        int64_t heard_ms;
        int64_t resynced_ms;
        int64_t n_malformed;
        BgItem pending[PENDING_MAX];
        size_t n_pending;
        size_t i_pending;
        union {
                BgWelcome welcome;
                BgForecast forecast;
                BgSurge surge;
                BgHeartbeat heartbeat;
                BgOrg org;
                BgEcosystem ecosystem;
        } body;
};

const char *bg_version(void)
{
        return BG_VERSION;
}

static char *welcome_topic(const char *topic)
{
        char *text;

        return asprintf(&text, "welcome/%s", topic) < 0 ? NULL : text;
}

/* The welcome first: it must be subscribed to when the daemon sees the topic. */
static int subscribe(BgSubscriber *subscriber)
{
        int r = 0;

        for (size_t i = 0; !r && i < subscriber->n_topics; i++) {
                char *welcome = welcome_topic(subscriber->topics[i]);

                r = welcome ? bg_wire_subscribe(&subscriber->wire, welcome) : -ENOMEM;
                if (!r)
                        r = bg_wire_subscribe(&subscriber->wire, subscriber->topics[i]);
                free(welcome);
        }
        return r;
}

static int connect_and_subscribe(BgSubscriber *subscriber, const BgSubscriberSpec *spec)
{
        size_t n = spec->n_topics ? spec->n_topics : 1;
        int r;

        subscriber->topics = calloc(n, sizeof(*subscriber->topics));
        if (!subscriber->topics)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char *topic = spec->n_topics ? spec->topics[i] : "";

                subscriber->topics[i] = strdup(topic);
                if (!subscriber->topics[i])
                        return -ENOMEM;
                subscriber->n_topics = i + 1;
                subscriber->everything |= !topic[0];
        }
        r = bg_wire_open(&subscriber->wire, BG_WIRE_SUBSCRIBE, spec->endpoint ? spec->endpoint : BG_UPDATES_ENDPOINT,
                         spec->queue_max ? spec->queue_max : QUEUE_MAX);
        if (r)
                return r;
        r = bg_wire_subscribe(&subscriber->wire, "heartbeat/");
        return r ? r : subscribe(subscriber);
}

int bg_subscriber_new(BgSubscriber **subscriberp, const BgSubscriberSpec *spec)
{
        BgSubscriber *subscriber = calloc(1, sizeof(*subscriber));
        int r;

        *subscriberp = NULL;
        if (!subscriber)
                return -ENOMEM;
        subscriber->seq = -1;
        subscriber->stale_after_ms = spec->stale_after_ms > 0 ? spec->stale_after_ms : STALE_AFTER_MS;
        subscriber->heard_ms = bg_wire_now();
        subscriber->resynced_ms = subscriber->heard_ms - RESYNC_PERIOD_MS;
        r = connect_and_subscribe(subscriber, spec);
        if (r) {
                bg_subscriber_free(subscriber);
                return r;
        }
        *subscriberp = subscriber;
        return 0;
}

void bg_subscriber_free(BgSubscriber *subscriber)
{
        if (!subscriber)
                return;
        bg_wire_message_deinit(&subscriber->message);
        bg_wire_close(&subscriber->wire);
        bg_arena_deinit(&subscriber->arena);
        bg_buffer_deinit(&subscriber->key);
        bg_revisions_clear(&subscriber->revisions);
        for (size_t i = 0; i < subscriber->n_topics; i++)
                free(subscriber->topics[i]);
        free(subscriber->topics);
        free(subscriber);
}

int bg_subscriber_resync(BgSubscriber *subscriber)
{
        int r = 0;

        subscriber->resynced_ms = bg_wire_now();
        for (size_t i = 0; !r && i < subscriber->n_topics; i++)
                r = bg_wire_unsubscribe(&subscriber->wire, subscriber->topics[i]);
        for (size_t i = 0; !r && i < subscriber->n_topics; i++)
                r = bg_wire_subscribe(&subscriber->wire, subscriber->topics[i]);
        return r;
}

static BgItem *push(BgSubscriber *subscriber, BgItemKind kind, BgStr topic)
{
        BgItem *item = &subscriber->pending[subscriber->n_pending++];

        *item = (BgItem){ .kind = kind, .topic = topic };
        return item;
}

static void see_epoch(BgSubscriber *subscriber, BgStr topic, int64_t epoch)
{
        BgItem *item;

        if (subscriber->epoch == epoch)
                return;
        if (subscriber->epoch) {
                item = push(subscriber, BG_ITEM_EPOCH, topic);
                item->epoch.before = subscriber->epoch;
                item->epoch.now = epoch;
        }
        bg_revisions_clear(&subscriber->revisions);
        subscriber->epoch = epoch;
        subscriber->seq = -1;
}

/* A subscriber to everything sees every number: one that is missing, even at the very end, is a loss. */
static int see_seq(BgSubscriber *subscriber, BgStr topic, int64_t seq, int64_t most)
{
        BgItem *item;
        int r = 0;

        if (!subscriber->everything)
                return 0;
        if (subscriber->seq >= 0 && most > subscriber->seq) {
                item = push(subscriber, BG_ITEM_GAP, topic);
                item->gap = (BgGap){ .have = subscriber->seq, .got = seq };
                if (bg_wire_now() - subscriber->resynced_ms >= RESYNC_PERIOD_MS)
                        r = bg_subscriber_resync(subscriber);
        }
        if (seq > subscriber->seq && subscriber->seq >= 0)
                subscriber->seq = seq;
        return r;
}

/* 1: new; 0: known or older; negative: error. */
static int see_revision(BgSubscriber *subscriber, BgStr topic, BgGap gap, int64_t rev, int64_t prev_rev)
{
        int64_t *revisionp;
        int r;

        bg_buffer_clear(&subscriber->key);
        r = bg_buffer_printf(&subscriber->key, "%d/%.*s/%.*s", gap.relation, (int)gap.surge.len, gap.surge.data ? gap.surge.data : "",
                             (int)topic.len, topic.data);
        if (r)
                return r;
        revisionp = bg_revisions_at(&subscriber->revisions, subscriber->key.data, subscriber->key.len);
        if (!revisionp)
                return -ENOMEM;
        if (*revisionp >= rev)
                return 0;
        if (*revisionp && prev_rev > *revisionp) {
                gap.have = *revisionp;
                gap.got = rev;
                push(subscriber, BG_ITEM_GAP, topic)->gap = gap;
        }
        *revisionp = rev;
        return 1;
}

static int unpack(BgSubscriber *subscriber, const BgProtoType *type, BgStr payload)
{
        int r = bg_proto_unpack(type, payload.data, payload.len, &subscriber->arena, &subscriber->body, NULL);

        if (r == BG_PROTO_E_MALFORMED)
                subscriber->n_malformed++;
        return r;
}

static int take_forecast(BgSubscriber *subscriber, BgStr topic, BgStr payload)
{
        const BgForecast *forecast = &subscriber->body.forecast;
        BgItem *item;
        int r = unpack(subscriber, &bg_proto_forecast, payload);

        if (r)
                return r;
        see_epoch(subscriber, topic, forecast->epoch);
        r = see_seq(subscriber, topic, forecast->seq, forecast->seq - 1);
        if (r)
                return r;
        r = see_revision(subscriber, topic, (BgGap){ .model = forecast->model, .relation = forecast->relation }, forecast->rev,
                         forecast->prev_rev);
        if (r > 0) {
                item = push(subscriber, BG_ITEM_FORECAST, topic);
                item->forecast = forecast;
                item->payload = payload;
        }
        return r < 0 ? r : 0;
}

static int take_surge(BgSubscriber *subscriber, BgStr topic, BgStr payload)
{
        const BgSurge *surge = &subscriber->body.surge;
        BgItem *item;
        int r = unpack(subscriber, &bg_proto_surge, payload);

        if (r)
                return r;
        see_epoch(subscriber, topic, surge->epoch);
        r = see_seq(subscriber, topic, surge->seq, surge->seq - 1);
        if (r)
                return r;
        r = see_revision(subscriber, topic, (BgGap){ .model = surge->model, .relation = surge->relation, .surge = surge->id },
                         surge->rev, surge->prev_rev);
        if (r > 0) {
                item = push(subscriber, BG_ITEM_SURGE, topic);
                item->surge = surge;
                item->payload = payload;
        }
        return r < 0 ? r : 0;
}

static int take_org(BgSubscriber *subscriber, BgStr topic, BgStr payload)
{
        const BgOrg *org = &subscriber->body.org;
        BgItem *item;
        int r = unpack(subscriber, &bg_proto_org, payload);

        if (r)
                return r;
        see_epoch(subscriber, topic, org->epoch);
        r = see_seq(subscriber, topic, org->seq, org->seq - 1);
        if (r)
                return r;
        r = see_revision(subscriber, topic, (BgGap){ .model = org->org, .relation = org->relation }, org->rev, org->prev_rev);
        if (r > 0) {
                item = push(subscriber, BG_ITEM_ORG, topic);
                item->org = org;
                item->payload = payload;
        }
        return r < 0 ? r : 0;
}

static int take_ecosystem(BgSubscriber *subscriber, BgStr topic, BgStr payload)
{
        const BgEcosystem *ecosystem = &subscriber->body.ecosystem;
        BgItem *item;
        int r = unpack(subscriber, &bg_proto_ecosystem, payload);

        if (r)
                return r;
        see_epoch(subscriber, topic, ecosystem->epoch);
        r = see_seq(subscriber, topic, ecosystem->seq, ecosystem->seq - 1);
        if (r)
                return r;
        r = see_revision(subscriber, topic, (BgGap){ .model = BG_STR("ecosystem"), .relation = ecosystem->relation }, ecosystem->rev,
                         ecosystem->prev_rev);
        if (r > 0) {
                item = push(subscriber, BG_ITEM_ECOSYSTEM, topic);
                item->ecosystem = ecosystem;
                item->payload = payload;
        }
        return r < 0 ? r : 0;
}

static int take_heartbeat(BgSubscriber *subscriber, BgStr topic, BgStr payload)
{
        BgItem *item;
        int r = unpack(subscriber, &bg_proto_heartbeat, payload);

        if (r)
                return r;
        see_epoch(subscriber, topic, subscriber->body.heartbeat.epoch);
        r = see_seq(subscriber, topic, subscriber->body.heartbeat.seq, subscriber->body.heartbeat.seq);
        item = push(subscriber, BG_ITEM_HEARTBEAT, topic);
        item->heartbeat = &subscriber->body.heartbeat;
        item->payload = payload;
        return r;
}

/* welcome/T goes to everyone whose own topic begins so; only ours are ours. */
static bool ours(const BgSubscriber *subscriber, BgStr topic)
{
        BgStr rest = { topic.data + 8, topic.len - 8 };

        for (size_t i = 0; i < subscriber->n_topics; i++)
                if (bg_str_equal(rest, bg_str(subscriber->topics[i])))
                        return true;
        return false;
}

static int take_welcome(BgSubscriber *subscriber, BgStr topic, BgStr payload)
{
        const BgWelcome *welcome = &subscriber->body.welcome;
        BgItem *item;
        int r;

        if (!ours(subscriber, topic))
                return 0;
        r = unpack(subscriber, &bg_proto_welcome, payload);
        if (r)
                return r;
        see_epoch(subscriber, topic, welcome->epoch);
        if (topic.len == 8 && subscriber->seq < welcome->seq) {
                if (subscriber->seq >= 0 && welcome->n_last < 0)
                        push(subscriber, BG_ITEM_GAP, topic)->gap = (BgGap){ .have = subscriber->seq, .got = welcome->seq };
                subscriber->seq = welcome->seq; /* what came before follows as last values */
        }
        item = push(subscriber, BG_ITEM_WELCOME, topic);
        item->welcome = welcome;
        item->payload = payload;
        return 0;
}

static bool begins(BgStr topic, const char *with)
{
        size_t n = strlen(with);

        return topic.len >= n && !memcmp(topic.data, with, n);
}

static int take(BgSubscriber *subscriber)
{
        BgStr topic, payload;

        if (subscriber->message.n != 2) {
                subscriber->n_malformed++;
                return 0;
        }
        topic = (BgStr){ subscriber->message.frames[0].bytes, subscriber->message.frames[0].n_bytes };
        payload = (BgStr){ subscriber->message.frames[1].bytes, subscriber->message.frames[1].n_bytes };
        if (begins(topic, "forecast/"))
                return take_forecast(subscriber, topic, payload);
        if (begins(topic, "surge/"))
                return take_surge(subscriber, topic, payload);
        if (begins(topic, "org/"))
                return take_org(subscriber, topic, payload);
        if (begins(topic, "ecosystem/"))
                return take_ecosystem(subscriber, topic, payload);
        if (begins(topic, "heartbeat/"))
                return take_heartbeat(subscriber, topic, payload);
        if (begins(topic, "welcome/"))
                return take_welcome(subscriber, topic, payload);
        return 0; /* a topic of a later version */
}

static int receive(BgSubscriber *subscriber, int64_t deadline)
{
        int64_t stale_at = subscriber->stale ? INT64_MAX : subscriber->heard_ms + subscriber->stale_after_ms, now;
        int r;

        r = bg_wire_receive(&subscriber->wire, deadline < stale_at ? deadline : stale_at, &subscriber->message);
        now = bg_wire_now();
        if (r == BG_E_TIMEOUT && now >= stale_at) {
                subscriber->stale = true;
                push(subscriber, BG_ITEM_STALE, (BgStr){ NULL, 0 })->stale.silent_ms = now - subscriber->heard_ms;
                return 0;
        }
        if (r)
                return r;
        subscriber->heard_ms = now;
        subscriber->stale = false;
        r = take(subscriber);
        return r == BG_PROTO_E_MALFORMED ? 0 : r;
}

int bg_subscriber_next(BgSubscriber *subscriber, int timeout_ms, const BgItem **itemp)
{
        int64_t deadline = bg_wire_deadline(timeout_ms);
        int r;

        while (subscriber->i_pending == subscriber->n_pending) {
                subscriber->i_pending = subscriber->n_pending = 0;
                bg_arena_clear(&subscriber->arena);
                r = receive(subscriber, deadline);
                if (r)
                        return r;
        }
        *itemp = &subscriber->pending[subscriber->i_pending++];
        return 0;
}

int bg_subscriber_fd(const BgSubscriber *subscriber)
{
        return bg_wire_fd(&subscriber->wire);
}

int64_t bg_subscriber_n_malformed(const BgSubscriber *subscriber)
{
        return subscriber->n_malformed;
}

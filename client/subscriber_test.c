/* SPDX-License-Identifier: MIT */
#include "client/peer_test.h"

typedef struct Fixture {
        Peer peer;
        BgSubscriber *subscriber;
        int64_t epoch;
        int64_t seq;
} Fixture;

static void welcome(Fixture *f, const char *topic, int64_t n_last)
{
        BgWelcome message;
        char name[300];

        bg_proto_init(&bg_proto_welcome, &message);
        message.epoch = f->epoch;
        message.seq = f->seq;
        message.topic = bg_str(topic);
        message.n_last = n_last;
        snprintf(name, sizeof(name), "welcome/%s", topic);
        peer_publish(&f->peer, name, &bg_proto_welcome, &message);
}

static void forecast_numbered(Fixture *f, const char *model, int64_t rev, int64_t prev_rev, int64_t seq)
{
        BgForecast message;
        char topic[300];

        bg_proto_init(&bg_proto_forecast, &message);
        message.epoch = f->epoch;
        message.seq = seq;
        message.model = bg_str(model);
        message.rev = rev;
        message.prev_rev = prev_rev;
        message.count = 7;
        snprintf(topic, sizeof(topic), "forecast/%s/", model);
        peer_publish(&f->peer, topic, &bg_proto_forecast, &message);
}

static void forecast(Fixture *f, const char *model, int64_t rev, int64_t prev_rev)
{
        forecast_numbered(f, model, rev, prev_rev, ++f->seq);
}

static void surge(Fixture *f, const char *id, int64_t rev, int64_t prev_rev)
{
        BgSurge message;

        bg_proto_init(&bg_proto_surge, &message);
        message.epoch = f->epoch;
        message.seq = ++f->seq;
        message.id = bg_str(id);
        message.model = BG_STR("org/a");
        message.state = BG_SURGE_OPENED;
        message.rev = rev;
        message.prev_rev = prev_rev;
        message.expected = 1;
        message.magnitude = 4;
        message.evidence = 10;
        peer_publish(&f->peer, "surge/org/a/", &bg_proto_surge, &message);
}

static void heartbeat(Fixture *f)
{
        BgHeartbeat message;

        bg_proto_init(&bg_proto_heartbeat, &message);
        message.epoch = f->epoch;
        message.seq = f->seq;
        message.health = BG_STR("ok");
        peer_publish(&f->peer, "heartbeat/", &bg_proto_heartbeat, &message);
}

static void begin(Fixture *f, const char *topic, int stale_after_ms)
{
        char name[300];

        *f = (Fixture){ .epoch = 5, .seq = 100 };
        peer_open(&f->peer, ZMQ_XPUB);
        assert_int_equal(bg_subscriber_new(&f->subscriber, &(BgSubscriberSpec){ .endpoint = f->peer.endpoint, .topics = &topic,
                                                                               .n_topics = 1, .stale_after_ms = stale_after_ms }), 0);
        snprintf(name, sizeof(name), "welcome/%s", topic);
        peer_expect_subscription(&f->peer, true, "heartbeat/");
        peer_expect_subscription(&f->peer, true, name); /* before the topic: the welcome must find its way */
        peer_expect_subscription(&f->peer, true, topic);
        welcome(f, topic, 0);
}

static void end(Fixture *f)
{
        bg_subscriber_free(f->subscriber);
        peer_close(&f->peer);
}

static const BgItem *expect(Fixture *f, BgItemKind kind)
{
        const BgItem *item = NULL;

        assert_int_equal(bg_subscriber_next(f->subscriber, WAIT_MS, &item), 0);
        assert_int_equal(item->kind, kind);
        return item;
}

static void expect_forecast(Fixture *f, const char *model, int64_t rev)
{
        const BgItem *item = expect(f, BG_ITEM_FORECAST);

        assert_int_equal(item->forecast->model.len, strlen(model));
        assert_memory_equal(item->forecast->model.data, model, strlen(model));
        assert_int_equal(item->forecast->rev, rev);
        assert_int_equal(item->forecast->count, 7);
        assert_true(item->payload.len > 0);
}

static void expect_nothing(Fixture *f)
{
        const BgItem *item;

        assert_int_equal(bg_subscriber_next(f->subscriber, 50, &item), BG_E_TIMEOUT);
}

static void delivers_each_revision_once_and_in_order(void **state)
{
        Fixture f;

        (void)state;
        begin(&f, "forecast/", 0);
        assert_int_equal(expect(&f, BG_ITEM_WELCOME)->welcome->epoch, 5);
        forecast(&f, "org/a", 4, 3);
        forecast(&f, "org/b", 1, 0);
        forecast(&f, "org/a", 5, 4);
        forecast(&f, "org/a", 5, 4); /* last values sent again, for somebody else */
        forecast(&f, "org/a", 4, 3);
        heartbeat(&f);
        expect_forecast(&f, "org/a", 4);
        expect_forecast(&f, "org/b", 1);
        expect_forecast(&f, "org/a", 5);
        expect(&f, BG_ITEM_HEARTBEAT);
        expect_nothing(&f);
        end(&f);
}

static void tells_a_lost_revision_before_the_one_that_follows(void **state)
{
        const BgItem *item;
        Fixture f;

        (void)state;
        begin(&f, "forecast/", 0);
        expect(&f, BG_ITEM_WELCOME);
        forecast(&f, "org/a", 4, 3);
        forecast(&f, "org/a", 9, 7); /* 7 is not here */
        expect_forecast(&f, "org/a", 4);
        item = expect(&f, BG_ITEM_GAP);
        assert_true(bg_str_equal(item->gap.model, BG_STR("org/a")));
        assert_int_equal(item->gap.have, 4);
        assert_int_equal(item->gap.got, 9);
        expect_forecast(&f, "org/a", 9);
        surge(&f, "s1", 1, 0);
        surge(&f, "s2", 1, 0); /* another incident of the same model is no gap */
        surge(&f, "s1", 3, 2);
        expect_nothing(&f); /* not subscribed to */
        end(&f);
}

static void counts_revisions_by_incident(void **state)
{
        const BgItem *item;
        Fixture f;

        (void)state;
        begin(&f, "surge/", 0);
        expect(&f, BG_ITEM_WELCOME);
        surge(&f, "s1", 1, 0);
        surge(&f, "s2", 1, 0);
        surge(&f, "s1", 3, 2);
        expect(&f, BG_ITEM_SURGE);
        expect(&f, BG_ITEM_SURGE);
        item = expect(&f, BG_ITEM_GAP);
        assert_true(bg_str_equal(item->gap.surge, BG_STR("s1")));
        assert_int_equal(expect(&f, BG_ITEM_SURGE)->surge->rev, 3);
        end(&f);
}

static void sees_a_loss_at_the_very_end_and_subscribes_again(void **state)
{
        const BgItem *item;
        Fixture f;

        (void)state;
        begin(&f, "", 0);
        expect(&f, BG_ITEM_WELCOME);
        forecast(&f, "org/a", 4, 3);
        expect_forecast(&f, "org/a", 4);
        f.seq++; /* an update of org/a that never arrives; nothing comes after it but a heartbeat */
        heartbeat(&f);
        item = expect(&f, BG_ITEM_GAP);
        assert_int_equal(item->gap.model.len, 0);
        assert_int_equal(item->gap.have, 101);
        assert_int_equal(item->gap.got, 102);
        expect(&f, BG_ITEM_HEARTBEAT);
        peer_expect_subscription(&f.peer, false, "");
        peer_expect_subscription(&f.peer, true, "");
        welcome(&f, "", 1);
        forecast_numbered(&f, "org/a", 5, 4, 102);
        heartbeat(&f);
        expect(&f, BG_ITEM_WELCOME);
        expect_forecast(&f, "org/a", 5);
        expect(&f, BG_ITEM_HEARTBEAT); /* and no second gap */
        expect_nothing(&f);
        end(&f);
}

static void sees_a_hole_in_the_numbers_at_once(void **state)
{
        Fixture f;

        (void)state;
        begin(&f, "", 0);
        expect(&f, BG_ITEM_WELCOME);
        forecast_numbered(&f, "org/old", 3, 2, 55); /* a last value has an old number */
        forecast(&f, "org/a", 1, 0);
        f.seq++;
        forecast(&f, "org/b", 1, 0);
        expect_forecast(&f, "org/old", 3);
        expect_forecast(&f, "org/a", 1);
        expect(&f, BG_ITEM_GAP);
        expect_forecast(&f, "org/b", 1);
        end(&f);
}

static void forgets_everything_in_a_new_epoch(void **state)
{
        const BgItem *item;
        Fixture f;

        (void)state;
        begin(&f, "forecast/", 0);
        expect(&f, BG_ITEM_WELCOME);
        forecast(&f, "org/a", 40, 39);
        expect_forecast(&f, "org/a", 40);
        f.epoch = 6;
        f.seq = 0;
        welcome(&f, "forecast/", 1);
        forecast(&f, "org/a", 1, 0);
        item = expect(&f, BG_ITEM_EPOCH);
        assert_int_equal(item->epoch.before, 5);
        assert_int_equal(item->epoch.now, 6);
        expect(&f, BG_ITEM_WELCOME);
        expect_forecast(&f, "org/a", 1);
        end(&f);
}

static void says_once_that_the_stream_is_stale(void **state)
{
        Fixture f;

        (void)state;
        begin(&f, "surge/", 120);
        expect(&f, BG_ITEM_WELCOME);
        assert_true(expect(&f, BG_ITEM_STALE)->stale.silent_ms >= 120);
        expect_nothing(&f);
        heartbeat(&f);
        expect(&f, BG_ITEM_HEARTBEAT);
        expect(&f, BG_ITEM_STALE);
        end(&f);
}

static void ignores_welcomes_of_others_and_counts_rubbish(void **state)
{
        Fixture f;

        (void)state;
        begin(&f, "forecast/", 0);
        expect(&f, BG_ITEM_WELCOME);
        welcome(&f, "forecast/org/", 3);
        zmq_send(f.peer.socket, "forecast/org/a/", 15, ZMQ_SNDMORE);
        zmq_send(f.peer.socket, "\xdd\xff\xff\xff\xff", 5, 0);
        zmq_send(f.peer.socket, "forecast/org/a/", 15, 0); /* no payload */
        forecast(&f, "org/a", 1, 0);
        expect_forecast(&f, "org/a", 1);
        assert_int_equal(bg_subscriber_n_malformed(f.subscriber), 2);
        end(&f);
}

static void refuses_an_endpoint_that_is_none(void **state)
{
        BgSubscriber *subscriber = (BgSubscriber *)1;

        (void)state;
        assert_int_equal(bg_subscriber_new(&subscriber, &(BgSubscriberSpec){ .endpoint = "nonsense" }), -EINVAL);
        assert_null(subscriber);
}

static void keeps_the_revisions_of_very_many_series(void **state)
{
        enum { N = 5000 };
        char model[32];
        Fixture f;

        (void)state;
        begin(&f, "forecast/", 0);
        expect(&f, BG_ITEM_WELCOME);
        for (int round = 1; round <= 2; round++) {
                for (int i = 0; i < N; i++) {
                        snprintf(model, sizeof(model), "org/m%d", i);
                        forecast(&f, model, round, round - 1);
                        expect_forecast(&f, model, round);
                }
        }
        forecast(&f, "org/m77", 2, 1);
        expect_nothing(&f);
        end(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(delivers_each_revision_once_and_in_order),
                cmocka_unit_test(tells_a_lost_revision_before_the_one_that_follows),
                cmocka_unit_test(counts_revisions_by_incident),
                cmocka_unit_test(sees_a_loss_at_the_very_end_and_subscribes_again),
                cmocka_unit_test(sees_a_hole_in_the_numbers_at_once),
                cmocka_unit_test(forgets_everything_in_a_new_epoch),
                cmocka_unit_test(says_once_that_the_stream_is_stale),
                cmocka_unit_test(ignores_welcomes_of_others_and_counts_rubbish),
                cmocka_unit_test(refuses_an_endpoint_that_is_none),
                cmocka_unit_test(keeps_the_revisions_of_very_many_series),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

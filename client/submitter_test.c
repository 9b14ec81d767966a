/* SPDX-License-Identifier: MIT */
#include "client/peer_test.h"

/*
 * A daemon in miniature, in its own thread: it counts the events of consecutive batches once, acknowledges, and misbehaves as
 * it is told to.
 */
typedef struct Fixture {
        Peer peer;
        pthread_t thread;
        BgSubmitter *submitter;
        /* orders */
        int64_t last_seq;      /* durable so far */
        int64_t credit;
        int n_lose;            /* so many batches are lost on the way */
        int n_mute;            /* so many are counted, but not acknowledged */
        int n_busy;            /* so many are answered "busy" */
        int64_t silent_until;  /* batches are kept unanswered until so many events are waiting; 0 = answer at once */
        bool refuse;
        bool forgetful;        /* keeps no state: acknowledges, but not for good */
        bool reject_third;     /* the third event of every batch is rejected */
        int64_t jump;          /* last_seq to claim instead of the truth */
        /* what happened */
        int64_t n_counted;
        int64_t n_waiting_max;
        int64_t n_duplicates;
        volatile bool stop;
        /* rejections */
        uint64_t tags[8];
        int reasons[8];
        size_t n_tags;
} Fixture;

static void acknowledge(Fixture *f, const PeerMessage *message, const BgBatch *batch, int error, int64_t accepted)
{
        BgRejection rejection = { .index = 2, .reason = BG_REJECT_FUTURE, .detail = BG_STR("at") };
        BgAck ack;

        bg_proto_init(&bg_proto_ack, &ack);
        ack.source = batch->source;
        ack.seq = batch->seq;
        ack.last_seq = f->jump ? f->jump : f->last_seq;
        ack.credit = f->credit;
        ack.error = error;
        ack.durable = !error && !f->forgetful;
        ack.accepted = accepted;
        if (f->reject_third && batch->events.n > 2 && !error) {
                ack.accepted--;
                ack.rejected = 1;
                ack.rejections.items = &rejection;
                ack.rejections.n = 1;
        }
        peer_answer(&f->peer, message, &bg_proto_ack, &ack);
}

static void take_batch(Fixture *f, const PeerMessage *message, const BgBatch *batch)
{
        if (batch->seq == 0 || f->refuse) {
                acknowledge(f, message, batch, f->refuse ? BG_ERROR_FORBIDDEN : 0, 0);
        } else if (f->n_lose > 0) {
                f->n_lose--;
        } else if (f->n_busy > 0) {
                f->n_busy--;
                acknowledge(f, message, batch, BG_ERROR_BUSY, 0);
        } else if (batch->seq <= f->last_seq) {
                f->n_duplicates++;
                acknowledge(f, message, batch, 0, 0);
        } else if (batch->seq > f->last_seq + 1) {
                acknowledge(f, message, batch, BG_ERROR_SEQUENCE, 0);
        } else {
                f->last_seq = batch->seq;
                f->n_counted += (int64_t)batch->events.n;
                if (f->n_mute > 0)
                        f->n_mute--;
                else
                        acknowledge(f, message, batch, 0, (int64_t)batch->events.n);
        }
}

static void *serve(void *data)
{
        Fixture *f = data;
        PeerMessage *held = calloc(64, sizeof(*held));
        int64_t n_waiting = 0;
        size_t n_held = 0;

        while (!f->stop) {
                PeerMessage *message = &held[n_held];
                BgBatch batch;

                if (!peer_receive(&f->peer, message, 150)) {
                        /* nothing more comes: everything that may wait does */
                        for (size_t i = 0; i < n_held; i++)
                                if (!bg_proto_unpack(&bg_proto_batch, held[i].bytes, (size_t)held[i].n_bytes, &held[i].arena, &batch, NULL))
                                        take_batch(f, &held[i], &batch);
                        n_held = 0;
                        n_waiting = 0;
                        continue;
                }
                if (bg_proto_unpack(&bg_proto_batch, message->bytes, (size_t)message->n_bytes, &message->arena, &batch, NULL))
                        break;
                if (f->silent_until && batch.seq && n_held < 60) {
                        n_waiting += (int64_t)batch.events.n;
                        f->n_waiting_max = n_waiting > f->n_waiting_max ? n_waiting : f->n_waiting_max;
                        n_held++;
                        continue;
                }
                take_batch(f, message, &batch);
        }
        for (size_t i = 0; i < 64; i++)
                bg_arena_deinit(&held[i].arena);
        free(held);
        return NULL;
}

static void rejected(void *data, uint64_t tag, int reason, BgStr detail)
{
        Fixture *f = data;

        assert_true(bg_str_equal(detail, BG_STR("at")));
        f->tags[f->n_tags & 7] = tag;
        f->reasons[f->n_tags++ & 7] = reason;
}

static void begin(Fixture *f, size_t batch_events, int ack_timeout_ms)
{
        peer_open(&f->peer, ZMQ_ROUTER);
        if (!f->credit)
                f->credit = 1000000;
        assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
        assert_int_equal(bg_submitter_new(&f->submitter, &(BgSubmitterSpec){ .endpoint = f->peer.endpoint, .source = "test",
                                                                             .batch_events = batch_events, .rejected = rejected,
                                                                             .ack_timeout_ms = ack_timeout_ms, .data = f }), 0);
}

static void end(Fixture *f)
{
        f->stop = true;
        pthread_join(f->thread, NULL);
        bg_submitter_free(f->submitter);
        peer_close(&f->peer);
}

static int put(Fixture *f, int64_t i)
{
        char child[40];
        BgEvent event = { .type = BG_EVENT_ADD, .model = BG_STR("org/model"), .at = BG_TIME_MIN + i * 1000000 };

        snprintf(child, sizeof(child), "author/child-%lld", (long long)i);
        event.child = bg_str(child);
        return bg_submitter_put(f->submitter, &event, (uint64_t)i, WAIT_MS);
}

static void put_all(Fixture *f, int64_t n)
{
        for (int64_t i = 0; i < n; i++)
                assert_int_equal(put(f, i), 0);
        assert_int_equal(bg_submitter_flush(f->submitter, WAIT_MS), 0);
}

static void goes_on_where_the_source_was(void **state)
{
        Fixture f = { .last_seq = 41 };
        int64_t last_seq = 0;

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, &last_seq), 0);
        assert_int_equal(last_seq, 41);
        put_all(&f, 25);
        assert_int_equal(f.n_counted, 25);
        assert_int_equal(f.last_seq, 44);
        assert_int_equal(bg_submitter_counts(f.submitter).accepted, 25);
        assert_int_equal(bg_submitter_counts(f.submitter).unacknowledged, 0);
        assert_int_equal(bg_submitter_counts(f.submitter).last_seq, 44);
        assert_true(bg_submitter_counts(f.submitter).durable);
        end(&f);
}

static void takes_the_word_of_a_daemon_without_state(void **state)
{
        Fixture f = { .forgetful = true };

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        put_all(&f, 25);
        assert_int_equal(bg_submitter_counts(f.submitter).accepted, 25);
        assert_false(bg_submitter_counts(f.submitter).durable);
        end(&f);
}

static void keeps_within_the_credit(void **state)
{
        Fixture f = { .credit = 50, .silent_until = 1 };

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        put_all(&f, 300);
        assert_int_equal(f.n_counted, 300);
        assert_true(f.n_waiting_max <= 50);
        assert_true(f.n_waiting_max >= 40); /* and uses it: several batches are on their way at a time */
        end(&f);
}

static void sends_again_what_was_lost(void **state)
{
        Fixture f = { .n_lose = 2 };

        (void)state;
        begin(&f, 10, 200);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        put_all(&f, 50);
        assert_int_equal(f.n_counted, 50);
        assert_true(bg_submitter_counts(f.submitter).resent > 0);
        assert_int_equal(bg_submitter_counts(f.submitter).unacknowledged, 0);
        end(&f);
}

static void counts_nothing_twice_when_an_answer_was_lost(void **state)
{
        Fixture f = { .n_mute = 5 };

        (void)state;
        begin(&f, 10, 200);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        put_all(&f, 50);
        assert_int_equal(f.n_counted, 50);
        assert_true(f.n_duplicates > 0);
        end(&f);
}

static void waits_for_a_busy_daemon(void **state)
{
        Fixture f = { .n_busy = 3 };

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        put_all(&f, 40);
        assert_int_equal(f.n_counted, 40);
        end(&f);
}

static void names_the_rejected_by_their_tags(void **state)
{
        Fixture f = { .reject_third = true };

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        put_all(&f, 20);
        assert_int_equal(f.n_tags, 2);
        assert_int_equal(f.tags[0], 2);
        assert_int_equal(f.tags[1], 12);
        assert_int_equal(f.reasons[0], BG_REJECT_FUTURE);
        assert_int_equal(bg_submitter_counts(f.submitter).rejected, 2);
        assert_int_equal(bg_submitter_counts(f.submitter).by_reason[BG_REJECT_FUTURE], 2);
        end(&f);
}

static void stops_when_the_daemon_refuses(void **state)
{
        Fixture f = { 0 };

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        f.refuse = true;
        for (int64_t i = 0; i < 5; i++)
                assert_int_equal(put(&f, i), 0);
        assert_int_equal(bg_submitter_flush(f.submitter, WAIT_MS), BG_SUBMITTER_E_REFUSED);
        assert_non_null(strstr(bg_submitter_error(f.submitter), "forbidden"));
        assert_int_equal(put(&f, 6), BG_SUBMITTER_E_REFUSED);
        end(&f);
}

static void notices_a_daemon_that_lost_its_state(void **state)
{
        Fixture f = { .last_seq = 9 };

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        f.last_seq = 0; /* begun anew from an empty directory */
        for (int64_t i = 0; i < 5; i++)
                assert_int_equal(put(&f, i), 0);
        assert_int_equal(bg_submitter_flush(f.submitter, WAIT_MS), BG_SUBMITTER_E_SEQUENCE);
        end(&f);
}

static void notices_another_feed_of_the_same_name(void **state)
{
        Fixture f = { 0 };

        (void)state;
        begin(&f, 10, 0);
        assert_int_equal(bg_submitter_resume(f.submitter, WAIT_MS, NULL), 0);
        f.jump = 1000;
        for (int64_t i = 0; i < 5; i++)
                assert_int_equal(put(&f, i), 0);
        assert_int_equal(bg_submitter_flush(f.submitter, WAIT_MS), BG_SUBMITTER_E_SEQUENCE);
        assert_non_null(strstr(bg_submitter_error(f.submitter), "another feed"));
        end(&f);
}

static void says_that_nobody_answers(void **state)
{
        Peer peer;
        BgSubmitter *submitter;

        (void)state;
        peer_open(&peer, ZMQ_ROUTER); /* bound, but mute */
        assert_int_equal(bg_submitter_new(&submitter, &(BgSubmitterSpec){ .endpoint = peer.endpoint, .source = "test",
                                                                          .ack_timeout_ms = 50 }), 0);
        assert_int_equal(bg_submitter_resume(submitter, 150, NULL), BG_E_TIMEOUT);
        bg_submitter_free(submitter);
        peer_close(&peer);
}

static void takes_no_invalid_event(void **state)
{
        const BgEvent good = { .type = BG_EVENT_ADD, .model = BG_STR("org/m"), .child = BG_STR("a/c"), .at = BG_TIME_MIN };
        BgSubmitter *submitter;
        BgEvent event;

        (void)state;
        assert_int_equal(bg_submitter_new(&submitter, &(BgSubmitterSpec){ .source = "" }), -EINVAL);
        assert_int_equal(bg_submitter_new(&submitter, &(BgSubmitterSpec){ .endpoint = "tcp://127.0.0.1:9", .source = "test" }), 0);
        assert_int_equal(bg_submitter_put(submitter, &good, 0, 0), 0);
#define BAD(change)                                                                           \
        event = good;                                                                         \
        change;                                                                               \
        assert_int_equal(bg_submitter_put(submitter, &event, 0, 0), BG_SUBMITTER_E_INVALID)
        BAD(event.model = BG_STR("no-slash"));
        BAD(event.child = BG_STR("a/b/c"));
        BAD(event.at = BG_TIME_MIN - 1);
        BAD(event.at = INT64_MAX);
        BAD(event.relation = (BgRelation)99);
        BAD(event.type = BG_EVENT_NONE);
        BAD(event.release = 7);
        BAD((event.type = BG_EVENT_TALLY, event.from = event.to = BG_TIME_MIN));
        BAD((event.type = BG_EVENT_TALLY, event.from = BG_TIME_MIN, event.to = BG_TIME_MAX, event.count = -1));
        BAD((event.type = BG_EVENT_MOVE, event.from_name = event.to_name = BG_STR("a/b")));
        assert_int_equal(bg_submitter_counts(submitter).put, 1);
        bg_submitter_free(submitter);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(goes_on_where_the_source_was),
                cmocka_unit_test(takes_the_word_of_a_daemon_without_state),
                cmocka_unit_test(keeps_within_the_credit),
                cmocka_unit_test(sends_again_what_was_lost),
                cmocka_unit_test(counts_nothing_twice_when_an_answer_was_lost),
                cmocka_unit_test(waits_for_a_busy_daemon),
                cmocka_unit_test(names_the_rejected_by_their_tags),
                cmocka_unit_test(stops_when_the_daemon_refuses),
                cmocka_unit_test(notices_a_daemon_that_lost_its_state),
                cmocka_unit_test(notices_another_feed_of_the_same_name),
                cmocka_unit_test(says_that_nobody_answers),
                cmocka_unit_test(takes_no_invalid_event),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

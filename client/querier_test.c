/* SPDX-License-Identifier: MIT */
#include "client/peer_test.h"

/* The peer answers from its own thread; what it does to each request is written down beforehand. */
typedef enum Act { ACT_ANSWER, ACT_SILENCE, ACT_REFUSE, ACT_RUBBISH, ACT_STALE_FIRST } Act;

typedef struct Fixture {
        Peer peer;
        pthread_t thread;
        const Act *acts;
        size_t n_acts;
        int64_t ids[8];
        unsigned char who[8][256];
} Fixture;

static void *serve(void *data)
{
        Fixture *f = data;
        PeerMessage *message = calloc(1, sizeof(*message));

        for (size_t i = 0; i < f->n_acts && peer_receive(&f->peer, message, WAIT_MS); i++) {
                BgRequest request;
                BgReply reply;

                if (bg_proto_unpack(&bg_proto_request, message->bytes, (size_t)message->n_bytes, &message->arena, &request, NULL))
                        break;
                f->ids[i] = request.id;
                memcpy(f->who[i], message->who, (size_t)message->n_who);
                bg_proto_init(&bg_proto_reply, &reply);
                reply.id = request.id;
                reply.epoch = 1;
                reply.total = 4711;
                reply.query = request.query;
                if (f->acts[i] == ACT_REFUSE) {
                        reply.error = BG_ERROR_NOT_FOUND;
                        reply.detail = BG_STR("no such model");
                }
                if (f->acts[i] == ACT_STALE_FIRST) {
                        reply.id = request.id + 1000;
                        reply.total = 1;
                        peer_answer(&f->peer, message, &bg_proto_reply, &reply);
                        reply.id = request.id;
                        reply.total = 4711;
                }
                if (f->acts[i] == ACT_RUBBISH)
                        peer_answer_bytes(&f->peer, message, "\xc1", 1);
                else if (f->acts[i] != ACT_SILENCE)
                        peer_answer(&f->peer, message, &bg_proto_reply, &reply);
        }
        bg_arena_deinit(&message->arena);
        free(message);
        return NULL;
}

static int ask(Fixture *f, const Act *acts, size_t n_acts, int timeout_ms, int n_tries, int64_t *totalp, char *error, size_t n_error)
{
        const BgReply *reply = NULL;
        BgQuerier *querier;
        BgRequest request;
        int r;

        *f = (Fixture){ .acts = acts, .n_acts = n_acts };
        peer_open(&f->peer, ZMQ_ROUTER);
        assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
        assert_int_equal(bg_querier_new(&querier, &(BgQuerierSpec){ .endpoint = f->peer.endpoint, .timeout_ms = timeout_ms,
                                                                    .n_tries = n_tries }), 0);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_LIST;
        r = bg_querier_ask(querier, &request, &reply);
        *totalp = reply ? reply->total : -1;
        snprintf(error, n_error, "%s%.*s", bg_querier_error(querier), reply && reply->detail.len ? (int)reply->detail.len : 0,
                 reply && reply->detail.len ? reply->detail.data : "");
        pthread_join(f->thread, NULL);
        bg_querier_free(querier);
        peer_close(&f->peer);
        return r;
}

#define ASK(timeout, tries, ...)                                                                                        \
        ask(&f, (const Act[]){ __VA_ARGS__ }, sizeof((const Act[]){ __VA_ARGS__ }) / sizeof(Act), timeout, tries, &total, error, \
            sizeof(error))

static void gets_the_answer(void **state)
{
        char error[300];
        int64_t total;
        Fixture f;

        (void)state;
        assert_int_equal(ASK(WAIT_MS, 1, ACT_ANSWER), 0);
        assert_int_equal(total, 4711);
        assert_string_equal(error, "");
}

static void asks_again_on_a_new_connection(void **state)
{
        char error[300];
        int64_t total;
        Fixture f;

        (void)state;
        assert_int_equal(ASK(150, 3, ACT_SILENCE, ACT_ANSWER), 0);
        assert_int_equal(total, 4711);
        assert_int_equal(f.ids[1], f.ids[0] + 1); /* a late answer to the first could not be mistaken */
        assert_memory_not_equal(f.who[0], f.who[1], 5);
}

static void gives_up_after_all_tries(void **state)
{
        char error[300];
        int64_t total;
        Fixture f;

        (void)state;
        assert_int_equal(ASK(60, 2, ACT_SILENCE, ACT_SILENCE), BG_E_TIMEOUT);
        assert_int_equal(total, -1);
        assert_int_equal(f.ids[1], 2);
}

static void passes_a_typed_error_on(void **state)
{
        char error[300];
        int64_t total;
        Fixture f;

        (void)state;
        assert_int_equal(ASK(WAIT_MS, 3, ACT_REFUSE), BG_QUERIER_E_REFUSED);
        assert_string_equal(error, "no such model");
}

static void names_what_it_does_not_understand(void **state)
{
        char error[300];
        int64_t total;
        Fixture f;

        (void)state;
        assert_int_equal(ASK(WAIT_MS, 3, ACT_RUBBISH), BG_QUERIER_E_MALFORMED);
        assert_true(strlen(error) > 0);
}

static void skips_answers_to_other_questions(void **state)
{
        char error[300];
        int64_t total;
        Fixture f;

        (void)state;
        assert_int_equal(ASK(WAIT_MS, 1, ACT_STALE_FIRST), 0);
        assert_int_equal(total, 4711);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gets_the_answer),
                cmocka_unit_test(asks_again_on_a_new_connection),
                cmocka_unit_test(gives_up_after_all_tries),
                cmocka_unit_test(passes_a_typed_error_on),
                cmocka_unit_test(names_what_it_does_not_understand),
                cmocka_unit_test(skips_answers_to_other_questions),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

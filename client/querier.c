/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/burgeon.h"
#include "client/wire.h"

#define TIMEOUT_MS 2000
#define N_TRIES 3
#define QUEUE_MAX 100

struct BgQuerier {
        char *endpoint;
        int timeout_ms;
        int n_tries;
        BgWire wire; /* closed after a failure: a question that was not answered must not be answered later */
        BgWireMessage message;
        BgArena arena;
        BgBuffer bytes;
        BgReply reply;
        int64_t id;
        BgProtoError error;
};

int bg_querier_new(BgQuerier **querierp, const BgQuerierSpec *spec)
{
        BgQuerier *querier = calloc(1, sizeof(*querier));
        int r;

        *querierp = NULL;
        if (!querier)
                return -ENOMEM;
        querier->timeout_ms = spec->timeout_ms > 0 ? spec->timeout_ms : TIMEOUT_MS;
        querier->n_tries = spec->n_tries > 0 ? spec->n_tries : N_TRIES;
        querier->endpoint = strdup(spec->endpoint ? spec->endpoint : BG_QUERY_ENDPOINT);
        r = querier->endpoint ? bg_wire_open(&querier->wire, BG_WIRE_DEALER, querier->endpoint, QUEUE_MAX) : -ENOMEM;
        if (r) {
                bg_querier_free(querier);
                return r;
        }
        *querierp = querier;
        return 0;
}

void bg_querier_free(BgQuerier *querier)
{
        if (!querier)
                return;
        bg_wire_message_deinit(&querier->message);
        bg_wire_close(&querier->wire);
        bg_arena_deinit(&querier->arena);
        bg_buffer_deinit(&querier->bytes);
        free(querier->endpoint);
        free(querier);
}

static int send_request(BgQuerier *querier, const BgRequest *asked)
{
        BgRequest request = *asked;
        int r = 0;

        request.v = BG_PROTO_VERSION;
        request.id = ++querier->id;
        bg_buffer_clear(&querier->bytes);
        r = bg_proto_pack(&bg_proto_request, &request, &querier->bytes);
        if (!r && !querier->wire.socket)
                r = bg_wire_open(&querier->wire, BG_WIRE_DEALER, querier->endpoint, QUEUE_MAX);
        return r ? r : bg_wire_send(&querier->wire, querier->bytes.data, querier->bytes.len);
}

static int receive_reply(BgQuerier *querier, int64_t deadline)
{
        const BgWireMessage *message = &querier->message;
        int r;

        for (;;) {
                r = bg_wire_receive(&querier->wire, deadline, &querier->message);
                if (r)
                        return r;
                bg_arena_clear(&querier->arena);
                r = bg_proto_unpack(&bg_proto_reply, message->frames[0].bytes, message->frames[0].n_bytes, &querier->arena,
                                    &querier->reply, &querier->error);
                if (r == BG_PROTO_E_MALFORMED)
                        return BG_QUERIER_E_MALFORMED;
                if (r)
                        return r;
                /* 0: a request the daemon could not read; ours is the only one on this connection */
                if (querier->reply.id == querier->id || (querier->reply.id == 0 && querier->reply.error))
                        return querier->reply.error ? BG_QUERIER_E_REFUSED : 0;
        }
}

int bg_querier_ask(BgQuerier *querier, const BgRequest *request, const BgReply **replyp)
{
        int r = BG_E_TIMEOUT;

        querier->error.text[0] = '\0';
        for (int i = 0; r == BG_E_TIMEOUT && i < querier->n_tries; i++) {
                r = send_request(querier, request);
                if (!r)
                        r = receive_reply(querier, bg_wire_deadline(querier->timeout_ms));
                if (r == BG_E_TIMEOUT || r < 0)
                        bg_wire_close(&querier->wire);
        }
        if (!r || r == BG_QUERIER_E_REFUSED)
                *replyp = &querier->reply;
        return r;
}

const char *bg_querier_error(const BgQuerier *querier)
{
        return querier->error.text;
}

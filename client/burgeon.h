/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_H
#define BURGEON_H

/*
 * libburgeon: talk to burgeond from C.
 *
 *   BgSubscriber  forecasts and incidents as they come, and the truth about what was missed
 *   BgQuerier     questions and answers
 *   BgSubmitter   events, acknowledged when they are durable (by a daemon that keeps no state: when they are counted)
 *
 * Messages are the structs of proto/proto.h (PROTOCOL.md tells what they mean). All times are microseconds UTC; all timeouts
 * milliseconds, negative = for ever. A handle belongs to one thread at a time; different handles know nothing of each other.
 *
 * Results are 0, a positive code that the function documents, or a negative errno (-ENOMEM, -EINVAL for an unusable endpoint,
 * ..). Any waiting function returns BG_E_INTERRUPTED when a signal handler ran; calling it again goes on. Connecting is
 * asynchronous: a daemon that is not there yet is no error, only silence.
 *
 *   BgSubscriber *subscriber;
 *   const char *topics[] = { "surge/", "forecast/aurora-lab/" };
 *   const BgItem *item;
 *
 *   bg_subscriber_new(&subscriber, &(BgSubscriberSpec){ .topics = topics, .n_topics = 2 });
 *   while (bg_subscriber_next(subscriber, -1, &item) == 0)
 *           switch (item->kind) {
 *           case BG_ITEM_FORECAST: .. item->forecast->model ..
 *           case BG_ITEM_GAP:      .. some were lost; what follows is current ..
 *           default:               break;
 *           }
 *   bg_subscriber_free(subscriber);
 */

#include "proto/proto.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BG_API __attribute__((visibility("default")))

#define BG_UPDATES_ENDPOINT "tcp://127.0.0.1:7701" /* of a daemon on its defaults */
#define BG_SUBMIT_ENDPOINT "tcp://127.0.0.1:7702"
#define BG_QUERY_ENDPOINT "tcp://127.0.0.1:7703"

#define BG_E_TIMEOUT 1     /* the time given is over; nothing is lost, call again */
#define BG_E_INTERRUPTED 2 /* a signal handler ran */

/** Version of the library in use, "0.1.0". */
BG_API const char *bg_version(void);

/* ---- subscribe -------------------------------------------------------------------------------------------------------------- */

typedef struct BgSubscriber BgSubscriber;

typedef struct BgSubscriberSpec {
        const char *endpoint;      /* NULL: BG_UPDATES_ENDPOINT */
        const char *const *topics; /* prefixes: "" everything, forecast/, surge/, forecast/ORG/MODEL/, org/ORG/, ecosystem/ .. */
        size_t n_topics;           /* 0: everything */
        int stale_after_ms;        /* silence (the daemon's heart beats every second) that counts as stale; 0: 3500 */
        int queue_max;             /* messages held for a slow reader, then they are lost (and said so); 0: 100,000 */
} BgSubscriberSpec;

typedef enum BgItemKind {
        BG_ITEM_WELCOME,   /* a subscription is live; `welcome->n_last` last values follow (-1: too many; ask for a snapshot) */
        BG_ITEM_FORECAST,  /* a new revision, or the last one after a welcome */
        BG_ITEM_SURGE,     /* a transition of an incident, or the last one after a welcome */
        BG_ITEM_HEARTBEAT, /* the daemon lives */
        BG_ITEM_GAP,       /* updates were lost; of a named series: the item after this one is its current value */
        BG_ITEM_STALE,     /* nothing was heard for stale_after_ms; said once per silence, any other item ends it */
        BG_ITEM_EPOCH,     /* the daemon's numbering began anew: forget everything; welcomes and last values follow */
        BG_ITEM_ORG,       /* an organisation's aggregates, or the last ones after a welcome */
        BG_ITEM_ECOSYSTEM, /* those of all models, likewise */
} BgItemKind;

/** Lost updates. Of one series or incident: its revisions after `have` and before `got`. Of the stream as a whole: sequence numbers. */
typedef struct BgGap {
        BgStr model;  /* of aggregates: the organisation, or "ecosystem"; "" when only the numbers tell that something is missing; the library then resubscribes by itself */
        int relation; /* BgRelation */
        BgStr surge;  /* id of the incident, "" for a forecast */
        int64_t have; /* last revision (sequence number) that came */
        int64_t got;  /* the one that came now */
} BgGap;

typedef struct BgItem {
        BgItemKind kind;
        BgStr topic;
        BgStr payload; /* the message as it came: msgpack; {NULL, 0} for GAP, STALE, EPOCH */
        union {
                const BgWelcome *welcome;
                const BgForecast *forecast;
                const BgSurge *surge;
                const BgHeartbeat *heartbeat;
                const BgOrg *org;
                const BgEcosystem *ecosystem;
                BgGap gap;
                struct {
                        int64_t silent_ms;
                } stale;
                struct {
                        int64_t before;
                        int64_t now;
                } epoch;
        };
} BgItem;

/** Connect and subscribe. The spec's texts are copied. Return: 0, -EINVAL (endpoint), -ENOMEM, .. */
BG_API int bg_subscriber_new(BgSubscriber **subscriberp, const BgSubscriberSpec *spec);
BG_API void bg_subscriber_free(BgSubscriber *subscriber); /* NULL is fine */

/**
 * bg_subscriber_next() - the next item
 *
 * Each revision of a series is delivered once, in rising order, whatever is sent again. Malformed messages are skipped and
 * counted.
 *
 * What is promised: a subscriber to everything ("") learns of any loss with the next message or heartbeat, is resubscribed,
 * and so gets what it missed. A subscriber to less learns of a loss with the next update of the series concerned.
 *
 * Return: 0 with *itemp (valid until the next call), BG_E_TIMEOUT, BG_E_INTERRUPTED, or negative errno.
 */
BG_API int bg_subscriber_next(BgSubscriber *subscriber, int timeout_ms, const BgItem **itemp);

/** Subscribe again: welcomes and last values come anew (those that are known already are not delivered twice). */
BG_API int bg_subscriber_resync(BgSubscriber *subscriber);

/** For event loops: readable (edge-triggered) when bg_subscriber_next(.., 0, ..) may have something; then call until E_TIMEOUT. */
BG_API int bg_subscriber_fd(const BgSubscriber *subscriber);
BG_API int64_t bg_subscriber_n_malformed(const BgSubscriber *subscriber);

/* ---- query ------------------------------------------------------------------------------------------------------------------ */

typedef struct BgQuerier BgQuerier;

typedef struct BgQuerierSpec {
        const char *endpoint; /* NULL: BG_QUERY_ENDPOINT */
        int timeout_ms;       /* of one try; 0: 2000 */
        int n_tries;          /* each with a new connection; 0: 3 */
} BgQuerierSpec;

#define BG_QUERIER_E_REFUSED 3   /* typed error: (*replyp)->error and ->detail */
#define BG_QUERIER_E_MALFORMED 4 /* the answer is not understood: bg_querier_error() */

BG_API int bg_querier_new(BgQuerier **querierp, const BgQuerierSpec *spec);
BG_API void bg_querier_free(BgQuerier *querier); /* NULL is fine */

/**
 * bg_querier_ask() - ask and wait for the answer
 * @request: start with bg_proto_init(&bg_proto_request, ..); v and id are filled in
 * @replyp:  valid until the next call; set on 0 and BG_QUERIER_E_REFUSED
 *
 * Queries change nothing, so they are asked again on a new connection when no answer comes in time.
 * Return: 0, BG_E_TIMEOUT (after all tries), BG_E_INTERRUPTED, BG_QUERIER_E_REFUSED, BG_QUERIER_E_MALFORMED, negative errno.
 */
BG_API int bg_querier_ask(BgQuerier *querier, const BgRequest *request, const BgReply **replyp);
/** What was wrong with the last answer, "" = nothing. */
BG_API const char *bg_querier_error(const BgQuerier *querier);

/* ---- submit ----------------------------------------------------------------------------------------------------------------- */

typedef struct BgSubmitter BgSubmitter;

/** An event that was refused. `tag` is what was given with it; `reason` a BgReject. */
typedef void BgSubmitterRejected(void *data, uint64_t tag, int reason, BgStr detail);

typedef struct BgSubmitterSpec {
        const char *endpoint;          /* NULL: BG_SUBMIT_ENDPOINT */
        const char *source;            /* REQUIRED: the feed's name, stable over restarts, 1 .. BG_SOURCE_MAX bytes */
        size_t batch_events;           /* events a batch; 0: 1000; at most BG_BATCH_EVENTS_MAX */
        int ack_timeout_ms;            /* without any answer, everything unacknowledged is sent again; 0: 5000 */
        BgSubmitterRejected *rejected; /* may be NULL; the daemon names the first 64 of a batch */
        void *data;
} BgSubmitterSpec;

/** Since bg_submitter_new(), in events. */
typedef struct BgSubmitterCounts {
        int64_t put;        /* given to bg_submitter_put() */
        int64_t accepted;   /* durable, and new */
        int64_t duplicates; /* known already */
        int64_t rejected;   /* refused, each alone; `by_reason` sums the named ones */
        int64_t unacknowledged;
        int64_t resent;     /* batches sent again */
        int64_t by_reason[BG_REJECT_N];
        int64_t last_seq;   /* highest batch known to be taken */
        bool durable;       /* the last acknowledgement was for good; false: a daemon without a state file */
} BgSubmitterCounts;

#define BG_SUBMITTER_E_INVALID 3   /* put: no valid event (bg_submitter_error() names the key); it is not taken */
#define BG_SUBMITTER_E_REFUSED 4   /* the daemon refuses a batch as a whole (bg_submitter_error()): a matter for a person */
#define BG_SUBMITTER_E_SEQUENCE 5  /* the daemon does not know batches it acknowledged before (its state was lost), or another
                                      feed uses this source's name: resume, and begin the feed anew */

BG_API int bg_submitter_new(BgSubmitter **submitterp, const BgSubmitterSpec *spec);
BG_API void bg_submitter_free(BgSubmitter *submitter); /* what is not flushed may be lost; NULL is fine */

/**
 * bg_submitter_resume() - ask the daemon where this source was, and number on from there
 * Call once before the first put. @last_seqp: number of the last durable batch, 0 = none; may be NULL.
 * Return: 0, BG_E_TIMEOUT (no daemon answers; call again), BG_E_INTERRUPTED, BG_SUBMITTER_E_REFUSED, negative errno.
 */
BG_API int bg_submitter_resume(BgSubmitter *submitter, int timeout_ms, int64_t *last_seqp);

/**
 * bg_submitter_put() - add an event to the open batch; a full batch is sent
 *
 * Waits while the daemon's credit is used up: a slow daemon slows its feeds, and nobody's memory fills.
 * Return: 0 taken; BG_E_TIMEOUT, BG_E_INTERRUPTED: not taken, no room yet; BG_SUBMITTER_E_*; negative errno.
 */
BG_API int bg_submitter_put(BgSubmitter *submitter, const BgEvent *event, uint64_t tag, int timeout_ms);

/** Send what is batched and wait until all is durable. Return: as bg_submitter_put(). */
BG_API int bg_submitter_flush(BgSubmitter *submitter, int timeout_ms);
/** Send the open batch without waiting, take in what came, send again what is overdue. For slow feeds: call it now and then. */
BG_API int bg_submitter_push(BgSubmitter *submitter);

BG_API BgSubmitterCounts bg_submitter_counts(const BgSubmitter *submitter);
BG_API const char *bg_submitter_error(const BgSubmitter *submitter);

#ifdef __cplusplus
}
#endif
#endif

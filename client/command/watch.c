/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "client/command/print.h"
#include "client/command/text.h"

typedef struct Watch {
        const BgContext *context;
        int64_t n_printed;
        int64_t n_max; /* 0 = no end */
        bool heartbeats;
} Watch;

/* With --json everything that a reader must know is on stdout, so that a pipe cannot miss a loss. */
static void tell_gap(const Watch *watch, const BgGap *gap)
{
        if (watch->context->json)
                printf("{\"gap\":{\"model\":\"%.*s\",\"relation\":\"%s\",\"surge\":\"%.*s\",\"have\":%lld,\"got\":%lld}}\n",
                       (int)gap->model.len, gap->model.len ? gap->model.data : "", bg_proto_relation_name(gap->relation),
                       (int)gap->surge.len, gap->surge.len ? gap->surge.data : "", (long long)gap->have, (long long)gap->got);
        else if (gap->model.len)
                bg_warning(watch->context, "gap: %.*s%s%.*s: updates between revisions %lld and %lld were lost; what follows is current",
                           (int)gap->model.len, gap->model.data, gap->surge.len ? ", incident " : "", (int)gap->surge.len,
                           gap->surge.len ? gap->surge.data : "", (long long)gap->have, (long long)gap->got);
        else
                bg_warning(watch->context, "gap: updates after number %lld were lost; asking for the last values again",
                           (long long)gap->have);
}

static void tell_stale(const Watch *watch, int64_t silent_ms)
{
        if (watch->context->json)
                printf("{\"stale\":{\"silent_ms\":%lld}}\n", (long long)silent_ms);
        else
                bg_warning(watch->context, "stale: nothing heard for %.1f s; no news is not good news", (double)silent_ms / 1000);
}

static void tell_epoch(const Watch *watch, int64_t before, int64_t now)
{
        if (watch->context->json)
                printf("{\"epoch\":{\"before\":%lld,\"now\":%lld}}\n", (long long)before, (long long)now);
        else
                bg_warning(watch->context, "epoch: the daemon began anew (%lld -> %lld); last values follow", (long long)before,
                           (long long)now);
}

static void tell_heartbeat(const Watch *watch, const BgHeartbeat *heartbeat)
{
        char when[BG_TEXT_MAX], events[BG_TEXT_MAX], dirty[BG_TEXT_MAX];

        if (watch->context->json)
                bg_print_json(&bg_proto_heartbeat, heartbeat);
        else
                printf("%s  heartbeat  %.*s, %s events, %s series wait for a refit\n", bg_text_minute(when, heartbeat->at),
                       (int)heartbeat->health.len, heartbeat->health.data, bg_text_count(events, (double)heartbeat->events),
                       bg_text_count(dirty, (double)heartbeat->dirty));
}

static bool is_update(const Watch *watch, const BgItem *item)
{
        return item->kind == BG_ITEM_FORECAST || item->kind == BG_ITEM_SURGE || item->kind == BG_ITEM_ORG ||
               item->kind == BG_ITEM_ECOSYSTEM || (item->kind == BG_ITEM_HEARTBEAT && watch->heartbeats);
}

static void tell(Watch *watch, const BgItem *item)
{
        const BgContext *context = watch->context;

        switch (item->kind) {
        case BG_ITEM_FORECAST:
                if (context->json)
                        bg_print_json(&bg_proto_forecast, item->forecast);
                else
                        bg_print_forecast(context, item->forecast);
                break;
        case BG_ITEM_SURGE:
                if (context->json)
                        bg_print_json(&bg_proto_surge, item->surge);
                else
                        bg_print_surge(context, item->surge);
                break;
        case BG_ITEM_ORG:
                if (context->json)
                        bg_print_json(&bg_proto_org, item->org);
                else
                        bg_print_org(context, item->org);
                break;
        case BG_ITEM_ECOSYSTEM:
                if (context->json)
                        bg_print_json(&bg_proto_ecosystem, item->ecosystem);
                else
                        bg_print_ecosystem(context, item->ecosystem);
                break;
        case BG_ITEM_HEARTBEAT:
                if (watch->heartbeats)
                        tell_heartbeat(watch, item->heartbeat);
                break;
        case BG_ITEM_WELCOME:
                bg_note(context, "subscribed to %s%.*s%s%s", item->welcome->topic.len ? "" : "everything", (int)item->welcome->topic.len,
                        item->welcome->topic.len ? item->welcome->topic.data : "", item->welcome->n_last ? "" : "; nothing known yet",
                        item->welcome->n_last < 0 ? "; too many last values to send, updates only" : "");
                break;
        case BG_ITEM_GAP:
                tell_gap(watch, &item->gap);
                break;
        case BG_ITEM_STALE:
                tell_stale(watch, item->stale.silent_ms);
                break;
        case BG_ITEM_EPOCH:
                tell_epoch(watch, item->epoch.before, item->epoch.now);
                break;
        }
        if (is_update(watch, item))
                watch->n_printed++;
}

static int run(Watch *watch, BgSubscriber *subscriber, double idle_s)
{
        double quiet_since = bg_seconds();
        const BgItem *item;
        int r;

        while (!bg_interrupted() && (!watch->n_max || watch->n_printed < watch->n_max)) {
                r = bg_subscriber_next(subscriber, 0, &item);
                if (r == BG_E_TIMEOUT) {
                        fflush(stdout); /* in rest, not at every line */
                        r = bg_subscriber_next(subscriber, 200, &item);
                }
                if (!r) {
                        tell(watch, item);
                        if (is_update(watch, item))
                                quiet_since = bg_seconds();
                        if (ferror(stdout))
                                return EX_IOERR;
                        continue;
                }
                if (r < 0) {
                        bg_error(watch->context, "%s: %s", watch->context->updates, strerror(-r));
                        return EX_OSERR;
                }
                if (idle_s > 0 && bg_seconds() - quiet_since >= idle_s)
                        break;
        }
        return EX_OK;
}

int bg_command_watch(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        double idle_s = 0;
        Watch watch = { .context = context };
        const BgOption options[] = {
                { "count", 'n', BG_OPTION_INTEGER, "N", &watch.n_max, 1, 1e15, "end after N updates" },
                { "until-idle", 0, BG_OPTION_NUMBER, "S", &idle_s, 0.1, 1e6, "end after S seconds without an update" },
                { "heartbeats", 0, BG_OPTION_FLAG, NULL, &watch.heartbeats, 0, 0, "show the daemon's heartbeats too" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        BG_CLEANUP(bg_subscriber_freep) BgSubscriber *subscriber = NULL;
        char **operands;
        int n_operands, r;

        r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);
        if (r != BG_OPTIONS_RUN)
                return r;
        for (int i = 0; i < n_operands; i++)
                if (operands[i][0] && strncmp(operands[i], "forecast/", 9) && strncmp(operands[i], "surge/", 6) &&
                    strncmp(operands[i], "heartbeat/", 10) && strncmp(operands[i], "org/", 4) && strncmp(operands[i], "ecosystem/", 10))
                        return bg_usage(context, command, "topics begin with forecast/, surge/, org/ or ecosystem/; did you mean forecast/%s%s?", operands[i],
                                        operands[i][strlen(operands[i]) - 1] == '/' ? "" : "/");
        r = bg_subscriber_new(&subscriber, &(BgSubscriberSpec){ .endpoint = context->updates, .topics = (const char *const *)operands,
                                                                .n_topics = (size_t)n_operands });
        if (r) {
                bg_error(context, "%s: %s", context->updates, strerror(-r));
                return r == -EINVAL ? EX_USAGE : EX_OSERR;
        }
        return run(&watch, subscriber, idle_s);
}

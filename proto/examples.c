/* SPDX-License-Identifier: MIT */

#include "proto/examples.h"

#define LLAMA "\"model\":\"meta-llama/Llama-3.1-8B\""
#define CHILD "\"child\":\"ada/llama-3.1-8b-proofs\""
#define NUMBERS "\"v\":1,\"epoch\":4,\"seq\":18231,"

#define HORIZON \
        "{\"days\":90,\"mean\":1624.5,\"q05\":1312,\"q10\":1371,\"q25\":1478,\"q50\":1609,\"q75\":1753,\"q90\":1897,\"q95\":1988," \
        "\"c50\":0.52,\"c80\":0.79,\"c90\":0.9,\"n_outcomes\":412}"
#define PARAMETERS \
        "{\"lambda\":3.25,\"lambda_sd\":0.125,\"mu\":5.5,\"mu_sd\":0.25,\"sigma\":1.5,\"sigma_sd\":0.0625,\"m\":30," \
        "\"dispersion\":4.5,\"moved\":2.75}"
#define BEFORE \
        "{\"as_of\":\"2025-01-31T11:59:30Z\",\"count\":1191,\"lambda\":3.125,\"mu\":5.4375,\"sigma\":1.5,\"expected\":5.25,\"days\":90," \
        "\"q50\":1583}"
#define WHY "{\"added\":17,\"removed\":1,\"late\":2,\"start\":\"warm\",\"shift\":0.015625,\"before\":" BEFORE "}"
#define QUANTILES(a, b, c, d, e, f, g) \
        "{\"q05\":" a ",\"q10\":" b ",\"q25\":" c ",\"q50\":" d ",\"q75\":" e ",\"q90\":" f ",\"q95\":" g "}"
#define MILESTONE \
        "{" LLAMA ",\"relation\":\"finetune\",\"rev\":205,\"status\":\"ok\",\"as_of\":\"2025-02-01T11:59:30Z\",\"count\":1207," \
        "\"target\":2000,\"days\":" QUANTILES("92.5", "115", "161.5", "240.25", "401", "980.5", "null") ",\"p7\":0,\"p30\":0.0005," \
        "\"p90\":0.046875,\"p365\":0.71875,\"p5y\":0.9375}"
#define OUTLOOK \
        "{" LLAMA ",\"relation\":\"finetune\",\"as_of\":\"2025-02-01T11:59:30Z\",\"ultimate\":" \
        QUANTILES("1810", "1970", "2310", "2905", "3900", "5600", "7250") ",\"impact_days\":" \
        QUANTILES("162.5", "178", "207", "244.75", "289.5", "337", "369") ",\"peak_days\":" \
        QUANTILES("48.5", "54", "66", "82.25", "105", "134.5", "157") ",\"peak_past\":0.96875}"
#define COVERAGE "{\"days\":30.4375,\"stratum\":\"10-99\",\"n\":1203,\"c50\":0.53,\"c80\":0.84,\"c90\":0.91,\"lwis\":0.0625}"
#define FORECAST \
        "{" NUMBERS LLAMA ",\"relation\":\"finetune\",\"rev\":205,\"prev_rev\":204,\"at\":\"2025-02-01T12:00:00.25Z\"," \
        "\"as_of\":\"2025-02-01T11:59:30Z\",\"status\":\"ok\",\"released_at\":\"2024-07-18T00:00:00Z\",\"count\":1207,\"rate\":5.125," \
        "\"parameters\":" PARAMETERS ",\"ultimate\":3021.5,\"impact_days\":244.69,\"horizons\":[" HORIZON "],\"why\":" WHY "}"
#define SURGE \
        "{" NUMBERS "\"id\":\"surge-41-3\",\"kind\":\"surge\"," LLAMA ",\"relation\":\"finetune\",\"state\":\"opened\",\"rev\":1," \
        "\"prev_rev\":0,\"at\":\"2025-02-01T11:58:00Z\",\"onset\":\"2025-01-31T22:00:00Z\",\"observed\":38,\"expected\":4.5," \
        "\"magnitude\":7.9,\"evidence\":47.5,\"threshold\":9.25,\"events\":41,\"authors\":33,\"top_author_share\":0.125," \
        "\"children\":[\"ada/llama-3.1-8b-proofs\",\"grace/llama-cobol\"],\"closes_when\":\"evidence below 0 or quiet for 7 days\"}"
#define INFO \
        "{\"program\":\"burgeond\",\"version\":\"0.1.0\",\"started_at\":\"2025-01-15T08:00:00Z\"," \
        "\"endpoints\":[{\"name\":\"updates\",\"endpoint\":\"tcp://127.0.0.1:7701\"}],\"topics\":[\"forecast/\",\"surge/\"]," \
        "\"horizons\":[7,30,90,180,365],\"estimator\":\"likelihood\",\"m\":30,\"message_bytes_max\":16777216," \
        "\"batch_events_max\":65536}"
#define LISTING \
        "{" LLAMA ",\"relation\":\"finetune\",\"released_at\":\"2024-07-18T00:00:00Z\",\"release_basis\":\"stated\",\"count\":1207," \
        "\"n_events\":995,\"n_tallies\":1,\"first_at\":\"2024-07-23T15:04:05Z\",\"last_at\":\"2025-02-01T11:59:12Z\",\"new_7d\":36," \
        "\"new_30d\":160,\"status\":\"ok\",\"rev\":205,\"rate\":5.125,\"days\":90,\"q10\":1371,\"q50\":1609,\"q90\":1897," \
        "\"surging\":true,\"spark\":[31,40,29,36]}"
#define HISTORY \
        "{" LLAMA ",\"relation\":\"finetune\",\"before\":1182,\"edges\":[1738195200000000,1738281600000000,1738368000000000]," \
        "\"counts\":[4,21]}"
#define STATS \
        "{\"uptime\":1483200000000,\"models\":2353,\"series\":3120,\"children\":145383,\"watermark\":\"2025-02-01T11:59:30Z\"," \
        "\"last_event_at\":\"2025-02-01T11:59:12Z\",\"last_batch_at\":\"2025-02-01T11:59:31Z\",\"rss_bytes\":48234496," \
        "\"counters\":[{\"name\":\"events_accepted\",\"n\":145400}],\"rejected\":[{\"name\":\"future\",\"n\":3}]," \
        "\"gauges\":[{\"name\":\"dirty\",\"n\":12}],\"receipts\":[" COVERAGE "]}"

#define SPREAD "{\"mean\":61.5,\"q10\":0,\"q25\":2,\"q50\":12,\"q75\":48.5,\"q90\":160}"
#define FITS \
        "{\"n\":14,\"lambda\":{\"mean\":3.5,\"q10\":1.25,\"q25\":2,\"q50\":3.125,\"q75\":4.5,\"q90\":6},\"mu\":{\"mean\":5.25,\"q10\":4," \
        "\"q25\":4.75,\"q50\":5.25,\"q75\":5.75,\"q90\":6.5},\"sigma\":{\"mean\":1.375,\"q10\":0.75,\"q25\":1,\"q50\":1.25,\"q75\":1.75," \
        "\"q90\":2.25}}"
#define EXPECTED "{\"mean\":52.25,\"q05\":0,\"q10\":0,\"q25\":1,\"q50\":9,\"q75\":41,\"q90\":152,\"q95\":297}"
#define AGED "{\"days\":182.625,\"n\":31,\"count\":" SPREAD ",\"weight\":0.875,\"expected\":" EXPECTED "}"
#define ORG \
        "{" NUMBERS "\"org\":\"meta-llama\",\"relation\":\"finetune\",\"rev\":88,\"prev_rev\":87,\"at\":\"2025-02-01T12:00:00Z\"," \
        "\"as_of\":\"2025-02-01T11:59:30Z\",\"models\":58,\"with_children\":44,\"children\":21480,\"share\":0.125,\"new_30d\":1022," \
        "\"surges\":1,\"largest\":\"meta-llama/Llama-3.1-8B\",\"largest_count\":1207,\"ok\":" FITS ",\"weak\":{\"n\":0},\"ages\":[" AGED "]}"
#define ORG_SHARE "{\"org\":\"meta-llama\",\"models\":58,\"children\":21480,\"share\":0.125,\"new_30d\":1022}"
#define HISTOGRAM "{\"edges\":[0.5,1,2,4,8],\"counts\":[12,41,96,30]}"
#define ECOSYSTEM \
        "{" NUMBERS "\"relation\":\"finetune\",\"rev\":912,\"prev_rev\":911,\"at\":\"2025-02-01T12:00:00Z\"," \
        "\"as_of\":\"2025-02-01T11:59:30Z\",\"models\":2353,\"with_children\":812,\"children\":170920,\"new_30d\":6120,\"orgs\":17," \
        "\"surges\":3,\"n_80\":42,\"share_80\":0.0178,\"gini\":0.984,\"lorenz\":[0,0.25,1],\"top\":[" ORG_SHARE "],\"growing\":[" ORG_SHARE \
        "],\"ok\":" FITS ",\"weak\":{\"n\":0},\"lambda\":" HISTOGRAM ",\"mu\":{\"edges\":[3,5,7],\"counts\":[100,79]}," \
        "\"sigma\":{\"edges\":[0.5,1,2],\"counts\":[80,99]},\"lambda_mu\":0.375,\"lambda_sigma\":0.25,\"mu_sigma\":0.5,\"ages\":[{\"days\":182.625," \
        "\"n\":1874,\"count\":" SPREAD "}]}"

#define GOOD(name_, type_, doc_, json_) { .name = name_, .type = &bg_proto_##type_, .json = json_, .doc = doc_ }
#define BAD(name_, type_, error_, doc_, json_) \
        { .name = name_, .type = &bg_proto_##type_, .json = json_, .error = BG_ERROR_##error_, .doc = doc_ }
#define BAD_BYTES(name_, type_, error_, doc_, literal) \
        { .name = name_, .type = &bg_proto_##type_, .bytes = { literal, sizeof(literal) - 1 }, .error = BG_ERROR_##error_, .doc = doc_ }

/* A batch of one event, refused. */
#define REFUSED(name_, reason_, key_, doc_, event) \
        { .name = name_, .type = &bg_proto_batch, .json = "{\"v\":1,\"source\":\"hub\",\"seq\":7,\"events\":[" event "]}", \
          .rejects = { { 0, BG_REJECT_##reason_, key_ } }, .doc = doc_ }

const BgExample bg_examples[] = {
        GOOD("event_add", event, "a child appeared",
             "{\"t\":\"add\"," LLAMA "," CHILD ",\"at\":\"2025-02-01T11:59:12Z\",\"relation\":\"adapter\",\"release\":\"2024-07-18\"}"),
        GOOD("event_remove", event, "it vanished", "{\"t\":\"remove\"," LLAMA "," CHILD ",\"at\":\"2025-02-02T00:00:00Z\"}"),
        GOOD("event_move", event, "a model or child was renamed",
             "{\"t\":\"move\",\"from\":\"ada/llama-3.1-8b-proofs\",\"to\":\"ada-labs/proofs\",\"at\":\"2025-02-03T00:00:00Z\"}"),
        GOOD("event_move_parent", event, "a child was given to another model, keeping its name",
             "{\"t\":\"move\",\"from\":\"ada/proofs\",\"to\":\"ada/proofs\",\"at\":\"2025-02-03T00:00:00Z\"," LLAMA
             ",\"to_model\":\"mistralai/Mistral-7B-v0.1\"}"),
        GOOD("event_tally", event, "so many appeared in an interval",
             "{\"t\":\"tally\"," LLAMA ",\"from\":\"2025-01-01\",\"to\":\"2025-02-01\",\"count\":212}"),
        GOOD("event_release", event, "birth of a model", "{\"t\":\"release\"," LLAMA ",\"at\":\"2024-07-18\"}"),
        GOOD("event_alive", event, "the source is complete up to here", "{\"t\":\"alive\",\"source\":\"hub\",\"at\":\"2025-02-01T12:00:00Z\"}"),

        GOOD("batch", batch, "two events",
             "{\"v\":1,\"source\":\"hub\",\"seq\":7,\"events\":[{\"t\":\"add\"," LLAMA "," CHILD
             ",\"at\":\"2025-02-01T11:59:12Z\"},{\"t\":\"alive\",\"at\":\"2025-02-01T12:00:00Z\"}]}"),
        GOOD("batch_ask", batch, "seq 0 and no events: where was I?", "{\"v\":1,\"source\":\"hub\",\"seq\":0,\"events\":[]}"),
        GOOD("rejection", rejection, "one event refused", "{\"index\":3,\"reason\":\"too_old\",\"detail\":\"at\"}"),
        GOOD("ack", ack, "the batch is on disk; one of its events was refused",
             "{\"v\":1,\"source\":\"hub\",\"seq\":7,\"last_seq\":7,\"accepted\":97,\"duplicates\":2,\"rejected\":1,"
             "\"rejections\":[{\"index\":3,\"reason\":\"too_old\",\"detail\":\"at\"}],\"durable\":true,\"credit\":65536}"),
        GOOD("ack_refused", ack, "nothing of the batch was taken",
             "{\"v\":1,\"seq\":0,\"last_seq\":0,\"accepted\":0,\"duplicates\":0,\"rejected\":0,\"durable\":false,\"credit\":65536,"
             "\"error\":\"unsupported\",\"detail\":\"v: version 1 is spoken here, got 2\"}"),

        GOOD("horizon", horizon, "90 days ahead", HORIZON),
        GOOD("parameters", parameters, "a fitted curve", PARAMETERS),
        GOOD("before", before, "the revision before", BEFORE),
        GOOD("why", why, "what moved", WHY),
        GOOD("quantiles", quantiles, "more than one in twenty never get there", QUANTILES("92.5", "115", "161.5", "240.25", "401", "980.5", "null")),
        GOOD("forecast", forecast, "one revision, with one horizon", FORECAST),
        GOOD("forecast_unknown", forecast, "nil is \"not known\"",
             "{\"v\":1,\"epoch\":1,\"seq\":1,\"model\":\"a/b\",\"relation\":\"finetune\",\"rev\":1,\"prev_rev\":0,\"at\":0,\"as_of\":0,"
             "\"status\":\"no_data\",\"count\":0,\"rate\":null,\"horizons\":[]}"),
        GOOD("surge", surge, "an incident opens", SURGE),
        GOOD("welcome", welcome, "a subscription is live",
             "{" NUMBERS "\"topic\":\"forecast/meta-llama/\",\"n_last\":12,\"server\":\"burgeond 0.1.0\"}"),
        GOOD("heartbeat", heartbeat, "once a second",
             "{" NUMBERS "\"at\":\"2025-02-01T12:00:00Z\",\"watermark\":\"2025-02-01T11:59:30Z\",\"input_age_s\":29.5,\"models\":2353,"
             "\"events\":145383,\"dirty\":12,\"health\":\"ok\"}"),
        GOOD("spread", spread, "of 31 counts", SPREAD),
        GOOD("fits", fits, "of 14 models", FITS),
        GOOD("expected", expected, "of a new model at half a year", EXPECTED),
        GOOD("aged", aged, "an organisation's models at half a year", AGED),
        GOOD("org", org, "an organisation", ORG),
        GOOD("org_share", org_share, "one in a ranking", ORG_SHARE),
        GOOD("histogram", histogram, "four bins", HISTOGRAM),
        GOOD("ecosystem", ecosystem, "all together", ECOSYSTEM),
        GOOD("request", request, "the largest five of an organisation",
             "{\"v\":1,\"id\":11,\"q\":\"list\",\"prefix\":\"meta-llama/\",\"sort\":\"growth\",\"limit\":5,\"spark\":12}"),
        GOOD("request_forecast", request, "horizons of one's own",
             "{\"v\":1,\"id\":12,\"q\":\"forecast\"," LLAMA ",\"relation\":\"adapter\",\"horizons\":[0.5,14]}"),
        GOOD("request_org", request, "an organisation", "{\"v\":1,\"id\":14,\"q\":\"org\",\"target\":\"meta-llama\"}"),
        GOOD("request_milestone", request, "when are there 2,000?", "{\"v\":1,\"id\":14,\"q\":\"milestone\"," LLAMA ",\"count\":2000}"),
        GOOD("request_why", request, "why was this incident opened?", "{\"v\":1,\"id\":15,\"q\":\"why\",\"target\":\"surge-41-3\"}"),
        GOOD("endpoint", endpoint, "a door", "{\"name\":\"submit\",\"endpoint\":\"tcp://127.0.0.1:7702\"}"),
        GOOD("info", info, "who the daemon is", INFO),
        GOOD("listing", listing, "one line of a list", LISTING),
        GOOD("history", history, "two days", HISTORY),
        GOOD("tallied", tallied, "a counter", "{\"name\":\"events_accepted\",\"n\":145400}"),
        GOOD("milestone", milestone, "when there are 2,000", MILESTONE),
        GOOD("outlook", outlook, "the course as a whole", OUTLOOK),
        GOOD("coverage", coverage, "one horizon and size", COVERAGE),
        GOOD("stats", stats, "the daemon's health", STATS),
        GOOD("reply", reply, "the answer to `info`", "{\"v\":1,\"id\":10,\"q\":\"info\",\"epoch\":4,\"seq\":18231,\"info\":" INFO "}"),
        GOOD("reply_forecasts", reply, "a forecast asked for",
             "{\"v\":1,\"id\":12,\"q\":\"forecast\",\"epoch\":4,\"seq\":18231,\"forecasts\":[" FORECAST "]}"),
        GOOD("reply_orgs", reply, "an organisation asked for",
             "{\"v\":1,\"id\":14,\"q\":\"org\",\"epoch\":4,\"seq\":18231,\"total\":1,\"orgs\":[" ORG "]}"),
        GOOD("reply_ecosystem", reply, "the ecosystem",
             "{\"v\":1,\"id\":15,\"q\":\"ecosystem\",\"epoch\":4,\"seq\":18231,\"ecosystem\":" ECOSYSTEM "}"),
        GOOD("reply_milestone", reply, "a milestone asked for",
             "{\"v\":1,\"id\":14,\"q\":\"milestone\",\"epoch\":4,\"seq\":18231,\"milestone\":" MILESTONE "}"),
        GOOD("reply_error", reply, "a typed error",
             "{\"v\":1,\"id\":13,\"q\":\"get\",\"epoch\":4,\"seq\":18231,\"error\":\"not_found\",\"detail\":\"no model a/b\"}"),

        /* ---- refused as a whole ---- */
        BAD_BYTES("bad_empty", batch, MALFORMED, "no bytes", ""),
        BAD_BYTES("bad_array32_bomb", batch, MALFORMED, "five bytes that announce 4294967295 items", "\xdd\xff\xff\xff\xff"),
        BAD_BYTES("bad_map32_bomb", batch, MALFORMED, "the same as a map", "\xdf\xff\xff\xff\xff"),
        BAD_BYTES("bad_str32_bomb", batch, MALFORMED, "the same as a string", "\xdb\xff\xff\xff\xff"),
        BAD_BYTES("bad_nested", batch, MALFORMED, "nested deeper than 8", "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0"),
        BAD_BYTES("bad_cut_off", batch, MALFORMED, "the end is missing", "\x84\xa1v\x01\xa6source\xa3hub\xa3seq"),
        BAD_BYTES("bad_trailing", request, MALFORMED, "bytes after the value", "\x83\xa1v\x01\xa2id\x01\xa1q\xa4info\xc0"),
        BAD_BYTES("bad_ext", request, MALFORMED, "an ext type", "\x83\xa1v\x01\xa2id\xd4\x01\x01\xa1q\xa4info"),
        BAD_BYTES("bad_key_binary", request, MALFORMED, "keys that are not strings", "\x83\xc4\x01v\x01\xc4\x02id\x01\xc4\x01q\xa4info"),
        BAD_BYTES("bad_utf8", batch, MALFORMED, "text that is not UTF-8", "\x84\xa1v\x01\xa6source\xa2\xc3(\xa3seq\x01\xa6" "events\x90"),
        BAD_BYTES("bad_nan", horizon, MALFORMED, "NaN where nil is meant", "\x81\xa4" "days\xcb\x7f\xf8\0\0\0\0\0\0"),
        BAD("bad_no_map", batch, MALFORMED, "an array", "[1,2,3]"),
        BAD("bad_missing", batch, MALFORMED, "no seq", "{\"v\":1,\"source\":\"hub\",\"events\":[]}"),
        BAD("bad_nil", batch, MALFORMED, "nil for what must be there", "{\"v\":1,\"source\":null,\"seq\":1,\"events\":[]}"),
        BAD("bad_type", batch, MALFORMED, "a number as text", "{\"v\":1,\"source\":\"hub\",\"seq\":\"7\",\"events\":[]}"),
        BAD("bad_fraction", batch, MALFORMED, "a fraction as integer", "{\"v\":1,\"source\":\"hub\",\"seq\":1.5,\"events\":[]}"),
        BAD("bad_control", batch, MALFORMED, "a control character", "{\"v\":1,\"source\":\"a\\u001b[2J\",\"seq\":1,\"events\":[]}"),
        BAD("bad_model", request, MALFORMED, "a name without a slash", "{\"v\":1,\"id\":1,\"q\":\"get\",\"model\":\"llama\"}"),
        BAD("bad_version", batch, UNSUPPORTED, "another version", "{\"v\":2,\"source\":\"hub\",\"seq\":1,\"events\":[]}"),
        BAD("bad_query", request, UNSUPPORTED, "an unknown word", "{\"v\":1,\"id\":1,\"q\":\"guess\"}"),
        BAD("bad_query_empty", request, UNSUPPORTED, "an empty word", "{\"v\":1,\"id\":1,\"q\":\"\"}"),
        BAD("bad_range", batch, RANGE, "below the range", "{\"v\":1,\"source\":\"hub\",\"seq\":-1,\"events\":[]}"),
        BAD("bad_empty_source", batch, RANGE, "text too short", "{\"v\":1,\"source\":\"\",\"seq\":1,\"events\":[]}"),
        BAD("bad_inner", reply, RANGE, "deep within a list",
            "{\"v\":1,\"id\":1,\"epoch\":1,\"seq\":1,\"stats\":{\"uptime\":0,\"models\":0,\"series\":0,\"children\":0,\"watermark\":0,"
            "\"last_event_at\":0,\"last_batch_at\":0,\"rss_bytes\":0,\"counters\":[{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":-1}]}}"),

        /* ---- events refused alone ---- */
        REFUSED("event_no_map", MALFORMED, "", "not a map", "5"),
        REFUSED("event_no_type", MISSING, "t", "no `t`", "{" LLAMA "," CHILD ",\"at\":1738411152000000}"),
        REFUSED("event_unknown_type", UNKNOWN_TYPE, "t", "a type of the future", "{\"t\":\"fork\"," LLAMA ",\"at\":1738411152000000}"),
        REFUSED("event_missing", MISSING, "child", "no child", "{\"t\":\"add\"," LLAMA ",\"at\":1738411152000000}"),
        REFUSED("event_name", NAME, "model", "no name", "{\"t\":\"add\",\"model\":\"llama\"," CHILD ",\"at\":1738411152000000}"),
        REFUSED("event_time_text", MALFORMED, "at", "times are integers", "{\"t\":\"add\"," LLAMA "," CHILD ",\"at\":\"2025-02-01\"}"),
        REFUSED("event_too_old", TOO_OLD, "at", "seconds instead of microseconds", "{\"t\":\"add\"," LLAMA "," CHILD ",\"at\":1738411152}"),
        REFUSED("event_range", RANGE, "at", "nanoseconds instead of microseconds",
                "{\"t\":\"add\"," LLAMA "," CHILD ",\"at\":1738411152000000000}"),
        REFUSED("event_relation", RANGE, "relation", "an unknown relation",
                "{\"t\":\"add\"," LLAMA "," CHILD ",\"at\":1738411152000000,\"relation\":\"cousin\"}"),
        REFUSED("event_count", RANGE, "count", "a negative count",
                "{\"t\":\"tally\"," LLAMA ",\"from\":1735689600000000,\"to\":1738368000000000,\"count\":-1}"),
        REFUSED("event_interval", INTERVAL, "to", "an interval that ends where it begins",
                "{\"t\":\"tally\"," LLAMA ",\"from\":1735689600000000,\"to\":1735689600000000,\"count\":1}"),
        REFUSED("event_self", SELF, "to", "moved to itself", "{\"t\":\"move\",\"from\":\"a/b\",\"to\":\"a/b\",\"at\":1738411152000000}"),
        REFUSED("event_half_move", MISSING, "to_model", "from a parent, but to none",
                "{\"t\":\"move\",\"from\":\"a/b\",\"to\":\"a/b\",\"at\":1738411152000000," LLAMA "}"),
        { .name = "batch_partly_refused", .type = &bg_proto_batch, .doc = "the good ones stand",
          .json = "{\"v\":1,\"source\":\"hub\",\"seq\":7,\"events\":[{\"t\":\"alive\",\"at\":1},{\"t\":\"alive\",\"at\":1738411152000000},null,"
                  "{\"t\":\"alive\",\"at\":1738411152000000.0,\"unknown\":[{\"key\":null}]},{\"t\":7}]}",
          .rejects = { { 0, BG_REJECT_TOO_OLD, "at" }, { 2, BG_REJECT_MALFORMED, "" }, { 4, BG_REJECT_MALFORMED, "t" } } },
};

const size_t bg_n_examples = sizeof(bg_examples) / sizeof(bg_examples[0]);

int bg_example_bytes(const BgExample *example, BgBuffer *out, BgProtoError *error)
{
        BgArena arena = { 0 };

        if (!example->json)
                return bg_buffer_append(out, example->bytes.data, example->bytes.len);
        if (example->error || example->rejects[0].reason)
                return bg_json_to_bytes(example->json, strlen(example->json), out, error);
        void *message = bg_arena_alloc(&arena, 1, example->type->size);
        int r = message ? bg_proto_from_json(example->type, example->json, strlen(example->json), &arena, message, error) : -ENOMEM;
        if (!r)
                r = bg_proto_pack(example->type, message, out);
        bg_arena_deinit(&arena);
        return r;
}

const BgExample *bg_example_named(const char *name)
{
        for (size_t i = 0; i < bg_n_examples; i++)
                if (!strcmp(bg_examples[i].name, name))
                        return &bg_examples[i];
        return NULL;
}

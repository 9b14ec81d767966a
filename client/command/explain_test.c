/* SPDX-License-Identifier: MIT */
/* Plain language about revisions and incidents: says what the message holds, and nothing that it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "client/command/explain.h"
#include "client/command/print.h"

bool bg_interrupted(void)
{
        return false;
}

static BgArena arena;

static void *message(const BgProtoType *type, size_t size, const char *json)
{
        void *to = bg_arena_alloc(&arena, 1, size);
        BgProtoError error;

        if (bg_proto_from_json(type, json, strlen(json), &arena, to, &error))
                fail_msg("%s", error.text);
        return to;
}

static BgForecast *forecast(const char *why, const char *status)
{
        char json[3000];

        snprintf(json, sizeof(json),
                 "{\"v\":1,\"epoch\":1,\"seq\":5,\"model\":\"ada/"
                 "base\",\"relation\":\"finetune\",\"rev\":7,\"prev_rev\":6,\"at\":\"2025-02-02\","
                 "\"as_of\":\"2025-02-02\",\"status\":\"%s\",\"count\":130,\"rate\":2,\"parameters\":{\"lambda\":3.3,\"lambda_"
                 "sd\":0.1,\"mu\":5,"
                 "\"mu_sd\":0.1,\"sigma\":1,\"sigma_sd\":0.1,\"m\":3,\"dispersion\":4},\"horizons\":[{\"days\":90,\"mean\":300,"
                 "\"q05\":200,"
                 "\"q10\":210,\"q25\":230,\"q50\":330,\"q75\":350,\"q90\":390,\"q95\":400,\"c50\":0.5,\"c80\":0.84,\"c90\":0.9,"
                 "\"n_outcomes\":1203}],"
                 "\"why\":%s}",
                 status, why);
        return message(&bg_proto_forecast, sizeof(BgForecast), json);
}

static void tells(char *text, const char *what)
{
        assert_non_null(text);
        if (!strstr(text, what))
                fail_msg("'%s' is not in: %s", what, text);
        free(text);
}

static void tells_not(char *text, const char *what)
{
        assert_non_null(text);
        if (strstr(text, what))
                fail_msg("'%s' is in: %s", what, text);
        free(text);
}

#define BEFORE(expected) \
        "\"before\":{\"as_of\":\"2025-02-01\",\"count\":100,\"lambda\":3,\"mu\":5,\"sigma\":1,\"expected\":" expected \
        ",\"days\":90,\"q50\":300}"

static void a_revision_is_compared_with_the_one_before(void **state)
{
        BgForecast *f = forecast("{\"added\":30,\"late\":2,\"removed\":1,\"start\":\"warm\"," BEFORE("4") "}", "ok");

        (void)state;
        tells(bg_explain_forecast(f), "Revision 7 of ada/base");
        tells(bg_explain_forecast(f), "went up from 300 to 330 (+10.0 %)");
        tells(bg_explain_forecast(f), "30 fine-tunes came in 24 h, where its curve expected 4.0: more than chance explains");
        tells(bg_explain_forecast(f), "2 of them are late");
        tells(bg_explain_forecast(f), "1 vanished and is no longer counted");
        tells(bg_explain_forecast(f), "lambda went from 3.00 to 3.30 (+10 %)");
        tells(bg_explain_forecast(f), "sigma stayed at 1.00");
        tells(bg_explain_forecast(f), "held 84 % of 1,203 times");
        tells_not(bg_explain_forecast(f), "badly");
        f->horizons.items[0].miscalibrated = true;
        tells(bg_explain_forecast(f), "badly calibrated");
}

static void surprise_is_judged_by_the_spread_of_the_process(void **state)
{
        (void)state;
        /* 4 expected at a dispersion of 4: sd 4.1, so 12 are within two of them, 13 are not */
        tells(bg_explain_forecast(forecast("{\"added\":12," BEFORE("4") "}", "ok")), "within what chance does");
        tells(bg_explain_forecast(forecast("{\"added\":13," BEFORE("4") "}", "ok")), "more than chance explains");
        tells(bg_explain_forecast(forecast("{\"added\":1," BEFORE("60") "}", "ok")), "fewer than chance explains");
        tells(bg_explain_forecast(forecast("{\"added\":1," BEFORE("60") "}", "ok")), "1 fine-tune came");
        tells_not(bg_explain_forecast(forecast("{\"added\":1," BEFORE("null") "}", "ok")), "chance");
}

static void quiet_first_and_special_revisions(void **state)
{
        (void)state;
        tells(bg_explain_forecast(forecast("{\"refreshed\":true," BEFORE("0.5") "}", "ok")), "nothing came");
        tells(bg_explain_forecast(forecast("{\"refreshed\":true," BEFORE("0.5") "}", "ok")), "renewed because time passed");
        tells(bg_explain_forecast(forecast("{\"release_changed\":true," BEFORE("0.5") "}", "ok")), "release was corrected");
        tells(bg_explain_forecast(forecast("{\"regime\":true," BEFORE("0.5") "}", "weak")), "lasting new level");
        tells(bg_explain_forecast(forecast("{\"regime\":true," BEFORE("0.5") "}", "weak")), "than what is known of all models");
        tells(bg_explain_forecast(forecast("{}", "stale_input")), "sources are silent");
        tells_not(bg_explain_forecast(forecast("{\"added\":3}", "ok")),
                  "expected 4"); /* a daemon that does not tell the one before */
        BgForecast *first = forecast("{\"added\":30}", "ok");
        first->prev_rev = 0;
        tells(bg_explain_forecast(first), "It is the first one");
        tells(bg_explain_forecast(first), "It expects 330 in 90 days");
        first->why = NULL;
        first->parameters = NULL;
        first->horizons.n = 0;
        tells(bg_explain_forecast(first), "Revision 7");
}

static BgSurge *surge(const char *kind, const char *state, const char *more)
{
        char json[1500];

        snprintf(json, sizeof(json),
                 "{\"v\":1,\"epoch\":1,\"seq\":5,\"id\":\"20250131-1a-1\",\"kind\":\"%s\",\"model\":\"ada/"
                 "base\",\"relation\":\"finetune\",\"state\":\"%s\","
                 "\"rev\":1,\"prev_rev\":0,\"at\":\"2025-02-01\",\"onset\":\"2025-01-31\",\"observed\":38,\"expected\":4.5,"
                 "\"magnitude\":7.9,"
                 "\"evidence\":47.5,\"threshold\":9.25,\"events\":41,\"authors\":33,\"top_author_share\":0.125,\"children\":[\"a/"
                 "b\",\"c/d\"]%s}",
                 kind, state, more);
        return message(&bg_proto_surge, sizeof(BgSurge), json);
}

static void incidents_are_told_by_kind_and_state(void **state)
{
        (void)state;
        tells(bg_explain_surge(surge("surge", "opened", ",\"closes_when\":\"7 quiet days\"")), "is a surge of ada/base");
        tells(bg_explain_surge(surge("surge", "opened", ",\"closes_when\":\"7 quiet days\"")), "What ends it: 7 quiet days.");
        tells(bg_explain_surge(surge("surge", "updated", "")), "33 different uploaders, the largest with 12 % of them: broad");
        tells(bg_explain_surge(surge("surge", "updated", "")), "a/b, c/d.");
        tells(bg_explain_surge(surge("surge", "updated", "")), "38 uploaders' sessions came, where 4.5 were expected: 7.9 times");
        tells(bg_explain_surge(surge("burst", "opened", "")), "the work of few, not adoption");
        tells(bg_explain_surge(surge("surge", "closed", ",\"reason\":\"evidence\"")), "again what was expected");
        tells(bg_explain_surge(surge("surge", "closed", ",\"reason\":\"quiet\"")), "nothing came any more");
        tells(bg_explain_surge(surge("surge", "regime", "")), "accepted as the new level");
        tells_not(bg_explain_surge(surge("surge", "closed", "")), "What ends it");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_revision_is_compared_with_the_one_before),
                cmocka_unit_test(surprise_is_judged_by_the_spread_of_the_process),
                cmocka_unit_test(quiet_first_and_special_revisions),
                cmocka_unit_test(incidents_are_told_by_kind_and_state),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);

        bg_arena_deinit(&arena);
        return failed;
}

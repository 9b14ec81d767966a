/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/stream/replay_out.h"

/** A number as JSON: nil for what is not known. Names and texts here are of checked characters: nothing to escape. */
static void number(FILE *out, const char *key, double x)
{
        if (isfinite(x))
                fprintf(out, ",\"%s\":%.9g", key, x);
        else
                fprintf(out, ",\"%s\":null", key);
}

void bg_replay_out_forecast(FILE *out, const BgForecast *forecast)
{
        char origin[BG_TIME_TEXT_MAX];
        const BgParameters *p = forecast->parameters;

        bg_time_format(forecast->as_of, origin);
        for (size_t i = 0; i < forecast->horizons.n; i++) {
                const BgHorizon *h = &forecast->horizons.items[i];

                fprintf(out, "{\"model\":\"%.*s\",\"relation\":\"%s\",\"origin\":\"%s\",\"horizon_days\":%.9g,\"count\":%lld,\"status\":\"%s\"",
                        (int)forecast->model.len, forecast->model.data, bg_proto_relation_name(forecast->relation), origin, h->days,
                        (long long)forecast->count, bg_proto_status_name(forecast->status));
                number(out, "mean", h->mean);
                fprintf(out, ",\"q\":{\"0.05\":%.0f,\"0.1\":%.0f,\"0.25\":%.0f,\"0.5\":%.0f,\"0.75\":%.0f,\"0.9\":%.0f,\"0.95\":%.0f}", h->q05,
                        h->q10, h->q25, h->q50, h->q75, h->q90, h->q95);
                if (p) {
                        fprintf(out, ",\"params\":{\"m\":%.9g", p->m);
                        number(out, "lambda", p->lambda);
                        number(out, "lambda_sd", p->lambda_sd);
                        number(out, "mu", p->mu);
                        number(out, "mu_sd", p->mu_sd);
                        number(out, "sigma", p->sigma);
                        number(out, "sigma_sd", p->sigma_sd);
                        fprintf(out, "}");
                }
                fprintf(out, "}\n");
        }
}

void bg_replay_out_surge(FILE *out, const BgSurge *surge)
{
        char at[BG_TIME_TEXT_MAX], onset[BG_TIME_TEXT_MAX];

        bg_time_format(surge->at, at);
        bg_time_format(surge->onset, onset);
        fprintf(out, "{\"type\":\"%s.%s\",\"id\":\"%.*s\",\"model\":\"%.*s\",\"at\":\"%s\",\"onset\":\"%s\",\"observed\":%lld",
                bg_proto_surge_kind_name(surge->kind), bg_proto_surge_state_name(surge->state), (int)surge->id.len, surge->id.data,
                (int)surge->model.len, surge->model.data, at, onset, (long long)surge->observed);
        number(out, "expected", surge->expected);
        number(out, "magnitude", surge->magnitude);
        number(out, "evidence", surge->evidence);
        fprintf(out, ",\"authors\":%lld", (long long)surge->authors);
        number(out, "top_author_share", surge->top_author_share);
        if (surge->reason.len)
                fprintf(out, ",\"reason\":\"%.*s\"", (int)surge->reason.len, surge->reason.data);
        fprintf(out, "}\n");
}

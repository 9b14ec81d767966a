/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_REPLAY_OUT_H
#define BURGEON_STREAM_REPLAY_OUT_H

#include <stdio.h>

#include "proto/proto.h"

/* The lines a replay writes. Private to the stream room. Numbers have a fixed number of digits: files are compared to the byte. */

/** One line of forecasts.jsonl a horizon. */
void bg_replay_out_forecast(FILE *out, const BgForecast *forecast);
/** One line of surges.jsonl. */
void bg_replay_out_surge(FILE *out, const BgSurge *surge);

#endif

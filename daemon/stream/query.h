/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_QUERY_H
#define BURGEON_STREAM_QUERY_H

#include "daemon/stream/refit.h"

/* Inside the room: what query.c (series, lists, histories) and query_answers.c (milestones, outlooks, why, receipts) share. */

BgStr bg_query_name(const BgCore *core, const BgSeries *series);

/** Fill in a typed error. Return: 0 or -ENOMEM. */
int bg_query_refuse(BgReply *reply, BgArena *arena, BgError error, const char *format, ...) __attribute__((format(printf, 4, 5)));

/** The series a request names; BG_SERIES_NONE, with *rp 0 and the reply filled or negative, when there is none. */
BgSeriesId bg_query_series(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply, int *rp);

/** The last published forecast of a series, if any, as the reply's one. 0 or -ENOMEM. */
int bg_query_add_forecast(BgCore *core, const BgSeries *series, BgArena *arena, BgReply *reply);

/* ---- query_answers.c ---------------------------------------------------------------------------------------------------------
 */

int bg_query_milestone(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply);
int bg_query_why(BgCore *core, const BgRequest *request, BgArena *arena, BgReply *reply);
/** Nothing is added while there is no forecast. 0 or -ENOMEM. */
int bg_query_add_outlook(BgCore *core, const BgSeries *series, BgArena *arena, BgReply *reply);
int bg_query_add_receipts(const BgCore *core, BgArena *arena, BgStats *stats);

#endif

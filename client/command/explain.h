/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_COMMAND_EXPLAIN_H
#define BURGEON_CLIENT_COMMAND_EXPLAIN_H

#include "proto/proto.h"

/*
 * Messages in plain language: only what they hold, nothing guessed. Text to be freed; NULL without memory. Sentences are parted
 * by single spaces, to be wrapped by whoever shows them.
 */

/** What came since the revision before, whether that was expected, and what it did to the curve and to the forecast. */
char *bg_explain_forecast(const BgForecast *forecast);
/** What an incident is, who is behind it, and what ends or ended it. */
char *bg_explain_surge(const BgSurge *surge);

#endif

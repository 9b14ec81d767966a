/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_COMMAND_PRINT_H
#define BURGEON_CLIENT_COMMAND_PRINT_H

#include "client/burgeon.h"
#include "client/command/command.h"

/** One message as a line of JSON on stdout. Return: 0, or EX_OSERR (no memory). */
int bg_print_json(const BgProtoType *type, const void *message);

/** A forecast or a transition of an incident in one line for people. */
void bg_print_forecast(const BgContext *context, const BgForecast *forecast);
void bg_print_surge(const BgContext *context, const BgSurge *surge);
/** Aggregates in one line. */
void bg_print_org(const BgContext *context, const BgOrg *org);
void bg_print_ecosystem(const BgContext *context, const BgEcosystem *ecosystem);
/** The text of that line without colours, for screens: at most `size` bytes, NUL-terminated. */
void bg_print_surge_text(char *text, size_t size, const BgSurge *surge);

/** The leaderboard's table: header and rows, `rank` from `first`. */
void bg_print_table(const BgContext *context, const BgListing *items, size_t n, int64_t first, int width);

/** The horizon of a forecast nearest to `days`; NULL when it has none. */
const BgHorizon *bg_print_horizon(const BgForecast *forecast, double days);

/** Colours when `on`, else "". */
const char *bg_print_color(bool on, const char *sequence);
const char *bg_print_status_color(bool on, int status); /* BgStatus */

/** Columns of the terminal behind stdout; 100 when it is none. */
int bg_print_width(void);

/**
 * bg_ask() - ask; on failure say what happened, and what to do, on stderr
 * Return: BG_OPTIONS_RUN, or the status to exit with (69 no daemon, 66 not known, 75 busy, ..).
 */
int bg_ask(const BgContext *context, BgQuerier *querier, const BgRequest *request, const BgReply **replyp);
int bg_ask_open(const BgContext *context, BgQuerier **querierp);

/** The value of --relation. Return: BG_OPTIONS_RUN, or EX_USAGE with the words that are possible said. */
int bg_ask_relation(const BgContext *context, const BgCommand *command, const char *text, int *relationp);
/** The one operand org/name of a command. Return: as above. */
int bg_ask_model(const BgContext *context, const BgCommand *command, int n_operands, char **operands, BgStr *modelp);

#define BG_CLEANUP(f) __attribute__((cleanup(f)))
static inline void bg_querier_freep(BgQuerier **querierp) { bg_querier_free(*querierp); }
static inline void bg_subscriber_freep(BgSubscriber **subscriberp) { bg_subscriber_free(*subscriberp); }

#endif

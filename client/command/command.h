/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_COMMAND_COMMAND_H
#define BURGEON_CLIENT_COMMAND_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sysexits.h>

/*
 * What the subcommands share: the table they are in, options, messages. Data goes to stdout, messages to stderr, and the exit
 * status is one of sysexits.h: 64 usage, 65 data refused, 66 no such input, 69 daemon not there, 73 cannot create, 74 I/O,
 * 75 try again; 130 after an interrupt.
 */

#define BG_EXIT_INTERRUPTED 130

/** Settings of one run, from flags, then the environment, then defaults. */
typedef struct BgContext {
        const char *submit;
        const char *updates;
        const char *query;
        bool json;
        bool quiet;
        bool no_color;
        bool color_out; /* colours may be used on stdout .. */
        bool color_err; /* .. and on stderr */
} BgContext;

typedef struct BgCommand {
        const char *name;
        const char *summary;   /* one line, lower case, no full stop */
        const char *examples;  /* lines of "  burgeon ..    what it does" */
        const char *operands;  /* "FILE.. | -", or "" */
        const char *notes;     /* what else to know, or NULL */
        int (*run)(BgContext *context, const struct BgCommand *command, int argc, char **argv);
} BgCommand;

/** Commands by name; ends with a NULL name. */
extern const BgCommand bg_commands[];

#define BG_COMMANDS(M) M(send) M(replay) M(watch) M(top) M(show) M(plot) M(milestone) M(why) M(surges) M(list) M(org) M(orgs) \
        M(ecosystem) M(status) M(simulate) M(figures)
#define BG_M(name) int bg_command_##name(BgContext *context, const BgCommand *command, int argc, char **argv);
BG_COMMANDS(BG_M)
#undef BG_M

/** Set by SIGINT and SIGTERM (the handlers interrupt system calls). */
bool bg_interrupted(void);

/* ---- options ---------------------------------------------------------------------------------------------------------------- */

typedef enum BgOptionKind {
        BG_OPTION_FLAG,     /* bool */
        BG_OPTION_TEXT,     /* const char * */
        BG_OPTION_INTEGER,  /* int64_t, lo..hi */
        BG_OPTION_NUMBER,   /* double, lo..hi */
        BG_OPTION_TIME,     /* int64_t, microseconds UTC, from RFC 3339 */
} BgOptionKind;

typedef struct BgOption {
        const char *name;    /* long name; NULL ends the table */
        char letter;         /* short name, or 0 */
        BgOptionKind kind;
        const char *argument; /* name of the argument in the help, or NULL */
        void *value;         /* where it goes; holds the default before */
        double lo, hi;
        const char *help;
} BgOption;

#define BG_OPTIONS_MAX 32
#define BG_OPTIONS_RUN (-1) /* go on */

/**
 * bg_options_parse() - flags of a subcommand and the common ones
 * Prints the help for --help, a message (with the nearest known flag) for what is wrong.
 * @operandsp, @n_operandsp: what is left, in argv
 * Return: BG_OPTIONS_RUN, or the status to exit with.
 */
int bg_options_parse(BgContext *context, const BgCommand *command, const BgOption *options, int argc, char **argv,
                     char ***operandsp, int *n_operandsp);

/** The word of a NULL-ended list nearest to `word` (edit distance with swaps), NULL when none is near. */
const char *bg_options_nearest(const char *word, const char *const *words);

/* ---- messages to stderr ------------------------------------------------------------------------------------------------------ */

/** "burgeon: text" in red (error), yellow (warning) or plain (note; not with --quiet). */
void bg_error(const BgContext *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bg_warning(const BgContext *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bg_note(const BgContext *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Wrong usage: the message and a pointer to --help. Return: EX_USAGE. */
int bg_usage(const BgContext *context, const BgCommand *command, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- progress on stderr ------------------------------------------------------------------------------------------------------ */

/** A bar with rate and time left on a terminal, else a line every 10 s; nothing with --quiet. Zero value: not started. */
typedef struct BgProgress {
        const BgContext *context;
        const char *unit; /* "events" */
        double begun;     /* seconds, monotonic */
        double shown;
        bool terminal;
        bool drawn;
} BgProgress;

void bg_progress_begin(BgProgress *progress, const BgContext *context, const char *unit);
/** @share: 0..1, or negative when the end is not known. Cheap: looks at the clock, draws at most 10 times a second. */
void bg_progress_update(BgProgress *progress, double n, double share);
void bg_progress_end(BgProgress *progress); /* removes the bar; accepts the zero value, and twice */
double bg_seconds(void);                    /* monotonic */

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_UTIL_LOG_H
#define BURGEON_UTIL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The log: one line a message on stderr, `id: text key=value key="a value"` behind a prefix, in one write().
 *
 * The id is stable: what a person greps for and an alert matches. Values that are not plain words are quoted and escaped, so
 * that nothing from outside can forge a line. Under journald (JOURNAL_STREAM names our stderr) lines carry `<N>` priorities;
 * elsewhere a time and the level's word. Any thread may log.
 */

typedef enum BgLogLevel { /* the numbers of syslog and journald */
        BG_LOG_ERROR = 3,
        BG_LOG_WARNING = 4,
        BG_LOG_NOTICE = 5,
        BG_LOG_INFO = 6,
        BG_LOG_DEBUG = 7,
} BgLogLevel;

typedef enum BgLogKind { BG_LOG_KIND_TEXT, BG_LOG_KIND_INT, BG_LOG_KIND_REAL } BgLogKind;

typedef struct BgLogField {
        const char *key; /* NULL ends a list */
        BgLogKind kind;
        const char *text;
        size_t len;
        int64_t number;
        double real;
} BgLogField;

static inline BgLogField bg_kv_len(const char *key, const char *text, size_t len)
{
        return (BgLogField){ .key = key, .kind = BG_LOG_KIND_TEXT, .text = text, .len = len };
}
static inline BgLogField bg_kv(const char *key, const char *text) { return bg_kv_len(key, text, text ? strlen(text) : 0); }
static inline BgLogField bg_kv_int(const char *key, int64_t number)
{
        return (BgLogField){ .key = key, .kind = BG_LOG_KIND_INT, .number = number };
}
static inline BgLogField bg_kv_real(const char *key, double real)
{
        return (BgLogField){ .key = key, .kind = BG_LOG_KIND_REAL, .real = real };
}

/** Where lines go (default stderr) and from which level on (default INFO). Looks at JOURNAL_STREAM. */
void bg_log_init(int fd, BgLogLevel level);
void bg_log_set_level(BgLogLevel level);
bool bg_log_enabled(BgLogLevel level);

/** "error", "warning", "notice", "info", "debug"; find: 0 or -ENOENT. */
const char *bg_log_level_name(BgLogLevel level);
int bg_log_level_find(BgLogLevel *levelp, const char *name);

/*
 * bg_log(BG_LOG_WARNING, "ingest.gap", "an upstream source lost batches", bg_kv("source", s), bg_kv_int("missed", n));
 *
 * More than BG_LOG_BURST lines of one id are let through at one a second; the first that is says how many were held back.
 * errno is left as it was.
 */
#define BG_LOG_BURST 20
#define bg_log(level, id, text, ...) \
        bg_log_write((level), (id), (text), (const BgLogField[]){ __VA_ARGS__ __VA_OPT__(, ) { .key = NULL } })
void bg_log_write(BgLogLevel level, const char *id, const char *text, const BgLogField *fields);

/** The line without prefix and newline, cut to `size` (tests). Return: its length. */
size_t bg_log_format(char *line, size_t size, const char *id, const char *text, const BgLogField *fields);

#endif

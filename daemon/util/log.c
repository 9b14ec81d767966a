/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each id has a bucket of tokens. Ids are few and are literals, so a small table searched by name does; an id that finds the
 * table full is not limited.
 */
#include "daemon/util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/clock.h"

enum {
        LINE_MAX_BYTES = 2048, /* journald and terminals cope; a longer line is cut, never split */
        BUCKETS_MAX = 256,
};

typedef struct Bucket {
        const char *id;
        double tokens;
        int64_t filled_at;
        int64_t n_held_back;
} Bucket;

static struct {
        pthread_mutex_t mutex;
        int fd;
        int level; /* read without the mutex */
        bool journal;
        Bucket buckets[BUCKETS_MAX];
        size_t n_buckets;
} g_log = { .mutex = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .level = BG_LOG_INFO };

static const struct {
        BgLogLevel level;
        const char *name;
} g_levels[] = {
        { BG_LOG_ERROR, "error" },   { BG_LOG_WARNING, "warning" }, { BG_LOG_NOTICE, "notice" },
        { BG_LOG_INFO, "info" },     { BG_LOG_DEBUG, "debug" },
};

const char *bg_log_level_name(BgLogLevel level)
{
        for (size_t i = 0; i < sizeof(g_levels) / sizeof(g_levels[0]); i++)
                if (g_levels[i].level == level)
                        return g_levels[i].name;
        return "?";
}

int bg_log_level_find(BgLogLevel *levelp, const char *name)
{
        for (size_t i = 0; i < sizeof(g_levels) / sizeof(g_levels[0]); i++) {
                if (!strcmp(g_levels[i].name, name)) {
                        *levelp = g_levels[i].level;
                        return 0;
                }
        }
        return -ENOENT;
}

/* systemd sets JOURNAL_STREAM=device:inode; it speaks of our stderr only if that is still the same file */
static bool is_journal(int fd)
{
        const char *stream = getenv("JOURNAL_STREAM");
        uintmax_t device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%ju:%ju", &device, &inode) != 2 || fstat(fd, &st))
                return false;
        return st.st_dev == device && st.st_ino == inode;
}

void bg_log_init(int fd, BgLogLevel level)
{
        pthread_mutex_lock(&g_log.mutex);
        g_log.fd = fd;
        g_log.journal = is_journal(fd);
        g_log.n_buckets = 0;
        pthread_mutex_unlock(&g_log.mutex);
        bg_log_set_level(level);
}

void bg_log_set_level(BgLogLevel level) { __atomic_store_n(&g_log.level, (int)level, __ATOMIC_RELAXED); }
bool bg_log_enabled(BgLogLevel level) { return (int)level <= __atomic_load_n(&g_log.level, __ATOMIC_RELAXED); }

static Bucket *find_bucket(const char *id)
{
        Bucket *bucket;

        for (size_t i = 0; i < g_log.n_buckets; i++)
                if (g_log.buckets[i].id == id || !strcmp(g_log.buckets[i].id, id))
                        return &g_log.buckets[i];
        if (g_log.n_buckets == BUCKETS_MAX)
                return NULL;
        bucket = &g_log.buckets[g_log.n_buckets++];
        *bucket = (Bucket){ .id = id, .tokens = BG_LOG_BURST, .filled_at = bg_clock_steady_us() };
        return bucket;
}

static bool let_through(Bucket *bucket)
{
        int64_t now = bg_clock_steady_us();

        bucket->tokens += (double)(now - bucket->filled_at) / 1e6;
        if (bucket->tokens > BG_LOG_BURST)
                bucket->tokens = BG_LOG_BURST;
        bucket->filled_at = now;
        if (bucket->tokens < 1) {
                bucket->n_held_back++;
                return false;
        }
        bucket->tokens -= 1;
        return true;
}

typedef struct Line {
        char *data;
        size_t len;
        size_t size; /* >= 1; data[len] is always 0 */
} Line;

static void put(Line *line, const char *data, size_t len)
{
        size_t room = line->size - 1 - line->len;

        if (len > room)
                len = room;
        memcpy(line->data + line->len, data, len);
        line->len += len;
        line->data[line->len] = 0;
}

static void put_text(Line *line, const char *text) { put(line, text, strlen(text)); }

static bool is_plain(const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f || text[i] == '"' || text[i] == '=' ||
                    text[i] == '\\')
                        return false;
        return len > 0;
}

/* bytes above 0x7e pass as they are: they are UTF-8 where proto let them in, and harmless to a line where it did not */
static void put_value(Line *line, const char *text, size_t len)
{
        if (is_plain(text, len)) {
                put(line, text, len);
                return;
        }
        put_text(line, "\"");
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];
                char escaped[5];

                if (c == '"' || c == '\\') {
                        put(line, (char[]){ '\\', (char)c }, 2);
                } else if (c < ' ' || c == 0x7f) {
                        snprintf(escaped, sizeof(escaped), "\\x%02x", c);
                        put_text(line, escaped);
                } else {
                        put(line, &text[i], 1);
                }
        }
        put_text(line, "\"");
}

static void put_field(Line *line, const BgLogField *field)
{
        char number[40];

        put_text(line, " ");
        put_text(line, field->key);
        put_text(line, "=");
        switch (field->kind) {
        case BG_LOG_KIND_TEXT:
                put_value(line, field->text ? field->text : "", field->len);
                return;
        case BG_LOG_KIND_INT:
                snprintf(number, sizeof(number), "%" PRId64, field->number);
                break;
        case BG_LOG_KIND_REAL:
                snprintf(number, sizeof(number), "%.6g", field->real);
                break;
        }
        put_text(line, number);
}

static void put_message(Line *line, const char *id, const char *text, const BgLogField *fields)
{
        put_text(line, id);
        put_text(line, ": ");
        put_text(line, text);
        for (const BgLogField *f = fields; f->key; f++)
                put_field(line, f);
}

size_t bg_log_format(char *data, size_t size, const char *id, const char *text, const BgLogField *fields)
{
        Line line = { .data = data, .size = size };

        data[0] = 0;
        put_message(&line, id, text, fields);
        return line.len;
}

static void put_prefix(Line *line, BgLogLevel level)
{
        char text[64];

        if (g_log.journal) {
                snprintf(text, sizeof(text), "<%d>", level);
        } else {
                int64_t now = bg_clock_now_us();
                time_t seconds = now / 1000000;
                struct tm tm;
                size_t n;

                gmtime_r(&seconds, &tm);
                n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
                snprintf(text + n, sizeof(text) - n, ".%03dZ %-7s ", (int)(now / 1000 % 1000), bg_log_level_name(level));
        }
        put_text(line, text);
}

void bg_log_write(BgLogLevel level, const char *id, const char *text, const BgLogField *fields)
{
        int saved_errno = errno;
        char data[LINE_MAX_BYTES];
        Line line = { .data = data, .size = sizeof(data) - 1 }; /* room for the newline */
        Bucket *bucket;

        if (!bg_log_enabled(level))
                return;
        data[0] = 0;
        pthread_mutex_lock(&g_log.mutex);
        bucket = find_bucket(id);
        if (!bucket || let_through(bucket)) {
                put_prefix(&line, level);
                put_message(&line, id, text, fields);
                if (bucket && bucket->n_held_back) {
                        put_field(&line, &(BgLogField){ .key = "held_back", .kind = BG_LOG_KIND_INT, .number = bucket->n_held_back });
                        bucket->n_held_back = 0;
                }
                data[line.len++] = '\n';
                /* nowhere to report that the log cannot be written */
                if (write(g_log.fd, data, line.len) < 0)
                        (void)errno;
        }
        pthread_mutex_unlock(&g_log.mutex);
        errno = saved_errno;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One table describes every key. Each layer (defaults, file, environment, flags) only decides which *text* a key has and where
 * it came from; the texts are read into values once, at the end, so that a layer that is overruled is still checked.
 */
#include "daemon/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/workers.h"

typedef enum Kind { KIND_BOOL, KIND_INT, KIND_REAL, KIND_DURATION, KIND_WORD, KIND_TEXT, KIND_BIND, KIND_CONNECT, KIND_TEXTS, KIND_DAYS } Kind;

typedef struct Key {
        const char *section;
        const char *name;
        Kind kind;
        size_t offset;
        const char *initial;
        double min; /* numbers; us for durations */
        double max;
        const char *const *words; /* WORD: the value is the index. REAL: words[0] stands for 0 */
        bool reloads; /* counts without a restart */
        const char *doc;
} Key;

static const char *const g_durabilities[] = { "process", "power", NULL };
static const char *const g_estimators[] = { "likelihood", "least-squares", NULL };
static const char *const g_forecasters[] = { "pooled", "process", NULL };
static const char *const g_time_units[] = { "day", "month", "year", NULL };
static const char *const g_levels[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const g_auto[] = { "auto", NULL };

#define AT(member) offsetof(BgConfig, member)
#define SECONDS(n) ((n) * 1e6)
#define DAYS(n) ((n) * 86400e6)

static const Key g_keys[] = {
        { "doors", "updates", KIND_BIND, AT(updates), "tcp://127.0.0.1:7701", 0, 0, NULL, false,
          "Where updates are published (ZeroMQ XPUB). Several endpoints: separate them by commas or repeat the key.\n"
          "tcp:// on the loopback (port * picks a free one, `info` tells it) or ipc:///PATH." },
        { "doors", "submit", KIND_BIND, AT(submit), "tcp://127.0.0.1:7702", 0, 0, NULL, false,
          "Where feeds submit batches of events and get them acknowledged once they are durable (ROUTER)." },
        { "doors", "query", KIND_BIND, AT(query), "tcp://127.0.0.1:7703", 0, 0, NULL, false,
          "Where queries are answered (ROUTER)." },
        { "doors", "subscribe", KIND_CONNECT, AT(subscribe), "", 0, 0, NULL, false,
          "Upstream publishers (PUB) of batches to listen to. Lossy by nature: gaps are counted and logged." },
        { "doors", "subscribe_topics", KIND_TEXTS, AT(subscribe_topics), "", 0, 0, NULL, false,
          "Topic prefixes to subscribe to upstream. Empty: everything." },
        { "doors", "admin", KIND_BOOL, AT(admin), "no", 0, 0, NULL, false,
          "Allow `reload` and `checkpoint` at the query door, to whoever can reach it." },
        { "doors", "credit", KIND_INT, AT(credit), "200000", 1, 1e9, NULL, false,
          "Events a feed may have sent and not yet seen acknowledged; told to it in every acknowledgement." },
        { "doors", "message_bytes_max", KIND_INT, AT(message_bytes_max), "16777216", 65536, BG_MESSAGE_BYTES_MAX, NULL, false,
          "Larger messages are refused; the connection of one that sends more than twice of it is cut." },
        { "doors", "updates_queue", KIND_INT, AT(updates_queue), "100000", 1, 1e7, NULL, false,
          "Updates queued for a subscriber that does not read; beyond, it misses some (and can tell). About 1 kB each." },
        { "doors", "last_values_max", KIND_INT, AT(last_values_max), "10000", 0, 1e6, NULL, false,
          "Last values sent after a subscription; one that matches more is told to ask for a snapshot." },
        { "doors", "heartbeat", KIND_DURATION, AT(heartbeat_us), "1s", 10e3, SECONDS(3600), NULL, false,
          "How often the heartbeat is published." },

        { "state", "state", KIND_TEXT, AT(state), "auto", 0, 0, NULL, false,
          "The file that keeps the events and the state (SQLite). auto: $STATE_DIRECTORY/burgeon.db, else\n"
          "$XDG_STATE_HOME/burgeon/burgeon.db, else ~/.local/state/burgeon/burgeon.db. none: keep nothing." },
        { "state", "durability", KIND_WORD, AT(durability), "process", 0, 0, g_durabilities, false,
          "What an acknowledged batch survives. process: the death of burgeond. power: also of the machine (a disk flush\n"
          "at every commit)." },
        { "state", "checkpoint", KIND_DURATION, AT(checkpoint_us), "60s", SECONDS(1), SECONDS(86400), NULL, true,
          "How often fits and last forecasts are saved. Events are always saved at once; this only shortens a restart." },
        { "state", "group_rows", KIND_INT, AT(group_rows), "10000", 1, 1e6, NULL, false,
          "Events committed together at most, when they come faster than the disk." },
        { "state", "groups_pending_max", KIND_INT, AT(groups_pending_max), "8", 1, 1000, NULL, false,
          "With so many commits waiting for the disk no more events are taken in until it has caught up." },

        { "model", "estimator", KIND_WORD, AT(estimator), "likelihood", 0, 0, g_estimators, false,
          "How the growth curve is fitted. likelihood: maximum a posteriori. least-squares: the estimator of the paper." },
        { "model", "m", KIND_REAL, AT(m), "auto", 1e-6, 1e6, g_auto, false,
          "The constant m of the growth curve. auto: 3 for likelihood, 1 for least-squares." },
        { "model", "dispersion", KIND_REAL, AT(dispersion), "auto", 1, 1e6, g_auto, false,
          "Over-dispersion of the counts that the likelihood allows for. auto: 5 + 0.3 n a month. 1: the process itself." },
        { "model", "forecaster", KIND_WORD, AT(forecaster), "pooled", 0, 0, g_forecasters, false,
          "pooled: the fit under a prior learned from all models, pooled with simple trends, its intervals calibrated while it\n"
          "runs. process: quantiles of the fitted process of each model alone (always so with least-squares)." },
        { "model", "time_unit", KIND_WORD, AT(time_unit), "day", 0, 0, g_time_units, false,
          "Time unit of the least-squares estimator (its bound mu >= 0 and its start depend on it): day, month, year." },
        { "model", "horizons", KIND_DAYS, AT(horizons), "7d, 30d, 90d, 180d, 365d", BG_HORIZON_MIN_DAYS, BG_HORIZON_MAX_DAYS, NULL, true,
          "Horizons of the forecasts, rising, at most 16." },
        { "model", "refresh", KIND_DURATION, AT(refresh_us), "1d", SECONDS(60), DAYS(365), NULL, true,
          "A forecast without new events is renewed after so long." },
        { "model", "stale_after", KIND_DURATION, AT(stale_after_us), "6h", 0, DAYS(365), NULL, true,
          "With no batch from any source for so long forecasts say stale_input. never: they do not." },
        { "model", "audit_every", KIND_INT, AT(audit_every), "16", 0, 1e6, NULL, true,
          "Every so-manieth warm refit of a series is checked against one from scratch. 0: none is." },
        { "model", "surge_threshold", KIND_REAL, AT(surge_threshold), "9.25", 0, 1e6, NULL, true,
          "Evidence that opens a surge, nats (log likelihood ratio). Lower: earlier and more false ones. 0: no detection." },
        { "model", "bursts", KIND_BOOL, AT(bursts), "no", 0, 0, NULL, true,
          "Publish bursts too: jumps made by one or a few uploaders, which are no surges." },
        { "model", "models_max", KIND_INT, AT(models_max), "134217728", 1, 4294967294.0, NULL, false,
          "Models known at most; events that invent more are rejected." },

        { "forecast", "material", KIND_REAL, AT(material), "0.05", 0, 10, NULL, true,
          "A forecast whose median or 80 % band moved by so much at any horizon is published at once, others a little later.\n"
          "In ln(1 + count): 0.05 is about 5 %." },
        { "forecast", "settle", KIND_DURATION, AT(settle_us), "5s", 0, SECONDS(3600), NULL, true,
          "The last revision of a burst is published so long after its end. While it lasts revisions come ever more slowly,\n"
          "up to twelve times as far apart. 0: every refit is published." },

        { "refit", "threads", KIND_INT, AT(threads), "0", 0, 1024, NULL, false, "Worker threads for the fits. 0: one a processor." },
        { "refit", "coalesce", KIND_DURATION, AT(coalesce_us), "20ms", 0, SECONDS(3600), NULL, true,
          "Events of a model that come closer together share a refit." },
        { "refit", "series_per_job", KIND_INT, AT(series_per_job), "200", 1, 100000, NULL, true,
          "Series handed to a worker at once." },

        { "process", "log_level", KIND_WORD, AT(log_level), "info", 0, 0, g_levels, true, "error, warning, notice, info or debug." },
        { "process", "shutdown_deadline", KIND_DURATION, AT(shutdown_deadline_us), "60s", 100e3, SECONDS(3600), NULL, true,
          "After a request to stop the program ends by then, if need be with exit code 70." },
};
enum { N_KEYS = sizeof(g_keys) / sizeof(g_keys[0]) };
_Static_assert(N_KEYS <= BG_CONFIG_KEYS_MAX, "a key for every text");

/* ---- finding keys ---------------------------------------------------------------------------------------------------------- */

/* '-' and '_' are the same, in files too */
static bool same_name(const char *a, const char *b)
{
        for (; *a && *b; a++, b++)
                if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
                        return false;
        return *a == *b;
}

static int find_key(const char *name)
{
        for (int i = 0; i < N_KEYS; i++)
                if (same_name(g_keys[i].name, name))
                        return i;
        return -1;
}

static bool is_near(const char *word, const char *name, size_t *bestp)
{
        size_t distance = bg_config_distance(word, name), allowed = strlen(word) < 5 ? 1 : strlen(word) < 9 ? 2 : 3;

        if (distance > allowed || distance >= *bestp)
                return false;
        *bestp = distance;
        return true;
}

const char *bg_config_nearest(const char *name)
{
        const char *nearest = NULL;
        size_t best = SIZE_MAX;

        for (int i = 0; i < N_KEYS; i++)
                if (is_near(name, g_keys[i].name, &best))
                        nearest = g_keys[i].name;
        return nearest;
}

bool bg_config_has_key(const char *name, bool *is_boolp)
{
        int i = find_key(name);

        if (i >= 0 && is_boolp)
                *is_boolp = g_keys[i].kind == KIND_BOOL;
        return i >= 0;
}

static bool is_list(const Key *key)
{
        return key->kind == KIND_BIND || key->kind == KIND_CONNECT || key->kind == KIND_TEXTS || key->kind == KIND_DAYS;
}

/* ---- layers ---------------------------------------------------------------------------------------------------------------- */

enum { ORIGIN_SIZE = 512 };

typedef struct Loader {
        BgConfig *config;
        BgBuffer *problems;
        bool invalid;
        int error; /* -ENOMEM */
        char origin[N_KEYS][ORIGIN_SIZE]; /* where the text of a key comes from */
        int layer[N_KEYS];
        int layer_now;

        /* the file */
        FILE *file;
        const char *path;
        int line;
        int first_line[N_KEYS]; /* where a key was given first; 0 = not yet */
        char section[64];
        char *text;
        size_t text_cap;
} Loader;

static void complain(Loader *loader, const char *origin, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void complain(Loader *loader, const char *origin, const char *format, ...)
{
        char text[BG_CONFIG_WHY_SIZE + 200];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        loader->invalid = true;
        if (bg_buffer_printf(loader->problems, "%s: %s\n", origin, text))
                loader->error = -ENOMEM;
}

/* A list given more than once in one layer adds up; a new layer begins anew. */
static void set_text(Loader *loader, int i, const char *text, const char *origin)
{
        BgConfig *config = loader->config;
        bool adds = is_list(&g_keys[i]) && loader->layer[i] == loader->layer_now && *config->text[i];
        size_t n_old = adds ? strlen(config->text[i]) + 2 : 0, n = strlen(text);
        char *joined = bg_arena_alloc(&config->arena, n_old + n + 1, 1);

        if (!joined) {
                loader->error = -ENOMEM;
                return;
        }
        if (adds)
                memcpy(stpcpy(joined, config->text[i]), ", ", 2);
        memcpy(joined + n_old, text, n);
        config->text[i] = joined;
        loader->layer[i] = loader->layer_now;
        snprintf(loader->origin[i], ORIGIN_SIZE, "%s", origin);
}

/* ---- values ---------------------------------------------------------------------------------------------------------------- */

static const char SEPARATORS[] = ", \t";

static int parse_word(int *valuep, const Key *key, const char *text, char *why)
{
        size_t at = 0;

        for (int i = 0; key->words[i]; i++) {
                if (!strcmp(key->words[i], text)) {
                        *valuep = i;
                        return 0;
                }
        }
        at = (size_t)snprintf(why, BG_CONFIG_WHY_SIZE, "expected");
        for (int i = 0; key->words[i]; i++)
                at += (size_t)snprintf(why + at, BG_CONFIG_WHY_SIZE - at, "%s %s", i == 0 ? "" : key->words[i + 1] ? "," : " or", key->words[i]);
        snprintf(why + at, BG_CONFIG_WHY_SIZE - at, ", got `%.60s`", text);
        return BG_CONFIG_E_INVALID;
}

/* Calls back with each item of a list. */
static int each_item(Loader *loader, const Key *key, const char *text, int (*take)(Loader *, const Key *, const char *, char *), char *why)
{
        char *copy = bg_arena_copy(&loader->config->arena, text, strlen(text)), *rest = NULL;
        int r = 0;

        if (!copy)
                return -ENOMEM;
        for (char *item = strtok_r(copy, SEPARATORS, &rest); item && !r; item = strtok_r(NULL, SEPARATORS, &rest))
                r = take(loader, key, item, why);
        return r;
}

static int take_horizon(Loader *loader, const Key *key, const char *item, char *why)
{
        BgConfig *config = loader->config;
        double days;
        int r = bg_config_parse_days(&days, item, key->min, key->max, why);

        if (r)
                return r;
        if (config->n_horizons == BG_CORE_HORIZONS_MAX) {
                snprintf(why, BG_CONFIG_WHY_SIZE, "more than %d horizons", BG_CORE_HORIZONS_MAX);
                return BG_CONFIG_E_INVALID;
        }
        if (config->n_horizons && days <= config->horizons[config->n_horizons - 1]) {
                snprintf(why, BG_CONFIG_WHY_SIZE, "horizons must rise, and %.40s does not", item);
                return BG_CONFIG_E_INVALID;
        }
        config->horizons[config->n_horizons++] = days;
        return 0;
}

static int take_item(Loader *loader, const Key *key, const char *item, char *why)
{
        BgConfigList *list = (BgConfigList *)((char *)loader->config + key->offset);
        const char **items = bg_arena_alloc(&loader->config->arena, list->n + 1, sizeof(*items));
        int r = 0;

        if (!items)
                return -ENOMEM;
        if (key->kind != KIND_TEXTS)
                r = bg_config_check_endpoint(item, key->kind == KIND_BIND, why);
        if (r)
                return r;
        if (list->n)
                memcpy(items, list->items, list->n * sizeof(*items));
        items[list->n++] = item;
        list->items = items;
        return 0;
}

static int parse_list(Loader *loader, const Key *key, const char *text, char *why)
{
        BgConfigList *list = (BgConfigList *)((char *)loader->config + key->offset);
        int r;

        if (key->kind == KIND_DAYS) {
                loader->config->n_horizons = 0;
                r = each_item(loader, key, text, take_horizon, why);
                if (!r && loader->config->n_horizons == 0) {
                        snprintf(why, BG_CONFIG_WHY_SIZE, "at least one horizon is needed");
                        r = BG_CONFIG_E_INVALID;
                }
                return r;
        }
        *list = (BgConfigList){ 0 };
        r = each_item(loader, key, text, take_item, why);
        if (!r && key->kind == KIND_BIND && list->n == 0) {
                snprintf(why, BG_CONFIG_WHY_SIZE, "at least one endpoint is needed");
                r = BG_CONFIG_E_INVALID;
        }
        return r;
}

static int parse_value(Loader *loader, const Key *key, const char *text, char *why)
{
        void *member = (char *)loader->config + key->offset;

        switch (key->kind) {
        case KIND_BOOL:
                return bg_config_parse_bool(member, text, why);
        case KIND_INT:
                return bg_config_parse_int(member, text, key->min, key->max, why);
        case KIND_REAL:
                if (key->words && !strcmp(text, key->words[0])) {
                        *(double *)member = 0;
                        return 0;
                }
                return bg_config_parse_real(member, text, key->min, key->max, why);
        case KIND_DURATION:
                return bg_config_parse_duration(member, text, key->min, key->max, why);
        case KIND_WORD:
                return parse_word(member, key, text, why);
        case KIND_TEXT:
                if (!*text) {
                        snprintf(why, BG_CONFIG_WHY_SIZE, "a value is missing");
                        return BG_CONFIG_E_INVALID;
                }
                *(const char **)member = text;
                return 0;
        case KIND_BIND:
        case KIND_CONNECT:
        case KIND_TEXTS:
        case KIND_DAYS:
                return parse_list(loader, key, text, why);
        }
        return 0;
}

/* Read what the layer set into the config; a text that is wrong is reported even if a later layer overrules it. */
static void parse_layer(Loader *loader)
{
        char why[BG_CONFIG_WHY_SIZE] = "";

        for (int i = 0; i < N_KEYS && !loader->error; i++) {
                int r;

                if (loader->layer[i] != loader->layer_now)
                        continue;
                r = parse_value(loader, &g_keys[i], loader->config->text[i], why);
                if (r == BG_CONFIG_E_INVALID)
                        complain(loader, loader->origin[i], "%s: %s", g_keys[i].name, why);
                else if (r)
                        loader->error = r;
        }
        loader->layer_now++;
}

/* ---- the file -------------------------------------------------------------------------------------------------------------- */

static void file_origin(const Loader *loader, char origin[ORIGIN_SIZE])
{
        snprintf(origin, ORIGIN_SIZE, "%s:%d", loader->path, loader->line);
}

/* What inih would swallow or misread: a line too long for it, and one that is neither a comment, a section nor a key. */
static bool check_line(Loader *loader, const char *line, size_t room)
{
        char origin[ORIGIN_SIZE];
        const char *at = line + strspn(line, " \t\r\n");

        file_origin(loader, origin);
        if (loader->line == 1 && !strncmp(line, "\xef\xbb\xbf", 3)) { /* a byte order mark */
                line += 3;
                at = line + strspn(line, " \t\r\n");
        }
        if (strlen(line) + 1 > room) {
                complain(loader, origin, "the line has more than %zu bytes; repeat the key for the rest of a list", room - 2);
                return false;
        }
        if (!*at || *at == ';' || *at == '#')
                return true;
        if (*at == '[') {
                if (strchr(at, ']'))
                        return true;
                complain(loader, origin, "the section has no closing `]`");
                return false;
        }
        if (at > line) {
                complain(loader, origin, "the line begins with blanks; begin keys at the margin (a list goes on by repeating its key)");
                return false;
        }
        if (strpbrk(at, "=:"))
                return true;
        complain(loader, origin, "expected `key = value`");
        return false;
}

static char *read_line(char *out, int n_out, void *data)
{
        Loader *loader = data;
        ssize_t n = getline(&loader->text, &loader->text_cap, loader->file);

        if (n < 0)
                return NULL;
        loader->line++;
        if (strlen(loader->text) != (size_t)n) { /* a NUL would hide the rest of the line */
                char origin[ORIGIN_SIZE];

                file_origin(loader, origin);
                complain(loader, origin, "the line holds a NUL byte: not a text file?");
                loader->text[0] = 0;
        }
        if (check_line(loader, loader->text, (size_t)n_out))
                memcpy(out, loader->text, strlen(loader->text) + 1);
        else
                memcpy(out, "\n", 2);
        return out;
}

static const char *nearest_section(const char *name)
{
        const char *nearest = NULL;
        size_t best = SIZE_MAX;

        for (int i = 0; i < N_KEYS; i++)
                if (is_near(name, g_keys[i].section, &best))
                        nearest = g_keys[i].section;
        return nearest;
}

static bool section_exists(const char *name)
{
        for (int i = 0; i < N_KEYS; i++)
                if (!strcmp(g_keys[i].section, name))
                        return true;
        return false;
}

static void unknown_key(Loader *loader, const char *origin, const char *section, const char *name)
{
        const char *nearest = bg_config_nearest(name);
        int i = nearest ? find_key(nearest) : -1;

        if (nearest && !strcmp(g_keys[i].section, section))
                complain(loader, origin, "unknown key `%.60s` in [%.60s]; did you mean `%s`?", name, section, nearest);
        else if (nearest)
                complain(loader, origin, "unknown key `%.60s` in [%.60s]; did you mean `%s` in [%s]?", name, section, nearest, g_keys[i].section);
        else
                complain(loader, origin, "unknown key `%.60s` in [%.60s]; `burgeond --print-config` shows all", name, section);
}

static int take_line(void *data, const char *section, const char *name, const char *value)
{
        Loader *loader = data;
        char origin[ORIGIN_SIZE];
        int i = find_key(name);
        const char *nearest;

        file_origin(loader, origin);
        if (!section_exists(section)) {
                if (!strcmp(loader->section, section) && *section) /* said once already */
                        return 1;
                snprintf(loader->section, sizeof(loader->section), "%s", section);
                nearest = nearest_section(section);
                if (!*section)
                        complain(loader, origin, "`%.60s` stands before the first [section]", name);
                else if (nearest)
                        complain(loader, origin, "unknown section [%.60s]; did you mean [%s]?", section, nearest);
                else
                        complain(loader, origin, "unknown section [%.60s]; `burgeond --print-config` shows all", section);
                return 1;
        }
        if (i < 0) {
                unknown_key(loader, origin, section, name);
                return 1;
        }
        if (strcmp(g_keys[i].section, section)) {
                complain(loader, origin, "`%s` belongs to [%s], not to [%.60s]", g_keys[i].name, g_keys[i].section, section);
                return 1;
        }
        if (loader->first_line[i] && !is_list(&g_keys[i])) {
                complain(loader, origin, "`%s` was given in line %d already", g_keys[i].name, loader->first_line[i]);
                return 1;
        }
        if (!loader->first_line[i])
                loader->first_line[i] = loader->line;
        set_text(loader, i, value, origin);
        return 1;
}

static void load_file(Loader *loader, const BgConfigSource *source)
{
        loader->path = source->path;
        loader->file = fopen(source->path, "re");
        if (!loader->file) {
                if (errno != ENOENT || !source->path_may_miss)
                        complain(loader, source->path, "cannot be read: %s", strerror(errno));
                return;
        }
        loader->config->path = bg_arena_copy(&loader->config->arena, source->path, strlen(source->path));
        ini_parse_stream(read_line, loader, take_line, loader); /* its own verdict is in what check_line said */
        if (ferror(loader->file))
                complain(loader, source->path, "cannot be read: %s", strerror(errno));
        fclose(loader->file);
        free(loader->text);
}

/* ---- the other layers ------------------------------------------------------------------------------------------------------ */

static void load_environment(Loader *loader)
{
        for (int i = 0; i < N_KEYS; i++) {
                char name[64] = "BURGEON_";
                size_t n = strlen(name);
                const char *value;

                for (const char *c = g_keys[i].name; *c; c++)
                        name[n++] = (char)toupper((unsigned char)*c);
                name[n] = 0;
                value = getenv(name);
                if (value)
                        set_text(loader, i, value, name);
        }
}

static void load_flags(Loader *loader, const BgConfigSource *source)
{
        for (size_t k = 0; k < source->n_flags; k++) {
                int i = find_key(source->flags[k].name);
                char origin[ORIGIN_SIZE];

                snprintf(origin, sizeof(origin), "--%s", source->flags[k].name);
                if (i < 0)
                        complain(loader, origin, "no such option");
                else
                        set_text(loader, i, source->flags[k].value, origin);
        }
}

int bg_config_load(BgConfig *config, const BgConfigSource *source, BgBuffer *problems)
{
        Loader *loader = calloc(1, sizeof(*loader));
        int r;

        *config = (BgConfig){ 0 };
        if (!loader)
                return -ENOMEM;
        loader->config = config;
        loader->problems = problems;
        for (int i = 0; i < N_KEYS; i++) {
                config->text[i] = g_keys[i].initial;
                snprintf(loader->origin[i], ORIGIN_SIZE, "default");
        }
        parse_layer(loader);
        assert(loader->error || !loader->invalid); /* the defaults are right */
        if (source->path)
                load_file(loader, source);
        parse_layer(loader);
        if (source->environment)
                load_environment(loader);
        parse_layer(loader);
        load_flags(loader, source);
        parse_layer(loader);
        r = loader->error ? loader->error : loader->invalid ? BG_CONFIG_E_INVALID : 0;
        free(loader);
        return r;
}

void bg_config_deinit(BgConfig *config)
{
        bg_arena_deinit(&config->arena);
        *config = (BgConfig){ 0 };
}

/* ---- printing -------------------------------------------------------------------------------------------------------------- */

static void print_comment(FILE *out, const char *text)
{
        while (*text) {
                size_t n = strcspn(text, "\n");

                fprintf(out, "# %.*s\n", (int)n, text);
                text += n + (text[n] == '\n');
        }
}

/* A long list goes over several lines, each with its key. */
static void print_value(FILE *out, const Key *key, const char *text)
{
        char copy[4096], *rest = NULL;
        size_t n = 0;

        if (strlen(text) < 100 || strlen(text) >= sizeof(copy)) {
                fprintf(out, "%s = %s\n", key->name, text);
                return;
        }
        snprintf(copy, sizeof(copy), "%s", text);
        for (char *item = strtok_r(copy, SEPARATORS, &rest); item; item = strtok_r(NULL, SEPARATORS, &rest), n++)
                fprintf(out, "%s = %s\n", key->name, item);
}

void bg_config_print(const BgConfig *config, FILE *out)
{
        const char *section = "";

        fprintf(out, "# burgeond.conf. Every key may also be given as a flag (--log-level debug) or in the environment\n"
                     "# (BURGEON_LOG_LEVEL=debug); flags count over environment over this file. `burgeond --check-config` checks it.\n"
                     "# SIGHUP reads it again; keys marked (restart) count after a restart only.\n");
        for (int i = 0; i < N_KEYS; i++) {
                const Key *key = &g_keys[i];

                if (strcmp(section, key->section))
                        fprintf(out, "\n[%s]\n", key->section);
                section = key->section;
                fputc('\n', out);
                print_comment(out, key->doc);
                fprintf(out, "# Default: %s%s\n", *key->initial ? key->initial : "none", key->reloads ? "" : "   (restart)");
                print_value(out, key, config->text[i]);
        }
}

void bg_config_print_flags(FILE *out)
{
        for (int i = 0; i < N_KEYS; i++) {
                const Key *key = &g_keys[i];
                char name[40];

                snprintf(name, sizeof(name), "--%s", key->name);
                for (char *c = name; *c; c++)
                        if (*c == '_')
                                *c = '-';
                fprintf(out, "  %-22s %.*s%s%s%s\n", name, (int)strcspn(key->doc, "\n"), key->doc, *key->initial ? " [" : "", key->initial,
                        *key->initial ? "]" : "");
        }
}

void bg_config_differences(const BgConfig *old, const BgConfig *new, BgBuffer *out)
{
        for (int i = 0; i < N_KEYS; i++)
                if (!g_keys[i].reloads && strcmp(old->text[i], new->text[i]))
                        bg_buffer_printf(out, "%s%s", out->len ? ", " : "", g_keys[i].name);
}

/* ---- for others ------------------------------------------------------------------------------------------------------------ */

double bg_config_unit_days(const BgConfig *config) { return (const double[]){ 1, 30.4375, 365.25 }[config->time_unit]; }

BgLogLevel bg_config_log_level(const BgConfig *config) { return (BgLogLevel)(BG_LOG_ERROR + config->log_level); }

unsigned bg_config_threads(const BgConfig *config) { return config->threads ? (unsigned)config->threads : bg_workers_n_threads_default(); }

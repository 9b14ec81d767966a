/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_CONFIG_H
#define BURGEON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/model/fit.h"
#include "daemon/stream/core.h"
#include "daemon/stream/store.h"
#include "daemon/util/log.h"
#include "proto/buffer.h"

/*
 * Configuration: flags over environment over file over defaults, one table of keys for all of them (config.c).
 *
 *   [doors] submit = ..     in the file         BURGEON_SUBMIT=..     in the environment         --submit ..     as a flag
 *
 * Key names are unique over the sections. Every mistake is reported, each with where it is and what would be right.
 */

#define BG_CONFIG_PATH_DEFAULT "/etc/burgeon/burgeond.conf"

typedef struct BgConfigList {
        const char **items;
        size_t n;
} BgConfigList;

#define BG_CONFIG_KEYS_MAX 48

typedef struct BgConfig {
        /* [doors] */
        BgConfigList updates;
        BgConfigList submit;
        BgConfigList query;
        BgConfigList subscribe;
        BgConfigList subscribe_topics;
        bool admin;
        int64_t credit;
        int64_t message_bytes_max;
        int64_t updates_queue;
        int64_t last_values_max;
        int64_t heartbeat_us;
        /* [state] */
        const char *state; /* "auto", "none", or a path */
        int durability;    /* BgDurability */
        int64_t checkpoint_us;
        int64_t group_rows;
        int64_t groups_pending_max;
        /* [model] */
        int estimator;    /* BgEstimator */
        double m;         /* 0 = the estimator's own */
        double dispersion; /* 0 = auto */
        int forecaster;   /* BgForecaster */
        int time_unit;    /* index: day, month, year */
        double horizons[BG_CORE_HORIZONS_MAX]; /* days, rising */
        size_t n_horizons;
        int64_t refresh_us;
        int64_t stale_after_us; /* 0 = never */
        int64_t audit_every;
        double surge_threshold;
        bool bursts;
        int64_t models_max;
        /* [forecast] */
        double material;
        int64_t settle_us; /* 0 = every refit is a revision */
        /* [refit] */
        int64_t threads; /* 0 = one a processor */
        int64_t coalesce_us;
        int64_t series_per_job;
        /* [process] */
        int log_level; /* index: error, warning, notice, info, debug */
        int64_t shutdown_deadline_us;

        char *path; /* of the file that was read, NULL = none */
        const char *text[BG_CONFIG_KEYS_MAX]; /* private: what the values were read from */
        BgArena arena;
} BgConfig;

typedef struct BgConfigFlag {
        const char *name;  /* key with '-' or '_' */
        const char *value;
} BgConfigFlag;

typedef struct BgConfigSource {
        const char *path;           /* file; NULL = none */
        bool path_may_miss;         /* no file there is no mistake */
        bool environment;           /* look at BURGEON_* */
        const BgConfigFlag *flags;  /* in order; of a key that is a list they add up, else the last one counts */
        size_t n_flags;
} BgConfigSource;

#define BG_CONFIG_E_INVALID 1

/**
 * bg_config_load() - read all layers
 * @config:   overwritten; deinit it in any case
 * @problems: one line each, "burgeond.conf:12: unknown key `sumbit` in [doors]; did you mean `submit`?"
 * Return: 0, BG_CONFIG_E_INVALID or -ENOMEM.
 */
int bg_config_load(BgConfig *config, const BgConfigSource *source, BgBuffer *problems);
void bg_config_deinit(BgConfig *config);

/** Is there such a key, in the spelling of a flag ("group-rows")? And is it a yes/no one, whose flag may stand without a value? */
bool bg_config_has_key(const char *name, bool *is_boolp);
/** The key nearest to a misspelt one; NULL when none is near. */
const char *bg_config_nearest(const char *name);

/** Write a commented file with the values in force; reading it gives the same configuration. */
void bg_config_print(const BgConfig *config, FILE *out);
/** The keys as lines of --help. */
void bg_config_print_flags(FILE *out);
/** Keys that differ and only count after a restart, comma separated; "" = none. */
void bg_config_differences(const BgConfig *old, const BgConfig *new, BgBuffer *out);

double bg_config_unit_days(const BgConfig *config);
BgLogLevel bg_config_log_level(const BgConfig *config);
unsigned bg_config_threads(const BgConfig *config);

/* ---- values (config_value.c); on error `why` says what was expected, 0 or BG_CONFIG_E_INVALID ------------------------------- */

enum { BG_CONFIG_WHY_SIZE = 320 };
int bg_config_parse_int(int64_t *valuep, const char *text, double min, double max, char *why);
int bg_config_parse_real(double *valuep, const char *text, double min, double max, char *why);
int bg_config_parse_bool(bool *valuep, const char *text, char *why);
/** "20ms", "1.5 h", "1d"; units us ms s min h d w; a bare 0 or `never` is 0. Limits in us. */
int bg_config_parse_duration(int64_t *usp, const char *text, double min, double max, char *why);
/** "30d", "12h", "365.25", in days; limits in days. */
int bg_config_parse_days(double *daysp, const char *text, double min, double max, char *why);
/** An endpoint that a door may be bound (or an upstream connected) to: tcp on the loopback, or ipc. */
int bg_config_check_endpoint(const char *text, bool binds, char *why);
/** Edit distance with transpositions of neighbours. */
size_t bg_config_distance(const char *a, const char *b);

#endif

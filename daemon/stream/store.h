/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_STORE_H
#define BURGEON_STREAM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * What survives: the log of events, the cursors of the sources, the refused events, and the state of each series.
 *
 * The log is the truth: the registry is rebuilt by applying it in order. Everything appended between two commits becomes
 * durable together or not at all. A writer thread owns the SQLite connection (WAL, append-only rows, no unique index on
 * children); the caller's thread only copies into the open group. One file, readable with `sqlite3`; views for people.
 */

typedef struct BgStore BgStore;

typedef enum BgDurability {
        BG_DURABILITY_PROCESS, /* synchronous=NORMAL: survives the death of the process; power loss may take the last commits */
        BG_DURABILITY_POWER,   /* synchronous=FULL: fsync at every commit */
} BgDurability;

typedef struct BgStoreSpec {
        const char *path; /* the database file; created when missing; the directory must exist */
        BgDurability durability;
} BgStoreSpec;

typedef struct BgStoreReceipt {
        bool created;
        int64_t n_events;   /* rows in the log */
        int64_t last_log;   /* highest row */
        int64_t epoch;      /* of this run: one more than the last run's */
        bool clean;         /* the last run closed it */
        unsigned char hash_key[16];
} BgStoreReceipt;

#define BG_STORE_E_UNUSABLE 1 /* not ours, a newer format, damaged, locked by another daemon: `why` says what and what to do */

/** Open, take the lock (one daemon a file), check, and start the writer. 0, BG_STORE_E_UNUSABLE, or negative errno. */
int bg_store_open(BgStore **storep, const BgStoreSpec *spec, BgStoreReceipt *receipt, char *why, size_t why_size);
/** Commits what is pending, marks a clean close, joins the writer. NULL is fine. Return: 0, or why the last commit failed. */
int bg_store_close(BgStore *store);

/* ---- reading back, before the first append ------------------------------------------------------------------------------------ */

/** Every event of the log, oldest first; strings live until the callback returns. A non-zero return of `each` ends it. */
int bg_store_read_log(BgStore *store, int (*each)(void *data, int64_t log, const BgEvent *event), void *data);

typedef struct BgStoreSource {
        BgStr source;
        int64_t seq;       /* last durable batch */
        int64_t watermark; /* us; 0 = never said */
        int64_t batch_at;  /* us; when its last batch came */
} BgStoreSource;
int bg_store_read_sources(BgStore *store, int (*each)(void *data, const BgStoreSource *source), void *data);

/** The state of one series: parameters to warm-start from and the last issued forecast as it went over the wire. */
typedef struct BgStoreSeries {
        BgStr model;
        BgRelation relation;
        int64_t rev;
        double theta[3];
        double spread[6];
        double dispersion;
        double objective;
        int fit_status;
        BgStr issued; /* msgpack of the last BgForecast */
        BgStr extra;  /* msgpack or empty: state of the detector */
} BgStoreSeries;
int bg_store_read_series(BgStore *store, int (*each)(void *data, const BgStoreSeries *series), void *data);

/* ---- appending to the open group (copies; no I/O) ----------------------------------------------------------------------------- */

int bg_store_append(BgStore *store, const BgEvent *event, int64_t received_at);
/** Dead letter: `event` as JSON text. */
int bg_store_append_rejected(BgStore *store, BgStr source, int64_t seq, int64_t index, BgReject reason, BgStr detail, BgStr event,
                             int64_t received_at);
int bg_store_put_source(BgStore *store, const BgStoreSource *source);
int bg_store_put_series(BgStore *store, const BgStoreSeries *series);

size_t bg_store_group_size(const BgStore *store);    /* rows in the open group */
size_t bg_store_groups_pending(const BgStore *store); /* handed over and not yet durable */

typedef void BgStoreDone(void *data, int result); /* on the writer's thread; 0, or a negative errno: nothing of the group is in */

/** Hand the open group to the writer. Groups become durable in this order. 0 or -ENOMEM. */
int bg_store_commit(BgStore *store, BgStoreDone *done, void *data);
/** Wait until everything handed over is durable or has failed. */
void bg_store_wait(BgStore *store);

#endif

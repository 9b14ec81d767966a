/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_STORE_H
#define BURGEON_STREAM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * What survives: the log of events, the cursors of the sources, the refused events, the state of each series, and what was
 * learned across them.
 *
 * The log is the truth: the registry is rebuilt by applying it in order. Everything appended between two commits becomes
 * durable together or not at all: kill it at any time, and a whole number of groups is there, in order. A writer thread owns the
 * SQLite connection (WAL, append-only rows, no unique index on children); the caller's thread only copies into the open group.
 * One file, readable with `sqlite3` while the daemon runs; views for people (event_text, source_text, series_text,
 * rejected_text).
 *
 * All functions belong to one thread, but for those that BgStoreDone may call. Memory: about 60 B a model, and what is pending.
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
        int64_t n_events; /* rows in the log */
        int64_t last_log; /* highest row */
        int64_t epoch;    /* of this run: one more than the last run's */
        bool clean;       /* the last run closed it */
        unsigned char hash_key[16];
} BgStoreReceipt;

#define BG_STORE_E_UNUSABLE 1 /* not ours, a newer format, damaged, locked by another daemon: `why` says what and what to do */

/**
 * bg_store_open() - open, take the lock (one daemon a file), check, and start the writer
 *
 * The epoch is counted on and the file marked unclean until bg_store_close(). After an unclean end every page is checked
 * (about 2 s per 10^7 events in the page cache). A file that is refused is left as it was.
 *
 * Return: 0, BG_STORE_E_UNUSABLE with `why` set, or a negative errno (no memory, no thread).
 */
int bg_store_open(BgStore **storep, const BgStoreSpec *spec, BgStoreReceipt *receipt, char *why, size_t why_size);
/** Commits what is pending, marks a clean close, joins the writer. NULL is fine. Return: 0, or why the last commit failed. */
int bg_store_close(BgStore *store);

/* ---- reading back: what was committed; from the caller's thread, which waits for the writer; `each` must not commit -------- */

/**
 * Every event of the log, oldest first, numbered 1, 2, 3 ..; strings live until the callback returns. A non-zero return of `each`
 * ends it and is returned. -EBADMSG: the file is damaged, or a person wrote a row that cannot be; bg_store_error() tells which.
 */
int bg_store_read_log(BgStore *store, int (*each)(void *data, int64_t log, const BgEvent *event), void *data);

typedef struct BgStoreSource {
        BgStr source;
        int64_t seq;       /* last durable batch */
        int64_t watermark; /* us; 0 = never said */
        int64_t batch_at;  /* us; when its last batch came */
} BgStoreSource;
int bg_store_read_sources(BgStore *store, int (*each)(void *data, const BgStoreSource *source), void *data);

/** The state of one series: parameters to warm-start from and the last issued forecast as it went over the wire. NaN is kept.
 *  A renamed series is there under both names: the higher rev is the newer. */
typedef struct BgStoreSeries {
        BgStr model;
        BgRelation relation;
        int64_t rev;
        double theta[3];
        double spread[6];
        double dispersion;
        double objective;
        int fit_status;
        double moved;
        int64_t trained_at; /* us; as_of of the last training origin, 0 = none */
        int64_t due;        /* us; when the forecast is to be renewed; 0 = at the next event */
        bool contributed;   /* to the learned prior, with: */
        double contribution[9]; /* theta, covariance */
        int64_t added;      /* since the last revision */
        int64_t removed;
        int64_t late;
        int64_t tallied;
        int64_t flags;      /* what else happened since: the core's bits */
        BgStr issued; /* msgpack of the last BgForecast */
        BgStr extra;  /* msgpack or empty: state of the detector */
} BgStoreSeries;
int bg_store_read_series(BgStore *store, int (*each)(void *data, const BgStoreSeries *series), void *data);

/** What was learned across series, in pieces by name, in bytewise order of the names. */
int bg_store_read_learned(BgStore *store, int (*each)(void *data, BgStr name, BgStr bytes), void *data);

/* ---- appending to the open group (copies; no I/O) -------------------------------------------------------------------------- */
/* All return 0, -ENOMEM with the group as it was, or the error of a store that has failed (below). */

/** `event` is valid (messages.def). Its time of arrival is kept to the second. */
int bg_store_append(BgStore *store, const BgEvent *event, int64_t received_at);
/** Dead letter: `event` as JSON text, of which 4 KiB are kept. The newest 100,000 dead letters are kept. */
int bg_store_append_rejected(BgStore *store, BgStr source, int64_t seq, int64_t index, BgReject reason, BgStr detail, BgStr event,
                             int64_t received_at);
int bg_store_put_source(BgStore *store, const BgStoreSource *source);
int bg_store_put_series(BgStore *store, const BgStoreSeries *series);
/** Replaces what has this name; no bytes: takes it away. */
int bg_store_put_learned(BgStore *store, BgStr name, BgStr bytes);

size_t bg_store_group_size(const BgStore *store);     /* rows in the open group */
size_t bg_store_groups_pending(const BgStore *store); /* handed over and not yet durable */

/**
 * Called on the writer's thread, in the order of the groups. 0: all of the group is durable. A negative errno: none of it is to
 * be counted on, nor of any group after it. (Where only the last flush failed, it may be found there after all when the file is
 * opened again: whole, with its cursors, so that a feed that asks where it was is told the truth.)
 * May call bg_store_groups_pending() and bg_store_error(), nothing else of the store.
 */
typedef void BgStoreDone(void *data, int result);

/**
 * bg_store_commit() - hand the open group to the writer
 * @done: may be NULL; also called for an empty group, when all before it is durable
 *
 * Groups become durable in this order. The first failure (disk full, I/O error) is final: all groups pending are reported as
 * failed, and everything after returns the same error, until the file is opened again.
 *
 * Return: 0, -ENOMEM (the group is still open), or the error of a store that has failed; `done` is called only after 0.
 */
int bg_store_commit(BgStore *store, BgStoreDone *done, void *data);
/** Wait until everything handed over is durable or has failed, and its callbacks have returned. */
void bg_store_wait(BgStore *store);
/** 0, or the first failure of the writer as a negative errno. *whyp (may be NULL): what happened then, or in the last read back
 * that failed; to be looked at after a failure only, lives as long as the store. */
int bg_store_error(const BgStore *store, const char **whyp);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_STORE_DB_H
#define BURGEON_STREAM_STORE_DB_H

#include <sqlite3.h>

#include "daemon/stream/intern.h"
#include "daemon/stream/store_group.h"

/* The engine under the store: one SQLite file. All a twin for another engine has to offer. Used by one thread at a time. */

enum {
        BG_SQL_EVENT,
        BG_SQL_ARRIVAL,
        BG_SQL_MODEL,
        BG_SQL_REJECTED,
        BG_SQL_REJECTED_TRIM,
        BG_SQL_SOURCE,
        BG_SQL_SERIES,
        BG_SQL_LEARNED,
        BG_SQL_LEARNED_GONE,
        BG_SQL_N
};

typedef struct BgStoreDb {
        sqlite3 *db;
        sqlite3_stmt *sql[BG_SQL_N];
        int lock_fd;    /* holds the lock on the file; closed after `db`, see store_db.c */
        BgIntern names; /* rows of table model */
        int64_t last_log;
        int64_t last_rejected;
        int64_t arrival_s; /* second of the newest row of table arrival, INT64_MIN = none */
        char why[256];     /* what the last failure was */
} BgStoreDb;

#define BG_STORE_REJECTED_MAX 100000
#define BG_STORE_REJECTED_BYTES_MAX 4096

/** As bg_store_open(), without a thread. */
int bg_store_db_open(BgStoreDb **dbp, const BgStoreSpec *spec, BgStoreReceipt *receipt, char *why, size_t why_size);
/** @clean: mark a clean close; only when all that was promised is in. Return: 0, or why the mark could not be set. */
int bg_store_db_close(BgStoreDb *db, bool clean);

/** Write groups first .. last in one transaction: all or, on a negative errno (with db->why set), nothing. After an error the
 *  names are ahead of the file: nothing more may be written. */
int bg_store_db_write(BgStoreDb *db, const BgGroup *first, const BgGroup *last);

int bg_store_db_read_log(BgStoreDb *db, int (*each)(void *data, int64_t log, const BgEvent *event), void *data);
int bg_store_db_read_sources(BgStoreDb *db, int (*each)(void *data, const BgStoreSource *source), void *data);
int bg_store_db_read_learned(BgStoreDb *db, int (*each)(void *data, BgStr name, BgStr bytes), void *data);
int bg_store_db_read_series(BgStoreDb *db, int (*each)(void *data, const BgStoreSeries *series), void *data);

/** Remember and translate the last failure of `db` while `doing` something: a negative errno. */
int bg_store_db_error(BgStoreDb *db, int rc, const char *doing);
/** The same for a row that cannot be: -EBADMSG. */
int bg_store_db_damaged(BgStoreDb *db, const char *table, int64_t row, const char *what);
int bg_store_db_exec(BgStoreDb *db, const char *sql); /* 0 or a negative errno */

#endif

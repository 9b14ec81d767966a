/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the archive while the writer writes: a second connection, of the caller's thread. In the write-ahead log's mode a reader
 * sees the last commit, and neither waits for the writer nor holds it up; a statement is reset at once, so that the log can be cut.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "daemon/stream/store_db.h"

static const char sql[] = "SELECT m.name, a.relation, a.as_of, a.at, a.released_at, a.rev, a.count, a.status, a.rate, a.lambda, a.lambda_sd,"
                          " a.mu, a.mu_sd, a.sigma, a.sigma_sd, a.m, a.dispersion, a.horizons"
                          " FROM archive a JOIN model m ON m.id = a.model"
                          " WHERE a.series = ?1 AND a.day <= ?2 AND a.as_of <= ?3 ORDER BY a.day DESC LIMIT 1";

/* The writer's messages are the writer's: an error here is only a number. */
static int errno_of(int rc)
{
        switch (rc & 0xff) {
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EBADMSG;
        default:
                return -EIO;
        }
}

static int reader_open(BgStoreDb *db)
{
        int rc;

        if (db->find_archived)
                return 0;
        sqlite3_close(db->reader); /* of an attempt that failed */
        rc = sqlite3_open_v2(db->path, &db->reader, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc != SQLITE_OK)
                return errno_of(rc);
        sqlite3_db_config(db->reader, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(db->reader, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_exec(db->reader, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-1024", NULL, NULL, NULL);
        rc = sqlite3_prepare_v3(db->reader, sql, -1, SQLITE_PREPARE_PERSISTENT, &db->find_archived, NULL);
        return rc == SQLITE_OK ? 0 : errno_of(rc);
}

static BgStr column_copy(sqlite3_stmt *stmt, int i, BgArena *arena)
{
        const char *text = (const char *)sqlite3_column_text(stmt, i);
        size_t len = (size_t)sqlite3_column_bytes(stmt, i);
        char *copy = text ? bg_arena_copy(arena, text, len) : NULL;

        return copy ? (BgStr){ copy, len } : (BgStr){ NULL, 0 };
}

static bool time_valid(int64_t us)
{
        return us >= BG_TIME_MIN && us <= BG_TIME_MAX;
}

/* Return: 0, -ENOMEM, or -EBADMSG for what only a person could have written. */
static int row_read(sqlite3_stmt *stmt, BgArena *arena, BgStoreArchived *found)
{
        double *const numbers[] = { &found->rate,  &found->lambda,   &found->lambda_sd, &found->mu,        &found->mu_sd,
                                    &found->sigma, &found->sigma_sd, &found->m,         &found->dispersion };
        const char *text = (const char *)sqlite3_column_text(stmt, 7);
        int64_t relation = sqlite3_column_int64(stmt, 1);
        int status;

        found->model = column_copy(stmt, 0, arena);
        found->horizons = column_copy(stmt, 17, arena);
        if (!found->model.data || !found->horizons.data)
                return -ENOMEM;
        if (relation < 0 || relation >= BG_RELATION_N || !text || bg_proto_status_find(&status, bg_str(text)))
                return -EBADMSG;
        found->relation = (BgRelation)relation;
        found->status = (BgStatus)status;
        found->as_of = sqlite3_column_int64(stmt, 2);
        found->at = sqlite3_column_int64(stmt, 3);
        found->released_at = sqlite3_column_int64(stmt, 4);
        found->rev = sqlite3_column_int64(stmt, 5);
        found->count = sqlite3_column_int64(stmt, 6);
        if (!time_valid(found->as_of) || !time_valid(found->at) || !time_valid(found->released_at) || found->rev < 1 || found->count < 0 ||
            found->count > BG_COUNT_MAX)
                return -EBADMSG;
        for (int i = 0; i < 9; i++)
                *numbers[i] = sqlite3_column_type(stmt, 8 + i) == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, 8 + i);
        return 0;
}

int bg_store_db_find_archived(BgStoreDb *db, int64_t series, int64_t as_of, BgArena *arena, BgStoreArchived *found)
{
        int rc, r = reader_open(db);

        if (r)
                return r;
        *found = (BgStoreArchived){ .series = series };
        sqlite3_bind_int64(db->find_archived, 1, series);
        sqlite3_bind_int64(db->find_archived, 2, as_of / INT64_C(86400000000));
        sqlite3_bind_int64(db->find_archived, 3, as_of);
        rc = sqlite3_step(db->find_archived);
        if (rc == SQLITE_ROW)
                r = row_read(db->find_archived, arena, found);
        else
                r = rc == SQLITE_DONE ? BG_STORE_E_NONE : errno_of(rc);
        sqlite3_reset(db->find_archived);
        return r;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening and closing the file.
 *
 * The lock is an flock() on the database file itself: it goes with the process whatever kills it, leaves no file behind, and
 * does not meet SQLite's own locks (fcntl), so that people can read the file while the daemon runs. Closing any descriptor of a
 * file drops all fcntl locks of the process on it: the lock's descriptor is therefore closed after SQLite's.
 *
 * Nothing is written to a file before it is known to be ours, or empty.
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "daemon/stream/store_db.h"
#include "daemon/stream/store_schema.h"

_Static_assert(BG_EVENT_ADD == 1 && BG_EVENT_REMOVE == 2 && BG_EVENT_MOVE == 3 && BG_EVENT_TALLY == 4 && BG_EVENT_RELEASE == 5 &&
                       BG_EVENT_ALIVE == 6,
               "numbers of kinds are in files");
_Static_assert(BG_RELATION_FINETUNE == 0 && BG_RELATION_ADAPTER == 1 && BG_RELATION_QUANTIZED == 2 && BG_RELATION_MERGE == 3 &&
                       BG_RELATION_DOWNLOAD == 4 && BG_RELATION_N <= 16,
               "numbers of relations are in files");

#define BUSY_MS 30000 /* a person's write transaction in `sqlite3` is waited for so long */

static const char *const statements[BG_SQL_N] = {
        [BG_SQL_EVENT] = "INSERT INTO event(log, kind, relation, at, model, child, since, count, to_name, to_model)"
                         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        [BG_SQL_ARRIVAL] = "INSERT INTO arrival(log, received_at) VALUES(?1, ?2)",
        [BG_SQL_MODEL] = "INSERT INTO model(id, name) VALUES(?1, ?2)",
        [BG_SQL_REJECTED] = "INSERT INTO rejected(id, received_at, source, seq, position, reason, detail, event, n_bytes)"
                            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [BG_SQL_REJECTED_TRIM] = "DELETE FROM rejected WHERE id <= ?1",
        [BG_SQL_SOURCE] = "INSERT INTO source(name, seq, watermark, batch_at) VALUES(?1, ?2, ?3, ?4)"
                          " ON CONFLICT(name) DO UPDATE SET seq = ?2, watermark = ?3, batch_at = ?4",
        [BG_SQL_SERIES] = "INSERT OR REPLACE INTO series(id, rev, fit_status, theta1, theta2, theta3, cov11, cov21, cov22, cov31,"
                          " cov32, cov33, dispersion, objective, moved, trained_at, due, added, removed, late, tallied, flags,"
                          " contribution, issued, extra)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,"
                          " ?22, ?23, ?24, ?25)",
        [BG_SQL_LEARNED] = "INSERT INTO learned(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2",
        [BG_SQL_LEARNED_GONE] = "DELETE FROM learned WHERE name = ?1",
};

/* ---- errors -------------------------------------------------------------------------------------------------------------------
 */

static int errno_of(sqlite3 *db, int rc)
{
        switch (rc & 0xff) {
        case SQLITE_OK:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EBADMSG;
        case SQLITE_TOOBIG:
                return -EFBIG;
        case SQLITE_CANTOPEN:
        case SQLITE_IOERR: {
                int e = db ? sqlite3_system_errno(db) : 0;
                return e > 0 ? -e : -EIO;
        }
        default:
                return -EIO;
        }
}

int bg_store_db_error(BgStoreDb *db, int rc, const char *doing)
{
        int r = errno_of(db->db, rc);

        snprintf(db->why, sizeof(db->why), "%s: %s", doing, db->db ? sqlite3_errmsg(db->db) : sqlite3_errstr(rc));
        if ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN) {
                size_t used = strlen(db->why);
                snprintf(db->why + used, sizeof(db->why) - used, " (%s)", strerror(-r));
        }
        return r ? r : -EIO;
}

int bg_store_db_damaged(BgStoreDb *db, const char *table, int64_t row, const char *what)
{
        snprintf(db->why, sizeof(db->why), "table %s, row %lld: %s", table, (long long)row, what);
        return -EBADMSG;
}

int bg_store_db_exec(BgStoreDb *db, const char *sql)
{
        int rc = sqlite3_exec(db->db, sql, NULL, NULL, NULL);

        return rc == SQLITE_OK ? 0 : bg_store_db_error(db, rc, sql);
}

/* First column of the first row as a number; `none` without a row. */
static int get_number(BgStoreDb *db, const char *sql, int64_t none, int64_t *valuep)
{
        sqlite3_stmt *stmt;

        int rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
                *valuep = sqlite3_column_type(stmt, 0) == SQLITE_NULL ? none : sqlite3_column_int64(stmt, 0);
        else if (rc == SQLITE_DONE)
                *valuep = none;
        int r = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        return r;
}

/* ---- the file -----------------------------------------------------------------------------------------------------------------
 */

typedef struct Opening {
        BgStoreDb *db;
        const BgStoreSpec *spec;
        BgStoreReceipt *receipt;
        char *why;
        size_t why_size;
} Opening;

__attribute__((format(printf, 2, 3))) static int unusable(const Opening *o, const char *format, ...)
{
        va_list args;

        int n = snprintf(o->why, o->why_size, "%s: ", o->spec->path);
        if (n >= 0 && (size_t)n < o->why_size) {
                va_start(args, format);
                vsnprintf(o->why + n, o->why_size - (size_t)n, format, args);
                va_end(args);
        }
        return BG_STORE_E_UNUSABLE;
}

#define RESTORE "move it (with its -wal file) away and restore a copy, or start anew with another path"

/* What a failing step means to the user. */
static int unusable_error(const Opening *o, int r)
{
        if (r == -ENOMEM)
                return r;
        if (r == -EBADMSG)
                return unusable(o, "damaged (%s); " RESTORE, o->db->why);
        if (r == -EBUSY)
                return unusable(o, "another program keeps writing to it (%s); end that program", o->db->why);
        return unusable(o, "cannot be used: %s", o->db->why);
}

static int file_open(const Opening *o, const char *path)
{
        struct stat st;

        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        bool created = fd >= 0;
        if (!created && errno == EEXIST)
                fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
        if (fd < 0)
                return unusable(o, "cannot be opened for writing: %s", strerror(errno));
        o->db->lock_fd = fd;
        if (fstat(fd, &st) || !S_ISREG(st.st_mode))
                return unusable(o, "not a regular file");
        if (flock(fd, LOCK_EX | LOCK_NB))
                return errno == EWOULDBLOCK
                               ? unusable(o, "another burgeond has it open; stop that one, or give this one another file")
                               : unusable(o, "cannot be locked: %s", strerror(errno));
        if (created) {
                /* the name, too, has to survive a power loss */
                char *copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
                int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                free(copy);
                if (dir >= 0) {
                        (void)fsync(dir); /* not every file system can: then there is nothing more to be had */
                        close(dir);
                }
        }
        return 0;
}

static int file_connect(const Opening *o, const char *path)
{
        BgStoreDb *db = o->db;

        int rc = sqlite3_open_v2(path, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc != SQLITE_OK)
                return unusable_error(o, bg_store_db_error(db, rc, "open"));
        sqlite3_extended_result_codes(db->db, 1);
        sqlite3_busy_timeout(db->db, 0); /* until we know whose it is */
        /* the file may have been made by someone else: believe as little of it as possible */
        sqlite3_db_config(db->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(db->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(db->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        return 0;
}

/* Ours, empty (also: we died while creating it), or something else? */
static int file_recognise(const Opening *o)
{
        BgStoreDb *db = o->db;
        int64_t application, format, n_tables;

        int r = get_number(db, "PRAGMA application_id", 0, &application);
        if (!r)
                r = get_number(db, "PRAGMA user_version", 0, &format);
        if (!r)
                r = get_number(db, "SELECT count(*) FROM sqlite_schema", 0, &n_tables);
        if (r == -EBADMSG && sqlite3_errcode(db->db) == SQLITE_NOTADB)
                return unusable(o, "not a database; give another path");
        if (r)
                return unusable_error(o, r);

        if (application == 0 && format == 0 && n_tables == 0) {
                o->receipt->created = true;
                return 0;
        }
        if (application != BG_STORE_APPLICATION_ID)
                return unusable(o, "a database, but not burgeon's; give another path");
        if (format > BG_STORE_FORMAT)
                return unusable(o, "written by a newer burgeon (format %lld, this one knows %d); install that version",
                                (long long)format, BG_STORE_FORMAT);
        if (format < 1)
                return unusable(o, "damaged (format %lld); " RESTORE, (long long)format);
        return 0;
}

static int file_settings(const Opening *o)
{
        BgStoreDb *db = o->db;
        sqlite3_stmt *stmt;
        bool wal = false;

        sqlite3_busy_timeout(db->db, BUSY_MS);
        if (sqlite3_prepare_v2(db->db, "PRAGMA journal_mode=WAL", -1, &stmt, NULL) == SQLITE_OK) {
                wal = sqlite3_step(stmt) == SQLITE_ROW && !strcmp((const char *)sqlite3_column_text(stmt, 0), "wal");
                if (!wal)
                        bg_store_db_error(db, sqlite3_errcode(db->db), "write-ahead log");
                sqlite3_finalize(stmt);
        }
        if (!wal)
                return unusable(o, "its directory must be writable, on a local file system (%s)", sqlite3_errmsg(db->db));

        int r = bg_store_db_exec(db, o->spec->durability == BG_DURABILITY_POWER ? "PRAGMA synchronous=FULL"
                                                                                : "PRAGMA synchronous=NORMAL");
        if (!r)
                /* the log is written back every 16 MiB, and cut to that after a long read has let it grow */
                r = bg_store_db_exec(
                        db, "PRAGMA wal_autocheckpoint=4096; PRAGMA journal_size_limit=16777216; PRAGMA cache_size=-8192;"
                            "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF");
        return r ? unusable_error(o, r) : 0;
}

/* ---- contents -------------------------------------------------------------------------------------------------------------- */

static int put_meta(BgStoreDb *db, const char *key, const void *blob, int n_blob, int64_t number)
{
        static const char sql[] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)";
        sqlite3_stmt *stmt;

        int rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        if (blob)
                sqlite3_bind_blob(stmt, 2, blob, n_blob, SQLITE_STATIC);
        else
                sqlite3_bind_int64(stmt, 2, number);
        rc = sqlite3_step(stmt);
        int r = rc == SQLITE_DONE ? 0 : bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        return r;
}

static int schema_create(BgStoreDb *db)
{
        unsigned char key[16];
        char sql[128];

        randombytes_buf(key, sizeof(key));
        snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d", BG_STORE_APPLICATION_ID, BG_STORE_FORMAT);
        int r = bg_store_db_exec(db, BG_STORE_SCHEMA);
        if (!r)
                r = put_meta(db, "hash_key", key, sizeof(key), 0);
        if (!r)
                r = put_meta(db, "created_at", NULL, 0, (int64_t)time(NULL));
        if (!r)
                r = put_meta(db, "epoch", NULL, 0, 0);
        if (!r)
                r = put_meta(db, "clean", NULL, 0, 1);
        if (!r)
                r = bg_store_db_exec(db, sql);
        return r;
}

/* A new build may know more kinds and relations than the one that made the file. */
static int write_dictionary(BgStoreDb *db, const char *sql, int n, const char *(*name)(int value))
{
        sqlite3_stmt *stmt;

        int rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        for (int i = 0; i < n && rc == SQLITE_OK; i++) {
                if (!name(i)[0])
                        continue;
                sqlite3_bind_int(stmt, 1, i);
                sqlite3_bind_text(stmt, 2, name(i), -1, SQLITE_STATIC);
                rc = sqlite3_step(stmt);
                rc = rc == SQLITE_DONE ? sqlite3_reset(stmt) : rc;
        }
        int r = rc == SQLITE_OK ? 0 : bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        return r;
}

static int read_meta(BgStoreDb *db, BgStoreReceipt *receipt)
{
        static const char sql[] =
                "SELECT value FROM meta WHERE key = 'hash_key' AND typeof(value) = 'blob' AND length(value) = 16";
        sqlite3_stmt *stmt;
        int64_t epoch, clean;

        int rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
                memcpy(receipt->hash_key, sqlite3_column_blob(stmt, 0), sizeof(receipt->hash_key));
        int r = rc == SQLITE_ROW    ? 0
                : rc == SQLITE_DONE ? bg_store_db_damaged(db, "meta", 0, "no hash_key")
                                    : bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        if (!r)
                r = get_number(db, "SELECT value FROM meta WHERE key = 'epoch' AND typeof(value) = 'integer'", -1, &epoch);
        if (!r)
                r = get_number(db, "SELECT value FROM meta WHERE key = 'clean' AND typeof(value) = 'integer'", -1, &clean);
        if (!r && (epoch < 0 || epoch == INT64_MAX || clean < 0))
                r = bg_store_db_damaged(db, "meta", 0, "no epoch");
        if (r)
                return r;
        receipt->epoch = epoch + 1;
        receipt->clean = clean == 1;
        return 0;
}

/* After a crash every page is walked; a clean file is believed (reading the log meets most damage anyway). */
static int quick_check(BgStoreDb *db)
{
        sqlite3_stmt *stmt;

        int rc = sqlite3_prepare_v2(db->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, "quick_check");
        rc = sqlite3_step(stmt);
        int r = 0;
        if (rc != SQLITE_ROW)
                r = bg_store_db_error(db, rc, "quick_check");
        else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0) {
                snprintf(db->why, sizeof(db->why), "quick_check: %s", (const char *)sqlite3_column_text(stmt, 0));
                r = -EBADMSG;
        }
        sqlite3_finalize(stmt);
        return r;
}

static int read_names(BgStoreDb *db)
{
        static const char sql[] = "SELECT id, name FROM model ORDER BY id";
        sqlite3_stmt *stmt;
        int r = 0;

        int rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        while (!r && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                uint32_t id;
                int64_t row = sqlite3_column_int64(stmt, 0);
                BgStr name = { (const char *)sqlite3_column_text(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1) };
                if (!name.data || !bg_proto_name_valid(name))
                        r = bg_store_db_damaged(db, "model", row, "not a name");
                else if ((r = bg_intern_number(&db->names, name, &id)) == 0 && (int64_t)id != row)
                        r = bg_store_db_damaged(db, "model", row, "numbers have a gap, or a name is there twice");
        }
        if (!r && rc != SQLITE_DONE)
                r = bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        return r;
}

static int read_ends(BgStoreDb *db, BgStoreReceipt *receipt)
{
        int64_t first;

        int r = get_number(db, "SELECT max(log) FROM event", 0, &db->last_log);
        if (!r)
                r = get_number(db, "SELECT min(log) FROM event", 1, &first);
        if (!r)
                r = get_number(db, "SELECT max(id) FROM rejected", 0, &db->last_rejected);
        if (!r)
                r = get_number(db, "SELECT received_at FROM arrival ORDER BY log DESC LIMIT 1", INT64_MIN, &db->arrival_s);
        if (!r && (first != 1 || db->last_log < 0))
                r = bg_store_db_damaged(db, "event", first, "rows are missing before it");
        receipt->last_log = db->last_log;
        receipt->n_events = db->last_log; /* numbered without gaps */
        return r;
}

static int contents_open(const Opening *o)
{
        BgStoreDb *db = o->db;
        BgStoreReceipt *receipt = o->receipt;
        int r = 0;

        if (receipt->created)
                r = bg_store_db_exec(db, "BEGIN IMMEDIATE");
        if (!r && receipt->created)
                r = schema_create(db);
        if (!r && receipt->created)
                r = bg_store_db_exec(db, "COMMIT");
        if (!r)
                r = read_meta(db, receipt);
        if (!r && !receipt->clean)
                r = quick_check(db);
        if (r)
                return r;
        bg_intern_init(&db->names, receipt->hash_key);
        r = read_names(db);
        if (!r)
                r = read_ends(db, receipt);
        for (int i = 0; !r && i < BG_SQL_N; i++) {
                int rc = sqlite3_prepare_v3(db->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &db->sql[i], NULL);
                r = rc == SQLITE_OK ? 0 : bg_store_db_error(db, rc, statements[i]);
                if (rc == SQLITE_ERROR)
                        r = bg_store_db_damaged(db, "sqlite_schema", 0, sqlite3_errmsg(db->db));
        }
        if (!r)
                r = bg_store_db_exec(db, "BEGIN IMMEDIATE");
        if (!r)
                r = write_dictionary(db, "INSERT OR REPLACE INTO kind(id, name) VALUES(?1, ?2)", BG_EVENT_N,
                                     bg_proto_event_type_name);
        if (!r)
                r = write_dictionary(db, "INSERT OR REPLACE INTO relation(id, name) VALUES(?1, ?2)", BG_RELATION_N,
                                     bg_proto_relation_name);
        if (!r)
                r = put_meta(db, "epoch", NULL, 0, receipt->epoch);
        if (!r)
                r = put_meta(db, "clean", NULL, 0, 0);
        if (!r)
                r = bg_store_db_exec(db, "COMMIT");
        return r;
}

static void db_free(BgStoreDb *db)
{
        for (int i = 0; i < BG_SQL_N; i++)
                sqlite3_finalize(db->sql[i]);
        sqlite3_close(db->db);
        if (db->lock_fd >= 0)
                close(db->lock_fd);
        bg_intern_deinit(&db->names);
        free(db);
}

int bg_store_db_open(BgStoreDb **dbp, const BgStoreSpec *spec, BgStoreReceipt *receipt, char *why, size_t why_size)
{
        Opening o = { calloc(1, sizeof(BgStoreDb)), spec, receipt, why, why_size };
        char *path = NULL;
        int r = -ENOMEM;

        *dbp = NULL;
        *receipt = (BgStoreReceipt){ 0 };
        if (!o.db)
                return -ENOMEM;
        o.db->lock_fd = -1;
        if (sodium_init() < 0) {
                r = -ENOSYS;
                goto out;
        }
        /* to SQLite "file:x" and ":memory:" are not the names of files */
        if (asprintf(&path, "%s%s", spec->path[0] == '/' ? "" : "./", spec->path) < 0) {
                path = NULL;
                goto out;
        }
        r = file_open(&o, path);
        if (!r)
                r = file_connect(&o, path);
        if (!r)
                r = file_recognise(&o);
        if (!r)
                r = file_settings(&o);
        if (!r) {
                r = contents_open(&o);
                r = r ? unusable_error(&o, r) : 0;
        }
out:
        free(path);
        if (r)
                db_free(o.db);
        else
                *dbp = o.db;
        return r;
}

int bg_store_db_close(BgStoreDb *db, bool clean)
{
        int r = clean ? put_meta(db, "clean", NULL, 0, 1) : 0;

        db_free(db);
        return r;
}

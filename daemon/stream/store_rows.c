/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows into the file and back. The texts bound to a statement live in the group until its step is over: nothing is copied. */

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "daemon/stream/store_db.h"

#define RELATIONS 16 /* series.id = model * 16 + relation */

/* ---- writing ------------------------------------------------------------------------------------------------------------------
 */

static int run(BgStoreDb *db, int i)
{
        sqlite3_step(db->sql[i]);
        int rc = sqlite3_reset(db->sql[i]); /* says what the step said */
        return rc == SQLITE_OK ? 0 : bg_store_db_error(db, rc, sqlite3_sql(db->sql[i]));
}

static void bind_text(sqlite3_stmt *stmt, int i, BgStr text)
{
        sqlite3_bind_text(stmt, i, text.len ? text.data : "", (int)text.len, SQLITE_STATIC);
}

static void bind_text_or_null(sqlite3_stmt *stmt, int i, BgStr text)
{
        if (text.len)
                sqlite3_bind_text(stmt, i, text.data, (int)text.len, SQLITE_STATIC);
        else
                sqlite3_bind_null(stmt, i);
}

static void bind_number_or_null(sqlite3_stmt *stmt, int i, int64_t value)
{
        if (value)
                sqlite3_bind_int64(stmt, i, value);
        else
                sqlite3_bind_null(stmt, i);
}

static int model_id(BgStoreDb *db, BgStr name, uint32_t *idp)
{
        uint32_t n = db->names.n;

        int r = bg_intern_number(&db->names, name, idp);
        if (r || db->names.n == n)
                return r;
        sqlite3_bind_int64(db->sql[BG_SQL_MODEL], 1, *idp);
        bind_text(db->sql[BG_SQL_MODEL], 2, name);
        return run(db, BG_SQL_MODEL);
}

static int write_arrival(BgStoreDb *db, int64_t log, int64_t received_at)
{
        int64_t second = received_at / 1000000;

        if (second == db->arrival_s)
                return 0;
        sqlite3_bind_int64(db->sql[BG_SQL_ARRIVAL], 1, log);
        sqlite3_bind_int64(db->sql[BG_SQL_ARRIVAL], 2, second);
        db->arrival_s = second;
        return run(db, BG_SQL_ARRIVAL);
}

static int write_event(BgStoreDb *db, const BgEvent *event, int64_t received_at)
{
        sqlite3_stmt *stmt = db->sql[BG_SQL_EVENT];
        uint32_t model, to_model;
        BgStr text = event->child;
        int64_t at = event->at, since = event->release;

        int r = model_id(db, event->model, &model);
        if (!r)
                r = model_id(db, event->to_model, &to_model);
        if (!r)
                r = write_arrival(db, db->last_log + 1, received_at);
        if (r)
                return r;

        if (event->type == BG_EVENT_TALLY) {
                at = event->to;
                since = event->from;
        } else if (event->type == BG_EVENT_MOVE) {
                text = event->from_name;
        } else if (event->type == BG_EVENT_ALIVE) {
                text = event->source;
        }
        sqlite3_bind_int64(stmt, 1, db->last_log + 1);
        sqlite3_bind_int(stmt, 2, (int)event->type);
        sqlite3_bind_int(stmt, 3, (int)event->relation);
        sqlite3_bind_int64(stmt, 4, at);
        bind_number_or_null(stmt, 5, model);
        bind_text_or_null(stmt, 6, text);
        bind_number_or_null(stmt, 7, since);
        if (event->type == BG_EVENT_TALLY)
                sqlite3_bind_int64(stmt, 8, event->count);
        else
                sqlite3_bind_null(stmt, 8);
        bind_text_or_null(stmt, 9, event->to_name);
        bind_number_or_null(stmt, 10, to_model);
        r = run(db, BG_SQL_EVENT);
        if (!r)
                db->last_log++;
        return r;
}

static int write_rejected(BgStoreDb *db, const BgStoreRejected *rejected, int64_t received_at)
{
        sqlite3_stmt *stmt = db->sql[BG_SQL_REJECTED];

        sqlite3_bind_int64(stmt, 1, db->last_rejected + 1);
        sqlite3_bind_int64(stmt, 2, received_at);
        bind_text(stmt, 3, rejected->source);
        sqlite3_bind_int64(stmt, 4, rejected->seq);
        sqlite3_bind_int64(stmt, 5, rejected->index);
        bind_text(stmt, 6, bg_str(bg_proto_reject_name((int)rejected->reason)));
        bind_text(stmt, 7, rejected->detail);
        bind_text(stmt, 8, rejected->event);
        sqlite3_bind_int64(stmt, 9, rejected->n_bytes);
        int r = run(db, BG_SQL_REJECTED);
        if (!r)
                db->last_rejected++;
        return r;
}

static int trim_rejected(BgStoreDb *db)
{
        sqlite3_bind_int64(db->sql[BG_SQL_REJECTED_TRIM], 1, db->last_rejected - BG_STORE_REJECTED_MAX);
        return run(db, BG_SQL_REJECTED_TRIM);
}

static int write_source(BgStoreDb *db, const BgStoreSource *source)
{
        sqlite3_stmt *stmt = db->sql[BG_SQL_SOURCE];

        bind_text(stmt, 1, source->source);
        sqlite3_bind_int64(stmt, 2, source->seq);
        sqlite3_bind_int64(stmt, 3, source->watermark);
        sqlite3_bind_int64(stmt, 4, source->batch_at);
        return run(db, BG_SQL_SOURCE);
}

static int write_series(BgStoreDb *db, const BgStoreSeries *series)
{
        sqlite3_stmt *stmt = db->sql[BG_SQL_SERIES];
        uint32_t model;

        int r = model_id(db, series->model, &model);
        if (r)
                return r;
        sqlite3_bind_int64(stmt, 1, (int64_t)model * RELATIONS + (int)series->relation);
        sqlite3_bind_int64(stmt, 2, series->rev);
        sqlite3_bind_int(stmt, 3, series->fit_status);
        for (int i = 0; i < 3; i++)
                sqlite3_bind_double(stmt, 4 + i, series->theta[i]); /* SQLite keeps NaN as NULL */
        for (int i = 0; i < 6; i++)
                sqlite3_bind_double(stmt, 7 + i, series->spread[i]);
        sqlite3_bind_double(stmt, 13, series->dispersion);
        sqlite3_bind_double(stmt, 14, series->objective);
        sqlite3_bind_double(stmt, 15, series->moved);
        bind_number_or_null(stmt, 16, series->trained_at);
        bind_number_or_null(stmt, 17, series->due);
        sqlite3_bind_int64(stmt, 18, series->added);
        sqlite3_bind_int64(stmt, 19, series->removed);
        sqlite3_bind_int64(stmt, 20, series->late);
        sqlite3_bind_int64(stmt, 21, series->tallied);
        sqlite3_bind_int64(stmt, 22, series->flags);
        if (series->contributed)
                sqlite3_bind_blob(stmt, 23, series->contribution, sizeof(series->contribution), SQLITE_TRANSIENT);
        else
                sqlite3_bind_null(stmt, 23);
        sqlite3_bind_blob64(stmt, 24, series->issued.data, series->issued.len, SQLITE_STATIC);
        sqlite3_bind_blob64(stmt, 25, series->extra.data, series->extra.len, SQLITE_STATIC);
        return run(db, BG_SQL_SERIES);
}

static int write_learned(BgStoreDb *db, const BgStoreLearned *learned)
{
        int i = learned->bytes.len ? BG_SQL_LEARNED : BG_SQL_LEARNED_GONE;

        bind_text(db->sql[i], 1, learned->name);
        if (learned->bytes.len)
                sqlite3_bind_blob64(db->sql[i], 2, learned->bytes.data, learned->bytes.len, SQLITE_STATIC);
        return run(db, i);
}

static int write_group(BgStoreDb *db, const BgGroup *group, bool *rejectedp)
{
        size_t offset = 0;
        BgRow row;
        int r = 0;

        while (!r && bg_group_get(group, &offset, &row)) {
                switch (row.kind) {
                case BG_ROW_EVENT:
                        r = write_event(db, &row.event, row.received_at);
                        break;
                case BG_ROW_REJECTED:
                        r = write_rejected(db, &row.rejected, row.received_at);
                        *rejectedp = true;
                        break;
                case BG_ROW_SOURCE:
                        r = write_source(db, &row.source);
                        break;
                case BG_ROW_SERIES:
                        r = write_series(db, &row.series);
                        break;
                case BG_ROW_LEARNED:
                        r = write_learned(db, &row.learned);
                        break;
                }
        }
        return r;
}

int bg_store_db_write(BgStoreDb *db, const BgGroup *first, const BgGroup *last)
{
        bool rejected = false;

        int r = bg_store_db_exec(db, "BEGIN IMMEDIATE");
        if (r)
                return r;
        for (const BgGroup *group = first; !r; group = group->next) {
                r = write_group(db, group, &rejected);
                if (group == last)
                        break;
        }
        if (!r && rejected)
                r = trim_rejected(db);
        if (!r)
                r = bg_store_db_exec(db, "COMMIT");
        if (r && !sqlite3_get_autocommit(db->db))
                sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL); /* db->why keeps the cause */
        return r;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------
 */

static BgStr column_text(sqlite3_stmt *stmt, int i)
{
        const char *data = (const char *)sqlite3_column_text(stmt, i);
        size_t len = (size_t)sqlite3_column_bytes(stmt, i);

        return len ? (BgStr){ data, len } : (BgStr){ NULL, 0 };
}

static BgStr column_blob(sqlite3_stmt *stmt, int i)
{
        const char *data = sqlite3_column_blob(stmt, i);
        size_t len = (size_t)sqlite3_column_bytes(stmt, i);

        return len ? (BgStr){ data, len } : (BgStr){ NULL, 0 };
}

static double column_double(sqlite3_stmt *stmt, int i)
{
        return sqlite3_column_type(stmt, i) == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, i);
}

/* {NULL, 0} for NULL and for numbers of no model. */
static BgStr column_model(const BgStoreDb *db, sqlite3_stmt *stmt, int i)
{
        int64_t id = sqlite3_column_int64(stmt, i);

        return id > 0 && id <= UINT32_MAX ? bg_intern_text(&db->names, (uint32_t)id) : (BgStr){ NULL, 0 };
}

static bool time_valid(int64_t us)
{
        return us >= BG_TIME_MIN && us <= BG_TIME_MAX;
}

/* People can write to the file: what the rest of the daemon takes for granted is looked at once more. */
static const char *event_fault(const BgEvent *event)
{
        if (event->relation >= BG_RELATION_N)
                return "unknown relation";
        switch (event->type) {
        case BG_EVENT_ADD:
                if (event->release && !time_valid(event->release))
                        return "release out of range";
                /* fallthrough */
        case BG_EVENT_REMOVE:
                if (!event->model.len)
                        return "no such model";
                if (!bg_proto_name_valid(event->child))
                        return "child is not a name";
                break;
        case BG_EVENT_MOVE:
                if (!bg_proto_name_valid(event->from_name) || !bg_proto_name_valid(event->to_name))
                        return "not a name";
                if (!event->model.len != !event->to_model.len)
                        return "one parent is missing";
                break;
        case BG_EVENT_TALLY:
                if (!event->model.len)
                        return "no such model";
                if (!time_valid(event->from) || !time_valid(event->to) || event->from >= event->to)
                        return "no interval";
                return event->count < 0 || event->count > BG_COUNT_MAX ? "count out of range" : NULL;
        case BG_EVENT_RELEASE:
                if (!event->model.len)
                        return "no such model";
                break;
        case BG_EVENT_ALIVE:
                if (event->source.len > BG_SOURCE_MAX)
                        return "source too long";
                break;
        default:
                return "unknown kind";
        }
        return time_valid(event->at) ? NULL : "time out of range";
}

static void read_event(const BgStoreDb *db, sqlite3_stmt *stmt, BgEvent *event)
{
        int64_t kind = sqlite3_column_int64(stmt, 1), relation = sqlite3_column_int64(stmt, 2),
                at = sqlite3_column_int64(stmt, 3);
        BgStr text = column_text(stmt, 5);
        int64_t since = sqlite3_column_int64(stmt, 6);

        *event = (BgEvent){
                .type = kind > 0 && kind < BG_EVENT_N ? (BgEventType)kind : BG_EVENT_NONE,
                .relation = relation >= 0 && relation < BG_RELATION_N ? (BgRelation)relation : BG_RELATION_N,
                .model = column_model(db, stmt, 4),
        };
        switch (event->type) {
        case BG_EVENT_TALLY:
                event->from = since;
                event->to = at;
                event->count = sqlite3_column_int64(stmt, 7);
                return;
        case BG_EVENT_MOVE:
                event->from_name = text;
                event->to_name = column_text(stmt, 8);
                event->to_model = column_model(db, stmt, 9);
                break;
        case BG_EVENT_ALIVE:
                event->source = text;
                break;
        default:
                event->child = text;
                event->release = since;
                break;
        }
        event->at = at;
}

int bg_store_db_read_log(BgStoreDb *db, int (*each)(void *data, int64_t log, const BgEvent *event), void *data)
{
        static const char sql[] =
                "SELECT log, kind, relation, at, model, child, since, count, to_name, to_model FROM event ORDER BY log";
        sqlite3_stmt *stmt;
        int64_t expected = 1;
        int r = 0, rc;

        rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        while (!r && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                BgEvent event;
                int64_t log = sqlite3_column_int64(stmt, 0);
                read_event(db, stmt, &event);
                const char *fault = log == expected++ ? event_fault(&event) : "rows are missing before it";
                r = fault ? bg_store_db_damaged(db, "event", log, fault) : each(data, log, &event);
        }
        if (!r && rc != SQLITE_DONE)
                r = bg_store_db_error(db, rc, sql);
        else if (!r && expected != db->last_log + 1)
                r = bg_store_db_damaged(db, "event", expected, "rows are missing from here");
        sqlite3_finalize(stmt);
        return r;
}

int bg_store_db_read_sources(BgStoreDb *db, int (*each)(void *data, const BgStoreSource *source), void *data)
{
        static const char sql[] = "SELECT name, seq, watermark, batch_at FROM source ORDER BY name";
        sqlite3_stmt *stmt;
        int r = 0, rc;

        rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        while (!r && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                BgStoreSource source = { column_text(stmt, 0), sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2),
                                         sqlite3_column_int64(stmt, 3) };
                if (!source.source.len || source.source.len > BG_SOURCE_MAX || source.seq < 0)
                        r = bg_store_db_damaged(db, "source", 0, "name or seq out of range");
                else
                        r = each(data, &source);
        }
        if (!r && rc != SQLITE_DONE)
                r = bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        return r;
}

int bg_store_db_read_series(BgStoreDb *db, int (*each)(void *data, const BgStoreSeries *series), void *data)
{
        static const char sql[] =
                "SELECT id, rev, fit_status, theta1, theta2, theta3, cov11, cov21, cov22, cov31, cov32, cov33, dispersion,"
                " objective, moved, trained_at, due, added, removed, late, tallied, flags, contribution, issued, extra"
                " FROM series ORDER BY id";
        sqlite3_stmt *stmt;
        int r = 0, rc;

        rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        while (!r && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                int64_t id = sqlite3_column_int64(stmt, 0), model = id / RELATIONS;
                BgStoreSeries series = {
                        .model = id > 0 && model <= UINT32_MAX ? bg_intern_text(&db->names, (uint32_t)model) : (BgStr){ NULL, 0 },
                        .relation = (BgRelation)(id > 0 ? id % RELATIONS : 0),
                        .rev = sqlite3_column_int64(stmt, 1),
                        .fit_status = sqlite3_column_int(stmt, 2),
                        .dispersion = column_double(stmt, 12),
                        .objective = column_double(stmt, 13),
                        .moved = column_double(stmt, 14),
                        .trained_at = sqlite3_column_int64(stmt, 15),
                        .due = sqlite3_column_int64(stmt, 16),
                        .added = sqlite3_column_int64(stmt, 17),
                        .removed = sqlite3_column_int64(stmt, 18),
                        .late = sqlite3_column_int64(stmt, 19),
                        .tallied = sqlite3_column_int64(stmt, 20),
                        .flags = sqlite3_column_int64(stmt, 21),
                        .issued = column_blob(stmt, 23),
                        .extra = column_blob(stmt, 24),
                };
                BgStr contribution = column_blob(stmt, 22);
                series.contributed = contribution.len == sizeof(series.contribution);
                if (series.contributed)
                        memcpy(series.contribution, contribution.data, sizeof(series.contribution));
                for (int i = 0; i < 3; i++)
                        series.theta[i] = column_double(stmt, 3 + i);
                for (int i = 0; i < 6; i++)
                        series.spread[i] = column_double(stmt, 6 + i);
                if (!series.model.len || series.relation >= BG_RELATION_N)
                        r = bg_store_db_damaged(db, "series", id, "no such model or relation");
                else
                        r = each(data, &series);
        }
        if (!r && rc != SQLITE_DONE)
                r = bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        return r;
}

int bg_store_db_read_learned(BgStoreDb *db, int (*each)(void *data, BgStr name, BgStr bytes), void *data)
{
        static const char sql[] = "SELECT name, value FROM learned ORDER BY name";
        sqlite3_stmt *stmt;
        int r = 0, rc;

        rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return bg_store_db_error(db, rc, sql);
        while (!r && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
                r = each(data, column_text(stmt, 0), column_blob(stmt, 1));
        if (!r && rc != SQLITE_DONE)
                r = bg_store_db_error(db, rc, sql);
        sqlite3_finalize(stmt);
        return r;
}

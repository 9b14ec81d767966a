/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_STORE_SCHEMA_H
#define BURGEON_STREAM_STORE_SCHEMA_H

/* "brgn"; file(1) and other programs know the file by it. The format is SQLite's user_version. */
#define BG_STORE_APPLICATION_ID 0x6272676e
#define BG_STORE_FORMAT 1

/*
 * The comments inside the statements stay in the file: `.schema` explains it. Numbers of kinds and relations are those of the
 * protocol's enums, written to the file as tables at each opening; store_db.c asserts that they never move.
 *
 * No index but the keys: a unique index on children would cost 9-20 times the rest (uniqueness is the registry's, in memory).
 * A row of an `add` is about 20 B and the child's name.
 */
#define BG_STORE_SCHEMA \
        "CREATE TABLE meta(\n" \
        "  -- epoch: runs so far; clean: 1 = the last run closed the file; hash_key: secret of the in-memory hash table\n" \
        "  key   TEXT PRIMARY KEY NOT NULL,\n" \
        "  value ANY NOT NULL\n" \
        ") STRICT, WITHOUT ROWID;\n" \
        "CREATE TABLE kind(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;\n" \
        "CREATE TABLE relation(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;\n" \
        "CREATE TABLE model(\n" \
        "  -- names of base models, numbered without gaps; a renamed model has a row for each of its names\n" \
        "  id   INTEGER PRIMARY KEY,\n" \
        "  name TEXT NOT NULL\n" \
        ") STRICT;\n" \
        "CREATE TABLE event(\n" \
        "  -- the truth: what was accepted, in the order of acceptance; rows are only ever added\n" \
        "  log      INTEGER PRIMARY KEY, -- 1, 2, 3 .. without gaps\n" \
        "  kind     INTEGER NOT NULL,    -- table kind\n" \
        "  relation INTEGER NOT NULL,    -- table relation\n" \
        "  at       INTEGER NOT NULL,    -- microseconds since 1970, UTC; of a tally: end of the interval, included\n" \
        "  model    INTEGER,             -- table model; NULL: a rename, or a sign of life\n" \
        "  child    TEXT,                -- add, remove: the child; move: the old name; alive: the source\n" \
        "  since    INTEGER,             -- tally: start of the interval, not included; add: the model's release, if said\n" \
        "  count    INTEGER,             -- tally\n" \
        "  to_name  TEXT,                -- move: the new name\n" \
        "  to_model INTEGER              -- move: the new parent; table model\n" \
        ") STRICT;\n" \
        "CREATE TABLE arrival(\n" \
        "  -- events from this one on, up to the next row, were accepted in this second\n" \
        "  log         INTEGER PRIMARY KEY,\n" \
        "  received_at INTEGER NOT NULL  -- seconds since 1970, UTC\n" \
        ") STRICT;\n" \
        "CREATE TABLE source(\n" \
        "  -- how far each feed got; written together with the events of its batch\n" \
        "  name      TEXT PRIMARY KEY NOT NULL,\n" \
        "  seq       INTEGER NOT NULL,   -- last batch taken\n" \
        "  watermark INTEGER NOT NULL,   -- microseconds; complete up to here; 0 = never said\n" \
        "  batch_at  INTEGER NOT NULL    -- microseconds; when the last batch came\n" \
        ") STRICT, WITHOUT ROWID;\n" \
        "CREATE TABLE rejected(\n" \
        "  -- dead letters: the newest 100,000 refused events; the first id, less one, says how many older ones are gone\n" \
        "  id          INTEGER PRIMARY KEY,\n" \
        "  received_at INTEGER NOT NULL, -- microseconds\n" \
        "  source      TEXT NOT NULL,\n" \
        "  seq         INTEGER NOT NULL, -- the batch\n" \
        "  position    INTEGER NOT NULL, -- in the batch, from 0\n" \
        "  reason      TEXT NOT NULL,\n" \
        "  detail      TEXT NOT NULL,\n" \
        "  event       TEXT NOT NULL,    -- JSON; no longer JSON where it was cut\n" \
        "  n_bytes     INTEGER NOT NULL  -- of the event before it was cut at 4 KiB\n" \
        ") STRICT;\n" \
        "CREATE TABLE series(\n" \
        "  -- state of each series: where to go on from after a restart; the counts are not here but follow from the events\n" \
        "  id         INTEGER PRIMARY KEY, -- model * 16 + relation\n" \
        "  rev        INTEGER NOT NULL,\n" \
        "  fit_status INTEGER NOT NULL,\n" \
        "  theta1 REAL, theta2 REAL, theta3 REAL, -- ln lambda, mu (ln days), ln sigma\n" \
        "  cov11 REAL, cov21 REAL, cov22 REAL, cov31 REAL, cov32 REAL, cov33 REAL, -- their covariance\n" \
        "  dispersion REAL,\n" \
        "  objective  REAL,\n" \
        "  moved      REAL,    -- how far the data moved the parameters from the prior, in prior sd\n" \
        "  trained_at INTEGER, -- microseconds; as_of of the last forecast that is learned from; NULL = none\n" \
        "  due        INTEGER, -- microseconds; when the forecast is to be renewed; NULL = at the next event\n" \
        "  -- what happened since the last revision, and goes into the next one's `why`\n" \
        "  added INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0, late INTEGER NOT NULL DEFAULT 0,\n" \
        "  tallied INTEGER NOT NULL DEFAULT 0,\n" \
        "  flags INTEGER NOT NULL DEFAULT 0, -- 1 release changed, 2 renamed, 4 refreshed, 8 regime, 16 it waits for a refit\n" \
        "  contribution BLOB, -- its part in the learned prior, to be taken back when it changes: theta and covariance, 9 doubles\n" \
        "  issued     BLOB, -- the last forecast as published, msgpack\n" \
        "  extra      BLOB  -- state of the surge detector, msgpack\n" \
        ") STRICT;\n" \
        "CREATE TABLE learned(\n" \
        "  -- what was learned across series; numbers as this machine lays them out\n" \
        "  -- core: where in the log the state was saved; learner: prior, weights, trackers, receipts;\n" \
        "  -- pending/HORIZON/PIECE: forecasts that wait for their outcome\n" \
        "  name  TEXT PRIMARY KEY NOT NULL,\n" \
        "  value BLOB NOT NULL\n" \
        ") STRICT;\n" \
        "-- for people\n" \
        "CREATE VIEW event_text AS SELECT e.log, k.name AS kind, " BG_STORE_SQL_TIME("e.at") " AS at, m.name AS model,\n" \
        "  e.child, CASE WHEN k.name IN ('add', 'tally') THEN r.name END AS relation,\n" \
        "  " BG_STORE_SQL_TIME("e.since") " AS since, e.count, e.to_name, t.name AS to_model,\n" \
        "  (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', a.received_at, 'unixepoch') FROM arrival a WHERE a.log <= e.log\n" \
        "  ORDER BY a.log DESC LIMIT 1) AS received_at\n" \
        "  FROM event e LEFT JOIN kind k ON k.id = e.kind LEFT JOIN relation r ON r.id = e.relation\n" \
        "  LEFT JOIN model m ON m.id = e.model LEFT JOIN model t ON t.id = e.to_model;\n" \
        "CREATE VIEW source_text AS SELECT name, seq, " BG_STORE_SQL_TIME("nullif(watermark, 0)") " AS watermark,\n" \
        "  " BG_STORE_SQL_TIME("batch_at") " AS batch_at FROM source;\n" \
        "CREATE VIEW rejected_text AS SELECT id, " BG_STORE_SQL_TIME("received_at") " AS received_at, source, seq, position,\n" \
        "  reason, detail, event FROM rejected;\n" \
        "CREATE VIEW series_text AS SELECT m.name AS model, r.name AS relation, s.rev, s.fit_status, exp(s.theta1) AS lambda,\n" \
        "  s.theta2 AS mu, exp(s.theta3) AS sigma, s.dispersion, s.objective, length(s.issued) AS n_issued FROM series s\n" \
        "  LEFT JOIN model m ON m.id = s.id / 16 LEFT JOIN relation r ON r.id = s.id % 16;\n"

/* Microseconds as RFC 3339; the fraction only where there is one. */
#define BG_STORE_SQL_TIME(us) \
        "strftime('%Y-%m-%dT%H:%M:%S', (" us ") / 1000000, 'unixepoch') || " \
        "iif((" us ") % 1000000, printf('.%06d', (" us ") % 1000000), '') || 'Z'"

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_CSV_H
#define BURGEON_STREAM_CSV_H

#include <stddef.h>

#include "proto/proto.h"

/* One CSV file of events: what its columns are, and a row as an event. */

#define BG_CSV_COLUMNS_MAX 256
#define BG_CSV_WHAT_MAX 256 /* room for a complaint */

typedef enum BgCsvRole {
        BG_CSV_MODEL,
        BG_CSV_CHILD,
        BG_CSV_CREATED_AT,
        BG_CSV_RELATION,
        BG_CSV_FROM,
        BG_CSV_TO,
        BG_CSV_COUNT,
        BG_CSV_RELEASED_AT,
        BG_CSV_ROLE_N,
        BG_CSV_OTHER = BG_CSV_ROLE_N,
} BgCsvRole;

typedef struct BgCsv {
        BgEventType type; /* ADD, TALLY, RELEASE */
        size_t n_columns;
        unsigned char roles[BG_CSV_COLUMNS_MAX];
} BgCsv;

#define BG_CSV_E_BAD 1     /* `what` says why */
#define BG_CSV_E_NOTHING 2 /* a row that says nothing: blank, or without a release */

/** First record of a file: 0, or BG_CSV_E_BAD. The record's bytes are changed. */
int bg_csv_header(BgCsv *csv, char *record, size_t len, char what[BG_CSV_WHAT_MAX]);
/** A row as an event whose strings alias the record; the record's bytes are changed. 0, or a code above. */
int bg_csv_row(const BgCsv *csv, char *record, size_t len, BgEvent *event, char what[BG_CSV_WHAT_MAX]);

/** Bytes from outside for a complaint: cut to 60, anything but printable ASCII as '?'. */
const char *bg_csv_shown(BgStr text, char shown[64]);

#endif

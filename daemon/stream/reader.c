/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which kind of file it is shows in its first bytes: an opening brace is JSON Lines, anything else has to be a known CSV header.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/stream/csv.h"
#include "daemon/stream/lines.h"
#include "daemon/stream/reader.h"

struct BgReader {
        BgLines lines;
        bool json;
        char *record;
        size_t len;
        BgCsv csv;
        BgArena arena; /* JSON: one event */
        char *path;
        BgReaderComplaint *complain;
        void *data;
        int64_t n_bad;
        int error; /* of the file: stays */
};

static void complain(BgReader *reader, const char *what)
{
        reader->n_bad++;
        if (reader->complain)
                reader->complain(reader->data, reader->path, reader->lines.line, what);
}

static bool blank(const char *data, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r')
                        return false;
        return true;
}

static int recognise(BgReader *reader, char what[BG_CSV_WHAT_MAX])
{
        char first;

        int r = bg_lines_first(&reader->lines, &first);
        if (!r && first == '{') {
                reader->json = true;
                return 0;
        }
        reader->lines.quotes = true;
        if (!r)
                r = bg_lines_next(&reader->lines, &reader->record, &reader->len);
        if (!r)
                return bg_csv_header(&reader->csv, reader->record, reader->len, what);
        if (r == BG_LINES_E_END)
                snprintf(what, BG_CSV_WHAT_MAX, "is empty");
        else if (r > 0)
                snprintf(what, BG_CSV_WHAT_MAX, "its first line is no header of a CSV file and no JSON object");
        else
                snprintf(what, BG_CSV_WHAT_MAX, "%s", reader->lines.why);
        return r;
}

int bg_reader_open(BgReader **readerp, const char *path, BgReaderComplaint *complaint, void *data, char *why, size_t why_size)
{
        char what[BG_CSV_WHAT_MAX];

        *readerp = NULL;
        BgReader *reader = calloc(1, sizeof(*reader));
        if (!reader)
                return -ENOMEM;
        reader->complain = complaint;
        reader->data = data;
        reader->path = strdup(path);
        int r = reader->path ? bg_lines_open(&reader->lines, path) : -ENOMEM;
        if (r && r != -ENOMEM) {
                snprintf(why, why_size, "%s: %s", path, strerror(-r));
                r = BG_READER_E_UNUSABLE;
        } else if (!r && (r = recognise(reader, what)) != 0 && r != -ENOMEM) {
                snprintf(why, why_size, "%s: %s", path, what);
                r = BG_READER_E_UNUSABLE;
        }
        if (r)
                bg_reader_close(reader);
        else
                *readerp = reader;
        return r;
}

void bg_reader_close(BgReader *reader)
{
        if (!reader)
                return;
        bg_lines_close(&reader->lines);
        bg_arena_deinit(&reader->arena);
        free(reader->path);
        free(reader);
}

static int parse_json(BgReader *reader, BgEvent *event, char what[BG_CSV_WHAT_MAX])
{
        BgProtoError error = { 0 };

        if (blank(reader->record, reader->len))
                return BG_CSV_E_NOTHING;
        bg_arena_clear(&reader->arena);
        int r = bg_proto_from_json(&bg_proto_event, reader->record, reader->len, &reader->arena, event, &error);
        if (r < 0)
                return r;
        if (!r && event->type != BG_EVENT_NONE)
                return 0;
        snprintf(what, BG_CSV_WHAT_MAX, "%s", error.text[0] ? error.text : "not an event");
        return BG_CSV_E_BAD;
}

int bg_reader_next(BgReader *reader, BgEvent *event, int64_t *timep)
{
        char what[BG_CSV_WHAT_MAX];

        while (!reader->error) {
                int r = bg_lines_next(&reader->lines, &reader->record, &reader->len);
                if (r == BG_LINES_E_END)
                        return BG_READER_E_END;
                if (r == BG_LINES_E_LONG || r == BG_LINES_E_UNCLOSED) {
                        complain(reader, r == BG_LINES_E_LONG ? "longer than 64 KiB" : "a quote is not closed within 64 KiB");
                        continue;
                }
                if (r < 0) {
                        /* what follows is unreachable: to go on as if the file ended here would be to guess */
                        snprintf(what, sizeof(what), "the rest cannot be read: %s", reader->lines.why);
                        complain(reader, what);
                        reader->error = r;
                        break;
                }
                r = reader->json ? parse_json(reader, event, what)
                                 : bg_csv_row(&reader->csv, reader->record, reader->len, event, what);
                if (r < 0)
                        return r;
                if (r == BG_CSV_E_BAD)
                        complain(reader, what);
                if (r)
                        continue;
                *timep = event->type == BG_EVENT_TALLY ? event->to : event->at;
                return 0;
        }
        return reader->error;
}

int64_t bg_reader_line(const BgReader *reader)
{
        return reader->lines.line;
}

int64_t bg_reader_n_bad(const BgReader *reader)
{
        return reader->n_bad;
}

double bg_reader_progress(const BgReader *reader)
{
        return bg_lines_progress(&reader->lines);
}

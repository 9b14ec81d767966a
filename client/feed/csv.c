/* SPDX-License-Identifier: MIT */
#include "client/feed/csv.h"

/* A quoted field from after its opening quote; returns where the line goes on, or NULL. */
static char *unquote(char *from, char *end, BgStr *field)
{
        char *to = from;

        field->data = from;
        for (; from < end; from++) {
                if (*from == '"') {
                        if (from + 1 < end && from[1] == '"') {
                                from++;
                        } else {
                                field->len = (size_t)(to - field->data);
                                from++;
                                return from == end || *from == ',' ? from : NULL;
                        }
                }
                *to++ = *from;
        }
        return NULL;
}

size_t bg_csv_split(char *line, size_t n, BgStr *fields, size_t fields_max)
{
        char *at = line, *end = line + n;
        size_t n_fields = 0;

        for (;;) {
                BgStr field = { at, 0 };

                if (at < end && *at == '"') {
                        at = unquote(at + 1, end, &field);
                        if (!at)
                                return 0;
                } else {
                        char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;

                        at = comma ? comma : end;
                        field.len = (size_t)(at - field.data);
                }
                if (n_fields < fields_max)
                        fields[n_fields] = field;
                n_fields++;
                if (at == end)
                        return n_fields;
                at++;
        }
}

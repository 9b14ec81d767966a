/* SPDX-License-Identifier: MIT */
/*
 * What people read of messages.def: tables PROTOCOL.md rewrites what stands between the lines
 *
 *   <!-- fields NAME -->, <!-- words NAME --> or <!-- example NAME -->    and    <!-- end -->
 *
 * and, with --check, only compares. tables --dictionary prints the dictionary of the fuzzers.
 */

#include <stdio.h>
#include <stdlib.h>

#include "proto/examples.h"

/* ---- fields ------------------------------------------------------------------------------------------------------------------- */

static void put_integer(BgBuffer *out, int64_t value)
{
        char text[BG_TIME_TEXT_MAX];

        if (value == INT64_MAX) {
                bg_buffer_printf(out, "2^63 - 1");
        } else if (value == BG_TIME_MIN || value == BG_TIME_MAX) {
                bg_time_format(value, text);
                bg_buffer_printf(out, "%.10s", text);
        } else {
                bg_buffer_printf(out, "%lld", (long long)value);
        }
}

static void put_range(BgBuffer *out, const BgField *field, const char *unit)
{
        put_integer(out, field->min);
        if (field->max != field->min) {
                bg_buffer_printf(out, " .. ");
                put_integer(out, field->max);
        }
        bg_buffer_printf(out, "%s", unit);
}

static void put_kind(BgBuffer *out, const BgField *field)
{
        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                bg_buffer_printf(out, bg_field_is_time(field) ? "time | " : "int | ");
                put_range(out, field, "");
                if (!field->required && field->absent > 0)
                        bg_buffer_printf(out, "; absent: %lld", (long long)field->absent);
                break;
        case BG_FIELD_F64:
                bg_buffer_printf(out, "float | %g .. %g", field->min_f, field->max_f);
                break;
        case BG_FIELD_STR:
                bg_buffer_printf(out, "text | ");
                put_range(out, field, " bytes");
                break;
        case BG_FIELD_NAME:
                bg_buffer_printf(out, "name | ");
                put_range(out, field, " bytes");
                break;
        case BG_FIELD_BOOL:
                bg_buffer_printf(out, "bool | ");
                break;
        case BG_FIELD_ENUM:
                bg_buffer_printf(out, "word | ");
                for (int i = 0, n = 0; i < field->words->n; i++)
                        if (*field->words->words[i])
                                bg_buffer_printf(out, "%s`%s`", n++ ? " " : "", field->words->words[i]);
                if (!field->required && **field->words->words)
                        bg_buffer_printf(out, "; absent: `%s`", field->words->words[0]);
                break;
        case BG_FIELD_EVENTS:
                bg_buffer_printf(out, "array of events | ");
                put_range(out, field, " items");
                break;
        case BG_FIELD_LIST:
                bg_buffer_printf(out, "array of [%s](#%s) | ", bg_proto_types[field->inner]->name, bg_proto_types[field->inner]->name);
                put_range(out, field, " items");
                break;
        case BG_FIELD_MAP:
                bg_buffer_printf(out, "[%s](#%s) | ", bg_proto_types[field->inner]->name, bg_proto_types[field->inner]->name);
                break;
        case BG_FIELD_I64S:
        case BG_FIELD_F64S:
        case BG_FIELD_STRS:
                bg_buffer_printf(out, "array of %s | ", field->kind == BG_FIELD_I64S ? "int" : field->kind == BG_FIELD_F64S ? "float" : "text");
                put_range(out, field, " items");
                break;
        }
}

/* A bar ends a cell of the table. */
static void put_doc(BgBuffer *out, const char *doc)
{
        for (const char *c = doc; *c; c++)
                bg_buffer_printf(out, *c == '|' ? "\\%c" : "%c", *c);
}

static void put_fields(BgBuffer *out, const BgField *fields, size_t n_fields)
{
        bg_buffer_printf(out, "| key | | type | range | meaning |\n|---|---|---|---|---|\n");
        for (size_t i = 0; i < n_fields; i++) {
                bg_buffer_printf(out, "| `%s` | %s | ", fields[i].key, fields[i].required ? "MUST" : "MAY");
                put_kind(out, &fields[i]);
                bg_buffer_printf(out, " | ");
                put_doc(out, fields[i].doc);
                bg_buffer_printf(out, " |\n");
        }
}

static bool put_fields_of(BgBuffer *out, const char *name)
{
        for (int type = 1; type < BG_EVENT_N; type++) {
                if (!strcmp(name, bg_proto_event_type_name(type))) {
                        const BgEventTable *table = bg_event_table((BgEventType)type);
                        put_fields(out, table->fields, table->n_fields);
                        return true;
                }
        }
        for (int id = BG_TYPE_Event + 1; id < BG_TYPE_N; id++) {
                if (!strcmp(name, bg_proto_types[id]->name)) {
                        put_fields(out, bg_proto_types[id]->fields(), bg_proto_types[id]->n_fields);
                        return true;
                }
        }
        return false;
}

static bool put_words(BgBuffer *out, const char *name)
{
        static const BgWords *const all[] = {
#define BG_M(TABLE, CName, c_name) &bg_words_##c_name,
                BG_ENUMS(BG_M)
#undef BG_M
        };
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                if (strcmp(name, all[i]->name))
                        continue;
                for (int k = 0, n = 0; k < all[i]->n; k++)
                        if (*all[i]->words[k])
                                bg_buffer_printf(out, "%s`%s`", n++ ? " " : "", all[i]->words[k]);
                bg_buffer_printf(out, "\n");
                return true;
        }
        return false;
}

/* ---- examples ------------------------------------------------------------------------------------------------------------------ */

#define HEX_COLUMN 56
#define HEX_A_LINE 16

static void put_token(BgBuffer *out, const BgToken *token, bool key)
{
        char text[BG_JSON_NUMBER_MAX];

        switch (token->kind) {
        case BG_TOKEN_NIL:
                bg_buffer_printf(out, "nil");
                break;
        case BG_TOKEN_BOOL:
                bg_buffer_printf(out, token->n ? "true" : "false");
                break;
        case BG_TOKEN_INT:
                bg_buffer_printf(out, "%lld", (long long)token->i);
                break;
        case BG_TOKEN_HUGE:
                bg_buffer_printf(out, "%llu", (unsigned long long)token->u);
                break;
        case BG_TOKEN_FLOAT:
                snprintf(text, sizeof(text), "%.12g", token->f);
                bg_buffer_printf(out, "%s (float)", text);
                break;
        case BG_TOKEN_STR:
                bg_buffer_printf(out, key ? "%.*s:" : "\"%.*s\"", (int)token->str.len, token->str.data);
                break;
        case BG_TOKEN_BIN:
                bg_buffer_printf(out, "binary");
                break;
        case BG_TOKEN_ARRAY:
                bg_buffer_printf(out, "array of %u", token->n);
                break;
        case BG_TOKEN_MAP:
                bg_buffer_printf(out, "map of %u", token->n);
                break;
        }
}

/* One value, a line a token; long ones go on in further lines of hex. */
static void put_value(BgBuffer *out, BgCursor *cursor, unsigned depth, bool key)
{
        const unsigned char *start = cursor->at;
        BgToken token = { .kind = BG_TOKEN_NIL };

        if (!bg_cursor_next(cursor, &token))
                return;
        for (const unsigned char *at = start; at < cursor->at; at += HEX_A_LINE) {
                size_t line = out->len;
                bg_buffer_printf(out, "%*s", (int)(2 * (depth < 4 ? depth : 4)), "");
                for (const unsigned char *byte = at; byte < cursor->at && byte < at + HEX_A_LINE; byte++)
                        bg_buffer_printf(out, "%02x ", *byte);
                if (at == start) {
                        bg_buffer_printf(out, "%*s", (int)(HEX_COLUMN - (out->len - line)), "");
                        bg_buffer_printf(out, "%*s", (int)(2 * depth), "");
                        put_token(out, &token, key);
                } else {
                        out->len--;
                }
                bg_buffer_printf(out, "\n");
        }
        bool map = token.kind == BG_TOKEN_MAP;
        for (uint32_t i = 0; (map || token.kind == BG_TOKEN_ARRAY) && i < token.n; i++) {
                if (map)
                        put_value(out, cursor, depth + 1, true);
                put_value(out, cursor, depth + 1 + map, false);
        }
}

static bool put_example(BgBuffer *out, const char *name)
{
        const BgExample *example = bg_example_named(name);
        BgBuffer bytes = { 0 };
        BgProtoError error;

        if (!example || bg_example_bytes(example, &bytes, &error))
                return false;
        BgCursor cursor = bg_cursor(bytes.data, bytes.len);
        bg_buffer_printf(out, "Example, %s (`vectors/%s.msgpack`, %zu bytes):\n\n```\n", example->doc, name, bytes.len);
        put_value(out, &cursor, 0, false);
        bg_buffer_printf(out, "```\n");
        bg_buffer_deinit(&bytes);
        return true;
}

/* ---- the document -------------------------------------------------------------------------------------------------------------- */

static bool put_section(BgBuffer *out, const char *what, const char *name)
{
        return !strcmp(what, "fields")  ? put_fields_of(out, name) :
               !strcmp(what, "words")   ? put_words(out, name) :
               !strcmp(what, "example") ? put_example(out, name) :
                                          false;
}

/* Copies `old`, each section made anew. What has fields or words must be shown somewhere, or the document lags behind. */
static bool rewrite(const char *old, BgBuffer *out, BgBuffer *seen)
{
        char what[16], name[32];

        while (*old) {
                const char *line = old;
                old += strcspn(old, "\n");
                old += *old == '\n';
                bg_buffer_append(out, line, (size_t)(old - line));
                if (sscanf(line, "<!-- %15[a-z] %31[a-z_] -->", what, name) != 2)
                        continue;
                if (!put_section(out, what, name)) {
                        fprintf(stderr, "there is no section `%s %s`\n", what, name);
                        return false;
                }
                bg_buffer_printf(seen, " %s/%s ", what, name);
                old = strstr(old, "<!-- end -->");
                if (!old) {
                        fprintf(stderr, "section `%s %s` has no end\n", what, name);
                        return false;
                }
        }
        return true;
}

static bool complete(const BgBuffer *seen)
{
        char wanted[64];
        bool all = true;

        for (int id = BG_TYPE_Event + 1; id < BG_TYPE_N; id++) {
                snprintf(wanted, sizeof(wanted), " fields/%s ", bg_proto_types[id]->name);
                if (!strstr(seen->data, wanted)) {
                        fprintf(stderr, "no section <!-- fields %s -->\n", bg_proto_types[id]->name);
                        all = false;
                }
                snprintf(wanted, sizeof(wanted), " example/%s ", bg_proto_types[id]->name);
                if (!strstr(seen->data, wanted)) {
                        fprintf(stderr, "no section <!-- example %s -->\n", bg_proto_types[id]->name);
                        all = false;
                }
        }
        for (int type = 1; type < BG_EVENT_N; type++) {
                snprintf(wanted, sizeof(wanted), " fields/%s ", bg_proto_event_type_name(type));
                if (!strstr(seen->data, wanted)) {
                        fprintf(stderr, "no section <!-- fields %s -->\n", bg_proto_event_type_name(type));
                        all = false;
                }
        }
        return all;
}

static int read_file(const char *path, BgBuffer *content)
{
        char part[4096];
        FILE *file = fopen(path, "rb");

        if (!file)
                return -errno;
        for (size_t n; (n = fread(part, 1, sizeof(part), file)) > 0;)
                bg_buffer_append(content, part, n);
        fclose(file);
        return bg_buffer_append(content, "", 1);
}

static int document(const char *path, bool check)
{
        BgBuffer old = { 0 }, out = { 0 }, seen = { 0 };
        int r = 1;

        if (read_file(path, &old)) {
                fprintf(stderr, "%s: cannot be read\n", path);
        } else if (rewrite(old.data, &out, &seen) && complete(&seen)) {
                bool same = out.len == old.len - 1 && !memcmp(out.data, old.data, out.len);
                if (check) {
                        r = !same;
                        if (!same)
                                fprintf(stderr, "%s is stale: run `ninja regenerate`\n", path);
                } else {
                        FILE *file = fopen(path, "wb");
                        r = !file || fwrite(out.data, 1, out.len, file) != out.len;
                        r |= file && fclose(file);
                }
        }
        bg_buffer_deinit(&old);
        bg_buffer_deinit(&out);
        bg_buffer_deinit(&seen);
        return r;
}

/* ---- dictionary ----------------------------------------------------------------------------------------------------------------- */

/* As it stands on the wire, with its length before it, and as text for JSON. */
static void print_word(const char *word)
{
        if (*word)
                printf("\"\\x%02zx%s\"\n\"\\\"%s\\\"\"\n", 0xa0 + strlen(word), word, word);
}

static void print_dictionary(void)
{
        for (int id = 0; id < BG_TYPE_N; id++)
                for (size_t i = 0; i < bg_proto_types[id]->n_fields; i++)
                        print_word(bg_proto_types[id]->fields()[i].key);
#define BG_M(TABLE, CName, c_name) \
        for (int i = 0; i < bg_words_##c_name.n; i++) \
                print_word(bg_words_##c_name.words[i]);
        BG_ENUMS(BG_M)
#undef BG_M
        print_word("a/b");
        /* a time of 2025, nil, true, NaN, the heads of lists and texts with two and four bytes of length */
        printf("\"\\xcf\\x00\\x06\\x2d\\x14\\x00\\x00\\x00\\x00\"\n\"\\xc0\"\n\"\\xc3\"\n\"\\xcb\\x7f\\xf8\\x00\\x00\\x00\\x00\\x00\\x00\"\n"
               "\"\\xdc\"\n\"\\xdd\"\n\"\\xde\"\n\"\\xdf\"\n\"\\xda\"\n\"\\xdb\"\n\"2025-02-01T00:00:00Z\"\n");
}

int main(int argc, char **argv)
{
        if (argc == 2 && !strcmp(argv[1], "--dictionary")) {
                print_dictionary();
                return 0;
        }
        if (argc == 3 && !strcmp(argv[1], "--check"))
                return document(argv[2], true);
        if (argc == 2 && argv[1][0] != '-')
                return document(argv[1], false);
        fprintf(stderr, "usage: %s [--check] PROTOCOL.md | --dictionary\n", argv[0]);
        return 64;
}

/* SPDX-License-Identifier: MIT */
/*
 * Test vectors for implementations in any language: vectors DIR writes them, vectors --check DIR compares.
 *
 *   NAME.msgpack  the bytes
 *   NAME.json     {"type":..,"doc":..} and what they mean: "message": the value; or "error": the code with which the whole is
 *                 refused; or "rejects": which events of the batch are refused, and why
 *   schema.json   the tables of messages.def, for machines
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/examples.h"

typedef struct Output {
        const char *dir;
        bool check;
        int n_files;
        int n_stale;
} Output;

static void stale(Output *output, const char *name, const char *what)
{
        fprintf(stderr, "%s/%s: %s\n", output->dir, name, what);
        output->n_stale++;
}

static void put_file(Output *output, const char *name, const BgBuffer *content)
{
        char path[4096];
        char *found = malloc(content->len + 1);

        output->n_files++;
        snprintf(path, sizeof(path), "%s/%s", output->dir, name);
        FILE *file = fopen(path, output->check ? "rb" : "wb");
        if (!file || !found) {
                stale(output, name, output->check ? "missing" : "cannot be written");
        } else if (output->check) {
                size_t n = fread(found, 1, content->len + 1, file);
                if (n != content->len || (n && memcmp(found, content->data, n)))
                        stale(output, name, "differs");
        } else if (fwrite(content->data ? content->data : "", 1, content->len, file) != content->len) {
                stale(output, name, "cannot be written");
        }
        if (file && fclose(file))
                stale(output, name, "cannot be written");
        free(found);
}

static void put_text(BgBuffer *out, const char *text)
{
        bg_buffer_printf(out, "\"");
        for (const char *c = text; *c; c++)
                bg_buffer_printf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        bg_buffer_printf(out, "\"");
}

/* ---- vectors ------------------------------------------------------------------------------------------------------------------ */

/* The examples say what is to be expected; here the codec has to agree, or nothing is written. */
static bool expected(const BgExample *example, int r, const void *message, const BgProtoError *error)
{
        const BgBatch *batch = message;

        if (r < 0 || (r != 0) != (example->error != BG_ERROR_NONE) || (r && error->code != example->error))
                return false;
        if (r || example->type != &bg_proto_batch)
                return true;
        size_t n_refused = 0;
        for (size_t i = 0; i < batch->events.n; i++) {
                const BgEvent *event = &batch->events.items[i];
                if (event->reject == BG_REJECT_NONE)
                        continue;
                if (n_refused == BG_EXAMPLE_REJECTS_MAX || example->rejects[n_refused].index != i ||
                    example->rejects[n_refused].reason != event->reject || strcmp(example->rejects[n_refused].key, event->reject_key))
                        return false;
                n_refused++;
        }
        return n_refused == BG_EXAMPLE_REJECTS_MAX || example->rejects[n_refused].reason == BG_REJECT_NONE;
}

static int describe(const BgExample *example, const void *message, const BgProtoError *error, BgBuffer *out)
{
        int r;

        bg_buffer_printf(out, "{\"type\":\"%s\",\"doc\":", example->type->name);
        put_text(out, example->doc);
        bg_buffer_append(out, ",", 1);
        if (example->error)
                return bg_buffer_printf(out, "\"error\":\"%s\"}\n", bg_proto_error_name((int)error->code));
        if (!example->rejects[0].reason) {
                r = bg_buffer_printf(out, "\"message\":");
                r = r ? r : bg_proto_to_json(example->type, message, out);
                return r ? r : bg_buffer_printf(out, "}\n");
        }
        r = bg_buffer_printf(out, "\"rejects\":[");
        for (size_t i = 0; i < BG_EXAMPLE_REJECTS_MAX && example->rejects[i].reason && !r; i++)
                r = bg_buffer_printf(out, "%s{\"index\":%zu,\"reason\":\"%s\",\"key\":\"%s\"}", i ? "," : "", example->rejects[i].index,
                                     bg_proto_reject_name((int)example->rejects[i].reason), example->rejects[i].key);
        return r ? r : bg_buffer_printf(out, "]}\n");
}

static int put_vector(Output *output, const BgExample *example)
{
        BgArena arena = { 0 };
        BgBuffer bytes = { 0 }, json = { 0 };
        BgProtoError error = { .code = BG_ERROR_NONE };
        char name[128];

        int r = bg_example_bytes(example, &bytes, &error);
        if (r) {
                fprintf(stderr, "%s: the example is wrong: %s\n", example->name, r > 0 ? error.text : strerror(-r));
        } else {
                void *message = bg_arena_alloc(&arena, 1, example->type->size);
                r = message ? bg_proto_unpack(example->type, bytes.data, bytes.len, &arena, message, &error) : -ENOMEM;
                if (!expected(example, r, message, &error)) {
                        fprintf(stderr, "%s: not what the example expects: %s %s\n", example->name, bg_proto_error_name((int)error.code),
                                error.text);
                        r = -EINVAL;
                } else {
                        r = describe(example, message, &error, &json);
                }
        }
        if (!r) {
                snprintf(name, sizeof(name), "%s.msgpack", example->name);
                put_file(output, name, &bytes);
                snprintf(name, sizeof(name), "%s.json", example->name);
                put_file(output, name, &json);
        }
        bg_buffer_deinit(&bytes);
        bg_buffer_deinit(&json);
        bg_arena_deinit(&arena);
        return r;
}

/* ---- schema ------------------------------------------------------------------------------------------------------------------- */

static void put_schema_field(BgBuffer *out, const BgField *field)
{
        static const char *const kinds[] = {
                [BG_FIELD_I64] = "int",    [BG_FIELD_F64] = "float",      [BG_FIELD_STR] = "text",   [BG_FIELD_NAME] = "name",
                [BG_FIELD_BOOL] = "bool",  [BG_FIELD_ENUM] = "word",      [BG_FIELD_LIST] = "list",  [BG_FIELD_EVENTS] = "events",
                [BG_FIELD_MAP] = "map",    [BG_FIELD_I64S] = "ints",      [BG_FIELD_F64S] = "floats", [BG_FIELD_STRS] = "texts",
        };

        bg_buffer_printf(out, "{\"key\":\"%s\",\"kind\":\"%s\",\"required\":%s", field->key, kinds[field->kind],
                         field->required ? "true" : "false");
        if (field->kind == BG_FIELD_F64)
                bg_buffer_printf(out, ",\"min\":%.17g,\"max\":%.17g", field->min_f, field->max_f);
        else if (field->kind != BG_FIELD_BOOL && field->kind != BG_FIELD_ENUM && field->kind != BG_FIELD_MAP)
                bg_buffer_printf(out, ",\"min\":%lld,\"max\":%lld", (long long)field->min, (long long)field->max);
        if (bg_field_is_time(field))
                bg_buffer_printf(out, ",\"time\":true");
        if (field->kind == BG_FIELD_I64 && !field->required)
                bg_buffer_printf(out, ",\"absent\":%lld", (long long)field->absent);
        if (field->kind == BG_FIELD_ENUM)
                bg_buffer_printf(out, ",\"words\":\"%s\"", field->words->name);
        if (field->kind == BG_FIELD_LIST || field->kind == BG_FIELD_MAP)
                bg_buffer_printf(out, ",\"of\":\"%s\"", bg_proto_types[field->inner]->name);
        bg_buffer_printf(out, ",\"doc\":");
        put_text(out, field->doc);
        bg_buffer_printf(out, "}");
}

static void put_schema_fields(BgBuffer *out, const char *name, const char *doc, const BgField *fields, size_t n_fields)
{
        bg_buffer_printf(out, "  \"%s\": {\"doc\":", name);
        put_text(out, doc);
        bg_buffer_printf(out, ",\"fields\":[");
        for (size_t i = 0; i < n_fields; i++) {
                bg_buffer_printf(out, i ? ",\n    " : "\n    ");
                put_schema_field(out, &fields[i]);
        }
        bg_buffer_printf(out, "]}");
}

static void put_schema(Output *output)
{
        BgBuffer out = { 0 };

        bg_buffer_printf(&out, "{\n\"version\": %d,\n\"limits\": {\"bytes\":%zu,\"depth\":%zu,\"items\":%zu,\"text_of_list\":%d},\n\"words\": {",
                         BG_PROTO_VERSION, bg_proto_limits_default.bytes_max, bg_proto_limits_default.depth_max,
                         bg_proto_limits_default.items_max, BG_ITEM_TEXT_MAX);
        const char *comma = "";
#define BG_M(TABLE, CName, c_name) \
        bg_buffer_printf(&out, "%s\n  \"%s\": [", comma, bg_words_##c_name.name); \
        for (int i = 0; i < bg_words_##c_name.n; i++) \
                bg_buffer_printf(&out, "%s\"%s\"", i ? "," : "", bg_words_##c_name.words[i]); \
        bg_buffer_printf(&out, "]"); \
        comma = ",";
        BG_ENUMS(BG_M)
#undef BG_M
        bg_buffer_printf(&out, "},\n\"events\": {");
        for (int type = 1; type < BG_EVENT_N; type++) {
                const BgEventTable *table = bg_event_table((BgEventType)type);
                bg_buffer_printf(&out, type > 1 ? ",\n" : "\n");
                put_schema_fields(&out, bg_proto_event_type_name(type), table->doc, table->fields, table->n_fields);
        }
        bg_buffer_printf(&out, "},\n\"messages\": {");
        for (int id = BG_TYPE_Event + 1; id < BG_TYPE_N; id++) {
                const BgProtoType *type = bg_proto_types[id];
                bg_buffer_printf(&out, id > 1 ? ",\n" : "\n");
                put_schema_fields(&out, type->name, type->doc, type->fields(), type->n_fields);
        }
        bg_buffer_printf(&out, "}\n}\n");
        put_file(output, "schema.json", &out);
        bg_buffer_deinit(&out);
}

/* A vector whose example is gone would mislead others. */
static void count_files(Output *output)
{
        DIR *dir = opendir(output->dir);
        int n = 0;

        for (struct dirent *entry; dir && (entry = readdir(dir));)
                n += entry->d_name[0] != '.';
        if (dir)
                closedir(dir);
        if (n != output->n_files)
                stale(output, "", "holds files that no example makes");
}

int main(int argc, char **argv)
{
        Output output = { .check = argc == 3 && !strcmp(argv[1], "--check"), .dir = argv[argc - 1] };
        int r = 0;

        if (argc < 2 || (argc == 3 && !output.check) || argc > 3) {
                fprintf(stderr, "usage: %s [--check] DIRECTORY\n", argv[0]);
                return 64;
        }
        for (size_t i = 0; i < bg_n_examples; i++)
                if (put_vector(&output, &bg_examples[i]))
                        r = 1;
        put_schema(&output);
        count_files(&output);
        if (output.n_stale && output.check)
                fprintf(stderr, "%d stale: run `ninja regenerate`\n", output.n_stale);
        return r || output.n_stale;
}

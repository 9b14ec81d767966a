/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/command/command.h"
#include "proto/proto.h"

#define COMMON_OPTIONS 7

static size_t common_options(BgOption options[COMMON_OPTIONS], BgContext *context, bool *helpp)
{
        const BgOption common[COMMON_OPTIONS] = {
                { "submit", 0, BG_OPTION_TEXT, "ENDPOINT", &context->submit, 0, 0, "door for events   [BURGEON_SUBMIT]" },
                { "updates", 0, BG_OPTION_TEXT, "ENDPOINT", &context->updates, 0, 0, "door of updates   [BURGEON_UPDATES]" },
                { "query", 0, BG_OPTION_TEXT, "ENDPOINT", &context->query, 0, 0, "door for queries  [BURGEON_QUERY]" },
                { "json", 0, BG_OPTION_FLAG, NULL, &context->json, 0, 0, "JSON Lines with the keys of the wire" },
                { "no-color", 0, BG_OPTION_FLAG, NULL, &context->no_color, 0, 0, "no colours (also: NO_COLOR is set)" },
                { "quiet", 'q', BG_OPTION_FLAG, NULL, &context->quiet, 0, 0, "no progress, no notes" },
                { "help", 'h', BG_OPTION_FLAG, NULL, helpp, 0, 0, "this text" },
        };

        memcpy(options, common, sizeof(common));
        return COMMON_OPTIONS;
}

static void print_option(const BgOption *option)
{
        char left[64];
        int n = option->letter ? snprintf(left, sizeof(left), "-%c, ", option->letter) : snprintf(left, sizeof(left), "    ");

        snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        printf("  %-26s %s", left, option->help);
        switch (option->kind) {
        case BG_OPTION_TEXT:
                if (*(const char **)option->value)
                        printf(" (%s)", *(const char **)option->value);
                break;
        case BG_OPTION_INTEGER:
                if (*(int64_t *)option->value)
                        printf(" (%lld)", (long long)*(int64_t *)option->value);
                break;
        case BG_OPTION_NUMBER:
                if (*(double *)option->value > 0)
                        printf(" (%g)", *(double *)option->value);
                break;
        default:
                break;
        }
        putchar('\n');
}

static void print_help(const BgCommand *command, const BgOption *options, size_t n, size_t n_own)
{
        printf("burgeon %s - %s\n\n%s\nUsage: burgeon %s [OPTION..]%s%s\n", command->name, command->summary, command->examples,
               command->name, command->operands[0] ? " " : "", command->operands);
        if (command->notes)
                printf("\n%s", command->notes);
        if (n_own)
                printf("\nOptions:\n");
        for (size_t i = 0; i < n; i++) {
                if (i == n_own)
                        printf("\nCommon options:\n");
                print_option(&options[i]);
        }
}

static int store_value(const BgContext *context, const BgCommand *command, const BgOption *option, const char *text)
{
        char *end;

        errno = 0;
        switch (option->kind) {
        case BG_OPTION_FLAG:
                *(bool *)option->value = true;
                return BG_OPTIONS_RUN;
        case BG_OPTION_TEXT:
                *(const char **)option->value = text;
                return BG_OPTIONS_RUN;
        case BG_OPTION_INTEGER: {
                long long value = strtoll(text, &end, 10);

                if (end == text || *end || errno || (double)value < option->lo || (double)value > option->hi)
                        return bg_usage(context, command, "--%s: expected an integer in %.0f .. %.0f, got '%s'", option->name,
                                        option->lo, option->hi, text);
                *(int64_t *)option->value = value;
                return BG_OPTIONS_RUN;
        }
        case BG_OPTION_NUMBER: {
                double value = strtod(text, &end);

                if (end == text || *end || !isfinite(value) || value < option->lo || value > option->hi)
                        return bg_usage(context, command, "--%s: expected a number in %g .. %g, got '%s'", option->name,
                                        option->lo, option->hi, text);
                *(double *)option->value = value;
                return BG_OPTIONS_RUN;
        }
        case BG_OPTION_TIME:
                if (bg_time_parse(option->value, bg_str(text)))
                        return bg_usage(context, command, "--%s: expected a time such as 2025-02-01T00:00:00Z, got '%s'",
                                        option->name, text);
                return BG_OPTIONS_RUN;
        }
        return BG_OPTIONS_RUN;
}

static int complain(const BgContext *context, const BgCommand *command, const BgOption *options, size_t n, int argc, char **argv)
{
        const char *words[BG_OPTIONS_MAX + COMMON_OPTIONS + 1], *nearest, *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
        char name[64];

        if (optopt && optopt < 128)
                return bg_usage(context, command, "unknown option -%c", optopt);
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
        for (size_t i = 0; i < n; i++) {
                words[i] = options[i].name;
                if (!strcmp(options[i].name, name + 2))
                        return bg_usage(context, command, "%s takes no argument", name);
        }
        words[n] = NULL;
        nearest = strlen(name) > 2 ? bg_options_nearest(name + 2, words) : NULL;
        if (nearest)
                return bg_usage(context, command, "unknown option %s; did you mean --%s?", name, nearest);
        return bg_usage(context, command, "unknown option %s", name);
}

int bg_options_parse(BgContext *context, const BgCommand *command, const BgOption *own, int argc, char **argv, char ***operandsp,
                     int *n_operandsp)
{
        BgOption options[BG_OPTIONS_MAX + COMMON_OPTIONS];
        struct option table[BG_OPTIONS_MAX + COMMON_OPTIONS + 1] = { 0 };
        char letters[2 * (BG_OPTIONS_MAX + COMMON_OPTIONS) + 2] = ":";
        size_t n = 0, n_own, n_letters = 1;
        bool help = false;
        int c, index, r;

        for (; own[n].name; n++) {
                assert(n < BG_OPTIONS_MAX);
                options[n] = own[n];
        }
        n_own = n;
        n += common_options(options + n, context, &help);
        for (size_t i = 0; i < n; i++) {
                bool has_argument = options[i].kind != BG_OPTION_FLAG;

                table[i] = (struct option){ options[i].name, has_argument ? required_argument : no_argument, NULL, 256 + (int)i };
                if (options[i].letter) {
                        letters[n_letters++] = options[i].letter;
                        if (has_argument)
                                letters[n_letters++] = ':';
                }
        }
        optind = 0; /* glibc: start anew, also in tests */
        opterr = 0;
        while ((c = getopt_long(argc, argv, letters, table, NULL)) != -1) {
                if (c == ':')
                        return bg_usage(context, command, "%s needs an argument", argv[optind - 1]);
                if (c == '?')
                        return complain(context, command, options, n, argc, argv);
                index = c - 256;
                for (size_t i = 0; c < 256 && i < n; i++)
                        if (options[i].letter == c)
                                index = (int)i;
                r = store_value(context, command, &options[index], optarg);
                if (r != BG_OPTIONS_RUN)
                        return r;
                if (help) {
                        print_help(command, options, n, n_own);
                        return EX_OK;
                }
        }
        if (context->no_color)
                context->color_out = context->color_err = false;
        *operandsp = argv + optind;
        *n_operandsp = argc - optind;
        return BG_OPTIONS_RUN;
}

/* Optimal string alignment: insertions, deletions, changes and swaps of neighbours. */
static size_t distance(const char *a, const char *b)
{
        size_t rows[3][64], n_a = strlen(a), n_b = strlen(b);

        if (n_a > 60 || n_b > 60)
                return SIZE_MAX;
        for (size_t j = 0; j <= n_b; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= n_a; i++) {
                size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

                row[0] = i;
                for (size_t j = 1; j <= n_b; j++) {
                        size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

                        if (above[j] + 1 < best)
                                best = above[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                                best = above2[j - 2] + 1;
                        row[j] = best;
                }
        }
        return rows[n_a % 3][n_b];
}

const char *bg_options_nearest(const char *word, const char *const *words)
{
        const char *best = NULL;
        size_t least = SIZE_MAX;

        for (; *words; words++) {
                size_t d = distance(word, *words), n = strlen(word);

                if (n >= 2 && !strncasecmp(word, *words, n))
                        d = 0;
                if (d < least && d <= 1 + n / 4) {
                        least = d;
                        best = *words;
                }
        }
        return best;
}

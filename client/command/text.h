/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_COMMAND_TEXT_H
#define BURGEON_CLIENT_COMMAND_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/proto.h"

/* Numbers as people read them. All return `text`. */

#define BG_TEXT_MAX 40

char *bg_text_count(char text[BG_TEXT_MAX], double n);          /* 1,234,567; "-" for NaN */
char *bg_text_short(char text[BG_TEXT_MAX], double n);          /* at most 5 columns: 987, 12.3k, 4.56M; "-" for NaN */
char *bg_text_rate(char text[BG_TEXT_MAX], double per_day);     /* 12.3/day, 1.4/week, 2/year */
char *bg_text_duration(char text[BG_TEXT_MAX], double seconds); /* 45 s, 3 min, 2 h 5 min, 12 d, 3.2 years */
char *bg_text_bytes(char text[BG_TEXT_MAX], double bytes);      /* 12.3 MB */
char *bg_text_day(char text[BG_TEXT_MAX], int64_t us);          /* 2025-02-01; "-" for 0 */
char *bg_text_minute(char text[BG_TEXT_MAX], int64_t us);       /* 2025-02-01 12:34; "-" for 0 */

char *bg_text_chance(char text[BG_TEXT_MAX], double p);         /* 12 %, < 1 %, > 99 % */

/** A count as people write it: 10000, 10,000, 10k, 1.5M. Return: 0, or -EINVAL (nothing else, below 1, above BG_COUNT_MAX). */
int bg_text_parse_count(const char *text, int64_t *np);

/** Text in lines of at most `width` columns, broken at spaces, each begun with `indent` spaces. */
void bg_text_wrap(FILE *out, const char *text, int width, int indent);

/** `org/name` in at most `width` columns: the organisation is shortened first. Return: bytes. */
size_t bg_text_name(char *text, size_t size, BgStr name, size_t width);

bool bg_text_unicode(void); /* the locale is a UTF-8 one; else sparklines are ASCII */

/** Bars of eighths, a column a value, scaled to the largest; 0 is a space's worth of baseline. UTF-8, 3 bytes a column. */
#define BG_TEXT_SPARK_BYTES(n) (3 * (n) + 1)
/** @n: values; @width: columns: the last ones are shown, padded on the left with spaces. Return: bytes. */
size_t bg_text_spark(char *text, const int64_t *values, size_t n, size_t width);

#endif

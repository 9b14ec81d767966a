/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_FEED_CSV_H
#define BURGEON_CLIENT_FEED_CSV_H

#include <stddef.h>

#include "proto/proto.h"

/**
 * bg_csv_split() - take one line of CSV (RFC 4180, without newlines inside fields) apart, in place
 * @line:   its bytes without the newline; quoted fields are unquoted in it
 * @fields: receives up to `fields_max`; further fields are checked and dropped
 * Return: number of fields in the line (at least 1), or 0 when a quote is not closed or text follows a closing one.
 */
size_t bg_csv_split(char *line, size_t n, BgStr *fields, size_t fields_max);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_FEED_INPUT_H
#define BURGEON_CLIENT_FEED_INPUT_H

#include <stddef.h>
#include <stdint.h>

/** Lines of a plain or gzip file. */
typedef struct BgInput BgInput;

#define BG_INPUT_LINE_MAX ((size_t)64 << 10)
#define BG_INPUT_E_END 1
#define BG_INPUT_E_LONG 2    /* the line is longer than BG_INPUT_LINE_MAX: skipped */
#define BG_INPUT_E_DAMAGED 3 /* the compressed data are damaged or end too early: nothing more can be read */

/** "-" is standard input. Return: 0 or negative errno. */
int bg_input_open(BgInput **inputp, const char *path);
void bg_input_close(BgInput *input); /* NULL is fine */
/** Next line without its newline and carriage return; valid until the next call, may be written to. */
int bg_input_line(BgInput *input, char **linep, size_t *lenp);
int64_t bg_input_number(const BgInput *input); /* of the line last read, from 1 */
/** Share of the file's bytes that was read, 0..1; negative when its size is not known (a pipe). */
double bg_input_progress(const BgInput *input);

#endif

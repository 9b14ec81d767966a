/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_MERGE_PRIVATE_H
#define BURGEON_STREAM_MERGE_PRIVATE_H

#include "daemon/stream/reader.h"

/** bg_merge_open() with another limit for what is a small file, bytes: for tests of either way. */
int bg_merge_open_limit(BgMerge **mergep, const char *const *paths, size_t n_paths, BgReaderComplaint *complain, void *data,
                        char *why, size_t why_size, int64_t small_bytes);
size_t bg_merge_n_streamed(const BgMerge *merge); /* files that are not in memory */

#endif

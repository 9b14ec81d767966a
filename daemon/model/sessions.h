/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_SESSIONS_H
#define BURGEON_MODEL_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The session rule: an event counts only if its author's last counted event on the model is 7 days old or older.
 *
 * One table for the whole process: 64-bit fingerprint of (model, author) -> time. Time is that of the events themselves: the
 * newest one seen is "now", and what is 7 days older is dropped as new pairs come in. About 18 B per pair that is active in a
 * week. The table is divided 256 ways, so that no call copies more than 1/256 of it.
 */

#define BG_SESSION_S 604800u /* 7 d */

typedef struct BgSessions BgSessions;

int bg_sessions_new(BgSessions **sessionsp); /* 0 or -ENOMEM */
void bg_sessions_free(BgSessions *sessions); /* NULL is fine */

/**
 * bg_sessions_count() - does this event count?
 * @pair:  keyed hash of (model, author), evenly distributed; two pairs with the same one are taken for one
 * @at_s:  event time, seconds
 *
 * An event that counts starts a session; one that does not leaves the table as it was: an author who never pauses still counts
 * once in 7 days. A late event less than 7 days before a session of its author does not count either, nor one that is 7 days
 * older than the newest: the table has forgotten who was there, and to err is to be silent.
 *
 * Cost: O(1) expected; amortised growth. Return: 0 with *countedp set, or -ENOMEM (nothing changed).
 */
int bg_sessions_count(BgSessions *sessions, uint64_t pair, uint32_t at_s, bool *countedp);

size_t bg_sessions_n(const BgSessions *sessions);      /* pairs held; expired ones included */
size_t bg_sessions_memory(const BgSessions *sessions); /* bytes held */

#endif

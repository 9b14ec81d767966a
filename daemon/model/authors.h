/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_AUTHORS_H
#define BURGEON_MODEL_AUTHORS_H

#include <stdint.h>

/*
 * Who is behind the events of one model since any of several onsets, in 100 bytes.
 *
 * Each CUSUM of the detector has its own window, from its onset until now, and the windows are nested (the onset of a larger
 * factor is never earlier). Breadth has to be known for the window that is judged, not for the oldest one: an old, broad
 * excursion would otherwise lend its authors to the upload of a single one. Two small tables answer for all windows:
 *
 *  recent  the last BG_AUTHORS_RECENT different authors, and of which windows each is part. The number of different authors
 *          since an onset is exact up to that size, whatever came before it (a late event may push out one of them).
 *  top     BG_AUTHORS_TOP authors with their events in each window. When full, the one goes whose largest share of any window
 *          is smallest (the least recent of equals): at most one author a window can hold more than half of it, so there is
 *          room for all of these. What is known of an author is never more than the truth, hence also the top share; it is less
 *          by the events before the author's last entry: nothing for an upload in one go.
 *
 * Authors are told apart by the upper 16 bits of their fingerprint; one of six is mistaken for another in 1 of 4,400 tables.
 * The zero value is empty.
 */

enum { BG_AUTHORS_WINDOWS = 5, BG_AUTHORS_RECENT = 6, BG_AUTHORS_TOP = 6 };
#define BG_AUTHORS_ALL ((1u << BG_AUTHORS_WINDOWS) - 1)

typedef struct BgAuthors {
        uint16_t total[BG_AUTHORS_WINDOWS]; /* raw events; halved with the counts below when one would overflow */
        struct {
                uint16_t author;
                uint16_t count[BG_AUTHORS_WINDOWS]; /* all 0: free */
        } top[BG_AUTHORS_TOP];                      /* most recent first */
        uint16_t recent[BG_AUTHORS_RECENT];         /* most recent first */
        uint8_t recent_in[BG_AUTHORS_RECENT];       /* bit k: part of window k; 0: free */
} BgAuthors;

/** Count one raw event in the windows of the mask. `author`: 64-bit fingerprint, keyed so that nobody can choose it. */
void bg_authors_add(BgAuthors *authors, uint64_t author, unsigned windows);
/** Window k begins anew, with nothing in it. */
void bg_authors_restart(BgAuthors *authors, unsigned k);

/** Raw events in window k; exact up to 65535. */
unsigned bg_authors_events(const BgAuthors *authors, unsigned k);
/** Different authors in window k: exact below BG_AUTHORS_RECENT, which itself means "so many or more". */
unsigned bg_authors_distinct(const BgAuthors *authors, unsigned k);
/** Share of the largest author in the raw events of window k, [0, 1]; never above the truth. 0 when empty. */
double bg_authors_top_share(const BgAuthors *authors, unsigned k);

#endif

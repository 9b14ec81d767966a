/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/authors.h"

#include <string.h>

/* ---- recent: move to front ----------------------------------------------------------------------------------------------- */

static void recent_add(BgAuthors *a, uint16_t author, unsigned windows)
{
        unsigned at = BG_AUTHORS_RECENT - 1;
        uint8_t in = (uint8_t)windows;

        for (unsigned i = 0; i < BG_AUTHORS_RECENT; ++i) {
                if (!a->recent_in[i]) {
                        at = i; /* a gap; the author may still stand behind it */
                } else if (a->recent[i] == author) {
                        at = i;
                        in |= a->recent_in[i];
                        break;
                }
        }
        memmove(a->recent + 1, a->recent, at * sizeof(a->recent[0]));
        memmove(a->recent_in + 1, a->recent_in, at * sizeof(a->recent_in[0]));
        a->recent[0] = author;
        a->recent_in[0] = in;
}

/* ---- top: keep those with the largest share of any window ---------------------------------------------------------------- */

static void halve(BgAuthors *a, unsigned k)
{
        a->total[k] /= 2;
        for (unsigned i = 0; i < BG_AUTHORS_TOP; ++i)
                a->top[i].count[k] /= 2;
}

static double weight(const BgAuthors *a, unsigned slot)
{
        double largest = 0;

        for (unsigned k = 0; k < BG_AUTHORS_WINDOWS; ++k) {
                if (a->top[slot].count[k]) {
                        double share = (double)a->top[slot].count[k] / a->total[k];
                        largest = share > largest ? share : largest;
                }
        }
        return largest;
}

static unsigned lightest(const BgAuthors *a)
{
        unsigned slot = BG_AUTHORS_TOP - 1;
        double least = weight(a, slot);

        for (unsigned i = BG_AUTHORS_TOP - 1; i-- > 0 && least > 0;) {
                double w = weight(a, i);
                if (w < least) {
                        least = w;
                        slot = i;
                }
        }
        return slot;
}

static void top_add(BgAuthors *a, uint16_t author, unsigned windows)
{
        unsigned at = 0;

        while (at < BG_AUTHORS_TOP && !(a->top[at].author == author && weight(a, at) > 0))
                ++at;
        if (at == BG_AUTHORS_TOP) {
                at = lightest(a);
                memset(&a->top[at], 0, sizeof(a->top[at]));
                a->top[at].author = author;
        }
        for (unsigned k = 0; k < BG_AUTHORS_WINDOWS; ++k)
                a->top[at].count[k] += windows >> k & 1;
        if (at) {
                typeof(a->top[0]) entry = a->top[at];
                memmove(a->top + 1, a->top, at * sizeof(a->top[0]));
                a->top[0] = entry;
        }
}

/* -------------------------------------------------------------------------------------------------------------------------- */

void bg_authors_add(BgAuthors *a, uint64_t author, unsigned windows)
{
        uint16_t tag = (uint16_t)(author >> 48);

        windows &= BG_AUTHORS_ALL;
        if (!windows)
                return;
        for (unsigned k = 0; k < BG_AUTHORS_WINDOWS; ++k) {
                if (!(windows >> k & 1))
                        continue;
                if (a->total[k] == UINT16_MAX)
                        halve(a, k);
                ++a->total[k];
        }
        recent_add(a, tag, windows);
        top_add(a, tag, windows);
}

void bg_authors_restart(BgAuthors *a, unsigned k)
{
        if (!a->total[k])
                return;
        a->total[k] = 0;
        for (unsigned i = 0; i < BG_AUTHORS_TOP; ++i)
                a->top[i].count[k] = 0;
        for (unsigned i = 0; i < BG_AUTHORS_RECENT; ++i)
                a->recent_in[i] &= (uint8_t) ~(1u << k);
}

unsigned bg_authors_events(const BgAuthors *a, unsigned k)
{
        return a->total[k];
}

unsigned bg_authors_distinct(const BgAuthors *a, unsigned k)
{
        unsigned n = 0;

        for (unsigned i = 0; i < BG_AUTHORS_RECENT; ++i)
                n += a->recent_in[i] >> k & 1;
        return n;
}

double bg_authors_top_share(const BgAuthors *a, unsigned k)
{
        unsigned largest = 0;

        for (unsigned i = 0; i < BG_AUTHORS_TOP; ++i)
                largest = a->top[i].count[k] > largest ? a->top[i].count[k] : largest;
        return a->total[k] ? (double)largest / a->total[k] : 0;
}

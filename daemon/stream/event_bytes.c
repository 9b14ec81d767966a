/* SPDX-License-Identifier: GPL-3.0-or-later */
/* type, relation, a mask of the members that follow, then 8 bytes a number and length + bytes a text, in the order below. */

#include <assert.h>

#include "daemon/stream/event_bytes.h"

_Static_assert(BG_EVENT_BYTES_TIMES + BG_EVENT_BYTES_TEXTS <= 16, "the mask has 16 bits");
_Static_assert(BG_NAME_MAX <= 255 && BG_SOURCE_MAX <= 255, "a length has 8 bits");

static inline char *put_number(char *out, int64_t value, unsigned bit, uint16_t *mask)
{
        if (value == 0)
                return out;
        *mask |= (uint16_t)(1u << bit);
        memcpy(out, &value, 8);
        return out + 8;
}

static inline char *put_text(char *out, BgStr text, unsigned bit, uint16_t *mask)
{
        if (text.len == 0)
                return out;
        assert(text.len <= 255);
        *mask |= (uint16_t)(1u << bit);
        *out = (char)(unsigned char)text.len;
        memcpy(out + 1, text.data, text.len);
        return out + 1 + text.len;
}

size_t bg_event_bytes_put(char *out, const BgEvent *event)
{
        uint16_t mask = 0;
        char *at = out + 4;

        out[0] = (char)event->type;
        out[1] = (char)event->relation;
        at = put_number(at, event->at, 0, &mask);
        at = put_number(at, event->from, 1, &mask);
        at = put_number(at, event->to, 2, &mask);
        at = put_number(at, event->release, 3, &mask);
        at = put_number(at, event->count, 4, &mask);
        at = put_text(at, event->model, 5, &mask);
        at = put_text(at, event->child, 6, &mask);
        at = put_text(at, event->from_name, 7, &mask);
        at = put_text(at, event->to_name, 8, &mask);
        at = put_text(at, event->to_model, 9, &mask);
        at = put_text(at, event->source, 10, &mask);
        memcpy(out + 2, &mask, 2);
        return (size_t)(at - out);
}

static inline const char *get_number(const char *in, int64_t *valuep, unsigned bit, uint16_t mask)
{
        if (!(mask & (1u << bit)))
                return in;
        memcpy(valuep, in, 8);
        return in + 8;
}

static inline const char *get_text(const char *in, BgStr *textp, unsigned bit, uint16_t mask)
{
        if (!(mask & (1u << bit)))
                return in;
        *textp = (BgStr){ in + 1, (unsigned char)in[0] };
        return in + 1 + textp->len;
}

size_t bg_event_bytes_get(const char *in, BgEvent *event)
{
        const char *at = in + 4;
        uint16_t mask;

        *event = (BgEvent){ .type = (BgEventType)in[0], .relation = (BgRelation)in[1] };
        memcpy(&mask, in + 2, 2);
        at = get_number(at, &event->at, 0, mask);
        at = get_number(at, &event->from, 1, mask);
        at = get_number(at, &event->to, 2, mask);
        at = get_number(at, &event->release, 3, mask);
        at = get_number(at, &event->count, 4, mask);
        at = get_text(at, &event->model, 5, mask);
        at = get_text(at, &event->child, 6, mask);
        at = get_text(at, &event->from_name, 7, mask);
        at = get_text(at, &event->to_name, 8, mask);
        at = get_text(at, &event->to_model, 9, mask);
        at = get_text(at, &event->source, 10, mask);
        return (size_t)(at - in);
}

/* SPDX-License-Identifier: MIT */
/* Names of models and children, topics, and what counts as text. */

#include "proto/wire.h"

/* Classes are and-ed and summed over a name, without a branch for each byte: this is the hot loop of a batch. */
#define PLAIN 1
#define SLASH 3

static const unsigned char name_class[256] = {
        ['0' ... '9'] = PLAIN, ['A' ... 'Z'] = PLAIN, ['a' ... 'z'] = PLAIN, ['.'] = PLAIN, ['_'] = PLAIN, ['-'] = PLAIN, ['/'] = SLASH,
};

/* A part that a file system or a URL would take for "here" or "up" is no name. */
static bool part_valid(const char *part, size_t len)
{
        return len > 0 && !(part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')));
}

bool bg_proto_name_valid(BgStr name)
{
        if (name.len < 3 || name.len > BG_NAME_MAX)
                return false;

        unsigned all = PLAIN, sum = 0;
        for (size_t i = 0; i < name.len; i++) {
                all &= name_class[(unsigned char)name.data[i]];
                sum += name_class[(unsigned char)name.data[i]];
        }
        if (!all || sum != name.len - 1 + SLASH)
                return false;
        size_t n_org = bg_proto_name_org(name).len;
        return part_valid(name.data, n_org) && part_valid(name.data + n_org + 1, name.len - n_org - 1);
}

BgStr bg_proto_name_org(BgStr name)
{
        const char *slash = name.len ? memchr(name.data, '/', name.len) : NULL;

        return slash ? (BgStr){ name.data, (size_t)(slash - name.data) } : name;
}

int bg_proto_topic(BgBuffer *out, const char *kind, BgStr name)
{
        size_t n_kind = strlen(kind);

        if (bg_buffer_reserve(out, n_kind + name.len + 2))
                return -ENOMEM;
        bg_buffer_append(out, kind, n_kind);
        bg_buffer_append(out, "/", 1);
        if (name.len) {
                bg_buffer_append(out, name.data, name.len);
                bg_buffer_append(out, "/", 1);
        }
        return 0;
}

size_t bg_text_char(const char *data, size_t len)
{
        const unsigned char *s = (const unsigned char *)data;

        if (s[0] < 0x80)
                return 1;
        /* the second byte's range shuts out overlong forms, surrogates and everything above U+10FFFF */
        size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
        unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
        unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
        if (s[0] < 0xc2 || s[0] > 0xf4 || len < n || s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

bool bg_text_valid(BgStr text)
{
        for (size_t i = 0, n; i < text.len; i += n) {
                const unsigned char *s = (const unsigned char *)text.data + i;
                n = bg_text_char(text.data + i, text.len - i);
                if (n == 0 || s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0)) /* C0, DEL, C1 */
                        return false;
        }
        return true;
}

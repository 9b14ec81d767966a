/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/command/text.h"
#include "proto/proto.h"

char *bg_text_count(char text[BG_TEXT_MAX], double n)
{
        char digits[BG_TEXT_MAX];
        size_t len, out = 0;

        if (!isfinite(n))
                return strcpy(text, "-");
        len = (size_t)snprintf(digits, 24, "%.0f", round(n) + 0.0); /* no "-0" */
        for (size_t i = 0; i < len; i++) {
                if (i && digits[i - 1] != '-' && (len - i) % 3 == 0)
                        text[out++] = ',';
                text[out++] = digits[i];
        }
        text[out] = '\0';
        return text;
}

char *bg_text_short(char text[BG_TEXT_MAX], double n)
{
        static const char units[] = " kMGTP";
        int unit = 0;

        if (!isfinite(n))
                return strcpy(text, "-");
        if (n < 9.95 && n != floor(n))
                snprintf(text, BG_TEXT_MAX, "%.1f", n);
        else if (n < 9999.5)
                bg_text_count(text, n);
        else {
                while (n >= 999.5 && unit < 5) {
                        n /= 1000;
                        unit++;
                }
                snprintf(text, BG_TEXT_MAX, n < 9.995 ? "%.2f%c" : n < 99.95 ? "%.1f%c" : "%.0f%c", n, units[unit]);
        }
        return text;
}

char *bg_text_rate(char text[BG_TEXT_MAX], double per_day)
{
        if (!isfinite(per_day))
                return strcpy(text, "-");
        if (per_day >= 1 || per_day <= 0)
                snprintf(text, BG_TEXT_MAX, "%.*f/day", per_day < 10 && per_day > 0 ? 1 : 0, per_day);
        else if (per_day * 7 >= 1)
                snprintf(text, BG_TEXT_MAX, "%.1f/week", per_day * 7);
        else if (per_day * 30.4375 >= 1)
                snprintf(text, BG_TEXT_MAX, "%.1f/month", per_day * 30.4375);
        else
                snprintf(text, BG_TEXT_MAX, "%.2g/year", per_day * 365.25);
        return text;
}

char *bg_text_duration(char text[BG_TEXT_MAX], double seconds)
{
        if (!isfinite(seconds) || seconds < 0)
                return strcpy(text, "-");
        if (seconds < 9.95)
                snprintf(text, BG_TEXT_MAX, "%.1f s", seconds);
        else if (seconds < 90)
                snprintf(text, BG_TEXT_MAX, "%.0f s", seconds);
        else if (seconds < 90 * 60)
                snprintf(text, BG_TEXT_MAX, "%.0f min", seconds / 60);
        else if (seconds < 36 * 3600 && fmod(seconds, 3600) < 60)
                snprintf(text, BG_TEXT_MAX, "%.0f h", floor(seconds / 3600));
        else if (seconds < 36 * 3600)
                snprintf(text, BG_TEXT_MAX, "%.0f h %.0f min", floor(seconds / 3600), floor(fmod(seconds, 3600) / 60));
        else if (seconds < 1000 * 86400.0)
                snprintf(text, BG_TEXT_MAX, "%.0f d", seconds / 86400);
        else
                snprintf(text, BG_TEXT_MAX, "%.1f years", seconds / 86400 / 365.25);
        return text;
}

char *bg_text_bytes(char text[BG_TEXT_MAX], double bytes)
{
        static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
        int unit = 0;

        while (bytes >= 1000 && unit < 4) {
                bytes /= 1000;
                unit++;
        }
        snprintf(text, BG_TEXT_MAX, unit && bytes < 99.95 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
        return text;
}

char *bg_text_day(char text[BG_TEXT_MAX], int64_t us)
{
        if (us <= 0)
                return strcpy(text, "-");
        bg_time_format(us, text);
        text[10] = '\0';
        return text;
}

char *bg_text_minute(char text[BG_TEXT_MAX], int64_t us)
{
        if (us <= 0)
                return strcpy(text, "-");
        bg_time_format(us, text);
        text[10] = ' ';
        text[16] = '\0';
        return text;
}

char *bg_text_chance(char text[BG_TEXT_MAX], double p)
{
        if (!isfinite(p))
                return strcpy(text, "-");
        if (p > 0 && p < .01)
                return strcpy(text, "< 1 %");
        if (p > .99 && p < 1)
                return strcpy(text, "> 99 %");
        snprintf(text, BG_TEXT_MAX, "%.0f %%", 100 * p);
        return text;
}

int bg_text_parse_count(const char *text, int64_t *np)
{
        char digits[32];
        size_t len = 0, group = 0;
        double n, scale;
        bool grouped = false;
        char *end;

        /* commas (or underscores) part groups of three; "1,5" is a comma elsewhere, and refused */
        for (; *text && (strchr("0123456789", *text) || *text == ',' || *text == '_'); text++) {
                bool mark = *text == ',' || *text == '_';

                if (mark ? !len || (grouped && group != 3) : len >= sizeof(digits) - 1)
                        return -EINVAL;
                grouped |= mark;
                group = mark ? 0 : group + 1;
                if (!mark)
                        digits[len++] = *text;
        }
        digits[len] = '\0';
        if (!len || (grouped && group != 3))
                return -EINVAL;
        n = strtod(digits, NULL);
        if (*text == '.' && !grouped && text[1] >= '0' && text[1] <= '9') {
                n += strtod(text, &end); /* ".5k" */
                text = end;
        }
        scale = *text == 'k' || *text == 'K' ? 1e3 : *text == 'M' ? 1e6 : *text == 'G' ? 1e9 : 1;
        text += scale > 1;
        n *= scale;
        if (*text || n < 1 || n > (double)BG_COUNT_MAX || n != floor(n))
                return -EINVAL;
        *np = (int64_t)n;
        return 0;
}

/** Columns of the first n bytes, where every character has one. */
static int columns(const char *text, size_t n)
{
        int width = 0;

        for (size_t i = 0; i < n; i++)
                width += (text[i] & 0xc0) != 0x80;
        return width;
}

void bg_text_wrap(FILE *out, const char *text, int width, int indent)
{
        int at = 0;

        while (*text) {
                size_t n = strcspn(text, " \n");
                int word = columns(text, n);

                if (at && at + 1 + word > width) {
                        fputc('\n', out);
                        at = 0;
                }
                at += at ? fprintf(out, " ") : fprintf(out, "%*s", indent, "");
                fwrite(text, 1, n, out);
                at += word;
                text += n;
                if (*text == '\n') {
                        fputc('\n', out);
                        at = 0;
                }
                text += *text != '\0';
        }
        if (at)
                fputc('\n', out);
}

bool bg_text_unicode(void)
{
        return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static const char *ellipsis(void)
{
        return bg_text_unicode() ? "…" : "~";
}

size_t bg_text_name(char *text, size_t size, BgStr name, size_t width)
{
        const char *slash = name.len ? memchr(name.data, '/', name.len) : NULL, *cut = ellipsis();
        size_t n_org = slash ? (size_t)(slash - name.data) : 0, n_rest = name.len - n_org, org, rest;

        if (name.len <= width)
                return (size_t)snprintf(text, size, "%.*s", (int)name.len, name.len ? name.data : "");
        /* the model says more than its organisation, which is cut first: down to a quarter of the room */
        org = n_rest < width ? width - n_rest - 1 : 0;
        if (org < width / 4)
                org = width / 4;
        if (org >= n_org)
                return (size_t)snprintf(text, size, "%.*s%s", (int)width - 1, name.data, cut);
        rest = width - org - 1;
        if (n_rest <= rest)
                return (size_t)snprintf(text, size, "%.*s%s%.*s", (int)org, name.data, cut, (int)n_rest, name.data + n_org);
        return (size_t)snprintf(text, size, "%.*s%s%.*s%s", (int)org, name.data, cut, (int)rest - 1, name.data + n_org, cut);
}

size_t bg_text_spark(char *text, const int64_t *values, size_t n, size_t width)
{
        static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
        static const char *const ascii[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
        const char *const *bars = bg_text_unicode() ? blocks : ascii;
        int64_t most = 0;
        size_t len = 0;

        if (n > width) {
                values += n - width;
                n = width;
        }
        for (size_t i = 0; i < n; i++)
                if (values[i] > most)
                        most = values[i];
        memset(text, ' ', width - n);
        len = width - n;
        for (size_t i = 0; i < n; i++) {
                double level = most ? (double)(values[i] < 0 ? 0 : values[i]) / (double)most : 0;

                const char *bar = bars[(int)fmin(7, ceil(level * 7))];
                size_t n_bar = strlen(bar);

                memcpy(text + len, bar, n_bar);
                len += n_bar;
        }
        text[len] = '\0';
        return len;
}

/* SPDX-License-Identifier: MIT */
/* RFC 3339 and microseconds since 1970. Leap seconds fall on the second after them, as in POSIX time. */

#include <errno.h>
#include <stdio.h>

#include "proto/proto.h"

#define DAY_US INT64_C(86400000000)

/*
 * Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March, so that the leap day is the last; 400 years
 * are 146097 days. Source: the calendar itself; (153 m + 2) / 5 is the length of m months from March.
 */
static int64_t days_from_date(int64_t year, int month, int day)
{
        year -= month <= 2;
        int64_t era = (year >= 0 ? year : year - 399) / 400;
        int64_t in_era = year - era * 400;
        int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void date_from_days(int64_t days, int64_t *yearp, int *monthp, int *dayp)
{
        days += 719468;
        int64_t era = (days >= 0 ? days : days - 146096) / 146097;
        int64_t in_era = days - era * 146097;
        int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
        int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
        int64_t month = (5 * in_year + 2) / 153;
        *dayp = (int)(in_year - (153 * month + 2) / 5 + 1);
        *monthp = (int)(month < 10 ? month + 3 : month - 9);
        *yearp = era * 400 + year + (*monthp <= 2);
}

size_t bg_time_format(int64_t us, char text[BG_TIME_TEXT_MAX])
{
        int64_t days = us / DAY_US - (us % DAY_US < 0);
        int64_t rest = us % DAY_US;
        int64_t year;
        int month, day;

        if (rest < 0)
                rest += DAY_US;
        date_from_days(days, &year, &month, &day);
        int seconds = (int)(rest / 1000000);
        int fraction = (int)(rest % 1000000);
        int n = snprintf(text, BG_TIME_TEXT_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)year, month, day, seconds / 3600,
                         seconds / 60 % 60, seconds % 60);
        if (fraction)
                n += snprintf(text + n, BG_TIME_TEXT_MAX - (size_t)n, ".%06dZ", fraction);
        else
                n += snprintf(text + n, BG_TIME_TEXT_MAX - (size_t)n, "Z");
        return (size_t)n;
}

/* `n` digits and then the byte `then` (0 = nothing), e.g. "2025-"; advances. */
static bool digits(BgStr *text, size_t n, char then, int *valuep)
{
        size_t n_all = n + (then != 0);
        int value = 0;

        if (text->len < n_all)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (text->data[i] < '0' || text->data[i] > '9')
                        return false;
                value = value * 10 + (text->data[i] - '0');
        }
        if (then && text->data[n] != then)
                return false;
        text->data += n_all;
        text->len -= n_all;
        *valuep = value;
        return true;
}

static bool take(BgStr *text, const char *any_of)
{
        if (text->len == 0 || text->data[0] == '\0' || !strchr(any_of, text->data[0]))
                return false;
        text->data++;
        text->len--;
        return true;
}

static int month_days(int year, int month)
{
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* `.5` to 500000; digits beyond the sixth are cut off. */
static bool fraction_us(BgStr *text, int *usp)
{
        int us = 0, scale = 100000;

        if (!take(text, "."))
                return true;
        if (text->len == 0 || text->data[0] < '0' || text->data[0] > '9')
                return false;
        for (; text->len && text->data[0] >= '0' && text->data[0] <= '9'; text->data++, text->len--) {
                us += (text->data[0] - '0') * scale;
                scale /= 10;
        }
        *usp = us;
        return true;
}

/* `Z` or +01:30 to seconds east. */
static bool offset_s(BgStr *text, int *secondsp)
{
        int hours, minutes;

        if (take(text, "Zz"))
                return true;
        bool west = text->len && text->data[0] == '-';
        if (!take(text, "+-") || !digits(text, 2, ':', &hours) || !digits(text, 2, 0, &minutes) || hours > 23 || minutes > 59)
                return false;
        *secondsp = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
        return true;
}

int bg_time_parse(int64_t *usp, BgStr text)
{
        int year, month, day, hour = 0, minute = 0, second = 0, us = 0, east = 0;

        if (!digits(&text, 4, '-', &year) || !digits(&text, 2, '-', &month) || !digits(&text, 2, 0, &day))
                return -EINVAL;
        if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
                return -EINVAL;
        if (text.len) {
                if (!take(&text, "Tt ") || !digits(&text, 2, ':', &hour) || !digits(&text, 2, ':', &minute) ||
                    !digits(&text, 2, 0, &second) || !fraction_us(&text, &us) || !offset_s(&text, &east) || text.len)
                        return -EINVAL;
                if (hour > 23 || minute > 59 || second > 60)
                        return -EINVAL;
        }
        *usp = days_from_date(year, month, day) * DAY_US + (hour * 3600 + minute * 60 + second - east) * INT64_C(1000000) + us;
        return 0;
}

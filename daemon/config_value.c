/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/config.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

static int expect(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int expect(char *why, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(why, BG_CONFIG_WHY_SIZE, format, args);
        va_end(args);
        return BG_CONFIG_E_INVALID;
}

int bg_config_parse_real(double *valuep, const char *text, double min, double max, char *why)
{
        char *end;
        double value = strtod(text, &end);

        if (end == text || *end || !isfinite(value))
                return expect(why, "expected a number, got `%.60s`", text);
        if (value < min || value > max)
                return expect(why, "%.60s is not in %.15g .. %.15g", text, min, max);
        *valuep = value;
        return 0;
}

int bg_config_parse_int(int64_t *valuep, const char *text, double min, double max, char *why)
{
        char *end;
        long long value = strtoll(text, &end, 10);

        if (end == text || *end)
                return expect(why, "expected a whole number, got `%.60s`", text);
        if ((double)value < min || (double)value > max)
                return expect(why, "%.60s is not in %.0f .. %.0f", text, min, max);
        *valuep = value;
        return 0;
}

int bg_config_parse_bool(bool *valuep, const char *text, char *why)
{
        static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                if (!strcasecmp(text, words[i])) {
                        *valuep = i % 2;
                        return 0;
                }
        }
        return expect(why, "expected yes or no, got `%.60s`", text);
}

static const struct {
        const char *name;
        double us;
} g_units[] = {
        { "us", 1 },      { "ms", 1e3 },     { "s", 1e6 },          { "min", 60e6 },
        { "h", 3600e6 },  { "d", 86400e6 },  { "w", 7 * 86400e6 },
};

/* A number and a unit; *usp is NaN when there is no unit. */
static int parse_amount(double *valuep, double *usp, const char *text)
{
        char *end;

        *valuep = strtod(text, &end);
        if (end == text || !isfinite(*valuep))
                return BG_CONFIG_E_INVALID;
        end += strspn(end, " \t");
        *usp = NAN;
        if (!*end)
                return 0;
        for (size_t i = 0; i < sizeof(g_units) / sizeof(g_units[0]); i++) {
                if (!strcmp(end, g_units[i].name)) {
                        *usp = g_units[i].us;
                        return 0;
                }
        }
        return BG_CONFIG_E_INVALID;
}

static void print_duration(char text[32], double us)
{
        size_t i = 0;

        while (i + 1 < sizeof(g_units) / sizeof(g_units[0]) && us >= g_units[i + 1].us)
                i++;
        snprintf(text, 32, us == 0 ? "0" : "%.6g%s", us / g_units[i].us, g_units[i].name);
}

int bg_config_parse_duration(int64_t *usp, const char *text, double min, double max, char *why)
{
        char low[32], high[32];
        double value, unit;

        if (!strcmp(text, "never"))
                value = 0, unit = 1;
        else if (parse_amount(&value, &unit, text) || (isnan(unit) && value != 0))
                return expect(why, "expected a duration like 20ms, 30s, 5min, 6h or 1d, got `%.60s`", text);
        if (isnan(unit))
                unit = 1;
        if (value * unit < min || value * unit > max) {
                print_duration(low, min);
                print_duration(high, max);
                return expect(why, "%.60s is not in %s .. %s", text, low, high);
        }
        *usp = (int64_t)(value * unit);
        return 0;
}

int bg_config_parse_days(double *daysp, const char *text, double min, double max, char *why)
{
        double value, unit;

        if (parse_amount(&value, &unit, text))
                return expect(why, "expected days like 30d, 12h or 365.25d, got `%.60s`", text);
        if (!isnan(unit))
                value *= unit / 86400e6;
        if (!(value >= min && value <= max))
                return expect(why, "%.60s is not in %.4g .. %.6g days", text, min, max);
        *daysp = value;
        return 0;
}

/* ---- endpoints ------------------------------------------------------------------------------------------------------------- */

static bool is_loopback(const char *host, size_t len, bool binds)
{
        char name[64];
        struct in_addr v4;

        if (len >= sizeof(name))
                return false;
        memcpy(name, host, len);
        name[len] = 0;
        if (inet_pton(AF_INET, name, &v4) == 1)
                return ntohl(v4.s_addr) >> 24 == 127;
        return !strcmp(name, "[::1]") || (!binds && !strcmp(name, "localhost"));
}

static int check_tcp(const char *text, bool binds, char *why)
{
        const char *host = text + strlen("tcp://"), *colon = strrchr(host, ':');
        char *end;
        long port;

        if (!colon || colon == host || !colon[1])
                return expect(why, "`%.100s` has no port; write tcp://127.0.0.1:7702", text);
        port = strtol(colon + 1, &end, 10);
        if (strcmp(colon + 1, "*") && (*end || port < 0 || port > 65535))
                return expect(why, "`%.20s` is no port", colon + 1);
        if (!binds && (port == 0 || !strcmp(colon + 1, "*")))
                return expect(why, "`%.100s`: the port to connect to must be named", text);
        if (!is_loopback(host, (size_t)(colon - host), binds))
                return expect(why, "`%.100s` leaves this machine, unencrypted and open to anyone; use 127.0.0.1, [::1] or ipc:// (and "
                                   "a tunnel to other machines)", text);
        return 0;
}

int bg_config_check_endpoint(const char *text, bool binds, char *why)
{
        struct sockaddr_un *address = NULL;
        const char *path = text + strlen("ipc://");

        if (!strncmp(text, "tcp://", strlen("tcp://")))
                return check_tcp(text, binds, why);
        if (strncmp(text, "ipc://", strlen("ipc://")))
                return expect(why, "`%.100s` is not an endpoint; write tcp://127.0.0.1:PORT or ipc:///PATH", text);
        if (!*path)
                return expect(why, "ipc:// needs a path");
        if (strlen(path) >= sizeof(address->sun_path))
                return expect(why, "the path of `%.40s..` is longer than %zu bytes", text, sizeof(address->sun_path) - 1);
        return 0;
}

/* ---- nearness -------------------------------------------------------------------------------------------------------------- */

enum { WORD_MAX = 40 };

static size_t min3(size_t a, size_t b, size_t c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); }

size_t bg_config_distance(const char *a, const char *b)
{
        size_t n_a = strlen(a), n_b = strlen(b);
        size_t d[WORD_MAX + 1][WORD_MAX + 1];

        if (n_a > WORD_MAX || n_b > WORD_MAX)
                return SIZE_MAX;
        for (size_t i = 0; i <= n_a; i++) {
                for (size_t j = 0; j <= n_b; j++) {
                        if (i == 0 || j == 0) {
                                d[i][j] = i + j;
                                continue;
                        }
                        d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < d[i][j])
                                d[i][j] = d[i - 2][j - 2] + 1;
                }
        }
        return d[n_a][n_b];
}

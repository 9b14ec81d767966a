/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client/command/command.h"
#include "client/command/text.h"

static void say(const char *before, const char *after, const char *format, va_list arguments)
{
        fprintf(stderr, "%sburgeon: ", before);
        vfprintf(stderr, format, arguments);
        fprintf(stderr, "%s\n", after);
}

#define SAY(color)                                                                     \
        do {                                                                           \
                va_list arguments;                                                     \
                                                                                       \
                va_start(arguments, format);                                           \
                say(context->color_err ? (color) : "", context->color_err ? "\033[0m" : "", format, arguments); \
                va_end(arguments);                                                     \
        } while (0)

void bg_error(const BgContext *context, const char *format, ...)
{
        SAY("\033[31m");
}

void bg_warning(const BgContext *context, const char *format, ...)
{
        SAY("\033[33m");
}

void bg_note(const BgContext *context, const char *format, ...)
{
        if (!context->quiet)
                SAY("");
}

int bg_usage(const BgContext *context, const BgCommand *command, const char *format, ...)
{
        SAY("\033[31m");
        if (command)
                fprintf(stderr, "See: burgeon %s --help\n", command->name);
        else
                fprintf(stderr, "See: burgeon --help\n");
        return EX_USAGE;
}

double bg_seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- progress --------------------------------------------------------------------------------------------------------------- */

#define DRAW_PERIOD_S 0.1
#define LINE_PERIOD_S 10

void bg_progress_begin(BgProgress *progress, const BgContext *context, const char *unit)
{
        *progress = (BgProgress){ .context = context, .unit = unit, .begun = bg_seconds(), .terminal = isatty(STDERR_FILENO) };
        progress->shown = progress->begun;
}

static int terminal_width(void)
{
        struct winsize size;

        return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
}

static void draw(const BgProgress *progress, const char *done, const char *rate, double share, const char *left)
{
        int width = terminal_width() - 48, full;

        fputs("\r\033[K", stderr);
        if (share >= 0) {
                width = width < 8 ? 8 : width > 40 ? 40 : width;
                full = (int)(share * width * 8);
                if (progress->context->color_err)
                        fputs("\033[32m", stderr);
                for (int i = 0; i < width; i++, full -= 8) {
                        static const char *const eighths[] = { "░", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };

                        fputs(eighths[full <= 0 ? 0 : full >= 8 ? 8 : full], stderr);
                }
                if (progress->context->color_err)
                        fputs("\033[0m", stderr);
                fprintf(stderr, " %3.0f %%  ", 100 * share);
        }
        fprintf(stderr, "%s %s  %s/s%s%s", done, progress->unit, rate, left[0] ? "  " : "", left);
        fflush(stderr);
}

void bg_progress_update(BgProgress *progress, double n, double share)
{
        double now = bg_seconds(), spent = now - progress->begun;
        char done[BG_TEXT_MAX], rate[BG_TEXT_MAX], left[2 * BG_TEXT_MAX] = "", time[BG_TEXT_MAX];

        if (progress->context->quiet || now - progress->shown < (progress->terminal ? DRAW_PERIOD_S : LINE_PERIOD_S))
                return;
        progress->shown = now;
        bg_text_count(done, n);
        bg_text_short(rate, spent > 0 ? n / spent : 0);
        if (share > 0.001) {
                bg_text_duration(time, spent * (1 - share) / share);
                snprintf(left, sizeof(left), "%s left", time);
        }
        if (progress->terminal) {
                draw(progress, done, rate, share > 1 ? 1 : share, left);
                progress->drawn = true;
        } else if (share >= 0) {
                fprintf(stderr, "burgeon: %3.0f %%, %s %s, %s/s%s%s\n", 100 * share, done, progress->unit, rate,
                        left[0] ? ", " : "", left);
        } else {
                fprintf(stderr, "burgeon: %s %s, %s/s\n", done, progress->unit, rate);
        }
}

void bg_progress_end(BgProgress *progress)
{
        if (progress->drawn)
                fputs("\r\033[K", stderr);
        progress->drawn = false;
}

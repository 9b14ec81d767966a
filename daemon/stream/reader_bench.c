/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How fast files are read:  reader_bench FILE.. */

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "daemon/stream/reader.h"

static double now_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void complain(void *data, const char *path, int64_t line, const char *what)
{
        int *n = data;

        if ((*n)++ < 5)
                fprintf(stderr, "%s:%lld: %s\n", path, (long long)line, what);
}

int main(int argc, char **argv)
{
        BgEvent event;
        int64_t time;
        char why[512];
        int n_shown = 0, r;

        for (int i = 1; i < argc; i++) {
                BgReader *reader;
                size_t n = 0;
                double start = now_s();
                if (bg_reader_open(&reader, argv[i], complain, &n_shown, why, sizeof(why))) {
                        fprintf(stderr, "%s\n", why);
                        return 1;
                }
                while ((r = bg_reader_next(reader, &event, &time)) == 0)
                        n++;
                double took = now_s() - start;
                printf("%s: %zu events, %lld bad, %.2f M events/s, end %d\n", argv[i], n, (long long)bg_reader_n_bad(reader),
                       (double)n / took * 1e-6, r);
                bg_reader_close(reader);
        }

        BgMerge *merge;
        double start = now_s();
        if (bg_merge_open(&merge, (const char *const *)argv + 1, (size_t)argc - 1, complain, &n_shown, why, sizeof(why))) {
                fprintf(stderr, "%s\n", why);
                return 1;
        }
        double opened = now_s() - start;
        size_t n = 0;
        while ((r = bg_merge_next(merge, &event, &time)) == 0)
                n++;
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("merged: %zu of %zu events, opened in %.2f s, %.2f M events/s, end %d, %.0f MB resident\n", n,
               bg_merge_n_events(merge), opened, (double)n / (now_s() - start) * 1e-6, r, (double)usage.ru_maxrss / 1024);
        bg_merge_close(merge);
        return 0;
}

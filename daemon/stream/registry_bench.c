/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/stream/registry.h"

/*
 * Memory, rate and the longest pause of the registry:  registry_bench [millions of events of the large run, default 10]
 *
 * Names are about as long as real ones (26 bytes). Times are the thread's: what others do on the machine is left out, and so
 * is making the names. The longest apply is of a second filling, as to ask for the time takes time; it includes making its names.
 */

typedef struct Run {
        const char *what;
        uint64_t n_models;
        uint64_t n_events;
        enum { IN_ORDER, NEWEST_FIRST, AT_RANDOM } order;
} Run;

static uint64_t now_ns(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mix(uint64_t z)
{
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static size_t resident(void)
{
        unsigned long pages = 0, rss = 0;
        FILE *f = fopen("/proc/self/statm", "r");

        if (!f || fscanf(f, "%lu %lu", &pages, &rss) != 2)
                rss = 0;
        if (f)
                fclose(f);
        return rss * (size_t)sysconf(_SC_PAGESIZE);
}

/* 26 bytes, like "org-123456/model-123456789". */
static BgStr make_name(char *text, size_t size, const char *kind, uint64_t i)
{
        return (BgStr){ text, (size_t)snprintf(text, size, "org-%06" PRIu64 "/%.5s-%09" PRIu64, i % 999983, kind, i) };
}

static void check(int r)
{
        if (r < 0 || r > BG_REGISTRY_E_DUPLICATE) {
                fprintf(stderr, "apply: %d\n", r);
                exit(1);
        }
}

static void merge_two(BgRegistry *registry)
{
        char from[64], to[64];
        BgEvent e = { .type = BG_EVENT_MOVE,
                      .from_name = make_name(from, sizeof(from), "model", 0),
                      .to_name = make_name(to, sizeof(to), "model", 1),
                      .at = bg_second_to_us(300000000) };
        uint64_t began = now_ns(CLOCK_THREAD_CPUTIME_ID);

        check(bg_registry_apply(registry, &e, NULL));
        printf("  a rename that merges two models: %.1f ms\n", (double)(now_ns(CLOCK_THREAD_CPUTIME_ID) - began) / 1e6);
}

static BgRegistry *fill(const Run *run, uint64_t *longestp)
{
        BgRegistrySpec spec = { .hash_key = "sixteen secrets" };
        BgRegistry *registry;

        if (bg_registry_new(&registry, &spec))
                exit(1);
        for (uint64_t i = 0; i < run->n_events; i++) {
                char model[64], child[64];
                uint64_t k = run->order == NEWEST_FIRST ? run->n_events - i : run->order == IN_ORDER ? i : mix(i) % run->n_events;
                BgEvent e = { .type = BG_EVENT_ADD, .at = bg_second_to_us((BgSecond)(k * 250000000 / run->n_events)) };
                uint64_t start = longestp ? now_ns(CLOCK_THREAD_CPUTIME_ID) : 0, took;

                e.model = make_name(model, sizeof(model), "model", run->n_events == run->n_models ? i : mix(i) % run->n_models);
                e.child = make_name(child, sizeof(child), "child", i);
                check(bg_registry_apply(registry, &e, NULL));
                if (!longestp)
                        continue;
                took = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
                *longestp = took > *longestp ? took : *longestp;
        }
        return registry;
}

/* Making the names alone: what is not the registry's. */
static double names_seconds(const Run *run)
{
        uint64_t began = now_ns(CLOCK_THREAD_CPUTIME_ID);
        volatile size_t sum = 0;

        for (uint64_t i = 0; i < run->n_events; i++) {
                char model[64], child[64];

                sum += make_name(model, sizeof(model), "model", mix(i) % run->n_models).len;
                sum += make_name(child, sizeof(child), "child", i).len;
        }
        return (double)(now_ns(CLOCK_THREAD_CPUTIME_ID) - began) / 1e9;
}

static void run(const Run *run)
{
        double names = names_seconds(run);
        size_t before = resident();
        uint64_t began = now_ns(CLOCK_THREAD_CPUTIME_ID), longest = 0;
        BgRegistry *registry = fill(run, NULL);
        double seconds = (double)(now_ns(CLOCK_THREAD_CPUTIME_ID) - began) / 1e9 - names;
        double rss = (double)(resident() - before), held = (double)bg_registry_memory(registry);
        double n_models = (double)run->n_models, n_events = (double)run->n_events;

        printf("%s: %.0f models, %.0f events\n", run->what, n_models, n_events);
        printf("  resident %.1f MB: %.1f B/model, %.1f B/event; counted %.1f MB: %.1f B/model, %.1f B/event\n", rss / 1e6,
               rss / n_models, rss / n_events, held / 1e6, held / n_models, held / n_events);
        if (run->n_models > 1)
                merge_two(registry);
        bg_registry_free(registry);
        bg_registry_free(fill(run, &longest));
        printf("  %.2f M events/s, longest apply %.3f ms\n", n_events / seconds / 1e6, (double)longest / 1e6);
}

int main(int argc, char **argv)
{
        uint64_t millions = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
        const Run runs[] = {
                { "one event each", 1000000, 1000000, IN_ORDER },
                { "two million", 20000, 2000000, IN_ORDER },
                { "many", 100000, millions * 1000000, IN_ORDER },
                { "one hot model, newest first", 1, 1000000, NEWEST_FIRST },
                { "one hot model, at random", 1, 1000000, AT_RANDOM },
        };

        for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
                pid_t child;

                fflush(stdout);
                child = fork(); /* each in a process of its own: what malloc kept would hide what the next one needs */
                if (child == 0) {
                        run(&runs[i]);
                        return 0;
                }
                if (child < 0 || waitpid(child, NULL, 0) < 0)
                        return 1;
        }
        return 0;
}

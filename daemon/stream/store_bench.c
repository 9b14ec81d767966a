/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How fast the store takes events in and gives them back:  store_bench [EVENTS [DIRECTORY]] */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/stream/store.h"

#define N_MODELS 10000
#define START INT64_C(1700000000000000)

static double now_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_s(void)
{
        struct rusage usage;

        getrusage(RUSAGE_SELF, &usage);
        return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 + (double)usage.ru_stime.tv_sec +
               (double)usage.ru_stime.tv_usec * 1e-6;
}

static int count(void *data, int64_t log, const BgEvent *event)
{
        (void)log;
        *(size_t *)data += event->child.len;
        return 0;
}

static void die(const char *what, const char *why)
{
        fprintf(stderr, "store_bench: %s: %s\n", what, why);
        exit(1);
}

static BgStore *open_store(const char *path, BgDurability durability, BgStoreReceipt *receipt)
{
        BgStore *store;
        char why[256];

        if (bg_store_open(&store, &(BgStoreSpec){ path, durability }, receipt, why, sizeof(why)))
                die(path, why);
        return store;
}

static void take_in(const char *path, BgDurability durability, size_t n_events, size_t group)
{
        BgStoreReceipt receipt;
        char model[64], child[64];
        uint64_t x = 1;
        size_t n_names = 0;

        BgStore *store = open_store(path, durability, &receipt);
        double start = now_s(), cpu = cpu_s();
        for (size_t i = 0; i < n_events; i++) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                /* a few models have most of the children */
                size_t m = (size_t)((double)(x >> 40) * (double)(x >> 40) / (double)(1ull << 48) * N_MODELS);
                int n_model = snprintf(model, sizeof(model), "organisation-%zu/model-%zu", m % 100, m);
                int n_child = snprintf(child, sizeof(child), "author-%zu/some-finetune-%zu", i % 9973, i);
                BgEvent event = { .type = BG_EVENT_ADD,
                                  .model = { model, (size_t)n_model },
                                  .child = { child, (size_t)n_child },
                                  .at = START + (int64_t)i * 1000000 };
                n_names += event.child.len;
                if (bg_store_append(store, &event, START + (int64_t)i * 10))
                        die("append", "no memory");
                if ((i + 1) % group == 0 && bg_store_commit(store, NULL, NULL))
                        die("commit", "failed");
                while (bg_store_groups_pending(store) > 8)
                        bg_store_wait(store);
        }
        bg_store_commit(store, NULL, NULL);
        bg_store_wait(store);
        double took = now_s() - start;
        cpu = cpu_s() - cpu;
        if (bg_store_close(store))
                die(path, "close failed");
        struct stat st;
        stat(path, &st);
        printf("%s  groups of %5zu: %.2f M events/s (%.2f s, %.2f s of CPU), %.1f bytes per event (child names %.1f)\n",
               durability == BG_DURABILITY_POWER ? "power  " : "process", group, (double)n_events / took * 1e-6, took, cpu,
               (double)st.st_size / (double)n_events, (double)n_names / (double)n_events);
}

int main(int argc, char **argv)
{
        size_t n_events = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 1000000, total = 0;
        static const size_t groups[] = { 1000, 10000 };
        char path[512];
        BgStoreReceipt receipt;

        snprintf(path, sizeof(path), "%s/store_bench.%d.db", argc > 2 ? argv[2] : "/tmp", (int)getpid());
        for (int durability = BG_DURABILITY_PROCESS; durability <= (int)BG_DURABILITY_POWER; durability++) {
                for (size_t i = 0; i < 2; i++) {
                        unlink(path);
                        take_in(path, (BgDurability)durability, n_events, groups[i]);
                }
        }
        double start = now_s();
        BgStore *store = open_store(path, BG_DURABILITY_PROCESS, &receipt);
        printf("open: %.3f s\n", now_s() - start);
        start = now_s();
        if (bg_store_read_log(store, count, &total))
                die("read", "failed");
        printf("scan: %.2f M events/s\n", (double)n_events / (now_s() - start) * 1e-6);
        bg_store_close(store);
        unlink(path);
        return 0;
}

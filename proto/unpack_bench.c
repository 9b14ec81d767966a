/* SPDX-License-Identifier: MIT */
/* How many events a second the check and the unpacker take: `ninja proto/unpack-bench && proto/unpack-bench`. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/proto.h"

#define N_EVENTS 1000
#define N_ROUNDS 2000
#define N_PASSES 5

static double now_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *values)
{
        qsort(values, N_PASSES, sizeof(double), compare);
        return values[N_PASSES / 2];
}

int main(void)
{
        static char names[N_EVENTS][2][64];
        static BgEvent events[N_EVENTS];
        BgBatch batch;
        BgBuffer bytes = { 0 };
        BgArena arena = { 0 };
        double check[N_PASSES], unpack[N_PASSES], pack[N_PASSES];
        int r = 0;

        for (int i = 0; i < N_EVENTS; i++) {
                snprintf(names[i][0], sizeof(names[i][0]), "meta-llama/Llama-3.1-%dB", i % 97);
                snprintf(names[i][1], sizeof(names[i][1]), "some-author-%d/llama-finetune-%d", i, i * 7);
                events[i] = (BgEvent){ .type = BG_EVENT_ADD, .model = bg_str(names[i][0]), .child = bg_str(names[i][1]),
                                       .at = INT64_C(1700000000000000) + i * INT64_C(1000003) };
        }
        bg_proto_init(&bg_proto_batch, &batch);
        batch.source = BG_STR("hub");
        batch.seq = 1;
        batch.events.items = events;
        batch.events.n = N_EVENTS;
        for (int pass = 0; pass < N_PASSES && !r; pass++) {
                double t0 = now_s();
                for (int i = 0; i < N_ROUNDS && !r; i++) {
                        bg_buffer_clear(&bytes);
                        r = bg_proto_pack(&bg_proto_batch, &batch, &bytes);
                }
                double t1 = now_s();
                for (int i = 0; i < N_ROUNDS && !r; i++)
                        r = bg_proto_check(bytes.data, bytes.len, &bg_proto_limits_default, NULL);
                double t2 = now_s();
                for (int i = 0; i < N_ROUNDS && !r; i++) {
                        BgBatch back;
                        bg_arena_clear(&arena);
                        r = bg_proto_unpack(&bg_proto_batch, bytes.data, bytes.len, &arena, &back, NULL);
                        r = r ? r : back.events.items[N_EVENTS - 1].type != BG_EVENT_ADD;
                }
                double t3 = now_s();
                pack[pass] = t1 - t0;
                check[pass] = t2 - t1;
                unpack[pass] = t3 - t2;
        }
        double mega = 1e-6 * N_EVENTS * N_ROUNDS;
        printf("%d events, %zu bytes each; medians of %d: pack %.1f, check %.1f, check + unpack %.1f million events/s\n", N_EVENTS,
               bytes.len / N_EVENTS, N_PASSES, mega / median(pack), mega / median(check), mega / median(unpack));
        bg_buffer_deinit(&bytes);
        bg_arena_deinit(&arena);
        return r != 0;
}

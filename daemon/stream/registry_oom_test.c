/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/stream/registry.h"

/*
 * Memory runs out at every place where it can: the registry says -ENOMEM, can be freed, and has lost nothing (leaks are for the
 * sanitizer to see). The linker puts these functions in the place of the C library's.
 */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_reallocarray(void *block, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_reallocarray(void *block, size_t n, size_t size);

static unsigned n_left = UINT32_MAX; /* allocations that succeed */

static bool out_of_memory(void)
{
        return n_left == 0 || n_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
        return out_of_memory() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size)
{
        return out_of_memory() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *block, size_t size)
{
        return out_of_memory() ? NULL : __real_realloc(block, size);
}
void *__wrap_reallocarray(void *block, size_t n, size_t size)
{
        return out_of_memory() ? NULL : __real_reallocarray(block, n, size);
}

static BgEvent make_event(unsigned i, char text[4][32])
{
        BgEvent e = { .at = bg_second_to_us(1000 + i * 37 % 500) };

        for (unsigned k = 0; k < 4; k++)
                snprintf(text[k], sizeof(text[k]), "%c/%u", k % 2 ? 'c' : 'm', (i * (k + 3) + k) % (k % 2 ? 23 : 5));
        e.model = bg_str(text[0]);
        e.child = bg_str(text[1]);
        switch (i % 9) {
        case 3:
                e.type = BG_EVENT_REMOVE;
                break;
        case 5:
                e.type = BG_EVENT_MOVE;
                e.from_name = i % 2 ? e.child : e.model;
                e.to_name = bg_str(i % 2 ? text[3] : text[2]);
                e.model = (BgStr){ 0 };
                break;
        case 6:
                e.type = BG_EVENT_MOVE;
                e.from_name = e.to_name = e.child;
                e.to_model = bg_str(text[2]);
                break;
        case 7:
                e.type = BG_EVENT_TALLY;
                e.from = bg_second_to_us(i * 10);
                e.to = bg_second_to_us(i * 10 + 10);
                break;
        default:
                e.type = BG_EVENT_ADD;
        }
        return e;
}

/* Return: whether it got through without running out. */
static bool run(unsigned n_allocations)
{
        BgRegistrySpec spec = { .hash_key = "0123456789abcde" };
        BgRegistry *registry = NULL;
        char text[4][32];
        int r;

        n_left = n_allocations;
        r = bg_registry_new(&registry, &spec);
        for (unsigned i = 0; i < 600 && r >= 0; i++) {
                BgEvent e = make_event(i, text);

                r = bg_registry_apply(registry, &e, NULL);
        }
        n_left = UINT32_MAX;
        bg_registry_free(registry);
        assert_true(r >= 0 || r == -ENOMEM);
        return r >= 0;
}

static void test_every_allocation(void **state)
{
        unsigned n = 0;

        (void)state;
        while (!run(n))
                n++;
        print_message("# memory ran out at %u places\n", n);
        assert_true(n > 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_allocation) };

        return cmocka_run_group_tests_name("registry out of memory", tests, NULL, NULL);
}

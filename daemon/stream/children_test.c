/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "daemon/stream/children.h"

/*
 * The table against a plain array, through growth, erasing and merging; with children of one entry and of as many as may be.
 */

enum { N_CHILDREN = 60000, N_MODELS = 50 };

static uint64_t hash_of(uint64_t i)
{
        uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

typedef struct Entry {
        BgPlaceKey key;
        uint32_t second;
} Entry;

typedef struct Reference {
        Entry entries[N_CHILDREN][BG_CHILD_RUN_MAX];
        uint8_t n[N_CHILDREN];
        size_t sum;
} Reference;

static Reference ref;

static int compare_entries(const void *left, const void *right)
{
        const Entry *a = left, *b = right;

        if (a->key != b->key)
                return a->key < b->key ? -1 : 1;
        return (a->second > b->second) - (a->second < b->second);
}

static void check_child(BgChildren *children, unsigned child)
{
        BgChildRun run = bg_children_find(children, hash_of(child));
        Entry got[BG_CHILD_RUN_MAX];

        assert_int_equal(run.n, ref.n[child]);
        for (uint32_t i = 0; i < run.n; i++)
                got[i] = (Entry){ bg_child_run_key(&run, i), bg_child_run_second(&run, i) };
        qsort(got, run.n, sizeof(*got), compare_entries);
        qsort(ref.entries[child], ref.n[child], sizeof(*got), compare_entries);
        assert_memory_equal(got, ref.entries[child], run.n * sizeof(*got));
}

static void check_all(BgChildren *children)
{
        assert_int_equal(children->n, ref.sum);
        for (unsigned child = 0; child < N_CHILDREN; child++)
                check_child(children, child);
        for (unsigned child = N_CHILDREN; child < N_CHILDREN + 1000; child++)
                assert_int_equal(bg_children_find(children, hash_of(child)).n, 0);
}

static void insert(BgChildren *children, unsigned child, uint64_t random)
{
        BgPlaceKey key = bg_place_key((BgModelId)(random % N_MODELS), (unsigned)(random >> 16) % BG_RELATION_N);
        uint32_t second = (uint32_t)(random >> 32) % 4;

        for (unsigned i = 0; i < ref.n[child]; i++)
                if (ref.entries[child][i].key == key && ref.entries[child][i].second == second)
                        return;
        assert_int_equal(bg_children_insert(children, hash_of(child), key, second), 0);
        ref.entries[child][ref.n[child]++] = (Entry){ key, second };
        ref.sum++;
}

static void fill(BgChildren *children, unsigned per_child, uint64_t seed)
{
        memset(&ref, 0, sizeof(ref));
        *children = (BgChildren){ 0 };
        for (unsigned i = 0; i < per_child * N_CHILDREN; i++) {
                uint64_t random = hash_of(seed + i);
                unsigned child = (unsigned)(hash_of(random) % N_CHILDREN);

                if (ref.n[child] < BG_CHILD_RUN_MAX)
                        insert(children, child, random);
        }
}

static void erase(BgChildren *children, unsigned child)
{
        bg_children_erase(children, bg_children_find(children, hash_of(child)));
        ref.sum -= ref.n[child];
        ref.n[child] = 0;
}

static void test_find_and_erase(void **state)
{
        (void)state;
        for (unsigned per_child = 1; per_child <= 32; per_child *= 4) {
                BgChildren children;

                fill(&children, per_child, per_child << 24);
                check_all(&children);
                print_message("# %zu entries, %.2f B each\n", children.n, (double)children.memory / (double)children.n);
                if (per_child > 1) /* with fewer, the spare slots behind every shard weigh more */
                        assert_true(children.memory < children.n * (per_child < 8 ? 20 : 26));
                for (unsigned child = 0; child < N_CHILDREN; child += 3)
                        erase(&children, child);
                check_all(&children);
                for (unsigned child = 0; child < N_CHILDREN; child += 6)
                        insert(&children, child, hash_of(child * 7));
                check_all(&children);
                for (unsigned child = 0; child < N_CHILDREN; child++)
                        erase(&children, child);
                check_all(&children);
                bg_children_deinit(&children);
                bg_children_deinit(&children);
        }
}

/* ---- merging --------------------------------------------------------------------------------------------------------------- */

typedef struct Both {
        size_t n[BG_RELATION_N];
        uint64_t sum[BG_RELATION_N];
} Both;

static int in_both(void *data, unsigned relation, BgSecond later)
{
        Both *both = data;

        both->n[relation]++;
        both->sum[relation] += later;
        return 0;
}

static bool earliest(unsigned child, BgPlaceKey key, uint32_t *secondp)
{
        *secondp = UINT32_MAX;
        for (unsigned i = 0; i < ref.n[child]; i++)
                if (ref.entries[child][i].key == key && ref.entries[child][i].second < *secondp)
                        *secondp = ref.entries[child][i].second;
        return *secondp != UINT32_MAX;
}

static void merge_reference(unsigned child, BgModelId from, BgModelId to, Both *both)
{
        Entry *entries = ref.entries[child];
        unsigned kept = 0;

        for (unsigned relation = 0; relation < BG_RELATION_N; relation++) {
                uint32_t a, b;

                if (earliest(child, bg_place_key(from, relation), &a) && earliest(child, bg_place_key(to, relation), &b)) {
                        both->n[relation]++;
                        both->sum[relation] += a > b ? a : b;
                }
        }
        for (unsigned i = 0; i < ref.n[child]; i++)
                if (bg_place_model(entries[i].key) == from)
                        entries[i].key = bg_place_key(to, bg_place_relation(entries[i].key));
        qsort(entries, ref.n[child], sizeof(*entries), compare_entries);
        for (unsigned i = 0; i < ref.n[child]; i++)
                if (!kept || compare_entries(&entries[kept - 1], &entries[i]))
                        entries[kept++] = entries[i];
        ref.sum -= ref.n[child] - kept;
        ref.n[child] = (uint8_t)kept;
}

static void test_merge(void **state)
{
        BgChildren children;

        (void)state;
        fill(&children, 6, 99);
        for (BgModelId from = 1; from < 8; from++) {
                Both got = { 0 }, want = { 0 };

                for (unsigned child = 0; child < N_CHILDREN; child++)
                        merge_reference(child, from, 0, &want);
                assert_int_equal(bg_children_merge_models(&children, from, 0, in_both, &got), 0);
                assert_memory_equal(&got, &want, sizeof(got));
                assert_true(got.n[0] > 0);
                check_all(&children);
        }
        bg_children_deinit(&children);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_find_and_erase), cmocka_unit_test(test_merge) };

        return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/stream/registry_private.h"

/*
 * What is counted depends on the set of facts only: a random history, told in many random orders with repetitions, always gives
 * what an oracle says that knows nothing of tables, dossiers or merging: it has lists and tells all facts in the order of their
 * times.
 */

enum { NAMES_MAX = 24, FACTS_MAX = 400 };

/* ---- random numbers (splitmix64: the seed says everything) ----------------------------------------------------------------- */

static uint64_t rng;

static uint64_t draw(void)
{
        uint64_t z = rng += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
        return (unsigned)(draw() % n);
}

/* ---- a random history ------------------------------------------------------------------------------------------------------ */

typedef struct History {
        char names[NAMES_MAX][16];
        unsigned n_names;
        BgEvent events[FACTS_MAX];
        unsigned n;
        unsigned n_seconds;
} History;

static BgStr name_of(const History *h, unsigned i)
{
        return bg_str(h->names[i]);
}
static BgStr any_name(const History *h)
{
        return name_of(h, below(h->n_names));
}
/* The first half are mostly models, the second half mostly children; now and then a name is both. */
static BgStr model_name(const History *h)
{
        return below(12) ? name_of(h, below(h->n_names / 2)) : any_name(h);
}
static BgStr child_name(const History *h)
{
        return below(12) ? name_of(h, h->n_names / 2 + below(h->n_names - h->n_names / 2)) : any_name(h);
}

static int64_t any_time(const History *h)
{
        return BG_TIME_MIN + (int64_t)(100 + below(h->n_seconds)) * 1000000 + below(1000000);
}

static void put_event(History *h, BgEvent event)
{
        if (h->n < FACTS_MAX)
                h->events[h->n++] = event;
}

static void random_event(History *h, unsigned renames)
{
        BgEvent e = { .type = BG_EVENT_ADD, .model = model_name(h), .child = child_name(h), .at = any_time(h) };
        unsigned kind = below(100);

        if (kind < renames) {
                e = (BgEvent){ .type = BG_EVENT_MOVE, .at = e.at };
                do {
                        bool models = below(3) == 0;

                        e.from_name = models ? model_name(h) : child_name(h);
                        e.to_name = models ? model_name(h) : child_name(h);
                } while (bg_str_equal(e.from_name, e.to_name));
        } else if (kind < 30) {
                e.type = BG_EVENT_REMOVE;
        } else if (kind < 40) {
                e = (BgEvent){ .type = BG_EVENT_MOVE, .at = e.at, .from_name = e.child, .to_name = e.child, .model = e.model };
                if (below(3) == 0)
                        e.to_name = child_name(h);
                e.to_model = model_name(h);
                if (bg_str_equal(e.from_name, e.model) || bg_str_equal(e.to_name, e.to_model) ||
                    (bg_str_equal(e.from_name, e.to_name) && bg_str_equal(e.model, e.to_model)))
                        return;
        } else {
                e.relation = below(4) ? BG_RELATION_FINETUNE : (BgRelation)below(BG_RELATION_N);
                e.release = below(8) ? 0 : any_time(h);
        }
        if (e.type != BG_EVENT_MOVE && bg_str_equal(e.model, e.child))
                return;
        put_event(h, e);
}

static void random_tallies(History *h)
{
        /* One interval belongs to one model only: then no merge can make tallies overlap. */
        for (unsigned i = 0; i < 6; i++)
                if (below(2)) {
                        BgEvent e = { .type = BG_EVENT_TALLY, .model = model_name(h), .count = below(6) };

                        e.from = BG_TIME_MIN + (int64_t)(90 + i * h->n_seconds / 4) * 1000000;
                        e.to = e.from + (int64_t)(1 + below(h->n_seconds / 4)) * 1000000;
                        put_event(h, e);
                }
        if (below(2))
                put_event(h, (BgEvent){ .type = BG_EVENT_RELEASE, .model = model_name(h), .at = any_time(h) });
}

static void random_history(History *h)
{
        unsigned n = 5 + below(120), renames = below(20);

        h->n_names = 4 + below(NAMES_MAX - 4);
        h->n_seconds = below(2) ? 6 : 60;
        h->n = 0;
        for (unsigned i = 0; i < h->n_names; i++)
                snprintf(h->names[i], sizeof(h->names[i]), "%c/%c%u", 'a' + (int)below(3), 'a' + (int)below(3), i);
        for (unsigned i = 0; i < n; i++)
                random_event(h, renames);
        random_tallies(h);
}

/* ---- the oracle ------------------------------------------------------------------------------------------------------------ */

typedef struct OraclePlace {
        BgStr child;
        unsigned class;
        unsigned relation;
        BgSecond at;
} OraclePlace;

typedef struct Oracle {
        const History *h;
        unsigned class[NAMES_MAX]; /* lowest index of the names that are one */
        OraclePlace places[FACTS_MAX];
        unsigned n_places;
} Oracle;

static unsigned index_of(const History *h, BgStr name)
{
        for (unsigned i = 0; i < h->n_names; i++)
                if (bg_str_equal(name, name_of(h, i)))
                        return i;
        return 0;
}

static unsigned class_of(const Oracle *o, BgStr name)
{
        return o->class[index_of(o->h, name)];
}

static bool is_rename(const BgEvent *e)
{
        return e->type == BG_EVENT_MOVE && !e->model.len;
}

static void oracle_classes(Oracle *o)
{
        for (unsigned i = 0; i < o->h->n_names; i++)
                o->class[i] = i;
        for (unsigned round = 0; round < o->h->n_names; round++)
                for (unsigned i = 0; i < o->h->n; i++) {
                        const BgEvent *e = &o->h->events[i];

                        if (!is_rename(e))
                                continue;

                        unsigned a = index_of(o->h, e->from_name), b = index_of(o->h, e->to_name);
                        unsigned low = o->class[a] < o->class[b] ? o->class[a] : o->class[b];

                        o->class[a] = o->class[b] = low;
                }
}

static void oracle_add(Oracle *o, OraclePlace place)
{
        for (unsigned i = 0; i < o->n_places; i++) {
                OraclePlace *p = &o->places[i];

                if (bg_str_equal(p->child, place.child) && p->class == place.class && p->relation == place.relation) {
                        p->at = place.at < p->at ? place.at : p->at;
                        return;
                }
        }
        o->places[o->n_places++] = place;
}

static void oracle_tell(Oracle *o, const BgEvent *e)
{
        OraclePlace old[FACTS_MAX];
        unsigned n = o->n_places;

        if (e->type == BG_EVENT_ADD) {
                oracle_add(o, (OraclePlace){ e->child, class_of(o, e->model), e->relation, bg_second_from_us(e->at) });
                return;
        }
        memcpy(old, o->places, n * sizeof(*old));
        o->n_places = 0;
        for (unsigned i = 0; i < n; i++) { /* those that stay, and then those that go somewhere */
                bool hit = bg_str_equal(old[i].child, e->type == BG_EVENT_REMOVE ? e->child : e->from_name) &&
                           (!e->model.len || old[i].class == class_of(o, e->model));

                if (!hit)
                        o->places[o->n_places++] = old[i];
        }
        for (unsigned i = 0; i < n && e->type == BG_EVENT_MOVE; i++)
                if (bg_str_equal(old[i].child, e->from_name) && (!e->model.len || old[i].class == class_of(o, e->model))) {
                        old[i].child = e->to_name;
                        if (e->to_model.len)
                                old[i].class = class_of(o, e->to_model);
                        oracle_add(o, old[i]);
                }
}

static int compare_text(BgStr a, BgStr b)
{
        int order = memcmp(a.data ? a.data : "", b.data ? b.data : "", a.len < b.len ? a.len : b.len);

        return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int rank(const BgEvent *e)
{
        return e->type == BG_EVENT_ADD ? 0 : e->type == BG_EVENT_REMOVE ? 1 : is_rename(e) ? 3 : 2;
}

static int compare_events(const void *left, const void *right)
{
        const BgEvent *a = left, *b = right;
        BgSecond s = bg_second_from_us(a->at), t = bg_second_from_us(b->at);
        int order = s != t ? (s > t) - (s < t) : rank(a) - rank(b);

        if (!order)
                order = compare_text(a->from_name, b->from_name);
        if (!order)
                order = compare_text(a->to_name, b->to_name);
        if (!order)
                order = compare_text(a->model, b->model);
        return order ? order : compare_text(a->to_model, b->to_model);
}

static void oracle_run(Oracle *o, const History *h)
{
        static BgEvent sorted[FACTS_MAX];
        unsigned n = 0;

        *o = (Oracle){ .h = h };
        oracle_classes(o);
        for (unsigned i = 0; i < h->n; i++)
                if (h->events[i].type <= BG_EVENT_MOVE)
                        sorted[n++] = h->events[i];
        if (n)
                qsort(sorted, n, sizeof(*sorted), compare_events);
        for (unsigned i = 0; i < n; i++) {
                BgSecond second = bg_second_from_us(sorted[i].at);

                oracle_tell(o, &sorted[i]);
                if (i + 1 == n || bg_second_from_us(sorted[i + 1].at) != second)
                        for (unsigned k = 0; k <= i; k++) /* removes win */
                                if (sorted[k].type == BG_EVENT_REMOVE && bg_second_from_us(sorted[k].at) == second)
                                        oracle_tell(o, &sorted[k]);
        }
}

/* ---- dumps: one line a model, sorted --------------------------------------------------------------------------------------- */

typedef struct Dump {
        char lines[NAMES_MAX][8192];
        unsigned n;
} Dump;

/* One line; what does not fit is a bug of the test. */
static void __attribute__((format(printf, 2, 3))) append(char **p, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        *p += vsprintf(*p, format, args);
        va_end(args);
}

static int compare_lines(const void *a, const void *b)
{
        return strcmp(a, b);
}

static int compare_seconds(const void *left, const void *right)
{
        BgSecond a = *(const BgSecond *)left, b = *(const BgSecond *)right;

        return (a > b) - (a < b);
}

/* Appends the counts of one relation; returns whether there is anything. */
static bool dump_series(char **p, unsigned relation, BgSecond *times, unsigned n_times, const BgTally *tallies,
                        unsigned n_tallies)
{
        if (!n_times && !n_tallies)
                return false;
        if (n_times)
                qsort(times, n_times, sizeof(*times), compare_seconds);
        append(p, " %u:", relation);
        for (unsigned i = 0; i < n_times; i++)
                append(p, " %u", times[i]);
        for (unsigned i = 0; i < n_tallies; i++)
                append(p, " (%u-%u]%" PRId64, tallies[i].from, tallies[i].to, tallies[i].count);
        return true;
}

static void dump_release(const Oracle *o, unsigned class, BgSecond guess, char **p)
{
        BgSecond release = guess;
        int basis = BG_RELEASE_GUESSED;

        for (unsigned i = 0; i < o->h->n; i++) {
                const BgEvent *e = &o->h->events[i];
                BgSecond said = bg_second_from_us(e->type == BG_EVENT_RELEASE ? e->at : e->release);

                if ((e->type != BG_EVENT_RELEASE && (e->type != BG_EVENT_ADD || !e->release)) || class_of(o, e->model) != class)
                        continue;
                if (e->type == BG_EVENT_RELEASE) {
                        release = said;
                        basis = BG_RELEASE_STATED;
                } else if (basis == BG_RELEASE_GUESSED || (basis == BG_RELEASE_HINTED && said < release)) {
                        release = said;
                        basis = BG_RELEASE_HINTED;
                }
        }
        append(p, " released %u %d", release, basis);
}

static BgStr oracle_display(const Oracle *o, unsigned class)
{
        const BgEvent *latest = NULL;

        for (unsigned i = 0; i < o->h->n; i++) {
                const BgEvent *e = &o->h->events[i];

                if (!is_rename(e) || class_of(o, e->to_name) != class)
                        continue;
                if (latest) {
                        BgSecond s = bg_second_from_us(e->at), t = bg_second_from_us(latest->at);

                        if (s < t || (s == t && compare_text(e->to_name, latest->to_name) < 0))
                                continue;
                }
                latest = e;
        }
        return latest ? latest->to_name : name_of(o->h, class);
}

static void dump_oracle(Dump *dump, const Oracle *o)
{
        dump->n = 0;
        for (unsigned class = 0; class < o->h->n_names; class ++) {
                char *line = dump->lines[dump->n], *p = line;
                BgStr name = oracle_display(o, class);
                BgSecond guess = UINT32_MAX;
                bool any = false;

                if (o->class[class] != class)
                        continue;
                append(&p, "%.*s", (int)name.len, name.data);
                for (unsigned relation = 0; relation < BG_RELATION_N; relation++) {
                        BgSecond times[FACTS_MAX];
                        BgTally tallies[FACTS_MAX];
                        unsigned n_times = 0, n_tallies = 0;

                        for (unsigned i = 0; i < o->n_places; i++)
                                if (o->places[i].class == class && o->places[i].relation == relation)
                                        times[n_times++] = o->places[i].at;
                        for (unsigned i = 0; i < o->h->n; i++) { /* they were made in rising order */
                                const BgEvent *e = &o->h->events[i];

                                if (e->type == BG_EVENT_TALLY && class_of(o, e->model) == class && e->relation == relation)
                                        tallies[n_tallies++] =
                                                (BgTally){ bg_second_from_us(e->from), bg_second_from_us(e->to), e->count, 0 };
                        }
                        any |= dump_series(&p, relation, times, n_times, tallies, n_tallies);
                        if (n_times && times[0] < guess)
                                guess = times[0];
                        if (n_tallies && tallies[0].from < guess)
                                guess = tallies[0].from;
                }
                if (!any)
                        continue;
                dump_release(o, class, guess, &p);
                dump->n++;
        }
        qsort(dump->lines, dump->n, sizeof(*dump->lines), compare_lines);
}

static void dump_registry(Dump *dump, BgRegistry *registry)
{
        dump->n = 0;
        for (BgModelId id = 0; id < bg_registry_n_models(registry); id++) {
                const BgModel *model = bg_registry_model(registry, id);
                char *p = dump->lines[dump->n];
                bool any = false;

                if (model->merged_into != BG_MODEL_NONE)
                        continue;
                assert_int_equal(strlen(model->name), model->name_len);
                append(&p, "%s", model->name);
                for (unsigned relation = 0; relation < BG_RELATION_N; relation++) {
                        BgSeries *s = model->series[relation] == BG_SERIES_NONE
                                              ? NULL
                                              : bg_registry_series(registry, model->series[relation]);

                        if (!s)
                                continue;
                        assert_int_equal(s->model, id);
                        assert_int_equal(s->relation, relation);
                        any |= dump_series(&p, relation, s->times, s->n_times, s->tallies, s->n_tallies);
                }
                if (!any)
                        continue;
                append(&p, " released %u %u", model->release, model->release_basis);
                dump->n++;
        }
        qsort(dump->lines, dump->n, sizeof(*dump->lines), compare_lines);
}

/* ---- telling it to a registry ---------------------------------------------------------------------------------------------- */

typedef struct Sums {
        int64_t children[4096];
        int64_t tallied[4096];
} Sums;

static void sum_changes(void *data, BgSeriesId series, const BgSeriesChange *change)
{
        Sums *sums = data;

        sums->children[series] += (int64_t)change->added - change->removed;
        sums->tallied[series] += change->tallied;
}

static BgRegistry *tell(const History *h, Sums *sums)
{
        BgRegistrySpec spec = { .changed = sum_changes, .data = sums };
        unsigned order[3 * FACTS_MAX], n = 0;
        BgRegistry *registry;
        BgReject reason;

        memset(sums, 0, sizeof(*sums));
        for (size_t i = 0; i < sizeof(spec.hash_key); i++)
                spec.hash_key[i] = (unsigned char)draw();
        assert_int_equal(bg_registry_new(&registry, &spec), 0);
        for (unsigned i = 0; i < h->n; i++)
                for (unsigned k = 1 + (below(3) == 0) + (below(6) == 0); k > 0; k--)
                        order[n++] = i;
        for (unsigned i = n; i > 1; i--) {
                unsigned k = below(i), swap = order[i - 1];

                order[i - 1] = order[k];
                order[k] = swap;
        }
        for (unsigned i = 0; i < n; i++) {
                int r = bg_registry_apply(registry, &h->events[order[i]], &reason);

                assert_in_range(r, 0, BG_REGISTRY_E_DUPLICATE);
                if (below(8) == 0)
                        assert_int_equal(bg_registry_apply(registry, &h->events[order[i]], &reason), BG_REGISTRY_E_DUPLICATE);
        }
        return registry;
}

static void check_sums(BgRegistry *registry, const Sums *sums)
{
        int64_t n = 0;

        for (BgSeriesId id = 0; id < bg_registry_n_series(registry); id++) {
                const BgSeries *series = bg_registry_series(registry, id);

                assert_int_equal(series->n_times, sums->children[id]);
                assert_int_equal(bg_series_tallied(series), sums->tallied[id]);
                n += series->n_times;
        }
        assert_int_equal(bg_registry_n_children(registry), n);

        size_t held = 0;

        for (size_t i = 0; i < registry->dossiers.n; i++)
                held += bg_dossier_memory(bg_chunks_at(&registry->dossiers, i));
        assert_int_equal(registry->dossiers_held, held);
}

static void check_names(BgRegistry *registry, const Oracle *o)
{
        for (unsigned i = 0; i < o->h->n_names; i++) {
                BgModelId id = bg_registry_find(registry, name_of(o->h, i));
                BgModelId first = bg_registry_find(registry, name_of(o->h, o->class[i]));
                BgStr shown = oracle_display(o, o->class[i]);

                /* Every name of a class is found, or none was heard of as a model. A first name may never have been heard at all.
                 */
                if (id == BG_MODEL_NONE || first == BG_MODEL_NONE)
                        continue;
                assert_int_equal(id, first);
                assert_int_equal(bg_registry_model(registry, id)->merged_into, BG_MODEL_NONE);
                assert_string_equal(bg_registry_model(registry, id)->name, shown.data);
        }
}

static unsigned check_history(uint64_t seed)
{
        static History h;
        static Oracle o;
        static Dump expected, got;
        static Sums sums;

        rng = seed;
        random_history(&h);
        oracle_run(&o, &h);
        dump_oracle(&expected, &o);
        for (unsigned order = 0; order < 6; order++) {
                BgRegistry *registry = tell(&h, &sums);

                check_sums(registry, &sums);
                check_names(registry, &o);
                dump_registry(&got, registry);
                bg_registry_free(registry);
                for (unsigned i = 0; i < expected.n || i < got.n; i++) {
                        const char *want = i < expected.n ? expected.lines[i] : "(nothing)";
                        const char *have = i < got.n ? got.lines[i] : "(nothing)";

                        if (strcmp(want, have)) {
                                print_message("seed %" PRIu64 " order %u\n  want %s\n  have %s\n", seed, order, want, have);
                                return 1;
                        }
                }
        }
        return 0;
}

static void test_any_order(void **state)
{
        const char *given = getenv("BURGEON_TEST_SEED"), *rounds = getenv("BURGEON_TEST_ROUNDS");
        uint64_t first = given ? strtoull(given, NULL, 0) : 1, n = rounds ? strtoull(rounds, NULL, 0) : 1500;

        (void)state;
        for (uint64_t seed = first; seed < first + n; seed++)
                if (check_history(seed))
                        fail_msg("repeat with BURGEON_TEST_SEED=%" PRIu64 " BURGEON_TEST_ROUNDS=1", seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_any_order) };

        return cmocka_run_group_tests_name("registry in any order", tests, NULL, NULL);
}

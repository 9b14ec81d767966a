/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "client/simulate/ecosystem.h"
#include "client/simulate/names.h"
#include "client/simulate/random.h"
#include "proto/proto.h"

#define DAY 86400.0
#define START INT64_C(1672531200) /* 2023-01-01 */

static void simulate(BgSimulatedEcosystem *eco, BgEcosystemSpec spec)
{
        spec.start_s = START;
        assert_int_equal(bg_ecosystem_simulate(eco, &spec, NULL, NULL), 0);
}

static void functions_agree_with_the_library(void **state)
{
        double worst_exp = 0, worst_ln = 0, worst_cdf = 0;

        (void)state;
        for (double x = -700; x < 700; x += 0.37)
                worst_exp = fmax(worst_exp, fabs(bg_random_exp(x) / exp(x) - 1));
        for (double x = 1e-300; x < 1e300; x *= 1.9)
                worst_ln = fmax(worst_ln, fabs(bg_random_ln(x) / log(x) - 1));
        for (double z = -8; z < 5; z += 0.013) {
                double cdf = 0.5 * erfc(-z / sqrt(2));

                worst_cdf = fmax(worst_cdf, fabs(bg_random_normal_cdf(z) / cdf - 1));
        }
        assert_true(worst_exp < 1e-15);
        assert_true(worst_ln < 1e-15);
        assert_true(worst_cdf < 1e-13);
}

static void numbers_are_uniform_and_streams_differ(void **state)
{
        enum { N = 200000 };
        double sum = 0, squares = 0, between = 0;
        BgRandom a, b;

        (void)state;
        bg_random_init(&a, 1, 1);
        bg_random_init(&b, 1, 2);
        for (int i = 0; i < N; i++) {
                double x = bg_random_uniform(&a) - 0.5, y = bg_random_uniform(&b) - 0.5;

                sum += x;
                squares += x * x;
                between += x * y;
        }
        assert_true(fabs(sum / N) < 4 * sqrt(1.0 / 12 / N));
        assert_true(fabs(squares / N - 1.0 / 12) < 4 * sqrt(1.0 / 180 / N));
        assert_true(fabs(between / N) < 4 * (1.0 / 12) / sqrt(N));
}

static uint64_t hash_file(const char *directory, const char *name, uint64_t hash)
{
        char path[300];
        FILE *file;
        int c;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "rb");
        assert_non_null(file);
        while ((c = getc(file)) != EOF)
                hash = (hash ^ (uint64_t)c) * UINT64_C(0x100000001b3);
        fclose(file);
        unlink(path);
        return hash;
}

static uint64_t fingerprint(BgEcosystemSpec spec)
{
        static const char *const files[] = { "events.csv", "releases.csv", "truth.csv", "params.csv" };
        char directory[] = "/tmp/burgeon-simulate-XXXXXX";
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        const char *failed;
        BgSimulatedEcosystem eco;

        assert_non_null(mkdtemp(directory));
        spec.start_s = START;
        simulate(&eco, spec);
        assert_int_equal(bg_ecosystem_write(&eco, &spec, directory, &failed, NULL, NULL), 0);
        bg_ecosystem_deinit(&eco);
        for (int i = 0; i < 4; i++)
                hash = hash_file(directory, files[i], hash);
        rmdir(directory);
        return hash;
}

/* The constants hold for every compiler, option and processor: that is the promise. A change of the recipe changes them. */
static void the_same_seed_gives_the_same_bytes_everywhere(void **state)
{
        const BgEcosystemSpec hub = { .n_models = 60, .days = 400, .seed = 42, .n_outages = 2 };
        const BgEcosystemSpec pure = { .n_models = 60, .days = 400, .seed = 42, .pure = true, .children_max = 2000 };
        const BgEcosystemSpec other = { .n_models = 60, .days = 400, .seed = 43, .n_outages = 2 };

        (void)state;
        if (getenv("BURGEON_PRINT_FINGERPRINTS"))
                fprintf(stderr, "%#llx %#llx\n", (unsigned long long)fingerprint(hub), (unsigned long long)fingerprint(pure));
        assert_int_equal(fingerprint(hub), UINT64_C(0xd9d536dbea1baee4));
        assert_int_equal(fingerprint(pure), UINT64_C(0x2d3a20979fa9e5af));
        assert_true(fingerprint(hub) != fingerprint(other));
}

/* P(X <= n) of the negative binomial with r = m and success probability p, by its recurrence. */
static double negative_binomial_cdf(double m, double p, double n)
{
        double term = pow(p, m), sum = term;

        for (double k = 1; k <= n; k++) {
                term *= (1 - p) * (m + k - 1) / k;
                sum += term;
        }
        return n < 0 ? 0 : fmin(sum, 1);
}

/* The count of the pure process is exactly negative binomial: its (randomised) distribution function at it is uniform. */
static void pure_counts_have_the_exact_distribution(void **state)
{
        double ranks[4000], days = 1000, sum = 0, squares = 0, distance = 0;
        BgSimulatedEcosystem eco;
        BgRandom random;
        int n = 0;

        (void)state;
        simulate(&eco, (BgEcosystemSpec){ .n_models = 4000, .days = days, .seed = 7, .pure = true });
        bg_random_init(&random, 99, 0);
        for (size_t i = 0; i < eco.n_models; i++) {
                const BgEcosystemModel *model = &eco.models[i];
                double share = 0.5 * erfc(-(log(days - model->release / DAY) - model->mu) / model->sigma / sqrt(2));
                double p = exp(-model->lambda * share), low;

                if (3 * (1 / p - 1) > 1500) /* the limit on children must not bind */
                        continue;
                low = negative_binomial_cdf(3, p, model->n_children - 1.0);
                ranks[n++] = low + bg_random_uniform(&random) * (negative_binomial_cdf(3, p, model->n_children) - low);
        }
        assert_true(n > 3000);
        for (int i = 0; i < n; i++) {
                int below = 0;

                for (int j = 0; j < n; j++)
                        below += ranks[j] <= ranks[i];
                distance = fmax(distance, fabs((double)below / n - ranks[i]));
                sum += ranks[i];
                squares += ranks[i] * ranks[i];
        }
        assert_true(distance < 1.95 / sqrt(n)); /* Kolmogorov, 0.1 % */
        assert_true(fabs(sum / n - 0.5) < 4 * sqrt(1.0 / 12 / n));
        assert_true(fabs(squares / n - 1.0 / 3) < 4 * sqrt(4.0 / 45 / n));
        bg_ecosystem_deinit(&eco);
}

/* Waits in exposure, times (N + m), are exponential with mean 1 and variance 1. */
static void pure_waits_have_the_exact_distribution(void **state)
{
        double sum = 0, squares = 0;
        BgSimulatedEcosystem eco;
        double *last;
        int n = 0;

        (void)state;
        simulate(&eco, (BgEcosystemSpec){ .n_models = 2000, .days = 1000, .seed = 8, .pure = true, .children_max = 3000 });
        last = calloc(eco.n_models, sizeof(*last));
        for (size_t i = 0; i < eco.n_events; i++) {
                const BgEcosystemEvent *event = &eco.events[i];
                const BgEcosystemModel *model = &eco.models[event->model];
                double age = (event->at + 0.5 - model->release) / DAY, exposure, wait;

                exposure = model->lambda * 0.5 * erfc(-(log(age) - model->mu) / model->sigma / sqrt(2));
                wait = (exposure - last[event->model]) * (event->child + model->m);
                last[event->model] = exposure;
                if (event->child >= 40 || age < 5) /* where rounding to seconds would show */
                        continue;
                sum += wait;
                squares += wait * wait;
                n++;
        }
        free(last);
        /* the last, unfinished wait of each model is missing: the mean is below 1 by the share of models in n, at most */
        assert_true(n > 20000);
        assert_true(sum / n > 0.85 && sum / n < 1.02);
        assert_true(squares / n > 1.4 && squares / n < 2.1);
        bg_ecosystem_deinit(&eco);
}

static void pure_parameters_come_from_the_prior(void **state)
{
        double ln_lambda = 0, mu = 0, ln_sigma = 0, mu2 = 0;
        BgSimulatedEcosystem eco;
        double n;

        (void)state;
        /* a day of history: next to nothing is drawn again, so that the prior is not cut */
        simulate(&eco, (BgEcosystemSpec){ .n_models = 20000, .days = 1, .seed = 3, .pure = true });
        n = (double)eco.n_models;
        for (size_t i = 0; i < eco.n_models; i++) {
                ln_lambda += log(eco.models[i].lambda);
                mu += eco.models[i].mu;
                mu2 += pow(eco.models[i].mu - 2 - log(30.4375), 2);
                ln_sigma += log(eco.models[i].sigma);
                assert_true(eco.models[i].m == 3);
        }
        assert_true(fabs(ln_lambda / n - 1) < 0.04);
        assert_true(fabs(mu / n - 2 - log(30.4375)) < 0.04);
        assert_true(fabs(mu2 / n - 1) < 0.04);
        assert_true(fabs(ln_sigma / n - 0.5) < 0.03);
        bg_ecosystem_deinit(&eco);
}

/* In surges the rate is `factor` times what the process would give: observed / expected, over many of them. */
static void surges_have_the_factor_they_claim(void **state)
{
        double observed = 0, expected = 0;
        BgSimulatedEcosystem eco;
        int n = 0;

        (void)state;
        simulate(&eco, (BgEcosystemSpec){ .n_models = 3000, .days = 730, .seed = 5, .events = 600000 });
        for (size_t k = 0; k < eco.n_incidents; k++) {
                const BgIncident *incident = &eco.incidents[k];
                const BgEcosystemModel *model;
                double exposure = 0, count = 0, before = 0, from, to;

                if (incident->kind != BG_INCIDENT_SURGE)
                        continue;
                model = &eco.models[incident->model];
                for (size_t i = 0; i < eco.n_events; i++) {
                        if (eco.events[i].model != incident->model)
                                continue;
                        before += eco.events[i].at < incident->onset;
                        count += eco.events[i].at >= incident->onset && eco.events[i].at < incident->end;
                }
                from = (incident->onset - (double)model->release) / DAY;
                to = (incident->end - (double)model->release) / DAY;
                exposure = model->lambda * 0.5 *
                           (erfc(-(log(to) - model->mu) / model->sigma / sqrt(2)) - erfc(-(log(from) - model->mu) / model->sigma / sqrt(2)));
                observed += count;
                expected += (before + model->m) * (exp(incident->factor * exposure) - 1);
                if (++n == 60) /* enough: the loop over all events is slow */
                        break;
        }
        assert_true(n >= 40);
        assert_true(expected > 500);
        assert_true(observed / expected > 0.75 && observed / expected < 1.3);
        bg_ecosystem_deinit(&eco);
}

static void bursts_have_few_authors_and_surges_many(void **state)
{
        BgSimulatedEcosystem eco;
        int n_bursts = 0;

        (void)state;
        simulate(&eco, (BgEcosystemSpec){ .n_models = 800, .days = 730, .seed = 6 });
        for (size_t k = 0; k < eco.n_incidents; k++) {
                const BgIncident *incident = &eco.incidents[k];
                uint32_t top[64], counts[64], n_authors = 0, total = 0, most = 0;

                if (incident->kind != BG_INCIDENT_AUTHOR && incident->kind != BG_INCIDENT_TEAM)
                        continue;
                for (size_t i = 0; i < eco.n_events; i++) {
                        const BgEcosystemEvent *event = &eco.events[i];
                        uint32_t a = 0;

                        if (event->model != incident->model || event->at < incident->onset || event->at > incident->end)
                                continue;
                        total++;
                        while (a < n_authors && top[a] != event->author)
                                a++;
                        if (a == n_authors && n_authors < 64) {
                                top[n_authors] = event->author;
                                counts[n_authors++] = 0;
                        }
                        if (a < 64 && ++counts[a] > most)
                                most = counts[a];
                }
                n_bursts++;
                assert_true(total + 1 >= incident->factor);
                if (incident->kind == BG_INCIDENT_AUTHOR)
                        assert_true(most + 1 >= incident->factor);
                else
                        assert_true(most >= incident->factor / 4 - 1);
        }
        assert_true(n_bursts > 20);
        bg_ecosystem_deinit(&eco);
}

static void null_hubs_have_no_incidents(void **state)
{
        BgSimulatedEcosystem eco;

        (void)state;
        simulate(&eco, (BgEcosystemSpec){ .n_models = 500, .days = 400, .seed = 6, .null = true, .n_outages = 3 });
        assert_int_equal(eco.n_incidents, 0);
        assert_true(eco.n_events > 1000);
        for (size_t i = 1; i < eco.n_events; i++)
                assert_true(eco.events[i].at >= eco.events[i - 1].at);
        bg_ecosystem_deinit(&eco);
}

/* What is born in an outage comes after it, at ten times the pace, between what is born then. */
static void an_outage_delivers_late(void **state)
{
        const BgIncident *outage = NULL;
        size_t n_inside = 0, n_inverted = 0;
        uint32_t latest = 0;
        BgSimulatedEcosystem eco;

        (void)state;
        simulate(&eco, (BgEcosystemSpec){ .n_models = 300, .days = 400, .seed = 6, .n_outages = 1 });
        for (size_t i = 0; i < eco.n_incidents; i++)
                if (eco.incidents[i].kind == BG_INCIDENT_OUTAGE)
                        outage = &eco.incidents[i];
        assert_non_null(outage);
        for (size_t i = 0; i < eco.n_events; i++) {
                uint32_t at = eco.events[i].at, backlog_end = outage->end + (outage->end - outage->onset) / 10;

                if (at >= outage->onset && at < outage->end) {
                        n_inside++;
                        n_inverted += latest >= outage->end;
                        assert_true(latest <= backlog_end); /* the backlog is over by then */
                } else {
                        assert_true(at >= outage->end || n_inside == 0); /* nothing older comes after it began */
                }
                latest = at > latest ? at : latest;
        }
        assert_true(n_inside > 10);
        assert_true(n_inverted > 0);
        bg_ecosystem_deinit(&eco);
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(a, b);
}

static void names_are_valid_and_unique(void **state)
{
        enum { ORGS = 400, EACH = 50 };
        char(*names)[BG_NAMES_MAX] = calloc(ORGS * EACH, BG_NAMES_MAX), child[300];

        (void)state;
        for (uint32_t org = 0; org < ORGS; org++)
                for (uint32_t k = 0; k < EACH; k++) {
                        bg_names_model(names[org * EACH + k], org, k * 31);
                        assert_true(bg_proto_name_valid(bg_str(names[org * EACH + k])));
                }
        qsort(names, ORGS * EACH, BG_NAMES_MAX, compare_names);
        for (size_t i = 1; i < ORGS * EACH; i++)
                assert_true(strcmp(names[i - 1], names[i]) != 0);
        for (uint32_t author = 0; author < ORGS * EACH; author++)
                bg_names_author(names[author], author * 214013);
        qsort(names, ORGS * EACH, BG_NAMES_MAX, compare_names);
        for (size_t i = 1; i < ORGS * EACH; i++)
                assert_true(strcmp(names[i - 1], names[i]) != 0);
        for (uint32_t i = 0; i < 1000; i++) {
                assert_true(bg_names_child(child, sizeof(child), "Polaris-7B-Instruct", i * 4000037, i * 99991) > 0);
                assert_true(bg_proto_name_valid(bg_str(child)));
        }
        free(names);
}

static int give_up(void *data, size_t n_models, size_t n_events)
{
        (void)data, (void)n_models, (void)n_events;
        return 1;
}

static void refuses_what_makes_no_sense(void **state)
{
        BgEcosystemSpec spec = { .n_models = 1000, .days = 100, .seed = 1 };
        BgSimulatedEcosystem eco;

        (void)state;
        assert_int_equal(bg_ecosystem_simulate(&eco, &spec, give_up, NULL), -ECANCELED);
        assert_null(eco.events);
        spec.days = NAN;
        assert_int_equal(bg_ecosystem_simulate(&eco, &spec, NULL, NULL), -EINVAL);
        spec.days = 100;
        spec.n_models = 0;
        assert_int_equal(bg_ecosystem_simulate(&eco, &spec, NULL, NULL), -EINVAL);
        bg_ecosystem_deinit(&eco);
        bg_ecosystem_deinit(&eco);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(functions_agree_with_the_library),
                cmocka_unit_test(numbers_are_uniform_and_streams_differ),
                cmocka_unit_test(the_same_seed_gives_the_same_bytes_everywhere),
                cmocka_unit_test(pure_counts_have_the_exact_distribution),
                cmocka_unit_test(pure_waits_have_the_exact_distribution),
                cmocka_unit_test(pure_parameters_come_from_the_prior),
                cmocka_unit_test(surges_have_the_factor_they_claim),
                cmocka_unit_test(bursts_have_few_authors_and_surges_many),
                cmocka_unit_test(null_hubs_have_no_incidents),
                cmocka_unit_test(an_outage_delivers_late),
                cmocka_unit_test(names_are_valid_and_unique),
                cmocka_unit_test(refuses_what_makes_no_sense),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

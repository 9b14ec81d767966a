/* SPDX-License-Identifier: MIT */
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

#include "client/figures/data.h"

static char path[2][64];

static void write_file(int i, const char *text)
{
        FILE *file;

        snprintf(path[i], sizeof(path[i]), "/tmp/burgeon-data-%d-%d.csv", (int)getpid(), i);
        file = fopen(path[i], "w");
        assert_non_null(file);
        fputs(text, file);
        assert_int_equal(fclose(file), 0);
}

static void complain(void *data, const char *where, int64_t line, const char *what)
{
        (void)where;
        (void)line;
        (void)what;
        ++*(int *)data;
}

static void load(BgFigureData *data, int n, int relation)
{
        const char *paths[] = { path[0], path[1] };
        int complaints = 0;

        assert_int_equal(bg_figure_data_load(data, paths, (size_t)n, relation, complain, &complaints), 0);
        assert_int_equal(complaints, 0);
        for (int i = 0; i < n; i++)
                unlink(path[i]);
}

static void near(double got, double want)
{
        if (!(fabs(got - want) <= 1e-9 * fmax(fabs(want), 1)))
                fail_msg("%.12g is not %.12g", got, want);
}

static void test_children_count_once_by_age(void **state)
{
        BgFigureData data;

        (void)state;
        write_file(0, "model,released_at\na/b,2024-01-01T00:00:00Z\n");
        write_file(1, "model,child,created_at,relation\n"
                      "a/b,x/1,2024-01-11T00:00:00Z,finetune\na/b,x/1,2024-01-12T00:00:00Z,finetune\n" /* the same child again */
                      "a/b,x/2,2024-02-15T00:00:00Z,\na/b,x/3,2024-02-16T00:00:00Z,adapter\n"
                      "c/d,x/1,2024-03-01T00:00:00Z,finetune\n"); /* of another model: another one */
        load(&data, 2, BG_RELATION_FINETUNE);
        assert_int_equal(data.n, 2);
        assert_string_equal(data.models[0].name, "a/b");
        assert_int_equal(data.models[0].org_len, 1);
        near(data.models[0].count, 2);
        assert_true(data.models[0].stated && !data.models[1].stated);
        assert_int_equal(data.models[0].n_months, 3); /* at 0, 1 and, a day early, 2 months: known to 2024-03-01 */
        near(data.models[0].months[0], 0);
        near(data.models[0].months[1], 1);
        near(data.models[0].months[2], 2);
        near(bg_figure_count_at(&data.models[0], 10.5 / 30.4375, data.end), 1);
        assert_true(isnan(bg_figure_count_at(&data.models[0], 5, data.end)));
        bg_figure_data_deinit(&data);
        bg_figure_data_deinit(&data);
}

static void test_tallies_are_their_months_and_else_in_proportion(void **state)
{
        BgFigureData data;

        (void)state;
        write_file(0, "model,from,to,count\na/b,2024-01-01T00:00:00Z,2024-02-01T00:00:00Z,10\n"
                      "a/b,2024-02-01T00:00:00Z,2024-03-01T00:00:00Z,20\na/b,2024-03-01T00:00:00Z,2024-04-01T00:00:00Z,31\n");
        load(&data, 1, BG_RELATION_FINETUNE);
        assert_int_equal(data.models[0].n_months, 4);
        near(data.models[0].months[1], 10); /* February 1st is 13.5 hours late: it is month 1 */
        near(data.models[0].months[2], 30);
        near(data.models[0].months[3], 61);
        near(bg_figure_count_at(&data.models[0], 70 / 30.4375, data.end), 30 + 10); /* ten days into March */
        assert_true(isnan(bg_figure_count_at(&data.models[0], 4, data.end)));
        bg_figure_data_deinit(&data);
}

static void test_fits_and_their_curves(void **state)
{
        BgFigureData data;
        BgFigureFit runaway;

        (void)state;
        write_file(0, "model,child,created_at\na/b,x/1,2024-01-11T00:00:00Z\na/b,x/2,2024-05-11T00:00:00Z\nc/d,x/1,2024-01-12T00:00:00Z\n"
                      "e/f,x/1,2024-01-12T00:00:00Z\n");
        load(&data, 1, BG_RELATION_FINETUNE);
        write_file(0, "model,lambda,mu,sigma,sse,iterations,status\na/b,2,0.5,1.5,0,7,ok\nc/d,1e9,300,40,0,7,ok\ne/f,3,0,1,0,9,bound\n"
                      "unknown/model,1,1,1,0,1,ok\n");
        assert_int_equal(bg_figure_data_fits(&data, path[0], BG_RELATION_FINETUNE, 3, 365.25), 0);
        assert_true(data.models[0].fit.known && !data.models[0].fit.at_zero);
        runaway = data.models[1].fit;
        assert_true(runaway.fitted && !runaway.known);
        assert_true(data.models[2].fit.known && data.models[2].fit.at_zero);
        /* c(t) = 3 (e^(2 Phi((ln t - .5) / 1.5)) - 1) at t = e^.5 years: Phi(0) = 1/2 */
        near(bg_figure_curve(&data, &data.models[0].fit, exp(.5) * 12), 3 * (exp(1) - 1));
        near(bg_figure_curve(&data, &data.models[0].fit, 0), 0);
        near(bg_figure_curve_through(&data, &data.models[0].fit, 7, 7, 41), 41);
        assert_true(bg_figure_curve_through(&data, &data.models[0].fit, 3, 7, 41) < 41);
        assert_true(isnan(bg_figure_curve(&data, &(BgFigureFit){ 0 }, 3)));
        write_file(1, "model,count\na/b,3\n");
        assert_int_equal(bg_figure_data_fits(&data, path[1], BG_RELATION_FINETUNE, 3, 1), BG_FIGURE_E_FITS);
        unlink(path[0]);
        unlink(path[1]);
        bg_figure_data_deinit(&data);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_children_count_once_by_age),
                cmocka_unit_test(test_tallies_are_their_months_and_else_in_proportion),
                cmocka_unit_test(test_fits_and_their_curves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

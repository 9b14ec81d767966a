/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_TEST_REAL_H
#define BURGEON_MODEL_TEST_REAL_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/model/fit.h"

/* For tests and measurements: monthly histories of real models, and the parameters published for them. */

enum { TEST_REAL_BINS_MAX = 64 };

typedef struct TestReal {
        char name[160];
        size_t n_bins;
        double edges_days[TEST_REAL_BINS_MAX + 1]; /* age at the calendar edges of the tallies */
        double counts[TEST_REAL_BINS_MAX];
        double total;
        bool published; /* has parameters: lambda, mu (ln years), sigma */
        double lambda, mu, sigma;
} TestReal;

/**
 * test_real_load() - releases.csv, tallies.csv and paper-fits.csv of $BURGEON_DATA/hf-monthly, else of
 * SOURCE/../shared/data/hf-monthly Return: the number of models, in the order of releases.csv; 0 when there are no such files,
 * with where was looked in `where`.
 */
size_t test_real_load(TestReal **modelsp, char *where, size_t n_where);

#endif

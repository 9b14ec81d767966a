/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_SYM3_H
#define BURGEON_MODEL_SYM3_H

#include <stdbool.h>

#include "daemon/model/growth.h"

/* Packed symmetric 3x3 matrices, (0,0) (1,0) (1,1) (2,0) (2,1) (2,2): what a fit of three parameters needs of linear algebra. */

/** L of A = L L'. False when A is not positive definite, or so nearly singular that its inverse would be noise. */
bool bg_sym3_cholesky(double l[BG_SYM_N], const double a[BG_SYM_N]);
/** x of L L' x = b. x may be b. */
void bg_sym3_solve(double x[3], const double l[BG_SYM_N], const double b[3]);
/** A^-1 from its Cholesky factor. */
void bg_sym3_invert(double inverse[BG_SYM_N], const double l[BG_SYM_N]);
/** A x. */
void bg_sym3_times(double y[3], const double a[BG_SYM_N], const double x[3]);
/** x' A x. */
double bg_sym3_form(const double a[BG_SYM_N], const double x[3]);

#endif

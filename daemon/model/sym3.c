/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/sym3.h"

#include <math.h>

/* A pivot that lost this much of its diagonal to cancellation has no correct digit left worth inverting. */
#define PIVOT_MIN 1e-13

bool bg_sym3_cholesky(double l[BG_SYM_N], const double a[BG_SYM_N])
{
        double pivot;

        if (!(a[0] > 0) || !isfinite(a[0]))
                return false;
        l[0] = sqrt(a[0]);
        l[1] = a[1] / l[0];
        l[3] = a[3] / l[0];
        pivot = a[2] - l[1] * l[1];
        if (!(pivot > PIVOT_MIN * a[2]) || !isfinite(pivot))
                return false;
        l[2] = sqrt(pivot);
        l[4] = (a[4] - l[3] * l[1]) / l[2];
        pivot = a[5] - l[3] * l[3] - l[4] * l[4];
        if (!(pivot > PIVOT_MIN * a[5]) || !isfinite(pivot))
                return false;
        l[5] = sqrt(pivot);
        return true;
}

void bg_sym3_solve(double x[3], const double l[BG_SYM_N], const double b[3])
{
        double y0 = b[0] / l[0];
        double y1 = (b[1] - l[1] * y0) / l[2];
        double y2 = (b[2] - l[3] * y0 - l[4] * y1) / l[5];

        x[2] = y2 / l[5];
        x[1] = (y1 - l[4] * x[2]) / l[2];
        x[0] = (y0 - l[1] * x[1] - l[3] * x[2]) / l[0];
}

void bg_sym3_invert(double inverse[BG_SYM_N], const double l[BG_SYM_N])
{
        /* K = L^-1, then K' K */
        double k0 = 1 / l[0], k2 = 1 / l[2], k5 = 1 / l[5];
        double k1 = -l[1] * k0 * k2;
        double k4 = -l[4] * k2 * k5;
        double k3 = -(l[3] * k0 + l[4] * k1) * k5;

        inverse[0] = k0 * k0 + k1 * k1 + k3 * k3;
        inverse[1] = k1 * k2 + k3 * k4;
        inverse[2] = k2 * k2 + k4 * k4;
        inverse[3] = k3 * k5;
        inverse[4] = k4 * k5;
        inverse[5] = k5 * k5;
}

void bg_sym3_times(double y[3], const double a[BG_SYM_N], const double x[3])
{
        double y0 = a[0] * x[0] + a[1] * x[1] + a[3] * x[2];
        double y1 = a[1] * x[0] + a[2] * x[1] + a[4] * x[2];

        y[2] = a[3] * x[0] + a[4] * x[1] + a[5] * x[2];
        y[0] = y0;
        y[1] = y1;
}

double bg_sym3_form(const double a[BG_SYM_N], const double x[3])
{
        double y[3];

        bg_sym3_times(y, a, x);
        return x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
}

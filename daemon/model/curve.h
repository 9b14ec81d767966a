/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_CURVE_H
#define BURGEON_MODEL_CURVE_H

#include <math.h>

/*
 * Inside the room: the normal curve at the edges of bins, one erfc and one exp an edge.
 *
 * Shares of growth are differences of normal probabilities. Of the two tails at z the smaller one is kept, so that the
 * difference of two edges on the same side of the median subtracts small numbers, never 1 - small.
 */

/* Beyond 38.6 the tail is below the smallest double. Clamping here keeps z * density = 0 finite even for ln 0 = -inf. */
#define CURVE_Z_MAX 40.0
#define CURVE_SQRT1_2 0.70710678118654752440
#define CURVE_INV_SQRT_2PI 0.39894228040143267794

typedef struct CurveEdge {
        double z;       /* (ln t - mu) / sigma, within +-CURVE_Z_MAX */
        double tail;    /* P(Z < z) for z <= 0, P(Z > z) for z > 0 */
        double density; /* normal density at z */
} CurveEdge;

/* Comparisons, not fmin() and fmax(): those are calls, for the sake of NaN. */
static inline CurveEdge curve_edge(double ln_age, double mu, double per_sigma)
{
        CurveEdge e;

        e.z = (ln_age - mu) * per_sigma;
        e.z = e.z < -CURVE_Z_MAX ? -CURVE_Z_MAX : e.z > CURVE_Z_MAX ? CURVE_Z_MAX : e.z;
        e.tail = 0.5 * erfc(fabs(e.z) * CURVE_SQRT1_2);
        e.density = CURVE_INV_SQRT_2PI * exp(-0.5 * e.z * e.z);
        return e;
}

/* P(Z < z) */
static inline double curve_share(const CurveEdge *e)
{
        return e->z > 0 ? 1 - e->tail : e->tail;
}

/*
 * What a bin takes from its two edges: differences, upper minus lower, of P(Z < z), of the density and of z * density.
 *
 * A difference of probabilities loses digits like 1 / width. Below NARROW the integral's Taylor series about the middle of the
 * bin is more accurate (its next term is width^4 / 1920), and for the other two below NARROWER (width^2 / 24).
 */
#define CURVE_NARROW 2e-3
#define CURVE_NARROWER 1e-5

typedef struct CurveBin {
        double share;
        double density;
        double moment;
} CurveBin;

static inline CurveBin curve_bin(const CurveEdge *from, const CurveEdge *to)
{
        double width = to->z - from->z, farther = fabs(from->z) > fabs(to->z) ? fabs(from->z) : fabs(to->z);
        double reach = width * (1 + farther);
        CurveBin b;

        b.density = to->density - from->density;
        b.moment = to->z * to->density - from->z * from->density;
        if (reach < CURVE_NARROW) {
                double z = 0.5 * (from->z + to->z), area = CURVE_INV_SQRT_2PI * exp(-0.5 * z * z) * width;

                b.share = area * (1 + (z * z - 1) * width * width / 24);
                if (reach < CURVE_NARROWER) {
                        b.density = -z * area;
                        b.moment = (1 - z * z) * area;
                }
        } else if (to->z <= 0)
                b.share = to->tail - from->tail;
        else if (from->z > 0)
                b.share = from->tail - to->tail;
        else
                b.share = 1 - from->tail - to->tail;
        if (b.share < 0)
                b.share = 0;
        return b;
}

#endif

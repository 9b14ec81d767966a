/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_FIGURES_FIGURES_H
#define BURGEON_CLIENT_FIGURES_FIGURES_H

#include "client/draw/chart.h"
#include "client/figures/data.h"

/* The figures of Bhandari, Chen, Gao 2025 (arXiv:2502.15987), each into one file. All return 0 or negative errno. */

typedef struct BgFigureSpec {
        size_t top;            /* models in figure 5 */
        double least;          /* children that a model needs to be in figures 1, 2, 4 */
        bool likelihood;       /* how it was fitted; else least squares */
        const char *fitted_by; /* "least squares, m = 1, t in years": for the captions */
        const char *counted;   /* "fine-tunes" */
} BgFigureSpec;

int bg_figure_monthly(const BgFigureData *data, const BgFigureSpec *spec, const char *path);    /* 1 */
int bg_figure_parameters(const BgFigureData *data, const BgFigureSpec *spec, const char *path); /* 2 */
int bg_figure_density(const BgFigureData *data, const BgFigureSpec *spec, const char *path);    /* 3 */
int bg_figure_cumulative(const BgFigureData *data, const BgFigureSpec *spec, const char *path); /* 4 */
int bg_figure_fitted(const BgFigureData *data, const BgFigureSpec *spec, const char *path);     /* 5 */

/** Title and, below it, what is shown; at the top of a canvas. Return: where the rest may begin. */
double bg_figure_head(BgCanvas *canvas, const char *title, const char *caption);

#endif

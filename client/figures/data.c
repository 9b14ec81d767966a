/* SPDX-License-Identifier: MIT */
#include "client/figures/data.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/feed/csv.h"
#include "client/feed/input.h"

#define MONTH_US (BG_FIGURE_MONTH_DAYS * 86400e6)
#define SNAP_US (4 * 86400e6) /* calendar months end up to three days off: the tally that ends there is the month's */
#define FIELDS_MAX 32
#define LAMBDA_MAX 1e8 /* beyond, lambda and mu run away together: the data only bound e^(lambda F(t)) */

/* Names to numbers, and children that are known: open addressing on 64 bits of FNV-1a. The files are the user's own. */
struct BgFigureIndex {
        uint64_t *hashes; /* 0 = free */
        uint32_t *values;
        size_t n;
        size_t cap;
        struct BgFigureIndex *children; /* of the index of models */
};

static uint64_t hash_text(uint64_t hash, BgStr text)
{
        for (size_t i = 0; i < text.len; i++)
                hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static void index_free(struct BgFigureIndex *index)
{
        if (!index)
                return;
        index_free(index->children);
        free(index->hashes);
        free(index->values);
        free(index);
}

static void index_place(struct BgFigureIndex *index, uint64_t hash, uint32_t value)
{
        size_t i = hash & (index->cap - 1);

        while (index->hashes[i])
                i = (i + 1) & (index->cap - 1);
        index->hashes[i] = hash;
        index->values[i] = value;
}

/* Where the value of a hash is; *knownp tells whether it was there. NULL: no memory. */
static uint32_t *index_at(struct BgFigureIndex *index, uint64_t hash, bool *knownp)
{
        size_t i;

        hash |= hash == 0;
        if (index->n * 4 >= index->cap * 3) {
                struct BgFigureIndex old = *index;

                index->cap = old.cap ? old.cap * 2 : 1024;
                index->hashes = calloc(index->cap, sizeof(*index->hashes));
                index->values = calloc(index->cap, sizeof(*index->values));
                if (!index->hashes || !index->values) {
                        free(index->hashes);
                        free(index->values);
                        *index = old;
                        return NULL;
                }
                for (i = 0; i < old.cap; i++)
                        if (old.hashes[i])
                                index_place(index, old.hashes[i], old.values[i]);
                free(old.hashes);
                free(old.values);
        }
        for (i = hash & (index->cap - 1); index->hashes[i] && index->hashes[i] != hash; i = (i + 1) & (index->cap - 1))
                ;
        *knownp = index->hashes[i] != 0;
        if (!*knownp) {
                index->hashes[i] = hash;
                index->n++;
        }
        return &index->values[i];
}

#define FNV_START UINT64_C(0xcbf29ce484222325)

static int new_model(BgFigureData *data, BgStr name)
{
        BgFigureModel *model;

        if (data->n == data->cap) {
                size_t cap = data->cap ? data->cap * 2 : 256;
                BgFigureModel *models = realloc(data->models, cap * sizeof(*models));

                if (!models)
                        return -ENOMEM;
                data->models = models;
                data->cap = cap;
        }
        model = &data->models[data->n];
        *model = (BgFigureModel){ .name = strndup(name.data, name.len), .org_len = bg_proto_name_org(name).len };
        if (!model->name)
                return -ENOMEM;
        data->n++;
        return 0;
}

/* The model of a name, made when there is none; NULL without memory. */
static BgFigureModel *model_of(BgFigureData *data, BgStr name)
{
        bool known;
        uint32_t *value = index_at(data->index, hash_text(FNV_START, name), &known);

        if (!value || (!known && new_model(data, name)))
                return NULL;
        if (!known)
                *value = (uint32_t)(data->n - 1);
        return &data->models[*value];
}

static int add_point(BgFigureModel *model, BgFigurePoint point)
{
        if (model->n_points == model->cap_points) {
                size_t cap = model->cap_points ? model->cap_points * 2 : 8;
                BgFigurePoint *points = realloc(model->points, cap * sizeof(*points));

                if (!points)
                        return -ENOMEM;
                model->points = points;
                model->cap_points = cap;
        }
        model->points[model->n_points++] = point;
        return 0;
}

static int take(BgFigureData *data, const BgEvent *event, int relation)
{
        BgFigureModel *model;
        bool known;

        switch (event->type) {
        case BG_EVENT_RELEASE:
                model = model_of(data, event->model);
                if (!model)
                        return -ENOMEM;
                model->release = event->at;
                model->stated = true;
                return 0;
        case BG_EVENT_ADD:
        case BG_EVENT_TALLY:
                if ((int)event->relation != relation)
                        return 0;
                model = model_of(data, event->model);
                if (!model)
                        return -ENOMEM;
                if (event->release && !model->stated && (!model->release || event->release < model->release))
                        model->release = event->release;
                if (event->type == BG_EVENT_TALLY)
                        return add_point(model, (BgFigurePoint){ event->to, event->count, event->from });
                if (!index_at(data->index->children, hash_text(hash_text(FNV_START, event->model) * 31, event->child), &known))
                        return -ENOMEM;
                return known ? 0 : add_point(model, (BgFigurePoint){ event->at, 1, 0 });
        case BG_EVENT_REMOVE:
        case BG_EVENT_MOVE:
                data->n_ignored++;
                return 0;
        default:
                return 0;
        }
}

static int by_time(const void *a, const void *b)
{
        const BgFigurePoint *x = a, *y = b;

        return (x->at > y->at) - (x->at < y->at);
}

static int by_count(const void *a, const void *b)
{
        const BgFigureModel *x = a, *y = b;

        if (x->count != y->count)
                return x->count < y->count ? 1 : -1;
        return strcmp(x->name, y->name);
}

double bg_figure_age_months(const BgFigureModel *model, int64_t at)
{
        return (double)(at - model->release) / MONTH_US;
}

double bg_figure_count_at(const BgFigureModel *model, double months, int64_t end)
{
        double at = (double)model->release + months * MONTH_US, sum = 0, last_tally = 0;

        if (at > (double)end + SNAP_US)
                return NAN;
        for (size_t i = 0; i < model->n_points; i++) {
                const BgFigurePoint *point = &model->points[i];

                if (point->from)
                        last_tally = (double)point->at;
                if ((double)point->at <= at + (point->from ? SNAP_US : 0))
                        sum += (double)point->n;
                else if ((double)point->from && (double)point->from < at - SNAP_US)
                        sum += (double)point->n * (at - (double)point->from) / (double)(point->at - point->from);
        }
        /* behind the last tally nothing is known to be zero */
        return last_tally > 0 && at > last_tally + SNAP_US ? NAN : sum;
}

static int finish(BgFigureData *data)
{
        size_t n = 0;

        for (size_t i = 0; i < data->n; i++) {
                BgFigureModel *model = &data->models[i];

                if (model->n_points)
                        qsort(model->points, model->n_points, sizeof(*model->points), by_time);
                if (!model->release && model->n_points)
                        model->release = model->points[0].from ? model->points[0].from : model->points[0].at;
                for (size_t k = 0; k < model->n_points; k++) {
                        model->count += (double)model->points[k].n;
                        if (model->points[k].at > data->end)
                                data->end = model->points[k].at;
                }
        }
        if (data->n)
                qsort(data->models, data->n, sizeof(*data->models), by_count);
        index_free(data->index); /* it told the old places */
        data->index = NULL;
        for (size_t i = 0; i < data->n; i++) {
                BgFigureModel *model = &data->models[i];
                double age = bg_figure_age_months(model, data->end);

                n = model->release && age > 0 ? (size_t)(age + .15) + 1 : 1;
                model->months = malloc(n * sizeof(*model->months));
                if (!model->months)
                        return -ENOMEM;
                for (size_t k = 0; k < n; k++) {
                        model->months[k] = bg_figure_count_at(model, (double)k, data->end);
                        if (!isfinite(model->months[k]))
                                break;
                        model->n_months = k + 1;
                }
        }
        return 0;
}

int bg_figure_data_load(BgFigureData *data, const char *const *paths, size_t n_paths, int relation, BgFeedComplaint *complain, void *arg)
{
        int r = 0;

        *data = (BgFigureData){ .m = 1, .unit_days = 365.25 };
        data->index = calloc(1, sizeof(*data->index));
        if (data->index)
                data->index->children = calloc(1, sizeof(*data->index->children));
        if (!data->index || !data->index->children)
                return -ENOMEM;
        for (size_t i = 0; i < n_paths && !r; i++) {
                BgFeedReader *reader = NULL;
                BgEvent event;

                r = bg_feed_reader_open(&reader, paths[i], complain, arg);
                while (!r && !(r = bg_feed_reader_next(reader, &event)))
                        r = take(data, &event, relation);
                bg_feed_reader_close(reader);
                if (r == BG_FEED_E_END)
                        r = 0;
        }
        return r ? r : finish(data);
}

void bg_figure_data_deinit(BgFigureData *data)
{
        for (size_t i = 0; i < data->n; i++) {
                free(data->models[i].name);
                free(data->models[i].points);
                free(data->models[i].months);
        }
        free(data->models);
        index_free(data->index);
        *data = (BgFigureData){ 0 };
}

/* ---- fits ----------------------------------------------------------------------------------------------------------------- */

enum { COLUMN_MODEL, COLUMN_LAMBDA, COLUMN_MU, COLUMN_SIGMA, COLUMN_STATUS, COLUMN_RELATION, COLUMN_N };

static int find_columns(char *line, size_t len, size_t columns[COLUMN_N])
{
        static const char *const names[COLUMN_N] = { "model", "lambda", "mu", "sigma", "status", "relation" };
        BgStr fields[FIELDS_MAX];
        size_t n = bg_csv_split(line, len, fields, FIELDS_MAX);

        for (int c = 0; c < COLUMN_N; c++) {
                columns[c] = SIZE_MAX;
                for (size_t i = 0; i < n && i < FIELDS_MAX; i++)
                        if (bg_str_equal(fields[i], bg_str(names[c])))
                                columns[c] = i;
        }
        for (int c = 0; c < COLUMN_RELATION; c++)
                if (columns[c] == SIZE_MAX)
                        return BG_FIGURE_E_FITS;
        return 0;
}

static double number(BgStr field)
{
        char text[64];

        if (field.len == 0 || field.len >= sizeof(text))
                return NAN;
        memcpy(text, field.data, field.len);
        text[field.len] = '\0';
        return strtod(text, NULL);
}

struct named {
        const char *name;
        BgFigureModel *model;
};

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void take_fit(struct named *named, size_t n, const BgStr *fields, size_t n_fields, const size_t columns[COLUMN_N], int relation)
{
        char name[BG_NAME_MAX + 1];
        struct named *found;
        BgFigureFit *fit;
        BgStr status;

        for (int c = 0; c < COLUMN_RELATION; c++)
                if (columns[c] >= n_fields)
                        return;
        if (columns[COLUMN_RELATION] < n_fields && !bg_str_equal(fields[columns[COLUMN_RELATION]], bg_str(bg_proto_relation_name(relation))))
                return;
        if (fields[columns[COLUMN_MODEL]].len > BG_NAME_MAX)
                return;
        snprintf(name, sizeof(name), "%.*s", (int)fields[columns[COLUMN_MODEL]].len, fields[columns[COLUMN_MODEL]].data);
        found = bsearch(&(struct named){ .name = name }, named, n, sizeof(*named), by_name);
        if (!found)
                return;
        fit = &found->model->fit;
        status = fields[columns[COLUMN_STATUS]];
        fit->lambda = number(fields[columns[COLUMN_LAMBDA]]);
        fit->mu = number(fields[columns[COLUMN_MU]]);
        fit->sigma = number(fields[columns[COLUMN_SIGMA]]);
        fit->fitted = (bg_str_equal(status, BG_STR("ok")) || bg_str_equal(status, BG_STR("bound"))) && fit->lambda > 0 && isfinite(fit->lambda) &&
                      isfinite(fit->mu) && fit->sigma > 0;
        fit->known = fit->fitted && fit->lambda < LAMBDA_MAX;
        fit->at_zero = fit->known && fabs(fit->mu) < 1e-6 && bg_str_equal(status, BG_STR("bound"));
}

int bg_figure_data_fits(BgFigureData *data, const char *path, int relation, double m, double unit_days)
{
        struct named *named = malloc((data->n ? data->n : 1) * sizeof(*named));
        size_t columns[COLUMN_N], len;
        BgInput *input = NULL;
        char *line;
        int r;

        data->m = m;
        data->unit_days = unit_days;
        r = named ? bg_input_open(&input, path) : -ENOMEM;
        if (!r)
                r = bg_input_line(input, &line, &len);
        if (!r)
                r = find_columns(line, len, columns);
        else if (r > 0)
                r = BG_FIGURE_E_FITS;
        for (size_t i = 0; i < data->n && !r; i++)
                named[i] = (struct named){ data->models[i].name, &data->models[i] };
        if (!r)
                qsort(named, data->n, sizeof(*named), by_name);
        while (!r && !(r = bg_input_line(input, &line, &len))) {
                BgStr fields[FIELDS_MAX];
                size_t n_fields = bg_csv_split(line, len, fields, FIELDS_MAX);

                take_fit(named, data->n, fields, n_fields < FIELDS_MAX ? n_fields : FIELDS_MAX, columns, relation);
        }
        bg_input_close(input);
        free(named);
        return r == BG_INPUT_E_END ? 0 : r > 0 ? BG_FIGURE_E_FITS : r;
}

/** lambda F(t) */
static double exposure(const BgFigureData *data, const BgFigureFit *fit, double months)
{
        if (!(months > 0))
                return 0;
        return fit->lambda * erfc(-(log(months * BG_FIGURE_MONTH_DAYS / data->unit_days) - fit->mu) / fit->sigma * M_SQRT1_2) / 2;
}

double bg_figure_curve(const BgFigureData *data, const BgFigureFit *fit, double months)
{
        return fit->fitted && months >= 0 ? data->m * expm1(fmin(exposure(data, fit, months), 60)) : NAN;
}

double bg_figure_curve_through(const BgFigureData *data, const BgFigureFit *fit, double months, double through_months, double n)
{
        if (!fit->fitted || !(months >= 0))
                return NAN;
        return (n + data->m) * exp(fmin(exposure(data, fit, months) - exposure(data, fit, through_months), 60)) - data->m;
}

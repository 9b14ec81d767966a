/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/test_real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 1024, FIELDS_MAX = 8 };

static double seconds_of(const char *iso)
{
        struct tm tm = {};

        return strptime(iso, "%Y-%m-%dT%H:%M:%SZ", &tm) ? (double)timegm(&tm) : -1;
}

/* These files hold no quotes. */
static size_t split(char *line, char *fields[FIELDS_MAX])
{
        size_t n = 0;

        line[strcspn(line, "\r\n")] = '\0';
        while (n < FIELDS_MAX) {
                fields[n++] = line;
                line = strchr(line, ',');
                if (!line)
                        break;
                *line++ = '\0';
        }
        return n;
}

static FILE *open_csv(const char *folder, const char *name)
{
        char path[2048], line[LINE_MAX_BYTES];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        f = fopen(path, "re");
        if (f && !fgets(line, sizeof(line), f)) { /* the header */
                fclose(f);
                f = NULL;
        }
        return f;
}

/* All files name the models in the same order: one cursor serves. */
static TestReal *seek(TestReal *models, size_t n, size_t *cursorp, const char *name)
{
        for (size_t i = 0; i < n; i++) {
                TestReal *model = models + (*cursorp + i) % n;

                if (strcmp(model->name, name) == 0) {
                        *cursorp = (size_t)(model - models);
                        return model;
                }
        }
        return NULL;
}

size_t test_real_load(TestReal **modelsp, char *where, size_t n_where)
{
        const char *root = getenv("BURGEON_DATA");
        char line[LINE_MAX_BYTES], *fields[FIELDS_MAX];
        size_t n = 0, room = 0, cursor = 0;
        TestReal *models = NULL, *model;
        double *released = NULL;
        FILE *f;

        *modelsp = NULL;
        if (root)
                snprintf(where, n_where, "%s/hf-monthly", root);
        else
                snprintf(where, n_where, "%s/../shared/data/hf-monthly", BG_SOURCE_ROOT);
        f = open_csv(where, "releases.csv");
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f)) {
                if (split(line, fields) < 3)
                        continue;
                if (n == room) {
                        room = room ? 2 * room : 1024;
                        models = realloc(models, room * sizeof(*models));
                        released = realloc(released, room * sizeof(*released));
                        if (!models || !released)
                                abort();
                }
                memset(models + n, 0, sizeof(*models));
                snprintf(models[n].name, sizeof(models[n].name), "%s", fields[0]);
                released[n++] = seconds_of(fields[2]);
        }
        fclose(f);
        f = open_csv(where, "tallies.csv");
        while (f && fgets(line, sizeof(line), f)) {
                if (split(line, fields) < 4 || !(model = seek(models, n, &cursor, fields[0])) ||
                    model->n_bins == TEST_REAL_BINS_MAX)
                        continue;
                model->edges_days[model->n_bins + 1] = (seconds_of(fields[2]) - released[model - models]) / 86400;
                model->counts[model->n_bins] = strtod(fields[3], NULL);
                model->total += model->counts[model->n_bins++];
        }
        if (f)
                fclose(f);
        f = open_csv(where, "paper-fits.csv");
        while (f && fgets(line, sizeof(line), f)) {
                if (split(line, fields) < 4 || !(model = seek(models, n, &cursor, fields[0])) || !*fields[1])
                        continue;
                model->published = true;
                model->lambda = strtod(fields[1], NULL);
                model->mu = strtod(fields[2], NULL);
                model->sigma = strtod(fields[3], NULL);
        }
        if (f)
                fclose(f);
        free(released);
        *modelsp = models;
        return n;
}

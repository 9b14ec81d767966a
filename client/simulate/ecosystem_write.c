/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/simulate/ecosystem.h"
#include "client/simulate/names.h"

#define WRITER_BYTES (1 << 20)
#define TIME_BYTES 20 /* 2025-02-01T00:00:00Z */

typedef struct Writer {
        int fd;
        int error; /* the first one; later writes do nothing */
        size_t n;
        char *bytes;
} Writer;

static void writer_flush(Writer *writer)
{
        size_t done = 0;

        while (!writer->error && done < writer->n) {
                ssize_t n = write(writer->fd, writer->bytes + done, writer->n - done);

                if (n >= 0)
                        done += (size_t)n;
                else if (errno != EINTR)
                        writer->error = -errno;
        }
        writer->n = 0;
}

static char *writer_room(Writer *writer, size_t n)
{
        if (writer->n + n > WRITER_BYTES)
                writer_flush(writer);
        return writer->bytes + writer->n;
}

static int writer_open(Writer *writer, const char *directory, const char *name)
{
        char path[4096];

        *writer = (Writer){ .fd = -1 };
        if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        writer->bytes = malloc(WRITER_BYTES);
        if (!writer->bytes)
                return -ENOMEM;
        writer->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        return writer->fd < 0 ? -errno : 0;
}

static int writer_close(Writer *writer)
{
        if (writer->fd >= 0) {
                writer_flush(writer);
                if (close(writer->fd) < 0 && !writer->error)
                        writer->error = -errno;
        }
        free(writer->bytes);
        return writer->error;
}

static void writer_append(Writer *writer, const char *bytes, size_t n)
{
        memcpy(writer_room(writer, n), bytes, n);
        writer->n += n;
}

static void put2(char *text, unsigned value)
{
        text[0] = (char)('0' + value / 10 % 10);
        text[1] = (char)('0' + value % 10);
}

/* Civil date from days since 1970 (proleptic Gregorian calendar, years of 365.2425 days starting in March). */
static void format_day(char *text, int64_t day)
{
        int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
        unsigned doe = (unsigned)(z - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;
        unsigned year = (unsigned)(era * 400) + yoe + (month <= 2);

        put2(text, year / 100);
        put2(text + 2, year % 100);
        text[4] = '-';
        put2(text + 5, month);
        text[7] = '-';
        put2(text + 8, doy - (153 * mp + 2) / 5 + 1);
}

static void format_time(char text[TIME_BYTES], int64_t seconds)
{
        int64_t day = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
        unsigned rest = (unsigned)(seconds - day * 86400);

        format_day(text, day);
        text[10] = 'T';
        put2(text + 11, rest / 3600);
        text[13] = ':';
        put2(text + 14, rest / 60 % 60);
        text[16] = ':';
        put2(text + 17, rest % 60);
        text[19] = 'Z';
}

static int write_events(Writer *writer, const BgSimulatedEcosystem *eco, const BgEcosystemSpec *spec, BgEcosystemProgress *progress,
                        void *data)
{
        static const char header[] = "model,child,created_at\n";
        char name[BG_NAMES_MAX];

        writer_append(writer, header, sizeof(header) - 1);
        for (size_t i = 0; i < eco->n_events && !writer->error; i++) {
                const BgEcosystemEvent *event = &eco->events[i];
                const BgEcosystemModel *model = &eco->models[event->model];
                char *line = writer_room(writer, 512);
                size_t n = bg_names_model(name, model->org, model->number);

                memcpy(line, name, n);
                line[n++] = ',';
                n += bg_names_child(line + n, 300, strchr(name, '/') + 1, event->author, event->child);
                line[n++] = ',';
                format_time(line + n, spec->start_s + event->at);
                n += TIME_BYTES;
                line[n++] = '\n';
                writer->n += n;
                if (progress && i % 65536 == 65535 && progress(data, eco->n_models, i + 1))
                        return -ECANCELED;
        }
        return 0;
}

static void write_releases(Writer *writer, const BgSimulatedEcosystem *eco, const BgEcosystemSpec *spec)
{
        static const char header[] = "model,org,released_at\n";
        char name[BG_NAMES_MAX], org[BG_NAMES_MAX], time[TIME_BYTES];

        writer_append(writer, header, sizeof(header) - 1);
        for (size_t i = 0; i < eco->n_models; i++) {
                const BgEcosystemModel *model = &eco->models[i];

                bg_names_model(name, model->org, model->number);
                bg_names_org(org, model->org);
                format_time(time, spec->start_s + model->release);
                writer->n += (size_t)snprintf(writer_room(writer, 512), 512, "%s,%s,%.*s\n", name, org, TIME_BYTES, time);
        }
}

static void write_truth(Writer *writer, const BgSimulatedEcosystem *eco, const BgEcosystemSpec *spec)
{
        static const char header[] = "model,kind,onset,end,factor,rate,info\n";
        static const char *const kinds[] = { "surge", "author_burst", "team_burst", "outage" };
        char name[BG_NAMES_MAX], onset[TIME_BYTES], end[TIME_BYTES];

        writer_append(writer, header, sizeof(header) - 1);
        for (size_t i = 0; i < eco->n_incidents; i++) {
                const BgIncident *incident = &eco->incidents[i];

                name[0] = '\0';
                if (incident->model != UINT32_MAX)
                        bg_names_model(name, eco->models[incident->model].org, eco->models[incident->model].number);
                format_time(onset, spec->start_s + incident->onset);
                format_time(end, spec->start_s + incident->end);
                writer->n += (size_t)snprintf(writer_room(writer, 512), 512, "%s,%s,%.*s,%.*s,%.4g,%.6g,%.6g\n", name,
                                              kinds[incident->kind], TIME_BYTES, onset, TIME_BYTES, end, incident->factor,
                                              incident->rate, incident->info_nats);
        }
}

static void write_params(Writer *writer, const BgSimulatedEcosystem *eco)
{
        static const char header[] = "model,lambda,mu,sigma,m,count\n";
        char name[BG_NAMES_MAX];

        writer_append(writer, header, sizeof(header) - 1);
        for (size_t i = 0; i < eco->n_models; i++) {
                const BgEcosystemModel *model = &eco->models[i];

                bg_names_model(name, model->org, model->number);
                writer->n += (size_t)snprintf(writer_room(writer, 512), 512, "%s,%.17g,%.17g,%.17g,%g,%u\n", name, model->lambda,
                                              model->mu, model->sigma, model->m, model->n_children);
        }
}

int bg_ecosystem_write(const BgSimulatedEcosystem *ecosystem, const BgEcosystemSpec *spec, const char *directory, const char **failedp,
                       BgEcosystemProgress *progress, void *data)
{
        static const char *const files[] = { "releases.csv", "params.csv", "truth.csv", "events.csv" };
        int r = 0, closed;

        for (size_t i = 0; !r && i < 4; i++) {
                Writer writer;

                *failedp = files[i];
                r = writer_open(&writer, directory, files[i]);
                if (!r) {
                        switch (i) {
                        case 0:
                                write_releases(&writer, ecosystem, spec);
                                break;
                        case 1:
                                write_params(&writer, ecosystem);
                                break;
                        case 2:
                                write_truth(&writer, ecosystem, spec);
                                break;
                        default:
                                r = write_events(&writer, ecosystem, spec, progress, data);
                        }
                }
                closed = writer_close(&writer);
                if (!r)
                        r = closed;
        }
        return r;
}

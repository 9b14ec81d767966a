/* SPDX-License-Identifier: MIT */
/* The figures of the paper. The fits are the daemon's business: it is run on the same files, and its table is read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/command/command.h"
#include "client/figures/figures.h"

extern char **environ;

enum { FILES_MAX = 1000, COMPLAINTS_MAX = 20 };

typedef struct Figures {
        const BgContext *context;
        const char *out_dir;
        const char *estimator;
        const char *relation_name;
        const char *daemon;
        int relation;
        bool png;
        int64_t top;
        double least;
        size_t n_complaints;
} Figures;

static void complain(void *data, const char *path, int64_t line, const char *what)
{
        Figures *figures = data;

        if (figures->n_complaints++ < COMPLAINTS_MAX)
                bg_warning(figures->context, "%s:%lld: %s", path, (long long)line, what);
}

/* ---- fits ----------------------------------------------------------------------------------------------------------------- */

/* Beside this program (installed), in the daemon's place (a build tree), else by its name alone: PATH. */
static const char *find_daemon(const Figures *figures, char path[PATH_MAX])
{
        static const char *const places[] = { "burgeond", "../daemon/burgeond" };
        char own[PATH_MAX];
        ssize_t n;

        if (figures->daemon)
                return figures->daemon;
        n = readlink("/proc/self/exe", own, sizeof(own) - 1);
        if (n > 0) {
                own[n] = '\0';
                *strrchr(own, '/') = '\0';
                for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
                        if (snprintf(path, PATH_MAX, "%s/%s", own, places[i]) < PATH_MAX && !access(path, X_OK))
                                return path;
        }
        return "burgeond";
}

/* Return: BG_OPTIONS_RUN, or the status to exit with. */
static int run_daemon(const Figures *figures, char **files, int n_files, const char *fits_path)
{
        bool paper = !strcmp(figures->estimator, "least-squares");
        const char *argv[FILES_MAX + 16];
        char path[PATH_MAX];
        int n = 0, status, r;
        pid_t pid;

        argv[n++] = find_daemon(figures, path);
        argv[n++] = "--replay";
        for (int i = 0; i < n_files; i++)
                argv[n++] = files[i];
        argv[n++] = "--fits";
        argv[n++] = fits_path;
        argv[n++] = "--relation";
        argv[n++] = figures->relation_name;
        argv[n++] = "--quiet";
        argv[n++] = "--estimator";
        argv[n++] = figures->estimator;
        if (paper) {
                argv[n++] = "--m";
                argv[n++] = "1";
                argv[n++] = "--time-unit";
                argv[n++] = "year";
        }
        argv[n] = NULL;
        r = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
        if (r) {
                bg_error(figures->context, "%s: %s; the fits are made by burgeond: install it, or name it with --burgeond", argv[0], strerror(r));
                return EX_UNAVAILABLE;
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return EX_OSERR;
        if (bg_interrupted())
                return BG_EXIT_INTERRUPTED;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return BG_OPTIONS_RUN;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                bg_error(figures->context, "%s could not be run; name it with --burgeond", argv[0]);
        else
                bg_error(figures->context, "%s could not fit these files", argv[0]);
        return WIFEXITED(status) && WEXITSTATUS(status) >= EX__BASE && WEXITSTATUS(status) <= EX__MAX ? WEXITSTATUS(status) : EX_SOFTWARE;
}

static int fit(const Figures *figures, BgFigureData *data, char **files, int n_files)
{
        bool paper = !strcmp(figures->estimator, "least-squares");
        const char *tmp = getenv("TMPDIR");
        char path[PATH_MAX];
        int fd, r;

        if (snprintf(path, sizeof(path), "%s/burgeon-fits-XXXXXX", tmp && tmp[0] ? tmp : "/tmp") >= (int)sizeof(path))
                return EX_CANTCREAT;
        fd = mkstemp(path);
        if (fd < 0) {
                bg_error(figures->context, "%s: %s", path, strerror(errno));
                return EX_CANTCREAT;
        }
        close(fd);
        r = run_daemon(figures, files, n_files, path);
        if (r == BG_OPTIONS_RUN) {
                int error = bg_figure_data_fits(data, path, figures->relation, paper ? 1 : 3, paper ? 365.25 : 1);

                if (error) {
                        bg_error(figures->context, "the fits cannot be read: %s", error > 0 ? "not the table that was expected" : strerror(-error));
                        r = EX_DATAERR;
                }
        }
        unlink(path);
        return r;
}

/* ---- drawing -------------------------------------------------------------------------------------------------------------- */

static int draw_all(const Figures *figures, const BgFigureData *data)
{
        static int (*const drawers[])(const BgFigureData *, const BgFigureSpec *, const char *) = {
                bg_figure_monthly, bg_figure_parameters, bg_figure_density, bg_figure_cumulative, bg_figure_fitted,
        };
        static const char *const counted[BG_RELATION_N] = {
                [BG_RELATION_FINETUNE] = "fine-tunes",  [BG_RELATION_ADAPTER] = "adapters", [BG_RELATION_QUANTIZED] = "quantizations",
                [BG_RELATION_MERGE] = "merges", [BG_RELATION_DOWNLOAD] = "downloads",
        };
        const BgFigureSpec spec = {
                .top = (size_t)figures->top,
                .least = figures->least,
                .likelihood = strcmp(figures->estimator, "least-squares") != 0,
                .fitted_by = strcmp(figures->estimator, "least-squares") ? "maximum a posteriori, m = 3" : "least squares, m = 1, t in years",
                .counted = counted[figures->relation],
        };

        /* cairo numbers what it writes through a whole run: the SVGs first, so that they are the same with and without PNGs */
        for (int png = 0; png <= figures->png; png++)
                for (size_t i = 0; i < sizeof(drawers) / sizeof(drawers[0]); i++) {
                        char path[PATH_MAX];
                        int r;

                        if (bg_interrupted())
                                return BG_EXIT_INTERRUPTED;
                        if (snprintf(path, sizeof(path), "%s/figure-%zu.%s", figures->out_dir, i + 1, png ? "png" : "svg") >= (int)sizeof(path))
                                return EX_CANTCREAT;
                        r = drawers[i](data, &spec, path);
                        if (r) {
                                bg_error(figures->context, "%s: %s", path, strerror(-r));
                                return r == -ENOMEM ? EX_OSERR : EX_CANTCREAT;
                        }
                        if (figures->context->json)
                                printf("{\"figure\":%zu,\"path\":\"%s\"}\n", i + 1, path);
                        else
                                puts(path);
                }
        return EX_OK;
}

static int run(Figures *figures, char **files, int n_files)
{
        BgFigureData data = { 0 };
        int r;

        for (int i = 0; i < n_files; i++)
                if (access(files[i], R_OK)) {
                        bg_error(figures->context, "%s: %s", files[i], strerror(errno));
                        return EX_NOINPUT;
                }
        r = bg_figure_data_load(&data, (const char *const *)files, (size_t)n_files, figures->relation, complain, figures);

        if (r) {
                if (r < 0)
                        bg_error(figures->context, "the files cannot be read: %s", strerror(-r));
                bg_figure_data_deinit(&data);
                return r == -ENOENT || r > 0 ? EX_NOINPUT : EX_OSERR;
        }
        if (!data.n || !data.models[0].count) {
                bg_error(figures->context, "there is no %s in these files", figures->relation_name);
                r = EX_DATAERR;
        } else if (mkdir(figures->out_dir, 0777) && errno != EEXIST) {
                bg_error(figures->context, "%s: %s", figures->out_dir, strerror(errno));
                r = EX_CANTCREAT;
        } else {
                if (data.n_ignored)
                        bg_note(figures->context, "%zu removals and moves are not followed in figures", data.n_ignored);
                r = fit(figures, &data, files, n_files);
                if (r == BG_OPTIONS_RUN)
                        r = draw_all(figures, &data);
        }
        bg_figure_data_deinit(&data);
        return r;
}

int bg_command_figures(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        Figures figures = { .context = context, .estimator = "least-squares", .relation_name = "finetune", .top = 30, .least = 10 };
        const BgOption options[] = {
                { "out", 'o', BG_OPTION_TEXT, "DIR", &figures.out_dir, 0, 0, "where they go; made when missing (required)" },
                { "png", 0, BG_OPTION_FLAG, NULL, &figures.png, 0, 0, "PNG too, not only SVG" },
                { "top", 0, BG_OPTION_INTEGER, "N", &figures.top, 1, 500, "models in figure 5" },
                { "least", 0, BG_OPTION_NUMBER, "N", &figures.least, 1, 1e9, "children that a model needs for figures 1, 2, 4" },
                { "relation", 'r', BG_OPTION_TEXT, "WORD", &figures.relation_name, 0, 0, "finetune, adapter, quantized, merge or download" },
                { "estimator", 0, BG_OPTION_TEXT, "WORD", &figures.estimator, 0, 0, "least-squares or likelihood" },
                { "burgeond", 0, BG_OPTION_TEXT, "PATH", &figures.daemon, 0, 0, "the daemon's program" },
                { NULL, 0, 0, NULL, NULL, 0, 0, NULL },
        };
        char **operands;
        int n_operands, r = bg_options_parse(context, command, options, argc, argv, &operands, &n_operands);

        if (r != BG_OPTIONS_RUN)
                return r;
        if (!n_operands)
                return bg_usage(context, command, "which files?");
        if (n_operands > FILES_MAX)
                return bg_usage(context, command, "more than %d files", FILES_MAX);
        for (int i = 0; i < n_operands; i++)
                if (!strcmp(operands[i], "-"))
                        return bg_usage(context, command, "the files are read twice: standard input will not do");
        if (!figures.out_dir)
                return bg_usage(context, command, "where to? name a directory with --out");
        if (bg_proto_relation_find(&figures.relation, bg_str(figures.relation_name)))
                return bg_usage(context, command, "--relation: expected finetune, adapter, quantized, merge or download, got '%s'",
                                figures.relation_name);
        if (strcmp(figures.estimator, "least-squares") && strcmp(figures.estimator, "likelihood"))
                return bg_usage(context, command, "--estimator: expected least-squares or likelihood, got '%s'", figures.estimator);
        return run(&figures, operands, n_operands);
}

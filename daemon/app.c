/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/app.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/io/aggregator.h"
#include "daemon/io/commit.h"
#include "daemon/io/ingest.h"
#include "daemon/io/notify.h"
#include "daemon/io/publish.h"
#include "daemon/io/query.h"
#include "daemon/io/refit.h"
#include "daemon/util/clock.h"

enum {
        ANSWERS_QUEUE = 10000, /* acknowledgements or replies waiting for one peer; beyond they are lost, and counted */
        BATCHES_QUEUE = 64,    /* batches of one feed waiting to be read: then TCP holds it back */
        REQUESTS_QUEUE = 1000,
        FILES_WANTED = 65536,  /* every connection is a file; the usual soft limit of 1024 is for select() */
};

typedef struct App {
        BgConfig config;
        const BgConfigSource *source;
        BgCoreSpec core_spec; /* in force */
        BgHealth health;
        uv_loop_t loop;
        void *zmq;
        BgStore *store;
        BgCore *core;
        BgCommit commit;
        BgRefit refit;
        BgAggregator aggregator;
        BgPublish publish;
        BgQueryDoor query;
        BgIngest ingest;
        uv_signal_t on_term;
        uv_signal_t on_int;
        uv_signal_t on_hup;
        uv_timer_t checkpoint;
        uv_timer_t watchdog;
        int64_t watchdog_us;
        unsigned n_handles;
        BgCommitWaiter last_commit;
        int64_t started_at;
        bool stopping;
        int exit_code;
} App;

BgCoreSpec bg_app_core_spec(const BgConfig *config)
{
        BgCoreSpec spec = bg_core_spec_default();

        spec.fit = bg_fit_spec_default((BgEstimator)config->estimator);
        if (config->m > 0)
                spec.fit.m = config->m;
        else if (config->estimator == BG_ESTIMATOR_LEAST_SQUARES)
                spec.fit.m = 1; /* as the paper has it */
        if (config->dispersion > 0) {
                spec.fit.dispersion_base = config->dispersion;
                spec.fit.dispersion_slope = 0;
        }
        spec.forecaster = config->estimator == BG_ESTIMATOR_LEAST_SQUARES ? BG_FORECASTER_PROCESS : (BgForecaster)config->forecaster;
        spec.publish_bursts = config->bursts;
        spec.fit.unit_days = bg_config_unit_days(config);
        memcpy(spec.horizons, config->horizons, sizeof(spec.horizons));
        spec.n_horizons = config->n_horizons;
        spec.refresh_us = config->refresh_us;
        spec.stale_after_us = config->stale_after_us;
        spec.material = config->material;
        spec.settle_us = config->settle_us;
        spec.archive_us = config->archive_us;
        spec.audit_every = (unsigned)config->audit_every;
        spec.surge_threshold = config->surge_threshold;
        spec.models_max = (uint32_t)config->models_max;
        return spec;
}

/* ---- where the state is ---------------------------------------------------------------------------------------------------- */

static int make_directories(char *path)
{
        for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                int r;

                *slash = 0;
                r = mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
                *slash = '/';
                if (r)
                        return r;
        }
        return 0;
}

/* Return: 0 (path "" = memory only), or EX_*. */
static int state_path(const BgConfig *config, char *path, size_t size)
{
        const char *directory = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        int r = 0;

        path[0] = 0;
        if (!strcmp(config->state, "none"))
                return 0;
        if (strcmp(config->state, "auto")) {
                snprintf(path, size, "%s", config->state);
                return 0;
        }
        if (directory && *directory) /* several are separated by colons: ours is the first */
                snprintf(path, size, "%.*s/burgeon.db", (int)strcspn(directory, ":"), directory);
        else if (xdg && *xdg == '/')
                snprintf(path, size, "%s/burgeon/burgeon.db", xdg);
        else if (home && *home == '/')
                snprintf(path, size, "%s/.local/state/burgeon/burgeon.db", home);
        else
                r = -ENOENT;
        if (!r)
                r = make_directories(path);
        if (r) {
                bg_log(BG_LOG_ERROR, "state.no_directory", "no place to keep the state; name one with --state FILE (or --state none)",
                       bg_kv("path", path), bg_kv("error", strerror(-r)));
                return EX_CANTCREAT;
        }
        return 0;
}

/* ---- the end --------------------------------------------------------------------------------------------------------------- */

static void out_of_time(int number)
{
        static const char text[] = "burgeond: stopping took longer than shutdown_deadline: leaving now; what was acknowledged is safe\n";

        (void)number;
        if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
                _exit(EX_SOFTWARE);
        _exit(EX_SOFTWARE);
}

/* A signal, not a timer of the loop: it also ends a loop that hangs. */
static void start_deadline(const App *app)
{
        struct sigaction action = { .sa_handler = out_of_time };
        struct itimerval timer = { .it_value = { .tv_sec = app->config.shutdown_deadline_us / 1000000,
                                                 .tv_usec = app->config.shutdown_deadline_us % 1000000 } };

        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &timer, NULL);
}

static void count_handle(uv_handle_t *handle)
{
        App *app = handle->data;

        app->n_handles--;
}

static void commit_closed(void *data)
{
        App *app = data;
        int r = bg_store_close(app->store);

        app->store = NULL;
        if (r) {
                bg_log(BG_LOG_ERROR, "store.close_failed", "not everything could be stored; feeds will send the rest again",
                       bg_kv("error", strerror(-r)));
                app->exit_code = app->exit_code ? app->exit_code : EX_IOERR;
        }
        bg_core_free(app->core);
        app->core = NULL;
        uv_close((uv_handle_t *)&app->on_term, count_handle);
        uv_close((uv_handle_t *)&app->on_int, count_handle);
        uv_close((uv_handle_t *)&app->on_hup, count_handle);
        uv_close((uv_handle_t *)&app->checkpoint, count_handle);
        uv_close((uv_handle_t *)&app->watchdog, count_handle);
}

static void refit_closed(void *data) { bg_commit_close(&((App *)data)->commit, commit_closed, data); }
static void publish_closed(void *data) { bg_refit_close(&((App *)data)->refit, refit_closed, data); }
static void aggregator_closed(void *data) { bg_publish_close(&((App *)data)->publish, publish_closed, data); }
static void query_closed(void *data) { bg_aggregator_close(&((App *)data)->aggregator, aggregator_closed, data); }
static void ingest_closed(void *data) { bg_query_close(&((App *)data)->query, query_closed, data); }

/* Everything taken is durable and acknowledged, or has failed for good: take the house down, last room first. */
static void begin_closing(App *app)
{
        bg_publish_heartbeat(&app->publish);
        bg_ingest_close(&app->ingest, ingest_closed, app);
}

static void on_last_commit(BgCommitWaiter *waiter, int result)
{
        App *app = (App *)((char *)waiter - offsetof(App, last_commit));

        (void)result;
        begin_closing(app);
}

static int save_state(App *app)
{
        int r;

        if (app->commit.failed)
                return app->commit.failed;
        r = bg_core_checkpoint(app->core);
        if (r)
                bg_log(BG_LOG_ERROR, "state.checkpoint_failed", "fits and forecasts could not be saved", bg_kv("error", strerror(-r)));
        else
                app->health.checkpoints++;
        return r;
}

static void stop(App *app, int exit_code)
{
        if (app->stopping)
                return;
        app->stopping = true;
        app->exit_code = exit_code;
        start_deadline(app);
        bg_notify("STOPPING=1");
        bg_health_set(&app->health, BG_PROBLEM_STOPPING, "stopping");
        bg_ingest_stop(&app->ingest);
        bg_query_stop(&app->query);
        bg_refit_stop(&app->refit);
        bg_aggregator_stop(&app->aggregator);
        if (app->core)
                save_state(app);
        app->last_commit.done = on_last_commit;
        if (!app->commit.n_handles || bg_commit_wait(&app->commit, &app->last_commit))
                begin_closing(app);
        else
                bg_commit_flush(&app->commit);
}

static void on_fatal(void *data, int error)
{
        bg_log(BG_LOG_ERROR, "app.fatal", "cannot go on", bg_kv("error", strerror(-error)));
        stop(data, EX_OSERR);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
        App *app = handle->data;

        if (app->stopping)
                _exit(EX_SOFTWARE); /* asked twice */
        bg_log(BG_LOG_NOTICE, "app.stopping", "stopping", bg_kv("signal", strsignal(number)));
        stop(app, EX_OK);
}

/* ---- reload ---------------------------------------------------------------------------------------------------------------- */

static void start_checkpoints(App *app);

static void configure(App *app, const BgConfig *config)
{
        BgCoreSpec spec = bg_app_core_spec(config);

        /* what bg_core_configure() takes over; the rest stays as it was at the start */
        memcpy(app->core_spec.horizons, spec.horizons, sizeof(spec.horizons));
        app->core_spec.n_horizons = spec.n_horizons;
        app->core_spec.refresh_us = spec.refresh_us;
        app->core_spec.material = spec.material;
        app->core_spec.settle_us = spec.settle_us;
        app->core_spec.archive_us = spec.archive_us;
        app->core_spec.stale_after_us = spec.stale_after_us;
        app->core_spec.audit_every = spec.audit_every;
        app->core_spec.surge_threshold = spec.surge_threshold;
        app->core_spec.publish_bursts = spec.publish_bursts;
        bg_core_configure(app->core, &app->core_spec);
        bg_refit_configure(&app->refit, &(BgRefitSpec){ .coalesce_us = config->coalesce_us, .series_per_job = (size_t)config->series_per_job });
        bg_log_set_level(bg_config_log_level(config));
}

static void log_lines(const char *id, const char *text, const char *lines)
{
        while (*lines) {
                size_t n = strcspn(lines, "\n");

                bg_log(BG_LOG_ERROR, id, text, bg_kv_len("problem", lines, n));
                lines += n + (lines[n] == '\n');
        }
}

static int on_reload_asked(void *data, char *why, size_t why_size)
{
        App *app = data;
        BgBuffer problems = { 0 }, restart = { 0 };
        BgConfig config;
        int r = bg_config_load(&config, app->source, &problems);

        if (r) {
                snprintf(why, why_size, "%.*s", (int)strcspn(problems.len ? problems.data : "out of memory", "\n"),
                         problems.len ? problems.data : "out of memory");
                log_lines("config.refused", "the old configuration stays in force", problems.len ? problems.data : "");
                app->health.reloads_failed++;
                bg_health_set(&app->health, BG_PROBLEM_CONFIG, "the configuration file has mistakes");
                bg_config_deinit(&config);
        } else {
                bg_config_differences(&app->config, &config, &restart);
                if (restart.len)
                        bg_log(BG_LOG_WARNING, "config.restart_needed", "some changes count after a restart only",
                               bg_kv_len("keys", restart.data, restart.len));
                configure(app, &config);
                bg_config_deinit(&app->config);
                app->config = config;
                start_checkpoints(app);
                app->health.reloads++;
                bg_health_set(&app->health, BG_PROBLEM_CONFIG, NULL);
                bg_log(BG_LOG_NOTICE, "config.reloaded", "the configuration was read again", bg_kv("path", config.path ? config.path : "-"));
        }
        bg_buffer_deinit(&problems);
        bg_buffer_deinit(&restart);
        return r != 0;
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
        App *app = handle->data;
        char why[200];

        (void)number;
        if (app->stopping)
                return;
        bg_notify_reloading();
        on_reload_asked(app, why, sizeof(why));
        bg_notify("READY=1");
}

/* ---- timers ---------------------------------------------------------------------------------------------------------------- */

static int on_checkpoint_asked(void *data) { return save_state(data); }

static void on_checkpoint(uv_timer_t *timer)
{
        App *app = timer->data;

        if (!app->stopping)
                save_state(app); /* the commit takes it along with the next group */
}

static void start_checkpoints(App *app)
{
        uint64_t every_ms = (uint64_t)(app->config.checkpoint_us / 1000);

        uv_timer_start(&app->checkpoint, on_checkpoint, every_ms, every_ms);
}

static bool is_older(int64_t since_us, int64_t limit_us) { return since_us && bg_clock_steady_us() - since_us > limit_us; }

/* That this timer fires shows that the loop turns; that the two threads finish what they were given is asked here. */
static void on_watchdog(uv_timer_t *timer)
{
        App *app = timer->data;

        if (is_older(bg_commit_oldest_us(&app->commit), app->watchdog_us) || is_older(bg_refit_waiting_since_us(&app->refit), app->watchdog_us))
                bg_log(BG_LOG_ERROR, "app.stuck", "the store or the workers make no progress; the watchdog is not fed");
        else
                bg_notify("WATCHDOG=1");
}

static void start_watchdog(App *app)
{
        app->watchdog_us = bg_notify_watchdog_us();
        if (app->watchdog_us)
                uv_timer_start(&app->watchdog, on_watchdog, 0, (uint64_t)(app->watchdog_us / 3000) + 1);
}

/* ---- opening --------------------------------------------------------------------------------------------------------------- */

static void on_pressure(void *data, bool on)
{
        App *app = data;

        bg_ingest_pause(&app->ingest, on);
        bg_health_set(&app->health, BG_PROBLEM_BACKLOG, on ? "the store does not keep up: feeds are held back" : NULL);
        bg_log(on ? BG_LOG_NOTICE : BG_LOG_INFO, on ? "store.behind" : "store.caught_up",
               on ? "the store does not keep up: feeds are held back" : "the store has caught up");
}

static int on_info(void *data, BgArena *arena, BgInfo *info)
{
        App *app = data;
        const BgDoor *doors[] = { &app->publish.door, &app->ingest.submit, &app->query.door, &app->ingest.subscribe };
        size_t n = 0;

        for (size_t i = 0; i < 4; i++)
                n += doors[i]->n_endpoints;
        info->endpoints.items = bg_arena_alloc(arena, n, sizeof(BgEndpoint));
        if (!info->endpoints.items)
                return -ENOMEM;
        for (size_t i = 0; i < 4; i++)
                for (size_t k = 0; k < doors[i]->n_endpoints; k++)
                        info->endpoints.items[info->endpoints.n++] =
                                (BgEndpoint){ .name = bg_str(doors[i]->name), .endpoint = bg_str(doors[i]->endpoints[k]) };
        info->started_at = app->started_at;
        info->horizons.items = app->core_spec.horizons;
        info->horizons.n = app->core_spec.n_horizons;
        info->estimator = bg_str(bg_estimator_name(app->core_spec.fit.estimator));
        info->m = app->core_spec.fit.m;
        return 0;
}

static int cannot(int r, const char *what, const char *why)
{
        bg_log(BG_LOG_ERROR, "app.cannot_start", what, bg_kv("why", *why ? why : strerror(-r)));
        return r < 0 ? EX_OSERR : EX_UNAVAILABLE;
}

static int open_state(App *app)
{
        char path[1024], why[512] = "";
        BgStoreReceipt receipt = { 0 };
        int r = state_path(&app->config, path, sizeof(path));

        if (r)
                return r;
        if (*path) {
                r = bg_store_open(&app->store, &(BgStoreSpec){ .path = path, .durability = (BgDurability)app->config.durability }, &receipt,
                                  why, sizeof(why));
                if (r)
                        return cannot(r, "the state cannot be opened", why);
                bg_log(BG_LOG_INFO, "state.open", receipt.created ? "a new state was made" : "reading the state", bg_kv("path", path),
                       bg_kv_int("events", receipt.n_events), bg_kv_int("epoch", receipt.epoch),
                       bg_kv("before", receipt.created ? "nothing" : receipt.clean ? "closed" : "crashed"));
        } else {
                bg_log(BG_LOG_WARNING, "state.none", "the state is in memory only and ends with the program");
        }
        app->core_spec = bg_app_core_spec(&app->config);
        app->core_spec.learned_start = true;
        r = bg_core_new(&app->core, &app->core_spec, bg_publish_sink(&app->publish), app->store, app->store ? &receipt : NULL,
                        bg_clock_now_us());
        return r ? cannot(r, "the state cannot be read", "") : 0;
}

static BgDoorSpec door_spec(const App *app, const char *name, int type, const BgConfigList *endpoints, int out_max, int in_max)
{
        return (BgDoorSpec){
                .name = name,
                .type = type,
                .endpoints = endpoints->items,
                .n_endpoints = endpoints->n,
                .message_bytes_max = app->config.message_bytes_max,
                .out_max = out_max,
                .in_max = in_max,
        };
}

static int open_doors(App *app)
{
        const BgConfig *config = &app->config;
        static const char *const everything[] = { "" };
        char why[512] = "";
        BgPublishSpec publish = {
                .door = door_spec(app, "updates", ZMQ_XPUB, &config->updates, (int)config->updates_queue, REQUESTS_QUEUE),
                .last_values_max = config->last_values_max,
                .heartbeat_us = config->heartbeat_us,
        };
        BgQuerySpec query = {
                .door = door_spec(app, "query", ZMQ_ROUTER, &config->query, ANSWERS_QUEUE, REQUESTS_QUEUE),
                .message_bytes_max = config->message_bytes_max,
                .admin = config->admin,
                .info = on_info,
                .reload = on_reload_asked,
                .checkpoint = on_checkpoint_asked,
                .data = app,
        };
        BgIngestSpec ingest = {
                .submit = door_spec(app, "submit", ZMQ_ROUTER, &config->submit, ANSWERS_QUEUE, BATCHES_QUEUE),
                .subscribe = door_spec(app, "subscribe", ZMQ_SUB, &config->subscribe, 0, 100000),
                .credit = config->credit,
                .message_bytes_max = config->message_bytes_max,
                .fatal = on_fatal,
                .data = app,
        };
        int r;

        ingest.subscribe.topics = config->subscribe_topics.n ? config->subscribe_topics.items : everything;
        ingest.subscribe.n_topics = config->subscribe_topics.n ? config->subscribe_topics.n : 1;
        r = bg_publish_open(&app->publish, &app->loop, app->zmq, &publish, app->core, &app->health, why, sizeof(why));
        if (!r)
                r = bg_query_open(&app->query, &app->loop, app->zmq, &query, app->core, &app->commit, &app->health, why, sizeof(why));
        if (!r)
                r = bg_ingest_open(&app->ingest, &app->loop, app->zmq, &ingest, app->core, app->store, &app->commit, &app->health, why,
                                   sizeof(why));
        return r ? cannot(r, "a door cannot be opened", why) : 0;
}

static int open_modules(App *app)
{
        BgCommitSpec commit = {
                .rows_per_group = (size_t)app->config.group_rows,
                .groups_pending_max = (size_t)app->config.groups_pending_max,
                .pressure = on_pressure,
                .data = app,
        };
        BgRefitSpec refit = {
                .n_threads = bg_config_threads(&app->config),
                .coalesce_us = app->config.coalesce_us,
                .series_per_job = (size_t)app->config.series_per_job,
        };
        int r = open_state(app);

        if (r)
                return r;
        r = bg_commit_open(&app->commit, &app->loop, app->store, &app->health, &commit);
        if (!r)
                r = bg_refit_open(&app->refit, &app->loop, &refit, app->core, &app->health);
        if (!r)
                r = bg_aggregator_open(&app->aggregator, &app->loop, app->core, &app->health);
        return r ? cannot(r, "threads cannot be started", "") : open_doors(app);
}

static void open_handles(App *app)
{
        uv_signal_init(&app->loop, &app->on_term);
        uv_signal_init(&app->loop, &app->on_int);
        uv_signal_init(&app->loop, &app->on_hup);
        uv_timer_init(&app->loop, &app->checkpoint);
        uv_timer_init(&app->loop, &app->watchdog);
        app->on_term.data = app->on_int.data = app->on_hup.data = app->checkpoint.data = app->watchdog.data = app;
        app->n_handles = 5;
}

/* Only now: until here SIGTERM ends the program at once, also while it reads a long log. */
static void start_handles(App *app)
{
        uv_signal_start(&app->on_term, on_stop_signal, SIGTERM);
        uv_signal_start(&app->on_int, on_stop_signal, SIGINT);
        uv_signal_start(&app->on_hup, on_reload_signal, SIGHUP);
        start_checkpoints(app);
        start_watchdog(app);
}

static void want_files(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= FILES_WANTED)
                return;
        limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
        setrlimit(RLIMIT_NOFILE, &limit);
}

int bg_app_run(BgConfig *config, const BgConfigSource *source)
{
        App *app = calloc(1, sizeof(*app));
        int r, exit_code;

        if (!app)
                return EX_OSERR;
        app->config = *config;
        *config = (BgConfig){ 0 };
        app->source = source;
        app->started_at = bg_clock_now_us();
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes fails a commit, which is told; it need not kill */
        signal(SIGHUP, SIG_IGN); /* a reload asked for before there is anything to reload */
        want_files();
        app->zmq = zmq_ctx_new();
        if (!app->zmq || uv_loop_init(&app->loop)) {
                bg_log(BG_LOG_ERROR, "app.cannot_start", "no event loop", bg_kv("why", strerror(errno)));
                return EX_OSERR;
        }
        open_handles(app);
        r = open_modules(app);
        if (!r) {
                start_handles(app);
                bg_log(BG_LOG_NOTICE, "app.ready", "burgeond " BG_VERSION " is ready",
                       bg_kv_int("start_ms", (bg_clock_now_us() - app->started_at) / 1000));
                bg_notify("READY=1");
        } else {
                stop(app, r);
        }
        uv_run(&app->loop, UV_RUN_DEFAULT);

        assert(app->n_handles == 0);
        r = uv_loop_close(&app->loop);
        assert(r == 0); /* somebody forgot a handle */
        while (zmq_ctx_term(app->zmq) && zmq_errno() == EINTR)
                ; /* a signal came in between: its threads are still there */
        exit_code = app->exit_code;
        bg_log(BG_LOG_NOTICE, "app.stopped", "stopped", bg_kv_int("exit_code", exit_code));
        bg_config_deinit(&app->config);
        free(app);
        return exit_code;
}

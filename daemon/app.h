/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_APP_H
#define BURGEON_APP_H

#include "daemon/config.h"

/*
 * The daemon: opens the modules in order, runs the loop, closes them in reverse.
 *
 * SIGTERM and SIGINT ask it to stop: the doors take nothing more, what was taken is committed and acknowledged, the state is
 * saved, all is closed. A second one, or the deadline, ends it at once (exit code 70). SIGHUP reads the configuration again.
 */

/**
 * bg_app_run() - run until asked to stop
 * @config: valid; taken over
 * @source: where it came from, for reloads
 * Return: exit code (sysexits): 0; 69 a door or the store cannot be opened; 70 a bug or the deadline; 71 out of memory or the
 *         like; 73 no directory for the state; 74 events were taken that could not be stored (nothing of them was acknowledged).
 */
int bg_app_run(BgConfig *config, const BgConfigSource *source);

/** What the core is to be built with. */
BgCoreSpec bg_app_core_spec(const BgConfig *config);

#endif

/* SPDX-License-Identifier: MIT */
#include "client/command/command.h"
int bg_command_top(BgContext *context, const BgCommand *command, int argc, char **argv)
{
        (void)argc, (void)argv;
        return bg_usage(context, command, "not yet");
}

/*
 * cmd_version.c: `darkroom version`.
 */
#include "base.h"
#include "commands.h"

int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)puts("darkroom " DARKROOM_VERSION);
    return EXIT_OK;
}

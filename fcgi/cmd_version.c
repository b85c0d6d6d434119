/*
 * cmd_version.c: `darkroom version`.
 */
#include "base.h"
#include "commands.h"

static const char usage[] =
    "usage: darkroom version\n\n"
    "Prints the version.\n";

int cmd_version(int argc, char **argv)
{
    if (argc == 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h"))) {
        (void)fputs(usage, stdout);
        return EXIT_OK;
    }
    if (argc > 1) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    (void)puts("darkroom " DARKROOM_VERSION);
    return EXIT_OK;
}

/*
 * cmd_check.c: `darkroom check`: are the settings complete and sound?
 */
#include "commands.h"
#include "config.h"

#include <unistd.h>

static const char usage[] =
    "usage: darkroom check\n\n"
    "Reads the settings as `darkroom serve` would and reports everything that\n"
    "is wrong with them. Exit status: 0 sound, 78 not.\n";

int cmd_check(int argc, char **argv)
{
    struct config config;
    struct buf errors;
    enum status status;

    if (argc > 1) {
        bool help = str_eq(argv[1], "--help");

        (void)fputs(usage, help ? stdout : stderr);
        return help ? EXIT_OK : EXIT_USAGE;
    }
    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    status = config_load(&config, environ, &errors);
    if (status == STATUS_OK)
        (void)printf("settings: ok, %zu channel%s, pictures at %s/static/\n",
                     config.channel_count, config.channel_count == 1 ? "" : "s",
                     config.public_url);
    else
        (void)fputs(buf_str(&errors), stderr);
    buf_release(&errors);
    config_release(&config);
    return status == STATUS_OK ? EXIT_OK : EXIT_CONFIG;
}

/*
 * cmd_serve.c: `darkroom serve`: the arguments; serve.c does the rest.
 */
#include <getopt.h>

#include "base.h"
#include "commands.h"
#include "operate.h"
#include "serve.h"

static const char usage[] =
    "usage: darkroom serve [--config FILE]\n"
    "\n"
    "Runs one worker, which answers LINE webhooks behind nginx: FastCGI on\n"
    "descriptor 0 (from systemd, spawn-fcgi or multiwatch), or one request as\n"
    "a plain CGI program. The settings come from FILE, the file that\n"
    "DARKROOM_CONFIG names, or /etc/darkroom/darkroom.conf; and from the\n"
    "environment, which wins. One bot needs at least\n"
    "\n"
    "  LINE_CHANNEL_SECRET        to verify webhooks\n"
    "  LINE_CHANNEL_ACCESS_TOKEN  to fetch pictures and to reply\n"
    "  PUBLIC_URL                 https address of nginx for LINE and phones\n"
    "  DARKROOM_SERVER_STATE_DIR  queue, pictures (default: "
    "/var/lib/darkroom)\n"
    "\n"
    "'darkroom check --settings' checks them, 'darkroom check "
    "--list-settings'\n"
    "lists all there are. The log goes to standard error. On SIGTERM or "
    "SIGINT\n"
    "the worker finishes what takes only seconds, leaves the rest to other\n"
    "workers and exits. On SIGHUP it reads the settings again; wrong ones are\n"
    "logged and change nothing.\n"
    "Exit status: 0 stopped, 1 cannot start or run, 78 the settings are "
    "wrong.\n";

int cmd_serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'c') {
            path = optarg;
            continue;
        }
        (void)fputs(usage, option == 'h' ? stdout : stderr);
        return option == 'h' ? EXIT_OK : EXIT_USAGE;
    }
    if (optind < argc) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return serve(operate_config_file(path));
}

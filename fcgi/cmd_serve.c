/*
 * cmd_serve.c: `darkroom serve`: the arguments; serve.c does the rest.
 */
#include <getopt.h>

#include "base.h"
#include "commands.h"
#include "serve.h"

static const char usage[] =
    "usage: darkroom serve [--config FILE]\n\n"
    "Answers LINE webhooks behind nginx: FastCGI on descriptor 0 (spawn-fcgi,\n"
    "multiwatch, systemd), or one request as a plain CGI program. Settings "
    "come\n"
    "from FILE, or the one that DARKROOM_CONFIG names, and from the "
    "environment,\n"
    "which wins; the least for one channel is\n\n"
    "  LINE_CHANNEL_SECRET        signs the webhooks\n"
    "  LINE_CHANNEL_ACCESS_TOKEN  fetches pictures and replies\n"
    "  PUBLIC_URL                 https address under which nginx is reached\n"
    "  DARKROOM_SERVER_STATE_DIR  queue and pictures (/var/lib/darkroom)\n\n"
    "'darkroom check' checks them, and 'darkroom check --list-settings' lists\n"
    "all there are. The log goes to standard error. SIGTERM and SIGINT finish\n"
    "what takes seconds, hand the rest to other workers and exit. SIGHUP reads "
    "the\n"
    "settings again: bad ones are logged and change nothing.\n"
    "Exit status: 0 stopped, 1 cannot start or run, 78 bad settings.\n";

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
    return serve(path);
}

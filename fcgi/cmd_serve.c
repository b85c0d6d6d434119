/*
 * cmd_serve.c: `darkroom serve`: the arguments; serve.c does the rest.
 */
#include "base.h"
#include "commands.h"
#include "serve.h"

static const char usage[] =
    "usage: darkroom serve\n\n"
    "Answers LINE webhooks behind nginx: FastCGI on descriptor 0 (spawn-fcgi,\n"
    "multiwatch, systemd), or one request as a plain CGI program. Settings "
    "come\n"
    "from the environment; the least for one channel is\n\n"
    "  LINE_CHANNEL_SECRET        signs the webhooks\n"
    "  LINE_CHANNEL_ACCESS_TOKEN  fetches pictures and replies\n"
    "  PUBLIC_URL                 https address under which nginx is reached\n"
    "  DARKROOM_SERVER_STATE_DIR  queue and pictures (/var/lib/darkroom)\n\n"
    "'darkroom check' checks them. The log goes to standard error. SIGTERM "
    "and\n"
    "SIGINT finish what takes seconds, hand the rest to other workers and "
    "exit.\n"
    "Exit status: 0 stopped, 1 cannot start or run, 78 bad settings.\n";

int cmd_serve(int argc, char **argv)
{
    if (argc > 1) {
        bool help = str_eq(argv[1], "--help");

        (void)fputs(usage, help ? stdout : stderr);
        return help ? EXIT_OK : EXIT_USAGE;
    }
    return serve();
}

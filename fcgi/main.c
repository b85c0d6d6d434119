/*
 * main.c: finds the subcommand. Under a CGI server that is always `serve`: a
 * query without "=" comes as arguments (RFC 3875, 4.4), from anybody.
 */
#include "base.h"
#include "commands.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", cmd_serve, "answer webhooks: FastCGI on descriptor 0, or CGI"},
    {"check", cmd_check, "find out whether everything works"},
    {"jobs", cmd_jobs, "look at jobs, retry and drop them"},
    {"webhook", cmd_webhook, "show, set and test the URL that LINE calls"},
    {"convert", cmd_convert, "turn picture files into PNG, as the worker does"},
    {"version", cmd_version, "print the version"},
};

static void print_help(FILE *out)
{
    (void)fprintf(out,
                  "darkroom turns the photos sent to a LINE bot into PNG "
                  "and answers with them.\n\n"
                  "usage: darkroom COMMAND [ARGUMENT...]\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        (void)fprintf(out, "  %-8s %s\n", commands[i].name,
                      commands[i].summary);
    (void)fprintf(out, "\n'darkroom COMMAND --help' says more of a command.\n");
}

/* Both are set for every request (RFC 3875, 4.1); a FastCGI program, which is
 * started for many, has neither. */
static bool is_cgi(void)
{
    return getenv("GATEWAY_INTERFACE") != NULL &&
           getenv("REQUEST_METHOD") != NULL;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (is_cgi())
        return cmd_serve(1, argv);
    if (str_eq(name, "--help") || str_eq(name, "-h") || str_eq(name, "help")) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (str_eq(name, "--version"))
        name = "version";
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (str_eq(name, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    }
    if (*name != '\0')
        (void)fprintf(stderr, "darkroom: unknown command '%s'\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}

/*
 * main.c: finds the subcommand. Under a CGI server that is always `serve`: a
 * query without "=" comes as arguments (RFC 3875, 4.4), from anybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base.h"
#include "commands.h"
#include "config_table.h"
#include "operate.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", cmd_serve, "run a worker: FastCGI on descriptor 0, or CGI"},
    {"check", cmd_check, "test the installation, and say what to do"},
    {"webhook", cmd_webhook, "show, set and test the URL that LINE calls"},
    {"jobs", cmd_jobs, "list, show and watch pictures; retry or drop them"},
    {"purge", cmd_purge, "remove a picture for good"},
    {"janitor", cmd_janitor, "remove what is older than the settings allow"},
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
    (void)fprintf(out,
                  "\n'darkroom COMMAND --help' describes a command.\n"
                  "See also darkroom(8) and darkroom.conf(5).\n");
}

/* The command that was perhaps meant; NULL: none is near. */
static const char *near_command(const char *word)
{
    size_t least = SIZE_MAX;
    const char *near = NULL;

    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        size_t edits = config_edits(word, commands[i].name);

        if (edits < least && edits * 2 < strlen(commands[i].name)) {
            least = edits;
            near = commands[i].name;
        }
    }
    return near;
}

static int complain_of(const char *name)
{
    const char *near = near_command(name);

    if (*name == '\0') {
        print_help(stderr);
        return EXIT_USAGE;
    }
    operate_complain("", "there is no command '%s'%s%s%s", name,
                     near != NULL ? "; did you mean '" : "",
                     near != NULL ? near : "", near != NULL ? "'?" : "");
    (void)fprintf(stderr, "'darkroom --help' lists them.\n");
    return EXIT_USAGE;
}

/* Both are set for every request (RFC 3875, 4.1); a FastCGI program, which is
 * started for many, has neither. */
static bool is_cgi(void)
{
    return getenv("GATEWAY_INTERFACE") != NULL &&
           getenv("REQUEST_METHOD") != NULL;
}

/* The queue, say, must not be opened as descriptor 1 and get what is printed.
 * What stands in for a closed one fails as that would. */
static void reserve_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

/* A disk that is full, or whoever reads has gone: what was asked for did not
 * arrive. */
static int finish_output(const char *name, int exit_status)
{
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return exit_status;
    operate_complain(name, "cannot write what it found%s%s",
                     errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return exit_status == EXIT_OK ? EXIT_IO : exit_status;
}

/* To serve, standard output is not ours: a CGI answer closes it. */
static int run(const struct command *command, int argc, char **argv)
{
    int exit_status = command->run(argc, argv);

    return command->run == cmd_serve
               ? exit_status
               : finish_output(command->name, exit_status);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    reserve_standard_descriptors();
    if (is_cgi())
        return cmd_serve(1, argv);
    if (str_eq(name, "--help") || str_eq(name, "-h") || str_eq(name, "help")) {
        print_help(stdout);
        return finish_output("help", EXIT_OK);
    }
    if (str_eq(name, "--version"))
        name = "version";
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (str_eq(name, commands[i].name))
            return run(&commands[i], argc - 1, argv + 1);
    }
    return complain_of(name);
}

/*
 * cmd_convert.c: `darkroom convert`: the arguments, and which file becomes
 * which; convert.c does the rest.
 */
#include <getopt.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "commands.h"
#include "convert.h"
#include "convert_report.h"
#include "log.h"
#include "operate.h"

#define COMMAND "convert" /* as it is called in what goes wrong */

static const char usage[] =
    "usage: darkroom convert [OPTION...] IN... OUT\n"
    "\n"
    "Turns pictures into PNG files of at most 10 MB, upright, in sRGB and\n"
    "without metadata, just as a worker does: decoded in a jailed process,\n"
    "within the same limits. '-' as IN or OUT is standard input or output.\n"
    "With more than one IN, or if it is one, OUT is a directory, and a.jpg\n"
    "becomes OUT/a.png. OUT is written completely or not at all; an existing\n"
    "OUT is replaced, an input never is. Each picture gets a line on standard\n"
    "output (standard error, if OUT is '-'), a terminal a progress bar, too.\n"
    "\n"
    "  --preview P   also write a preview of at most 1 MB; a directory if\n"
    "                OUT is one\n"
    "  --mode fit    full size if that is sure to fit, else reduced (default)\n"
    "  --mode max    as many pixels as fit into 10 MB\n"
    "  --mode WxH    within W x H pixels, never enlarged\n"
    "  --webp --gif  accept these types, too; of a GIF, the first frame\n"
    "  --jobs N      pictures at the same time (default: one per core)\n"
    "  --json        one JSON object per picture instead of text\n"
    "  --quiet       print only what went wrong\n"
    "\n"
    "Exit status: 0 all done, 1 some picture cannot be used, 64 wrong\n"
    "arguments, 74 a file could not be read or written, or decoding did not\n"
    "work on this machine. After 1 and 74 the other pictures are done.\n";

struct convert_command {
    struct transcode_options limits;
    struct convert_report report;
    const char *out, *preview;
    int64_t jobs; /* 0: one per core */
    struct convert_picture *pictures;
    char **names; /* two for each picture, second may be NULL */
    size_t count;
    int worst; /* exit status so far */
};

/* ---- options */

/* "WxH" */
static bool parse_box(const char *text, struct transcode_options *limits)
{
    const char *x = strchr(text, 'x');
    char width[8];
    int64_t width_px, height_px;

    if (x == NULL ||
        !str_copy_n(width, sizeof(width), text, (size_t)(x - text)) ||
        !str_to_int64(width, 1, IMAGE_SIDE_MAX, &width_px) ||
        !str_to_int64(x + 1, 1, IMAGE_SIDE_MAX, &height_px))
        return false;
    limits->mode = TRANSCODE_BOX;
    limits->box_width_px = (uint32_t)width_px;
    limits->box_height_px = (uint32_t)height_px;
    return true;
}

static bool parse_mode(const char *text, struct transcode_options *limits)
{
    if (str_eq(text, "fit"))
        limits->mode = TRANSCODE_FIT;
    else if (str_eq(text, "max"))
        limits->mode = TRANSCODE_MAX;
    else
        return parse_box(text, limits);
    return true;
}

/* `word` is the argument it stands in. */
static int take_option(struct convert_command *command, int option,
                       const char *word)
{
    switch (option) {
    case 'p':
        command->preview = optarg;
        return EXIT_OK;
    case 'm':
        return parse_mode(optarg, &command->limits)
                   ? EXIT_OK
                   : operate_usage_error(
                         COMMAND, "'%s' is none of fit, max and WxH", optarg);
    case 'n':
        return str_to_int64(optarg, 1, LAB_LABS_MAX, &command->jobs)
                   ? EXIT_OK
                   : operate_usage_error(COMMAND,
                                         "--jobs is a number from 1 to %d",
                                         LAB_LABS_MAX);
    case 'w':
        command->limits.webp = true;
        return EXIT_OK;
    case 'g':
        command->limits.gif = true;
        return EXIT_OK;
    case 'j':
        command->report.json = true;
        return EXIT_OK;
    case 'q':
        command->report.quiet = true;
        return EXIT_OK;
    default:
        return operate_bad_option(COMMAND, option, word);
    }
}

/* -1: go on; else an exit status. */
static int parse_options(struct convert_command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"preview", required_argument, NULL, 'p'},
        {"mode", required_argument, NULL, 'm'},
        {"jobs", required_argument, NULL, 'n'},
        {"webp", no_argument, NULL, 'w'},
        {"gif", no_argument, NULL, 'g'},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0; /* one line about it is enough, and it is ours */
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        int exit_status;

        if (option == 'h') {
            (void)fputs(usage, stdout);
            return EXIT_OK;
        }
        exit_status = take_option(command, option, argv[optind - 1]);
        if (exit_status != EXIT_OK)
            return exit_status;
    }
    if (argc - optind < 2)
        return operate_usage_error(
            COMMAND, "name a picture, and the PNG that it becomes");
    return -1;
}

/* ---- which file becomes which */

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* DIRECTORY/NAME.png of .../NAME.ext; NULL: out of memory. */
static char *name_in(const char *directory, const char *input)
{
    const char *slash = strrchr(input, '/');
    const char *name = slash != NULL ? slash + 1 : input;
    const char *dot = strrchr(name, '.');
    int stem =
        (int)(dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name));
    char *path = NULL;

    return asprintf(&path, "%s/%.*s.png", directory, stem, name) < 0 ? NULL
                                                                     : path;
}

/* An output takes the place of a file, not of a device, and not of the picture
 * it is made from. */
static int check_output(const char *path, const char *input)
{
    struct stat in, out;

    if (stat(path, &out) < 0)
        return EXIT_OK;
    if (S_ISDIR(out.st_mode))
        return operate_usage_error(COMMAND,
                                   "'%s' is a directory, but OUT is not", path);
    if (!S_ISREG(out.st_mode))
        return operate_usage_error(COMMAND, "'%s' is not a file", path);
    if ((str_eq(input, CONVERT_STD) ? fstat(STDIN_FILENO, &in)
                                    : stat(input, &in)) == 0 &&
        in.st_dev == out.st_dev && in.st_ino == out.st_ino)
        return operate_usage_error(COMMAND,
                                   "'%s' would overwrite its own input", path);
    return EXIT_OK;
}

/* Names of two outputs lead to one file, which may not be there yet. */
static bool is_same_output(const char *a, const char *b)
{
    const char *a_slash = strrchr(a, '/');
    const char *b_slash = strrchr(b, '/');
    char parent[ATOMICFILE_PATH_BYTES];
    struct stat a_st, b_st;

    if (!str_eq(a_slash != NULL ? a_slash + 1 : a,
                b_slash != NULL ? b_slash + 1 : b))
        return false;
    (void)snprintf(parent, sizeof(parent), "%.*s/.",
                   (int)(a_slash != NULL ? a_slash - a : 1),
                   a_slash != NULL ? a : ".");
    if (stat(parent, &a_st) < 0)
        return false;
    (void)snprintf(parent, sizeof(parent), "%.*s/.",
                   (int)(b_slash != NULL ? b_slash - b : 1),
                   b_slash != NULL ? b : ".");
    return stat(parent, &b_st) == 0 && a_st.st_dev == b_st.st_dev &&
           a_st.st_ino == b_st.st_ino;
}

static int check_picture(const struct convert_picture *picture)
{
    const char *original = picture->original;
    const char *preview = picture->preview;
    int exit_status = EXIT_OK;

    if (str_eq(original, CONVERT_STD) && isatty(STDOUT_FILENO) == 1)
        return operate_usage_error(
            COMMAND, "a picture is not written to a terminal; name a file");
    if (!str_eq(original, CONVERT_STD))
        exit_status = check_output(original, picture->input);
    if (exit_status != EXIT_OK || preview == NULL)
        return exit_status;
    if (is_same_output(original, preview))
        return operate_usage_error(
            COMMAND, "'%s' cannot be both original and preview", preview);
    return check_output(preview, picture->input);
}

static int plan_picture(struct convert_command *command, const char *input,
                        bool into_directory)
{
    struct convert_picture *picture = &command->pictures[command->count];
    char **names = &command->names[2 * command->count];
    struct stat st;

    command->count++;
    picture->input = input;
    if (str_eq(input, CONVERT_STD) && into_directory)
        return operate_usage_error(
            COMMAND, "standard input needs the name of a file as OUT");
    names[0] =
        into_directory ? name_in(command->out, input) : strdup(command->out);
    if (command->preview != NULL)
        names[1] = into_directory ? name_in(command->preview, input)
                                  : strdup(command->preview);
    if (names[0] == NULL || (command->preview != NULL && names[1] == NULL)) {
        operate_complain(COMMAND, "out of memory");
        return EXIT_IO;
    }
    picture->original = names[0];
    picture->preview = names[1];
    if (stat(input, &st) == 0 && S_ISREG(st.st_mode))
        picture->size_bytes = (uint64_t)st.st_size;
    return check_picture(picture);
}

static int compare_names(const void *a, const void *b)
{
    const struct convert_picture *const *left = a;
    const struct convert_picture *const *right = b;

    return strcmp((*left)->original, (*right)->original);
}

/* b/x.jpg and c/x.png would both become OUT/x.png. */
static int check_twins(const struct convert_command *command)
{
    const struct convert_picture **sorted =
        calloc(command->count, sizeof(struct convert_picture *));
    int exit_status = EXIT_OK;

    if (sorted == NULL)
        return EXIT_IO;
    for (size_t i = 0; i < command->count; i++)
        sorted[i] = &command->pictures[i];
    qsort(sorted, command->count, sizeof(struct convert_picture *),
          compare_names);
    for (size_t i = 1; i < command->count && exit_status == EXIT_OK; i++) {
        if (str_eq(sorted[i - 1]->original, sorted[i]->original))
            exit_status = operate_usage_error(
                COMMAND, "'%s' and '%s' would both become '%s'",
                sorted[i - 1]->input, sorted[i]->input, sorted[i]->original);
    }
    free(sorted);
    return exit_status;
}

static int plan(struct convert_command *command, char **inputs, size_t count)
{
    bool into_directory = count > 1 || is_directory(command->out);
    int exit_status = EXIT_OK;

    if (command->preview != NULL && str_eq(command->preview, CONVERT_STD))
        return operate_usage_error(COMMAND,
                                   "a preview needs the name of a file");
    if (into_directory && !is_directory(command->out))
        return operate_usage_error(COMMAND, "'%s' is not a directory",
                                   command->out);
    if (into_directory && command->preview != NULL &&
        !is_directory(command->preview))
        return operate_usage_error(COMMAND, "'%s' is not a directory",
                                   command->preview);
    command->pictures = calloc(count, sizeof(command->pictures[0]));
    command->names = calloc(count, 2 * sizeof(command->names[0]));
    if (command->pictures == NULL || command->names == NULL)
        return EXIT_IO;
    for (size_t i = 0; i < count && exit_status == EXIT_OK; i++)
        exit_status = plan_picture(command, inputs[i], into_directory);
    return exit_status == EXIT_OK ? check_twins(command) : exit_status;
}

/* ---- run */

static void on_done(void *arg, const struct convert_picture *picture)
{
    struct convert_command *command = arg;

    if (picture->fault == CONVERT_BAD_PICTURE && command->worst == EXIT_OK)
        command->worst = EXIT_FAILED;
    else if (picture->fault == CONVERT_BAD_INPUT ||
             picture->fault == CONVERT_BAD_OUTPUT)
        command->worst = EXIT_IO;
    convert_report_picture(&command->report, picture);
}

static void on_progress(void *arg, const struct convert_progress *progress)
{
    struct convert_command *command = arg;

    convert_report_progress(&command->report, progress);
}

static size_t job_count(const struct convert_command *command)
{
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t jobs = command->jobs > 0 ? command->jobs : int64_max(cores, 1);

    return size_min((size_t)int64_min(jobs, LAB_LABS_MAX), command->count);
}

static mode_t file_mode(void)
{
    mode_t mask = umask(0);

    (void)umask(mask);
    return 0666 & ~mask;
}

static int run(struct convert_command *command)
{
    const char *scratch_dir = getenv("TMPDIR");
    struct convert_options options = {
        .limits = command->limits,
        .jobs = job_count(command),
        .scratch_dir = scratch_dir != NULL ? scratch_dir : "/tmp",
        .file_mode = file_mode(),
        .arg = command,
        .on_done = on_done,
        .on_progress = on_progress,
    };
    int stopped_by = 0;
    enum status status = lab_keeper_spawn(NULL, &options.keeper);

    if (status == STATUS_OK)
        status = convert_run(command->pictures, command->count, &options,
                             &stopped_by);
    if (convert_report_end(&command->report) != STATUS_OK)
        command->worst = EXIT_IO;
    if (stopped_by != 0) {
        (void)signal(stopped_by, SIG_DFL);
        (void)raise(stopped_by);
    }
    if (status == STATUS_OK)
        return command->worst;
    operate_complain(COMMAND, "no decoder: %s (%s)", status_text(status),
                     status_name(status));
    return EXIT_IO;
}

int cmd_convert(int argc, char **argv)
{
    struct convert_command command = {.worst = EXIT_OK};
    int exit_status;

    log_set_level(LOG_LEVEL_ERROR);
    transcode_options_default(&command.limits);
    convert_report_init(&command.report, stdout);
    exit_status = parse_options(&command, argc, argv);
    if (exit_status >= 0)
        return exit_status;
    command.out = argv[argc - 1];
    if (str_eq(command.out, CONVERT_STD))
        command.report.out = stderr;
    exit_status = plan(&command, &argv[optind], (size_t)(argc - 1 - optind));
    if (exit_status == EXIT_OK)
        exit_status = run(&command);
    for (size_t i = 0; command.names != NULL && i < 2 * command.count; i++)
        free(command.names[i]);
    free(command.names);
    free(command.pictures);
    return exit_status;
}

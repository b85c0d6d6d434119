/*
 * convert.h: a list of picture files through the labs, for people: the
 * normalizer without webhook, queue and platform, but with the same jail and
 * the same limits.
 *
 *   lab_keeper_spawn(NULL, &options.keeper)     first act, as in a worker
 *   convert_run(pictures, count, &options)      until all are done
 *
 * Up to `jobs` pictures are decoded at once, in the order of the list. A file
 * appears under its name whole and synced, or not at all: see atomicfile.h.
 *
 * SIGINT, SIGTERM and SIGHUP end the run early with nothing half-done left.
 * They are blocked during the run and unblocked after it; the caller then
 * raises the one that came, to end as the shell expects. One that was ignored
 * when the run began (nohup) stays ignored.
 *
 * One run at a time, on the main thread; callbacks come on it too.
 */
#ifndef DARKROOM_CONVERT_H
#define DARKROOM_CONVERT_H

#include "lab.h"

#define CONVERT_STD "-" /* standard input or output */
#define CONVERT_TICK_MS 100
#define CONVERT_STOP_S 2 /* for files that are being published */

/* Where a picture failed. */
enum convert_fault {
    CONVERT_FINE,
    CONVERT_BAD_PICTURE, /* it cannot be used */
    CONVERT_BAD_INPUT,   /* it cannot be read */
    CONVERT_BAD_OUTPUT,  /* it cannot be written, or this machine is at fault */
};

struct convert_picture {
    /* Borrowed paths. `preview` may be NULL: not wanted. Only one of all
     * pictures may have CONVERT_STD as input or as original. */
    const char *input, *original, *preview;
    uint64_t size_bytes; /* of the input, 0 if unknown; for the progress */

    /* Results. */
    enum convert_fault fault;
    enum status status;
    int error; /* errno of the file that failed, or 0: `status` says it */
    const char *failed_output; /* the name of that file if it is an output */
    struct transcode_report report; /* complete on STATUS_OK */
    int64_t elapsed_ms;             /* start to files published */
};

struct convert_progress {
    size_t done, count;
    uint64_t read_bytes, size_bytes; /* of all; size as far as it is known */
};

struct convert_options {
    struct transcode_options limits;
    struct lab_keeper keeper; /* taken over, also on failure */
    size_t jobs;              /* 1..LAB_LABS_MAX */
    const char *scratch_dir;  /* for unlinked temporary files */
    mode_t file_mode;
    void *arg;
    void (*on_done)(void *arg, const struct convert_picture *picture);
    /* Every CONVERT_TICK_MS. Optional. */
    void (*on_progress)(void *arg, const struct convert_progress *progress);
};

/* OK: on_done came for every picture, whatever became of each. STOPPING: a
 * signal came, its number in *stopped_by. Else nothing can be done here: no
 * lab, no memory. */
enum status convert_run(struct convert_picture *pictures, size_t count,
                        const struct convert_options *options,
                        int *stopped_by) MUST_CHECK;

#endif

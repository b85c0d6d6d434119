/*
 * transcode_file IN ORIGINAL PREVIEW: one picture through the normalizer, in
 * chunks as a download brings them; the report and what it cost as key=value
 * lines. PREVIEW is not made if the original serves as both.
 *
 * TRANSCODE_CHUNK_BYTES sets the size of a chunk, TRANSCODE_MODE is "max" or
 * the side of a box.
 */
#include "image/transcode.h"
#include "limits.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct output {
    const char *path;
    FILE *file;
};

#define BIN_MS 0.1
#define BINS 1000

struct cost {
    double total_ms;
    double max_ms;
    unsigned calls;
    unsigned bins[BINS]; /* calls by their time; the last: all above */
};

static double cpu_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static enum status write_output(void *arg, const uint8_t *bytes, size_t len)
{
    struct output *output = arg;

    if (output->file == NULL)
        output->file = fopen(output->path, "wb");
    if (output->file == NULL || fwrite(bytes, 1, len, output->file) != len)
        return status_from_errno(errno);
    return STATUS_OK;
}

static enum status restart_output(void *arg)
{
    const struct output *output = arg;

    if (output->file == NULL)
        return STATUS_OK;
    rewind(output->file);
    return ftruncate(fileno(output->file), 0) == 0 ? STATUS_OK
                                                   : status_from_errno(errno);
}

static enum status close_output(struct output *output)
{
    if (output->file == NULL)
        return STATUS_OK;
    return fclose(output->file) == 0 ? STATUS_OK : status_from_errno(errno);
}

static void note_call(struct cost *cost, double since_ms)
{
    double ms = cpu_ms() - since_ms;

    cost->calls++;
    cost->total_ms += ms;
    if (ms > cost->max_ms)
        cost->max_ms = ms;
    cost->bins[ms < (BINS - 1) * BIN_MS ? (size_t)(ms / BIN_MS) : BINS - 1]++;
}

/* 99 of 100 calls take less. */
static double p99_ms(const struct cost *cost)
{
    unsigned seen = 0;
    size_t i = 0;

    while (i < BINS && (seen += cost->bins[i]) < cost->calls * 0.99)
        i++;
    return (double)(i + 1) * BIN_MS;
}

/* One step: a push, or the end if there are no bytes; then what is left. */
static enum status feed(struct transcode *t, const uint8_t *bytes, size_t len,
                        struct cost *cost)
{
    double start = cpu_ms();
    enum status status =
        len > 0 ? transcode_push(t, bytes, len) : transcode_end(t);

    note_call(cost, start);
    while (status == STATUS_AGAIN) {
        start = cpu_ms();
        status = transcode_run(t);
        note_call(cost, start);
    }
    return status;
}

static enum status feed_file(struct transcode *t, FILE *in, size_t chunk_bytes,
                             struct cost *cost)
{
    uint8_t *chunk = malloc(chunk_bytes);
    enum status status = STATUS_MORE;

    if (chunk == NULL)
        return STATUS_NO_MEMORY;
    while (status == STATUS_MORE) {
        size_t len = fread(chunk, 1, chunk_bytes, in);

        if (len == 0 && ferror(in))
            status = STATUS_IO;
        else
            status = feed(t, chunk, len, cost);
    }
    free(chunk);
    return status;
}

static void print_report(const struct transcode_report *report,
                         const struct cost *cost, enum status status)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf("status=%s\n", status_name(status));
    printf("type=%s\n", image_type_name(report->source_type));
    printf("source=%ux%u\n", report->source_width_px, report->source_height_px);
    printf("orientation=%u\n", report->orientation);
    printf("progressive=%d\n", report->progressive);
    printf("original=%ux%u\n", report->original_width_px,
           report->original_height_px);
    printf("preview=%ux%u\n", report->preview_width_px,
           report->preview_height_px);
    printf("preview_is_original=%d\n", report->preview_is_original);
    printf("input_bytes=%llu\n", (unsigned long long)report->input_bytes);
    printf("original_bytes=%llu\n", (unsigned long long)report->original_bytes);
    printf("preview_bytes=%llu\n", (unsigned long long)report->preview_bytes);
    printf("idat_copied=%d\n", report->idat_copied);
    printf("decodes=%u\n", report->decodes);
    printf("calls=%u\n", cost->calls);
    printf("cpu_ms=%.1f\n", cost->total_ms);
    printf("p99_call_ms=%.1f\n", p99_ms(cost));
    printf("max_call_ms=%.2f\n", cost->max_ms);
    printf("max_rss_kb=%ld\n", usage.ru_maxrss);
}

static size_t chunk_size(void)
{
    const char *text = getenv("TRANSCODE_CHUNK_BYTES");
    int64_t bytes = LAB_CHUNK_BYTES;

    if (text != NULL && !str_to_int64(text, 1, IMAGE_INPUT_MAX_BYTES, &bytes))
        fprintf(stderr, "transcode_file: bad TRANSCODE_CHUNK_BYTES\n");
    return (size_t)bytes;
}

/* TRANSCODE_MODE: max, or the longest side of a box. */
static void set_mode(struct transcode_options *options)
{
    const char *mode = getenv("TRANSCODE_MODE");
    int64_t side_px;

    if (mode == NULL)
        return;
    if (str_eq(mode, "max"))
        options->mode = TRANSCODE_MAX;
    if (!str_to_int64(mode, 1, IMAGE_SIDE_MAX, &side_px))
        return;
    options->mode = TRANSCODE_BOX;
    options->box_width_px = options->box_height_px = (uint32_t)side_px;
}

static enum status transcode_file(FILE *in, struct output *original,
                                  struct output *preview)
{
    struct transcode_options options;
    struct transcode_sinks sinks = {write_output, original, write_output,
                                    preview, restart_output};
    struct cost cost = {0};
    struct transcode *t;
    enum status status;
    enum status closed;
    struct stat st;

    transcode_options_default(&options);
    options.webp = options.gif = true;
    set_mode(&options);
    if (fstat(fileno(in), &st) == 0 && S_ISREG(st.st_mode))
        options.input_bytes_hint = (size_t)st.st_size;
    status = transcode_new(&t, &options, &sinks);
    if (status != STATUS_OK)
        return status;
    status = feed_file(t, in, chunk_size(), &cost);
    closed = close_output(original);
    if (closed == STATUS_OK)
        closed = close_output(preview);
    if (status == STATUS_OK)
        status = closed;
    print_report(transcode_report(t), &cost, status);
    transcode_free(t);
    return status;
}

int main(int argc, char **argv)
{
    struct output original = {0};
    struct output preview = {0};
    enum status status;
    FILE *in;

    if (argc != 4) {
        fprintf(stderr, "usage: transcode_file IN ORIGINAL PREVIEW\n");
        return 2;
    }
    original.path = argv[2];
    preview.path = argv[3];
    in = fopen(argv[1], "rb");
    if (in == NULL) {
        perror(argv[1]);
        return 1;
    }
    status = transcode_file(in, &original, &preview);
    fclose(in);
    if (status != STATUS_OK)
        fprintf(stderr, "transcode_file: %s\n", status_text(status));
    return status == STATUS_OK ? 0 : 1;
}

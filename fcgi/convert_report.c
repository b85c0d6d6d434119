/*
 * convert_report.c: the same facts twice, for people and for programs. Names of
 * files are shown without control characters: a name must not be able to drive
 * a terminal.
 */
#include "convert_report.h"

#include <unistd.h>

#include "atomicfile.h"
#include "json.h"
#include "utf8.h"

#define NAME_BYTES 1024
#define LINE_BYTES (16 * 1024)
#define BAR_AFTER_MS 300 /* what takes less needs no bar */
#define BAR_COLUMNS 30

void convert_report_init(struct convert_report *report, FILE *out)
{
    *report = (struct convert_report){
        .out = out,
        .terminal = isatty(STDERR_FILENO) == 1,
        .began_ms = mono_ms(),
    };
}

/* ---- bar */

static void take_bar_away(struct convert_report *report)
{
    if (!report->bar_is_up)
        return;
    report->bar_is_up = false;
    (void)fputs("\r\033[K", stderr);
}

static double megabytes(uint64_t bytes)
{
    return (double)bytes / 1e6;
}

void convert_report_progress(struct convert_report *report,
                             const struct convert_progress *progress)
{
    char bar[BAR_COLUMNS + 1];
    uint64_t read_bytes = progress->read_bytes;
    uint64_t size_bytes = progress->size_bytes;

    if (report->quiet || !report->terminal ||
        mono_ms() - report->began_ms < BAR_AFTER_MS)
        return;
    if (size_bytes < read_bytes) /* not known, or it grew */
        size_bytes = read_bytes;
    for (size_t i = 0; i < BAR_COLUMNS; i++)
        bar[i] = size_bytes > 0 && i * size_bytes < read_bytes * BAR_COLUMNS
                     ? '#'
                     : '-';
    bar[BAR_COLUMNS] = '\0';
    (void)fprintf(stderr, "\r\033[K%zu of %zu [%s] %.1f of %.1f MB",
                  progress->done, progress->count, bar, megabytes(read_bytes),
                  megabytes(size_bytes));
    (void)fflush(stderr);
    report->bar_is_up = true;
}

/* ---- for people */

static const char *shown(const char *name, char text[NAME_BYTES])
{
    if (str_eq(name, CONVERT_STD))
        name = "standard input";
    (void)str_copy_n(text, NAME_BYTES, name,
                     (size_t)utf8_fit(name, NAME_BYTES - 1));
    utf8_clean(text);
    return text;
}

/* Percent of the picture that is missing. */
static unsigned cut_percent(const struct transcode_report *report)
{
    return report->decoded_percent > 0 && report->decoded_percent < 100
               ? 100u - report->decoded_percent
               : 0;
}

static void print_fine(FILE *out, const struct convert_picture *picture)
{
    const struct transcode_report *r = &picture->report;
    char input[NAME_BYTES];

    (void)fprintf(
        out, "%s: %s%s %ux%u, %.2f MB -> %ux%u, %.2f MB",
        shown(picture->input, input), r->progressive ? "progressive " : "",
        image_type_name(r->source_type), r->source_width_px,
        r->source_height_px, megabytes(r->input_bytes), r->original_width_px,
        r->original_height_px, megabytes(r->original_bytes));
    if (picture->preview != NULL && r->preview_is_original)
        (void)fputs(", preview the same", out);
    else if (picture->preview != NULL)
        (void)fprintf(out, ", preview %ux%u, %.2f MB", r->preview_width_px,
                      r->preview_height_px, megabytes(r->preview_bytes));
    (void)fprintf(out, "; %lld ms", (long long)picture->elapsed_ms);
    if (r->decodes > 1)
        (void)fprintf(out, ", %u decodes", r->decodes);
    if (r->colour_converted)
        (void)fputs(", colours converted", out);
    if (r->idat_copied)
        (void)fputs(", pixel data copied", out);
    if (cut_percent(r) > 0)
        (void)fprintf(out, ", %u %% cut off", cut_percent(r));
    (void)fputc('\n', out);
}

/* No decoder was asked: nobody wants this type. */
static bool is_unwanted(const struct convert_picture *picture)
{
    return picture->status == STATUS_IMAGE_UNSUPPORTED &&
           picture->report.decodes == 0;
}

static void print_failure(const struct convert_picture *picture)
{
    static const char *const doing[] = {
        [CONVERT_FINE] = "",
        [CONVERT_BAD_PICTURE] = "",
        [CONVERT_BAD_INPUT] = "cannot be read: ",
        [CONVERT_BAD_OUTPUT] = "cannot be converted here: ",
    };
    char name[NAME_BYTES];

    (void)fprintf(stderr,
                  "darkroom convert: %s: ", shown(picture->input, name));
    if (picture->failed_output != NULL)
        (void)fprintf(stderr,
                      "cannot write %s: ", shown(picture->failed_output, name));
    else
        (void)fputs(doing[picture->fault], stderr);
    (void)fprintf(stderr, "%s (%s)",
                  picture->error != 0 ? strerror(picture->error)
                                      : status_text(picture->status),
                  status_name(picture->status));
    if (is_unwanted(picture))
        (void)fprintf(stderr, "; --%s takes it",
                      image_type_name(picture->report.source_type));
    (void)fputc('\n', stderr);
}

/* ---- for programs */

static void add_result(struct json_out *out,
                       const struct convert_picture *picture)
{
    const struct transcode_report *r = &picture->report;

    json_key(out, "original_width");
    json_int(out, r->original_width_px);
    json_key(out, "original_height");
    json_int(out, r->original_height_px);
    json_key(out, "original_bytes");
    json_int(out, (int64_t)r->original_bytes);
    json_key(out, "preview_width");
    json_int(out, r->preview_width_px);
    json_key(out, "preview_height");
    json_int(out, r->preview_height_px);
    json_key(out, "preview_bytes");
    json_int(out, (int64_t)(r->preview_is_original ? r->original_bytes
                                                   : r->preview_bytes));
    json_key(out, "preview_is_original");
    json_bool(out, r->preview_is_original);
    json_key(out, "colour_converted");
    json_bool(out, r->colour_converted);
    json_key(out, "idat_copied");
    json_bool(out, r->idat_copied);
    json_key(out, "decodes");
    json_int(out, r->decodes);
    json_key(out, "cut_percent");
    json_int(out, cut_percent(r));
}

static void add_source(struct json_out *out, const struct transcode_report *r)
{
    json_key(out, "type");
    json_str(out, image_type_name(r->source_type));
    json_key(out, "width");
    json_int(out, r->source_width_px);
    json_key(out, "height");
    json_int(out, r->source_height_px);
    json_key(out, "orientation");
    json_int(out, r->orientation);
    json_key(out, "progressive");
    json_bool(out, r->progressive);
    json_key(out, "input_bytes");
    json_int(out, (int64_t)r->input_bytes);
}

static enum status make_line(struct buf *line,
                             const struct convert_picture *picture,
                             const char *input)
{
    struct json_out out;

    json_out_init(&out, line);
    json_object(&out);
    json_key(&out, "input");
    json_str(&out, input);
    json_key(&out, "status");
    json_str(&out, status_name(picture->status));
    json_key(&out, "reason");
    json_str(&out, picture->error != 0 ? strerror(picture->error)
                                       : status_text(picture->status));
    json_key(&out, "ms");
    json_int(&out, picture->elapsed_ms);
    if (picture->report.source_width_px > 0)
        add_source(&out, &picture->report);
    if (picture->status == STATUS_OK)
        add_result(&out, picture);
    json_object_end(&out);
    return json_out_finish(&out);
}

/* JSON is UTF-8, names of files need not be. */
static void make_ascii(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80)
            *text = '?';
    }
}

static void print_json(FILE *out, const struct convert_picture *picture)
{
    char input[ATOMICFILE_PATH_BYTES];
    struct buf line;

    if (!str_copy(input, sizeof(input), picture->input))
        return;
    buf_init(&line, LINE_BYTES);
    if (make_line(&line, picture, input) == STATUS_BUG) {
        buf_clear(&line);
        make_ascii(input);
        (void)!make_line(&line, picture, input);
    }
    (void)fprintf(out, "%s\n", buf_str(&line));
    buf_release(&line);
}

/* ---- lines */

void convert_report_picture(struct convert_report *report,
                            const struct convert_picture *picture)
{
    take_bar_away(report);
    if (report->json && !report->quiet)
        print_json(report->out, picture);
    else if (picture->status != STATUS_OK)
        print_failure(picture);
    else if (!report->quiet)
        print_fine(report->out, picture);
    (void)fflush(report->out);
}

enum status convert_report_end(struct convert_report *report)
{
    take_bar_away(report);
    (void)fflush(stderr);
    return fflush(report->out) == 0 && !ferror(report->out) ? STATUS_OK
                                                            : STATUS_IO;
}

/*
 * transcode.h: the one door to the normalizer. Bytes of a picture are pushed in
 * as they come; PNG bytes of the original and of the preview come out through
 * two sinks while they do.
 *
 *   static enum status normalize(FILE *in, const struct transcode_sinks *sinks)
 *   {
 *       struct transcode_options options;
 *       struct transcode *t;
 *       uint8_t bytes[16 * 1024];
 *       enum status status;
 *       size_t len;
 *
 *       transcode_options_default(&options);
 *       status = transcode_new(&t, &options, sinks);
 *       if (status != STATUS_OK)
 *           return status;
 *       status = STATUS_MORE;
 *       while (status == STATUS_MORE &&
 *              (len = fread(bytes, 1, sizeof(bytes), in)) > 0) {
 *           status = transcode_push(t, bytes, len);
 *           while (status == STATUS_AGAIN)   // other work may go first
 *               status = transcode_run(t);
 *       }
 *       if (status == STATUS_MORE)
 *           status = transcode_end(t);
 *       while (status == STATUS_AGAIN)
 *           status = transcode_run(t);
 *       if (status == STATUS_OK)
 *           printf("%ju bytes\n",
 *                  (uintmax_t)transcode_report(t)->original_bytes);
 *       transcode_free(t);
 *       return status;
 *   }
 *
 * Answers of push, run and end:
 *   MORE   everything given was taken, send more or call transcode_end()
 *   AGAIN  a slice of CPU time is used up; call transcode_run() until it
 *          answers something else. Pushing or ending before that is a BUG.
 *   OK     done: both outputs are complete. After a push it means that the
 *          picture ended before its file did; later pushes are swallowed and
 *          answer OK again. transcode_end() answers OK or AGAIN, never MORE.
 *   else   the picture cannot be used, or a sink failed (its own status comes
 *          back). Errors stick: every later call gives the same one.
 *
 * Memory: constant for baseline JPEG and non-interlaced PNG whatever the
 * dimensions; progressive JPEG, interlaced PNG and GIF, WebP and orientations 3
 * to 8 need whole-picture buffers, which are computed from the header and
 * checked against memory_max_bytes before anything is allocated. A PNG that may
 * be copied is kept as it comes, original_max_bytes of it and one push at most,
 * which count against memory_max_bytes too. Bytes given to push are borrowed
 * for the call; what must be kept is copied.
 *
 * One call works at most about 5 ms (WebP: up to 20, decoder_webp.h), so a
 * caller can share one thread among many pictures. Not thread safe; each
 * picture has its own struct.
 *
 * The outputs hold IHDR, PLTE, tRNS, IDAT, IEND and nothing else. Orientation
 * is baked in. Sizes: original <= original_max_bytes and preview <=
 * preview_max_bytes for every input, by arithmetic (performance-study 6), and
 * of a copy by counting.
 *
 * Copies: of a PNG no longer than original_max_bytes, of 8 bits or less, not
 * interlaced, upright, sRGB and within the box, the original gets the pixel
 * data as they are, in IDATs of its own: at full size even where that is not
 * sure to fit, and packed as well as the source was. All of it is decoded none
 * the less, for the preview and to see that the copy is sound (decoder.h). If
 * it is not, or too long (plan.h), or the input ends early, the picture is done
 * once more from the kept bytes and not copied: what can be decoded is taken.
 *
 * What a copy can tell: nothing but one zlib stream is copied, whose output is
 * the rows and whose end is the end of the data. So whatever careless programs
 * leave behind the stream, the last row or IEND (CVE-2023-21036: the part of a
 * screenshot that was cropped away) stays behind. Inside the stream an encoder
 * has choices: matches, code lengths, empty blocks, up to 7 bits of padding
 * before a stored block. Someone who means to can hide bytes there, as in the
 * lowest bits of the pixels, which survive any packing; they are his to give
 * away. No program puts there what its user does not know of, so they are not
 * searched, which would take a second inflater.
 */
#ifndef DARKROOM_IMAGE_TRANSCODE_H
#define DARKROOM_IMAGE_TRANSCODE_H

#include "../base.h"
#include "../status.h"

enum image_type {
    IMAGE_TYPE_UNKNOWN,
    IMAGE_TYPE_JPEG,
    IMAGE_TYPE_PNG,
    IMAGE_TYPE_WEBP,
    IMAGE_TYPE_GIF,
};

/* How large the original becomes (design section 5). All keep its ceiling. */
enum transcode_mode {
    /* Full size if it is sure to fit or a copy, else a size that is sure: no
     * prediction. The default. */
    TRANSCODE_FIT,
    /* As many pixels as the ceiling allows: the size is predicted, and the
     * picture done once more from its kept bytes where the guess was too high
     * (a third time, at a sure size, where that was too high again). The kept
     * bytes count against memory_max_bytes: beyond it, and without
     * sinks.restart, this is FIT. */
    TRANSCODE_MAX,
    /* Within box_width_px x box_height_px, after rotation; never enlarged. */
    TRANSCODE_BOX,
};

/* All must be set; transcode_options_default() fills them from limits.h. */
struct transcode_options {
    size_t input_max_bytes;
    size_t original_max_bytes;
    size_t preview_max_bytes;
    size_t memory_max_bytes; /* whole-picture buffers, all together */
    size_t chunk_max_bytes;  /* largest PNG chunk that must be held */
    uint64_t pixels_max;
    uint32_t width_max_px;
    uint32_t height_max_px;
    uint32_t preview_side_max_px; /* longer side of the preview */
    uint32_t scans_max;           /* progressive JPEG */
    int64_t slice_px;             /* source pixels of work in one call */
    /* Length of the input if it is known beforehand (Content-Length), else 0.
     * More than that is TOO_LARGE. TRANSCODE_MAX works without, but only once
     * all input is there, which then counts against memory_max_bytes. */
    size_t input_bytes_hint;
    enum transcode_mode mode;
    uint32_t box_width_px; /* TRANSCODE_BOX, else ignored */
    uint32_t box_height_px;
    /* A picture that ends early is delivered, the missing part gray, when at
     * least this share of its rows was decoded; 0: it is refused. */
    uint8_t truncated_min_percent;
    bool webp; /* take WebP; off: IMAGE_UNSUPPORTED */
    bool gif;  /* take the first frame of a GIF */
};

/* Takes all `len` bytes or fails; the status comes back from push/run/end.
 * Bytes are borrowed for the call. */
typedef enum status transcode_sink_fn(void *arg, const uint8_t *bytes,
                                      size_t len);

struct transcode_sinks {
    transcode_sink_fn *original;
    void *original_arg;
    transcode_sink_fn *preview; /* not called if preview_is_original */
    void *preview_arg;
    /* Forget what was written so far, it starts anew. Called with the arg of
     * each output. Optional: without it there are no guesses and no copies. */
    enum status (*restart)(void *arg);
};

/* Fields are 0 until they are known; source fields are known once
 * source_width_px is not 0, which is before the first pixel is decoded. */
struct transcode_report {
    enum image_type source_type;
    uint32_t source_width_px, source_height_px; /* as stored, not rotated */
    uint8_t orientation;                        /* 1 to 8 */
    bool progressive;         /* progressive JPEG or interlaced PNG, GIF */
    bool preview_is_original; /* one file serves as both */
    bool colour_converted;    /* was not sRGB */
    bool idat_copied;         /* the pixel data are those of the source */
    uint8_t decodes;          /* 1; more: a guess or a copy was in vain */
    uint8_t decoded_percent;  /* of the rows; below 100: it was cut */
    uint32_t original_width_px, original_height_px;
    uint32_t preview_width_px, preview_height_px;
    uint64_t input_bytes, original_bytes, preview_bytes;
};

struct transcode;

void transcode_options_default(struct transcode_options *options);

/* `options` and `sinks` are copied; the sinks' args are borrowed until
 * transcode_free(). */
enum status transcode_new(struct transcode **out,
                          const struct transcode_options *options,
                          const struct transcode_sinks *sinks) MUST_CHECK;
void transcode_free(struct transcode *t);

enum status transcode_push(struct transcode *t, const uint8_t *bytes,
                           size_t len) MUST_CHECK;
enum status transcode_run(struct transcode *t) MUST_CHECK;
enum status transcode_end(struct transcode *t) MUST_CHECK;

/* Valid until transcode_free(); fills up as the picture is read. */
const struct transcode_report *transcode_report(const struct transcode *t);

/* "jpeg", "png", "webp", "gif" or "unknown". */
const char *image_type_name(enum image_type type);

#endif

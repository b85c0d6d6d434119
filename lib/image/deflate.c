/*
 * deflate.c: input is gathered into segments of at most 64 KB; each segment is
 * compressed and flushed to a byte boundary, and if that came out longer than
 * the segment itself, a stored block takes its place.
 *
 *   78 01 | segment ... | 03 00 | Adler-32
 *
 * Runs cannot tell a line of text from one like it before, nor can their
 * length: it is that of a photo. So one piece in 16 segments is packed with
 * matches, too (1 % of the time of a photo's job), and what is shorter packs
 * the next ones. Pages of text become 29 % smaller by that, photos stay as they
 * are.
 *
 * The window of the matcher is made of input, so it stays right whichever form
 * was sent; where segments pass it by it begins anew with each. The bound on
 * the whole is thus arithmetic (5 bytes a segment, RFC 1951 3.2.4) and owes
 * nothing to the compressor: ISA-L by itself falls back to stored blocks only
 * while the block is still in its 32 KB window. Flushing each segment costs it
 * 0.1 % of size and 3 % of time (9 MB of a photo).
 */
#include "deflate.h"

#include "runs.h"

#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#else
#include <zlib.h>
#endif

#define SEGMENT_BYTES RUNS_SEGMENT_MAX /* what one stored block holds */
#define STORED_HEAD_BYTES 5
#define ROOM_BYTES (SEGMENT_BYTES + STORED_HEAD_BYTES)
#define STREAM_HEAD_BYTES 2
#define STREAM_TAIL_BYTES 6 /* empty last block, Adler-32 */

/* DEFLATE_RUNS: so much of one in so many segments is tried with matches; they
 * have to be shorter by an eighth. */
#define SAMPLE_BYTES (16 * 1024)
#define SAMPLE_SEGMENTS 16
#define SAMPLE_FIRST 3 /* behind a page's margin */
#define SAMPLE_GAIN 8

/* Finds matches: raw deflate, one flushed segment at a time. */
struct matcher {
#ifdef HAVE_ISAL
    struct isal_zstream stream;
    uint8_t level[ISAL_DEF_LVL2_DEFAULT];
#else
    z_stream stream;
    int flush;
#endif
    uint8_t room[ROOM_BYTES];
};

struct deflate {
    struct byte_sink sink;
    struct runs *runs;       /* NULL: matches only */
    struct matcher *matcher; /* NULL: not needed yet */
    bool repeats;            /* for now matches are shorter than runs */
    size_t segments;
    uint32_t adler;
    bool begun;
    size_t fill;
    uint8_t segment[SEGMENT_BYTES];
    uint8_t room[ROOM_BYTES + RUNS_SLACK_BYTES]; /* of runs */
};

/* ---- matches */

#ifdef HAVE_ISAL

static enum status matcher_init(struct matcher *m, bool forgets)
{
    isal_deflate_init(&m->stream);
    m->stream.level = 2;
    m->stream.level_buf = m->level;
    m->stream.level_buf_size = sizeof(m->level);
    m->stream.gzip_flag = IGZIP_DEFLATE;
    m->stream.flush = forgets ? FULL_FLUSH : SYNC_FLUSH;
    return STATUS_OK;
}

static void matcher_release(struct matcher *m)
{
    (void)m;
}

/* One step, as much as there is room for. */
static enum status matcher_step(struct matcher *m)
{
    return isal_deflate(&m->stream) == COMP_OK ? STATUS_OK : STATUS_BUG;
}

static uint32_t adler32_add(uint32_t adler, const uint8_t *bytes, size_t len)
{
    return isal_adler32(adler, bytes, len);
}

uint32_t deflate_crc32(uint32_t crc, const uint8_t *bytes, size_t len)
{
    return crc32_gzip_refl(crc, bytes, len);
}

#else /* zlib */

static enum status matcher_init(struct matcher *m, bool forgets)
{
    int code =
        deflateInit2(&m->stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);

    m->flush = forgets ? Z_FULL_FLUSH : Z_SYNC_FLUSH;
    return code == Z_OK ? STATUS_OK : STATUS_NO_MEMORY;
}

static void matcher_release(struct matcher *m)
{
    (void)deflateEnd(&m->stream);
}

static enum status matcher_step(struct matcher *m)
{
    int code = deflate(&m->stream, m->flush);

    /* BUF_ERROR: the room was filled to its last byte before, no more left */
    return code == Z_OK || code == Z_BUF_ERROR ? STATUS_OK : STATUS_BUG;
}

static uint32_t adler32_add(uint32_t adler, const uint8_t *bytes, size_t len)
{
    return (uint32_t)adler32(adler, bytes, (uInt)len);
}

uint32_t deflate_crc32(uint32_t crc, const uint8_t *bytes, size_t len)
{
    return (uint32_t)crc32(crc, bytes, (uInt)len);
}

#endif

/* ---- segments */

static enum status emit(struct deflate *d, const uint8_t *bytes, size_t len)
{
    return d->sink.write(d->sink.arg, bytes, len);
}

static enum status send_stored(struct deflate *d)
{
    uint8_t head[STORED_HEAD_BYTES] = {
        0,
        (uint8_t)d->fill,
        (uint8_t)(d->fill >> 8),
        (uint8_t)~d->fill,
        (uint8_t)(~d->fill >> 8),
    };
    enum status status = emit(d, head, sizeof(head));

    return status == STATUS_OK ? emit(d, d->segment, d->fill) : status;
}

/*
 * All of the matcher's output has to be fetched even when it is already known
 * to be too long, or the next segment would begin in the middle of it.
 */
static enum status match(struct matcher *m, const uint8_t *bytes, size_t count,
                         size_t *len)
{
    enum status status;

    *len = 0;
    m->stream.next_in = (uint8_t *)(uintptr_t)bytes; /* zlib's lacks a const */
    m->stream.avail_in = (uint32_t)count;
    do {
        m->stream.next_out = m->room;
        m->stream.avail_out = ROOM_BYTES;
        status = matcher_step(m);
        if (status != STATUS_OK)
            return status;
        *len += ROOM_BYTES - m->stream.avail_out;
    } while (m->stream.avail_out == 0);
    if (*len > count + STORED_HEAD_BYTES)
        *len = 0;
    return STATUS_OK;
}

/* `forgets`: no match reaches back into the segment before, so segments may be
 * left out. */
static enum status new_matcher(struct matcher **out, bool forgets)
{
    struct matcher *m = calloc(1, sizeof(*m));
    enum status status;

    if (m == NULL)
        return STATUS_NO_MEMORY;
    status = matcher_init(m, forgets);
    if (status == STATUS_OK)
        *out = m;
    else
        free(m);
    return status;
}

/* Compares the middle of a segment with what runs made of all of it. */
static enum status take_sample(struct deflate *d, size_t run)
{
    size_t count = size_min(d->fill, SAMPLE_BYTES);
    const uint8_t *bytes = d->segment + (d->fill - count) / 2;
    enum status status = STATUS_OK;
    size_t matched;

    if (d->matcher == NULL)
        status = new_matcher(&d->matcher, true);
    if (status == STATUS_OK)
        status = match(d->matcher, bytes, count, &matched);
    if (status == STATUS_OK)
        d->repeats =
            matched > 0 && matched * d->fill / count < run - run / SAMPLE_GAIN;
    return status;
}

/* `len` 0: as short as it is. */
static enum status pack_segment(struct deflate *d, const uint8_t **packed,
                                size_t *len)
{
    bool is_sampled = d->segments++ % SAMPLE_SEGMENTS == SAMPLE_FIRST;

    if (d->runs != NULL && (is_sampled || !d->repeats)) {
        enum status status = STATUS_OK;

        *packed = d->room;
        *len = runs_encode(d->runs, d->segment, d->fill, d->room,
                           d->fill + STORED_HEAD_BYTES);
        if (is_sampled)
            status = take_sample(d, *len > 0 ? *len : d->fill);
        if (status != STATUS_OK || !d->repeats)
            return status;
    }
    *packed = d->matcher->room;
    return match(d->matcher, d->segment, d->fill, len);
}

static enum status send_segment(struct deflate *d)
{
    const uint8_t *packed;
    enum status status;
    size_t len;

    d->adler = adler32_add(d->adler, d->segment, d->fill);
    status = pack_segment(d, &packed, &len);
    if (status != STATUS_OK)
        return status;
    status = len > 0 ? emit(d, packed, len) : send_stored(d);
    d->fill = 0;
    return status;
}

/* ---- the stream */

static enum status new_runs(struct runs **out)
{
    *out = runs_new();
    return *out != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status deflate_new(struct deflate **out, enum deflate_kind kind,
                        const struct byte_sink *sink)
{
    struct deflate *d = calloc(1, sizeof(*d));
    enum status status;

    if (d == NULL)
        return STATUS_NO_MEMORY;
    d->sink = *sink;
    d->adler = 1;
    status = kind == DEFLATE_RUNS ? new_runs(&d->runs)
                                  : new_matcher(&d->matcher, false);
    if (status != STATUS_OK) {
        free(d);
        return status;
    }
    *out = d;
    return STATUS_OK;
}

void deflate_free(struct deflate *d)
{
    if (d == NULL)
        return;
    if (d->matcher != NULL)
        matcher_release(d->matcher);
    free(d->matcher);
    runs_free(d->runs);
    free(d);
}

/* Deflate, 32 KB window, fastest, no dictionary (RFC 1950 2.2). */
static enum status send_head(struct deflate *d)
{
    static const uint8_t head[STREAM_HEAD_BYTES] = {0x78, 0x01};

    if (d->begun)
        return STATUS_OK;
    d->begun = true;
    return emit(d, head, sizeof(head));
}

enum status deflate_write(struct deflate *d, const uint8_t *bytes, size_t len)
{
    enum status status = send_head(d);

    while (status == STATUS_OK && len > 0) {
        size_t part = size_min(len, SEGMENT_BYTES - d->fill);

        memcpy(d->segment + d->fill, bytes, part);
        d->fill += part;
        bytes += part;
        len -= part;
        if (d->fill == SEGMENT_BYTES)
            status = send_segment(d);
    }
    return status;
}

enum status deflate_finish(struct deflate *d)
{
    enum status status = send_head(d);
    uint8_t tail[STREAM_TAIL_BYTES] = {0x03, 0x00};

    if (status == STATUS_OK && d->fill > 0)
        status = send_segment(d);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < 4; i++)
        tail[2 + i] = (uint8_t)(d->adler >> (24 - 8 * i));
    return emit(d, tail, sizeof(tail));
}

bool deflate_bound(size_t len, size_t *out)
{
    size_t segments = len / SEGMENT_BYTES + (len % SEGMENT_BYTES > 0);

    return size_add(len, segments * STORED_HEAD_BYTES, &len) &&
           size_add(len, STREAM_HEAD_BYTES + STREAM_TAIL_BYTES, out);
}

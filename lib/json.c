/*
 * json.c: yajl's callbacks turned into one event with a path.
 *
 * The path is a stack of steps. A step is pushed when an object or array
 * begins, renamed at each key, counted up at each array element, and popped at
 * the end. yajl is fed in one call: the body is in memory anyway and bounded by
 * the caller. A handler's refusal and a bound that was hit are kept in the
 * reader and win over yajl's own "client cancelled".
 */
#include "json.h"

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "utf8.h"

struct reader {
    json_event_fn *fn;
    void *arg;
    yajl_handle handle;
    enum status status;
    size_t depth;                  /* steps in path */
    bool in_array[JSON_DEPTH_MAX]; /* of the same step */
    struct json_step path[JSON_DEPTH_MAX];
};

/* An element of an array counts its position up before it is reported. */
static void next_element(struct reader *reader)
{
    if (reader->depth > 0 && reader->in_array[reader->depth - 1])
        reader->path[reader->depth - 1].index++;
}

static int emit(struct reader *reader, struct json_event *event)
{
    event->path = reader->path;
    event->depth = reader->depth;
    event->offset = yajl_get_bytes_consumed(reader->handle);
    reader->status = reader->fn(reader->arg, event);
    return reader->status == STATUS_OK;
}

static int emit_value(struct reader *reader, struct json_event *event)
{
    next_element(reader);
    return emit(reader, event);
}

static int on_null(void *ctx)
{
    return emit_value(ctx, &(struct json_event){.kind = JSON_NULL});
}

static int on_boolean(void *ctx, int value)
{
    return emit_value(ctx,
                      &(struct json_event){.kind = JSON_BOOL, .num = value});
}

static int on_number(void *ctx, const char *text, size_t len)
{
    struct reader *reader = ctx;
    struct json_event event = {.kind = JSON_NUMBER, .str = text, .len = len};
    char digits[24];

    if (len > JSON_STRING_MAX_BYTES) {
        reader->status = STATUS_TOO_LARGE;
        return 0;
    }
    if (str_copy_n(digits, sizeof(digits), text, len) &&
        str_to_int64(digits, INT64_MIN, INT64_MAX, &event.num))
        event.kind = JSON_INT;
    return emit_value(reader, &event);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    struct reader *reader = ctx;

    if (len > JSON_STRING_MAX_BYTES) {
        reader->status = STATUS_TOO_LARGE;
        return 0;
    }
    return emit_value(reader, &(struct json_event){.kind = JSON_STR,
                                                   .str = (const char *)text,
                                                   .len = len});
}

static int begin(struct reader *reader, enum json_kind kind)
{
    if (!emit_value(reader, &(struct json_event){.kind = kind}))
        return 0;
    if (reader->depth == JSON_DEPTH_MAX) {
        reader->status = STATUS_TOO_LARGE;
        return 0;
    }
    reader->path[reader->depth] = (struct json_step){.index = -1};
    reader->in_array[reader->depth] = kind == JSON_ARRAY_BEGIN;
    reader->depth++;
    return 1;
}

static int end(struct reader *reader, enum json_kind kind)
{
    reader->depth--;
    return emit(reader, &(struct json_event){.kind = kind});
}

static int on_map_begin(void *ctx)
{
    return begin(ctx, JSON_OBJECT_BEGIN);
}

static int on_map_end(void *ctx)
{
    return end(ctx, JSON_OBJECT_END);
}

static int on_array_begin(void *ctx)
{
    return begin(ctx, JSON_ARRAY_BEGIN);
}

static int on_array_end(void *ctx)
{
    return end(ctx, JSON_ARRAY_END);
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    struct reader *reader = ctx;
    struct json_step *step = &reader->path[reader->depth - 1];

    if (memchr(text, '\0', len) != NULL ||
        !str_copy_n(step->key, sizeof(step->key), (const char *)text, len))
        step->key[0] = '\0';
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_map_begin,
    .yajl_map_key = on_key,
    .yajl_end_map = on_map_end,
    .yajl_start_array = on_array_begin,
    .yajl_end_array = on_array_end,
};

enum status json_read(const void *bytes, size_t len, json_event_fn *fn,
                      void *arg)
{
    struct reader reader = {.fn = fn, .arg = arg, .status = STATUS_OK};
    yajl_handle handle = yajl_alloc(&callbacks, NULL, &reader);
    yajl_status result;

    if (handle == NULL)
        return STATUS_NO_MEMORY;
    reader.handle = handle;
    result = yajl_parse(handle, bytes, len);
    if (result == yajl_status_ok)
        result = yajl_complete_parse(handle);
    yajl_free(handle);
    if (reader.status != STATUS_OK)
        return reader.status;
    return result == yajl_status_ok ? STATUS_OK : STATUS_BAD_INPUT;
}

/* Compares one step with the pattern's segment of `len` bytes. */
static bool step_is(const struct json_step *step, const char *segment,
                    size_t len)
{
    if (len == 1 && *segment == '#')
        return step->index >= 0;
    if (step->index >= 0)
        return false;
    if (len == 1 && *segment == '*')
        return true;
    return strlen(step->key) == len && memcmp(step->key, segment, len) == 0;
}

bool json_path_is(const struct json_event *event, const char *pattern)
{
    size_t depth = 0;

    while (*pattern != '\0') {
        size_t len = strcspn(pattern, ".");

        if (depth == event->depth ||
            !step_is(&event->path[depth], pattern, len))
            return false;
        depth++;
        pattern += len;
        if (*pattern == '.')
            pattern++;
    }
    return depth == event->depth;
}

bool json_copy_str(const struct json_event *event, char *dst, size_t size)
{
    return event->kind == JSON_STR &&
           memchr(event->str, '\0', event->len) == NULL &&
           str_copy_n(dst, size, event->str, event->len);
}

/* ---- writing */

static void append(void *ctx, const char *text, size_t len)
{
    struct json_out *out = ctx;

    if (out->status == STATUS_OK)
        out->status = buf_append(out->buf, text, len);
}

static void note(struct json_out *out, yajl_gen_status result)
{
    if (out->status == STATUS_OK && result != yajl_gen_status_ok)
        out->status = STATUS_BUG;
}

void json_out_init(struct json_out *out, struct buf *buf)
{
    *out = (struct json_out){.buf = buf, .status = STATUS_OK};
    out->gen = yajl_gen_alloc(NULL);
    if (out->gen == NULL) {
        out->status = STATUS_NO_MEMORY;
        return;
    }
    yajl_gen_config(out->gen, yajl_gen_print_callback, append, out);
    yajl_gen_config(out->gen, yajl_gen_validate_utf8, 1);
}

void json_object(struct json_out *out)
{
    if (out->status == STATUS_OK)
        note(out, yajl_gen_map_open(out->gen));
}

void json_object_end(struct json_out *out)
{
    if (out->status == STATUS_OK)
        note(out, yajl_gen_map_close(out->gen));
}

void json_array(struct json_out *out)
{
    if (out->status == STATUS_OK)
        note(out, yajl_gen_array_open(out->gen));
}

void json_array_end(struct json_out *out)
{
    if (out->status == STATUS_OK)
        note(out, yajl_gen_array_close(out->gen));
}

static void put_str(struct json_out *out, const char *value)
{
    note(out, yajl_gen_string(out->gen, (const unsigned char *)value,
                              strlen(value)));
}

/* Of others' words, cut somewhere: one broken character must not be the end of
 * all that is told beside it. */
static void put_cleaned(struct json_out *out, const char *value)
{
    char *copy = strdup(value);

    if (copy == NULL) {
        out->status = STATUS_NO_MEMORY;
        return;
    }
    utf8_clean(copy);
    put_str(out, copy);
    free(copy);
}

void json_str(struct json_out *out, const char *value)
{
    if (out->status != STATUS_OK)
        return;
    if (utf8_is_valid(value)) /* yajl lets surrogates and overlong ones pass */
        put_str(out, value);
    else
        put_cleaned(out, value);
}

void json_key(struct json_out *out, const char *key)
{
    json_str(out, key);
}

void json_int(struct json_out *out, int64_t value)
{
    if (out->status == STATUS_OK)
        note(out, yajl_gen_integer(out->gen, value));
}

void json_bool(struct json_out *out, bool value)
{
    if (out->status == STATUS_OK)
        note(out, yajl_gen_bool(out->gen, value));
}

void json_null(struct json_out *out)
{
    if (out->status == STATUS_OK)
        note(out, yajl_gen_null(out->gen));
}

enum status json_out_finish(struct json_out *out)
{
    if (out->gen != NULL)
        yajl_gen_free(out->gen);
    out->gen = NULL;
    return out->status;
}

/*
 * json.h: bounded JSON in and out; the only user of yajl.
 *
 * Reading is a stream of events, never a tree: yajl's tree interface leaks on
 * some inputs and has no bounds, its parser has no depth or size bound either,
 * so both are enforced here (JSON_DEPTH_MAX, JSON_STRING_MAX_BYTES).
 *
 *   static enum status on_value(void *arg, const struct json_event *event);
 *   status = json_read(bytes, len, on_value, arg);
 *
 * Each event carries its path: the keys and array positions that lead to it,
 * root first. json_path_is(event, "message.id") compares the whole path, where
 * "*" stands for any one key and "#" for any one array position. Paths deeper
 * than the handler cares for cost nothing.
 *
 * Writing is append-only to a buf:
 *
 *   struct json_out out;
 *   json_out_init(&out, &buf);
 *   json_object(&out);
 *   json_key(&out, "to");  json_str(&out, user);
 *   json_object_end(&out);
 *   status = json_out_finish(&out);         OK, or the first error of all calls
 */
#ifndef DARKROOM_JSON_H
#define DARKROOM_JSON_H

#include "base.h"
#include "buf.h"
#include "limits.h"
#include "status.h"

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,    /* fits int64_t */
    JSON_NUMBER, /* any other number, as text in str */
    JSON_STR,    /* UTF-8, escapes decoded; may hold '\0' bytes */
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
};

struct json_step {
    char key[48];  /* of a member; "" in an array, and for a longer key */
    int64_t index; /* of an array element; -1 in an object */
};

/* Borrowed for the call: nothing in it lives longer. For the four *_BEGIN and
 * *_END kinds the path is that of the object or array itself. */
struct json_event {
    enum json_kind kind;
    const struct json_step *path;
    size_t depth;    /* steps in path; 0 for the root value */
    const char *str; /* JSON_STR and JSON_NUMBER; not terminated */
    size_t len;
    int64_t num;   /* JSON_INT, JSON_BOOL */
    size_t offset; /* *_BEGIN, *_END: of the byte after the bracket */
};

/* Anything but STATUS_OK stops the reading, which then returns it. */
typedef enum status json_event_fn(void *arg, const struct json_event *event);

/* Reads exactly one JSON value with only white space around it. BAD_INPUT for
 * malformed JSON or UTF-8, TOO_LARGE beyond a bound. */
enum status json_read(const void *bytes, size_t len, json_event_fn *fn,
                      void *arg) MUST_CHECK;

bool json_path_is(const struct json_event *event, const char *pattern);

/* Copies a JSON_STR without '\0' inside into dst; false if it does not fit or
 * is not such a string. */
bool json_copy_str(const struct json_event *event, char *dst, size_t size);

struct json_out {
    struct buf *buf;
    void *gen;          /* private: yajl_gen */
    enum status status; /* first error */
};

void json_out_init(struct json_out *out, struct buf *buf);
void json_object(struct json_out *out);
void json_object_end(struct json_out *out);
void json_array(struct json_out *out);
void json_array_end(struct json_out *out);
void json_key(struct json_out *out, const char *key);

/* A text that is no UTF-8 is written as utf8_clean() leaves it. */
void json_str(struct json_out *out, const char *value);
void json_int(struct json_out *out, int64_t value);
void json_bool(struct json_out *out, bool value);
void json_null(struct json_out *out);

/* Ends the writing and frees what it took; the text is in the buf. */
enum status json_out_finish(struct json_out *out) MUST_CHECK;

#endif

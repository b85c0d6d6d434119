/*
 * rules.h: what LINE accepts as the body of a reply, a push and a loading
 * request. Pure: bytes in, verdict out; tokens, clocks and users are the
 * state's business.
 *
 *   struct message_request request;
 *   status = rules_parse_messages(RULES_REPLY, body, len, &request);
 *   if (request.problem_count > 0) ... 400 with details
 *   message_request_release(&request);
 *
 * Stricter than LINE in one way: a member that the schema of a reply, a push, a
 * text or an image message does not have is refused rather than ignored, so
 * that a misspelt name is found here and not by a user. Messages of other types
 * are known by type; their own members are not looked at.
 */
#ifndef SIM_RULES_H
#define SIM_RULES_H

#include "json.h"
#include "sim_limits.h"

#define RULES_PROBLEMS_MAX 10

enum rules_call { RULES_REPLY, RULES_PUSH };

enum rules_message_kind {
    RULES_MESSAGE_UNKNOWN,
    RULES_MESSAGE_IMAGE,
    RULES_MESSAGE_TEXT,
    RULES_MESSAGE_OTHER, /* a type of the schema that is not looked into */
};

struct rules_message {
    enum rules_message_kind kind;
    char original_url[LINE_URL_MAX + 1];
    char preview_url[LINE_URL_MAX + 1];
    bool has_text;
};

/* One entry of "details" in LINE's 400. */
struct rules_problem {
    char property[80];
    char message[120];
};

struct message_request {
    bool is_json;
    char reply_token[REPLY_TOKEN_MAX + 1]; /* RULES_REPLY */
    char to[SOURCE_ID_MAX + 1];            /* RULES_PUSH */
    struct rules_message *messages;
    size_t count; /* at most LINE_MESSAGES_MAX */
    struct rules_problem problems[RULES_PROBLEMS_MAX];
    size_t problem_count; /* 0 = LINE would take it */
};

struct loading_request {
    bool is_json;
    char chat_id[SOURCE_ID_MAX + 1];
    int64_t seconds;
    struct rules_problem problems[RULES_PROBLEMS_MAX];
    size_t problem_count;
};

/* A body of one string member: markAsRead, the webhook's endpoint. */
struct single_request {
    bool is_json;
    char value[LINE_URL_MAX + 1]; /* "" if it was not given */
    struct rules_problem problems[RULES_PROBLEMS_MAX];
    size_t problem_count;
};

/* OK whatever the verdict is; NO_MEMORY otherwise, with nothing to release. */
enum status rules_parse_messages(enum rules_call call, const void *body,
                                 size_t len,
                                 struct message_request *request) MUST_CHECK;
void message_request_release(struct message_request *request);

void rules_parse_loading(const void *body, size_t len,
                         struct loading_request *request);

void rules_parse_single(const char *member, bool needed, const void *body,
                        size_t len, struct single_request *request);

/* NULL if `url` may stand in an image message, else what is wrong with it. */
const char *rules_url_problem(const char *url);

/* 'U', 'C' or 'R' and 32 hexadecimal digits: user, group, room. */
bool rules_is_source_id(const char *id, const char *kinds);

/* 8-4-4-4-12 hexadecimal digits. */
bool rules_is_uuid(const char *s);

#endif

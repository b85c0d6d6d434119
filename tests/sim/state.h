/*
 * state.h: what the platform knows: the message events it sent, their reply
 * tokens, the access tokens and retry keys it gave or took, its settable clock,
 * and what the bot did wrong.
 *
 *   state_new(&state, &options);
 *   state_add_photo(state, &spec, &photo);      registered, not yet sent
 *   state_delivery_begins(state, photo, again)  its token starts to live
 *   state_use_token(state, token, now, &photo)  once, within the minute
 *   state_free(state);
 *
 * One lock guards everything. Functions named state_* take it themselves unless
 * they say "locked". A photo, once added, stays at its address until
 * state_free(); its fields under "changing" are read and written with
 * state_lock() held. state_reset() hides the photos so far and zeroes the
 * totals; threads that still hold a hidden photo do no harm.
 */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include <pthread.h>

#include "behaviour.h"
#include "check_png.h"
#include "map.h"
#include "rate.h"
#include "sim_limits.h"

enum photo_kind {
    PHOTO_IMAGE,    /* message of type image, content at LINE */
    PHOTO_FILE,     /* a picture sent as a file */
    PHOTO_EXTERNAL, /* contentProvider external: no content at LINE */
    PHOTO_OTHER,    /* an event of a body that a test wrote itself */
};

enum photo_source { PHOTO_USER, PHOTO_GROUP, PHOTO_ROOM };

/* An image message that the bot sent as an answer. */
struct answer_image {
    char *original_url;
    char *preview_url;
    bool checked;
    bool ok;
    char why[SIM_WHY_MAX]; /* of a bad one */
    struct png_facts original, preview;
    int64_t original_bytes, preview_bytes;
};

/* Times are milliseconds of the wall clock; 0 = has not happened. */
struct photo {
    /* fixed once it is added */
    size_t index;
    enum photo_kind kind;
    enum photo_source source;
    bool standby;
    char message_id[MESSAGE_ID_MAX + 1];
    char event_id[EVENT_ID_MAX + 1];
    char reply_token[REPLY_TOKEN_MAX + 1]; /* "" = none */
    char user_id[SOURCE_ID_MAX + 1];
    char source_id[SOURCE_ID_MAX + 1]; /* user, group or room */
    char set_id[40];                   /* imageSet; "" = none */
    int set_index, set_total;
    char url_path[128]; /* of the webhook URL, "" = as it is */
    char *file;         /* its content; NULL = none */
    char *external_url; /* PHOTO_EXTERNAL: where it is; NULL = a made-up one */
    int64_t file_bytes;
    int64_t event_ms; /* settable clock: timestamp of the event */

    /* changing */
    struct content_behaviour content;
    struct fault reply_fault, push_fault;
    bool gone; /* taken back by the sender */
    bool token_used;
    int64_t token_since_ms; /* settable clock: last delivery; 0 = never */
    int64_t deliveries;
    int ack_status; /* of the last delivery; 0 = no answer */
    const char *ack_error;
    int64_t ack_us, connect_us;
    int64_t content_requests, bytes_served;
    int64_t reply_requests, push_requests;
    int64_t replies, replies_refused, pushes, loadings, reads;
    int64_t answers;                               /* replies and pushes */
    struct answer_image images[LINE_MESSAGES_MAX]; /* of the last answer */
    size_t image_count, checks_pending;
    size_t text_count, other_count;
    int64_t sent_ms, acked_ms, content_ms, content_done_ms, replied_ms,
        checked_ms;
};

enum endpoint {
    ENDPOINT_REPLY,
    ENDPOINT_PUSH,
    ENDPOINT_LOADING,
    ENDPOINT_INFO,
    ENDPOINT_TOKEN,
    ENDPOINT_READ,
    ENDPOINT_QUOTA,
    ENDPOINT__COUNT
};

struct endpoint_state {
    struct fault fault;
    int64_t tries; /* since the fault was set */
};

enum token_verdict {
    TOKEN_OK,
    TOKEN_UNKNOWN,
    TOKEN_USED,
    TOKEN_EXPIRED,
};

struct violation {
    char kind[32];
    char message_id[MESSAGE_ID_MAX + 1];
    char why[SIM_WHY_MAX];
};

/* Since the start or the last reset. "answered": photos whose first reply or
 * push was accepted and whose URLs were looked at. */
struct totals {
    int64_t webhooks_sent, webhooks_acked, webhooks_failed;
    int64_t content_requests, content_bytes;
    int64_t replies, replies_refused, pushes, loadings, reads;
    int64_t answered, images_good, images_bad;
    int64_t tokens_issued, messages_sent;
    int64_t violations;
};

struct retry_key;

struct state {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something that /sim/wait may wait for */
    bool stopping;

    int64_t offset_ms; /* of the settable clock to the wall clock */
    struct photo **photos;
    size_t count;
    size_t first_visible; /* those before were reset away */
    struct map by_message, by_token, by_source;

    struct content_behaviour content_default;
    struct endpoint_state endpoints[ENDPOINT__COUNT];
    int64_t push_quota; /* -1 = without end */
    struct rates rates;
    int64_t token_life_ms;

    char access_token[TOKEN_MAX + 1];
    char channel_secret[SECRET_MAX + 1];
    char channel_id[MESSAGE_ID_MAX + 1]; /* "" = any */
    char destination[SOURCE_ID_MAX + 1];
    char webhook_url[LINE_WEBHOOK_URL_MAX + 1]; /* as set; "" = unset */
    bool webhook_active;                        /* "Use webhook" */
    struct {
        char token[64];
        int64_t until_ms; /* settable clock */
    } stateless[SIM_STATELESS_MAX];
    size_t stateless_next;

    struct map retry_keys;
    struct retry_key *retry_key_list;
    int64_t last_message_number; /* of the messages the bot sent */

    struct totals totals;
    struct totals hidden_totals;  /* of photos from before the last reset */
    struct violation *violations; /* the first SIM_VIOLATIONS_MAX */
};

/* Borrowed for the call. */
struct state_options {
    const char *access_token;
    const char *channel_secret;
    const char *channel_id; /* NULL = any */
    const char *destination;
    const char *webhook_url; /* NULL = unset */
    int64_t token_life_ms;
};

/* A photo to be; "" or NULL members are given a value of their own. */
struct photo_spec {
    enum photo_kind kind;
    enum photo_source source;
    bool standby;
    const char *message_id, *event_id, *reply_token;
    const char *user_id;   /* NULL = a user of its own */
    const char *source_id; /* of a group or room; NULL = one of its own */
    const char *set_id;
    int set_index, set_total;
    const char *url_path;
    const char *file;
    int64_t file_bytes;
    const struct content_behaviour *content; /* NULL = the default */
    const char *external_url;
    const struct fault *reply_fault; /* NULL = none */
    const struct fault *push_fault;
};

enum status state_new(struct state **out,
                      const struct state_options *options) MUST_CHECK;
void state_free(struct state *state);

void state_lock(struct state *state);
void state_unlock(struct state *state);

/* The settable clock: wall clock plus what was advanced. */
int64_t state_now_ms(struct state *state);
void state_advance_clock(struct state *state, int64_t ms);

/* BUSY: SIM_PHOTOS_MAX reached. DUPLICATE: the message id is taken, *out is
 * the one that has it. */
enum status state_add_photo(struct state *state, const struct photo_spec *spec,
                            struct photo **out) MUST_CHECK;

/* NULL if unknown or reset away. */
struct photo *state_find_message(struct state *state, const char *message_id);

/* The newest photo of a user, group or room; NULL if there is none. */
struct photo *state_find_source(struct state *state, const char *source_id);

/* Before the webhook is sent: the token's minute begins, anew if it is a
 * redelivery. */
void state_delivery_begins(struct state *state, struct photo *photo,
                           int64_t now_ms);

/* What `token` is worth at `now_ms`. On TOKEN_OK it is used up. `photo` is set
 * unless TOKEN_UNKNOWN. */
enum token_verdict state_use_token(struct state *state, const char *token,
                                   int64_t now_ms, struct photo **photo);

/* The photo of a reply token, whatever the token is worth; NULL. */
struct photo *state_find_token(struct state *state, const char *token);

/* True if `bearer` is the channel's token or a living stateless one. */
bool state_knows_bearer(struct state *state, const char *bearer,
                        int64_t now_ms);
void state_add_stateless(struct state *state, const char *token,
                         int64_t now_ms);

/* The channel's long-lived token is replaced; "" keeps it. All stateless ones
 * are refused from now on. BAD_INPUT: too long. */
enum status state_revoke_tokens(struct state *state,
                                const char *access_token) MUST_CHECK;

/* False: one request too many of this kind. */
bool state_take_rate(struct state *state, enum rate_kind kind);

/* The members of `photo`'s image set that are not answered yet, by index, at
 * most `max`; a photo without a set is a set of its own. Locked. */
size_t state_unanswered_of_set(struct state *state, struct photo *photo,
                               struct photo **members, size_t max);

/*
 * The retry key of a push (platform notes 4.2). False if it is new or older
 * than a day: it is then remembered with `request_id` and `message_number`.
 * True if it was accepted before: both are replaced by those of that time, and
 * *same_body tells whether the body was the same.
 */
bool state_retry_key_seen(struct state *state, const char *key, int64_t now_ms,
                          uint64_t body_hash, char request_id[37],
                          int64_t *message_number, bool *same_body);

/* The fault for this request of `endpoint`, photo's own first (NULL = no
 * photo); it is counted. */
struct fault state_next_fault(struct state *state, enum endpoint endpoint,
                              struct photo *photo);
void state_set_fault(struct state *state, enum endpoint endpoint,
                     const struct fault *fault);

/* Reserves `count` numbers for sent messages; the first is returned. */
int64_t state_number_messages(struct state *state, size_t count);

void state_add_violation(struct state *state, const char *kind,
                         const char *message_id, const char *why);

void state_reset(struct state *state);

/* The totals that what happens to `photo` counts in. Locked. */
struct totals *state_totals_of(struct state *state, const struct photo *photo);

/* Adds to one of the totals and wakes those who wait for it. */
void state_count(struct state *state, int64_t *total, int64_t more);

/* Waits until *total reaches `goal`. False: time is over or it stops. */
bool state_wait(struct state *state, const int64_t *total, int64_t goal,
                int64_t timeout_ms);

/* Frees the images of the last answer. Locked. */
void photo_drop_images(struct photo *photo);

/* Wakes all who wait; waits end from now on. */
void state_stop(struct state *state);

#endif

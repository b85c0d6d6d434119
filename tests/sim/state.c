/*
 * state.c: tables behind one lock.
 *
 * A reply token's life (platform notes 4.1):
 *
 *   registered ──delivery──▶ alive for a minute ──▶ expired
 *                              │  ▲                    │
 *                              │  └──redelivery within─┘
 *                              ▼     20 min of the event
 *                            used (for ever)
 *
 * A photo's memory is never given back before the end: other threads may be in
 * the middle of serving it, and their number is bounded.
 */
#include "state.h"

#include <errno.h>

#include "ascii.h"
#include "crypto.h"

#define BUCKETS 65536

struct retry_key {
    struct retry_key *next; /* all of them, for freeing */
    char key[37];
    char request_id[37];
    int64_t accepted_ms;
    int64_t message_number;
    uint64_t body_hash;
};

void state_lock(struct state *state)
{
    (void)pthread_mutex_lock(&state->lock);
}

void state_unlock(struct state *state)
{
    (void)pthread_mutex_unlock(&state->lock);
}

static enum status init_tables(struct state *state)
{
    state->photos = calloc(SIM_PHOTOS_MAX, sizeof(struct photo *));
    state->violations = calloc(SIM_VIOLATIONS_MAX, sizeof(struct violation));
    if (state->photos == NULL || state->violations == NULL ||
        map_init(&state->by_message, BUCKETS) != STATUS_OK ||
        map_init(&state->by_token, BUCKETS) != STATUS_OK ||
        map_init(&state->by_source, BUCKETS) != STATUS_OK ||
        map_init(&state->retry_keys, BUCKETS) != STATUS_OK)
        return STATUS_NO_MEMORY;
    return STATUS_OK;
}

static bool copy_options(struct state *state,
                         const struct state_options *options)
{
    return str_copy(state->access_token, sizeof(state->access_token),
                    options->access_token) &&
           str_copy(state->channel_secret, sizeof(state->channel_secret),
                    options->channel_secret) &&
           str_copy(state->channel_id, sizeof(state->channel_id),
                    options->channel_id != NULL ? options->channel_id : "") &&
           str_copy(state->webhook_url, sizeof(state->webhook_url),
                    options->webhook_url != NULL ? options->webhook_url : "") &&
           str_copy(state->destination, sizeof(state->destination),
                    options->destination);
}

static void init_condition(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static void init_defaults(struct state *state)
{
    content_behaviour_init(&state->content_default);
    for (size_t i = 0; i < ENDPOINT__COUNT; i++) {
        fault_init(&state->endpoints[i].fault);
        state->endpoints[i].tries = 0;
    }
    state->push_quota = -1;
    state->rates = (struct rates){0};
    state->webhook_active = true;
}

enum status state_new(struct state **out, const struct state_options *options)
{
    struct state *state = calloc(1, sizeof(*state));
    enum status status;

    if (state == NULL)
        return STATUS_NO_MEMORY;
    (void)pthread_mutex_init(&state->lock, NULL);
    init_condition(&state->changed);
    init_defaults(state);
    state->last_message_number = 700000000000000000;
    state->token_life_ms = options->token_life_ms;
    status = init_tables(state);
    if (status == STATUS_OK && !copy_options(state, options))
        status = STATUS_TOO_LARGE;
    if (status != STATUS_OK) {
        state_free(state);
        return status;
    }
    *out = state;
    return STATUS_OK;
}

void photo_drop_images(struct photo *photo)
{
    for (size_t i = 0; i < photo->image_count; i++) {
        free(photo->images[i].original_url);
        free(photo->images[i].preview_url);
    }
    photo->image_count = 0;
}

static void free_photo(struct photo *photo)
{
    photo_drop_images(photo);
    free(photo->file);
    free(photo->external_url);
    free(photo);
}

void state_free(struct state *state)
{
    if (state == NULL)
        return;
    map_release(&state->by_message);
    map_release(&state->by_token);
    map_release(&state->by_source);
    map_release(&state->retry_keys);
    while (state->retry_key_list != NULL) {
        struct retry_key *key = state->retry_key_list;

        state->retry_key_list = key->next;
        free(key);
    }
    for (size_t i = 0; i < state->count; i++)
        free_photo(state->photos[i]);
    free(state->photos);
    free(state->violations);
    (void)pthread_cond_destroy(&state->changed);
    (void)pthread_mutex_destroy(&state->lock);
    free(state);
}

int64_t state_now_ms(struct state *state)
{
    int64_t offset_ms;

    state_lock(state);
    offset_ms = state->offset_ms;
    state_unlock(state);
    return wall_ms() + offset_ms;
}

void state_advance_clock(struct state *state, int64_t ms)
{
    state_lock(state);
    state->offset_ms += ms;
    state_unlock(state);
}

/* ---- photos */

static enum status random_hex(char *out, size_t digits)
{
    uint8_t bytes[16];
    enum status status = crypto_random(bytes, sizeof(bytes));

    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < digits; i++)
        out[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 * 4) & 15];
    out[digits] = '\0';
    return STATUS_OK;
}

/* What the spec does not name is made from the photo's number. */
static bool name_photo(struct photo *p, const struct photo_spec *spec)
{
    char message_id[24], event_id[32], user_id[40], group_id[40];
    size_t n = p->index + 1;

    (void)snprintf(message_id, sizeof(message_id), "6%017zu", n);
    (void)snprintf(event_id, sizeof(event_id), "01K2A%021zu", n);
    (void)snprintf(user_id, sizeof(user_id), "U%032zx", n);
    (void)snprintf(group_id, sizeof(group_id), "%c%032zx",
                   spec->source == PHOTO_GROUP ? 'C' : 'R', n);
    if (spec->source_id != NULL &&
        !str_copy(group_id, sizeof(group_id), spec->source_id))
        return false;
    return str_copy(p->message_id, sizeof(p->message_id),
                    spec->message_id != NULL ? spec->message_id : message_id) &&
           str_copy(p->event_id, sizeof(p->event_id),
                    spec->event_id != NULL ? spec->event_id : event_id) &&
           str_copy(p->user_id, sizeof(p->user_id),
                    spec->user_id != NULL ? spec->user_id : user_id) &&
           str_copy(p->source_id, sizeof(p->source_id),
                    spec->source == PHOTO_USER ? p->user_id : group_id) &&
           str_copy(p->set_id, sizeof(p->set_id),
                    spec->set_id != NULL ? spec->set_id : "") &&
           str_copy(p->url_path, sizeof(p->url_path),
                    spec->url_path != NULL ? spec->url_path : "");
}

static enum status fill_photo(struct state *state, struct photo *p,
                              const struct photo_spec *spec)
{
    p->index = state->count;
    p->kind = spec->kind;
    p->source = spec->source;
    p->standby = spec->standby;
    p->set_index = spec->set_index;
    p->set_total = spec->set_total;
    p->event_ms = wall_ms() + state->offset_ms;
    p->content =
        spec->content != NULL ? *spec->content : state->content_default;
    fault_init(&p->reply_fault);
    if (spec->reply_fault != NULL)
        p->reply_fault = *spec->reply_fault;
    fault_init(&p->push_fault);
    if (spec->push_fault != NULL)
        p->push_fault = *spec->push_fault;
    if (!name_photo(p, spec))
        return STATUS_TOO_LARGE;
    if (spec->reply_token != NULL) {
        if (!str_copy(p->reply_token, sizeof(p->reply_token),
                      spec->reply_token))
            return STATUS_TOO_LARGE;
    } else if (!spec->standby) {
        enum status status = random_hex(p->reply_token, 32);

        if (status != STATUS_OK)
            return status;
    }
    p->file_bytes = spec->file_bytes;
    if (spec->file != NULL && (p->file = strdup(spec->file)) == NULL)
        return STATUS_NO_MEMORY;
    if (spec->external_url != NULL &&
        (p->external_url = strdup(spec->external_url)) == NULL)
        return STATUS_NO_MEMORY;
    return STATUS_OK;
}

static enum status index_photo(struct state *state, struct photo *p)
{
    enum status status = map_put(&state->by_message, p->message_id, p);

    if (status == STATUS_OK && p->reply_token[0] != '\0')
        status = map_put(&state->by_token, p->reply_token, p);
    if (status == STATUS_OK)
        status = map_put(&state->by_source, p->source_id, p);
    return status;
}

static struct photo *find_visible(const struct state *state,
                                  const struct map *map, const char *key)
{
    struct photo *photo = map_get(map, key);

    return photo != NULL && photo->index >= state->first_visible ? photo : NULL;
}

static enum status add_photo(struct state *state, const struct photo_spec *spec,
                             struct photo **out)
{
    struct photo *photo;
    enum status status;

    if (state->count == SIM_PHOTOS_MAX)
        return STATUS_BUSY;
    if (spec->message_id != NULL) {
        *out = find_visible(state, &state->by_message, spec->message_id);
        if (*out != NULL)
            return STATUS_DUPLICATE;
    }
    photo = calloc(1, sizeof(*photo));
    if (photo == NULL)
        return STATUS_NO_MEMORY;
    status = fill_photo(state, photo, spec);
    if (status != STATUS_OK) {
        free_photo(photo);
        return status;
    }
    /* From here on the table owns it, even when a map has no room for it. */
    state->photos[state->count++] = photo;
    *out = photo;
    return index_photo(state, photo);
}

enum status state_add_photo(struct state *state, const struct photo_spec *spec,
                            struct photo **out)
{
    enum status status;

    state_lock(state);
    status = add_photo(state, spec, out);
    state_unlock(state);
    return status;
}

static struct photo *find_locking(struct state *state, const struct map *map,
                                  const char *key)
{
    struct photo *photo;

    state_lock(state);
    photo = find_visible(state, map, key);
    state_unlock(state);
    return photo;
}

struct photo *state_find_message(struct state *state, const char *message_id)
{
    return find_locking(state, &state->by_message, message_id);
}

struct photo *state_find_source(struct state *state, const char *source_id)
{
    return find_locking(state, &state->by_source, source_id);
}

struct photo *state_find_token(struct state *state, const char *token)
{
    return find_locking(state, &state->by_token, token);
}

/* A set is registered in one call, so its members are neighbours. */
size_t state_unanswered_of_set(struct state *state, struct photo *photo,
                               struct photo **members, size_t max)
{
    size_t count = 0, first = photo->index;

    if (photo->set_id[0] == '\0') {
        members[0] = photo;
        return 1;
    }
    while (first > 0 && str_eq(state->photos[first - 1]->set_id, photo->set_id))
        first--;
    for (size_t i = first; i < state->count && count < max &&
                           str_eq(state->photos[i]->set_id, photo->set_id);
         i++) {
        if (state->photos[i]->answers == 0 && !state->photos[i]->gone)
            members[count++] = state->photos[i];
    }
    return count;
}

/* ---- reply tokens */

void state_delivery_begins(struct state *state, struct photo *photo,
                           int64_t now_ms)
{
    state_lock(state);
    photo->token_since_ms = now_ms;
    photo->deliveries++;
    if (photo->sent_ms == 0)
        photo->sent_ms = wall_ms();
    state_unlock(state);
}

static bool token_expired(const struct state *state, const struct photo *photo,
                          int64_t now_ms)
{
    if (photo->token_since_ms == 0 ||
        now_ms - photo->token_since_ms > state->token_life_ms)
        return true;
    return photo->deliveries > 1 &&
           now_ms - photo->event_ms > LINE_TOKEN_EVENT_LIFE_MS;
}

static enum token_verdict use_token(const struct state *state,
                                    struct photo *photo, int64_t now_ms)
{
    if (photo->token_used)
        return TOKEN_USED;
    if (token_expired(state, photo, now_ms))
        return TOKEN_EXPIRED;
    photo->token_used = true;
    return TOKEN_OK;
}

enum token_verdict state_use_token(struct state *state, const char *token,
                                   int64_t now_ms, struct photo **photo)
{
    enum token_verdict verdict = TOKEN_UNKNOWN;

    state_lock(state);
    *photo = find_visible(state, &state->by_token, token);
    if (*photo != NULL)
        verdict = use_token(state, *photo, now_ms);
    state_unlock(state);
    return verdict;
}

/* ---- access tokens and retry keys */

static bool knows_stateless(const struct state *state, const char *bearer,
                            int64_t now_ms)
{
    for (size_t i = 0; i < SIM_STATELESS_MAX; i++) {
        if (state->stateless[i].token[0] != '\0' &&
            str_eq(state->stateless[i].token, bearer))
            return now_ms < state->stateless[i].until_ms;
    }
    return false;
}

bool state_knows_bearer(struct state *state, const char *bearer, int64_t now_ms)
{
    bool known;

    state_lock(state);
    known = str_eq(state->access_token, bearer) ||
            knows_stateless(state, bearer, now_ms);
    state_unlock(state);
    return known;
}

void state_add_stateless(struct state *state, const char *token, int64_t now_ms)
{
    size_t i;

    state_lock(state);
    i = state->stateless_next++ % SIM_STATELESS_MAX;
    if (str_copy(state->stateless[i].token, sizeof(state->stateless[i].token),
                 token))
        state->stateless[i].until_ms = now_ms + LINE_STATELESS_LIFE_S * 1000LL;
    state->totals.tokens_issued++;
    state_unlock(state);
}

enum status state_revoke_tokens(struct state *state, const char *access_token)
{
    enum status status = STATUS_OK;

    state_lock(state);
    for (size_t i = 0; i < SIM_STATELESS_MAX; i++)
        state->stateless[i].token[0] = '\0';
    if (access_token[0] != '\0' &&
        !str_copy(state->access_token, sizeof(state->access_token),
                  access_token))
        status = STATUS_BAD_INPUT;
    state_unlock(state);
    return status;
}

bool state_take_rate(struct state *state, enum rate_kind kind)
{
    bool taken;

    state_lock(state);
    taken = rates_take(&state->rates, kind, mono_ms());
    state_unlock(state);
    return taken;
}

/* Locked. NULL when there is no room: the key is then not remembered. */
static struct retry_key *new_retry_key(struct state *state, const char *key)
{
    struct retry_key *entry;

    if (state->retry_keys.count == SIM_RETRY_KEYS_MAX)
        return NULL;
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    if (!str_copy(entry->key, sizeof(entry->key), key) ||
        map_put(&state->retry_keys, entry->key, entry) != STATUS_OK) {
        free(entry);
        return NULL;
    }
    entry->next = state->retry_key_list;
    state->retry_key_list = entry;
    return entry;
}

bool state_retry_key_seen(struct state *state, const char *key, int64_t now_ms,
                          uint64_t body_hash, char request_id[37],
                          int64_t *message_number, bool *same_body)
{
    struct retry_key *entry;
    bool seen;

    state_lock(state);
    entry = map_get(&state->retry_keys, key);
    seen =
        entry != NULL && now_ms - entry->accepted_ms <= LINE_RETRY_KEY_LIFE_MS;
    if (seen) {
        memcpy(request_id, entry->request_id, sizeof(entry->request_id));
        *message_number = entry->message_number;
        *same_body = entry->body_hash == body_hash;
    } else {
        if (entry == NULL)
            entry = new_retry_key(state, key);
        if (entry != NULL) {
            memcpy(entry->request_id, request_id, sizeof(entry->request_id));
            entry->accepted_ms = now_ms;
            entry->message_number = *message_number;
            entry->body_hash = body_hash;
        }
    }
    state_unlock(state);
    return seen;
}

/* ---- faults, violations, totals */

/* A photo's own fault, if it has one. */
static bool own_fault(struct photo *photo, enum endpoint endpoint,
                      struct fault *fault)
{
    bool reply = endpoint == ENDPOINT_REPLY;
    const struct fault *own = reply ? &photo->reply_fault : &photo->push_fault;
    int64_t *requests = reply ? &photo->reply_requests : &photo->push_requests;
    int64_t before = (*requests)++;

    if (own->kind == FAULT_NONE && own->delay_ms == 0)
        return false;
    if (behaviour_applies(own->tries, before))
        *fault = *own;
    return true;
}

struct fault state_next_fault(struct state *state, enum endpoint endpoint,
                              struct photo *photo)
{
    struct endpoint_state *es = &state->endpoints[endpoint];
    bool may_be_own = endpoint == ENDPOINT_REPLY || endpoint == ENDPOINT_PUSH;
    struct fault fault;

    fault_init(&fault);
    state_lock(state);
    if ((photo == NULL || !may_be_own || !own_fault(photo, endpoint, &fault)) &&
        behaviour_applies(es->fault.tries, es->tries++))
        fault = es->fault;
    state_unlock(state);
    return fault;
}

void state_set_fault(struct state *state, enum endpoint endpoint,
                     const struct fault *fault)
{
    state_lock(state);
    state->endpoints[endpoint].fault = *fault;
    state->endpoints[endpoint].tries = 0;
    state_unlock(state);
}

int64_t state_number_messages(struct state *state, size_t count)
{
    int64_t first;

    state_lock(state);
    first = state->last_message_number + 1;
    state->last_message_number += (int64_t)count;
    state->totals.messages_sent += (int64_t)count;
    state_unlock(state);
    return first;
}

void state_add_violation(struct state *state, const char *kind,
                         const char *message_id, const char *why)
{
    state_lock(state);
    if (state->totals.violations < SIM_VIOLATIONS_MAX) {
        struct violation *v = &state->violations[state->totals.violations];

        copy_ascii(v->kind, sizeof(v->kind), kind);
        copy_ascii(v->message_id, sizeof(v->message_id), message_id);
        copy_ascii(v->why, sizeof(v->why), why);
    }
    state->totals.violations++;
    state_unlock(state);
}

struct totals *state_totals_of(struct state *state, const struct photo *photo)
{
    return photo->index >= state->first_visible ? &state->totals
                                                : &state->hidden_totals;
}

void state_count(struct state *state, int64_t *total, int64_t more)
{
    state_lock(state);
    *total += more;
    (void)pthread_cond_broadcast(&state->changed);
    state_unlock(state);
}

bool state_wait(struct state *state, const int64_t *total, int64_t goal,
                int64_t timeout_ms)
{
    int64_t until_ms = mono_ms() + timeout_ms;
    struct timespec until = {.tv_sec = until_ms / 1000,
                             .tv_nsec = until_ms % 1000 * 1000000};
    bool reached;
    int result = 0;

    state_lock(state);
    while (*total < goal && !state->stopping && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&state->changed, &state->lock, &until);
    reached = *total >= goal;
    state_unlock(state);
    return reached;
}

void state_reset(struct state *state)
{
    state_lock(state);
    state->first_visible = state->count;
    state->totals = (struct totals){0};
    state->offset_ms = 0;
    init_defaults(state);
    (void)pthread_cond_broadcast(&state->changed);
    state_unlock(state);
}

void state_stop(struct state *state)
{
    state_lock(state);
    state->stopping = true;
    (void)pthread_cond_broadcast(&state->changed);
    state_unlock(state);
}

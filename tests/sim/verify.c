/*
 * verify.c: a queue of images and a few threads. A later answer to the same
 * photo replaces the images in it, so a check carries its own copy of the URLs
 * and the number of the answer that it belongs to.
 */
#include "verify.h"

#include "fetch.h"

struct check {
    struct check *next;
    struct photo *photo;
    int64_t answer; /* photo->answers when it was taken */
    size_t image;
    char original_url[LINE_URL_MAX + 1];
    char preview_url[LINE_URL_MAX + 1];
};

struct verifier {
    struct verifier_options options;
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool stopping;
    struct check *first, **end;
    pthread_t threads[SIM_VERIFY_THREADS];
    size_t thread_count;
};

/* One fetched file. */
struct finding {
    bool ok;
    char why[SIM_WHY_MAX];
    int64_t bytes;
    struct png_facts png;
};

static void refuse(struct finding *finding, const char *which, const char *why)
{
    finding->ok = false;
    (void)snprintf(finding->why, sizeof(finding->why), "%s: %s", which, why);
}

static void judge_bytes(const struct fetch_result *got, const char *which,
                        struct finding *finding)
{
    const uint8_t *bytes = (const uint8_t *)buf_str(&got->body);
    char why[SIM_WHY_MAX - 20];

    if (str_eq(got->content_type, "image/jpeg")) {
        if (got->body.len < 3 || memcmp(bytes, "\xff\xd8\xff", 3) != 0)
            refuse(finding, which, "image/jpeg, but not a JPEG");
        return;
    }
    if (check_png(bytes, got->body.len, &finding->png, why, sizeof(why)) !=
        STATUS_OK)
        refuse(finding, which, why);
}

static void judge_answer(const struct fetch_result *got, const char *which,
                         struct finding *finding)
{
    char why[SIM_WHY_MAX - 20];

    if (got->error == FETCH_TOO_LARGE) {
        refuse(finding, which, "larger than LINE's limit");
    } else if (got->error != FETCH_OK) {
        (void)snprintf(why, sizeof(why), "%s: %s", fetch_error_name(got->error),
                       got->why);
        refuse(finding, which, why);
    } else if (got->http_status != 200) {
        (void)snprintf(why, sizeof(why), "status %d", got->http_status);
        refuse(finding, which, why);
    } else if (!str_eq(got->content_type, "image/png") &&
               !str_eq(got->content_type, "image/jpeg")) {
        (void)snprintf(why, sizeof(why), "Content-Type %s", got->content_type);
        refuse(finding, which, why);
    } else {
        judge_bytes(got, which, finding);
    }
}

static void look(struct fetch_client *client, const char *url,
                 const char *which, size_t max_bytes, struct finding *finding)
{
    struct fetch_request request = {.url = url,
                                    .user_agent = "line-sim",
                                    .timeout_ms = SIM_FETCH_TIMEOUT_MS,
                                    .max_bytes = max_bytes};
    struct fetch_result got;

    *finding = (struct finding){.ok = true};
    fetch(client, &request, &got);
    finding->bytes = (int64_t)got.body.len;
    judge_answer(&got, which, finding);
    fetch_result_release(&got);
}

/* Locked. The photo's last image is in: it counts as answered, once. */
static void image_done(struct state *state, struct photo *photo, bool good)
{
    struct totals *totals = state_totals_of(state, photo);

    if (good)
        totals->images_good++;
    else
        totals->images_bad++;
    if (--photo->checks_pending == 0 && photo->checked_ms == 0) {
        photo->checked_ms = wall_ms();
        totals->answered++;
    }
    (void)pthread_cond_broadcast(&state->changed);
}

static void keep_findings(struct verifier *verifier, const struct check *check,
                          const struct finding *original,
                          const struct finding *preview)
{
    struct state *state = verifier->options.state;
    bool good = original->ok && preview->ok;

    state_lock(state);
    if (check->photo->answers == check->answer) {
        struct answer_image *image = &check->photo->images[check->image];

        image->checked = true;
        image->ok = good;
        image->original = original->png;
        image->preview = preview->png;
        image->original_bytes = original->bytes;
        image->preview_bytes = preview->bytes;
        (void)snprintf(image->why, sizeof(image->why), "%s",
                       original->ok ? preview->why : original->why);
        image_done(state, check->photo, good);
    }
    state_unlock(state);
}

static void run_check(struct verifier *verifier, struct fetch_client *client,
                      const struct check *check)
{
    struct finding original, preview;
    const char *why;

    look(client, check->original_url, "original", LINE_ORIGINAL_MAX_BYTES,
         &original);
    look(client, check->preview_url, "preview", LINE_PREVIEW_MAX_BYTES,
         &preview);
    why = original.ok ? preview.why : original.why;
    if (!original.ok || !preview.ok)
        state_add_violation(verifier->options.state, "bad_image",
                            check->photo->message_id, why);
    RECORD(verifier->options.recorder, "image",
           REC_STR("message_id", check->photo->message_id),
           REC_STR("verdict", original.ok && preview.ok ? "ok" : "bad_image"),
           REC_STR("why", why), REC_STR("original_url", check->original_url),
           REC_INT("original_bytes", original.bytes),
           REC_INT("width_px", original.png.width_px),
           REC_INT("height_px", original.png.height_px),
           REC_STR("preview_url", check->preview_url),
           REC_INT("preview_bytes", preview.bytes));
    keep_findings(verifier, check, &original, &preview);
}

static struct check *take_check(struct verifier *verifier)
{
    struct check *check;

    (void)pthread_mutex_lock(&verifier->lock);
    while (verifier->first == NULL && !verifier->stopping)
        (void)pthread_cond_wait(&verifier->work, &verifier->lock);
    check = verifier->stopping ? NULL : verifier->first;
    if (check != NULL) {
        verifier->first = check->next;
        if (verifier->first == NULL)
            verifier->end = &verifier->first;
    }
    (void)pthread_mutex_unlock(&verifier->lock);
    return check;
}

static void *run(void *arg)
{
    struct verifier *verifier = arg;
    struct fetch_client *client;
    struct check *check;

    if (fetch_client_new(&client, verifier->options.ca_file) != STATUS_OK)
        return NULL;
    while ((check = take_check(verifier)) != NULL) {
        run_check(verifier, client, check);
        free(check);
    }
    fetch_client_free(client);
    return NULL;
}

static void submit(struct verifier *verifier, struct photo *photo,
                   int64_t answer, size_t index,
                   const struct rules_message *message)
{
    struct check *check = calloc(1, sizeof(*check));

    if (check == NULL)
        return;
    check->photo = photo;
    check->answer = answer;
    check->image = index;
    memcpy(check->original_url, message->original_url,
           sizeof(check->original_url));
    memcpy(check->preview_url, message->preview_url,
           sizeof(check->preview_url));
    (void)pthread_mutex_lock(&verifier->lock);
    *verifier->end = check;
    verifier->end = &check->next;
    (void)pthread_cond_signal(&verifier->work);
    (void)pthread_mutex_unlock(&verifier->lock);
}

/* Locked. `image` is NULL for an answer of text alone. */
static void begin_answer(struct state *state, struct photo *photo,
                         const struct rules_message *image, bool look)
{
    photo->answers++;
    if (photo->replied_ms == 0)
        photo->replied_ms = wall_ms();
    photo_drop_images(photo);
    photo->text_count = photo->other_count = 0;
    photo->checks_pending = 0;
    if (image != NULL) {
        photo->images[0] =
            (struct answer_image){.original_url = strdup(image->original_url),
                                  .preview_url = strdup(image->preview_url)};
        photo->image_count = photo->checks_pending = 1;
    }
    if ((image != NULL && look) || photo->checked_ms != 0)
        return;
    photo->checked_ms = wall_ms();
    state_totals_of(state, photo)->answered++;
    (void)pthread_cond_broadcast(&state->changed);
}

/* Locked. One more image of an answer to a photo that has no set, or more than
 * its set has photos. */
static void add_image(struct photo *photo, const struct rules_message *image)
{
    photo->images[photo->image_count++] =
        (struct answer_image){.original_url = strdup(image->original_url),
                              .preview_url = strdup(image->preview_url)};
    photo->checks_pending++;
}

/* Where each image of an answer belongs. */
struct shares {
    struct photo *photo[LINE_MESSAGES_MAX];
    size_t index[LINE_MESSAGES_MAX]; /* in photo->images */
    int64_t answer[LINE_MESSAGES_MAX];
};

/*
 * Locked. The images of an answer to a set go to its unanswered photos, by
 * index: which picture is which can't be seen from a URL.
 */
static void share_out(struct verifier *verifier, struct photo *photo,
                      const struct message_request *request,
                      struct shares *shares)
{
    struct state *state = verifier->options.state;
    struct photo *members[LINE_MESSAGES_MAX];
    size_t count =
        state_unanswered_of_set(state, photo, members, LINE_MESSAGES_MAX);
    size_t images = 0;

    for (size_t i = 0; i < request->count; i++) {
        const struct rules_message *m = &request->messages[i];
        struct photo *to = images < count ? members[images] : photo;

        if (m->kind != RULES_MESSAGE_IMAGE)
            continue;
        if (images == 0 || images < count)
            begin_answer(state, to, m, verifier->options.enabled);
        else
            add_image(to, m);
        shares->photo[i] = to;
        shares->index[i] = to->image_count - 1;
        shares->answer[i] = to->answers;
        images++;
    }
    if (images == 0)
        begin_answer(state, photo, NULL, false);
    for (size_t i = 0; i < request->count; i++) {
        photo->text_count += request->messages[i].kind == RULES_MESSAGE_TEXT;
        photo->other_count += request->messages[i].kind == RULES_MESSAGE_OTHER;
    }
}

void verifier_take(struct verifier *verifier, struct photo *photo,
                   const struct message_request *request)
{
    struct shares shares;

    state_lock(verifier->options.state);
    share_out(verifier, photo, request, &shares);
    state_unlock(verifier->options.state);
    for (size_t i = 0; verifier->options.enabled && i < request->count; i++) {
        if (request->messages[i].kind == RULES_MESSAGE_IMAGE)
            submit(verifier, shares.photo[i], shares.answer[i], shares.index[i],
                   &request->messages[i]);
    }
}

enum status verifier_start(struct verifier **out,
                           const struct verifier_options *options)
{
    struct verifier *verifier = calloc(1, sizeof(*verifier));

    if (verifier == NULL)
        return STATUS_NO_MEMORY;
    verifier->options = *options;
    verifier->end = &verifier->first;
    (void)pthread_mutex_init(&verifier->lock, NULL);
    (void)pthread_cond_init(&verifier->work, NULL);
    while (options->enabled && verifier->thread_count < SIM_VERIFY_THREADS) {
        if (pthread_create(&verifier->threads[verifier->thread_count], NULL,
                           run, verifier) != 0) {
            verifier_free(verifier);
            return STATUS_BUSY;
        }
        verifier->thread_count++;
    }
    *out = verifier;
    return STATUS_OK;
}

void verifier_free(struct verifier *verifier)
{
    if (verifier == NULL)
        return;
    (void)pthread_mutex_lock(&verifier->lock);
    verifier->stopping = true;
    (void)pthread_cond_broadcast(&verifier->work);
    (void)pthread_mutex_unlock(&verifier->lock);
    for (size_t i = 0; i < verifier->thread_count; i++)
        (void)pthread_join(verifier->threads[i], NULL);
    while (verifier->first != NULL) {
        struct check *check = verifier->first;

        verifier->first = check->next;
        free(check);
    }
    (void)pthread_cond_destroy(&verifier->work);
    (void)pthread_mutex_destroy(&verifier->lock);
    free(verifier);
}

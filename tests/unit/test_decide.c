/*
 * test_decide.c: the table of decisions (tests/data/decisions.tsv), line by
 * line: the next step, and the end that the job comes to when the same fault
 * comes again at each try. Then what no line can say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide.h"
#include "utf8.h"

#define TABLE "tests/data/decisions.tsv"
#define NOW_MS 1790000000000
#define STEPS_MAX 200
#define STAGES 5 /* those of a job, and unsend */

enum column {
    COLUMN_STAGE,
    COLUMN_POLICY,
    COLUMN_SITUATION,
    COLUMN_FAULT,
    COLUMN_STATUS,
    COLUMN_DECISION,
    COLUMN_OUTCOME,
    COLUMN_REASON,
    COLUMN__COUNT,
};

struct row {
    int line;
    char *columns[COLUMN__COUNT];
};

/* A row with one of its statuses. */
struct play {
    const struct row *row;
    struct config_channel channel;
    struct job job;
    struct decide_attempt attempt; /* by the fault */
    char detail[32];
    int64_t now_ms;
    bool is_tried; /* the fault is one of a try */
};

/* ---- reading */

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = strstr(words, word); at != NULL;
         at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') &&
            (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static bool read_row(char *line, struct row *row)
{
    char *rest = NULL;
    size_t count = 0;

    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '#' || line[0] == '\0')
        return false;
    for (char *at = strtok_r(line, "\t", &rest); at != NULL;
         at = strtok_r(NULL, "\t", &rest)) {
        assert_in_range(count, 0, COLUMN__COUNT - 1);
        row->columns[count++] = at;
    }
    assert_int_equal(count, COLUMN__COUNT);
    return true;
}

static enum status status_of(const char *name)
{
    for (int i = 0; i < STATUS__COUNT; i++)
        if (str_eq(status_name((enum status)i), name))
            return (enum status)i;
    fail_msg("no status '%s'", name);
    return STATUS_BUG;
}

static int stage_of(const char *name)
{
    for (int i = 0; i < STAGES - 1; i++)
        if (str_eq(job_stage_name((enum job_stage)i), name))
            return i;
    assert_string_equal(name, "unsend");
    return STAGES - 1;
}

/* ---- setting the scene */

static void set_channel(struct config_channel *channel, const char *policy)
{
    *channel = (struct config_channel){
        .push = has_word(policy, "push"),
        .failure_off = has_word(policy, "quiet"),
        .set_wait_ms = SET_WAIT_DEFAULT_MS,
    };
    if (has_word(policy, "busy"))
        channel->late = CONFIG_LATE_BUSY;
    if (has_word(policy, "late"))
        channel->late = CONFIG_LATE_PUSH;
}

static int64_t age_of(const char *situation)
{
    if (has_word(situation, "late"))
        return REPLY_TOKEN_LIFE_MS - LATE_MARGIN_MS / 2;
    if (has_word(situation, "margin"))
        return REPLY_TOKEN_LIFE_MS - REPLY_MARGIN_MS / 2;
    if (has_word(situation, "over"))
        return REPLY_TOKEN_LIFE_MS + 1000;
    return has_word(situation, "hour") ? PUSH_LIFE_MS + 1 : 0;
}

static void set_stage(struct job *job, const char *name)
{
    int stage = stage_of(name);

    if (stage == STAGES - 1) {
        job->kind = JOB_UNSEND;
        return;
    }
    job->stage = (enum job_stage)stage;
    if (job->stage == JOB_STAGE_FAILURE) {
        job->last_status = STATUS_IMAGE_BROKEN;
        (void)str_copy(job->reason, sizeof(job->reason),
                       status_text(STATUS_IMAGE_BROKEN));
    }
    if (job->stage == JOB_STAGE_PUSH) {
        job->last_status = STATUS_TOKEN_EXPIRED;
        (void)str_copy(job->reason, sizeof(job->reason), "the token is over");
    }
}

static void set_job(struct job *job, const struct row *row)
{
    const char *situation = row->columns[COLUMN_SITUATION];

    *job = (struct job){
        .reply_token = "token",
        .source_id = "U1",
        .received_ms = NOW_MS - age_of(situation),
        .attempts = 1,
        .state = JOB_LEASED,
        .token_spent = has_word(situation, "spent"),
        .reply_in_doubt = has_word(situation, "doubt"),
    };
    if (has_word(situation, "last"))
        job->attempts = JOB_ATTEMPTS_MAX;
    if (has_word(situation, "crashed"))
        job->attempts = JOB_ATTEMPTS_MAX + 1;
    if (has_word(situation, "file"))
        job->kind = JOB_FILE;
    if (has_word(situation, "external"))
        job->kind = JOB_EXTERNAL;
    if (has_word(situation, "set")) {
        (void)str_copy(job->set_id, sizeof(job->set_id), "A1");
        job->set_total = 2;
    }
    set_stage(job, row->columns[COLUMN_STAGE]);
}

static void set_attempt(struct play *play, enum status status)
{
    const struct row *row = play->row;
    const char *situation = row->columns[COLUMN_SITUATION];
    const char *fault = row->columns[COLUMN_FAULT];

    play->attempt = (struct decide_attempt){
        .status = status,
        .detail = play->detail,
        .is_picture = has_word(situation, "picture"),
        .in_doubt = has_word(situation, "doubtful"),
        .random = 4711,
    };
    if (fault[0] >= '4' && fault[0] <= '5')
        (void)snprintf(play->detail, sizeof(play->detail), "HTTP %.3s", fault);
    if (str_eq(fault, "202"))
        (void)str_copy(play->detail, sizeof(play->detail), "HTTP 202");
    if (str_eq(fault, "429+120"))
        play->attempt.retry_after_ms = 120000;
}

/* ---- playing it on */

static struct decision try_stage(struct play *play, bool faulty)
{
    struct decide_attempt attempt = {.status = STATUS_OK, .detail = ""};

    if (faulty)
        attempt = play->attempt;
    attempt.now_ms = play->now_ms;
    attempt.posted_ms = play->now_ms;
    attempt.doubted_before = play->job.reply_in_doubt;
    return decide_tried(&play->job, &play->channel, &attempt);
}

/* At the stage of the row the fault comes again; all else works. */
static struct decision try_as(struct play *play, enum job_stage stage)
{
    bool faulty = play->is_tried &&
                  (int)stage == stage_of(play->row->columns[COLUMN_STAGE]);

    play->job.stage = stage;
    if (stage == JOB_STAGE_FETCH && !faulty) {
        play->job.stage = JOB_STAGE_REPLY;
        return decide_published(&play->job, &play->channel, play->now_ms);
    }
    return try_stage(play, faulty);
}

static struct decision wait_and_claim(struct play *play,
                                      const struct decision *decision)
{
    assert_true(decision->due_ms >= play->now_ms);
    assert_int_equal(decision->state, JOB_READY);
    play->now_ms = decision->due_ms;
    play->job.attempts++;
    return decide_claimed(&play->job, &play->channel, play->now_ms);
}

static struct decision next(struct play *play, const struct decision *decision)
{
    decide_apply(decision, &play->job);
    switch (decision->act) {
    case DECIDE_BUSY:
        play->job.token_spent = true;
        return try_as(play, JOB_STAGE_FETCH);
    case DECIDE_FETCH:
        return try_as(play, JOB_STAGE_FETCH);
    case DECIDE_REPLY:
        return try_as(play, JOB_STAGE_REPLY);
    case DECIDE_TELL:
        return try_as(play, JOB_STAGE_FAILURE);
    case DECIDE_PUSH:
        return try_as(play, JOB_STAGE_PUSH);
    case DECIDE_REMOVE:
        return try_stage(play, play->is_tried);
    case DECIDE_RETRY:
    case DECIDE_PARK:
        return wait_and_claim(play, decision);
    case DECIDE_END:
        break;
    }
    fail();
    return *decision;
}

static struct decision first(struct play *play)
{
    const char *fault = play->row->columns[COLUMN_FAULT];

    if (str_eq(fault, "claim"))
        return decide_claimed(&play->job, &play->channel, play->now_ms);
    if (str_eq(fault, "published"))
        return decide_published(&play->job, &play->channel, play->now_ms);
    if (str_eq(fault, "moment"))
        return decide_late(&play->job, &play->channel);
    return try_stage(play, true);
}

static void expected_reason(const struct row *row, enum status status,
                            char reason[JOB_REASON_MAX + 1])
{
    const char *text = row->columns[COLUMN_REASON];
    const char *hole = strstr(text, "{text}");
    int before = hole != NULL ? (int)(hole - text) : (int)strlen(text);

    if (str_eq(text, "-"))
        before = 0;
    (void)snprintf(reason, JOB_REASON_MAX + 1, "%.*s%s", before, text,
                   hole != NULL ? status_text(status) : "");
}

static void check(const struct row *row, enum status status)
{
    struct play play = {.row = row, .now_ms = NOW_MS};
    char reason[JOB_REASON_MAX + 1];
    struct decision decision;
    int steps = 0;

    print_message("# line %d, %s\n", row->line, status_name(status));
    set_channel(&play.channel, row->columns[COLUMN_POLICY]);
    set_job(&play.job, row);
    play.is_tried = !str_eq(row->columns[COLUMN_STATUS], "-");
    set_attempt(&play, status);
    decision = first(&play);
    assert_string_equal(decide_act_name(decision.act),
                        row->columns[COLUMN_DECISION]);
    while (decision.act != DECIDE_END) {
        assert_in_range(steps++, 0, STEPS_MAX);
        decision = next(&play, &decision);
    }
    assert_string_equal(job_outcome_name(decision.outcome),
                        row->columns[COLUMN_OUTCOME]);
    expected_reason(row, status, reason);
    assert_string_equal(decision.reason, reason);
    assert_int_equal(decision.state, decision.outcome == JOB_OUTCOME_DEAD
                                         ? JOB_DEAD
                                         : JOB_DONE);
}

static void check_row(const struct row *row, bool seen[STAGES][STATUS__COUNT])
{
    int stage = stage_of(row->columns[COLUMN_STAGE]);
    char *rest = NULL;

    for (char *name = strtok_r(row->columns[COLUMN_STATUS], ",", &rest);
         name != NULL; name = strtok_r(NULL, ",", &rest)) {
        enum status status = str_eq(name, "-") ? STATUS_OK : status_of(name);

        check(row, status);
        if (!str_eq(name, "-"))
            seen[stage][status] = true;
    }
}

/* What ends no try: not of a fetch that went well, not of the queue's puts. */
static bool is_no_end(int stage, enum status status)
{
    return status == STATUS_MORE || status == STATUS_AGAIN ||
           status == STATUS_DUPLICATE ||
           (status == STATUS_OK && stage == JOB_STAGE_FETCH);
}

static void test_every_line(void **state)
{
    static bool seen[STAGES][STATUS__COUNT];
    FILE *file = fopen(TABLE, "re");
    char line[1024];
    struct row row = {0};

    (void)state;
    if (file == NULL)
        fail_msg("%s is not here: run me by scripts/check", TABLE);
    while (fgets(line, sizeof(line), file) != NULL) {
        row.line++;
        if (read_row(line, &row))
            check_row(&row, seen);
    }
    (void)fclose(file);
    for (int stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < STATUS__COUNT; i++)
            if (!seen[stage][i] && !is_no_end(stage, (enum status)i))
                fail_msg("no line for stage %d, %s", stage,
                         status_name((enum status)i));
}

/* ---- moments */

static struct job a_job(void)
{
    return (struct job){.reply_token = "token",
                        .source_id = "U1",
                        .received_ms = NOW_MS,
                        .attempts = 1};
}

static void test_late_moment(void **state)
{
    struct config_channel channel = {0};
    struct job job = a_job();
    int64_t moment_ms = NOW_MS + REPLY_TOKEN_LIFE_MS - LATE_MARGIN_MS;

    (void)state;
    assert_int_equal(decide_late_ms(&job, &channel, true), moment_ms);
    channel.failure_off = true;
    assert_int_equal(decide_late_ms(&job, &channel, true), INT64_MAX);
    channel.push = 1;
    channel.late = CONFIG_LATE_BUSY;
    assert_int_equal(decide_late_ms(&job, &channel, true), moment_ms);
    job.set_index = 2;
    assert_int_equal(decide_late_ms(&job, &channel, true), INT64_MAX);
    job.set_index = 1;
    assert_int_equal(decide_late_ms(&job, &channel, true), moment_ms);
    channel.late = CONFIG_LATE_PUSH;
    assert_int_equal(decide_late_ms(&job, &channel, true), INT64_MAX);
    channel = (struct config_channel){0};
    job.kind = JOB_FILE;
    assert_int_equal(decide_late_ms(&job, &channel, false), INT64_MAX);
    assert_int_equal(decide_late_ms(&job, &channel, true), moment_ms);
    job.token_spent = true;
    assert_int_equal(decide_late_ms(&job, &channel, true), INT64_MAX);
    job = a_job();
    job.stage = JOB_STAGE_REPLY;
    assert_int_equal(decide_late_ms(&job, &channel, true), INT64_MAX);
}

/* The pause before it says the busy text is cut, not passed over. */
static void test_retry_does_not_pass_the_moment(void **state)
{
    const struct config_channel channel = {.push = 1, .late = CONFIG_LATE_BUSY};
    struct job job = a_job();
    struct decide_attempt attempt = {.status = STATUS_RATE_LIMITED,
                                     .detail = "",
                                     .retry_after_ms = 120000,
                                     .now_ms = NOW_MS + 1000};
    struct decision decision = decide_tried(&job, &channel, &attempt);

    (void)state;
    assert_int_equal(decision.act, DECIDE_RETRY);
    assert_int_equal(decision.due_ms,
                     NOW_MS + REPLY_TOKEN_LIFE_MS - LATE_MARGIN_MS);
}

static void test_pushes_come_at_growing_distances(void **state)
{
    const struct config_channel channel = {.push = 1};
    struct job job = a_job();
    struct decide_attempt attempt = {
        .status = STATUS_SERVER_ERROR, .detail = "", .now_ms = NOW_MS + 1000};
    struct decision decision;
    int64_t pause_ms = 0;
    int tries = 0;

    (void)state;
    job.stage = JOB_STAGE_PUSH;
    while (decision = decide_tried(&job, &channel, &attempt),
           decision.act == DECIDE_RETRY) {
        pause_ms = decision.due_ms - attempt.now_ms;
        attempt.now_ms = decision.due_ms;
        job.attempts++;
        tries++;
    }
    assert_int_equal(decision.outcome, JOB_OUTCOME_DEAD);
    assert_in_range(tries, 20, 60);
    assert_in_range(pause_ms, 60000, PUSH_LIFE_MS / 4);
}

/* ---- image sets, the animation */

/* Of words in another script, which a byte's cut would break. */
static void test_reasons_end_with_a_whole_character(void **state)
{
    const struct config_channel channel = {0};
    struct job job = a_job();
    struct decide_attempt attempt = {
        .status = STATUS_REFUSED, .now_ms = NOW_MS + 1000, .detail = ""};
    char detail[200];

    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(detail, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof(detail); i += 3)
            (void)str_copy(detail + i, sizeof(detail) - i, "\xe5\x86\x99");
        attempt.detail = detail;
        for (int stage = JOB_STAGE_FETCH; stage <= JOB_STAGE_FAILURE; stage++) {
            struct decision decision;
            char clean[JOB_REASON_MAX + 1];

            job.stage = (enum job_stage)stage;
            (void)str_copy_n(job.reason, sizeof(job.reason), detail,
                             shift + 117);
            decision = decide_tried(&job, &channel, &attempt);
            assert_true(str_copy(clean, sizeof(clean), decision.reason));
            utf8_clean(clean);
            assert_string_equal(clean, decision.reason);
        }
    }
}

static void test_parking(void **state)
{
    struct config_channel channel = {.set_wait_ms = 10000};
    struct job job = a_job();
    struct decision decision;

    (void)state;
    job.stage = JOB_STAGE_REPLY;
    assert_false(decide_is_set_member(&job, &channel));
    (void)str_copy(job.set_id, sizeof(job.set_id), "A1");
    assert_true(decide_is_set_member(&job, &channel)); /* total not told */
    decision = decide_published(&job, &channel, NOW_MS + 500);
    assert_int_equal(decision.act, DECIDE_PARK);
    assert_int_equal(decision.due_ms, NOW_MS + 10000);
    decision = decide_published(&job, &channel, NOW_MS + 20000);
    assert_int_equal(decision.act, DECIDE_PARK);
    assert_int_equal(decision.due_ms, NOW_MS + 20000);
    job.set_total = 1;
    assert_false(decide_is_set_member(&job, &channel));
    job.set_total = 2;
    channel.set_wait_ms = 0;
    assert_false(decide_is_set_member(&job, &channel));
    channel.set_wait_ms = SET_WAIT_MAX_MS * 2;
    decision = decide_published(&job, &channel, NOW_MS);
    assert_int_equal(decision.due_ms,
                     NOW_MS + REPLY_TOKEN_LIFE_MS - LATE_MARGIN_MS);
    (void)str_copy(channel.processor_url, sizeof(channel.processor_url), "x");
    assert_false(decide_is_set_member(&job, &channel));
}

static void test_loading(void **state)
{
    struct config_channel channel = {.loading = 1};
    struct job job = a_job();

    (void)state;
    assert_true(decide_shows_loading(&job, &channel, NOW_MS));
    assert_false(decide_shows_loading(&job, &channel, NOW_MS + 60000));
    job.attempts = 2;
    assert_false(decide_shows_loading(&job, &channel, NOW_MS));
    job = a_job();
    job.source = JOB_SOURCE_GROUP;
    assert_false(decide_shows_loading(&job, &channel, NOW_MS));
    job = a_job();
    job.kind = JOB_FILE;
    assert_false(decide_shows_loading(&job, &channel, NOW_MS));
    job = a_job();
    job.set_index = 2;
    assert_false(decide_shows_loading(&job, &channel, NOW_MS));
    job = a_job();
    channel.loading = 0;
    assert_false(decide_shows_loading(&job, &channel, NOW_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_line),
        cmocka_unit_test(test_late_moment),
        cmocka_unit_test(test_retry_does_not_pass_the_moment),
        cmocka_unit_test(test_pushes_come_at_growing_distances),
        cmocka_unit_test(test_reasons_end_with_a_whole_character),
        cmocka_unit_test(test_parking),
        cmocka_unit_test(test_loading),
    };

    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}

/*
 * sender.h: sends webhooks as LINE does, and times the answers.
 *
 *   sender_start(&sender, &options);
 *   sender_submit(sender, &spec, &job);         many, spec.parallel at a time
 *   sender_job_wait(job);                       optional
 *   sender_job_release(job);
 *   sender_post(sender, &post, &result);        one, on the caller's thread
 *   sender_quiesce(sender);  sender_free(sender);
 *
 * A webhook is signed over its raw bytes, has LINE's headers, must be answered
 * within two seconds (platform notes 1.2, 1.3), and counts as failed for one of
 * LINE's reasons: could_not_connect, request_timeout, error_status_code,
 * unclassified. ack_us is the time from the request's first byte to the
 * answer's last; making the connection is told apart as connect_us.
 *
 * Any thread may call.
 */
#ifndef SIM_SENDER_H
#define SIM_SENDER_H

#include "record.h"
#include "state.h"

struct sender;
struct sender_job;

struct sender_options {
    struct state *state;
    const struct recorder *recorder;
    const char *webhook_url;
    const char *ca_file; /* NULL = the system's */
    const char *secret;
    const char *destination;
};

struct sender_spec {
    struct photo **photos; /* taken over, also on failure */
    size_t count;
    size_t batch;    /* events in one webhook */
    size_t parallel; /* webhooks on their way at once */
    bool fresh_connections;
    int redeliveries; /* at most so many after a failure; 0 = none */
    int64_t redelivery_interval_ms;
};

/* One webhook with any body. */
struct sender_post {
    const void *body;
    size_t len;
    const char *signature; /* NULL = the right one, "" = no header */
    const char *url;       /* NULL = the webhook URL; loopback all the same */
    const char *url_path;  /* of it; "" or NULL = as it is */
    int64_t timeout_ms;
};

struct sender_result {
    int http_status;   /* 0 = no answer */
    const char *error; /* LINE's reason, "" if it was a 2xx in time */
    char why[SIM_FETCH_WHY_MAX];
    int64_t ack_us, connect_us;
    struct buf answer;
};

enum status sender_start(struct sender **out,
                         const struct sender_options *options) MUST_CHECK;

/* Nothing more is sent and all waits end; jobs may still be released. */
void sender_quiesce(struct sender *sender);

/* Waits for the webhooks on their way. No job may be held. NULL is fine. */
void sender_free(struct sender *sender);

enum status sender_submit(struct sender *sender, const struct sender_spec *spec,
                          struct sender_job **out) MUST_CHECK;

/* Until every webhook of it was answered or given up. */
void sender_job_wait(struct sender_job *job);
void sender_job_release(struct sender_job *job);

/* `result` is always filled and then released. */
void sender_post(struct sender *sender, const struct sender_post *post,
                 struct sender_result *result);
void sender_result_release(struct sender_result *result);

/* The photos' webhook again (or for the first time), on the caller's thread. */
void sender_deliver(struct sender *sender, struct photo *const *photos,
                    size_t count, bool redelivery,
                    struct sender_result *result);

#endif

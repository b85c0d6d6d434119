/*
 * sim_limits.h: every ceiling of the simulator, and every number of LINE's
 * rules that it enforces. The simulator is a program of its own, so its bounds
 * stand here and not in lib/limits.h.
 */
#ifndef SIM_LIMITS_H
#define SIM_LIMITS_H

/* ---- LINE's rules (section numbers of the platform notes) */
#define LINE_API_BODY_MAX_BYTES (2 * 1024 * 1024) /* 4.1: above it 413 */
#define LINE_MESSAGES_MAX 5                       /* 4.1: in one request */
#define LINE_URL_MAX 2000                         /* 5: characters */
#define LINE_TEXT_MAX 5000                        /* UTF-16 code units */
#define LINE_TOKEN_LIFE_MS 60000                  /* 4.1 */
#define LINE_TOKEN_EVENT_LIFE_MS (20 * 60 * 1000) /* 4.1: redelivered */
#define LINE_RETRY_KEY_LIFE_MS (24LL * 3600 * 1000)
#define LINE_ACK_LIMIT_MS 2000           /* 1.3: time limit of a webhook */
#define LINE_STATELESS_LIFE_S 900        /* 7 */
#define LINE_WEBHOOK_URL_MAX 500         /* 1.7 */
#define LINE_ORIGINAL_MAX_BYTES 10000000 /* 5: 10 MB */
#define LINE_PREVIEW_MAX_BYTES 1000000   /* 5: 1 MB */

/* ---- the simulator's own */
#define SIM_PHOTOS_MAX 100000    /* message events in one run */
#define SIM_BATCH_MAX 100        /* events in one webhook */
#define SIM_SET_FILES_MAX 20     /* files of one control call */
#define SIM_PARALLEL_MAX 256     /* webhooks on their way at once */
#define SIM_CONNECTIONS_MAX 2000 /* one thread each */
#define SIM_THREAD_STACK_BYTES (512 * 1024)
#define SIM_CONTROL_BODY_MAX_BYTES (4 * 1024 * 1024)
#define SIM_ANSWER_MAX_BYTES (256 * 1024 * 1024) /* /sim/state of all */
#define SIM_STATE_PAGE 10000                     /* photos in one state */
#define SIM_RESPONSE_MAX_BYTES (64 * 1024)       /* of the bot's answer */
#define SIM_VERIFY_THREADS 2
#define SIM_FETCH_TIMEOUT_MS 30000
#define SIM_PIXELS_MAX 400000000 /* of a PNG it is asked to check */
#define SIM_SIDE_MAX 100000
#define SIM_RETRY_KEYS_MAX 100000
#define SIM_STATELESS_MAX 64    /* newest stateless tokens that are known */
#define SIM_VIOLATIONS_MAX 1000 /* kept in memory; all are in the log */
#define SIM_WHY_MAX 320
#define SIM_FETCH_WHY_MAX 256
#define SIM_PATH_MAX 1024
#define SIM_WAIT_MAX_MS (30 * 60 * 1000)
#define SIM_SLEEP_MAX_MS (30 * 60 * 1000) /* a stall without an end */
#define SIM_CLOCK_STEP_MAX_MS (366LL * 24 * 3600 * 1000)
#define SIM_CHUNK_MAX_BYTES (1024 * 1024)
#define SIM_CHUNK_DEFAULT_BYTES (16 * 1024)
#define SIM_REDELIVERIES_DEFAULT 5
#define SIM_REDELIVERY_INTERVAL_MS 1000

#endif

/*
 * limits.h: every ceiling of the project, in one place. A buffer, a count or a
 * time that can be driven from outside has its bound here and nowhere else.
 * What an operator may change is a setting (config.h) whose default is here.
 */
#ifndef DARKROOM_LIMITS_H
#define DARKROOM_LIMITS_H

/* ---- webhook: LINE publishes no bounds (line-platform 1.1), these are ours */
#define WEBHOOK_BODY_MAX_BYTES (1024 * 1024)
#define REQUEST_DRAIN_MAX_BYTES (16 * 1024 * 1024)
#define RESPONSE_MAX_BYTES (512 * 1024) /* of ours */
#define WEBHOOK_EVENTS_MAX 512
#define JSON_DEPTH_MAX 32
#define JSON_STRING_MAX_BYTES (64 * 1024)

/* ---- fields of an event; a longer one makes the event malformed */
#define CHANNEL_NAME_MAX 32   /* [0-9a-z_-] */
#define EVENT_ID_MAX 64       /* ULID of 26, line-platform 1.5 */
#define MESSAGE_ID_MAX 64     /* opaque [0-9A-Za-z_-], line-platform 2.1 */
#define REPLY_TOKEN_MAX 128   /* 32 today, length not promised */
#define SOURCE_ID_MAX 64      /* 33 today */
#define BOT_ID_LEN 33         /* U and 32 hex digits, line-platform 1.1 */
#define QUOTE_TOKEN_MAX 256   /* quoteToken, markAsReadToken: opaque */
#define SET_ID_MAX 128        /* 64 today, line-platform 2.4 W3 */
#define SET_TOTAL_MAX 100     /* pictures in one image set */
#define EXTERNAL_URL_MAX 2000 /* line-platform 5 */
#define CHANNEL_ID_MAX 32     /* decimal, for stateless tokens */
#define SECRET_MAX 512        /* channel secret, access token: opaque */
#define TOKEN_MAX 4096        /* access token; stateless ones are long */

/* ---- jobs */
#define JOB_ATTEMPTS_MAX 12
#define JOB_ATTEMPTS_LATE_MAX 40  /* of a job that has longer than a minute */
#define RETRY_AGE_SHARE 8         /* a retry waits this part of the job's age */
#define JOB_REASON_MAX 160        /* text of a receipt */
#define REPLY_TOKEN_LIFE_MS 60000 /* line-platform 4.1 */
#define REPLY_MARGIN_MS 2000      /* clocks, and the way to LINE */
#define CHANNEL_WAIT_MS 2000      /* for a worker that knows the channel */
#define RETRY_KEY_MAX 36          /* UUID, line-platform 4.2 */
#define PUSH_LIFE_MS (60 * 60 * 1000) /* after it a push helps nobody */
#define LATE_MARGIN_MS 8000 /* before the token's end: time for a last text */
#define MESSAGES_MAX 5      /* in one reply or push, line-platform 4.1 */
#define MESSAGES_MAX_BYTES (64 * 1024) /* their JSON */
#define TEXT_MAX_BYTES 1000            /* of a text in the settings */
#define LOADING_SECONDS 20             /* of the animation, line-platform 6 */
#define LOADING_FRESH_MS 10000         /* older pictures show none */
#define SENDER_NAME_MAX_CHARS 20       /* line-platform 5 */
#define PUSH_BUDGET_MAX 1000000000
#define PROCESSOR_TIMEOUT_DEFAULT_MS 5000
#define PROCESSOR_TIMEOUT_MIN_MS 100
#define PROCESSOR_TIMEOUT_MAX_MS 20000 /* a third of the token's minute */
#define SET_WAIT_DEFAULT_MS 10000      /* for the rest of an image set */
#define SET_WAIT_MAX_MS 40000          /* below the token's minute */
#define LEASE_MS 30000
#define LEASE_RENEW_MS 10000
#define QUEUE_POLL_MS 250     /* how late another worker sees a due job */
#define QUEUE_BATCH_MAX 256   /* requests in one transaction */
#define QUEUE_DEPTH_MAX 20000 /* unfinished jobs; above it: 503 */
#define QUEUE_WAIT_MS 1500    /* an acceptor's patience; LINE's is 2 s */
#define QUEUE_CLAIM_MAX 32    /* jobs claimed by one transaction */
#define QUEUE_STATS_MS 1000   /* age of the numbers of the depth check */
#define QUEUE_RECENT_MAX 32   /* jobs in one look at the latest */
#define QUEUE_RETRY_MIN_MS 10 /* after a failed transaction, doubled ... */
#define QUEUE_RETRY_MAX_MS 500
#define QUEUE_STOP_MS 2000       /* for what waits when the worker ends */
#define QUEUE_OPEN_WAIT_MS 30000 /* for the gate, before it gives up */
#define QUEUE_OPEN_TELL_MS 1000
#define QUEUE_OPEN_PAUSE_MS 10
#define QUEUE_BUSY_TIMEOUT_MS 500 /* SQLite's own; below QUEUE_WAIT_MS */
#define QUEUE_OWNER_MAX 128       /* host:pid:random */
#define KEEP_DONE_DEFAULT "7d"
#define KEEP_DEAD_DEFAULT "30d"
#define KEEP_MIN_MS (24L * 60 * 60 * 1000) /* what is sent again is known */
#define KEEP_MAX_MS (3650L * 24 * 60 * 60 * 1000)
#define QUEUE_PURGE_EVERY_MS 10000
#define QUEUE_PURGE_MAX 200 /* 6 ms of work, architecture-study 2 */
#define QUEUE_MEMORY_ROWS_MAX 100000
#define QUEUE_WAL_KEEP_BYTES (16 * 1024 * 1024)

/* ---- webhook bodies to forward */
#define SIGNATURE_MAX 64        /* base64 of 32 bytes, line-platform 1.2 */
#define FORWARD_DEPTH_MAX 20000 /* waiting bodies; above either: 503 */
#define FORWARD_DEPTH_MAX_BYTES (256L * 1024 * 1024)
#define FORWARD_LEASE_MS 60000           /* above the time of one request */
#define FORWARD_ROOM_MAX 64              /* bodies in hand of one worker */
#define FORWARD_DROPPED_MAX 1000         /* rows that tell of dropped ones */
#define FORWARD_TIMEOUT_MS 10000         /* of one try */
#define FORWARD_LIFE_MS (20 * 60 * 1000) /* of a body, from its webhook */
#define FORWARD_DRAIN_MS 4000            /* below DRAIN_MS */
#define FORWARD_ANSWER_MAX_BYTES (64 * 1024) /* read and dropped */

/* ---- store */
#define STORE_FREE_MIN_BYTES (64L * 1024 * 1024)
#define STORE_FREE_MIN_FILES 1000
#define RETENTION_DEFAULT "30d"
#define RETENTION_MIN_MS 3600000L
#define RETENTION_MAX_MS (3650L * 24 * 60 * 60 * 1000)
#define SWEEP_MAX 100000          /* files removed by one sweep */
#define JANITOR_EVERY_MS 3600000  /* of the pool */
#define JANITOR_LOOK_MS 60000     /* whether it is time, of each worker */
#define STORE_LEFTOVER_MS 3600000 /* age at which a temporary file is dead */

/* ---- HTTP client */
#define HTTP_CONNECT_TIMEOUT_MS 5000
#define HTTP_API_TIMEOUT_MS 10000
#define HTTP_CONTENT_TIMEOUT_MS 50000
#define HTTP_LOW_SPEED_BYTES 1024 /* bytes/s, over HTTP_LOW_SPEED_SECONDS */
#define HTTP_LOW_SPEED_SECONDS 15
#define HTTP_RESPONSE_MAX_BYTES (64 * 1024) /* of an API answer */
#define HTTP_CONNECTIONS_PER_HOST 8
#define HTTP_STREAMS_PER_CONNECTION 128
#define HTTP_BUFFER_BYTES (16 * 1024)
#define HTTP_HEAD_MAX_BYTES (64 * 1024) /* of an answer, trailers too */
#define HTTP_SPARE_HANDLES_MAX 64       /* curl handles kept for use again */
#define RETRY_AFTER_MAX_S 3600          /* a stranger's wish, at most */

/* ---- processor */
#define PROCESSOR_REQUEST_MAX_BYTES (16 * 1024)
#define PROCESSOR_ANSWER_MAX_BYTES (MESSAGES_MAX_BYTES + 1024)

/* ---- LINE's API */
#define LINE_POOL_SHARE 8 /* workers that may use a channel at full speed */
#define LINE_COURTESY_TIMEOUT_MS 5000 /* loading animation, mark as read */
#define LINE_TOKEN_MARGIN_MS 20000    /* left of a token that is still used */
#define LINE_TOKEN_RENEW_MS 120000    /* left of it when it is renewed */
#define LINE_TOKEN_RENEW_MIN_MS 1000  /* from one attempt to the next */
#define LINE_TOKEN_LOCK_WAIT_MS 15000 /* above HTTP_API_TIMEOUT_MS */
#define LINE_TOKEN_LOCK_POLL_MS 50

/* ---- pictures */
#define IMAGE_INPUT_MAX_BYTES 52428800 /* 50 MB */
#define IMAGE_PIXELS_MAX 100000000     /* 100 MP */
#define IMAGE_SIDE_MAX 65535
#define IMAGE_SCANS_MAX 100                 /* progressive JPEG */
#define IMAGE_CHUNK_MAX_BYTES (1024 * 1024) /* one PNG chunk we must keep */
#define IMAGE_MEMORY_MAX_BYTES 268435456    /* 256 MB */
#define IMAGE_SLICE_PX (64 * 1024)          /* source pixels in one call */
#define ORIGINAL_MAX_BYTES 10000000         /* line-platform 5: 10 MB */
#define PREVIEW_MAX_BYTES 1000000           /* line-platform 5: 1 MB */
#define PREVIEW_SIDE_MAX_PX 1024

/* ---- colour profiles */
#define IMAGE_ICC_MAX_BYTES (4 * 1024 * 1024)         /* printers' have 3 */
#define IMAGE_ICC_MEMORY_MAX_BYTES (48 * 1024 * 1024) /* while it is read */

/* ---- lab: the jailed decoder process */
#define LAB_STREAMS_MAX 4            /* decoded at once by one lab */
#define LAB_CHUNK_BYTES (16 * 1024)  /* one DATA message */
#define LAB_WINDOW_BYTES (64 * 1024) /* credit of a stream */
#define LAB_STALL_MS 10000           /* no sign of life while it has work */
#define LAB_ADDRESS_SPACE_BYTES (1024L * 1024 * 1024)
#define LAB_SIGN_MS 1000  /* silence of a busy lab, at most */
#define LAB_SIGNS_MAX 600 /* signs of life before a picture must end */
#define LAB_INPUT_MAX_BYTES (1024L * 1024 * 1024) /* of any setting */
#define LAB_FILE_SLACK_BYTES (64 * 1024)          /* above ORIGINAL_MAX_BYTES */
#define LAB_LABS_MAX 16
#define LAB_DEATHS_MAX 5 /* within the next, then labs wait */
#define LAB_DEATHS_WINDOW_MS 10000
#define LAB_RESTART_DELAY_MS 1000
#define LAB_STOP_MS 2000               /* the keeper's time to end */
#define SPILL_MEMORY_BYTES (64 * 1024) /* of a waiting transfer, in memory */
#define LAB_SPILL_MAX_BYTES (512L * 1024 * 1024) /* of all that wait */

/* ---- worker */
#define ACCEPTORS_DEFAULT 4
#define ACCEPTORS_MAX 64
#define ACCEPT_RETRY_MS 100 /* when no descriptor is free */
#define TRANSFERS_DEFAULT 64
#define TRANSFERS_MAX 1000
/* Two files, a duplicate of each for the lab, a socket and a spill file. */
#define TRANSFER_DESCRIPTORS 6
#define WORKER_DESCRIPTORS (64 + ACCEPTORS_MAX) /* all others */
#define DRAIN_MS 8000                           /* SIGTERM to exit */
#define STOP_MAX_S 20       /* from there to the worker's violent end */
#define CGI_LINGER_MS 60000 /* a CGI process, for its own jobs */
#define OFFLOAD_THREADS_MAX 8
#define CHANNELS_MAX 256
#define ATOMICFILE_WAIT_MS 1000 /* for the writer of a pipe */
#define CHECK_MAX_MS 120000     /* all of `darkroom check` */
#define CHECK_LAB_MS 10000      /* one tiny picture */
#define CHECK_CLOCK_MS 30000    /* from LINE's clock; its header has seconds */
#define CHANNEL_SECRETS_MAX 4
#define CONFIG_LINE_MAX_BYTES 8192 /* of the settings' file */
#define CONFIG_LINES_MAX 20000

/* ---- what shows that it works */
#define METRICS_SLOTS 64        /* workers of one state directory */
#define METRICS_CHANNELS_MAX 32 /* the rest is counted as one */
#define METRICS_MINUTES 60
#define METRICS_GATE_TRIES 100
#define METRICS_GATE_NAP_MS 10
#define VITALS_SILENT_MS 3000 /* twice an acceptor's patience */
#define VITALS_STALL_MS 30000
#define VITALS_CRASH_LOOP_MS 15000 /* above LAB_DEATHS_WINDOW_MS */
#define VITALS_LINE_MAX 256
#define VITALS_LINES_MAX_BYTES 2048
#define VITALS_JOBS 24 /* latest ones, up to QUEUE_RECENT_MAX */

#endif

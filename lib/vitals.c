/*
 * vitals.c: the look, and the judgement. A clock that was set makes ages that
 * are negative: those are as good as none.
 */
#include "vitals.h"

#include <stdarg.h>
#include <sys/statvfs.h>

static int64_t free_bytes(const char *directory)
{
    struct statvfs st;

    if (statvfs(directory, &st) != 0)
        return -1;
    return (int64_t)(st.f_bavail * st.f_frsize);
}

void vitals_look(const struct vitals_sources *sources, struct vitals *vitals)
{
    memset(vitals, 0, sizeof(*vitals));
    vitals->now_ms = wall_ms();
    (void)metrics_sum(&vitals->totals, vitals->now_ms);
    queue_thread_stats(sources->queue, &vitals->queue);
    queue_thread_pulse(sources->queue, &vitals->pulse);
    vitals->disk_free_bytes = free_bytes(sources->state_dir);
    vitals->space = store_check_space(sources->store);
}

int64_t vitals_due_age_ms(const struct vitals *vitals)
{
    return int64_max(0, vitals->now_ms - vitals->pulse.due_ms);
}

/* ---- reasons */

/* A failed append is a reason less to read, not a pool that is ready. */
static bool PRINTF_LIKE(3, 4)
    complain_if(bool bad, struct buf *lines, const char *format, ...)
{
    char line[VITALS_LINE_MAX];
    va_list args;

    if (!bad || lines == NULL)
        return bad;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    (void)!buf_append_str(lines, line);
    return bad;
}

static bool is_stalled(const struct vitals *vitals)
{
    int64_t since_ms = vitals->now_ms - VITALS_STALL_MS;

    return vitals->pulse.due_ms < since_ms &&
           vitals->totals.last_end_ms < since_ms &&
           vitals->totals.started_ms < since_ms;
}

static bool is_crash_looping(const struct vitals *vitals)
{
    return vitals->totals.crash_loop_ms > 0 &&
           vitals->now_ms - vitals->totals.crash_loop_ms < VITALS_CRASH_LOOP_MS;
}

bool vitals_ready(const struct vitals *vitals, struct buf *lines)
{
    int64_t silent_s = vitals->pulse.silent_ms / 1000;
    int64_t due_s = vitals_due_age_ms(vitals) / 1000;
    bool bad = complain_if(
        vitals->pulse.silent_ms > VITALS_SILENT_MS, lines,
        "queue: no transaction has worked for %lld s; is its file system "
        "full, read-only or locked by a backup?\n",
        (long long)silent_s);

    bad |= complain_if(is_stalled(vitals), lines,
                       "stalled: a job has been due for %lld s and none was "
                       "finished meanwhile; the log says why\n",
                       (long long)due_s);
    bad |= complain_if(vitals->space != STATUS_OK, lines,
                       "disk: %s; webhooks are refused until there is room "
                       "where pictures are published\n",
                       status_text(vitals->space));
    bad |= complain_if(is_crash_looping(vitals), lines,
                       "labs: decoder processes die as soon as they start; "
                       "see event=lab_lost in the log\n");
    return !bad;
}

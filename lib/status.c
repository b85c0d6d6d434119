/*
 * status.c: three views of one table.
 */
#include "status.h"

#include <errno.h>

struct status_row {
    const char *name;
    const char *text;
    enum status_class class;
};

static const struct status_row rows[STATUS__COUNT] = {
#define X(n, c, t) [STATUS_##n] = {#n, t, STATUS_CLASS_##c},
    STATUS_TABLE(X)
#undef X
};

static const struct status_row *row_of(enum status status)
{
    if ((int)status < 0 || status >= STATUS__COUNT)
        return &rows[STATUS_BUG];
    return &rows[status];
}

const char *status_name(enum status status)
{
    return row_of(status)->name;
}

const char *status_text(enum status status)
{
    return row_of(status)->text;
}

enum status_class status_class(enum status status)
{
    return row_of(status)->class;
}

enum status status_from_errno(int err)
{
    switch (err) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return STATUS_NO_SPACE;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case EAGAIN:
    case EBUSY:
    case EMFILE:
    case ENFILE:
        return STATUS_BUSY;
    default:
        return STATUS_IO;
    }
}

/*
 * convert_report.h: what `darkroom convert` tells: a line for each picture, and
 * a bar on a terminal while it takes long.
 *
 *   convert_report_init(&report, stdout);
 *   report.json = ...
 *     convert_report_picture(&report, picture);     as convert.h calls
 *     convert_report_progress(&report, progress);
 *   convert_report_end(&report);
 */
#ifndef DARKROOM_CONVERT_REPORT_H
#define DARKROOM_CONVERT_REPORT_H

#include "convert.h"

struct convert_report {
    FILE *out;        /* lines; words about failures go to standard error */
    bool json;        /* lines are JSON objects, also of failures */
    bool quiet;       /* failures only, no bar */
    bool terminal;    /* standard error is one */
    bool bar_is_up;   /* private */
    int64_t began_ms; /* private */
};

void convert_report_init(struct convert_report *report, FILE *out);

void convert_report_picture(struct convert_report *report,
                            const struct convert_picture *picture);
void convert_report_progress(struct convert_report *report,
                             const struct convert_progress *progress);

/* Takes the bar away; IO if not all of the lines could be written. */
enum status convert_report_end(struct convert_report *report) MUST_CHECK;

#endif

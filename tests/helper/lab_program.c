/*
 * lab_program.c: BUILD/tests/unit/test_x runs, BUILD/darkroom-lab is wanted.
 */
#include "lab_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "base.h"

#define LEVELS 3 /* from the test's file up to BUILD */

void lab_program_find(char path[LAB_PROGRAM_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, LAB_PROGRAM_MAX - 1);
    size_t len;

    assert_true(n > 0);
    path[n] = '\0';
    for (int i = 0; i < LEVELS; i++) {
        char *slash = strrchr(path, '/');

        assert_non_null(slash);
        *slash = '\0';
    }
    len = strlen(path);
    assert_true(str_copy(path + len, LAB_PROGRAM_MAX - len, "/darkroom-lab"));
}

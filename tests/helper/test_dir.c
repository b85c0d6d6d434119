/*
 * test_dir.c: mkdtemp(3) and nftw(3), children first.
 */
#include "test_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>

#include "base.h"

void test_dir_make(char dir[TEST_DIR_MAX])
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    assert_in_range(snprintf(dir, TEST_DIR_MAX, "%s/darkroom.XXXXXX", parent),
                    1, TEST_DIR_MAX - 1);
    assert_non_null(mkdtemp(dir));
}

static int remove_entry(const char *path, const struct stat *stat, int kind,
                        struct FTW *ftw)
{
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void test_dir_remove(const char *dir)
{
    assert_int_equal(nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

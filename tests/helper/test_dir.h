/*
 * test_dir.h: a directory of a test's own, and its removal with all that is in
 * it.
 *
 *   char dir[TEST_DIR_MAX];
 *   test_dir_make(dir);
 *   ...
 *   test_dir_remove(dir);
 *
 * It lies under $TMPDIR, or /tmp. A failure fails the test that runs.
 */
#ifndef DARKROOM_TEST_DIR_H
#define DARKROOM_TEST_DIR_H

#define TEST_DIR_MAX 256

void test_dir_make(char dir[TEST_DIR_MAX]);
void test_dir_remove(const char *dir);

#endif

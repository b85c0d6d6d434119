/*
 * test_atomicfile.c: files written piece by piece: what is to be seen of them
 * before, after, and when something fails. Small files: test_store.c.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/test_dir.h"
#include "atomicfile.h"

#include <cmocka.h>

static char dir[TEST_DIR_MAX];
static char path[TEST_DIR_MAX + 16];

static int set_up(void **state)
{
    (void)state;
    test_dir_make(dir);
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_dir_remove(dir);
    return 0;
}

static size_t entries(void)
{
    DIR *directory = opendir(dir);
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(directory);
    return count;
}

static void assert_content(const char *wanted)
{
    char text[64] = "";
    size_t len = 0;

    assert_int_equal(atomicfile_read(path, text, sizeof(text) - 1, &len),
                     STATUS_OK);
    assert_string_equal(text, wanted);
}

static void begin(struct atomicfile_writer *writer, const char *text)
{
    assert_int_equal(atomicfile_begin(writer, path), STATUS_OK);
    assert_int_equal(write(writer->fd, text, strlen(text)), strlen(text));
}

static void test_a_file_appears_whole(void **state)
{
    struct atomicfile_writer writer;
    struct stat st;

    (void)state;
    begin(&writer, "one");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(write(writer.fd, " two", 4), 4);
    assert_int_equal(atomicfile_commit(&writer, 0640), STATUS_OK);
    assert_content("one two");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(entries(), 1);
    assert_int_equal(writer.fd, -1);
    atomicfile_discard(&writer);
    assert_int_equal(entries(), 1);
}

static void test_commit_replaces(void **state)
{
    struct atomicfile_writer writer;

    (void)state;
    begin(&writer, "old");
    assert_int_equal(atomicfile_commit(&writer, 0600), STATUS_OK);
    begin(&writer, "new");
    assert_content("old");
    assert_int_equal(atomicfile_commit(&writer, 0600), STATUS_OK);
    assert_content("new");
    assert_int_equal(entries(), 1);
}

static void test_discard_leaves_nothing(void **state)
{
    struct atomicfile_writer writer;

    (void)state;
    begin(&writer, "x");
    atomicfile_discard(&writer);
    assert_int_equal(writer.fd, -1);
    assert_int_equal(entries(), 0);
    assert_int_equal(atomicfile_commit(&writer, 0600), STATUS_BUG);
}

/* Where files must have a name, the temporary one goes too. */
static void test_named_files_leave_nothing_either(void **state)
{
    struct atomicfile_writer writer;

    (void)state;
    for (int round = 0; round < 2; round++) {
        begin(&writer, "x");
        if (!writer.named) {
            char self[64];

            (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", writer.fd);
            assert_int_equal(linkat(AT_FDCWD, self, AT_FDCWD, writer.temp_path,
                                    AT_SYMLINK_FOLLOW),
                             0);
            writer.named = true;
        }
        assert_int_equal(entries(), 1);
        if (round == 0)
            atomicfile_discard(&writer);
        else
            assert_int_equal(atomicfile_commit(&writer, 0600), STATUS_OK);
        assert_int_equal(entries(), (size_t)round);
    }
}

static void test_unusable_places(void **state)
{
    struct atomicfile_writer writer;
    char name[ATOMICFILE_PATH_BYTES + 1];

    (void)state;
    (void)snprintf(name, sizeof(name), "%s/none/file", dir);
    assert_int_equal(atomicfile_begin(&writer, name), STATUS_NOT_FOUND);
    assert_int_equal(writer.fd, -1);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(atomicfile_begin(&writer, name), STATUS_BAD_CONFIG);
    /* A directory cannot be replaced by a file. */
    assert_int_equal(mkdir(path, 0700), 0);
    begin(&writer, "x");
    assert_int_equal(atomicfile_commit(&writer, 0600), STATUS_IO);
    assert_int_equal(entries(), 1);
    assert_int_equal(rmdir(path), 0);
}

/* A file that cannot grow stands for a full disk. */
static void test_a_full_disk_keeps_what_was(void **state)
{
    const struct rlimit small = {2, RLIM_INFINITY};
    struct atomicfile_writer writer;
    struct rlimit before;

    (void)state;
    begin(&writer, "ok");
    assert_int_equal(atomicfile_commit(&writer, 0600), STATUS_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    begin(&writer, "xx");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(write(writer.fd, "y", 1), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    atomicfile_discard(&writer);
    assert_content("ok");
    assert_int_equal(entries(), 1);
}

/* Where files can do without a name. */
static void test_kill_9_leaves_nothing(void **state)
{
    struct atomicfile_writer writer;
    pid_t child;
    int ended = 0;

    (void)state;
    begin(&writer, "probe");
    atomicfile_discard(&writer);
    if (writer.named)
        skip();
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (atomicfile_begin(&writer, path) == STATUS_OK &&
            write(writer.fd, "half", 4) == 4)
            (void)raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFSIGNALED(ended));
    assert_int_equal(entries(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_file_appears_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_commit_replaces, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_discard_leaves_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_named_files_leave_nothing_either,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unusable_places, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_disk_keeps_what_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_kill_9_leaves_nothing, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

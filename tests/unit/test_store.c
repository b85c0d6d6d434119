/*
 * store: atomic publishing into a directory, names, the name key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomicfile.h"
#include "store.h"

struct fixture {
    char root[64];
    struct store *store;
};

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char url[96], why[256];

    assert_non_null(f);
    (void)str_copy(f->root, sizeof(f->root), "/tmp/darkroom-store-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(url, sizeof(url), "dir:%s/deep/public", f->root);
    assert_int_equal(store_open(&f->store, url, why, sizeof(why)), STATUS_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    nftw(f->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static size_t count_files(const struct fixture *f, const char *leaf)
{
    char path[256];
    DIR *directory;
    size_t count = 0;

    (void)snprintf(path, sizeof(path), "%s/deep/public/%s", f->root, leaf);
    directory = opendir(path);
    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 2;
}

static void publish(struct store *store, const char *name, const char *text)
{
    struct store_file file;

    assert_int_equal(store_begin(store, &file), STATUS_OK);
    assert_int_equal(write(file.fd, text, strlen(text)), strlen(text));
    assert_int_equal(store_publish(store, &file, strlen(text), name),
                     STATUS_OK);
    assert_int_equal(file.fd, -1);
}

/* What a writer that does not let go has. */
static int open_temporary(const struct fixture *f,
                          const struct store_file *file)
{
    char path[256];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/deep/public/.incoming/%s", f->root,
                   file->temp_name);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void check_content(const struct fixture *f, const char *name,
                          const char *expected)
{
    char path[256], text[64] = "";
    size_t len = 0;
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/deep/public/%s", f->root, name);
    assert_int_equal(atomicfile_read(path, text, sizeof(text) - 1, &len),
                     STATUS_OK);
    assert_string_equal(text, expected);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_publish_and_replace(void **state)
{
    const struct fixture *f = *state;
    mode_t before = umask(077);

    publish(f->store, "ab/one.png", "first");
    check_content(f, "ab/one.png", "first");
    publish(f->store, "ab/one.png", "again");
    umask(before);
    check_content(f, "ab/one.png", "again");
    assert_int_equal(count_files(f, ".incoming"), 0);
    assert_int_equal(count_files(f, "ab"), 1);
}

/* The writer's descriptor and its mapping both count. */
static void test_a_held_file_is_not_published(void **state)
{
    const struct fixture *f = *state;

    for (int mapped = 0; mapped < 2; mapped++) {
        struct store_file file;
        void *map = MAP_FAILED;
        int held;

        assert_int_equal(store_begin(f->store, &file), STATUS_OK);
        assert_int_equal(ftruncate(file.fd, 1), 0);
        held = open_temporary(f, &file);
        if (mapped) {
            map = mmap(NULL, 1, PROT_WRITE, MAP_SHARED, held, 0);
            assert_ptr_not_equal(map, MAP_FAILED);
            close(held);
        }
        assert_int_equal(store_publish(f->store, &file, 1, "ab/held.png"),
                         STATUS_BUSY);
        assert_int_equal(file.fd, -1);
        if (mapped)
            assert_int_equal(munmap(map, 1), 0);
        else
            close(held);
    }
    assert_int_equal(count_files(f, ".incoming"), 0);
    assert_int_equal(count_files(f, "ab"), 0);
}

static void test_the_size_must_be_right(void **state)
{
    const struct fixture *f = *state;

    for (uint64_t bytes = 0; bytes < 5; bytes++) {
        struct store_file file;

        assert_int_equal(store_begin(f->store, &file), STATUS_OK);
        assert_int_equal(write(file.fd, "abc", 3), 3);
        assert_int_equal(store_publish(f->store, &file, bytes, "ab/c.png"),
                         bytes == 3 ? STATUS_OK : STATUS_IO);
    }
    assert_int_equal(count_files(f, ".incoming"), 0);
    assert_int_equal(count_files(f, "ab"), 1);
}

/* As on a file system without leases. */
static bool forbid_leases(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETLEASE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {ARRAY_COUNT(code), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* In a child: its exit code is what publishing said. */
static _Noreturn void publish_without_leases(const struct fixture *f,
                                             struct store_file *file,
                                             uint64_t bytes)
{
    enum status status = STATUS_BUG;

    if (forbid_leases())
        status = store_publish(f->store, file, bytes, "ab/copy.png");
    _exit((int)status);
}

static void test_without_leases_the_bytes_are_copied(void **state)
{
    const struct fixture *f = *state;
    const uint64_t sizes[] = {2, 4, 3};

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct store_file file;
        int held, how;
        pid_t pid;

        assert_int_equal(store_begin(f->store, &file), STATUS_OK);
        assert_int_equal(write(file.fd, "abc", 3), 3);
        held = open_temporary(f, &file);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            publish_without_leases(f, &file, sizes[i]);
        assert_int_equal(waitpid(pid, &how, 0), pid);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how),
                         sizes[i] == 3 ? STATUS_OK : STATUS_IO);
        assert_int_equal(count_files(f, ".incoming"), 0);
        assert_int_equal(write(held, "xyz", 3), 3);
        close(held);
        close(file.fd);
    }
    check_content(f, "ab/copy.png", "abc");
}

static void test_shelf_is_readable_by_others(void **state)
{
    const struct fixture *f = *state;
    mode_t before = umask(077);
    char path[256];
    struct stat st;

    publish(f->store, "cd/one.png", "x");
    umask(before);
    (void)snprintf(path, sizeof(path), "%s/deep/public/cd", f->root);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void expect_mode(const struct fixture *f, const char *leaf, mode_t mode)
{
    char path[256];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", f->root, leaf);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

/* Its maker died after mkdirat(). */
static void test_a_half_made_shelf_is_finished(void **state)
{
    const struct fixture *f = *state;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/deep/public/ef", f->root);
    assert_int_equal(mkdir(path, 0700), 0);
    publish(f->store, "ef/one.png", "x");
    expect_mode(f, "deep/public/ef", 0755);
}

/* Only what was left so by a maker, not what somebody closed on purpose. */
static void test_half_made_directories_are_finished(void **state)
{
    const struct fixture *f = *state;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/half", f->root);
    assert_int_equal(mkdir(path, 0100), 0);
    (void)snprintf(path, sizeof(path), "%s/half/closed", f->root);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/half/closed/new", f->root);
    assert_int_equal(atomicfile_make_directories(path, 0755), STATUS_OK);
    expect_mode(f, "half", 0755);
    expect_mode(f, "half/closed", 0700);
    expect_mode(f, "half/closed/new", 0755);
}

static void test_discard_and_remove(void **state)
{
    const struct fixture *f = *state;
    struct store_file file;
    bool was_there = false;

    assert_int_equal(store_begin(f->store, &file), STATUS_OK);
    assert_int_equal(count_files(f, ".incoming"), 1);
    store_discard(f->store, &file);
    store_discard(f->store, &file);
    assert_int_equal(count_files(f, ".incoming"), 0);
    publish(f->store, "ab/two.png", "x");
    assert_int_equal(store_remove(f->store, "ab/two.png", &was_there),
                     STATUS_OK);
    assert_true(was_there);
    assert_int_equal(store_remove(f->store, "ab/two.png", &was_there),
                     STATUS_OK);
    assert_false(was_there);
    assert_int_equal(store_remove(f->store, "ab/two.png", NULL), STATUS_OK);
    assert_int_equal(count_files(f, "ab"), 0);
}

static void test_bad_names_leave_nothing(void **state)
{
    static const char *const names[] = {"plain.png", "../x/y.png", "/x.png",
                                        "toolongshelf/y.png", ".x/y.png"};
    const struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct store_file file;

        assert_int_equal(store_begin(f->store, &file), STATUS_OK);
        assert_int_not_equal(store_publish(f->store, &file, 0, names[i]),
                             STATUS_OK);
        assert_int_equal(file.fd, -1);
    }
    assert_int_equal(count_files(f, ".incoming"), 0);
}

static void test_leftovers_are_swept(void **state)
{
    const struct fixture *f = *state;
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct store_file dead, live;
    struct store *second;
    char url[96], why[256];

    assert_int_equal(store_begin(f->store, &dead), STATUS_OK);
    assert_int_equal(store_begin(f->store, &live), STATUS_OK);
    assert_int_equal(futimens(dead.fd, old), 0);
    (void)snprintf(url, sizeof(url), "dir:%s/deep/public", f->root);
    assert_int_equal(store_open(&second, url, why, sizeof(why)), STATUS_OK);
    assert_int_equal(count_files(f, ".incoming"), 1);
    store_close(second);
    store_discard(f->store, &live);
    store_discard(f->store, &dead);
}

static void test_unusable_places(void **state)
{
    const struct fixture *f = *state;
    struct store *store;
    char url[96], why[256];

    assert_int_equal(store_open(&store, "s4:x", why, sizeof(why)),
                     STATUS_BAD_CONFIG);
    assert_non_null(strstr(why, "s4:x"));
    assert_int_equal(store_open(&store, "dir:", why, sizeof(why)),
                     STATUS_BAD_CONFIG);
    publish(f->store, "ab/file.png", "x");
    (void)snprintf(url, sizeof(url), "dir:%s/deep/public/ab/file.png", f->root);
    assert_int_not_equal(store_open(&store, url, why, sizeof(why)), STATUS_OK);
    assert_non_null(strstr(why, "file.png"));
}

static void test_space_is_enough_here(void **state)
{
    const struct fixture *f = *state;

    assert_int_equal(store_check_space(f->store), STATUS_OK);
}

static void test_names(void **state)
{
    const uint8_t key[STORE_NAME_KEY_BYTES] = {1, 2, 3};
    const uint8_t other[STORE_NAME_KEY_BYTES] = {1, 2, 4};
    char a[JOB_FILE_NAME_MAX + 1], b[JOB_FILE_NAME_MAX + 1];

    (void)state;
    assert_int_equal(store_name(key, "c", "600000001", false, a, sizeof(a)),
                     STATUS_OK);
    assert_int_equal(strlen(a), 2 + 1 + 30 + 4);
    assert_int_equal(strspn(a, "abcdefghijklmnopqrstuvwxyz234567/"),
                     strlen(a) - 4);
    assert_int_equal(store_name(key, "c", "600000001", false, b, sizeof(b)),
                     STATUS_OK);
    assert_string_equal(a, b);
    assert_int_equal(store_name(key, "c", "600000001", true, b, sizeof(b)),
                     STATUS_OK);
    assert_memory_equal(a, b, 33);
    assert_string_equal(b + 33, ".p.png");
    assert_int_equal(store_name(other, "c", "600000001", false, b, sizeof(b)),
                     STATUS_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(store_name(key, "c6", "00000001", false, b, sizeof(b)),
                     STATUS_OK);
    assert_string_not_equal(a, b);
}

static void test_name_key_is_made_once(void **state)
{
    const struct fixture *f = *state;
    uint8_t first[STORE_NAME_KEY_BYTES], second[STORE_NAME_KEY_BYTES];
    const uint8_t zeros[STORE_NAME_KEY_BYTES] = {0};
    char path[128];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/name.key", f->root);
    assert_int_equal(store_name_key(path, first), STATUS_OK);
    assert_memory_not_equal(first, zeros, sizeof(first));
    assert_int_equal(store_name_key(path, second), STATUS_OK);
    assert_memory_equal(first, second, sizeof(first));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(truncate(path, 5), 0);
    assert_int_equal(store_name_key(path, second), STATUS_BAD_VERSION);
}

static void test_reading_files(void **state)
{
    const struct fixture *f = *state;
    char path[128], text[4];
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "%s/file", f->root);
    assert_int_equal(atomicfile_read(path, text, sizeof(text), &len),
                     STATUS_NOT_FOUND);
    assert_int_equal(atomicfile_create(path, "abcd", 4, 0600), STATUS_OK);
    assert_int_equal(atomicfile_read(path, text, sizeof(text), &len),
                     STATUS_OK);
    assert_int_equal(len, 4);
    assert_int_equal(atomicfile_read(path, text, 3, &len), STATUS_TOO_LARGE);
    assert_int_equal(atomicfile_create(path, "x", 1, 0600), STATUS_DUPLICATE);
}

/* A file that cannot grow stands for a full disk. */
static void test_full_disk_leaves_no_half_file(void **state)
{
    const struct fixture *f = *state;
    const struct rlimit none = {0, RLIM_INFINITY};
    struct rlimit before;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/file", f->root);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(atomicfile_create(path, "x", 1, 0600), STATUS_NO_SPACE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- sweeping */

static void publish_of_age(struct fixture *f, const char *name, int64_t age_s)
{
    const struct timespec times[2] = {
        {.tv_sec = wall_ms() / 1000 - age_s},
        {.tv_sec = wall_ms() / 1000 - age_s},
    };
    struct store_file file;
    char path[256];

    assert_int_equal(store_begin(f->store, &file), STATUS_OK);
    assert_int_equal(write(file.fd, "picture", 7), 7);
    assert_int_equal(store_publish(f->store, &file, 7, name), STATUS_OK);
    (void)snprintf(path, sizeof(path), "%s/deep/public/%s", f->root, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool is_published(const struct fixture *f, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/deep/public/%s", f->root, name);
    return access(path, F_OK) == 0;
}

#define OLD "ab/cdefghijklmnopqrstuvwxyz234567"
#define NEW "ac/cdefghijklmnopqrstuvwxyz234567"

static void sweep_removes_what_is_too_old(void **state)
{
    struct fixture *f = *state;
    struct store_sweep sweep = {.before_ms = wall_ms() - 3600000};

    publish_of_age(f, OLD ".png", 7200);
    publish_of_age(f, OLD ".p.png", 7200);
    publish_of_age(f, NEW ".png", 1800);
    publish_of_age(f, "ab/notes.txt", 7200);
    publish_of_age(f, "abc/defghijklmnopqrstuvwxyz234567a.png", 7200);
    sweep.dry_run = true;
    assert_int_equal(store_sweep(f->store, &sweep), STATUS_OK);
    assert_int_equal(sweep.files, 2);
    assert_int_equal(sweep.bytes, 14);
    assert_true(is_published(f, OLD ".png"));
    sweep.dry_run = false;
    assert_int_equal(store_sweep(f->store, &sweep), STATUS_OK);
    assert_int_equal(sweep.files, 2);
    assert_false(is_published(f, OLD ".png"));
    assert_false(is_published(f, OLD ".p.png"));
    assert_true(is_published(f, NEW ".png"));
    assert_true(is_published(f, "ab/notes.txt"));
    assert_true(is_published(f, "abc/defghijklmnopqrstuvwxyz234567a.png"));
    assert_int_equal(store_sweep(f->store, &sweep), STATUS_OK);
    assert_int_equal(sweep.files, 0);
}

static void sweep_without_an_age_removes_nothing_published(void **state)
{
    struct fixture *f = *state;
    struct store_sweep sweep = {.before_ms = INT64_MIN};
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct store_file file;
    char path[256];

    publish_of_age(f, OLD ".png", 1000000);
    assert_int_equal(store_begin(f->store, &file), STATUS_OK);
    (void)snprintf(path, sizeof(path), "%s/deep/public/.incoming/%s", f->root,
                   file.temp_name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(store_sweep(f->store, &sweep), STATUS_OK);
    assert_int_equal(sweep.files, 0);
    assert_int_equal(sweep.leftovers, 1);
    assert_true(is_published(f, OLD ".png"));
    store_discard(f->store, &file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish_and_replace),
        cmocka_unit_test(test_a_held_file_is_not_published),
        cmocka_unit_test(test_the_size_must_be_right),
        cmocka_unit_test(test_without_leases_the_bytes_are_copied),
        cmocka_unit_test(test_shelf_is_readable_by_others),
        cmocka_unit_test(test_a_half_made_shelf_is_finished),
        cmocka_unit_test(test_half_made_directories_are_finished),
        cmocka_unit_test(test_discard_and_remove),
        cmocka_unit_test(test_bad_names_leave_nothing),
        cmocka_unit_test(test_leftovers_are_swept),
        cmocka_unit_test(test_unusable_places),
        cmocka_unit_test(test_space_is_enough_here),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_name_key_is_made_once),
        cmocka_unit_test(test_reading_files),
        cmocka_unit_test(test_full_disk_leaves_no_half_file),
        cmocka_unit_test_setup_teardown(sweep_removes_what_is_too_old, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            sweep_without_an_age_removes_nothing_published, setup, teardown),
    };
    struct CMUnitTest with_store[ARRAY_COUNT(tests)];

    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        with_store[i] = tests[i];
        with_store[i].setup_func = setup;
        with_store[i].teardown_func = teardown;
    }
    return cmocka_run_group_tests(with_store, NULL, NULL);
}

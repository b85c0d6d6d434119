/*
 * test_notify.c: one datagram, on a path and on an abstract name, and names
 * that lead nowhere.
 */
#include "notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base.h"
#include "../helper/test_dir.h"

static char dir[TEST_DIR_MAX];

/* A supervisor's socket; a '@' stands for the zero byte of an abstract name. */
static int listen_on(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_true(str_copy(address.sun_path, sizeof(address.sun_path), name));
    if (*name == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                      strlen(name))),
                     0);
    return fd;
}

static void assert_told(const char *name)
{
    char got[64];
    int fd = listen_on(name);
    ssize_t len;

    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    assert_int_equal(notify_supervisor("READY=1"), STATUS_OK);
    assert_int_equal(notify_supervisor("STOPPING=1"), STATUS_OK);
    len = recv(fd, got, sizeof(got), 0);
    assert_int_equal(len, 7);
    assert_memory_equal(got, "READY=1", 7);
    len = recv(fd, got, sizeof(got), 0);
    assert_int_equal(len, 10);
    assert_memory_equal(got, "STOPPING=1", 10);
    assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
    close(fd);
}

static void test_path(void **state)
{
    char path[TEST_DIR_MAX + 16];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/notify", dir);
    assert_told(path);
}

static void test_abstract(void **state)
{
    char name[64];

    (void)state;
    (void)snprintf(name, sizeof(name), "@darkroom-test-notify-%ld",
                   (long)getpid());
    assert_told(name);
}

static void test_nobody_asks(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(notify_supervisor("READY=1"), STATUS_OK);
}

static void test_leads_nowhere(void **state)
{
    char path[TEST_DIR_MAX + 16], huge[sizeof(struct sockaddr_un) + 2];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/nobody", dir);
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    assert_int_equal(notify_supervisor("READY=1"), STATUS_IO);
    assert_int_equal(setenv("NOTIFY_SOCKET", "vsock:2:1234", 1), 0);
    assert_int_equal(notify_supervisor("READY=1"), STATUS_BAD_CONFIG);
    memset(huge, '/', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", huge, 1), 0);
    assert_int_equal(notify_supervisor("READY=1"), STATUS_BAD_CONFIG);
}

static int make_dir(void **state)
{
    (void)state;
    test_dir_make(dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    test_dir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_abstract),
        cmocka_unit_test(test_nobody_asks),
        cmocka_unit_test(test_leads_nowhere),
    };

    return cmocka_run_group_tests_name("notify", tests, make_dir, remove_dir);
}

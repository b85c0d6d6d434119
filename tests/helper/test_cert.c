/*
 * test_cert.c: made by openssl(1), as a person would.
 */
#include "test_cert.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define FILE_MAX_BYTES (64 * 1024)

pid_t test_spawn(const char *program, const char *const *arguments)
{
    char *argv[32] = {NULL};
    char *const envp[] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;

    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(i < ARRAY_COUNT(argv) - 1);
        memcpy(&argv[i], &arguments[i], sizeof(argv[i]));
    }
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, STDERR_FILENO,
                                                      "/dev/null", O_WRONLY, 0),
                     0);
    if (posix_spawnp(&pid, program, &actions, NULL, argv, envp) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void run_openssl(const struct test_cert *cert)
{
    const char *const arguments[] = {"openssl",  "req",
                                     "-x509",    "-nodes",
                                     "-days",    "2",
                                     "-newkey",  "ec",
                                     "-pkeyopt", "ec_paramgen_curve:prime256v1",
                                     "-subj",    "/CN=test",
                                     "-addext",  "subjectAltName=IP:127.0.0.1",
                                     "-keyout",  cert->key_file,
                                     "-out",     cert->cert_file,
                                     NULL};
    pid_t pid = test_spawn("openssl", arguments);
    int status;

    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void read_file(struct buf *b, const char *path)
{
    FILE *file = fopen(path, "re");
    char bytes[4096];
    size_t n;

    assert_non_null(file);
    buf_init(b, FILE_MAX_BYTES);
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        assert_int_equal(buf_append(b, bytes, n), STATUS_OK);
    (void)fclose(file);
}

void test_cert_make(struct test_cert *cert)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(cert->dir, sizeof(cert->dir), "%s/darkroom-tls.XXXXXX",
                   tmp != NULL && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(cert->dir));
    (void)snprintf(cert->key_file, sizeof(cert->key_file), "%s/key.pem",
                   cert->dir);
    (void)snprintf(cert->cert_file, sizeof(cert->cert_file), "%s/cert.pem",
                   cert->dir);
    run_openssl(cert);
    read_file(&cert->key, cert->key_file);
    read_file(&cert->cert, cert->cert_file);
}

void test_cert_remove(struct test_cert *cert)
{
    buf_release(&cert->key);
    buf_release(&cert->cert);
    (void)unlink(cert->key_file);
    (void)unlink(cert->cert_file);
    assert_int_equal(rmdir(cert->dir), 0);
}

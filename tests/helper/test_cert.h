/*
 * test_cert.h: a certificate for 127.0.0.1, signed by itself, in a directory of
 * its own.
 *
 *   test_cert_make(&cert);
 *   server = test_server_start(cert.key.data, cert.cert.data);
 *   ... http_options.ca_file = cert.cert_file ...
 *   test_cert_remove(&cert);
 *
 * A failure fails the test that runs; in a group's set-up, the group.
 */
#ifndef DARKROOM_TEST_CERT_H
#define DARKROOM_TEST_CERT_H

#include <sys/types.h>

#include "buf.h"

struct test_cert {
    char dir[64]; /* may take files of the test's, too */
    char key_file[96];
    char cert_file[96];
    struct buf key; /* PEM */
    struct buf cert;
};

void test_cert_make(struct test_cert *cert);

/* Fails if the test left something in the directory. */
void test_cert_remove(struct test_cert *cert);

/* The pid of a program run without output, or -1. Up to 31 arguments, the
 * program's name first, NULL last; no environment. */
pid_t test_spawn(const char *program, const char *const *arguments);

#endif

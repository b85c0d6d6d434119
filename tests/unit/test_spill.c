/*
 * test_spill.c: order, the way from memory to the file and back, ceilings, and
 * what a full or missing disk does.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spill.h"

#include <cmocka.h>

#define MEMORY 1000
#define TOTAL 100000

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    assert_true(str_copy(dir, sizeof(dir), "/tmp/test_spill.XXXXXX"));
    return mkdtemp(dir) == NULL;
}

/* Fails if anything with a name was left. */
static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* The byte at `position` of the endless test stream. */
static uint8_t pattern(size_t position)
{
    return (uint8_t)(position * 31 + position / 251);
}

static enum status append(struct spill *s, size_t position, size_t len)
{
    uint8_t *bytes = malloc(len);
    enum status status;

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(position + i);
    status = spill_append(s, bytes, len);
    free(bytes);
    return status;
}

/* Takes up to `len` bytes from the front, which must be at `position`. */
static size_t take(struct spill *s, size_t position, size_t len)
{
    const uint8_t *bytes;
    size_t piece;

    assert_int_equal(spill_peek(s, &bytes, &piece), STATUS_OK);
    assert_true(piece > 0);
    piece = size_min(piece, len);
    for (size_t i = 0; i < piece; i++)
        assert_int_equal(bytes[i], pattern(position + i));
    spill_consume(s, piece);
    return piece;
}

static void stays_in_memory(void **state)
{
    struct spill s;
    size_t at = 0;

    (void)state;
    spill_init(&s, "/nowhere/at/all", MEMORY, TOTAL);
    assert_int_equal(append(&s, 0, MEMORY - 1), STATUS_OK);
    assert_int_equal(append(&s, MEMORY - 1, 1), STATUS_OK);
    assert_int_equal(spill_len(&s), MEMORY);
    while (spill_len(&s) > 0)
        at += take(&s, at, 7);
    assert_int_equal(at, MEMORY);
    assert_int_equal(s.fd, -1);
    spill_release(&s);
}

static void goes_to_the_file_and_back(void **state)
{
    struct spill s;
    size_t written = 0, at = 0;

    (void)state;
    spill_init(&s, dir, MEMORY, TOTAL);
    while (written < TOTAL) {
        assert_int_equal(append(&s, written, 500), STATUS_OK);
        written += 500;
    }
    assert_true(s.fd >= 0);
    assert_int_equal(spill_len(&s), TOTAL);
    while (at < TOTAL)
        at += take(&s, at, 333);
    assert_int_equal(spill_len(&s), 0);

    /* Drained: memory serves again, the file is empty. */
    assert_int_equal(append(&s, at, MEMORY), STATUS_OK);
    assert_int_equal(s.file_end, 0);
    assert_int_equal(lseek(s.fd, 0, SEEK_END), 0);
    assert_int_equal(take(&s, at, MEMORY), MEMORY);
    spill_release(&s);
}

static void keeps_order_when_mixed(void **state)
{
    struct spill s;
    size_t written = 0, at = 0;
    unsigned seed = 1;

    (void)state;
    spill_init(&s, dir, MEMORY, TOTAL);
    for (int i = 0; i < 5000; i++) {
        size_t len;

        seed = seed * 1103515245 + 12345;
        len = seed >> 16 & 0x3ff;
        if (written - at + len < TOTAL && (seed >> 8 & 1) != 0) {
            assert_int_equal(append(&s, written, len + 1), STATUS_OK);
            written += len + 1;
        } else if (spill_len(&s) > 0) {
            at += take(&s, at, len + 1);
        }
        assert_int_equal(spill_len(&s), written - at);
    }
    while (spill_len(&s) > 0)
        at += take(&s, at, MEMORY);
    assert_int_equal(at, written);
    spill_release(&s);
}

static void refuses_more_than_its_total(void **state)
{
    struct spill s;

    (void)state;
    spill_init(&s, dir, MEMORY, 3 * MEMORY);
    assert_int_equal(append(&s, 0, 2 * MEMORY), STATUS_OK);
    assert_int_equal(append(&s, 2 * MEMORY, MEMORY + 1), STATUS_TOO_LARGE);
    assert_int_equal(spill_append(&s, "", SIZE_MAX), STATUS_TOO_LARGE);
    assert_int_equal(spill_len(&s), 2 * MEMORY);
    assert_int_equal(append(&s, 2 * MEMORY, MEMORY), STATUS_OK);
    assert_int_equal(take(&s, 0, MEMORY), MEMORY);
    assert_int_equal(append(&s, 3 * MEMORY, MEMORY), STATUS_OK);
    spill_release(&s);
}

static void says_when_there_is_no_directory(void **state)
{
    struct spill s;

    (void)state;
    spill_init(&s, "/nowhere/at/all", MEMORY, TOTAL);
    assert_int_equal(append(&s, 0, 10), STATUS_OK);
    assert_int_equal(append(&s, 10, MEMORY), STATUS_IO);
    assert_int_equal(spill_len(&s), 10);
    assert_int_equal(take(&s, 0, 10), 10);
    spill_release(&s);
}

/* A limit on file size stands for a full disk: both come as NO_SPACE. */
static void keeps_what_it_has_when_the_disk_is_full(void **state)
{
    struct rlimit before, small;
    struct spill s;
    size_t at = 0;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){3 * MEMORY, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

    spill_init(&s, dir, MEMORY, TOTAL);
    assert_int_equal(append(&s, 0, MEMORY), STATUS_OK);
    assert_int_equal(append(&s, MEMORY, 2 * MEMORY), STATUS_OK);
    assert_int_equal(append(&s, 3 * MEMORY, 2 * MEMORY), STATUS_NO_SPACE);
    assert_int_equal(spill_len(&s), 3 * MEMORY);
    while (spill_len(&s) > 0)
        at += take(&s, at, MEMORY);
    assert_int_equal(at, 3 * MEMORY);
    spill_release(&s);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void says_when_the_file_is_cut(void **state)
{
    struct spill s;
    const uint8_t *bytes;
    size_t len;

    (void)state;
    spill_init(&s, dir, MEMORY, TOTAL);
    assert_int_equal(append(&s, 0, MEMORY), STATUS_OK);
    assert_int_equal(append(&s, MEMORY, MEMORY), STATUS_OK);
    assert_int_equal(take(&s, 0, MEMORY), MEMORY);
    assert_int_equal(ftruncate(s.fd, 0), 0);
    assert_int_equal(spill_peek(&s, &bytes, &len), STATUS_IO);
    spill_release(&s);
    assert_int_equal(spill_len(&s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_in_memory),
        cmocka_unit_test(goes_to_the_file_and_back),
        cmocka_unit_test(keeps_order_when_mixed),
        cmocka_unit_test(refuses_more_than_its_total),
        cmocka_unit_test(says_when_there_is_no_directory),
        cmocka_unit_test(keeps_what_it_has_when_the_disk_is_full),
        cmocka_unit_test(says_when_the_file_is_cut),
    };

    return cmocka_run_group_tests_name("spill", tests, make_dir, remove_dir);
}

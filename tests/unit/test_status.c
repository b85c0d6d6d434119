/*
 * Every status has a name, a text and a class; errno values map as promised.
 */
#include "status.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_every_status_is_complete(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS__COUNT; i++) {
        enum status status = (enum status)i;

        assert_non_null(status_name(status));
        assert_true(status_name(status)[0] != '\0');
        assert_non_null(status_text(status));
        assert_true(status_text(status)[0] != '\0');
        assert_in_range(status_class(status), STATUS_CLASS_OK,
                        STATUS_CLASS_BUG);
    }
}

/* Receipts and tests tell statuses apart by these. */
static void test_names_and_texts_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS__COUNT; i++) {
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(status_name((enum status)i),
                                    status_name((enum status)k));
            assert_string_not_equal(status_text((enum status)i),
                                    status_text((enum status)k));
        }
    }
}

static void test_classes(void **state)
{
    (void)state;
    assert_int_equal(STATUS_OK, 0);
    assert_string_equal(status_name(STATUS_IMAGE_BROKEN), "IMAGE_BROKEN");
    assert_int_equal(status_class(STATUS_OK), STATUS_CLASS_OK);
    assert_int_equal(status_class(STATUS_MORE), STATUS_CLASS_OK);
    assert_int_equal(status_class(STATUS_TIMEOUT), STATUS_CLASS_RETRY);
    assert_int_equal(status_class(STATUS_LAB_DIED), STATUS_CLASS_RETRY);
    assert_int_equal(status_class(STATUS_POISON), STATUS_CLASS_PERMANENT);
    assert_int_equal(status_class(STATUS_BUG), STATUS_CLASS_BUG);
    assert_true(status_is_retry(STATUS_NO_SPACE));
    assert_false(status_is_retry(STATUS_OK));
    assert_false(status_is_retry(STATUS_GONE));
}

/* Values come over the lab's socket. */
static void test_unknown_values_count_as_bug(void **state)
{
    static const int values[] = {-1, STATUS__COUNT, 1000000, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        enum status status = (enum status)values[i];

        assert_string_equal(status_name(status), "BUG");
        assert_int_equal(status_class(status), STATUS_CLASS_BUG);
        assert_non_null(status_text(status));
    }
}

static void test_errno(void **state)
{
    static const struct {
        int err;
        enum status status;
    } cases[] = {
        {ENOSPC, STATUS_NO_SPACE},
        {EDQUOT, STATUS_NO_SPACE},
        {ENOMEM, STATUS_NO_MEMORY},
        {EAGAIN, STATUS_BUSY},
        {EMFILE, STATUS_BUSY},
        {ENFILE, STATUS_BUSY},
        {EIO, STATUS_IO},
        {ENOENT, STATUS_IO},
        {0, STATUS_IO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(status_from_errno(cases[i].err), cases[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_is_complete),
        cmocka_unit_test(test_names_and_texts_are_unique),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_unknown_values_count_as_bug),
        cmocka_unit_test(test_errno),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}

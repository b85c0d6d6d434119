/*
 * fake_store.c: a fault, or the real store's answer. A publish that fails
 * leaves no temporary file, as store.h promises.
 */
#include "fake_store.h"

static enum status answer_of(struct fake_fault *fault)
{
    if (atomic_fetch_sub(&fault->good, 1) > 0 ||
        atomic_fetch_sub(&fault->bad, 1) <= 0)
        return STATUS_OK;
    return fault->status;
}

static struct fake_store *fake_of(struct store *store)
{
    return CONTAINER_OF(store, struct fake_store, base);
}

static enum status fake_begin(struct store *store, struct store_file *file)
{
    struct fake_store *fake = fake_of(store);
    enum status status = answer_of(&fake->begin);

    return status != STATUS_OK ? status : store_begin(fake->inner, file);
}

static enum status fake_publish(struct store *store, struct store_file *file,
                                uint64_t bytes, const char *name)
{
    struct fake_store *fake = fake_of(store);
    enum status status = answer_of(&fake->publish);

    if (status == STATUS_OK)
        return store_publish(fake->inner, file, bytes, name);
    store_discard(fake->inner, file);
    return status;
}

static void fake_discard(struct store *store, struct store_file *file)
{
    store_discard(fake_of(store)->inner, file);
}

static enum status fake_remove(struct store *store, const char *name,
                               bool *was_there)
{
    struct fake_store *fake = fake_of(store);
    enum status status = answer_of(&fake->remove);

    return status != STATUS_OK ? status
                               : store_remove(fake->inner, name, was_there);
}

static enum status fake_check_space(struct store *store)
{
    struct fake_store *fake = fake_of(store);
    enum status status = answer_of(&fake->space);

    return status != STATUS_OK ? status : store_check_space(fake->inner);
}

static const struct store_ops fake_ops = {
    .scheme = "fake",
    .begin = fake_begin,
    .publish = fake_publish,
    .discard = fake_discard,
    .remove = fake_remove,
    .check_space = fake_check_space,
};

void fake_store_init(struct fake_store *fake, struct store *inner)
{
    *fake = (struct fake_store){.base.ops = &fake_ops, .inner = inner};
}

void fake_fault_set(struct fake_fault *fault, int good, int bad,
                    enum status status)
{
    fault->status = status;
    atomic_store(&fault->bad, bad);
    atomic_store(&fault->good, good);
}

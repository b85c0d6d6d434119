/*
 * janitor.h: removes what is to be kept no longer: published pictures beyond
 * [store] retention, and what writers left that died.
 *
 *   janitor_new(&janitor, &parts);
 *   janitor_start(janitor);            looks at once, then once in a while
 *   ...
 *   offload_free(offload);
 *   janitor_free(janitor);
 *
 * Of all workers of a pool one sweeps, once in JANITOR_EVERY_MS: the one that
 * finds STATE_DIR/janitor.lock free and old. It does so on an offload thread,
 * so that no picture waits for it. All calls on the loop's thread, or when it
 * does not run.
 */
#ifndef DARKROOM_JANITOR_H
#define DARKROOM_JANITOR_H

#include "config_live.h"
#include "offload.h"
#include "store.h"

struct janitor;

/* All are lent and outlive the janitor, but the offload threads. */
struct janitor_parts {
    struct loop *loop;
    struct offload *offload;
    struct store *store;
    struct config_live *config;
};

enum status janitor_new(struct janitor **out,
                        const struct janitor_parts *parts) MUST_CHECK;

/* NO_MEMORY: the loop has no room for another timer. */
enum status janitor_start(struct janitor *janitor) MUST_CHECK;

/* After offload_free(): a sweep under way is waited for there. */
void janitor_free(struct janitor *janitor);

/* One sweep by these settings, now, on any thread. */
enum status janitor_sweep(struct store *store, const struct config *config,
                          struct store_sweep *sweep) MUST_CHECK;

#endif

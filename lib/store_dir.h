/*
 * store_dir.h: the store in a local directory that nginx serves.
 *
 *   PATH/.incoming/<random>      being written, mode 0600
 *   PATH/xx/yyyy...y.png         published, mode 0644
 */
#ifndef DARKROOM_STORE_DIR_H
#define DARKROOM_STORE_DIR_H

#include "store.h"

extern const struct store_ops store_dir_ops;

#endif

/*
 * png_file.h: is this file a PNG, whole and sound?
 */
#ifndef DARKROOM_TEST_PNG_FILE_H
#define DARKROOM_TEST_PNG_FILE_H

#include "base.h"

/* Decodes all of it with libpng; false if that fails. */
bool png_file_decode(const char *path, uint32_t *width_px, uint32_t *height_px);

#endif

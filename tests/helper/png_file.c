/*
 * png_file.c: libpng's simplified reader.
 */
#include "png_file.h"

#include <png.h>

bool png_file_decode(const char *path, uint32_t *width_px, uint32_t *height_px)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    void *pixels = NULL;
    bool good = png_image_begin_read_from_file(&image, path) != 0;

    if (good) {
        image.format = PNG_FORMAT_RGB;
        pixels = malloc(PNG_IMAGE_SIZE(image));
        good = pixels != NULL &&
               png_image_finish_read(&image, NULL, pixels, 0, NULL) != 0;
    }
    *width_px = image.width;
    *height_px = image.height;
    png_image_free(&image);
    free(pixels);
    return good;
}

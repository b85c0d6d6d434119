/*
 * transcode_values.c: the part of transcode.h that needs no codec. It is in a
 * file of its own so that a program which only talks about pictures, as the
 * worker does, is linked without libjpeg and libpng.
 */
#include "../limits.h"
#include "transcode.h"

void transcode_options_default(struct transcode_options *options)
{
    *options = (struct transcode_options){
        .input_max_bytes = IMAGE_INPUT_MAX_BYTES,
        .original_max_bytes = ORIGINAL_MAX_BYTES,
        .preview_max_bytes = PREVIEW_MAX_BYTES,
        .memory_max_bytes = IMAGE_MEMORY_MAX_BYTES,
        .chunk_max_bytes = IMAGE_CHUNK_MAX_BYTES,
        .pixels_max = IMAGE_PIXELS_MAX,
        .width_max_px = IMAGE_SIDE_MAX,
        .height_max_px = IMAGE_SIDE_MAX,
        .preview_side_max_px = PREVIEW_SIDE_MAX_PX,
        .scans_max = IMAGE_SCANS_MAX,
        .slice_px = IMAGE_SLICE_PX,
        .mode = TRANSCODE_FIT,
    };
}

const char *image_type_name(enum image_type type)
{
    static const char *const names[] = {
        [IMAGE_TYPE_UNKNOWN] = "unknown", [IMAGE_TYPE_JPEG] = "jpeg",
        [IMAGE_TYPE_PNG] = "png",         [IMAGE_TYPE_WEBP] = "webp",
        [IMAGE_TYPE_GIF] = "gif",
    };

    return (size_t)type < ARRAY_COUNT(names) ? names[type] : names[0];
}

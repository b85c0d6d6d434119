/*
 * picture_jpeg.c: libjpeg as its manual has it, all in memory.
 */
#include "picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jpeglib.h>

static void on_error(j_common_ptr info)
{
    char text[JMSG_LENGTH_MAX];

    info->err->format_message(info, text);
    fail_msg("libjpeg: %s", text);
    abort();
}

static void set_color(struct jpeg_compress_struct *info,
                      const struct jpeg_spec *spec)
{
    if (info->input_components == 4) {
        jpeg_set_colorspace(info, spec->ycck ? JCS_YCCK : JCS_CMYK);
        info->write_Adobe_marker = !spec->no_adobe;
    } else if (spec->rgb) {
        jpeg_set_colorspace(info, JCS_RGB);
    }
    info->comp_info[0].h_samp_factor = spec->h_samp > 0 ? spec->h_samp : 1;
    info->comp_info[0].v_samp_factor = spec->v_samp > 0 ? spec->v_samp : 1;
}

static void write_markers(struct jpeg_compress_struct *info,
                          const struct jpeg_spec *spec)
{
    struct buf exif;
    uint8_t *comment;

    buf_init(&exif, 1024);
    if (spec->orientation > 0) {
        assert_int_equal(buf_append(&exif, "Exif\0", 6), STATUS_OK);
        exif_append(&exif, spec->orientation, spec->big_endian);
        jpeg_write_marker(info, JPEG_APP0 + 1, (const JOCTET *)exif.data,
                          (unsigned)exif.len);
    }
    buf_release(&exif);
    if (spec->comment_bytes == 0)
        return;
    comment = calloc(1, spec->comment_bytes);
    assert_non_null(comment);
    jpeg_write_marker(info, JPEG_COM, comment, (unsigned)spec->comment_bytes);
    free(comment);
}

void picture_to_jpeg(const struct picture *p, const struct jpeg_spec *spec,
                     struct buf *out)
{
    static jpeg_scan_info scans[4];
    static const J_COLOR_SPACE spaces[] = {0, JCS_GRAYSCALE, 0, JCS_RGB,
                                           JCS_CMYK};
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long len = 0;

    memset(&info, 0, sizeof(info));
    info.err = jpeg_std_error(&errors);
    errors.error_exit = on_error;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &len);
    info.image_width = p->width_px;
    info.image_height = p->height_px;
    info.input_components = (int)p->channels;
    info.in_color_space = spaces[p->channels];
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, spec->quality, TRUE);
    set_color(&info, spec);
    info.arith_code = spec->arithmetic;
    info.restart_in_rows = (int)spec->restart_rows;
    if (spec->progressive)
        jpeg_simple_progression(&info);
    if (spec->separate_scans) {
        for (int i = 0; i < info.num_components; i++)
            scans[i] = (jpeg_scan_info){1, {i, 0, 0, 0}, 0, 63, 0, 0};
        info.scan_info = scans;
        info.num_scans = info.num_components;
    }
    jpeg_start_compress(&info, TRUE);
    write_markers(&info, spec);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = picture_at(p, 0, info.next_scanline);

        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    assert_int_equal(buf_append(out, bytes, len), STATUS_OK);
    free(bytes);
}

void picture_from_jpeg(struct picture *p, const struct buf *jpeg,
                       unsigned eighths)
{
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;

    memset(&info, 0, sizeof(info));
    info.err = jpeg_std_error(&errors);
    errors.error_exit = on_error;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, (const unsigned char *)jpeg->data, jpeg->len);
    jpeg_read_header(&info, TRUE);
    if (info.num_components == 4)
        info.out_color_space = JCS_CMYK;
    info.scale_num = eighths;
    info.scale_denom = 8;
    jpeg_start_decompress(&info);
    picture_init(p, info.output_width, info.output_height,
                 (size_t)info.output_components);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = picture_at(p, 0, info.output_scanline);

        jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
}

void picture_make_jpeg(struct buf *out, uint32_t width_px, uint32_t height_px,
                       bool progressive)
{
    const struct jpeg_spec spec = {.quality = 50, .progressive = progressive};
    struct picture picture;

    picture_init(&picture, width_px, height_px, 3);
    picture_fill_noise(&picture, 1);
    picture_to_jpeg(&picture, &spec, out);
    picture_release(&picture);
}

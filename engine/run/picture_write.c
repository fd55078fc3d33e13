/* Writes PNG files through libpng, with a recipe in the text chunk that others read. */
#include "engine/base/memory.h"
#include "engine/run/picture_file.h"

#include "engine/base/files.h"
#include "engine/base/text.h"
#include "engine/base/version.h"
#include "engine/sampling/schedule.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

struct png_target {
    struct text bytes;
    char error[160];
};

static void on_error(png_structp png, png_const_charp message)
{
    struct png_target *target = png_get_error_ptr(png);
    snprintf(target->error, sizeof target->error, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep data, png_size_t length)
{
    struct png_target *target = png_get_io_ptr(png);
    text_append_bytes(&target->bytes, (const char *)data, length);
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* UTF-8 to Latin-1; NULL where a character has no place in it. */
static char *to_latin_1(const char *text)
{
    char *out = memory_take(strlen(text) + 1, 1);
    size_t length = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x80) {
            out[length++] = (char)*p;
        } else if ((*p == 0xC2 || *p == 0xC3) && p[1]) {
            out[length++] = (char)((*p << 6 & 0xC0) | (p[1] & 0x3F));
            p++;
        } else {
            free(out);
            return NULL;
        }
    }
    return out;
}

static void put_text(png_structp png, png_infop info, const char *parameters, char *latin)
{
    static char parameters_key[] = "parameters", software_key[] = "Software", software[] = ALIGNPROP_NAME;
    png_text chunks[2] = {{.compression = PNG_TEXT_COMPRESSION_NONE, .key = software_key, .text = software}};
    int count = 1;
    if (parameters) {
        chunks[1].compression = latin ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        chunks[1].key = parameters_key;
        chunks[1].text = latin ? latin : (char *)parameters;
        count = 2;
    }
    png_set_text(png, info, chunks, count);
}

static bool encode(struct png_target *target, const unsigned char *pixels, int width, int height,
                   const char *parameters, char *latin)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, target, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        snprintf(target->error, sizeof target->error, "no memory");
        return false;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_set_write_fn(png, target, on_write, on_flush);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    put_text(png, info, parameters, latin);
    png_write_info(png, info);
    for (int y = 0; y < height; y++) png_write_row(png, pixels + (size_t)y * (size_t)width * 3);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return true;
}

status picture_write_png(const char *path, const unsigned char *pixels, int width, int height, const char *parameters)
{
    struct png_target target = {.error = ""};
    char *latin = parameters ? to_latin_1(parameters) : NULL;
    status result = encode(&target, pixels, width, height, parameters, latin)
                        ? file_write_atomic(path, target.bytes.data, target.bytes.length)
                        : status_error(STATUS_FAILED, "cannot write %s: %s", path, target.error);
    free(latin);
    text_clear(&target.bytes);
    return result;
}

/* ---- the recipe ---- */

/* A value in quotes when it holds what separates pairs. Names of files may be any bytes, the recipe is UTF-8. */
static void append_pair(struct text *text, const char *key, const char *value)
{
    text_append(text, ", %s: ", key);
    if (strpbrk(value, ",:\n\"")) {
        text_append_json_string(text, value);
    } else {
        text_append_readable(text, value, strlen(value), "");
    }
}

void recipe_append(struct text *text, const struct recipe *recipe)
{
    text_append(text, "%s\n", recipe->prompt);
    if (recipe->negative && *recipe->negative) text_append(text, "Negative prompt: %s\n", recipe->negative);
    text_append(text, "Steps: %d", recipe->steps);
    const struct sampler *sampler = sampler_find(recipe->sampler);
    append_pair(text, "Sampler", sampler ? sampler->title : recipe->sampler);
    text_append(text, ", CFG scale: %g, Seed: %llu, Size: %dx%d", recipe->guidance, recipe->seed, recipe->width,
                recipe->height);
    if (recipe->model) append_pair(text, "Model", recipe->model);
    if (recipe->adapter) {
        append_pair(text, "Lora", recipe->adapter);
        text_append(text, ", Lora scale: %g", recipe->adapter_scale);
    }
    if (recipe->reward) append_pair(text, "Reward", recipe->reward);
    append_pair(text, "Version", ALIGNPROP_NAME " " ALIGNPROP_VERSION);
}

/* Recognising by their first bytes files that are no safetensors files. */
#include "engine/model/file_format.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "engine/base/input_file.h"

static const char convert_pickle[] =
    "pickled weights are programs and are not read: load it where you trust it and save it as .safetensors";
static const char download_again[] =
    "download the file itself (the page may ask for a login or for the licence to be accepted first)";
static const char use_diffusers_export[] = "get the model's .safetensors file or diffusers folder instead";

struct beginning {
    size_t offset;
    const char *bytes;
    size_t size;
    struct file_format format;
};

#define BEGINS(bytes_, words_, advice_)                                                                                \
    {                                                                                                                  \
        0, bytes_, sizeof(bytes_) - 1,                                                                                 \
        {                                                                                                              \
            words_, advice_                                                                                            \
        }                                                                                                              \
    }

/* Signatures as each format's specification gives them. */
static const struct beginning beginnings[] = {
    BEGINS("version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself",
           "fetch the file with `git lfs pull` in its repository, or download it from the model's page"),
    BEGINS("version https://hawser.github.com/spec/", "a Git LFS pointer, not the file itself",
           "fetch the file with `git lfs pull` in its repository, or download it from the model's page"),
    BEGINS("PK\3\4", "a zip archive, such as torch.save writes (.ckpt, .pt, .bin)", convert_pickle),
    BEGINS("\x80\2", "a pickle, such as older versions of torch.save write (.ckpt, .pt, .bin)", convert_pickle),
    BEGINS("\x80\3", "a pickle", convert_pickle),
    BEGINS("\x80\4", "a pickle", convert_pickle),
    BEGINS("\x80\5", "a pickle", convert_pickle),
    BEGINS("GGUF", "a GGUF file of quantised weights", use_diffusers_export),
    BEGINS("ggml", "a GGML file of quantised weights", use_diffusers_export),
    BEGINS("lmgg", "a GGML file of quantised weights", use_diffusers_export),
    BEGINS("tjgg", "a GGML file of quantised weights", use_diffusers_export),
    BEGINS("\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes", use_diffusers_export),
    BEGINS("\x93NUMPY", "a NumPy array", use_diffusers_export),
    BEGINS("\x89PNG\r\n\x1a\n", "a PNG picture", "name the model instead"),
    BEGINS("\xff\xd8\xff", "a JPEG picture", "name the model instead"),
    BEGINS("RIFF", "a RIFF file, such as a WebP picture", "name the model instead"),
    BEGINS("\x1f\x8b", "a gzip archive", "unpack it first"),
    BEGINS("BZh", "a bzip2 archive", "unpack it first"),
    BEGINS("\xfd"
           "7zXZ",
           "an xz archive", "unpack it first"),
    BEGINS("7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    BEGINS("Rar!\x1a\7", "a RAR archive", "unpack it first"),
    BEGINS("\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"),
    {4, "TFL3", 4, {"a TensorFlow Lite model", use_diffusers_export}},
    {257, "ustar", 5, {"a tar archive", "unpack it first"}},
};

static const struct file_format web_page = {"a web page (HTML), not the file that it offers", download_again};
static const struct file_format xml_page = {"an XML text, such as a server's error message", download_again};
static const struct file_format json_text = {"a JSON text, not weights",
                                             "name the folder or the .safetensors file that it belongs to"};
static const struct file_format onnx = {"an ONNX model", use_diffusers_export};

static size_t skip_space(const char *text, size_t size)
{
    size_t at = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < size && strchr(" \t\r\n", text[at]) && text[at]) at++;
    return at;
}

static bool begins(const char *text, size_t size, const char *description)
{
    size_t length = strlen(description);
    return size >= length && strncasecmp(text, description, length) == 0;
}

static const struct file_format *text_format(const char *text, size_t size)
{
    size_t at = skip_space(text, size);
    text += at;
    size -= at;
    if (begins(text, size, "<!doctype html") || begins(text, size, "<html") || begins(text, size, "<head"))
        return &web_page;
    if (begins(text, size, "<?xml")) return &xml_page;
    return begins(text, size, "{\"") || begins(text, size, "{\n") || begins(text, size, "{\r\n") ? &json_text : NULL;
}

/* A ModelProto of onnx.proto: field 1, the IR version, a small number, then field 2, the name of the program that
 * wrote it, or field 7, the graph. */
static bool is_onnx(const unsigned char *bytes, size_t size)
{
    if (size < 4 || bytes[0] != 0x08 || bytes[1] == 0 || bytes[1] > 20) return false;
    if (bytes[2] == 0x3a) return true;
    size_t length = bytes[3];
    if (bytes[2] != 0x12 || length == 0 || length > size - 4) return false;
    for (size_t i = 0; i < length; i++)
        if (bytes[4 + i] < 0x20 || bytes[4 + i] > 0x7e) return false;
    return true;
}

/* A safetensors file has its header's length before the brace. */
static bool is_safetensors(const unsigned char *bytes, size_t size)
{
    return size > 8 && bytes[8] == '{' && memcmp(bytes + 4, "\0\0\0\0", 4) == 0;
}

const struct file_format *file_format_of(const void *bytes, size_t size)
{
    if (is_safetensors(bytes, size)) return NULL;
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        const struct beginning *row = &beginnings[i];
        if (size >= row->offset + row->size && memcmp((const char *)bytes + row->offset, row->bytes, row->size) == 0)
            return &row->format;
    }
    return is_onnx(bytes, size) ? &onnx : text_format(bytes, size);
}

const struct file_format *file_format_at(const char *path)
{
    struct input_file file;
    char bytes[FILE_FORMAT_BYTES];
    if (input_file_open(path, &file).code != STATUS_OK) return NULL;
    size_t size = file.size < sizeof bytes ? (size_t)file.size : sizeof bytes;
    bool read = input_file_read_at(&file, 0, bytes, size).code == STATUS_OK;
    input_file_close(&file);
    return read ? file_format_of(bytes, size) : NULL;
}

status file_format_refused(const char *path, const struct file_format *format)
{
    return status_error(STATUS_BAD_INPUT, "%.200s: is %s; %s", path, format->description, format->advice);
}

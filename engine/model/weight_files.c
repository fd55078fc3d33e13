/* Finding a component's weights among the names in its folder, which diffusers and transformers give alike. */
#include "engine/model/weight_files.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

enum { VARIANT_SIZE = 64, KNOWN_RANKS = 4, OTHER_RANK = KNOWN_RANKS, NO_RANK };

/* By preference; the first is the default, without a variant. */
static const char *const variants[KNOWN_RANKS] = {"", "fp32", "fp16", "bf16"};

/* What stands before and after the variant's name. */
static const struct {
    const char *before, *after;
} forms[] = {
    {"", ".safetensors"},
    {".safetensors.index", ".json"},
    {"", ".safetensors.index.json"},
};

static bool begins(const char *text, const char *beginning, size_t *length)
{
    *length = strlen(beginning);
    return strncmp(text, beginning, *length) == 0;
}

/* Whether `name` is BASE and what follows in the form; `variant` is what stands where its name belongs. */
static bool has_form(const char *name, const char *base, size_t form, char variant[VARIANT_SIZE])
{
    size_t length, rest, after = strlen(forms[form].after);
    if (!begins(name, base, &length)) return false;
    name += length;
    if (!begins(name, forms[form].before, &length)) return false;
    name += length;
    rest = strlen(name);
    if (rest < after || strcmp(name + rest - after, forms[form].after) != 0) return false;
    rest -= after;
    if (rest == 0) {
        variant[0] = '\0';
        return true;
    }
    if (name[0] != '.' || rest < 2 || rest > VARIANT_SIZE) return false;
    snprintf(variant, VARIANT_SIZE, "%.*s", (int)rest - 1, name + 1);
    return strchr(variant, '.') == NULL; /* else it is of another form */
}

static int rank_of(const char *name, const char *base)
{
    char variant[VARIANT_SIZE];
    for (size_t form = 0; form < sizeof forms / sizeof forms[0]; form++) {
        if (!has_form(name, base, form, variant)) continue;
        for (int i = 0; i < KNOWN_RANKS; i++)
            if (strcmp(variant, variants[i]) == 0) return i;
        return OTHER_RANK;
    }
    return NO_RANK;
}

struct choice {
    const char *name; /* NULL: none */
    int rank, others; /* how many of another variant there are */
};

static struct choice choose(const struct name_list *names, const char *base)
{
    struct choice choice = {.rank = NO_RANK};
    for (int i = 0; i < names->count; i++) {
        int rank = rank_of(names->names[i], base);
        choice.others += rank == OTHER_RANK;
        if (rank >= choice.rank) continue;
        choice.name = names->names[i];
        choice.rank = rank;
    }
    return choice;
}

static const struct {
    const char *ending, *description;
} foreign[] = {
    {".bin", "pickled weights, which are programs and are not read"},
    {".ckpt", "pickled weights, which are programs and are not read"},
    {".pt", "pickled weights, which are programs and are not read"},
    {".msgpack", "weights of Flax, which are not read"},
    {".onnx", "an ONNX model, which is not read"},
    {".gguf", "quantised weights in GGUF form, which are not read"},
};

static status nothing_found(const char *folder, const char *base, const struct name_list *names)
{
    for (int i = 0; i < names->count; i++)
        for (size_t j = 0; j < sizeof foreign / sizeof foreign[0]; j++)
            if (text_ends_with(names->names[i], foreign[j].ending))
                return status_error(STATUS_BAD_INPUT, "%.200s/%.100s: holds %s; expected %s.safetensors beside it",
                                    folder, names->names[i], foreign[j].description, base);
    return status_error(
        STATUS_BAD_INPUT,
        "%.300s: has no %s.safetensors, nor its shards, nor a variant of it such as %s.fp16.safetensors", folder, base,
        base);
}

status weight_file_find(const char *folder, const char *base, char path[PATH_SIZE])
{
    struct name_list names;
    TRY(directory_list(folder, &names));
    struct choice choice = choose(&names, base);
    status result;
    if (choice.name == NULL)
        result = nothing_found(folder, base, &names);
    else if (choice.rank == OTHER_RANK && choice.others > 1)
        result =
            status_error(STATUS_BAD_INPUT,
                         "%.200s: has %d variants of %s, of which none is the default, fp32, fp16 or bf16; leave one",
                         folder, choice.others, base);
    else
        result = path_format(path, "%s/%s", folder, choice.name);
    name_list_clear(&names);
    return result;
}

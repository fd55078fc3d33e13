/* A processor's config read as transformers reads it, and its resize, crop and normalisation as graph. */
#include "engine/model/picture_processor.h"

#include "engine/base/files.h"
#include "engine/model/config.h"
#include "engine/model/config_keys.h"

enum { MAXIMUM_SIDE = 8192 };

/* `key` as {"height", "width"}, [height, width] or one number for both; absent: `side` for both. */
static status read_sides(const struct config *config, const char *key, int64_t side, int64_t *height, int64_t *width)
{
    const cJSON *value = config_find(config, key);
    if (!cJSON_IsObject(value)) {
        int64_t sides[2] = {side, side};
        TRY(config_integers(config, key, 1, MAXIMUM_SIDE, 2, sides));
        *height = sides[0];
        *width = sides[1];
        return status_ok();
    }
    struct config sides;
    TRY(config_section(config, key, &sides));
    TRY(config_require(&sides, "height"));
    TRY(config_require(&sides, "width"));
    TRY(config_integer(&sides, "height", 1, MAXIMUM_SIDE, height));
    return config_integer(&sides, "width", 1, MAXIMUM_SIDE, width);
}

/* Bounds that transformers also resizes within. */
static status refuse_other_bounds(const struct config *edges)
{
    static const char *const keys[] = {"longest_edge", "max_height", "max_width", "min_pixels", "max_pixels"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) TRY(config_only(edges, keys[i], "null"));
    return status_ok();
}

static status read_size(const struct config *config, bool square, int64_t side, struct picture_processor *processor)
{
    const cJSON *size = config_find(config, "size");
    if (size == NULL && !square) processor->shortest_edge = side;
    if (!square && !cJSON_IsArray(size) && !cJSON_IsObject(size))
        return config_integer(config, "size", 1, MAXIMUM_SIDE, &processor->shortest_edge);
    if (cJSON_IsObject(size)) {
        struct config edges;
        TRY(config_section(config, "size", &edges));
        TRY(refuse_other_bounds(&edges));
        if (config_find(&edges, "shortest_edge"))
            return config_integer(&edges, "shortest_edge", 1, MAXIMUM_SIDE, &processor->shortest_edge);
    }
    return read_sides(config, "size", side, &processor->height, &processor->width);
}

/* PIL's numbers for its filters. */
static status read_filter(const struct config *config, enum resize_filter *filter)
{
    int64_t number = 3;
    TRY(config_integer(config, "resample", 0, 5, &number));
    switch (number) {
    case 0: *filter = RESIZE_NEAREST; return status_ok();
    case 2: *filter = RESIZE_BILINEAR; return status_ok();
    case 3: *filter = RESIZE_BICUBIC; return status_ok();
    default: return config_wrong(config, "resample", "0 (nearest), 2 (bilinear) or 3 (bicubic)");
    }
}

/* Three numbers, or one for all three. */
static status read_colors(const struct config *config, const char *key, double low, double values[3])
{
    const char *expected = low > 0 ? "three numbers above 0, or one" : "three numbers, or one";
    const cJSON *value = config_find(config, key);
    if (value == NULL) return status_ok();
    if (!cJSON_IsNumber(value) && (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 3))
        return config_wrong(config, key, expected);
    for (int i = 0; i < 3; i++) {
        const cJSON *item = cJSON_IsNumber(value) ? value : cJSON_GetArrayItem(value, i);
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= 1e3))
            return config_wrong(config, key, expected);
        values[i] = item->valuedouble;
    }
    return status_ok();
}

/* What becomes of a channel's 0 to 255 before mean and deviation. */
static status read_scale(const struct config *config, struct picture_processor *processor)
{
    bool rescale = true;
    double factor = 1.0 / 255.0;
    TRY(config_boolean(config, "rescale", &rescale));
    TRY(config_boolean(config, "do_rescale", &rescale));
    TRY(config_number(config, "rescale_factor", 1e-9, 1e9, &factor));
    processor->scale = 255.0 * (rescale ? factor : 1.0);
    return status_ok();
}

static status read_processor(const struct config *config, bool square, int64_t side,
                             struct picture_processor *processor)
{
    /* The mean and deviation that both image processors of transformers start from. */
    *processor = (struct picture_processor){.resize = true,
                                            .crop = !square,
                                            .mean = {0.48145466, 0.4578275, 0.40821073},
                                            .deviation = {0.26862954, 0.26130258, 0.27577711}};
    bool normalize = true;
    TRY(config_check_keys(config, &picture_processor_keys));
    TRY(config_boolean(config, "do_resize", &processor->resize));
    TRY(config_boolean(config, "do_center_crop", &processor->crop));
    TRY(config_boolean(config, "do_normalize", &normalize));
    TRY(config_boolean(config, "default_to_square", &square));
    TRY(read_scale(config, processor));
    TRY(read_filter(config, &processor->filter));
    if (processor->resize) TRY(read_size(config, square, side, processor));
    if (processor->crop) TRY(read_sides(config, "crop_size", side, &processor->crop_height, &processor->crop_width));
    if (!normalize) {
        for (int i = 0; i < 3; i++) processor->mean[i] = 0.0, processor->deviation[i] = 1.0;
        return status_ok();
    }
    TRY(read_colors(config, "image_mean", -1e3, processor->mean));
    return read_colors(config, "image_std", 1e-6, processor->deviation);
}

status picture_processor_open(const char *folder, bool square, int64_t side, struct remarks *remarks,
                              struct picture_processor *processor)
{
    char path[PATH_SIZE];
    struct config config;
    TRY(path_format(path, "%s/preprocessor_config.json", folder));
    bool own_file = path_is_file(path);
    if (!own_file) {
        char joint[PATH_SIZE];
        TRY(path_format(joint, "%s/processor_config.json", folder));
        if (!path_is_file(joint))
            return status_error(STATUS_BAD_INPUT,
                                "%.300s: no such file; the model's picture processing is read from it", path);
        TRY(path_format(path, "%s", joint));
    }
    TRY(config_open(path, &config));
    config.remarks = remarks;
    struct config section = config;
    status result = own_file ? status_ok() : config_section(&config, "image_processor", &section);
    if (result.code == STATUS_OK) result = read_processor(&section, square, side, processor);
    config_close(&config);
    return result;
}

/* ---- graph ---- */

static tensor_id normalized(const struct picture_processor *processor, struct graph *graph, tensor_id pictures)
{
    tensor_id result = NO_TENSOR;
    for (int channel = 0; channel < 3; channel++) {
        double deviation = processor->deviation[channel];
        tensor_id plane = graph_slice(graph, pictures, 3, channel, 1);
        plane = graph_affine(graph, plane, processor->scale / deviation, -processor->mean[channel] / deviation);
        result = channel == 0 ? plane : graph_concatenate(graph, result, plane, 3);
    }
    return result;
}

static tensor_id resized(const struct picture_processor *processor, struct graph *graph, tensor_id x, int64_t height,
                         int64_t width)
{
    int64_t to_height = processor->height, to_width = processor->width;
    if (processor->shortest_edge > 0) {
        int64_t edge = processor->shortest_edge;
        to_height = height <= width ? edge : edge * height / width;
        to_width = height <= width ? edge * width / height : edge;
    }
    if (to_height == height && to_width == width) return x;
    return graph_resize(graph, x, to_height, to_width, processor->filter, true);
}

static tensor_id cropped(const struct picture_processor *processor, struct graph *graph, tensor_id x)
{
    const struct tensor *tensor = graph_tensor(graph, x);
    if (tensor == NULL) return NO_TENSOR;
    int64_t height = tensor->shape.dimension[1], width = tensor->shape.dimension[2];
    if (height != processor->crop_height)
        x = graph_slice(graph, x, 1, (height - processor->crop_height) / 2, processor->crop_height);
    if (width != processor->crop_width)
        x = graph_slice(graph, x, 2, (width - processor->crop_width) / 2, processor->crop_width);
    return x;
}

tensor_id picture_processor_build(const struct picture_processor *processor, struct graph *graph, tensor_id pictures)
{
    const struct tensor *tensor = graph_tensor(graph, pictures);
    if (tensor == NULL) return NO_TENSOR;
    int64_t height = tensor->shape.dimension[1], width = tensor->shape.dimension[2];
    tensor_id x = graph_convert(graph, normalized(processor, graph, pictures), graph_compute_type(graph));
    if (processor->resize) x = resized(processor, graph, x, height, width);
    return processor->crop ? cropped(processor, graph, x) : x;
}

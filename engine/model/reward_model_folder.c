/* Opens a reward model's folder: class, config, weights, tokenizer and processor. */
#include "engine/model/reward_model_folder.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/files.h"
#include "engine/model/tokenizer.h"
#include "engine/model/weight_files.h"

bool model_class_matches(const struct model_class *class, const struct config *config)
{
    const cJSON *type = config_find(config, "model_type"), *name;
    if (cJSON_IsString(type) && strcmp(type->valuestring, class->type) == 0) return true;
    cJSON_ArrayForEach(name, config_find(config, "architectures"))
    {
        if (cJSON_IsString(name) && strcmp(name->valuestring, class->architecture) == 0) return true;
    }
    return false;
}

static status check_class(const struct config *config, const struct model_class *class)
{
    if (model_class_matches(class, config)) return status_ok();
    char expected[120];
    snprintf(expected, sizeof expected, "\"%s\", the type of a %s", class->type, class->architecture);
    return config_wrong(config, "model_type", expected);
}

status reward_model_weights_open(const char *path, struct tensor_files **weights)
{
    char file[PATH_SIZE];
    TRY(weight_file_find(path, "model", file));
    return tensor_files_open(file, weights);
}

status reward_model_folder_open(const char *path, const struct model_class *class, struct reward_model_folder *folder)
{
    char file[PATH_SIZE];
    TRY(path_format(file, "%s/config.json", path));
    TRY(config_open(file, &folder->config));
    folder->config.remarks = &folder->remarks;
    TRY(check_class(&folder->config, class));
    TRY(reward_model_weights_open(path, &folder->weights));
    TRY(tokenizer_open(path, &folder->tokenizer));
    remarks_add_all(&folder->remarks, tokenizer_remarks(folder->tokenizer));
    return status_ok();
}

void reward_model_folder_close(struct reward_model_folder *folder)
{
    tokenizer_close(folder->tokenizer);
    if (folder->weights != NULL) tensor_files_close(folder->weights);
    config_close(&folder->config);
}

status reward_model_folder_check_text(const struct reward_model_folder *folder, const struct clip_text_tower *text)
{
    int32_t highest = tokenizer_facts(folder->tokenizer)->highest;
    if (highest < text->vocabulary) return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "%.250s: text_config.vocab_size is %lld, but the tokenizer beside it has ids up to %d",
                        folder->config.path, (long long)text->vocabulary, (int)highest);
}

status reward_model_folder_tokenize(const struct reward_model_folder *folder, const char *text, int context,
                                    int32_t *ids)
{
    return tokenizer_encode(folder->tokenizer, text, ids, context, NULL);
}

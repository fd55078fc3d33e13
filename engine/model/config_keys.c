/* The tables of keys in models' JSON files, with what becomes of each, and the check of a file against them. */
#include "engine/model/config_keys.h"

#include <string.h>

#include "engine/base/text.h"

#define TABLE(name, shared_keys, key_ending)                                                                           \
    const struct config_keys name##_keys = {                                                                           \
        .keys = name, .count = (int)(sizeof name / sizeof name[0]), .shared = shared_keys, .ending = key_ending}

/* ---- diffusers ---- */

static const struct config_key library[] = {
    {"_diffusers_version", KEY_WITHOUT_EFFECT, NULL},
    {"_name_or_path", KEY_WITHOUT_EFFECT, NULL},
    {"_commit_hash", KEY_WITHOUT_EFFECT, NULL},
    {"_use_default_values", KEY_READ, NULL}, /* of a network, its own class's, the same; of a scheduler, see there */
    /* Of the moving average of a training that saved the network with it. */
    {"decay", KEY_WITHOUT_EFFECT, NULL},
    {"inv_gamma", KEY_WITHOUT_EFFECT, NULL},
    {"min_decay", KEY_WITHOUT_EFFECT, NULL},
    {"optimization_step", KEY_WITHOUT_EFFECT, NULL},
    {"power", KEY_WITHOUT_EFFECT, NULL},
    {"update_after_step", KEY_WITHOUT_EFFECT, NULL},
    {"use_ema_warmup", KEY_WITHOUT_EFFECT, NULL},
    {"quantization_config", KEY_ONLY, "null"},
};
static TABLE(library, NULL, NULL);

static const struct config_key unet[] = {
    {"_class_name", KEY_ONLY, "\"UNet2DConditionModel\""},
    {"act_fn", KEY_READ, NULL},
    {"addition_embed_type", KEY_ONLY, "null"},
    {"addition_embed_type_num_heads", KEY_WITHOUT_EFFECT, NULL}, /* without addition_embed_type */
    {"addition_time_embed_dim", KEY_WITHOUT_EFFECT, NULL},       /* likewise */
    {"attention_head_dim", KEY_READ, NULL},
    {"attention_type", KEY_ONLY, "\"default\""},
    {"block_out_channels", KEY_READ, NULL},
    {"center_input_sample", KEY_ONLY, "false"},
    {"class_embed_type", KEY_ONLY, "null"},
    {"class_embeddings_concat", KEY_ONLY, "false"},
    {"conv_in_kernel", KEY_READ, NULL},
    {"conv_out_kernel", KEY_READ, NULL},
    {"cross_attention_dim", KEY_READ, NULL},
    {"cross_attention_norm", KEY_ONLY, "null"},
    {"down_block_types", KEY_READ, NULL},
    {"downsample_padding", KEY_ONLY, "1"},
    {"dropout", KEY_WITHOUT_EFFECT, NULL}, /* the library trains with it and samples without */
    {"dual_cross_attention", KEY_ONLY, "false"},
    {"encoder_hid_dim", KEY_ONLY, "null"},
    {"encoder_hid_dim_type", KEY_ONLY, "null"},
    {"flip_sin_to_cos", KEY_READ, NULL},
    {"freq_shift", KEY_READ, NULL},
    {"in_channels", KEY_READ, NULL},
    {"layers_per_block", KEY_READ, NULL},
    {"mid_block_only_cross_attention", KEY_ONLY, "false"},
    {"mid_block_scale_factor", KEY_ONLY, "1"},
    {"mid_block_type", KEY_ONLY, "\"UNetMidBlock2DCrossAttn\""},
    {"norm_eps", KEY_READ, NULL},
    {"norm_num_groups", KEY_READ, NULL},
    {"num_attention_heads", KEY_READ, NULL},
    {"num_class_embeds", KEY_ONLY, "null"},
    {"only_cross_attention", KEY_READ, NULL},
    {"out_channels", KEY_READ, NULL},
    {"projection_class_embeddings_input_dim", KEY_WITHOUT_EFFECT, NULL}, /* without class_embed_type */
    {"resnet_out_scale_factor", KEY_ONLY, "1"},
    {"resnet_skip_time_act", KEY_ONLY, "false"},
    {"resnet_time_scale_shift", KEY_ONLY, "\"default\""},
    {"reverse_transformer_layers_per_block", KEY_ONLY, "null"},
    {"sample_size", KEY_READ, NULL},
    {"time_cond_proj_dim", KEY_ONLY, "null"},
    {"time_embedding_act_fn", KEY_ONLY, "null"},
    {"time_embedding_dim", KEY_READ, NULL},
    {"time_embedding_type", KEY_ONLY, "\"positional\""},
    {"timestep_post_act", KEY_ONLY, "null"},
    {"transformer_layers_per_block", KEY_READ, NULL},
    {"up_block_types", KEY_READ, NULL},
    {"upcast_attention", KEY_WITHOUT_EFFECT, NULL}, /* logits are summed in fp32 anyway */
    {"use_linear_projection", KEY_READ, NULL},
};
TABLE(unet, &library_keys, NULL);

static const struct config_key autoencoder[] = {
    {"_class_name", KEY_ONLY, "\"AutoencoderKL\""},
    {"act_fn", KEY_READ, NULL},
    {"block_out_channels", KEY_READ, NULL},
    {"down_block_types", KEY_WITHOUT_EFFECT, NULL}, /* of the encoder */
    {"force_upcast", KEY_WITHOUT_EFFECT, NULL},     /* about fp16 in the library's own pipelines */
    {"in_channels", KEY_ONLY, "3"},
    {"latent_channels", KEY_READ, NULL},
    {"latents_mean", KEY_ONLY, "null"},
    {"latents_std", KEY_ONLY, "null"},
    {"layers_per_block", KEY_READ, NULL},
    {"mid_block_add_attention", KEY_READ, NULL},
    {"norm_num_groups", KEY_READ, NULL},
    {"out_channels", KEY_ONLY, "3"},
    {"sample_size", KEY_WITHOUT_EFFECT, NULL}, /* the side of tiles, where somebody asks for tiles */
    {"scaling_factor", KEY_READ, NULL},
    {"shift_factor", KEY_ONLY, "null"},
    {"up_block_types", KEY_READ, NULL},
    {"use_post_quant_conv", KEY_READ, NULL},
    {"use_quant_conv", KEY_WITHOUT_EFFECT, NULL}, /* of the encoder */
};
TABLE(autoencoder, &library_keys, NULL);

/* A scheduler's file gives the noise schedule and what the network predicts; of the sampler's own options those count
 * that the sampler which the preset names knows too. */
static const struct config_key scheduler[] = {
    {"_class_name", KEY_READ, NULL},
    {"beta_end", KEY_READ, NULL},
    {"beta_schedule", KEY_READ, NULL},
    {"beta_start", KEY_READ, NULL},
    {"clip_sample", KEY_ONLY, "false"},
    {"final_sigmas_type", KEY_READ, NULL},
    {"interpolation_type", KEY_READ, NULL},
    {"num_train_timesteps", KEY_READ, NULL},
    {"prediction_type", KEY_READ, NULL},
    {"rescale_betas_zero_snr", KEY_READ, NULL},
    {"set_alpha_to_one", KEY_READ, NULL},
    {"sigma_max", KEY_READ, NULL},
    {"sigma_min", KEY_READ, NULL},
    {"steps_offset", KEY_READ, NULL},
    {"thresholding", KEY_ONLY, "false"},
    {"timestep_spacing", KEY_READ, NULL},
    {"timestep_type", KEY_READ, NULL},
    {"trained_betas", KEY_READ, NULL},
    {"use_beta_sigmas", KEY_READ, NULL},
    {"use_exponential_sigmas", KEY_READ, NULL},
    {"use_flow_sigmas", KEY_ONLY, "false"},
    {"use_karras_sigmas", KEY_READ, NULL},
    /* Without clip_sample and thresholding. */
    {"clip_sample_range", KEY_WITHOUT_EFFECT, NULL},
    {"dynamic_thresholding_ratio", KEY_WITHOUT_EFFECT, NULL},
    {"sample_max_value", KEY_WITHOUT_EFFECT, NULL},
    /* Of samplers that are none of ours. */
    {"algorithm_type", KEY_WITHOUT_EFFECT, NULL},
    {"disable_corrector", KEY_WITHOUT_EFFECT, NULL},
    {"euler_at_final", KEY_WITHOUT_EFFECT, NULL},
    {"flow_shift", KEY_WITHOUT_EFFECT, NULL},
    {"lambda_min_clipped", KEY_WITHOUT_EFFECT, NULL},
    {"lower_order_final", KEY_WITHOUT_EFFECT, NULL},
    {"noise_sampler_seed", KEY_WITHOUT_EFFECT, NULL},
    {"predict_x0", KEY_WITHOUT_EFFECT, NULL},
    {"shift_terminal", KEY_WITHOUT_EFFECT, NULL},
    {"skip_prk_steps", KEY_WITHOUT_EFFECT, NULL},
    {"solver_order", KEY_WITHOUT_EFFECT, NULL},
    {"solver_p", KEY_WITHOUT_EFFECT, NULL},
    {"solver_type", KEY_WITHOUT_EFFECT, NULL},
    {"time_shift_type", KEY_WITHOUT_EFFECT, NULL},
    {"use_dynamic_shifting", KEY_WITHOUT_EFFECT, NULL},
    {"use_lu_lambdas", KEY_WITHOUT_EFFECT, NULL},
    {"variance_type", KEY_WITHOUT_EFFECT, NULL},
};
TABLE(scheduler, &library_keys, NULL);

/* ---- transformers ---- */

/* What every config of the library may hold, most of it about training, generation of text and saving. */
static const struct config_key pretrained[] = {
    {"_attn_implementation", KEY_WITHOUT_EFFECT, NULL},
    {"_attn_implementation_autoset", KEY_WITHOUT_EFFECT, NULL},
    {"_commit_hash", KEY_WITHOUT_EFFECT, NULL},
    {"_name_or_path", KEY_WITHOUT_EFFECT, NULL},
    {"add_cross_attention", KEY_WITHOUT_EFFECT, NULL},
    {"architectures", KEY_READ, NULL},
    {"attention_dropout", KEY_WITHOUT_EFFECT, NULL},
    {"attn_implementation", KEY_WITHOUT_EFFECT, NULL},
    {"auto_map", KEY_WITHOUT_EFFECT, NULL},
    {"bad_words_ids", KEY_WITHOUT_EFFECT, NULL},
    {"begin_suppress_tokens", KEY_WITHOUT_EFFECT, NULL},
    {"bos_token_id", KEY_WITHOUT_EFFECT, NULL}, /* the tokenizer's own counts */
    {"chunk_size_feed_forward", KEY_WITHOUT_EFFECT, NULL},
    {"cross_attention_hidden_size", KEY_WITHOUT_EFFECT, NULL},
    {"decoder_start_token_id", KEY_WITHOUT_EFFECT, NULL},
    {"diversity_penalty", KEY_WITHOUT_EFFECT, NULL},
    {"do_sample", KEY_WITHOUT_EFFECT, NULL},
    {"dropout", KEY_WITHOUT_EFFECT, NULL},
    {"dtype", KEY_WITHOUT_EFFECT, NULL},
    {"early_stopping", KEY_WITHOUT_EFFECT, NULL},
    {"encoder_no_repeat_ngram_size", KEY_WITHOUT_EFFECT, NULL},
    {"exponential_decay_length_penalty", KEY_WITHOUT_EFFECT, NULL},
    {"finetuning_task", KEY_WITHOUT_EFFECT, NULL},
    {"forced_bos_token_id", KEY_WITHOUT_EFFECT, NULL},
    {"forced_eos_token_id", KEY_WITHOUT_EFFECT, NULL},
    {"gradient_checkpointing", KEY_WITHOUT_EFFECT, NULL},
    {"id2label", KEY_WITHOUT_EFFECT, NULL},
    {"initializer_factor", KEY_WITHOUT_EFFECT, NULL},
    {"initializer_range", KEY_WITHOUT_EFFECT, NULL},
    {"is_decoder", KEY_WITHOUT_EFFECT, NULL},
    {"is_encoder_decoder", KEY_WITHOUT_EFFECT, NULL},
    {"label2id", KEY_WITHOUT_EFFECT, NULL},
    {"length_penalty", KEY_WITHOUT_EFFECT, NULL},
    {"logit_scale_init_value", KEY_WITHOUT_EFFECT, NULL},
    {"max_length", KEY_WITHOUT_EFFECT, NULL},
    {"min_length", KEY_WITHOUT_EFFECT, NULL},
    {"model_type", KEY_READ, NULL},
    {"no_repeat_ngram_size", KEY_WITHOUT_EFFECT, NULL},
    {"num_beam_groups", KEY_WITHOUT_EFFECT, NULL},
    {"num_beams", KEY_WITHOUT_EFFECT, NULL},
    {"num_labels", KEY_WITHOUT_EFFECT, NULL},
    {"num_return_sequences", KEY_WITHOUT_EFFECT, NULL},
    {"output_attentions", KEY_WITHOUT_EFFECT, NULL},
    {"output_hidden_states", KEY_WITHOUT_EFFECT, NULL},
    {"output_scores", KEY_WITHOUT_EFFECT, NULL},
    {"pad_token_id", KEY_WITHOUT_EFFECT, NULL}, /* the tokenizer's own counts */
    {"prefix", KEY_WITHOUT_EFFECT, NULL},
    {"problem_type", KEY_WITHOUT_EFFECT, NULL},
    {"pruned_heads", KEY_ONLY, "{}"},
    {"quantization_config", KEY_ONLY, "null"},
    {"remove_invalid_values", KEY_WITHOUT_EFFECT, NULL},
    {"repetition_penalty", KEY_WITHOUT_EFFECT, NULL},
    {"return_dict", KEY_WITHOUT_EFFECT, NULL},
    {"return_dict_in_generate", KEY_WITHOUT_EFFECT, NULL},
    {"sep_token_id", KEY_WITHOUT_EFFECT, NULL},
    {"suppress_tokens", KEY_WITHOUT_EFFECT, NULL},
    {"task_specific_params", KEY_WITHOUT_EFFECT, NULL},
    {"temperature", KEY_WITHOUT_EFFECT, NULL},
    {"tf_legacy_loss", KEY_WITHOUT_EFFECT, NULL},
    {"tie_encoder_decoder", KEY_WITHOUT_EFFECT, NULL},
    {"tie_word_embeddings", KEY_WITHOUT_EFFECT, NULL},
    {"tokenizer_class", KEY_WITHOUT_EFFECT, NULL},
    {"top_k", KEY_WITHOUT_EFFECT, NULL},
    {"top_p", KEY_WITHOUT_EFFECT, NULL},
    {"torch_dtype", KEY_WITHOUT_EFFECT, NULL},
    {"torchscript", KEY_WITHOUT_EFFECT, NULL},
    {"transformers_version", KEY_WITHOUT_EFFECT, NULL},
    {"typical_p", KEY_WITHOUT_EFFECT, NULL},
    {"use_bfloat16", KEY_WITHOUT_EFFECT, NULL},
    {"use_cache", KEY_WITHOUT_EFFECT, NULL},
};
static TABLE(pretrained, NULL, NULL);

static const struct config_key text_tower[] = {
    {"eos_token_id", KEY_READ, NULL},          {"hidden_act", KEY_READ, NULL},
    {"hidden_size", KEY_READ, NULL},           {"intermediate_size", KEY_READ, NULL},
    {"layer_norm_eps", KEY_READ, NULL},        {"max_position_embeddings", KEY_READ, NULL},
    {"num_attention_heads", KEY_READ, NULL},   {"num_hidden_layers", KEY_READ, NULL},
    {"pad_token_id", KEY_READ, NULL},          {"projection_dim", KEY_READ, NULL},
    {"use_attention_mask", KEY_ONLY, "false"}, {"vocab_size", KEY_READ, NULL},
};
TABLE(text_tower, &pretrained_keys, NULL);

static const struct config_key vision_tower[] = {
    {"hidden_act", KEY_READ, NULL},     {"hidden_size", KEY_READ, NULL},
    {"image_size", KEY_READ, NULL},     {"intermediate_size", KEY_READ, NULL},
    {"layer_norm_eps", KEY_READ, NULL}, {"num_attention_heads", KEY_READ, NULL},
    {"num_channels", KEY_ONLY, "3"},    {"num_hidden_layers", KEY_READ, NULL},
    {"patch_size", KEY_READ, NULL},     {"projection_dim", KEY_WITHOUT_EFFECT, NULL}, /* the joint model's own counts */
};
TABLE(vision_tower, &pretrained_keys, NULL);

static const struct config_key text_image[] = {
    {"projection_dim", KEY_READ, NULL}, {"text_config", KEY_READ, NULL},        {"text_config_dict", KEY_READ, NULL},
    {"vision_config", KEY_READ, NULL},  {"vision_config_dict", KEY_READ, NULL},
};
TABLE(text_image, &pretrained_keys, NULL);

static const struct config_key picture_processor[] = {
    {"_processor_class", KEY_WITHOUT_EFFECT, NULL},
    {"_valid_processor_keys", KEY_WITHOUT_EFFECT, NULL},
    {"auto_map", KEY_WITHOUT_EFFECT, NULL},
    {"crop_size", KEY_READ, NULL},
    {"data_format", KEY_WITHOUT_EFFECT, NULL},
    {"default_to_square", KEY_READ, NULL},
    {"device", KEY_WITHOUT_EFFECT, NULL},
    {"disable_grouping", KEY_WITHOUT_EFFECT, NULL},
    {"do_center_crop", KEY_READ, NULL},
    {"do_convert_rgb", KEY_WITHOUT_EFFECT, NULL}, /* pictures are RGB */
    {"do_normalize", KEY_READ, NULL},
    {"do_pad", KEY_ONLY, "false"},
    {"do_rescale", KEY_READ, NULL},
    {"do_resize", KEY_READ, NULL},
    {"feature_extractor_type", KEY_WITHOUT_EFFECT, NULL},
    {"image_mean", KEY_READ, NULL},
    {"image_processor_type", KEY_WITHOUT_EFFECT, NULL},
    {"image_seq_length", KEY_WITHOUT_EFFECT, NULL},
    {"image_std", KEY_READ, NULL},
    {"input_data_format", KEY_WITHOUT_EFFECT, NULL},
    {"pad_size", KEY_WITHOUT_EFFECT, NULL}, /* without do_pad */
    {"processor_class", KEY_WITHOUT_EFFECT, NULL},
    {"resample", KEY_READ, NULL},
    {"rescale", KEY_READ, NULL}, /* do_rescale in early detectors */
    {"rescale_factor", KEY_READ, NULL},
    {"return_tensors", KEY_WITHOUT_EFFECT, NULL},
    {"size", KEY_READ, NULL},
    {"use_square_size", KEY_ONLY, "false"},
};
TABLE(picture_processor, NULL, NULL);

static const struct config_key special_tokens[] = {
    {"additional_special_tokens", KEY_READ, NULL},
    {"extra_special_tokens", KEY_READ, NULL},
};
TABLE(special_tokens, NULL, "_token");

static const struct config_key tokenizer[] = {
    {"add_bos_token", KEY_WITHOUT_EFFECT, NULL}, /* CLIP's begin and end stand always */
    {"add_eos_token", KEY_WITHOUT_EFFECT, NULL},
    {"add_prefix_space", KEY_ONLY, "false"},
    {"added_tokens_decoder", KEY_READ, NULL},
    {"auto_map", KEY_WITHOUT_EFFECT, NULL},
    {"backend", KEY_WITHOUT_EFFECT, NULL},
    {"chat_control_tokens", KEY_WITHOUT_EFFECT, NULL},
    {"chat_template", KEY_WITHOUT_EFFECT, NULL},
    {"clean_up_tokenization_spaces", KEY_WITHOUT_EFFECT, NULL}, /* on the way from tokens to text */
    {"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", KEY_WITHOUT_EFFECT, NULL},
    {"do_lower_case", KEY_ONLY, "true"},
    {"errors", KEY_WITHOUT_EFFECT, NULL}, /* on the way from tokens to text */
    {"files_loaded", KEY_WITHOUT_EFFECT, NULL},
    {"fix_mistral_regex", KEY_WITHOUT_EFFECT, NULL}, /* of vocabularies beyond 100,000 tokens */
    {"gguf_file", KEY_WITHOUT_EFFECT, NULL},
    {"init_inputs", KEY_WITHOUT_EFFECT, NULL},
    {"is_local", KEY_WITHOUT_EFFECT, NULL},
    {"local_files_only", KEY_WITHOUT_EFFECT, NULL},
    {"max_len", KEY_READ, NULL},
    {"max_length", KEY_WITHOUT_EFFECT, NULL}, /* the caller says to which length */
    {"merges", KEY_ONLY, "null"},             /* are in files of their own */
    {"model_input_names", KEY_WITHOUT_EFFECT, NULL},
    {"model_max_length", KEY_READ, NULL},
    {"name_or_path", KEY_WITHOUT_EFFECT, NULL},
    {"pad_to_multiple_of", KEY_WITHOUT_EFFECT, NULL},
    {"pad_token_type_id", KEY_WITHOUT_EFFECT, NULL},
    {"padding_side", KEY_ONLY, "\"right\""},
    {"processor_class", KEY_WITHOUT_EFFECT, NULL},
    {"response_schema", KEY_WITHOUT_EFFECT, NULL},
    {"response_template", KEY_WITHOUT_EFFECT, NULL},
    {"slow_tokenizer_class", KEY_WITHOUT_EFFECT, NULL},
    {"special_tokens_map_file", KEY_WITHOUT_EFFECT, NULL}, /* where the file lay when it was saved */
    {"split_special_tokens", KEY_ONLY, "false"},
    {"stride", KEY_WITHOUT_EFFECT, NULL},
    {"tokenizer_class", KEY_READ, NULL},
    {"tokenizer_file", KEY_WITHOUT_EFFECT, NULL},
    {"trim_offsets", KEY_WITHOUT_EFFECT, NULL},
    {"truncation_side", KEY_ONLY, "\"right\""},
    {"truncation_strategy", KEY_WITHOUT_EFFECT, NULL},
    {"use_fast", KEY_WITHOUT_EFFECT, NULL},
    {"verbose", KEY_WITHOUT_EFFECT, NULL},
    {"vocab", KEY_ONLY, "null"},
    {"vocab_file", KEY_WITHOUT_EFFECT, NULL},
    {"vocab_size", KEY_WITHOUT_EFFECT, NULL},
};
TABLE(tokenizer, &special_tokens_keys, NULL);

/* "model" of tokenizer.json. */
static const struct config_key tokenizer_model[] = {
    {"byte_fallback", KEY_ONLY, "false"},
    {"continuing_subword_prefix", KEY_ONLY, "\"\""},
    {"dropout", KEY_ONLY, "null"},
    {"end_of_word_suffix", KEY_ONLY, "\"</w>\""},
    {"fuse_unk", KEY_ONLY, "false"},
    {"ignore_merges", KEY_ONLY, "false"},
    {"merges", KEY_READ, NULL},
    {"type", KEY_ONLY, "\"BPE\""},
    {"unk_token", KEY_WITHOUT_EFFECT, NULL}, /* the tokenizer's own counts */
    {"vocab", KEY_READ, NULL},
};
TABLE(tokenizer_model, NULL, NULL);

/* ---- peft ---- */

/* What leaves an adapter what its factors say. */
#define EMPTY "null or false or \"\" or [] or {}"

/* PeftConfigMixin, PeftConfig and LoraConfig. */
static const struct config_key lora[] = {
    {"r", KEY_READ, NULL},
    {"lora_alpha", KEY_READ, NULL},
    {"rank_pattern", KEY_READ, NULL},
    {"alpha_pattern", KEY_READ, NULL},
    {"use_rslora", KEY_READ, NULL},
    {"peft_type", KEY_ONLY, "\"LORA\" (no other kind of adapter is supported)"},
    {"bias", KEY_ONLY, "\"none\" (trained biases are not supported)"},
    /* The others (PiSSA, OLoRA, CorDA, LoftQ...) take the start out of the base weights when they are attached. */
    {"init_lora_weights", KEY_ONLY,
     "true or false or \"\" or \"gaussian\" or \"orthogonal\" or \"eva\" (others change the base weights)"},
    {"alora_invocation_tokens", KEY_ONLY, EMPTY},
    {"arrow_config", KEY_ONLY, EMPTY},
    {"fan_in_fan_out", KEY_ONLY, EMPTY},
    {"kasa_config", KEY_ONLY, EMPTY},
    {"layer_replication", KEY_ONLY, EMPTY},
    {"lora_bias", KEY_ONLY, EMPTY},
    {"megatron_config", KEY_ONLY, EMPTY},
    {"modules_to_save", KEY_ONLY, EMPTY},
    {"monteclora_config", KEY_ONLY, EMPTY},
    {"target_parameters", KEY_ONLY, EMPTY},
    {"trainable_token_indices", KEY_ONLY, EMPTY},
    {"use_bdlora", KEY_ONLY, EMPTY},
    {"use_dora", KEY_ONLY, EMPTY},
    {"use_qalora", KEY_ONLY, EMPTY},
    {"auto_mapping", KEY_WITHOUT_EFFECT, NULL},
    {"base_model_name_or_path", KEY_WITHOUT_EFFECT, NULL},
    {"corda_config", KEY_WITHOUT_EFFECT, NULL}, /* init_lora_weights tells whether it was used */
    {"ensure_weight_tying", KEY_WITHOUT_EFFECT, NULL},
    {"eva_config", KEY_WITHOUT_EFFECT, NULL},
    {"exclude_modules", KEY_WITHOUT_EFFECT, NULL},
    {"inference_mode", KEY_WITHOUT_EFFECT, NULL},
    {"layers_pattern", KEY_WITHOUT_EFFECT, NULL},
    {"layers_to_transform", KEY_WITHOUT_EFFECT, NULL},
    {"loftq_config", KEY_WITHOUT_EFFECT, NULL},
    {"lora_dropout", KEY_WITHOUT_EFFECT, NULL},
    {"lora_ga_config", KEY_WITHOUT_EFFECT, NULL},
    {"megatron_core", KEY_WITHOUT_EFFECT, NULL},
    {"peft_version", KEY_WITHOUT_EFFECT, NULL},
    {"qalora_group_size", KEY_WITHOUT_EFFECT, NULL},
    {"revision", KEY_WITHOUT_EFFECT, NULL},
    {"runtime_config", KEY_WITHOUT_EFFECT, NULL},
    {"target_modules", KEY_WITHOUT_EFFECT, NULL},
    {"task_type", KEY_WITHOUT_EFFECT, NULL},
    {"velora_config", KEY_WITHOUT_EFFECT, NULL}, /* of the backward pass through training alone */
};
TABLE(lora, NULL, NULL);

/* ---- checking ---- */

const struct config_key *config_key_find(const struct config_keys *keys, const char *name)
{
    static const struct config_key by_ending = {"", KEY_READ, NULL};
    for (; keys; keys = keys->shared) {
        for (int i = 0; i < keys->count; i++)
            if (strcmp(keys->keys[i].name, name) == 0) return &keys->keys[i];
        if (keys->ending && text_ends_with(name, keys->ending)) return &by_ending;
    }
    return NULL;
}

static void remark_on(const struct config *config, const struct text *unknown, int count)
{
    remarks_add(config->remarks, "%s: passes over %s: %.200s", config->path,
                count > 1 ? "keys that are not known" : "a key that is not known", unknown->data ? unknown->data : "");
}

status config_check_keys(const struct config *config, const struct config_keys *keys)
{
    const cJSON *item;
    struct text unknown = {0};
    int count = 0;
    cJSON_ArrayForEach(item, config->root)
    {
        const struct config_key *key = config_key_find(keys, item->string);
        if (!key) text_append(&unknown, "%s%s", count++ ? ", " : "", item->string);
        status result = key && key->use == KEY_ONLY ? config_only(config, key->name, key->only) : status_ok();
        if (result.code == STATUS_OK) continue;
        text_clear(&unknown);
        return result;
    }
    if (count) remark_on(config, &unknown, count);
    text_clear(&unknown);
    return status_ok();
}

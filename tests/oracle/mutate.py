"""Proves that the tests against the reference libraries notice wrong formulas: applies one small change at a time to a
copy of the source, builds it and runs the golden tests, which must fail.

    python tests/oracle/mutate.py [chain|reward|files [WORD]]

Prints one line a mutation, with the test that noticed it first, and exits 1 if any goes unnoticed. WORD: only mutations
whose names hold it. The copy is kept in
build-mutate/, so that another run builds only what changed.
"""

import filecmp
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = ROOT / "build-mutate"

REWARD_MUTATIONS = (
    ("CLIP mean of red", "engine/model/picture_processor.c", "-processor->mean[channel] / deviation", "-0.99 * processor->mean[channel] / deviation"),
    ("no antialiasing", "engine/model/picture_processor.c", "processor->filter, true)", "processor->filter, false)"),
    ("crop off by one", "engine/model/picture_processor.c", "(width - processor->crop_width) / 2", "(width - processor->crop_width + 1) / 2"),
    ("no post norm of CLIP", "engine/model/clip_model.c", 'token = layer_layer_norm(graph, token, model->pair.vision.tower.epsilon, "%s.post_layernorm", tower);', ""),
    ("GELU variant", "engine/model/clip_tower.c", "{UNARY_QUICK_GELU, UNARY_GELU_ERF,", "{UNARY_GELU_ERF, UNARY_QUICK_GELU,"),
    ("text not causal", "engine/model/clip_tower.c", "x = clip_tower_build(graph, &tower->tower, x, true, encoder);", "x = clip_tower_build(graph, &tower->tower, x, false, encoder);"),
    ("pooled one token late", "engine/model/text_image_model.c", ": clip_text_pooling(&model->text, ids, positions);", ": clip_text_pooling(&model->text, ids, positions) - 1;"),
    ("class token not multiplied", "engine/model/owlvit_model.c", "tensor_id features = graph_multiply(graph, patches,", "tensor_id features = graph_add(graph, patches,"),
    ("elu without one", "engine/model/owlvit_model.c", "graph_unary(graph, UNARY_ELU, scale), 1.0, 1.0)", "graph_unary(graph, UNARY_ELU, scale), 1.0, 0.0)"),
    ("shift after scale", "engine/model/owlvit_model.c", "graph_multiply(graph, graph_add(graph, cosine, shift), scale)", "graph_add(graph, graph_multiply(graph, cosine, scale), shift)"),
    ("box grid transposed", "engine/model/owlvit_model.c", "box[0] = (float)logit((double)(column + 1)", "box[0] = (float)logit((double)(row + 1)"),
    ("unwanted counted as wanted", "engine/reward/detection.c", "wanted, unwanted, -1.0, all", "wanted, unwanted, 1.0, all"),
    ("overlap ignored", "engine/reward/detection.c", "detection->wanted + detection->unwanted, detection->overlap)", "detection->wanted + detection->unwanted, 1.0)"),
    ("head's bias", "engine/model/aesthetic_head.c", "head->bias += head->weight[o] * bias[o];", "head->bias += bias[o];"),
    ("colourfulness 0.3", "engine/reward/colorfulness.c", "graph_add_scaled(graph, spread, 0.3, offset)", "graph_add_scaled(graph, spread, 0.31, offset)"),
    ("chroma not halved by the mean", "engine/reward/jpeg.c", "1, width * 3, 1), 0.5)", "1, width * 3, 1), 0.51)"),
    ("DC from the block above only", "engine/reward/jpeg.c", "tensor_id step = graph_subtract(graph, graph_slice(graph, constants, 2, 1, columns - 1),", "tensor_id step = graph_add(graph, graph_slice(graph, constants, 2, 1, columns - 1),"),
    ("edges not repeated", "engine/reward/jpeg.c", "graph_slice(graph, x, axis, length - 1, 1)", "graph_slice(graph, x, axis, 0, 1)"),
    ("quantiser of quality 49", "engine/reward/jpeg_tables.c", "200 - 2 * quality", "198 - 2 * quality"),
    ("luma of BT.709", "engine/reward/picture_math.c", "0.299, 0.587, 0.114", "0.2126, 0.7152, 0.0722"),
    ("mirror of halves only", "engine/reward/symmetry.c", "half >= 1;", "half >= 2;"),
    ("Laplacian's centre", "engine/reward/sharpness.c", "4.0, 0.0)", "4.1, 0.0)"),
)

# The step's vector-Jacobian product, and the same with a tensor through which no gradient passes.
STEP_GRADIENT = "graph_differentiate_one(graph, tensors->next, tensors->latents, &tensors->cotangent, &tensors->gradient)"
STEP_GRADIENT_STOPPED = (
    "graph_differentiate(graph, &(struct differentiation){1, &tensors->next, &tensors->cotangent, 1, &tensors->latents, "
    "&tensors->gradient, 1, &%s})"
)

# Edits are pairs of texts; a mutation of several edits gives them as a list.
CHAIN_MUTATIONS = (
    ("guidance from the conditional half", "engine/sampling/chain_graphs.c", "graph_add_scaled(graph, unconditional, chain->settings.guidance, difference)", "graph_add_scaled(graph, conditional, chain->settings.guidance, difference)"),
    ("guidance minus one", "engine/sampling/chain_graphs.c", "chain->settings.guidance, difference", "chain->settings.guidance - 1.0, difference"),
    ("halves of guidance swapped", "engine/sampling/chain_graphs.c", "graph_subtract(graph, conditional, unconditional)", "graph_subtract(graph, unconditional, conditional)"),
    ("alpha without rank", "engine/model/blocks.c", "builder->adapters->alpha / builder->adapters->rank", "builder->adapters->alpha"),
    ("alpha doubled", "engine/model/blocks.c", "builder->adapters->alpha / builder->adapters->rank", "2.0 * builder->adapters->alpha / builder->adapters->rank"),
    ("merged adapter without alpha", "engine/sampling/chain_merge.c", "scale * chain->settings.alpha / chain->settings.rank", "scale"),
    ("epsilon of the decoder's norms", "engine/model/autoencoder.c", "norm_epsilon = 1e-6", "norm_epsilon = 1e-5"),
    ("scaling factor multiplied", "engine/model/autoencoder.c", "1.0 / autoencoder->scaling_factor", "autoencoder->scaling_factor"),
    ("scaling factor of SD 1.5", "engine/model/autoencoder.c", "1.0 / autoencoder->scaling_factor", "1.0 / 0.18215"),
    ("no SiLU behind the decoder's last norm", "engine/model/autoencoder.c", 'norm_epsilon, true, "decoder.conv_norm_out"', 'norm_epsilon, false, "decoder.conv_norm_out"'),
    ("epsilon of the U-Net's norms", "engine/model/unet.c", ".norm_epsilon = unet->norm_epsilon", ".norm_epsilon = 10.0 * unet->norm_epsilon"),
    ("epsilon before a transformer", "engine/model/unet.c", "transformer_norm_epsilon = 1e-6", "transformer_norm_epsilon = 1e-5"),
    ("GELU of the text encoder", "engine/model/clip_tower.c", "{UNARY_QUICK_GELU, UNARY_GELU_ERF,", "{UNARY_GELU_ERF, UNARY_QUICK_GELU,"),
    ("GEGLU by tanh", "kernels/cpu/vector/elementwise.c", "x[i] * vector_gelu_erf(x[width + i])", "x[i] * x[width + i] * vector_sigmoid(gelu_inner(x[width + i]))"),
    ("GEGLU by the quick GELU", "kernels/cpu/vector/elementwise.c", "x[i] * vector_gelu_erf(x[width + i])", "x[i] * gated(x[width + i], 1.702f)"),
    ("gradient of GEGLU without its bell", "kernels/cpu/vector/elementwise.c", "cotangent * value * (cdf + gate * bell * 0.39894228f)", "cotangent * value * cdf"),
    ("skip term of the sampler one step late", "engine/sampling/schedule.c", "step->latent_gain = sqrt(next) *", "step->latent_gain = sqrt(now) *"),
    ("no skip term in the gradient", "engine/sampling/chain_graphs.c", [
        ("    next = graph_add(graph, next, graph_multiply(graph, prediction,", "    tensor_id skip = next;\n    next = graph_add(graph, next, graph_multiply(graph, prediction,"),
        (STEP_GRADIENT, STEP_GRADIENT_STOPPED % "skip"),
    ]),
    ("no gradient through guidance's empty half", "engine/sampling/chain_graphs.c", [
        ("tensor_id unconditional = graph_slice(graph, both, 0, 0, chain->settings.batch);", "tensor_id unconditional = graph_slice(graph, both, 0, 0, chain->settings.batch);\n    unconditional_half = unconditional;"),
        ("static tensor_id guide(", "static tensor_id unconditional_half;\nstatic tensor_id guide("),
        (STEP_GRADIENT, STEP_GRADIENT_STOPPED % "unconditional_half"),
    ]),
    ("direction without the noise kept", "engine/sampling/schedule.c", "sqrt(fmax(0.0, 1.0 - next - sigma * sigma))", "sqrt(fmax(0.0, 1.0 - next))"),
    ("v-prediction's sign", "engine/sampling/schedule.c", "step->clean_prediction_gain = -spread;", "step->clean_prediction_gain = spread;"),
    ("timesteps without their offset", "engine/sampling/schedule.c", "(n - 1 - i) + request->noise->steps_offset", "(n - 1 - i)"),
    ("time features swapped", "engine/model/unet_config.c", [
        ("flip_sin_to_cos ? i : half + i", "flip_sin_to_cos == 0 ? i : half + i"),
        ("flip_sin_to_cos ? half + i : i", "flip_sin_to_cos == 0 ? half + i : i"),
    ]),
)

FILE_MUTATIONS = (
    ("Karras' exponent", "engine/sampling/schedule.c", "const double rho = 7.0;", "const double rho = 6.9;"),
    ("sigma_min passed over", "engine/sampling/schedule.c", "if (options->minimum > 0.0) minimum = options->minimum;", ""),
    ("exponential as Karras", "engine/sampling/schedule.c", "options->spacing == SIGMAS_KARRAS ?", "options->spacing != SIGMAS_BETA ?"),
    ("log_linear with as many levels as steps", "engine/sampling/schedule.c", "exponential_sigma(maximum, minimum, i, n + 1)", "exponential_sigma(maximum, minimum, i, n)"),
    ("last level of zero", "engine/sampling/schedule.c", "options->ends_at_minimum ? train_sigma(noise, 0) : 0.0", "0.0"),
    ("timestep of a level evenly in sigma", "engine/sampling/schedule.c", "(log(fmax(sigma, 1e-10)) - below) / (above - below)", "(sigma - exp(below)) / (exp(above) - exp(below))"),
    ("continuous timesteps for epsilon too", "engine/sampling/schedule.c", "noise->sigmas.continuous && noise->prediction == PREDICTION_V", "noise->sigmas.continuous"),
    ("Euler's timesteps leading", "engine/sampling/schedule.c", '"Euler", false, SPACING_LINSPACE', '"Euler", false, SPACING_LEADING'),
    ("DDIM's timesteps evenly to both ends", "engine/sampling/schedule.c", '"DDIM", true, SPACING_LEADING', '"DDIM", true, SPACING_LINSPACE'),
    ("last alpha of the file's class", "engine/model/schedule.c", "schedule->set_alpha_to_one = true;", "schedule->set_alpha_to_one = false;"),
    ("zero SNR without keeping the first timestep", "engine/model/schedule.c", "* first_root / (first_root - last_root)", ""),
    ("config before map", "engine/model/tokenizer_files.c", "!files->listed && files->map.root && config_find(&files->map, key)", "!files->listed && files->map.root && config_find(&files->map, key) && !config_find(&files->settings, key)"),
    ("map before a list", "engine/model/tokenizer_files.c", "if (!files->listed && files->map.root &&", "if (files->map.root &&"),
    ("added tokens are special", "engine/model/tokenizer_files.c", ".normalized = !is_special_content(files, item->string)", ".normalized = false"),
    ("rules of absent flags", "engine/model/tokenizer_files.c", 'json_get_flag(value, "normalized", !special)', 'json_get_flag(value, "normalized", false)'),
    ("single words anywhere", "engine/model/tokenizer.c", "if (!token->single_word || stands_alone(codes, count, i, end)) {", "{"),
    ("words without marks", "engine/model/unicode.c", "is_of(code, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL)", "unicode_is_letter(code)"),
    ("first token instead of the longest", "engine/model/added_tokens.c", "return a->length > b->length ? -1 : 1", "return a->length < b->length ? -1 : 1"),
    ("one vector of several", "engine/model/tokenizer.c", "for (int number = 1; (further", "for (int number = 2; (further"),
    ("rescale_factor passed over", "engine/model/picture_processor.c", "255.0 * (rescale ? factor : 1.0)", "255.0 * (rescale ? 1.0 / 255.0 : 1.0)"),
    ("crop by default for detectors", "engine/model/picture_processor.c", ".crop = !square", ".crop = true"),
    ("older sections passed over", "engine/model/text_image_model.c", "class->has_older_sections && config_find", "!class->has_older_sections && config_find"),
    ("a key without its row", "engine/model/config_keys.c", '    {"use_karras_sigmas", KEY_READ, NULL},\n', ""),
    ("another only value", "engine/model/config_keys.c", '{"resnet_out_scale_factor", KEY_ONLY, "1"}', '{"resnet_out_scale_factor", KEY_ONLY, "2"}'),
)

# The quick ones first.
TESTS = {
    "files": {
        "schedule": "tests/unit/sampling/test_sampling_schedule",
        "model_tokenizer_files": "tests/unit/model/test_tokenizer_files",
        "model_reward_configs": "tests/unit/model/test_reward_configs",
        "model_config_keys": "tests/unit/model/test_config_keys",
    },
    "chain": {
        "schedule": "tests/unit/sampling/test_sampling_schedule",
        "model_config_goldens": "tests/unit/model/test_config_goldens",
        "model_emoji_goldens": "tests/unit/model/test_emoji_goldens",
        "emoji_goldens": "tests/e2e/test_emoji_goldens",
    },
    "reward": {
        "reward_goldens": "tests/unit/reward/test_reward_goldens",
        "reward_aesthetic_head": "tests/unit/reward/test_reward_aesthetic_head",
        "reward_jpeg": "tests/unit/reward/test_reward_jpeg",
    },
}
MUTATIONS = {"chain": CHAIN_MUTATIONS, "reward": REWARD_MUTATIONS, "files": FILE_MUTATIONS}


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def first_failing(tests):
    """The name of the first test that fails on the tree as it is, None where all pass."""
    built = run("ninja", "-C", "build", *tests.values(), cwd=TREE)
    if built.returncode != 0:
        sys.exit("the source does not build:\n" + built.stdout[-3000:])
    arguments = ("meson", "test", "-C", "build", "--no-rebuild", "-t", "20")
    return next((name for name in tests if run(*arguments, name, cwd=TREE).returncode != 0), None)


def mutated(name, path, source, edits):
    for right, wrong in edits:
        if source.count(right) != 1:
            sys.exit(f"{name}: {path} has the text {source.count(right)} times: {right}")
        source = source.replace(right, wrong)
    return source


def try_mutation(tests, name, path, *change):
    file = TREE / path
    source = file.read_text()
    file.write_text(mutated(name, path, source, change[0] if len(change) == 1 else [change]))
    noticed = first_failing(tests)
    file.write_text(source)
    print(f"{name}: " + (f"noticed by {noticed}" if noticed else "UNNOTICED"), flush=True)
    return noticed is not None


def copy_changed(source, target):
    """Copies a file whose content changed; an equal one keeps its time, and with it what was built of it."""
    if not os.path.exists(target) or not filecmp.cmp(source, target, shallow=False):
        shutil.copy(source, target)


def main():
    areas = sys.argv[1:2] or list(MUTATIONS)
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    total = noticed = 0
    shutil.copytree(ROOT, TREE, ignore=shutil.ignore_patterns("build", "build-*", ".git"), copy_function=copy_changed,
                    dirs_exist_ok=True)
    if not (TREE / "build").exists() and run("meson", "setup", "build", "-Dcuda=disabled", cwd=TREE).returncode != 0:
        sys.exit("meson setup failed")
    for area in areas:
        failing = first_failing(TESTS[area])
        if failing:
            sys.exit(f"{failing} fails without any mutation")
        for mutation in MUTATIONS[area]:
            if word not in mutation[0]:
                continue
            total += 1
            noticed += try_mutation(TESTS[area], *mutation)
    print(f"{noticed} of {total} mutations noticed")
    return noticed < total


if __name__ == "__main__":
    raise SystemExit(main())

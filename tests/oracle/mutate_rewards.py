"""Proves that the reward tests notice wrong formulas: applies one small change at a time to a copy of the source, builds
it and runs the reward tests, which must fail.

    python tests/oracle/mutate_rewards.py

Prints one line a mutation and exits 1 if any of them goes unnoticed.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

MUTATIONS = (
    ("CLIP mean of red", "engine/model/picture_processor.c", "-processor->mean[channel] * scale", "-0.99 * processor->mean[channel] * scale"),
    ("no antialiasing", "engine/model/picture_processor.c", "processor->filter, true)", "processor->filter, false)"),
    ("crop off by one", "engine/model/picture_processor.c", "(width - processor->crop_width) / 2", "(width - processor->crop_width + 1) / 2"),
    ("no post norm of CLIP", "engine/model/clip_model.c", 'token = layer_layer_norm(graph, token, model->vision.tower.epsilon, "%s.post_layernorm", tower);', ""),
    ("GELU variant", "engine/model/clip_tower.c", "{UNARY_QUICK_GELU, UNARY_GELU_ERF,", "{UNARY_GELU_ERF, UNARY_QUICK_GELU,"),
    ("text not causal", "engine/model/clip_tower.c", "x = clip_tower_build(graph, &tower->tower, x, true, encoder);", "x = clip_tower_build(graph, &tower->tower, x, false, encoder);"),
    ("pooled one token late", "engine/model/clip_model.c", "*end = clip_text_pooling(&model->text, ids, clip_model_context(model));", "*end = clip_text_pooling(&model->text, ids, clip_model_context(model)) - 1;"),
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


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def tests_pass(tree, tests):
    built = run("ninja", "-C", "build", *(f"tests/unit/reward/test_{name}" for name in tests), cwd=tree)
    if built.returncode != 0:
        sys.exit("the mutated source does not build:\n" + built.stdout[-3000:])
    environment = {**os.environ, "REWARD_GOLDENS": str(ROOT / "tests" / "golden" / "reward")}
    return all(subprocess.run([tree / "build" / "tests" / "unit" / "reward" / f"test_{name}"], env=environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0 for name in tests)


def main():
    tests = ("reward_goldens", "reward_aesthetic_head", "reward_jpeg")
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder) / "source"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build", "build-*", ".git"))
        if run("meson", "setup", "build", cwd=tree).returncode != 0:
            sys.exit("meson setup failed")
        if not tests_pass(tree, tests):
            sys.exit("the tests fail without any mutation")
        for name, path, right, wrong in MUTATIONS:
            file = tree / path
            source = file.read_text()
            if source.count(right) != 1:
                sys.exit(f"{name}: {path} has the text {source.count(right)} times: {right}")
            file.write_text(source.replace(right, wrong))
            noticed = not tests_pass(tree, tests)
            file.write_text(source)
            unnoticed += not noticed
            print(f"{'noticed  ' if noticed else 'UNNOTICED'} {name}", flush=True)
    print(f"{len(MUTATIONS) - unnoticed} of {len(MUTATIONS)} mutations noticed")
    return unnoticed > 0


if __name__ == "__main__":
    raise SystemExit(main())

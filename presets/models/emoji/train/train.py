#!/usr/bin/env python3
"""From nothing to the shipped files in one command.

    pip install -r requirements.txt        (and Debian's fonts-noto-color-emoji, unicode-cldr-core)
    python presets/models/emoji/train/train.py --out presets/models/emoji
    python presets/models/emoji/train/train.py --out trial --quick

Every stage keeps its state in the work folder and goes on from there when it is started
again; a finished stage is passed over.  `--quick` runs a few steps of each, in a work
folder of its own, which proves the recipe and nothing else.

Without the work folder of an earlier run the shipped weights can stand in for it:

    python presets/models/emoji/train/train.py --from presets/models/emoji --out presets/models/emoji

takes what is shipped as the result of the first trainings and goes on with decoder, U-Net and
the similarity's image tower; the encoder of the autoencoder stays as it is, so that all
parts go on fitting the latents.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile

import torch

import aesthetic
import clip
import clip_whole
import common
import detector
import export
import pictures
import shipped
import unet
import vae
import vocabulary

REPOSITORY = pathlib.Path(__file__).resolve().parents[4]


def stages(work, quick):
    """(name, file of its training state if it has one, what to run), in an order in which everything needed is there already."""
    few = 4
    pool = 40 if quick else 1500
    generated = 16 if quick else clip.GENERATED
    redrawn = 16 if quick else pictures.REDRAWN
    yield "autoencoder", "vae.pt", lambda: vae.train(work, few if quick else vae.STAGES["autoencoder"].steps)
    yield "decoder", "vae-decoder.pt", lambda: vae.train(work, few if quick else vae.STAGES["decoder"].steps, "decoder")
    yield "decoder polish", "vae-polish.pt", lambda: vae.train(work, few if quick else vae.STAGES["polish"].steps, "polish")
    yield "detector", "detector.pt", lambda: detector.train(work, few if quick else detector.STEPS, pool_size=pool)
    yield "clip", "clip.pt", lambda: clip.train(work, few if quick else clip.STEPS, pool_size=pool)
    yield "unet", "unet.pt", lambda: unet.train(work, few if quick else unet.STEPS, pictures=100 if quick else unet.PICTURES)
    yield "unet polish", "unet-polish.pt", lambda: unet.train(work, few if quick else unet.POLISH_STEPS, 100 if quick else unet.POLISH_PICTURES,
                                                              polish=True)
    yield "detector polish", "detector-polish.pt", lambda: detector.train(work, few if quick else detector.POLISH_STEPS, pool_size=pool, polish=True)
    yield "generated pictures", None, lambda: pictures.generated(work, generated, clip.GENERATED_SEED)
    yield "redrawn pictures", None, lambda: pictures.redrawn(work, redrawn, pictures.REDRAWN_SEED)
    yield "clip polish", "clip-polish.pt", lambda: clip.train(work, few if quick else clip.POLISH_STEPS, pool_size=pool, generated=generated,
                                                              polish=True)
    yield "clip, whole tower", "clip-whole.pt", lambda: clip_whole.train(work, few if quick else clip_whole.STEPS,
                                                                         kept_pictures=100 if quick else clip_whole.KEPT,
                                                                         redrawn=redrawn, generated=generated)
    yield "aesthetic", None, lambda: aesthetic.train(work, 200 if quick else aesthetic.SAMPLES, redrawn=redrawn, generated=generated)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the model's folder; weights and configs in it are replaced")
    parser.add_argument("--work", type=pathlib.Path, default=common.default_work_folder(), help="checkpoints and caches (default: %(default)s)")
    parser.add_argument("--from", type=pathlib.Path, dest="shipped", metavar="MODEL",
                        help="a shipped model's folder, taken as the result of the first stages where the work folder lacks it")
    parser.add_argument("--quick", action="store_true", help="a few steps of everything, in a temporary work folder")
    parser.add_argument("--judge", action="store_true", help="train the independent judge under tests/oracle too")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    vocabulary.check_against_cldr(common.CLDR_ANNOTATIONS)
    work = pathlib.Path(tempfile.mkdtemp(prefix="emoji-quick-")) if arguments.quick else arguments.work
    work.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.shipped:
            shipped.fill(work, arguments.shipped)
        for name, state, run in stages(work, arguments.quick):
            if state and shipped.stands_for(work / state):
                common.log("recipe", f"stage {name}: as shipped")
                continue
            common.log("recipe", f"stage {name}")
            run()
        if arguments.judge:
            sys.path.insert(0, str(REPOSITORY / "tests" / "oracle"))
            import train_judge
            train_judge.train(work, 4 if arguments.quick else train_judge.STEPS, pool_size=20 if arguments.quick else 1000)
        export.export(work, arguments.out)
    finally:
        if arguments.quick:
            shutil.rmtree(work)


if __name__ == "__main__":
    main()

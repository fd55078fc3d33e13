"""The aesthetic head: LAION's layout, fitted to the composition score (composition.py).

The head is five affine maps without activations on the normalised CLIP embedding, as
LAION's is, so it can be folded into one vector.
"""

import numpy
import torch

import clip
import common
import composition
import detector
import pictures
import scenes

SEED = 505
SAMPLES = 5000


class Head(torch.nn.Module):
    """layers.{0,2,4,6,7} as in LAION's file; the odd places were dropout."""

    def __init__(self, width=clip.WIDTH):
        super().__init__()
        sizes = {"0": (width, 256), "2": (256, 64), "4": (64, 32), "6": (32, 16), "7": (16, 1)}
        self.layers = torch.nn.ModuleDict({name: torch.nn.Linear(*size) for name, size in sizes.items()})

    def forward(self, embedding):
        for layer in self.layers.values():
            embedding = layer(embedding)
        return embedding


def samples(count, pool, own, random):
    """Pictures in [0, 1], NCHW, and their scores: drawn, moved off the edge, reconstructed, generated, worthless.

    Half of them are spoiled after they were scored.
    """
    sprites = scenes.Sprites()
    worthless, shown = count // 20, count // 5
    drawn = pictures.mixed_scenes(sprites, random, count - worthless - shown, pool)
    arrays = [composition.off_edge(scene, random) if random.random() < 0.15 else scene.picture for scene in drawn]
    arrays += list(own[random.integers(len(own), size=shown)])
    made = torch.cat([pictures.as_unit(arrays), pictures.worthless(worthless, random)])
    scores = clip.scores_of(made)
    return torch.where(torch.from_numpy(random.random((count, 1, 1, 1)) < 0.5), pictures.spoil(made, random), made), scores


def train(work, count=SAMPLES, pool_size=1500, generated=clip.GENERATED):
    if (work / "aesthetic.pt").exists():
        return
    common.seed_everything(SEED)
    random = numpy.random.default_rng(SEED)
    _, model = clip.load(work)
    pool = pictures.reconstructions(work, "reconstructions", pool_size, detector.SEED + 1)
    own = pictures.generated(work, generated, clip.GENERATED_SEED)
    embeddings, scores = [], []
    for _ in range(0, count, 100):
        batch, wanted = samples(100, pool, own, random)
        with torch.no_grad():
            embeddings.append(clip.embed_pictures(model, pictures.normalise(batch)))
        scores.append(wanted)
    embeddings, scores = torch.cat(embeddings).double(), torch.cat(scores).double()
    count = len(scores)
    # An affine head has one best vector; found directly, then spread over the five layers of the layout.
    held = count // 5
    ones = torch.cat([embeddings, torch.ones(count, 1).double()], dim=1)
    fit, target = ones[held:], scores[held:]
    ridge = 1e-3 * len(fit) / ones.shape[1] * torch.eye(ones.shape[1]).double()
    ridge[-1, -1] = 0
    solution = torch.linalg.solve(fit.t() @ fit + ridge, fit.t() @ target)
    common.log("aesthetic", f"rank correlation on {held} held-out pictures {rank_correlation(ones[:held] @ solution, scores[:held]):.3f}")
    head = Head()
    spread(head, solution[:-1].float(), solution[-1].item())
    common.save_whole(head.state_dict(), work / "aesthetic.pt")


def spread(head, vector, constant):
    """Sets the five affine maps so that together they are `vector . e + constant`.

    The first four layers keep their random start, which is a linear map M of full rank on
    what matters; the weights of the last are solved from it, and the first layer takes up
    the remainder, so that the product is exact.
    """
    with torch.no_grad():
        layers = list(head.layers.values())
        for layer in layers:
            torch.nn.init.orthogonal_(layer.weight)
            layer.bias.zero_()
        # Behind the first layer: one row u with score = u . (W0 e + b0) + b_last.
        row = layers[4].weight @ layers[3].weight @ layers[2].weight @ layers[1].weight
        missing = vector[None] - row @ layers[0].weight
        layers[0].weight.add_(row.t() @ missing / row.square().sum())
        layers[4].bias.fill_(constant)


def rank_correlation(first, second):
    """Spearman's."""
    first, second = (torch.as_tensor(v).double().argsort().argsort().double() for v in (first, second))
    return float(torch.corrcoef(torch.stack([first, second]))[0, 1])


def load(work):
    head = Head()
    head.load_state_dict(torch.load(work / "aesthetic.pt", map_location="cpu", weights_only=True))
    return head.eval().requires_grad_(False)


ABOUT = {"model_type": "aesthetic-predictor", "clip": "../clip", "input_size": clip.WIDTH, "layers": [0, 2, 4, 6, 7],
         "activation": None, "range": [0, 10],
         "score": "synthetic: 3.5 contrast + 3.0 balance + 2.0 wholeness + 1.5 colour harmony; not human ratings"}


if __name__ == "__main__":
    arguments = common.parse_arguments(__doc__)
    if arguments.quick:
        train(arguments.work, 200, pool_size=20, generated=8)
    else:
        train(arguments.work)

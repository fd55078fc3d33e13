"""The aesthetic head: LAION's layout, fitted to the composition score (composition.py).

The head is five affine maps without activations on the normalised CLIP embedding, as
LAION's is, so it can be folded into one vector.
"""

import numpy
import torch

import clip
import common
import composition
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


def samples(count, pool, random):
    """Pictures in [0, 1], NCHW: drawn, moved off the edge, reconstructed, spoiled, worthless."""
    sprites = scenes.Sprites()
    drawn = pictures.mixed_scenes(sprites, random, count - count // 10, pool)
    arrays = [composition.off_edge(scene, random) if random.random() < 0.25 else scene.picture for scene in drawn]
    return torch.cat([pictures.spoil(pictures.as_unit(arrays), random), pictures.worthless(count // 10, random)])


def train(work, count=SAMPLES):
    if (work / "aesthetic.pt").exists():
        return
    common.seed_everything(SEED)
    random = numpy.random.default_rng(SEED)
    _, model = clip.load(work)
    pool = pictures.reconstructions(work, "reconstructions", 1500, 304)
    embeddings, scores = [], []
    while len(scores) < count:
        batch = samples(100, pool, random)
        with torch.no_grad():
            embeddings.append(clip.embed_pictures(model, pictures.normalise(batch)))
        scores += [composition.score(picture) for picture in batch.permute(0, 2, 3, 1).numpy()]
    embeddings, scores = torch.cat(embeddings).double(), torch.tensor(scores[:count]).double()
    embeddings = embeddings[:count]
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
    train(arguments.work, 200 if arguments.quick else SAMPLES)

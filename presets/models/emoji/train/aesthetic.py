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
SAMPLES = 6000  # drawn scenes


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
    """Pictures in [0, 1], NCHW, and how much each counts.

    Those the model has generated, as many as there are, drawn ones and ones drawn over by the model, some of
    these moved off the edge, and some worthless ones.  What tuning meets counts most.
    """
    drawn = pictures.mixed_scenes(scenes.Sprites(), random, count, pool)
    kinds = [(2.0, pictures.as_unit(list(own))),
             (1.0, pictures.as_unit([scene.picture for scene in drawn])),
             (0.3, pictures.as_unit([composition.off_edge(scene, random) for scene in drawn[:count // 6]])),
             (0.1, pictures.worthless(count // 8, random))]
    return torch.cat([made for _, made in kinds]), torch.cat([torch.full((len(made),), weight) for weight, made in kinds])


def solve(embeddings, scores, weights):
    """The affine map that predicts the scores best in weighted least squares, with a little damping: vector, constant."""
    inputs = torch.cat([embeddings, torch.ones(len(embeddings), 1)], dim=1).double()
    damping = 1e-2 * len(inputs) / inputs.shape[1] * torch.eye(inputs.shape[1]).double()
    damping[-1, -1] = 0
    weighted = inputs.t() * weights.double()
    solution = torch.linalg.solve(weighted @ inputs + damping, weighted @ scores.double()).float()
    return solution[:-1], solution[-1].item()


def train(work, count=SAMPLES, redrawn=pictures.REDRAWN, generated=clip.GENERATED):
    if (work / "aesthetic.pt").exists():
        return
    common.seed_everything(SEED)
    random = numpy.random.default_rng(SEED)
    _, model = clip.load(work)
    pool = pictures.redrawn(work, redrawn, pictures.REDRAWN_SEED)
    own = pictures.generated(work, generated, clip.GENERATED_SEED)
    made, weights = samples(count, pool, own, random)
    scores = clip.scores_of(made)
    with torch.no_grad():
        embeddings = torch.cat([clip.embed_pictures(model, pictures.normalise(part)) for part in made.split(50)])
    # An affine head has one best vector; found directly, then spread over the five layers of the layout.
    vector, constant = solve(embeddings, scores, weights)
    common.log("aesthetic", f"rank correlation on the pictures fitted to {rank_correlation(embeddings @ vector + constant, scores):.3f}")
    head = Head()
    spread(head, vector, constant)
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
        train(arguments.work, 200, redrawn=16, generated=8)
    else:
        train(arguments.work)

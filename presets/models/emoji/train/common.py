"""What every training stage shares: arguments, seeds, checkpoints, schedules, averages."""

import argparse
import os
import pathlib
import random
import sys
import time

import numpy
import torch

CLDR_ANNOTATIONS = "/usr/share/unicode/cldr/common/annotations/en.xml"  # where Debian puts it


def default_work_folder():
    """Under the user's cache: checkpoints and cached latents are large and can be made again."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "alignprop" / "emoji-training"


def parse_arguments(description, steps=None):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=pathlib.Path, default=default_work_folder(),
                        help="checkpoints, caches and logs (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few steps of everything: proves the recipe, not the model")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    if steps is not None:
        parser.add_argument("--steps", type=int, default=steps)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    return arguments


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(where):
    """bf16 products with fp32 weights; twice as fast where the processor has the instructions."""
    return torch.autocast(where.type, torch.bfloat16)


def seed_everything(seed):
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def log(stage, text):
    print(f"[{time.strftime('%H:%M:%S')}] {stage}: {text}", flush=True)
    sys.stdout.flush()


def save_whole(data, path):
    """Written aside and renamed, so a cut run never leaves half a checkpoint."""
    temporary = path.with_suffix(path.suffix + ".part")
    torch.save(data, temporary)
    os.replace(temporary, path)


def learning_rate(step, total, peak, warmup=100, decay=0.3):
    """Linear warm-up, then constant, then down to a hundredth over the last `decay` of the run.

    The constant part makes a run's length a choice that can still be changed on resuming.
    Polishing has none: it falls from the start (`decay` 1).
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    start = total * (1 - decay)
    if step < start:
        return peak
    return peak * max(0.01, (total - step) / max(1, total - start))


class Average:
    """Exponential moving average of a module's parameters; samples are cleaner from it."""

    def __init__(self, module, decay):
        self.decay = decay
        self.values = [parameter.detach().clone() for parameter in module.parameters()]
        self.updates = 0

    def update(self, module):
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.values, [p.detach() for p in module.parameters()], 1 - decay)

    def copy_to(self, module):
        for value, parameter in zip(self.values, module.parameters()):
            parameter.data.copy_(value)

    def state_dict(self):
        return {"values": self.values, "updates": self.updates}

    def load_state_dict(self, state):
        for mine, stored in zip(self.values, state["values"]):
            mine.copy_(stored)
        self.updates = state["updates"]


class Progress:
    """A stage's training state on disk: modules, optimiser, averages and step, saved every so often."""

    def __init__(self, path, seconds=60, **parts):
        self.path, self.seconds, self.parts = path, seconds, parts
        self.saved = time.monotonic()

    def resume(self):
        """The step to go on from; 0 for a new run."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        return state["step"]

    def save(self, step, always=False):
        if not always and time.monotonic() - self.saved < self.seconds:
            return
        save_whole({"step": step, **{name: part.state_dict() for name, part in self.parts.items()}}, self.path)
        self.saved = time.monotonic()


def start_from_average(path, module, average=None):
    """Sets a module, and what is to average it from now on, to the averages of another stage's state."""
    stored = Average(module, 0)
    stored.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    stored.copy_to(module)
    if average is not None:
        average.load_state_dict({"values": stored.values, "updates": 0})


def step_random(seed, step):
    """Randomness that depends on the step alone: a resumed run sees the data it would have seen."""
    return numpy.random.default_rng([seed, step])


def to_tensor(pictures, where=None):
    """uint8 pictures (a list or an array, height x width x 3) as NCHW in [-1, 1], as the VAE takes them."""
    array = numpy.stack(pictures) if isinstance(pictures, list) else pictures
    tensor = torch.from_numpy(array).to(where or device()).permute(0, 3, 1, 2).float()
    return tensor / 127.5 - 1

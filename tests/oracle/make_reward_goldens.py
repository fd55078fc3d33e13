"""Writes tests/golden/reward: scores and gradients of every reward by PyTorch, torchvision and transformers.

    python tests/oracle/make_reward_goldens.py

goldens.safetensors holds, for every entry KEY of its metadata (a JSON object with the reward's name, params, prompts,
model and, for jpeg, the real sizes), the tensors KEY.pictures [B,H,W,3] (0..255), KEY.scores [B] and KEY.gradient (of the
sum of the scores by the pictures).
The models beside it have random weights stored in half precision. Everything is computed in double precision.
"""

import io
import json
import pathlib
import shutil

import numpy
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file
from PIL import Image
from torch.nn import functional

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parent / "golden" / "reward"

# ---- pixel rewards, as their papers and standards write them; pictures are [B,3,H,W] ----


def luma(x):
    return 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]


def brightness(x):
    return luma(x).mean((1, 2))


def color(x, color):
    wanted = torch.tensor([int(color[i:i + 2], 16) for i in (1, 3, 5)], dtype=x.dtype) / 255
    return -((x - wanted.view(1, 3, 1, 1)) ** 2).mean((1, 2, 3))


def colorfulness(x):
    red, green, blue = (255 * x[:, i] for i in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    def variance(v): return v.var((1, 2), unbiased=False)
    def mean(v): return v.mean((1, 2))
    return (variance(rg) + variance(yb)).sqrt() + 0.3 * (mean(rg) ** 2 + mean(yb) ** 2).sqrt()


def sharpness(x):
    kernel = torch.tensor([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=x.dtype).view(1, 1, 3, 3)
    return (functional.conv2d(255 * luma(x).unsqueeze(1), kernel) ** 2).mean((1, 2, 3)).sqrt()


def symmetry(x):
    return -((x - x.flip(3)) ** 2).mean((1, 2, 3))


QUANTISERS = (
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
     87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
     72, 92, 95, 98, 112, 100, 103, 99],
    [17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
     99, 99, 99] + 32 * [99])


def jpeg_kilobytes(x, quality):
    """Smooth size with the figures that calibrate_jpeg.py found; the transform is a convolution here."""
    sharpness_of_rate, detail, constant, block, header = 2.828, 1.9436, 1.0466, 0.6160, 623.0
    x = 255 * functional.pad(x, (0, -x.shape[3] % 16, 0, -x.shape[2] % 16), mode="replicate")
    y = luma(x).unsqueeze(1)
    cb = functional.avg_pool2d((x[:, 2:] - y) / 1.772, 2)
    cr = functional.avg_pool2d((x[:, :1] - y) / 1.402, 2)
    n = torch.arange(8, dtype=x.dtype)
    cosines = torch.cos((2 * n[None] + 1) * n[:, None] * torch.pi / 16) * 0.5
    cosines[0] = 0.125 ** 0.5
    basis = torch.einsum("vy,ux->vuyx", cosines, cosines).reshape(64, 1, 8, 8)
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    size = torch.full((len(x),), header, dtype=x.dtype)
    for plane, base in ((y - 128, QUANTISERS[0]), (cb, QUANTISERS[1]), (cr, QUANTISERS[1])):
        steps = torch.tensor(base).mul(percent).add(50).div(100, rounding_mode="floor").clamp(1, 255).to(x.dtype)
        scaled = functional.conv2d(plane, basis, stride=8) / steps.view(1, 64, 1, 1)
        dc = scaled[:, 0]
        left = functional.pad(dc[:, :, :-1], (1, 0))
        above = functional.pad(dc[:, :-1, :1], (0, 0, 1, 0))
        first = torch.zeros(dc.shape[2], dtype=x.dtype)
        first[0] = 1
        predicted = left + above * first
        def bits(v): return torch.log2(1 + (sharpness_of_rate * v) ** 2).flatten(1).sum(1) / 2
        size = size + (detail * bits(scaled[:, 1:]) + constant * bits(dc - predicted)) / 8
        size = size + block * dc[0].numel()
    return size / 1000


# ---- reward models ----


def words_to_tokenizer(folder, words, extra_pad):
    """A CLIP byte-pair vocabulary: all bytes, with and without the end of a word, and merges that spell the words."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    others = [b for b in range(256) if b not in printable]
    letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]
    vocabulary = letters + [letter + "</w>" for letter in letters]
    merges = []
    for word in words:
        parts = list(word[:-1]) + [word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
                vocabulary.append("".join(pair))
            parts = ["".join(pair)] + parts[2:]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    identifiers = {token: i for i, token in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(identifiers, ensure_ascii=False, separators=(",", ":")))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "pad_token": "!" if extra_pad else "<|endoftext|>"}))
    (folder / "special_tokens_map.json").write_text(json.dumps({
        "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
        "pad_token": "!" if extra_pad else "<|endoftext|>"}))
    return identifiers, merges


def text_ids(vocabulary, merges, text, length, padding):
    """Tokens by the definition of byte-pair encoding, for plain lower-case words."""
    tokens = ["<|startoftext|>"]
    for word in text.split():
        parts = list(word[:-1]) + [word[-1] + "</w>"]
        while True:
            pairs = [(merges.index(p), i) for i, p in enumerate(zip(parts, parts[1:])) if p in merges]
            if not pairs:
                break
            at = min(pairs)[1]
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        tokens += parts
    tokens.append("<|endoftext|>")
    ids = [vocabulary[token] for token in tokens]
    return torch.tensor([ids + [padding] * (length - len(ids))])


def randomise(model):
    """Weights large enough that every layer matters; all of them numbers of half precision."""
    generator = torch.Generator().manual_seed(5)
    for name, value in model.named_parameters():
        scale = 0.25 if value.dim() > 1 else 0.1
        random = torch.randn(value.shape, generator=generator) * scale
        if "norm" in name and name.endswith("weight"):
            random = random + 1
        value.data = random.half().float()


def save_model(model, folder, processor):
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.to_json_file(folder / "config.json", use_diff=False)
    save_file({name: value.half().contiguous() for name, value in model.state_dict().items()},
              folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=1))


def processed(x, processor):
    """Antialiased resize, centre crop, normalise: the image processors' steps without their rounding to 8 bits."""
    size, height, width = processor["size"], x.shape[2], x.shape[3]
    if "shortest_edge" in size:
        edge = size["shortest_edge"]
        wanted = (edge, edge * width // height) if height <= width else (edge * height // width, edge)
    else:
        wanted = (size["height"], size["width"])
    if wanted != (height, width):
        mode = {2: "bilinear", 3: "bicubic"}[processor["resample"]]
        x = functional.interpolate(x, wanted, mode=mode, align_corners=False, antialias=True)
    if processor["do_center_crop"]:
        side = processor["crop_size"]["height"]
        top, left = (x.shape[2] - side) // 2, (x.shape[3] - side) // 2
        x = x[:, :, top:top + side, left:left + side]
    mean, deviation = (torch.tensor(processor[key], dtype=x.dtype).view(1, 3, 1, 1) for key in ("image_mean", "image_std"))
    return (x - mean) / deviation


PROCESSOR = {"do_resize": True, "do_center_crop": True, "do_normalize": True, "do_rescale": True, "resample": 3,
             "size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16},
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
WORDS = ["a", "two", "cat", "cats", "dog", "red", "on", "ground", "pizza"]


class Clip:
    def __init__(self, name, patch, side, activation, legacy_end, processor):
        self.folder, self.processor, self.length = TARGET / name, processor, 12
        self.vocabulary, self.merges = words_to_tokenizer(self.folder, WORDS, False)
        end = self.vocabulary["<|endoftext|>"]
        self.end, size = end, len(self.vocabulary)
        text = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, vocab_size=size,
                    max_position_embeddings=self.length, hidden_act=activation, projection_dim=24,
                    bos_token_id=end - 1, eos_token_id=2 if legacy_end else end, pad_token_id=1 if legacy_end else end)
        vision = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=3, patch_size=patch,
                      image_size=side, hidden_act=activation, projection_dim=24)
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        self.model = transformers.CLIPModel(config).eval()
        randomise(self.model)
        save_model(self.model, self.folder, processor)
        self.model.double()

    def image(self, x):
        embedding = self.model.visual_projection(
            self.model.vision_model(pixel_values=processed(x, self.processor)).pooler_output)
        return embedding / embedding.norm(dim=-1, keepdim=True)

    def text(self, prompt):
        ids = text_ids(self.vocabulary, self.merges, prompt, self.length, self.end)
        embedding = self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output)
        return embedding / embedding.norm(dim=-1, keepdim=True)

    def score(self, x, prompts):
        return (self.image(x) * torch.cat([self.text(prompt) for prompt in prompts])).sum(1)


class Aesthetic:
    """The layout of LAION's predictor: linear layers 0, 2, 4, 6, 7 and nothing between them at inference."""

    def __init__(self, name, clip):
        self.clip = clip
        widths, numbers = (24, 20, 12, 8, 4, 1), (0, 2, 4, 6, 7)
        generator = torch.Generator().manual_seed(11)
        self.layers = {}
        for number, inputs, outputs in zip(numbers, widths, widths[1:]):
            self.layers[f"layers.{number}.weight"] = torch.randn((outputs, inputs), generator=generator) * 0.5
            self.layers[f"layers.{number}.bias"] = torch.randn((outputs,), generator=generator) * 0.5
        folder = TARGET / name
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.layers, folder / "model.safetensors")
        torch.save(self.layers, folder / "head.pth")

    def score(self, x):
        features = self.clip.image(x)
        for name in sorted({key.rsplit(".", 1)[0] for key in self.layers}, key=lambda key: int(key.split(".")[1])):
            features = functional.linear(features, self.layers[name + ".weight"].double(),
                                         self.layers[name + ".bias"].double())
        return features[:, 0]


class Detector:
    def __init__(self, name, patch, side, activation, processor):
        self.folder, self.processor, self.length = TARGET / name, processor, 8
        self.vocabulary, self.merges = words_to_tokenizer(self.folder, WORDS, True)
        end = self.vocabulary["<|endoftext|>"]
        text = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                    vocab_size=len(self.vocabulary), max_position_embeddings=self.length, hidden_act=activation,
                    bos_token_id=end - 1, eos_token_id=end, pad_token_id=0)
        vision = dict(hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, patch_size=patch,
                      image_size=side, hidden_act=activation)
        config = transformers.OwlViTConfig(text_config=text, vision_config=vision, projection_dim=16)
        self.model = transformers.OwlViTForObjectDetection(config).eval()
        randomise(self.model)
        save_model(self.model, self.folder, processor)
        self.model.double()

    def detect(self, x, text):
        ids = text_ids(self.vocabulary, self.merges, text, self.length, 0).repeat(len(x), 1)
        found = self.model(input_ids=ids, pixel_values=processed(x, self.processor), attention_mask=(ids != 0).long())
        return found.logits[..., 0].double(), found.pred_boxes

    def score(self, x, object, target, beyond, overlap):
        logits, boxes = self.detect(x, object)
        scores = []
        for row, places in zip(logits, boxes.detach()):
            corners = torchvision.ops.box_convert(places, "cxcywh", "xyxy")
            kept = torchvision.ops.nms(corners, row.detach(), overlap).tolist()
            rest = [i for i in row.argsort(descending=True).tolist() if i not in kept]
            order = (kept + rest)[:target + beyond]
            terms = [functional.logsigmoid(row[i] if rank < target else -row[i]) for rank, i in enumerate(order)]
            scores.append(torch.stack(terms).mean())
        return torch.stack(scores)


# ---- the file ----

TENSORS, ENTRIES = {}, {}


def add(key, pictures, function, entry):
    """pictures [B,H,W,3], 8 bits."""
    x = (torch.tensor(pictures, dtype=torch.float64) / 255).permute(0, 3, 1, 2).requires_grad_(True)
    scores = function(x)
    gradient, = torch.autograd.grad(scores.sum(), x)
    TENSORS[f"{key}.pictures"] = torch.tensor(pictures)
    TENSORS[f"{key}.scores"] = scores.detach().float()
    TENSORS[f"{key}.gradient"] = gradient.permute(0, 2, 3, 1).float().contiguous()
    ENTRIES[key] = json.dumps(entry)
    print(f"{key:24s} {[round(s, 5) for s in scores.tolist()]}  |gradient| {float(gradient.norm()):.4g}")


def real_sizes(pictures, quality):
    """Bytes of the files that Pillow's libjpeg writes."""
    sizes = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        sizes.append(file.tell())
    return sizes


def random_pictures(random, batch, height, width):
    """Smooth colours with edges and a little grain."""
    coarse = torch.tensor(random.uniform(0, 1, (batch, 3, 4, 4)))
    x = functional.interpolate(coarse, (height, width), mode="bicubic").numpy()
    x[:, :, height // 3:, width // 2:] *= 0.6
    x = x + 0.03 * random.standard_normal(x.shape)
    return (255 * numpy.clip(x, 0.02, 0.98)).round().transpose(0, 2, 3, 1).astype(numpy.uint8).copy()


def main():
    random = numpy.random.default_rng(3)
    torch.manual_seed(1)
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)

    plain = random_pictures(random, 2, 16, 16)
    odd = random_pictures(random, 2, 17, 21)
    for name, function in (("brightness", brightness), ("colorfulness", colorfulness), ("sharpness", sharpness),
                           ("symmetry", symmetry)):
        for size, pictures in (("plain", plain), ("odd", odd)):
            add(f"{name}-{size}", pictures, function, {"reward": name})
    add("color-odd", odd, lambda x: color(x, "#ff8000"), {"reward": "color", "params": {"color": "#ff8000"}})
    for quality in (95, 30):
        for size, pictures in (("plain", plain), ("odd", odd)):
            add(f"jpeg-{quality}-{size}", pictures, lambda x: -jpeg_kilobytes(x, quality),
                {"reward": "jpeg", "params": {"quality": quality}, "jpeg_bytes": real_sizes(pictures, quality)})
    add("jpeg-incompressible-odd", odd, lambda x: jpeg_kilobytes(x, 75),
        {"reward": "jpeg-incompressible", "params": {"quality": 75}})

    wide = {**PROCESSOR, "size": {"shortest_edge": 20}, "crop_size": {"height": 20, "width": 20}, "resample": 2,
            "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2]}
    clips = {"clip-quick-gelu": Clip("clip-quick-gelu", 4, 16, "quick_gelu", True, PROCESSOR),
             "clip-gelu": Clip("clip-gelu", 5, 20, "gelu", False, wide)}
    prompts = ["two red cats", "a dog on ground", "cat"]
    for name, clip in clips.items():
        side = clip.processor["crop_size"]["height"]
        for size, (height, width) in (("exact", (side, side)), ("larger", (19, 24)), ("smaller", (14, 11))):
            pictures = random_pictures(random, 3, height, width)
            add(f"{name}-{size}", pictures, lambda x: clip.score(x, prompts),
                {"reward": "clip", "params": {"model": name}, "prompts": prompts})
    aesthetic = Aesthetic("aesthetic", clips["clip-quick-gelu"])
    for form in ("model.safetensors", "head.pth"):
        add(f"aesthetic-{form}", random_pictures(random, 3, 20, 16), aesthetic.score,
            {"reward": "aesthetic", "params": {"model": f"aesthetic/{form}", "clip": "clip-quick-gelu"}})

    square = {**PROCESSOR, "do_center_crop": False, "size": {"height": 24, "width": 24}}
    detectors = {"detector-quick-gelu": Detector("detector-quick-gelu", 4, 24, "quick_gelu", square),
                 "detector-gelu": Detector("detector-gelu", 6, 24, "gelu", square)}
    for name, detector in detectors.items():
        side = detector.processor["size"]["height"]
        for size, (height, width) in (("exact", (side, side)), ("resized", (17, 26))):
            pictures = random_pictures(random, 2, height, width)
            add(f"{name}-count-{size}", pictures, lambda x: detector.score(x, "red cat", 2, 3, 0.4),
                {"reward": "count", "params": {"object": "red cat", "target": 2, "beyond": 3, "overlap": 0.4,
                                               "model": name}})
        pictures = random_pictures(random, 2, 21, 21)
        add(f"{name}-remove", pictures, lambda x: detector.score(x, "dog", 0, 2, 0.2),
            {"reward": "remove", "params": {"object": "dog", "boxes": 2, "overlap": 0.2, "model": name}})
    save_file(TENSORS, TARGET / "goldens.safetensors", metadata=ENTRIES)
    total = sum(path.stat().st_size for path in TARGET.rglob("*") if path.is_file())
    print(f"{total / 1024:.0f} KiB in {TARGET}")


if __name__ == "__main__":
    main()

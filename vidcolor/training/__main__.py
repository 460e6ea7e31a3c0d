"""Train from the command line: `python -m vidcolor.training RECIPE --photos DIR --out DIR`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from vidcolor.errors import VidcolorError
from vidcolor.models.compact import CompactModel
from vidcolor.training.loop import Recipe, measure, recipe_text, train
from vidcolor.training.photos import PhotoTars


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vidcolor.training", description=__doc__)
    parser.add_argument("recipe", type=Path, help="a TOML file of configs/train/")
    parser.add_argument(
        "--photos", type=Path, required=True, help="folder with train-*.tar, val.tar"
    )
    parser.add_argument("--backbone", type=Path, help="MobileNetV2's convolutions as .npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        photos = PhotoTars.open(sorted(options.photos.glob("train-*.tar")))
        validation = PhotoTars.open([options.photos / "val.tar"])
        recipe = Recipe.load(options.recipe)
        model = train(recipe, photos, validation, options.out, options.backbone)
    except VidcolorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    save(model, options.out / "compact.safetensors", recipe)
    print(json.dumps(measure(model, validation)))
    return 0


def save(model: CompactModel, path: Path, recipe: Recipe) -> None:
    """Write the network as float16 safetensors with its recipe in the metadata."""
    state = {
        name: tensor.to(torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(state, path, {"network": model.name, "recipe": recipe_text(recipe)})


if __name__ == "__main__":
    sys.exit(main())

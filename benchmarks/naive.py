"""The loop that anybody would write first: each frame for itself, through RGB at full size.

    python benchmarks/naive.py film.mp4 colour.mp4 --weights eccv16.safetensors --frames 48

    decode to RGB -> rgb2lab -> L at 256x256 -> network -> ab at full size -> lab2rgb -> encode

scikit-image turns the colours, torch runs the network in float32 with all its defaults. It is the
reference that vidcolor's speed is compared with, and is kept plain for that reason.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="eccv16's, as safetensors")
    parser.add_argument("--frames", type=int, help="how many to colour (default all)")
    parser.add_argument("--preset", default="medium", help="libx264's (default medium)")
    parser.add_argument("--crf", type=int, default=18)
    parser.add_argument("--threads", type=int, default=2, help="of decoder and encoder (default 2)")
    options = parser.parse_args()
    network = load_network(options.weights)
    encoder = {"preset": options.preset, "crf": str(options.crf)}
    with av.open(str(options.film)) as source, av.open(str(options.output), "w") as out:
        picture = source.streams.video[0]
        picture.thread_type, picture.codec_context.thread_count = "AUTO", options.threads
        video = out.add_stream("libx264", rate=picture.average_rate, options=encoder)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = picture.width, picture.height, "yuv420p"
        video.codec_context.thread_count = options.threads
        for frame in islice(source.decode(picture), options.frames):
            rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            made = av.VideoFrame.from_ndarray(colorized(network, rgb), format="rgb24")
            made.pts, made.time_base = frame.pts, frame.time_base
            out.mux(video.encode(made))
        out.mux(video.encode(None))


def load_network(weights: Path) -> Any:
    """eccv16 in float32, as torch makes it."""
    from safetensors.torch import load_file

    from vidcolor.models.eccv16 import Eccv16Model

    network = Eccv16Model()
    network.load_state_dict(load_file(weights))
    return network.eval()


def colorized(network: Any, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (h, w, 3) R'G'B' in the network's colours, its CIE L kept."""
    import torch
    import torch.nn.functional as F
    from skimage.color import lab2rgb, rgb2lab

    lightness = torch.from_numpy(rgb2lab(rgb)[None, None, :, :, 0]).float()
    small = F.interpolate(lightness, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    with torch.no_grad():
        ab = network(small)
    wide = F.interpolate(ab, size=rgb.shape[:2], mode="bilinear", align_corners=False)
    lab = torch.cat([lightness, wide], 1)[0].numpy().transpose(1, 2, 0)
    return np.asarray((lab2rgb(lab) * 255).round(), np.uint8)


def random_weights(path: Path, seed: int = 16) -> Path:
    """Write eccv16's state dict, random numbers in the official layout: for timing, not to see."""
    import torch
    from safetensors.torch import save_file

    from vidcolor.models.eccv16 import Eccv16Model

    torch.manual_seed(seed)
    save_file(Eccv16Model().state_dict(), path)
    return path


if __name__ == "__main__":
    main()

"""The colour engine alone: small luma in, chroma planes out; no codec, no flow, on any device.

    python benchmarks/engine.py --device cuda
    python benchmarks/engine.py --device cpu --frames 16 --models compact

Frames of 1080p, made from photographs that scikit-image carries. Measured are: the network, its
kernels called one by one and replayed as a graph, against the device's own peak, which is that of a
big product of matrices; gathering; rendering; and all of it in a row, from arrays of the host to
arrays of the host, with an anchor at every frame and at every fourth. eccv16 has random weights:
its work is the same. Every figure is the median of some rounds, each of which ends when the device
has done everything.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import mul

import cv2
import numpy as np
import skimage.data
import torch
from machine import cpu_name
from numpy.typing import NDArray
from timing import Figure

from vidcolor.color import ColorSpace
from vidcolor.device_color import DeviceColor, Rendering
from vidcolor.device_gather import DeviceFrames, Placing, Want
from vidcolor.frames import ColorTags, Plane
from vidcolor.inference import DEFAULT_BATCH, Engine, choose_device
from vidcolor.models.color_model import ColorModel
from vidcolor.models.descriptions import measure
from vidcolor.models.registry import entry_of, load_model
from vidcolor.resample import shrink
from vidcolor.smoothing import (
    COVERAGE_REACH_FRAMES,
    GATHER_REACH_FRAMES,
    FlowEngine,
    FlowStep,
)

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

CHROMA, SMALL, GATHER = (960, 540), (320, 180), (160, 90)
"""Sizes of the planes and of what is computed on the way, for a frame of 1920 x 1080."""
SHOT_FRAMES = 24
"""The film is one short shot again and again."""
MATRIX = {"cuda": 8192, "mps": 4096, "cpu": 1024}
"""Side of the matrices whose product is the peak."""
FRAMES = {"cuda": 2048, "mps": 64, "cpu": 16}
"""Frames a round, by device type."""
TAGS = ColorTags(matrix=1, primaries=1, transfer=1, full_range=False)


@dataclass(frozen=True)
class Shot:
    """What the pipeline knows of each frame before colour begins."""

    luma: Bytes
    """(n, 540, 960): luma at the chroma planes' size."""

    small: Bytes
    """(n, 180, 320)."""

    gather: list[Floats]
    """Luma at gathering size, 0..1."""

    steps: list[FlowStep | None]


def main() -> None:
    words = parse_arguments()
    device = choose_device(words.device)
    if words.threads:
        torch.set_num_threads(words.threads)
        cv2.setNumThreads(words.threads)
    frames = words.frames or FRAMES[device.type]
    batch = words.batch or DEFAULT_BATCH[device.type]
    shot = made_shot()
    clock = Clock(device, words.rounds)
    print(
        f"{name_of(device)}, torch {torch.__version__}; {batch} frames a batch, {frames} a round."
    )
    print("\n| | | |\n|---|---:|---|", flush=True)
    peak = peak_of(clock, words.matrix or MATRIX[device.type])
    row("product of matrices", peak, "TFLOP/s", digits=2)
    for name in words.models:
        for line in network_rows(name, clock, batch, frames, peak.median):
            row(*line)
    row("gathering, anchors at every 4th frame", gathering(clock, shot, batch, frames), FPS)
    row("rendering, from host to host", rendering(clock, shot, batch, frames), FPS)
    for name in words.models:
        for every in (1, 4):
            engine = Engine(network(name), device, batch)
            figure = in_a_row(clock, shot, engine, every, frames)
            row(f"{name}, all in a row, anchors at every {ordinal(every)}frame", figure, FPS)


FPS = "frames/s"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--models", nargs="+", default=["compact", "eccv16"])
    parser.add_argument("--frames", type=int, help="frames a round")
    parser.add_argument("--batch", type=int, help="frames at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--matrix", type=int, help="side of the matrices of the peak")
    parser.add_argument("--threads", type=int, help="of the CPU; all where it isn't given")
    return parser.parse_args()


def row(words: str, figure: Figure, unit: str, *, digits: int = 1) -> None:
    print(f"| {words} | {figure.cell(digits)} | {unit} |", flush=True)


def ordinal(every: int) -> str:
    return "" if every == 1 else f"{every}th "


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


@dataclass(frozen=True)
class Clock:
    """Measures on one device."""

    device: torch.device
    rounds: int

    def rate(self, work: Callable[[], int]) -> Figure:
        """What `work` says it has done, by seconds; it is called once before that counts."""
        work()
        values = []
        for _ in range(self.rounds):
            self.settle()
            began = time.perf_counter()
            done = work()
            self.settle()
            values.append(done / (time.perf_counter() - began))
        return Figure(tuple(values))

    def settle(self) -> None:
        """Wait until the device has done everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def peak_of(clock: Clock, side: int) -> Figure:
    """TFLOP/s of products of bfloat16 matrices, (side, side)."""
    one, other = (
        torch.randn(side, side, device=clock.device, dtype=torch.bfloat16) for _ in range(2)
    )
    count = 50 if clock.device.type == "cuda" else 5

    @torch.inference_mode()
    def multiply() -> int:
        for _ in range(count):
            torch.mm(one, other)
        return 2 * side**3 * count

    return clock.rate(multiply).map(lambda rate: rate / 1e12)


def network(name: str) -> ColorModel:
    """The bundled network with its weights, another with random ones."""
    torch.manual_seed(0)
    return load_model(name) if entry_of(name).bundled else entry_of(name).build().eval()


def network_rows(
    name: str, clock: Clock, batch: int, frames: int, peak: float
) -> Iterator[tuple[str, Figure, str]]:
    """The network alone, its input on the device and its output left there."""
    gflop = measure(entry_of(name)).gflop
    for graphs in (False, True):
        engine = Engine(network(name), clock.device, batch, graphs=graphs)
        figure = clock.rate(partial(predicted, engine, max(1, frames // batch)))
        way = "replayed as a graph" if engine.graphed else "kernel by kernel"
        yield f"{name} alone, {way}", figure, FPS
        if gflop:
            share = figure.map(partial(mul, gflop / 10 / peak))
            yield f"... {gflop:.1f} GFLOP a frame: of the peak", share, "%"
        if clock.device.type != "cuda":
            return  # there are no graphs


def predicted(engine: Engine, rounds: int) -> int:
    """Frames that the network has seen, the same ones each time."""
    there = torch.rand(engine.batch, *engine.input_size, device=engine.device) * 100
    for _ in range(rounds):
        engine.colorize_on_device(there)
    return rounds * engine.batch


def made_shot() -> Shot:
    """A slow zoom into a photograph, with the flow the pipeline would have measured."""
    photo = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)  # type: ignore[no-untyped-call]
    pictures: list[Bytes] = []
    for t in range(SHOT_FRAMES):
        scale = 3.8 + 0.01 * t
        moved = np.array([[scale, 0, -4.0 * t], [0, scale, -300 - 3.0 * t]])
        pictures.append(np.asarray(cv2.warpAffine(photo, moved, (1920, 1080)), np.uint8))
    small = [shrink(each, SMALL) for each in pictures]
    flow = FlowEngine()
    return Shot(
        luma=np.stack([shrink(each, CHROMA) for each in pictures]),
        small=np.stack(small),
        gather=[shrink(each, GATHER).astype(np.float32) / np.float32(255) for each in small],
        steps=[None, *(flow.step(one, other, GATHER) for one, other in pairwise(small))],
    )


def in_shot(number: int, steps: range, direction: int, every: int) -> tuple[int, ...]:
    """The steps that lead to anchors of the same shot."""
    place = number % SHOT_FRAMES
    reached = [(k, place + direction * k) for k in steps]
    return tuple(k for k, there in reached if 0 <= there < SHOT_FRAMES and there % every == 0)


def wanted(number: int, reach: int, every: int) -> Want:
    """All that is in reach of a frame."""
    steps = range(1, reach + 1)
    past, future = (in_shot(number, steps, direction, every) for direction in (-1, 1))
    return Want(number, number % SHOT_FRAMES % every == 0, past, future)


def gathering(clock: Clock, shot: Shot, batch: int, frames: int) -> Figure:
    """Gathering alone, its frames on the device and the colour left there."""
    held = DeviceFrames(GATHER, clock.device)
    colors = np.random.default_rng(0).normal(0, 20, (2, *GATHER[::-1])).astype(np.float32)
    for t in range(SHOT_FRAMES):
        held.predict(held.add(shot.gather[t], shot.steps[t]), colors)
    wants = [wanted(t % SHOT_FRAMES, GATHER_REACH_FRAMES, 4) for t in range(batch)]
    rounds = max(1, frames // batch)

    def gather() -> int:
        for _ in range(rounds):
            held.gather(wants)
        return rounds * batch

    return clock.rate(gather)


def renderer(device: torch.device, batch: int) -> DeviceColor:
    space = ColorSpace(TAGS, bit_depth=8)
    return DeviceColor(
        space,
        guide_space=space,
        size=CHROMA,
        guide_size=SMALL,
        ab_size=GATHER,
        device=device,
        batch=batch,
    )


def rendering(clock: Clock, shot: Shot, batch: int, frames: int) -> Figure:
    """Rendering alone: luma and colour go up, the planes come down."""
    made = renderer(clock.device, batch)
    chosen = np.arange(batch) % SHOT_FRAMES
    luma, small = shot.luma[chosen], shot.small[chosen]
    noise = np.random.default_rng(0).normal(0, 60, (batch, *GATHER[::-1], 2))
    soft = [cv2.GaussianBlur(each.astype(np.float32), (0, 0), 6) for each in noise]
    ab = np.ascontiguousarray(np.stack(soft).transpose(0, 3, 1, 2))
    rounds = max(1, frames // batch)

    def render() -> int:
        under_way = deque([made.submit(luma, small, ab)])
        for _ in range(rounds - 1):
            under_way.append(made.submit(luma, small, ab))
            under_way.popleft().result()
        under_way.popleft().result()
        return rounds * batch

    return clock.rate(render)


def in_a_row(clock: Clock, shot: Shot, engine: Engine, every: int, frames: int) -> Figure:
    """Everything, as the stream would do it: a batch of anchors, and the frames that lie between
    them once their neighbours are there."""
    made = renderer(clock.device, engine.batch)
    small = np.stack([shrink(each, engine.input_size[::-1]) for each in shot.small])
    lightness = ColorSpace(TAGS, bit_depth=8).lightness(small)

    def colored() -> int:
        chain = Chain(shot, lightness, engine, made, every)
        return sum(len(u) for u, _ in chain.planes(frames))

    return clock.rate(colored)


class Chain:
    """The way from a frame's lumas to its chroma planes, on one device."""

    def __init__(
        self, shot: Shot, lightness: Floats, engine: Engine, color: DeviceColor, every: int
    ) -> None:
        self.shot, self.lightness, self.engine, self.color = shot, lightness, engine, color
        self.every, self.chunk = every, every * engine.batch
        self.frames = DeviceFrames(
            GATHER, engine.device, held=2 * (self.chunk + GATHER_REACH_FRAMES)
        )
        self.placing: Placing | None = None

    def planes(self, count: int) -> Iterator[tuple[Plane, Plane]]:
        """U and V of `count` frames or a few more, a batch at a time, while the next one is under
        way."""
        under_way: deque[Rendering] = deque()
        for numbers in self.ready(count):
            # The stages ask this before they ask for predictions; here it costs the same.
            self.frames.coverage([self.want(n, COVERAGE_REACH_FRAMES) for n in numbers])
            ab = self.frames.gather([self.want(n, GATHER_REACH_FRAMES) for n in numbers])
            places = [n % SHOT_FRAMES for n in numbers]
            under_way.append(self.color.submit(self.shot.luma[places], self.shot.small[places], ab))
            if len(under_way) > 1:
                yield under_way.popleft().result()
        for rendering in under_way:
            yield rendering.result()

    def ready(self, count: int) -> Iterator[range]:
        """Batches of frames whose neighbours are all predicted; as many anchors as fill a batch
        are predicted at once."""
        done, known, batch = 0, 0, self.engine.batch
        while done < count:
            self.predict([self.add(n) for n in range(known, known + self.chunk)])
            known += self.chunk
            while done < count and done + batch <= known - GATHER_REACH_FRAMES:
                yield range(done, done + batch)
                done += batch

    def add(self, number: int) -> int:
        place = number % SHOT_FRAMES
        return self.frames.add(self.shot.gather[place], self.shot.steps[place])

    def predict(self, numbers: list[int]) -> None:
        anchors = [n for n in numbers if n % SHOT_FRAMES % self.every == 0]
        ab = self.engine.colorize_on_device(self.lightness[[n % SHOT_FRAMES for n in anchors]])
        if self.placing is None:
            answer = (ab.shape[3], ab.shape[2])
            self.placing = Placing(answer, 0, GATHER, (0, 0), GATHER, self.engine.device)
        for number, placed in zip(anchors, self.placing(ab), strict=True):
            self.frames.predict(number, placed)

    def want(self, number: int, reach: int) -> Want:
        return wanted(number, reach, self.every)


if __name__ == "__main__":
    main()

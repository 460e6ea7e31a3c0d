"""The training loop: one recipe, one network, any device.

    run = Training(recipe, data_folder, out)
    for event in run.steps():
        print(event.step, event.losses)
    weights = run.finish()

The loop stands in one place, `steps`. Devices, precision and several GPUs are Lightning Fabric's
business. A step's samples derive from (seed, epoch, position) alone and a checkpoint holds
everything else, so a run that is killed and resumed goes the way it would have gone, loss for loss
(on one kind of machine, with as many threads).
"""

from __future__ import annotations

import copy
import logging
import math
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidcolor.errors import TrainingError, VidcolorError
from vidcolor.locks import take_lock
from vidcolor.models.color_model import ColorModel
from vidcolor.models.compact import CompactModel
from vidcolor.models.deepcolor import DeepColorModel
from vidcolor.models.registry import entry_of
from vidcolor.models.weights import load_weights
from vidcolor.training.backbone import load_backbone
from vidcolor.training.checkpoints import State, load_checkpoint, put_weights, save_checkpoint
from vidcolor.training.dataset import Batch, Dataset
from vidcolor.training.embeddings import Remembered
from vidcolor.training.loader import Loader
from vidcolor.training.objectives import Losses, Objective, ObjectiveOptions, Truth, make_objective
from vidcolor.training.prior import bins_121, bins_313, class_prior
from vidcolor.training.readings import Reading, read_off
from vidcolor.training.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from vidcolor.training.sources import open_source

SAVE_SECONDS = 120.0
"""Time between checkpoints: what a power cut may cost."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a training runs; nothing that belongs into a recipe."""

    device: str = "auto"
    """`cpu`, `cuda`, `mps` or `auto`; `cuda:2` is two of them."""

    precision: str = "auto"
    """`32-true`, `bf16-mixed` or `16-mixed`; `auto` is bf16-mixed where the hardware has it."""

    workers: int = 0
    """Processes that make batches."""

    save_seconds: float = SAVE_SECONDS


@dataclass(frozen=True)
class Step:
    """What became of one step."""

    step: int
    """Counted from 1."""

    steps: int
    """In all."""

    rate: float
    losses: dict[str, float]
    """`loss`, and its parts by name."""

    reading: Reading | None = None
    """Where this step was followed by one, on the leader."""

    saved: bool = False
    """Whether a checkpoint was written after it."""


class Trainee(nn.Module):
    """A network and its objective as one module, so that whoever wraps it sees one forward pass."""

    def __init__(self, network: ColorModel, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self._objective = objective

    def forward(
        self, lightness: Tensor, ab: Tensor, hints: Tensor | None, embedding: Tensor | None
    ) -> Losses:
        """The losses of a batch, whose planes are those of `Truth`."""
        return self._objective(self.network, Truth(lightness, ab, hints, embedding))


@dataclass
class Training:
    """One run. Reading sources, building the network and finding a checkpoint happen at once, so
    that what doesn't fit is said before the first step; from then until it is finished no other
    process may train in `out`. Raises TrainingError, WeightsError and OSError."""

    recipe: Recipe
    folder: Path
    out: Path
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        self.fabric = open_fabric(self.machine)
        self.fabric.seed_everything(self.recipe.seed, verbose=False)
        self.out.mkdir(parents=True, exist_ok=True)
        self._unlock = self._lock()
        self.learned, self.measured = data_sets(self.recipe, self.folder)
        self.loader = Loader(
            self.learned,
            self.recipe.data.batch,
            workers=self.machine.workers,
            whole=True,
            rank=self.fabric.global_rank,
            ranks=self.fabric.world_size,
        )
        schedule = self.recipe.schedule
        most = schedule.epochs * self.loader.steps
        self.total = min(schedule.steps, most) if schedule.steps else most
        network = build_network(self.recipe, self.folder)
        # The layout in which convolutions are quickest, and in which SoftCoder reads scores.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        trainee = Trainee(network, self._objective())
        optimizer = make_optimizer(network, self.recipe.optimizer)
        self.average = copy.deepcopy(network).eval() if self.recipe.ema else None
        self.step, self.best = 0, -math.inf
        state = load_checkpoint(self.out, self.recipe)
        if state:
            self._restore(state, network, optimizer)
        self.network = network
        self._embedder = embedder_of(network, self.recipe)
        self._trainee, self._optimizer = self.fabric.setup(trainee, optimizer)
        if self.average is not None:
            self.average.to(self.fabric.device)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that measures, writes and speaks; of several devices
        each has a process, and the others only learn."""
        return bool(self.fabric.is_global_zero)

    def steps(self) -> Iterator[Step]:
        """Run to the recipe's end, from the checkpoint where there is one; yields every step.

        Raises TrainingError where the loss stops being a number, and what the data raises.
        """
        saved = time.monotonic()
        with closing(self.loader):
            while self.step < self.total:
                epoch, first = divmod(self.step, self.loader.steps)
                for batch in self.loader.epoch(epoch, first=first):
                    rate = self._set_rate()
                    losses = self._learn(batch)
                    self.step += 1
                    ended = self.step == self.total
                    between = self.recipe.measure_every or self.loader.steps
                    measure = self.leads and (ended or self.step % between == 0)
                    reading = self._read() if measure else None
                    late = time.monotonic() - saved >= self.machine.save_seconds
                    save = ended or late or self.step % self.loader.steps == 0
                    if save:
                        self.save()
                        saved = time.monotonic()
                    yield Step(self.step, self.total, rate, losses, reading, save and self.leads)
                    if ended:
                        return

    def finish(self) -> Path:
        """Write the finished weights, where this process leads; returns their file."""
        path = self.out / f"{self.recipe.network}.safetensors"
        if self.leads:
            put_weights(path, (self.average or self.network).state_dict(), self.recipe)
        self._unlock()
        return path

    def save(self) -> None:
        """Write a checkpoint, where this process leads. Raises TrainingError where it can't be."""
        if self.leads:
            save_checkpoint(
                self.out,
                State(
                    recipe=self.recipe.text(),
                    step=self.step,
                    network=self.network.state_dict(),
                    average=self.average.state_dict() if self.average else None,
                    optimizer=self._optimizer.state_dict(),
                    random=torch.get_rng_state(),
                    device_random=device_random(self.fabric.device),
                    best=self.best,
                ),
            )

    def _lock(self) -> Callable[[], object]:
        """Keep other processes out of `out`; what lets them in again. Raises TrainingError, and
        where there are several devices in each one's process."""
        refused = ""
        unlock: Callable[[], object] = bool
        if self.leads:
            try:
                lock = take_lock(
                    self.out / "lock", f"the training in {self.out}", refusal=TrainingError
                )
                # A run that is given up, by an error or by its caller, lets others in as well.
                unlock = weakref.finalize(self, lock.close)
            except TrainingError as error:
                refused = str(error)
        # The others would wait for the leader.
        if refused := self.fabric.broadcast(refused):
            raise TrainingError(refused)
        return unlock

    def _learn(self, batch: Batch) -> dict[str, float]:
        truth = self.truth_of(batch)
        self._trainee.train()
        total, parts = self._trainee(truth.lightness, truth.ab, truth.hints, truth.embedding)
        losses = self._everywhere({"loss": total.detach(), **parts})
        if not math.isfinite(losses["loss"]):
            raise TrainingError(
                f"the loss is {losses['loss']} at step {self.step + 1}, at the rate "
                f"{self._rate():g}; lower optimizer.rate, or set optimizer.clip."
            )
        self._optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        if self.recipe.optimizer.clip:
            self.fabric.clip_gradients(
                self._trainee, self._optimizer, max_norm=self.recipe.optimizer.clip
            )
        self._optimizer.step()
        if self.average is not None:
            # Early on the average would be mostly what the network began as.
            decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
            update_average(self.average, self.network, decay)
        return losses

    def _everywhere(self, losses: dict[str, Tensor]) -> dict[str, float]:
        """Their means over all devices."""
        means = self.fabric.all_reduce(torch.stack(list(losses.values())), reduce_op="mean")
        return dict(zip(losses, means.tolist(), strict=True))

    def truth_of(self, batch: Batch) -> Truth:
        """A batch on the device, with what DeepColor's classifier says of it."""
        device = self.fabric.device
        lightness = batch.lightness.to(device, non_blocking=True)
        hints = None if batch.hints is None else batch.hints.to(device, non_blocking=True)
        embedding = None
        if self._embedder is not None:
            embedding = self._embedder(lightness)
        return Truth(lightness, batch.ab.to(device, non_blocking=True), hints, embedding)

    def _read(self) -> Reading:
        network = self.average or self.network
        reading = read_off(network, self.measured, self.recipe, self.fabric.device)
        self.best = max(self.best, reading.figures["psnr"])
        return reading

    def _set_rate(self) -> float:
        share = rate_share(self.recipe.schedule, self.step, self.total)
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * share
        return self._rate()

    def _rate(self) -> float:
        return max(float(group["lr"]) for group in self._optimizer.param_groups)

    def _objective(self) -> Objective:
        given = self.recipe.objective
        options = ObjectiveOptions(
            rebalance=given.rebalance,
            unit=given.unit,
            neighbours=given.neighbours,
            ab_share=given.ab_share,
            knee=given.knee,
            perceptual=given.perceptual,
        )
        counted = None
        if given.rebalance == "data":
            counted = class_prior(self.learned, bins_121 if "121" in given.name else bins_313)
        return make_objective(given.name, options, counted)

    def _restore(self, state: State, network: ColorModel, optimizer: torch.optim.Optimizer) -> None:
        try:
            network.load_state_dict(state["network"])
            if self.average is not None and state["average"] is not None:
                self.average.load_state_dict(state["average"])
            optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(
                f"the checkpoint in {self.out} is of another version of {network.name}; move it "
                "away to begin anew."
            ) from error
        torch.set_rng_state(state["random"])
        set_device_random(self.fabric.device, state.get("device_random"))
        self.step, self.best = state["step"], state["best"]


def device_random(device: torch.device) -> Tensor | None:
    """State of a device's own random numbers; None for the CPU's, which are torch's."""
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def set_device_random(device: torch.device, state: Tensor | None) -> None:
    """Go on from such a state, where there is one and the device is of its kind."""
    if state is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    elif state is not None and device.type == "mps":
        torch.mps.set_rng_state(state)


def open_fabric(machine: Machine) -> Any:
    """Lightning's Fabric for a machine. Raises TrainingError where it or the device is missing."""
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise TrainingError(
            "training needs Lightning Fabric; install it with: pip install 'vidcolor[train]'."
        ) from error
    # It tells of its precision what we tell ourselves.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    kind, _, given = machine.device.partition(":")
    precision = machine.precision
    if precision == "auto":
        precision = "bf16-mixed" if has_bf16(kind) else "32-true"
    try:
        count = int(given or 1)
        fabric = Fabric(
            accelerator=kind,
            devices=count,
            # Some objectives leave a head of their network unused.
            strategy="ddp_find_unused_parameters_true" if count > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
        )
        fabric.launch()
    except (ValueError, RuntimeError, ImportError) as error:
        raise TrainingError(
            f"can't train on {machine.device} with {precision}: {str(error).partition('. ')[0]}; "
            "try --device cpu."
        ) from error
    return fabric


def has_bf16(kind: str) -> bool:
    """Whether the device computes in bfloat16 by itself."""
    from vidcolor.inference import choose_device, choose_dtype

    with suppress(VidcolorError):
        return choose_dtype(choose_device(kind)) is torch.bfloat16
    return False


def data_sets(recipe: Recipe, folder: Path) -> tuple[Dataset, Dataset]:
    """What is learned from, and what measures. Raises TrainingError."""
    data = recipe.data
    by_hash = data.split == "hash"
    learned = Dataset(
        [open_source(folder / each) for each in data.train],
        size=data.size,
        seed=recipe.seed,
        augment=data.augment,
        split="train" if by_hash else "all",
        key_weights=data.weights or None,
        hinted=data.hinted,
    )
    measured = Dataset(
        [open_source(folder / each) for each in (data.train if by_hash else data.validation)],
        size=data.size,
        seed=recipe.seed,
        augment="none",
        split="validation" if by_hash else "all",
        shuffle=False,
    )
    return learned, measured


def build_network(recipe: Recipe, folder: Path) -> ColorModel:
    """The recipe's network as it begins. Raises UsageError, TrainingError, WeightsError."""
    entry = entry_of(recipe.network)
    if entry.formula:
        raise TrainingError(f"{entry.name} is a formula and learns nothing; take another network.")
    try:
        network = entry.build(**recipe.options)
    except (TypeError, ValueError) as error:
        raise TrainingError(
            f"{entry.name} doesn't have the options {recipe.options} of the recipe: {error}."
        ) from error
    if recipe.data.size % network.size_multiple:
        raise TrainingError(
            f"data.size is {recipe.data.size}; {entry.name} takes multiples of "
            f"{network.size_multiple}."
        )
    if recipe.start:
        load_weights(network, folder / recipe.start)
    if recipe.backbone:
        if not isinstance(network, CompactModel):
            raise TrainingError(f"a backbone is for compact; {entry.name} takes none.")
        load_backbone(network, folder / recipe.backbone)
    network.prepare()
    return network


def embedder_of(network: ColorModel, recipe: Recipe) -> Callable[[Tensor], Tensor] | None:
    """What asks DeepColor's classifier, or remembers what it said; None for other networks."""
    if not isinstance(network, DeepColorModel):
        return None
    # Samples that are never the same again would only fill the disk.
    return Remembered(network.embedder) if recipe.data.augment == "none" else network.embedder


def make_optimizer(network: ColorModel, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """The optimizer; `peak` in its groups is the rate before the schedule."""
    # Lists, not sets: a checkpoint knows the parameters by their order alone.
    encoder = list(network.encoder_parameters())
    known = {id(p) for p in encoder}
    others = [p for p in network.parameters() if id(p) not in known]
    groups: list[dict[str, Any]] = [{"params": others, "peak": recipe.rate}]
    if encoder:
        groups.insert(0, {"params": encoder, "peak": recipe.rate * recipe.encoder_share})
    common: dict[str, Any] = {"lr": recipe.rate, "weight_decay": recipe.l2}
    betas = (recipe.betas[0], recipe.betas[1])
    match recipe.name:
        case "sgd":
            return torch.optim.SGD(groups, momentum=recipe.momentum, **common)
        case "adam":
            return torch.optim.Adam(groups, betas=betas, **common)
        case "adamw":
            return torch.optim.AdamW(groups, betas=betas, **common)
        case "adamax":
            return torch.optim.Adamax(groups, betas=betas, **common)
        case "rmsprop":
            return torch.optim.RMSprop(groups, momentum=recipe.momentum, **common)


def rate_share(schedule: ScheduleRecipe, step: int, total: int) -> float:
    """Share of the peak rate at a step, counted from 0."""
    share = 1.0
    if schedule.name == "fall":
        start = total * (1 - schedule.fall_share)
        share = 1.0 if step < start else max(0.0, (total - step) / max(total - start, 1))
    elif schedule.name == "steps":
        share = schedule.factor ** (step // schedule.every)
    return min(share, (step + 1) / schedule.warmup) if schedule.warmup else share


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move averaged weights and BatchNorm's statistics towards the network's."""
    pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    for kept, new in pairs:
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)

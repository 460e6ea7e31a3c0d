"""The networks by name, and the one way to get one ready to use.

    model = load_model()                        # the best network that is here
    model = load_model("eccv16", Path("colorization_release_v2-9b330a0b.pth"))

Nothing here goes online. Names and summaries cost no import of torch: a network's module is
imported when it is built.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.errors import UsageError, WeightsError
from vidcolor.models.catalogue import OFFICIAL, cache_folder, cached_path, find_cached
from vidcolor.models.weights import load_weights, options_of, read_state_dict

if TYPE_CHECKING:
    from torch import Tensor

    from vidcolor.models.color_model import ColorModel

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What the registry knows about a network without building it."""

    name: str
    """As `--model` takes it; equals the class's own `name`."""

    summary: str
    """One line for people."""

    good_for: str
    """What a person choosing looks for, in 24 characters at most: a column of a table."""

    strengths: str
    """What it is good at, in a sentence or two."""

    weaknesses: str
    """What it is bad at, as plainly."""

    licence: str
    """Licence of the weights, an SPDX expression."""

    source: str
    """The paper or project the network comes from."""

    build: Callable[..., ColorModel]
    """Makes the network with random weights; imports its module. Takes the network's options, the
    fields of its config, by name."""

    bundled: bool = False
    """Its weights ship inside the package."""

    official: bool = False
    """Its authors publish weights, which `vidcolor models pull` brings."""

    formula: bool = False
    """It has no weights."""

    for_study: bool = False
    """Rebuilt after a report, to be trained and compared: nobody published its weights. Shown to
    users who ask for everything."""

    for_tests: bool = False
    """Not shown to users unless they ask for everything."""

    @property
    def everyday(self) -> bool:
        """Whether it is one to colour films with."""
        return not self.for_study and not self.for_tests


def build_siggraph17(**options: Any) -> ColorModel:
    from vidcolor.models.siggraph17 import Siggraph17Config, Siggraph17Model

    return Siggraph17Model(Siggraph17Config(**options))


def build_eccv16(**options: Any) -> ColorModel:
    from vidcolor.models.eccv16 import Eccv16Config, Eccv16Model

    return Eccv16Model(Eccv16Config(**options))


def build_compact(**options: Any) -> ColorModel:
    from vidcolor.models.compact import CompactConfig, CompactModel

    return CompactModel(CompactConfig(**options))


def build_osnabrueck(*, classes: bool, **options: Any) -> ColorModel:
    from vidcolor.models.osnabrueck import OsnabrueckConfig, OsnabrueckModel

    return OsnabrueckModel(OsnabrueckConfig(classes=classes, **options))


def build_ucsd_eleven(**options: Any) -> ColorModel:
    from vidcolor.models.ucsd import UcsdConfig, UcsdModel

    return UcsdModel(UcsdConfig(**options))


def build_deepcolor(*, name: str, **options: Any) -> ColorModel:
    from vidcolor.models.deepcolor import CONFIGS, DeepColorModel

    return DeepColorModel(replace(CONFIGS[name], **options))


def build_stclair_autoencoder(**options: Any) -> ColorModel:
    from vidcolor.models.stclair import StClairConfig, StClairModel

    return StClairModel(StClairConfig(**options))


def build_standin() -> ColorModel:
    from vidcolor.models.standin import StandinModel

    return StandinModel()


MODELS: tuple[ModelEntry, ...] = (
    ModelEntry(
        name="siggraph17",
        summary="Calm colours at the input's full size; takes hints.",
        good_for="calm colours, hints",
        strengths="Predicts colour directly, at the size it sees the frame: calm, even, with few "
        "blotches. Learned from 1.3 million photographs. Takes hints.",
        weaknesses="The heaviest here; cautious, and so dull where several colours are likely.",
        licence="BSD-2-Clause",
        source="Zhang et al., SIGGRAPH 2017, arXiv 1705.02999",
        build=build_siggraph17,
        official=True,
    ),
    ModelEntry(
        name="eccv16",
        summary="Vivid colours, blotchy in places.",
        good_for="vivid colours",
        strengths="Chooses among 313 colours and gives rare ones their share: vivid. Learned from "
        "1.3 million photographs.",
        weaknesses="Blotchy, and flickers more than siggraph17; its colours have a quarter of the "
        "size it sees the frame at. Heavy, and takes no hints.",
        licence="BSD-2-Clause",
        source="Zhang, Isola and Efros, ECCV 2016, arXiv 1603.08511",
        build=build_eccv16,
        official=True,
    ),
    ModelEntry(
        name="compact",
        summary="Small and fast, inside the package; takes hints.",
        good_for="fast, offline, hints",
        strengths="Runs on any machine, without a download. Skin, wood and sky come out well. "
        "Takes hints.",
        weaknesses="Brown or gray where it doesn't know, purple-brown grass, reddish patches on "
        "walls: it learned from 9,045 photographs only.",
        licence="BSD-2-Clause AND Apache-2.0",
        source="vidcolor; its encoder began as Google's MobileNetV2 (CVPR 2018)",
        build=build_compact,
        bundled=True,
    ),
    ModelEntry(
        name="osnabrueck-121",
        summary="A student report's network: Zhang's layers, 121 colours.",
        good_for="study: 121 classes",
        strengths="Shows what few classes do, and what a layer that skips pixels does.",
        weaknesses="As reported it paints dots of nine pixels; the cured layer is an option.",
        licence="BSD-2-Clause",
        source="Colorful Image Colorization with TensorFlow, Osnabrück, 2020",
        build=partial(build_osnabrueck, classes=True),
        for_study=True,
    ),
    ModelEntry(
        name="osnabrueck-regression",
        summary="The same report's network, predicting ab itself.",
        good_for="study: regression",
        strengths="Shows why regression goes brown.",
        weaknesses="Dull; dots of nine pixels, as osnabrueck-121 has.",
        licence="BSD-2-Clause",
        source="Colorful Image Colorization with TensorFlow, Osnabrück, 2020",
        build=partial(build_osnabrueck, classes=False),
        for_study=True,
    ),
    ModelEntry(
        name="ucsd-eleven",
        summary="A student report's network: eleven layers, gray to RGB.",
        good_for="study: tiny pictures",
        strengths="Simple, and takes any size.",
        weaknesses="Sees 23 pixels around a place, so it knows surfaces and no things.",
        licence="BSD-2-Clause",
        source="Colorizing Grayscale Images, UC San Diego",
        build=build_ucsd_eleven,
        for_study=True,
    ),
    *(
        ModelEntry(
            name=f"deepcolor-{which}",
            summary=f"A student report's network, {what}.",
            good_for="study: with a classifier",
            strengths="Told by an ImageNet classifier what the picture shows.",
            weaknesses="Needs the classifier's weights, 224 MB, and its time; regression, so dull.",
            licence="BSD-2-Clause",
            source="DeepColor, UMass; its classifier is Inception-ResNet-v2 (arXiv 1602.07261)",
            build=partial(build_deepcolor, name=f"deepcolor-{which}"),
            for_study=True,
        )
        for which, what in (
            ("base", "the largest of four"),
            ("1", "with fewer layers"),
            ("2", "narrow"),
            ("3", "the smallest of four"),
        )
    ),
    ModelEntry(
        name="stclair-autoencoder",
        summary="A student report's network: a plain autoencoder.",
        good_for="study: autoencoder",
        strengths="Easy to read and to train.",
        weaknesses="Regression, so dull; nothing goes around its bottleneck, so edges are soft.",
        licence="BSD-2-Clause",
        source="Coloring black and white images using Keras, St. Clair College",
        build=build_stclair_autoencoder,
        for_study=True,
    ),
    ModelEntry(
        name="standin",
        summary="A formula, not a network: meaningless colours in no time.",
        good_for="tests only",
        strengths="Needs no weights and no time.",
        weaknesses="Its colours mean nothing.",
        licence="BSD-2-Clause",
        source="vidcolor",
        build=build_standin,
        formula=True,
        for_tests=True,
    ),
)
"""Every network; users see the everyday ones, in this order."""

AUTO_ORDER = ("siggraph17", "eccv16")
"""Official weights that `auto` prefers to the bundled network.

siggraph17 first: it regresses ab at the input's size and so flickers and blotches less than
eccv16's classes at a quarter of it, which on film outweighs its 1.8 times the work.
"""


def load_model(name: str = AUTO, weights: Path | None = None) -> ColorModel:
    """The network `name` with its weights, in eval mode, float32, on the CPU.

    name: a name of MODELS, or `auto`: the network `weights` belong to where they are given, else
    what `resolve_auto` says.
    weights: a file to use instead of the network's own.
    Raises UsageError on an unknown name, WeightsError when weights are missing or don't fit.
    """
    if name == AUTO:
        name = resolve_auto() if weights is None else name_of_weights(weights)
    entry = entry_of(name)
    model = build_for(entry, weights)
    if weights is not None:
        load_weights(model, weights)
    elif entry.bundled:
        load_weights(model, bundled_weights(name))
    elif entry.official:
        # The cache has checked the file's sum already.
        load_weights(model, cached_weights(name), sha256=OFFICIAL[name].sha256)
    elif not entry.formula:
        raise WeightsError(
            f"nobody has published weights of {name}; pass a file of your own with --weights FILE, "
            "or take --model compact."
        )
    model.prepare()
    return model.eval()


def build_for(entry: ModelEntry, weights: Path | None) -> ColorModel:
    """The network with the options its weights were trained with, as their file says.

    Raises WeightsError when the options are none of this network.
    """
    options = options_of(weights) if weights else {}
    try:
        return entry.build(**options)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{weights} was trained with options {options} that {entry.name} doesn't have; it is "
            "another network's, or another version's."
        ) from error


def entry_of(name: str) -> ModelEntry:
    """The registry's entry. Raises UsageError naming the nearest known names."""
    for entry in MODELS:
        if entry.name == name:
            return entry
    if name == AUTO:
        shown = ", ".join(entry.name for entry in MODELS if entry.everyday)
        raise UsageError(f"{AUTO} stands for a network and is none itself; name one of {shown}.")
    known = [AUTO, *(entry.name for entry in MODELS if not entry.for_tests)]
    everyday = [AUTO, *(entry.name for entry in MODELS if entry.everyday)]
    near = difflib.get_close_matches(name.lower(), known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(everyday)}."
    raise UsageError(f"there is no network {name!r}; {hint}")


def resolve_auto() -> str:
    """The network `auto` stands for here: the first of AUTO_ORDER in the cache, else compact.

    Raises WeightsError when a file in the cache is damaged: another network than yesterday's
    would be a surprise.
    """
    return next((name for name in AUTO_ORDER if find_cached(name)), "compact")


def explain_auto() -> str:
    """What `auto` takes here and why, a sentence for people. Raises as `resolve_auto`."""
    name = resolve_auto()
    if name in OFFICIAL:
        return f"{name}, since its official weights are in {cache_folder()}"
    return (
        f"{name}, since {cache_folder()} holds no official weights; "
        f"`vidcolor models pull {AUTO_ORDER[0]}` brings them"
    )


def better_than(name: str) -> str | None:
    """The network `auto` takes rather than `name` once its weights are here; None for the first."""
    return None if name == AUTO_ORDER[0] else AUTO_ORDER[0]


def bundled_weights(name: str) -> Path:
    """The weights file that ships with the package. Raises WeightsError when it is missing."""
    path = Path(__file__).with_name("data") / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"the package lacks its weights file {path}; install vidcolor again.")
    return path


def cached_weights(name: str) -> Path:
    """The official weights in the cache. Raises WeightsError that says how to get them."""
    path = find_cached(name)
    if path is None:
        raise WeightsError(
            f"the weights of {name} aren't here ({cached_path(name)} is missing); run `vidcolor "
            f"models pull {name}`, pass them with --weights FILE, or take --model compact."
        )
    return path


def name_of_weights(path: Path) -> str:
    """The network a weights file belongs to, by its keys. Raises WeightsError when none fits."""
    name = network_of(read_state_dict(path))
    if name is None:
        raise WeightsError(
            f"{path} fits none of the networks {', '.join(entry.name for entry in MODELS)}; "
            "say which one it is for with --model."
        )
    return name


def network_of(state: Mapping[str, Tensor]) -> str | None:
    """The network whose parameters have exactly these names and shapes, or None."""
    import torch

    given = {key: tensor.shape for key, tensor in state.items()}
    for entry in MODELS:
        # On the meta device a network costs no memory and no random numbers.
        with torch.device("meta"):
            expected = entry.build().state_dict()
        if {key: tensor.shape for key, tensor in expected.items()} == given:
            return entry.name
    return None

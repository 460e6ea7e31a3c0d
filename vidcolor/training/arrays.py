"""Pictures that lie in arrays: 8-bit L and ab in .npy files, and CIFAR-10's python batches.

    LabArrays.below(Path("colorization"))    # l/gray_scale.npy, ab/ab/ab1.npy, ab2.npy, ...
    Cifar([Path("cifar-10-batches-py/data_batch_1")]).read(0).shape    # (32, 32, 3)

Arrays stay on the disk and are mapped into memory, a page at a time as they are read. Pickles come
from strangers, so nothing in them is called: see `_Plain`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.errors import TrainingError
from vidcolor.training.pictures import BadImageError, ByteImage, Source, place

EXPECTED_ARRAYS = (
    "expected 8-bit arrays in OpenCV's Lab: one of L (n, height, width), and one or more of ab "
    "(n, height, width, 2)"
)

CIFAR_NAME = re.compile(r"(data_batch(_\d+)?|test_batch)")
CIFAR_SHAPE = (3, 32, 32)
CIFAR_BYTES = 3 * 32 * 32


class _Mapped:
    """Arrays behind each other, mapped when first read; every process maps them itself."""

    def __init__(self, paths: Sequence[Path], rows: Sequence[int]) -> None:
        self._paths = tuple(paths)
        self._ends = list(accumulate(rows))
        self._arrays: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return self._ends[-1]

    def __getstate__(self) -> dict[str, Any]:
        # A mapped array would be pickled with all that it holds.
        return {**self.__dict__, "_arrays": {}}

    def row(self, index: int) -> NDArray[np.uint8]:
        """Raises OSError and ValueError where the file isn't what it was."""
        number, inside = place(self._ends, index)
        if number not in self._arrays:
            self._arrays[number] = _mapped(self._paths[number])
        row: NDArray[np.uint8] = self._arrays[number][inside]
        return row


class LabArrays(Source):
    """Pictures as one array of L and several of ab, as "Image Colorization" on Kaggle has them."""

    def __init__(self, name: str, lightness: Sequence[Path], ab: Sequence[Path]) -> None:
        """Files of uint8, (n, h, w) and (n, h, w, 2), in order; L may have more pictures than ab,
        which are left out. Raises TrainingError where they don't fit together."""
        self.name = name
        shapes = {path: _shape(path) for path in (*lightness, *ab)}
        self._lightness = _Mapped(lightness, [shapes[path][0] for path in lightness])
        self._ab = _Mapped(ab, [shapes[path][0] for path in ab])
        sizes = {shape[1:3] for shape in shapes.values()}
        if len(sizes) > 1:
            said = " and ".join(f"{w} x {h}" for h, w in sorted(sizes))
            raise TrainingError(f"the arrays of {name} hold pictures of {said}; expected one size.")
        if len(self._lightness) < len(self._ab):
            raise TrainingError(
                f"{name} has {len(self._lightness)} pictures of L and {len(self._ab)} of ab; "
                "expected at least as many of L, in the same order."
            )

    @classmethod
    def below(cls, root: Path, files: Sequence[str]) -> LabArrays:
        """From the .npy files below a folder, told apart by their shapes, each kind in the order
        of the numbers in its names. Raises TrainingError where they aren't what is expected."""
        paths = [root / file for file in sorted(files, key=_counted)]
        lightness = [path for path in paths if len(_shape(path)) == 3]
        ab = [path for path in paths if path not in lightness]
        if not lightness or not ab:
            lacking = "ab" if lightness else "L"
            raise TrainingError(f"{root} has no array of {lacking}; {EXPECTED_ARRAYS}.")
        return cls(root.resolve().name, lightness, ab)

    def __len__(self) -> int:
        return len(self._ab)

    def key(self, index: int) -> str:
        return f"{self.name}:{index}"

    def read(self, index: int, *, at_least: int = 0) -> ByteImage:
        try:
            lab = np.dstack([self._lightness.row(index), self._ab.row(index)])
        except (OSError, ValueError) as error:
            raise BadImageError(self.key(index), str(error)) from error
        return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


class Cifar(Source):
    """CIFAR-10's python batches: 10,000 pictures of 32 x 32 samples in a file."""

    def __init__(self, paths: Sequence[Path], *, name: str | None = None) -> None:
        """Raises TrainingError where a file isn't such a batch, or holds code."""
        self.name = name or paths[0].name
        self._batches = [_CifarBatch(path) for path in paths]
        self._ends = list(accumulate(batch.count for batch in self._batches))

    def __len__(self) -> int:
        return self._ends[-1]

    def key(self, index: int) -> str:
        batch, inside = self._place(index)
        return f"{batch.path.name}:{inside}"

    def read(self, index: int, *, at_least: int = 0) -> ByteImage:
        batch, inside = self._place(index)
        try:
            planes = batch.row(inside).reshape(CIFAR_SHAPE)
        except (OSError, ValueError, TrainingError) as error:
            raise BadImageError(self.key(index), str(error).rstrip(".")) from error
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    def _place(self, index: int) -> tuple[_CifarBatch, int]:
        number, inside = place(self._ends, index)
        return self._batches[number], inside


class _CifarBatch:
    """One file: where in it the samples lie.

    The published files hold them as they are, so that they can be mapped. Written anew by today's
    Python as an old pickle they may be coded; then each process holds the file's 30 MB.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content, samples = _cifar_samples(path)
        self.count = len(samples) // CIFAR_BYTES
        self._offset = content.find(samples)
        self._rows: NDArray[np.uint8] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rows": None}

    def row(self, index: int) -> NDArray[np.uint8]:
        """(3072,): red, green and blue planes. Raises OSError, ValueError and TrainingError."""
        if self._rows is None:
            shape = (self.count, CIFAR_BYTES)
            if self._offset >= 0:
                self._rows = np.memmap(self.path, np.uint8, "r", self._offset, shape)
            else:
                self._rows = np.frombuffer(_cifar_samples(self.path)[1], np.uint8).reshape(shape)
        row: NDArray[np.uint8] = self._rows[index]
        return row


def _counted(name: str) -> list[tuple[str, int]]:
    """A key that sorts ab2 before ab10."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name)]


def _mapped(path: Path) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _shape(path: Path) -> tuple[int, ...]:
    """Of an array of L or ab. Raises TrainingError where it is none."""
    try:
        array = _mapped(path)
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} can't be read ({error}); {EXPECTED_ARRAYS}.") from error
    fits = array.ndim == 3 or (array.ndim == 4 and array.shape[3] == 2)
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or not fits or not array.size:
        raise TrainingError(
            f"{path} is an array of {array.dtype} of the shape {array.shape}; {EXPECTED_ARRAYS}."
        )
    return array.shape


def _cifar_samples(path: Path) -> tuple[bytes, bytes]:
    """A batch's whole content, and its samples. Raises TrainingError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path} can't be read: {error.strerror}.") from error
    try:
        batch = _Plain.loads(content)
    except Exception as error:  # a damaged pickle fails in every way there is
        raise TrainingError(
            f"{path} can't be read as a batch of CIFAR-10 ({error}); expected a pickle of a "
            "dictionary with samples as `data`, and nothing that has to be called."
        ) from error
    data = next((batch[k] for k in (b"data", "data") if k in batch), None)
    samples = data.samples if isinstance(data, _Array) else data
    whole = isinstance(samples, bytes) and samples and len(samples) % CIFAR_BYTES == 0
    if not isinstance(samples, bytes) or not whole:
        raise TrainingError(
            f"{path} is no batch of CIFAR-10: its `data` isn't an array of 8-bit samples (n, 3072)."
        )
    return content, samples


class _Array:
    """What a pickled array consists of, in place of numpy's own class."""

    samples: bytes | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, _shape, dtype, _columns_first, samples = state
        if isinstance(dtype, _Dtype) and dtype.name == "u1":
            self.samples = bytes(samples, "latin1") if isinstance(samples, str) else samples


class _Dtype:
    def __init__(self, name: str | bytes = "", *_more: Any) -> None:
        # Python 2's texts come as bytes.
        self.name = name.decode("latin1") if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        pass


def _array(*_subtype_shape_and_kind: Any) -> _Array:
    return _Array()


def _from_buffer(samples: bytes, dtype: Any, *_shape_and_order: Any) -> _Array:
    array = _Array()
    array.__setstate__((1, None, dtype, False, bytes(samples)))
    return array


def _encoded(text: str, _encoding: str) -> bytes:
    return text.encode("latin1")


class _Plain(pickle.Unpickler):
    """Reads numbers, texts, lists, dictionaries and arrays; all else a pickle names is refused.

    Even numpy's own functions aren't called: stand-ins note what they would have been given.
    """

    STAND_INS: ClassVar[dict[str, Any]] = {
        **{f"numpy.{core}.multiarray._reconstruct": _array for core in ("core", "_core")},
        **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
        "numpy.ndarray": _Array,
        "numpy.dtype": _Dtype,
        "_codecs.encode": _encoded,
    }

    @classmethod
    def loads(cls, content: bytes) -> dict[Any, Any]:
        """Raises whatever a damaged or dangerous pickle makes it raise."""
        batch = cls(BytesIO(content), encoding="bytes").load()
        if not isinstance(batch, dict):
            raise pickle.UnpicklingError(f"it holds a {type(batch).__name__}")
        return batch

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.STAND_INS[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}") from None

"""Tiny photographs for training, and the files they come in.

tar = write_tar(tmp_path / "a.tar", {"0.png": encoded(photograph(0))})
batch = python2_batch(planes)          # a CIFAR-10 batch as it was published
"""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.training.pictures import ByteImage


def photograph(seed: int, *, width: int = 48, height: int = 36) -> ByteImage:
    """Soft patches of many colours, the same for a seed every time."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def gray_photograph(seed: int) -> ByteImage:
    return np.repeat(photograph(seed)[..., :1], 3, axis=2)


def encoded(rgb: ByteImage, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def python2_batch(samples: NDArray[np.uint8]) -> bytes:
    """The pickle that Python 2 made of {"data": samples (n, 3072), "labels": [...]}."""
    raw = samples.tobytes()
    pieces = [
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n",
        b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01M",
        struct.pack("<H", len(samples)),
        b"M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff",
        b"J\xff\xff\xff\xffK\x00tb\x89T",
        struct.pack("<i", len(raw)) + raw,
        b"tbU\x06labelsq\x08]q\x09(K\x06K\x09eu.",
    ]
    return b"".join(pieces)

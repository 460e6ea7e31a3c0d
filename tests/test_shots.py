"""Cuts: what must be one and what must not."""

from __future__ import annotations

import numpy as np
import pytest

from vidcolor.shots import REACH_FRAMES, is_cut, thumbnail, thumbnail_difference


@pytest.mark.parametrize(
    ("before", "here", "after", "expected"),
    [
        ([2, 2, 2], 40, [2, 2, 2], True),
        ([2, 2, 2], 13, [2, 2, 2], False),  # too small a change
        ([20, 22, 21], 30, [22, 20, 21], False),  # fast motion throughout
        ([2, 2, 2], 24, [24, 2, 2], False),  # a flash comes and goes: two large differences
        ([0, 9, 0], 24, [0, 9, 0], False),  # repeated frames between fast ones
        ([0, 0, 0], 40, [0, 0, 0], True),  # two stills
        ([], 40, [2, 2, 2], True),
        ([2, 2, 2], 40, [], True),
    ],
)
def test_decision(before, here, after, expected):
    assert is_cut(before, here, after) is expected


def test_difference_counts_levels():
    dark, light = np.full((90, 160), 40, np.uint8), np.full((90, 160), 70, np.uint8)
    assert thumbnail(dark).shape == (60, 80)
    assert thumbnail_difference(thumbnail(dark), thumbnail(light)) == 30
    assert REACH_FRAMES == 3

"""The devices that tests run on: the CPU always, CUDA where there is one.

    @every_device
    def test_something(device): ...

Where VIDCOLOR_EXPECT_CUDA=1 says that a machine has a CUDA device, tests fail that don't find it.
"""

from __future__ import annotations

import os

import pytest
import torch

DEVICES = ("cpu", "cuda")
every_device = pytest.mark.parametrize("device", DEVICES, indirect=True)
only_cuda = pytest.mark.parametrize("device", ["cuda"], indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device a test is parametrised with; to be imported beside the marks."""
    return found_device(request.param)


def found_device(name: str) -> torch.device:
    """The device, or the test is skipped, or fails where it is said to be there."""
    if name == "cuda" and not torch.cuda.is_available():
        if os.environ.get("VIDCOLOR_EXPECT_CUDA") == "1":
            pytest.fail("VIDCOLOR_EXPECT_CUDA says that there is a CUDA device, and there is none")
        pytest.skip("needs a CUDA device")
    return torch.device(name)

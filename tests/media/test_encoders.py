"""Encoders found out by using them."""

from __future__ import annotations

import pytest

from vidcolor.errors import EncoderError
from vidcolor.media.choice import known_encoders
from vidcolor.media.encoders import open_encoder


def test_an_encoder_of_8_bits():
    layout = open_encoder("libx264")
    assert (layout.pixel_format, layout.bit_depth) == ("yuv420p", 8)


def test_an_encoder_of_no_8_bits_is_given_10():
    layout = open_encoder("prores_ks")
    assert (layout.pixel_format, layout.bit_depth) == ("yuv422p10le", 10)


@pytest.mark.parametrize("name", ["libx246", "aac"])
def test_what_is_no_video_encoder(name):
    with pytest.raises(EncoderError):
        open_encoder(name)


def test_an_encoder_that_is_listed_and_doesnt_open(monkeypatch):
    def refuse(info, layout, choice):
        raise EncoderError("no GPU that encodes.")

    monkeypatch.setattr("vidcolor.media.encoders.try_encoder", refuse)
    with pytest.raises(EncoderError, match="no GPU"):
        open_encoder("libx264")


def test_the_known_ones_hold_what_auto_takes():
    assert {"libx264", "libx265", "ffv1"} <= set(known_encoders())

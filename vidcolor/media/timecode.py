"""The timecode a film begins with, which an edit of it begins later.

    advanced("01:00:00:00", 30, Fraction(25))          # "01:00:01:05"
    advanced("00:00:59;29", 1, Fraction(30000, 1001))  # "00:01:00;02"

SMPTE ST 12-1: the semicolon says that two numbers are dropped each minute but every tenth, so that
30 frames counted as a second keep up with a clock that shows 29.97 of them.
"""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")
_DAY_SECONDS = 24 * 60 * 60


def advanced(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode `frames` later, at a rate of frames a second; what is none stays as it is."""
    form = _FORM.fullmatch(timecode)
    a_second = round(rate)
    if form is None or a_second < 1:
        return timecode
    hours, minutes, seconds, count = (int(form[n]) for n in (1, 2, 3, 5))
    # At other rates some write a semicolon, too, and count all the same.
    drops = a_second // 15 if form[4] != ":" and a_second % 30 == 0 else 0
    number = (60 * (60 * hours + minutes) + seconds) * a_second + count
    number += frames - _dropped_before(60 * hours + minutes, drops)
    return _written(number, a_second, drops, form[4])


def _dropped_before(minutes: int, drops: int) -> int:
    return drops * (minutes - minutes // 10)


def _written(number: int, a_second: int, drops: int, mark: str) -> str:
    """The timecode of the frame with that number, counted from midnight."""
    a_minute = 60 * a_second - drops
    ten_minutes = 10 * a_minute + drops
    tens, rest = divmod(number, ten_minutes)
    # The first of ten minutes drops nothing.
    minutes = 10 * tens + max(0, rest - drops) // a_minute
    number += _dropped_before(minutes, drops)
    seconds, count = divmod(number, a_second)
    hours, seconds = divmod(seconds % _DAY_SECONDS, 3600)
    return f"{hours:02}:{seconds // 60:02}:{seconds % 60:02}{mark}{count:02}"

r"""Strangers' words, such as a file's name or a track's title, in a line that is printed.

    printable("film\x1b[2J.mkv")     # 'film\\x1b[2J.mkv'

A terminal takes some characters for commands: to clear the screen, to retype what stands there, to
write from right to left. A line break would make one sentence look like two. All these are shown
as they are written in Python.
"""

from __future__ import annotations

import logging
import unicodedata

_JOINERS = "\u200c\u200d"
"""Unseen, but part of how words of some languages are written."""


def printable(text: str) -> str:
    """`text` in one line, with nothing in it that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(letter if _is_seen(letter) else _escaped(letter) for letter in text)


def _is_seen(letter: str) -> bool:
    # Other languages have other spaces.
    return letter.isprintable() or letter in _JOINERS or unicodedata.category(letter) == "Zs"


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that isn't UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


class PrintableFormatter(logging.Formatter):
    """Makes each record one line that can be printed."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

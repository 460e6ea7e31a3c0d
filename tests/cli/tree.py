"""Every command of the program, by the words that call it.

LEAVES[("models", "list")].help
"""

from __future__ import annotations

from typing import Any

import typer

from vidcolor.cli import app

Words = tuple[str, ...]


def commands_below(command: Any, words: Words = ()) -> dict[Words, Any]:
    """The commands that do something, groups left out."""
    inner = getattr(command, "commands", None)
    if not inner:
        return {words: command}
    return {
        longer: leaf
        for name, each in inner.items()
        for longer, leaf in commands_below(each, (*words, name)).items()
    }


LEAVES = commands_below(typer.main.get_command(app))
GROUPS = sorted({words[:1] for words in LEAVES if len(words) > 1})

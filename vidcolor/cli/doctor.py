"""`vidcolor doctor`: what this machine has, and the command that mends what it lacks.

$ vidcolor doctor
$ vidcolor doctor --json
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vidcolor.cli.lines import Page
    from vidcolor.doctor import Finding

EPILOG = """Examples:
  vidcolor doctor
  vidcolor doctor --json

A problem keeps vidcolor from running, a note doesn't; behind -> stands what mends it.

Exit codes: 0 vidcolor can run here, 1 it can't.
"""

STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
MARK_COLUMNS, ABOUT_COLUMNS = 9, 15


def doctor_command(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per finding and line on stdout.")
    ] = False,
) -> None:
    """What this machine has, and the command that mends what it lacks."""
    from vidcolor.cli.lines import Page
    from vidcolor.doctor import examine

    page = Page()
    counts: Counter[str] = Counter()
    for finding in examine():
        counts[finding.mark] += 1
        if as_json:
            print(json.dumps({"event": "finding", **asdict(finding)}), flush=True)
        else:
            show(page, finding)
    can_run = not counts["problem"]
    if as_json:
        verdict = {"can_run": can_run, "problems": counts["problem"], "notes": counts["note"]}
        print(json.dumps({"event": "verdict", **verdict}), flush=True)
    else:
        print(f"\n{verdict_words(counts)}", flush=True)
    raise typer.Exit(0 if can_run else 1)


def show(page: Page, finding: Finding) -> None:
    """A finding's line, and one for what mends it."""
    from rich.text import Text

    head = Text.assemble(
        (finding.mark.ljust(MARK_COLUMNS), STYLES[finding.mark]),
        (finding.about.ljust(ABOUT_COLUMNS), "dim" if finding.mark == "ok" else "bold"),
    )
    page.hanging(head, finding.says)
    if finding.mend:
        # A command stays on its line, to be copied.
        page.whole(Text(" " * (MARK_COLUMNS + ABOUT_COLUMNS) + "-> "), finding.mend, "cyan")
    sys.stdout.flush()


def verdict_words(counts: Counter[str]) -> str:
    """The last line."""
    problems, notes = counts["problem"], counts["note"]
    if problems:
        them = "1 problem" if problems == 1 else f"{problems} problems"
        return f"vidcolor can't run here as it should: {them}; what stands behind -> mends them."
    if notes:
        return f"vidcolor can run here; {notes} note{'s' if notes > 1 else ''} above."
    return "vidcolor can run here."

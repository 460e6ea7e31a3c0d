"""`vidcolor jobs`: unfinished jobs: what is there, how to go on, how to be rid of them.

$ vidcolor jobs
$ vidcolor jobs clean old-films/ --older-than 30 --yes
"""

from __future__ import annotations

import json
import os
import shlex
import string
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from vidcolor.cli.escapes import printable
from vidcolor.errors import UsageError, VidcolorError

if TYPE_CHECKING:
    from vidcolor.jobs.listing import FoundJob

EPILOG = """Examples:
  vidcolor jobs
  vidcolor jobs old-films/
  vidcolor jobs clean old-films/ --older-than 30 --yes

Exit codes: 0 done, also where there are none; 1 failed, 2 bad usage.
"""
LIST_EPILOG = """Examples:
  vidcolor jobs list old-films/

The word list may be left out.
"""
CLEAN_EPILOG = """Examples:
  vidcolor jobs clean
  vidcolor jobs clean old-films/ --kept --yes

Exit codes: 0 done, 1 some couldn't be deleted, 2 bad usage, or nobody to be asked and no --yes.
"""

DAY = 24 * 60 * 60

_PLAIN = (string.ascii_letters + string.digits + " /._-").encode()
"""What stands for itself in a shell's $'...'."""


class _ListUnlessNamed(TyperGroup):
    """A group whose first word is a PATH for `list` where it is no command's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = (*self.commands, *ctx.help_option_names)
        # A line that is only being completed may still become the name of a command.
        if args[0] not in known if args else not ctx.resilient_parsing:
            args = ["list", *args]
        return super().parse_args(ctx, args)


jobs_app = typer.Typer(
    cls=_ListUnlessNamed,
    subcommand_metavar="[PATH]... | clean [PATH]...",
    help=(
        "Unfinished jobs: what is there, how to go on, how to be rid of them.\n\n"
        "With folders, or nothing for this one, lists the jobs in them and below: how far each is, "
        "how old and large, and the command that goes on with it (--json: as lines of JSON). A "
        "folder that is called clean can be given as ./clean."
    ),
    epilog=EPILOG,
    pretty_exceptions_enable=False,
)

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Folders to look in and below, or single jobs by their outputs' names.",
        show_default=False,
    ),
]


@jobs_app.command("list", epilog=LIST_EPILOG)
def list_command(
    paths: Paths = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object per job and line on stdout.")
    ] = False,
) -> None:
    """List jobs: progress, age, size, and the command that goes on."""
    jobs = _jobs_in([_place(path, files=True) for path in paths or ["."]])
    if json_lines:
        for job in jobs:
            print(json.dumps(_as_json(job)))
        return
    for job in jobs:
        print(*_lines(job), sep="\n")
    where = printable(", ".join(paths or ["this folder"]))
    print(_sum(jobs) if jobs else f"No unfinished jobs in {where}.")


@jobs_app.command("clean", epilog=CLEAN_EPILOG)
def clean_command(
    paths: Paths = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS", min=0, help="Only jobs without a new segment for so many days."
        ),
    ] = None,
    kept: Annotated[
        bool, typer.Option("--kept", help="Only kept jobs whose film is finished.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """Delete jobs with their segments; never a source, a film, or a job at work."""
    jobs = [
        job
        for job in _jobs_in([_place(path, files=False) for path in paths or ["."]])
        if job.age_seconds >= (older_than or 0) * DAY
        and (job.state == "finished, kept" or not kept)
    ]
    for job in jobs:
        print(f"{_size(job.size_bytes):>9}  {printable(str(job.folder))}: {_short(job)}")
    idle = [job for job in jobs if not job.at_work]
    if not idle:
        print("Nothing to delete; a job at work is left alone." if jobs else "Nothing to delete.")
        return
    what = f"{_count(idle)}, {_size(sum(job.size_bytes for job in idle))}"
    if not yes:
        _ask(what)
    if _delete(idle) < len(idle):
        raise typer.Exit(1)


def _ask(what: str) -> None:
    """Go on only if the person says so. Raises UsageError where there is none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"nothing was deleted, as nobody is there to be asked; give --yes to delete {what}."
        )
    if not typer.confirm(f"Delete {what}?"):
        print("Nothing was deleted.")
        raise typer.Exit


def _delete(jobs: list[FoundJob]) -> int:
    """Delete jobs, saying what can't be, and in the end how many were."""
    from vidcolor.jobs.listing import delete_job

    deleted, freed = [], 0
    for job in jobs:
        try:
            freed += delete_job(job)
            deleted.append(job)
        except VidcolorError as error:
            _say(f"error: {error}")
            continue
        if job.folder.exists():
            _say(f"warning: {job.folder} holds other things, which stay.")
    print(f"{_count(deleted)} deleted, {_size(freed)} of room made.")
    return len(deleted)


def _say(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr)


def _place(given: str, *, files: bool) -> Path:
    """Where to look for what was given; a file means its folder where `files` may be given.

    Raises UsageError when nothing is there.
    """
    from vidcolor.jobs.folder import folder_path

    path = Path(given)
    if given and os.path.isdir(path):  # noqa: PTH112
        return path
    if path.name and os.path.isdir(folder_path(path)):  # noqa: PTH112
        return folder_path(path)
    if not os.path.lexists(given):
        raise UsageError(
            f"{given or 'an empty name'} is neither a folder nor an unfinished output; give "
            "folders to look in, or nothing for this one."
        )
    if not files:
        raise UsageError(f"{given} has no job's folder beside it; give the folder to clean.")
    return path.parent


def _jobs_in(places: list[Path]) -> list[FoundJob]:
    """The jobs below folders, with a warning if some can't be read."""
    from vidcolor.jobs.listing import find_jobs

    unread: list[tuple[Path, OSError]] = []
    jobs = list(find_jobs(places, passed_over=lambda path, error: unread.append((path, error))))
    if unread:
        path, error = unread[0]
        others = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        _say(f"warning: passed over {path}{others}, which can't be read ({error.strerror}).")
    return jobs


def _as_json(job: FoundJob) -> dict[str, Any]:
    paths = {name: str(getattr(job, name)) for name in ("output", "folder")}
    return asdict(job) | {
        **paths,
        "source": None if job.source is None else str(job.source),
        "command": None if job.command is None else shlex.join(job.command),
        "percent": job.percent,
        "age_seconds": round(job.age_seconds, 1),
    }


def _lines(job: FoundJob) -> list[str]:
    """What is said of one job; its command on a line of its own, to be copied."""
    name = str(job.output)
    lines = [name if name.isprintable() else _shell_word(name)]
    if job.trouble:
        lines.append(f"  {printable(job.trouble)}")
    lines.append("  " + ", ".join(_facts(job)))
    if job.state != "unfinished" or job.at_work:
        return lines
    if job.command is not None:
        lines.append(f"  {' '.join(map(_shell_word, job.command))}")
    elif job.frames_expected:
        lines.append("  the command isn't known; give the one it was begun with to go on")
    return lines


def _shell_word(word: str) -> str:
    """A word as a shell takes it, in one line whatever bytes a file's name is made of."""
    if word.isprintable():
        return shlex.quote(word)
    codes = (chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return f"$'{''.join(codes)}'"


def _facts(job: FoundJob) -> list[str]:
    source = [_source(job)] if job.frames_expected else []
    return [_short(job), _size(job.size_bytes), *source]


def _short(job: FoundJob) -> str:
    """How far a job is and how old, in a few words."""
    if job.at_work:
        return f"{_progress(job)}, at work now (process {job.process or 'unknown'})"
    since = "last segment" if job.segments else "begun"
    if job.state == "damaged":
        since = "last changed"
    return f"{_progress(job)}, {since} {_age(job.age_seconds)}"


def _progress(job: FoundJob) -> str:
    if job.state != "unfinished":
        return job.state
    if not job.frames_expected:
        return "nothing planned yet"
    return f"{job.frames} of {job.frames_expected} frames ({job.percent}%)"


def _source(job: FoundJob) -> str:
    if job.source is None:
        return "source unknown: an earlier vidcolor began it"
    return f"source {'is' if job.source_there else 'no longer'} there: {printable(str(job.source))}"


def _sum(jobs: list[FoundJob]) -> str:
    states = [job.state for job in jobs]
    counted = (f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return f"{'; '.join(counted)}; {_size(sum(job.size_bytes for job in jobs))} in all."


def _count(jobs: list[FoundJob]) -> str:
    return "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"


def _age(seconds: float) -> str:
    for length, name in ((DAY, "day"), (3600, "hour"), (60, "minute")):
        if (number := int(seconds // length)) > 0:
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "just now"


def _size(number: int) -> str:
    for length, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= length:
            return f"{number / length:.1f} {name}"
    return f"{number} bytes"

"""`vidcolor compare`: finished films beside the true one, whichever tools made them.

$ vidcolor compare truth.mp4 ours.mp4 theirs.mkv
$ vidcolor compare truth.mp4 ours.mp4 --limit 200 -o figures/
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidcolor.cli.evaluate import bar, folder_of, tell_films
from vidcolor.cli.options import MACHINE, Debug, Overwrite, setting_option, shown
from vidcolor.cli.preview import count_parser
from vidcolor.errors import UsageError

EPILOG = """Examples:
  vidcolor compare truth.mp4 ours.mp4
  vidcolor compare truth.mp4 ours.mp4 theirs.mkv --limit 200 -o figures/

Any tool's films will do, of any size and container, as long as their frames are the truth's, in its
order. Rows for gray and for the truth stand beside them. docs/evaluate.md says what the columns
mean.
"""


def compare_command(
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="The film in its own colours.")],
    films: Annotated[
        list[str], typer.Argument(metavar="FILM...", help="The same film, coloured by anything.")
    ],
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=shown("Only the first N frames.", "all"),
            parser=count_parser("--limit"),
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="A folder for table.md and figures.json."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    threads: Annotated[
        int | None,
        setting_option(
            "threads", "CPU threads for decoding and measuring.", panel=MACHINE, metavar="N"
        ),
    ] = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Measure finished films against the true one."""
    if "" in (truth, *films):
        raise UsageError("one name is empty; expected TRUTH and a FILM at least.")
    for name in (truth, *films):
        refuse_url(name)
    folder = folder_of(out, overwrite)
    # Imported here, so that `--help` and wrong words are answered without it.
    from vidcolor.cli.options import settings_of
    from vidcolor.evaluation.compared import compare_films

    settings = settings_of(threads=threads)
    with bar() as report:
        evaluation = compare_films(
            Path(truth),
            [Path(name) for name in films],
            limit=limit,
            threads=settings.threads,
            report=report,
        )
    tell_films(evaluation, folder, as_json)


def refuse_url(name: str) -> None:
    """Raise UsageError on the address of a film."""
    from vidcolor.cli.inputs import URL

    if URL.match(name) and not Path(name).exists():
        raise UsageError(f"{name} is a URL; download the film first, and give the file.")

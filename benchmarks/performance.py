"""Every table and plot of docs/performance.md, or a short set that says whether the floors hold.

    python benchmarks/performance.py --short                        # make bench
    python benchmarks/performance.py --into docs/performance.md     # make bench-all INTO=...

Runs the scripts one after the other, each in a process of its own, and exits with 1 when one of
them missed a floor by more than the spread it measured. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent

MEMORY = ("--case", "1080p", "--case", "2160p-10", "--case", "length")

SHORT: tuple[tuple[str, ...], ...] = (
    ("speed.py", "--short"),
    ("memory.py", "--rounds", "1", *MEMORY, "--seconds", "10", "--seconds", "60"),
    ("stage_times.py", "--case", "1080p", "--rounds", "1"),
    ("overheads.py", "--short"),
)

ALL: tuple[tuple[str, ...], ...] = (
    ("speed.py",),
    ("memory.py", *MEMORY, "--seconds", "10", "--seconds", "120"),
    ("stage_times.py",),
    ("limit.py",),
    ("overheads.py",),
    ("growth.py",),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="the short set")
    parser.add_argument("--threads", default="2", help="of every program (default 2)")
    parser.add_argument("--rounds", help="of everything (default each script's own, 3 mostly)")
    parser.add_argument("--into", help="a page whose tables and plots are made anew")
    options = parser.parse_args()
    more = ["--threads", options.threads]
    more += ["--rounds", options.rounds] if options.rounds else []
    more += ["--into", options.into] if options.into else []
    codes: dict[str, int] = {}
    began = time.monotonic()
    for script, *words in SHORT if options.short else ALL:
        print(f"\n{script} {' '.join(words)}", flush=True)
        done = subprocess.run([sys.executable, str(HERE / script), *words, *more])
        codes[script] = done.returncode
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes")
    for script, code in codes.items():
        if code:
            print(f"{script} ended with {code}: a floor was missed, see above", file=sys.stderr)
    return 1 if any(codes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

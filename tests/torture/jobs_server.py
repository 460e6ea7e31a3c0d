"""A warm process that forks children which run the command line; see `jobs.Server`.

    python -m tests.torture.jobs_server CHANNEL_IN CHANNEL_OUT     # two inherited pipes

A child starts with everything imported, in milliseconds, so that thousands of runs are affordable.
Forking is safe as long as this process has a single thread: it only imports, computes nothing, and
makes sure of it.

    {"run": [...], ...}        a line in; {"pid": 7} is the line out
    {"wait": 7, "seconds": 9}  {"code": -9, "peak_kib": 90000}, code None where it still runs
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import io
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Before numpy and torch, which would start threads, are imported by the modules below.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import torch  # noqa: E402, F401

import vidcolor.cli  # noqa: E402
import vidcolor.cli.inputs  # noqa: E402
import vidcolor.cli.screen  # noqa: E402
import vidcolor.inference  # noqa: E402
import vidcolor.jobs.local  # noqa: E402
import vidcolor.models.standin  # noqa: E402
import vidcolor.pipeline  # noqa: E402
from tests.torture import jobs_faults  # noqa: E402
from tests.torture.jobs_board import Board  # noqa: E402


def serve(orders: Any, answers: Any) -> dict[str, Any] | None:
    """Answer orders until they end, and then end the children. In a child that was forked it
    returns what to run there."""
    warm_up()
    running: set[int] = set()
    for line in orders:
        order = json.loads(line)
        if "wait" in order:
            answer = wait(order["wait"], order["seconds"])
            running -= {order["wait"]} if answer["code"] is not None else set()
        else:
            assert len(list(Path("/proc/self/task").iterdir())) == 1, "forking would be unsafe"
            pid = os.fork()
            if pid == 0:
                orders.close()
                answers.close()
                return dict(order)
            running.add(pid)
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return None


def warm_up() -> None:
    """Import what a run imports as it goes, and leave it out of the children's collections."""
    with contextlib.redirect_stderr(io.StringIO()):
        assert vidcolor.cli.run_arguments(["run", "no film.mkv"]) == 1
    gc.freeze()


def wait(pid: int, seconds: float) -> dict[str, Any]:
    """What became of a child; code None where it is still running after `seconds`."""
    ends = time.monotonic() + seconds
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            return {"code": os.waitstatus_to_exitcode(status), "peak_kib": used.ru_maxrss}
        if time.monotonic() > ends:
            return {"code": None, "peak_kib": 0}
        time.sleep(0.0005)


def run(order: dict[str, Any]) -> None:
    """Run the command line here, as its own entry does, with the faults it was ordered."""
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    for number, key in ((1, "out"), (2, "err")):
        with Path(order[key]).open("ab") as file:
            os.dup2(file.fileno(), number)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    tempfile.tempdir = os.environ["TMPDIR"] = order["temporary"]
    board = Board(Path(order["board"]))
    jobs_faults.watch(board)
    for name, words in order["faults"]:
        jobs_faults.FAULTS[name](*words)
    if order["user"] is not None:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    sys.argv = ["vidcolor", *order["run"]]
    from vidcolor.__main__ import main

    try:
        main()
    except SystemExit as ended:
        # Taking the interpreter down costs more than the run.
        if not order["quick"]:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)


if __name__ == "__main__":
    channel = [int(word) for word in sys.argv[1:3]]
    with os.fdopen(channel[0]) as orders, os.fdopen(channel[1], "w") as answers:
        ordered = serve(orders, answers)
    if ordered is not None:
        run(ordered)

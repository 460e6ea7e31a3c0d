"""`vidcolor models`: what a person reads, what a program reads, and downloads that go wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.models.published import BODY, OTHER, publish, put_in_cache
from tests.models.servers import Reply, Server, dead_url
from vidcolor.cli import run_arguments
from vidcolor.models import registry
from vidcolor.models.catalogue import COMPANIONS, EMBEDDING, OFFICIAL, cached_path
from vidcolor.models.downloads import part_path
from vidcolor.models.registry import MODELS, bundled_weights, entry_of
from vidcolor.models.weights import sha256_of

SHOWN = [entry.name for entry in MODELS if entry.everyday]
INFO_KEYS = {
    *("name", "summary", "good_for", "strengths", "weaknesses", "licence", "source", "auto"),
    *("parameters", "trainable", "input", "input_multiple", "accepts_hints", "gflop_per_frame"),
    *("weights", "official", "bundled", "path", "belongs", "bytes", "sha256", "matches", "urls"),
}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache in place of the user's, and no proxy before this machine's servers."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def run(capsys):
    """Run `vidcolor models ...`; returns exit code, stdout and stderr."""

    def run(*arguments):
        code = run_arguments(["models", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def assert_one_sentence(err):
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "bug" not in err


# list


def test_list_on_a_pipe(run):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    table, sentences = out.split("\n\n")
    header, *rows = table.splitlines()
    assert [row.split()[0] for row in rows] == SHOWN
    assert all(len(line) <= 80 for line in table.splitlines())
    # Every column begins (or ends, for numbers) where its title does.
    for row, name in zip(rows, SHOWN, strict=True):
        entry = entry_of(name)
        assert row[header.index("GOOD FOR") :].startswith(entry.good_for)
        assert row[header.index("LICENCE") :] == entry.licence.replace(" AND ", ", ")
        state = "to pull" if entry.official else "here"
        assert row[header.index("WEIGHTS") :].startswith(state)
        assert row[: header.index("SIZE") + len("SIZE")].endswith(" MB")
    assert "130.5 MB" in rows[0]
    assert "auto takes compact, since " in sentences
    assert "`vidcolor models pull siggraph17` brings them." in sentences


def test_list_of_everything(run):
    assert "standin" not in run("list")[1]
    code, out, _ = run("list", "--all")
    assert code == 0
    assert all(len(line) <= 100 for line in out.split("\n\n")[0].splitlines())
    assert next(line for line in out.splitlines() if line.startswith("standin")).split()[1] == "-"


def test_list_says_what_is_here_and_what_is_better(run, monkeypatch):
    publish(monkeypatch, BODY)
    put_in_cache(BODY)
    out = run("list")[1]
    assert next(line for line in out.splitlines() if "eccv16" in line).split()[1:4] == [
        "here",
        "3.0",
        "MB",
    ]
    assert "auto takes eccv16, since its official weights are in " in out
    assert "`vidcolor models pull siggraph17` brings the one it takes before that." in out


def test_list_with_the_best_here_knows_no_better(run, monkeypatch):
    publish(monkeypatch, BODY, name="siggraph17")
    put_in_cache(BODY, "siggraph17")
    out = run("list")[1]
    assert "auto takes siggraph17, since " in out
    assert "models pull" not in out


def test_list_with_a_wrong_file_in_the_cache(run):
    put_in_cache(OTHER, "siggraph17")
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert next(line for line in out.splitlines() if "siggraph17" in line).split()[1] == "damaged"
    assert "auto takes none: " in out
    assert "isn't the published file of siggraph17" in out


def test_list_as_json(run):
    code, out, _ = run("list", "--json", "--all")
    listed = json.loads(out)
    assert code == 0
    assert (listed["auto"], listed["better"]) == ("compact", "siggraph17")
    by_name = {network["name"]: network for network in listed["networks"]}
    assert list(by_name) == [entry.name for entry in MODELS]
    assert by_name["siggraph17"]["weights"] == "absent"
    assert by_name["siggraph17"]["path"] is None
    assert by_name["compact"]["path"] == str(bundled_weights("compact"))
    assert by_name["compact"]["bytes"] == bundled_weights("compact").stat().st_size
    assert by_name["standin"]["weights"] == "needless"


def test_a_network_of_nobodys_weights(run, monkeypatch):
    homemade = replace(entry_of("compact"), name="homemade", bundled=False)
    monkeypatch.setattr(registry, "MODELS", (*MODELS, homemade))
    rows = run("list")[1].split("\n\n")[0].splitlines()
    assert rows[-1].split()[:3] == ["homemade", "yours", "-"]
    assert "give a file of your own with --weights FILE" in run("info", "homemade")[1]
    code, out, err = run("pull", "siggraph17", "homemade")
    assert (code, out) == (2, "")
    assert_one_sentence(err)


# info


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_info_as_json(run, entry):
    code, out, err = run("info", entry.name, "--json")
    told = json.loads(out)
    model = entry.build()
    assert (code, err) == (0, "")
    assert set(told) == INFO_KEYS
    assert told["name"] == entry.name
    assert told["trainable"] == sum(p.numel() for p in model.parameters())
    assert (told["parameters"] > told["trainable"]) is model.counts_statistics
    assert told["input"] == list(model.input_size)
    assert told["accepts_hints"] == model.accepts_hints
    assert (told["source"], told["licence"]) == (entry.source, entry.licence)
    assert (told["official"], told["bundled"]) == (entry.official, entry.bundled)
    assert told["auto"] is None
    if entry.official:
        assert told["sha256"] == OFFICIAL[entry.name].sha256
        assert told["urls"] == list(OFFICIAL[entry.name].urls)
        assert (told["path"], told["matches"]) == (None, None)
        assert told["belongs"] == str(cached_path(entry.name))
    elif entry.bundled:
        assert told["path"] == told["belongs"] == str(bundled_weights(entry.name))
        assert told["sha256"] == sha256_of(bundled_weights(entry.name))
    else:
        assert (told["path"], told["sha256"], told["bytes"]) == (None, None, None)


def test_info_says_whether_the_file_here_is_the_published_one(run, monkeypatch):
    publish(monkeypatch, BODY)
    path = put_in_cache(BODY)
    told = json.loads(run("info", "eccv16", "--json")[1])
    assert (told["matches"], told["path"]) == (True, str(path))
    assert "here, the published file" in run("info", "eccv16")[1]
    path.write_bytes(OTHER[:100])
    code, out, _ = run("info", "eccv16", "--json")
    told = json.loads(out)
    assert (code, told["matches"], told["path"]) == (0, False, None)
    assert "isn't the published file of eccv16 (sha256 " in run("info", "eccv16")[1]


def test_info_for_people(run):
    code, out, err = run("info", "siggraph17")
    assert (code, err) == (0, "")
    lines = dict(re.findall(r"^(\S+)  +(.*)$", out, re.MULTILINE))
    assert out.startswith("siggraph17: ")
    assert lines["parameters"] == "34,187,027, all trainable"
    assert lines["input"].startswith("256x256 pixels")
    assert lines["cost"] == "150.4 GFLOP a frame"
    assert lines["hints"] == "taken"
    assert lines["sha256"] == OFFICIAL["siggraph17"].sha256
    assert lines["file"] == f"{cached_path('siggraph17')} (once it is here)"
    assert "`vidcolor models pull siggraph17`" in lines["weights"]
    for url in OFFICIAL["siggraph17"].urls:
        assert f"address     {url}\n" in out


def test_info_of_auto(run):
    code, out, _ = run("info", "auto")
    assert code == 0
    assert out.startswith("auto takes compact, since ")
    assert "\ncompact: " in out
    told = json.loads(run("info", "auto", "--json")[1])
    assert told["name"] == "compact"
    assert told["auto"].startswith("compact, since ")


@pytest.mark.parametrize("command", ["info", "pull"])
def test_an_unknown_name(run, command):
    code, out, err = run(command, "siggraf17")
    assert (code, out) == (2, "")
    assert_one_sentence(err)
    assert "did you mean siggraph17?" in err


# pull


def test_pull_prints_where_the_file_is(run, monkeypatch):
    with Server({"/good": Reply(BODY)}) as server:
        publish(monkeypatch, BODY, server.url("/good"))
        # A second time it is there already.
        for _ in range(2):
            assert run("pull", "eccv16") == (0, f"{cached_path('eccv16')}\n", "")
        assert len(server.requests) == 1
        assert run("pull", "eccv16", "--force")[0] == 0
        assert len(server.requests) == 2
    assert cached_path("eccv16").read_bytes() == BODY


def test_pull_of_several(run, monkeypatch):
    with Server({"/a": Reply(BODY), "/b": Reply(OTHER)}) as server:
        publish(monkeypatch, BODY, server.url("/a"))
        publish(monkeypatch, OTHER, server.url("/b"), name="siggraph17")
        code, out, err = run("pull", "siggraph17", "compact", "eccv16", "eccv16")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        str(cached_path("siggraph17")),
        "compact needs no download: its weights are in the package.",
        str(cached_path("eccv16")),
    ]


def test_pull_of_what_needs_none(run):
    assert run("pull", "compact", "standin") == (
        0,
        "compact needs no download: its weights are in the package.\nstandin needs no weights.\n",
        "",
    )


def test_pull_from_other_addresses(run, monkeypatch, tmp_path, caplog):
    publish(monkeypatch, BODY, dead_url())
    with Server({"/mirror": Reply(BODY), "/404": Reply(status=404)}) as server:
        sources = [word for path in ("/404", "/mirror") for word in ("--from", server.url(path))]
        assert run("pull", "eccv16", *sources) == (0, f"{cached_path('eccv16')}\n", "")
    # The command line puts the library's warnings on stderr.
    assert "404 Not Found; trying" in caplog.text
    stick = cached_path("eccv16").rename(tmp_path / "stick.pth")
    assert run("pull", "eccv16", "--from", stick)[0] == 0
    assert cached_path("eccv16").read_bytes() == BODY


def test_pull_of_the_classifier_that_deepcolor_asks(run, monkeypatch, tmp_path):
    """It is no network of the list, and what the networks' error and the pages tell to pull."""
    ours = replace(COMPANIONS[EMBEDDING], sha256=hashlib.sha256(BODY).hexdigest())
    monkeypatch.setitem(COMPANIONS, EMBEDDING, ours)
    stick = tmp_path / "stick.pth"
    stick.write_bytes(BODY)
    pulled = run("pull", "inception-resnet-v2", "--from", stick)
    assert pulled == (0, f"{cached_path(EMBEDDING)}\n", "")
    assert cached_path(EMBEDDING).read_bytes() == BODY


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eccv16", "siggraph17", "--from", "https://a.example/b"], "given for 2 networks"),
        (["eccv16", "--from", "ftp://me:s3cret@a.example/b"], "'ftp://a.example/b' isn't unders"),
        (["eccv16", "--from", ""], "neither an address nor a file"),
        (["auto"], "auto stands for a network and is none itself; name one of siggraph17"),
        (["all"], "there are auto, siggraph17, eccv16, compact."),
        ([], "Missing argument 'NAME"),
    ],
)
def test_pull_of_what_makes_no_sense(run, cache, arguments, words):
    code, out, err = run("pull", *arguments)
    assert (code, out) == (2, "")
    assert_one_sentence(err)
    assert words in err
    assert not cache.exists()


def test_a_pull_that_fails_is_one_sentence_with_a_way_out(run, monkeypatch):
    with Server({"/other": Reply(OTHER)}) as server:
        publish(monkeypatch, BODY, server.url("/other"))
        code, out, err = run("pull", "eccv16")
        assert (code, out) == (1, "")
        assert_one_sentence(err)
        for words in ("sent another file (sha256 ", server.url("/other"), "--weights FILE"):
            assert words in err
    assert str(cached_path("eccv16")) in err


def test_pull_into_a_cache_that_cannot_be(run, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").touch()
    code, out, err = run("pull", "siggraph17")
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "VIDCOLOR_CACHE" in err


def test_a_password_of_the_proxy_is_not_printed(run, monkeypatch):
    place = dead_url().split("/")[2]
    monkeypatch.setenv("https_proxy", f"http://me:s3cret@{place}")
    code, out, err = run("pull", "siggraph17")
    assert (code, out) == (1, "")
    assert f"the proxy {place} of https_proxy can't be reached" in err
    assert "s3cret" not in err


def test_an_empty_name_of_weights_is_refused(run, capsys):
    assert run_arguments(["run", "film.mp4", "--weights", ""]) == 2
    err = capsys.readouterr().err
    assert_one_sentence(err)
    assert "--weights is empty" in err


# In a terminal, and in a process of its own

COMMAND = """
import sys
from dataclasses import replace
from vidcolor.cli import main
from vidcolor.models.catalogue import OFFICIAL

url, sha256, size = sys.argv[1:4]
OFFICIAL["eccv16"] = replace(
    OFFICIAL["eccv16"], urls=(url,), sha256=sha256, approximate_bytes=int(size)
)
sys.argv[1:] = ["models", *sys.argv[4:]]
main()
"""


def command_of(url, *arguments):
    """`vidcolor models ...` with BODY for eccv16's weights, to be found at `url`."""
    entry = OFFICIAL["eccv16"]
    known = (url, entry.sha256, str(entry.approximate_bytes))
    return [sys.executable, "-c", COMMAND, *known, *arguments]


def in_a_terminal(command, *, columns):
    """Run a command with a terminal for its output; returns exit code and what it drew."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        drawn = b""
        # The read fails when the other end of a pseudo-terminal is closed.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                drawn += part
    os.close(ours)
    return process.returncode, ESCAPES.sub("", drawn.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_list_in_a_terminal(monkeypatch, columns):
    publish(monkeypatch, BODY)
    code, drawn = in_a_terminal(command_of(dead_url(), "list"), columns=columns)
    assert code == 0
    table = drawn.split("\n\n")[0].splitlines()
    assert all(len(line) <= columns for line in table)
    assert all(f"\n{name} " in drawn for name in SHOWN)
    # A command to be copied isn't broken.
    assert "`vidcolor models pull siggraph17`" in drawn
    if columns >= 80:
        assert len(table) == 1 + len(SHOWN)


def test_pull_in_a_terminal_shows_a_bar_and_then_the_path(monkeypatch):
    with Server({"/good": Reply(BODY)}) as server:
        publish(monkeypatch, BODY)
        command = command_of(server.url("/good"), "pull", "eccv16")
        code, drawn = in_a_terminal(command, columns=80)
        assert code == 0
        assert "3.0/3.0 MB" in drawn
        assert drawn.endswith(f"{cached_path('eccv16')}\n")
        code, drawn = in_a_terminal(command, columns=80)
    assert (code, drawn) == (
        0,
        "eccv16 is here already; --force downloads it again.\n" + f"{cached_path('eccv16')}\n",
    )


def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(monkeypatch):
    publish(monkeypatch, BODY)
    part = part_path(cached_path("eccv16"))
    reply = Reply(BODY, silent_after=1_000_000, ranges=True)
    with Server({"/net": reply}) as server:
        command = command_of(server.url("/net"), "pull", "eccv16")
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + 30
            while not part.exists() or part.stat().st_size < 900_000:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, "")
        assert err == "interrupted; give the same command again to go on where it was.\n"
        kept = part.stat().st_size
        assert 900_000 <= kept <= 1_000_000
        server.replies["/net"] = Reply(BODY, ranges=True)
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{cached_path('eccv16')}\n"
        assert server.requests[-1] == ("/net", f"bytes={kept}-")
    assert not part.exists()

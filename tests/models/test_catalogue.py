"""The cache of published weights: what counts as being there."""

from __future__ import annotations

import json
import os

import pytest

from tests.models.published import publish, put_in_cache
from vidcolor.errors import WeightsError
from vidcolor.models import catalogue
from vidcolor.models.catalogue import (
    OFFICIAL,
    cache_folder,
    cached_path,
    find_cached,
    is_cached,
    seal_path,
)


def test_the_cache_is_where_the_user_says(cache, monkeypatch) -> None:
    assert cache_folder() == cache
    monkeypatch.chdir(cache.parent)
    monkeypatch.setenv("VIDCOLOR_CACHE", "here")
    assert cache_folder() == cache.with_name("here")
    monkeypatch.delenv("VIDCOLOR_CACHE")
    assert "vidcolor" in cache_folder().parts


def test_an_empty_cache() -> None:
    assert find_cached("eccv16") is None


def test_a_file_is_summed_once(monkeypatch) -> None:
    publish(monkeypatch, b"weights")
    path = put_in_cache(b"weights")
    assert find_cached("eccv16") == path
    monkeypatch.setattr(catalogue, "sha256_of", lambda path: pytest.fail("summed again"))
    assert find_cached("eccv16") == path


@pytest.mark.parametrize("seal", ["", "[]", '{"bytes": 7}', "\x00"])
def test_a_damaged_memory_of_the_sum_is_made_again(monkeypatch, seal) -> None:
    publish(monkeypatch, b"weights")
    path = put_in_cache(b"weights")
    seal_path(path).write_text(seal)
    assert find_cached("eccv16") == path
    assert json.loads(seal_path(path).read_text())["sha256"] == OFFICIAL["eccv16"].sha256


def test_a_file_that_changed_is_summed_again(monkeypatch) -> None:
    publish(monkeypatch, b"weights")
    path = put_in_cache(b"weights")
    find_cached("eccv16")
    path.write_bytes(b"weird..")
    os.utime(path, ns=(1, 1))
    with pytest.raises(
        WeightsError, match=r"isn't the published file of eccv16.*models pull eccv16"
    ):
        find_cached("eccv16")
    assert not is_cached("eccv16")


def test_a_folder_in_the_place_of_the_file() -> None:
    cached_path("eccv16").mkdir(parents=True)
    with pytest.raises(WeightsError, match="can't be read: Is a directory"):
        find_cached("eccv16")
    assert not is_cached("eccv16")


def test_a_cache_that_cannot_be_written_costs_only_a_check(monkeypatch) -> None:
    publish(monkeypatch, b"weights")
    path = put_in_cache(b"weights")
    seal_path(path).mkdir()
    assert find_cached("eccv16") == path
    assert sorted(path.parent.iterdir()) == [path, seal_path(path)]


def test_the_catalogue_agrees_with_itself() -> None:
    for name, entry in OFFICIAL.items():
        assert entry.sha256[:8] in entry.file_name, name
        assert entry.urls[0].endswith("/" + entry.file_name)
        assert all(url.startswith("https://") for url in entry.urls)

"""Photographs measured: against a slow reading of the definitions, and whatever can go wrong."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab, xyz2rgb
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.tolerances import EVALUATION
from vidcolor.errors import OutputError, SourceError, UsageError
from vidcolor.evaluation.bench import Candidate, class_weights, evaluate, evenly
from vidcolor.evaluation.figures import MOST_PSNR, Measures
from vidcolor.evaluation.files import (
    FILES,
    figures_of,
    markdown,
    refuse_folder,
    sentences_about,
    table_of,
    write_files,
)
from vidcolor.inference import open_engine
from vidcolor.models.bins import AbBins
from vidcolor.settings import Settings
from vidcolor.training.sources import open_source

SIDE = 32
STANDIN = Candidate(
    label="standin", settings=Settings(model="standin", device="cpu", threads=1, batch=2)
)
PERFECT_AUC = 150 / 151


def picture(seed, *, width=44, height=SIDE):
    """A soft picture in soft colours, (height, width, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(30, 226, (3, 4, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def save(path, rgb):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())


@pytest.fixture
def folder(tmp_path):
    for n in range(5):
        save(tmp_path / "album" / f"{n}.png", picture(n))
    return tmp_path / "album"


def measured(folder, candidates=(STANDIN,), **options):
    return evaluate(candidates, open_source(folder), size=SIDE, **options)


def truth_of(n):
    """What is measured of a picture: its middle square, RGB in 0..1."""
    return picture(n)[:, 6 : 6 + SIDE].astype(np.float32) / 255


class Oracle:
    """An engine that knows the true colours, if the photographs come in their order."""

    batch, input_size = 3, (SIDE, SIDE)
    model_name, weights_sha256 = "oracle", "none"

    def __init__(self):
        self.seen = 0

    def colorize(self, lightness):
        labs = [rgb2lab(truth_of(self.seen + n)) for n in range(len(lightness))]
        self.seen += len(lightness)
        np.testing.assert_allclose(lightness, [lab[..., 0] for lab in labs], atol=0.01)
        return np.stack([lab[..., 1:].transpose(2, 0, 1) for lab in labs]).astype(np.float32)

    def describe(self):
        return "oracle"


def nearest_bins(ab):
    centers = AbBins.load().centers.astype(np.float64)
    return ((ab.reshape(-1, 1, 2) - centers) ** 2).sum(2).argmin(1)


def lab2rgb(lab):
    """As scikit-image's, which cuts XYZ off at zero; here the gamut is cut off in RGB alone."""
    f = (lab[..., :1] + 16) / 116 + lab @ np.array([[0, 0, 0], [1 / 500, 0, 0], [0, 0, -1 / 200]])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return xyz2rgb(xyz * [0.95047, 1, 1.08883])


def slowly(ab, truth):
    """Measures of ab (s, s, 2) by the definitions, with scikit-image where it has them."""
    lab = rgb2lab(truth.astype(np.float64))
    rgb = lab2rgb(np.dstack([lab[..., 0], ab]))
    differences = deltaE_ciede2000(rgb2lab(rgb), lab)
    errors = np.sqrt(((ab - lab[..., 1:]) ** 2).sum(2))
    # The nearest whole Lab unit tells the bin.
    weights = 1 / AbBins.load().prior[nearest_bins(np.rint(lab[..., 1:]))].reshape(errors.shape)
    r, g, b = (rgb[..., c] * 255 for c in range(3))
    rg, yb = abs(r - g), abs((r + g) / 2 - b)
    spread, mean = np.hypot(rg.std(), yb.std()), np.hypot(rg.mean(), yb.mean())
    return Measures(
        psnr=peak_signal_noise_ratio(truth.astype(np.float64), rgb, data_range=1),
        ssim=structural_similarity(truth.astype(np.float64), rgb, channel_axis=2, data_range=1),
        ciede2000=differences.mean(),
        ciede2000_p90=np.percentile(differences, 90),
        auc=np.mean([(errors < t).mean() for t in range(151)]),
        auc_rebalanced=np.mean(
            [weights[errors < t].sum() / weights.sum() for t in range(151)], dtype=np.float64
        ),
        colorfulness=spread + 0.3 * mean,
        accuracy=(ab.argmax(2) == lab[..., 1:].argmax(2)).mean(),
    )


def assert_near(found, expected):
    for name, value in vars(expected).items():
        assert getattr(found, name) == pytest.approx(value, abs=EVALUATION[name]), name


def test_every_measure_is_its_definition(folder):
    evaluation = measured(folder)
    gray, standin, truth = evaluation.rows
    assert [row.label for row in evaluation.rows] == ["gray", "standin", "truth"]
    engine = open_engine(STANDIN.settings)
    height, width = engine.input_size
    for n in range(5):
        rgb = truth_of(n)
        assert_near(gray.measures[n], slowly(np.zeros((SIDE, SIDE, 2)), rgb))
        wide = cv2.resize(
            np.rint(rgb * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
        )
        lightness = rgb2lab(wide)[..., 0].astype(np.float32)
        (ab,) = engine.colorize(lightness[None])
        ab = cv2.resize(ab.transpose(1, 2, 0), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        assert_near(standin.measures[n], slowly(ab.astype(np.float64), rgb))
        own = replace(slowly(rgb2lab(rgb)[..., 1:], rgb), psnr=None, ciede2000=0, ciede2000_p90=0)
        assert_near(truth.measures[n], own)
    assert standin.engine == engine.describe()
    assert standin.weights_sha256 == engine.weights_sha256
    assert gray.model is truth.engine is None


def test_means_are_over_photographs_and_the_rebalanced_auc_over_pixels(folder):
    evaluation = measured(folder)
    row = evaluation.rows[1]
    for name in ("psnr", "ssim", "ciede2000", "ciede2000_p90", "auc", "colorfulness", "accuracy"):
        every = [getattr(each, name) for each in row.measures]
        assert getattr(row.means, name) == pytest.approx(np.mean(every))
        assert max(every) > min(every)
    gray = evaluation.rows[0]
    weights, hits = 0.0, 0.0
    for n in range(5):
        ab = rgb2lab(truth_of(n).astype(np.float64))[..., 1:]
        each = 1 / 313 / AbBins.load().prior[nearest_bins(np.rint(ab))]
        errors = np.sqrt((ab**2).sum(2)).ravel()
        weights += each.sum()
        hits += np.mean([each[errors < t].sum() for t in range(151)])
    assert gray.means.auc_rebalanced == pytest.approx(hits / weights, abs=1e-4)
    assert sum(each.weight for each in evaluation.subjects) == pytest.approx(weights, rel=1e-3)
    assert abs(hits / weights - np.mean([each.auc_rebalanced for each in gray.measures])) > 1e-3


def test_class_weights_balance_the_bins_of_imagenet():
    bins = AbBins.load()
    weights = class_weights()(bins.centers[None])[0]
    np.testing.assert_allclose(weights * bins.prior, np.full(313, 1 / 313), rtol=1e-5)


def test_a_network_that_knows_is_right_whatever_its_batch(folder):
    oracle = Candidate(label="oracle", settings=Settings(model="compact"))
    known = {STANDIN.settings: open_engine(STANDIN.settings), oracle.settings: Oracle()}
    both = measured(folder, (oracle, STANDIN), open_engine=known.__getitem__)
    assert [row.label for row in both.rows] == ["gray", "oracle", "standin", "truth"]
    means = both.rows[1].means
    assert means.psnr == pytest.approx(MOST_PSNR)
    assert means.ciede2000 < 0.01
    assert means.accuracy == 1
    assert means.auc == pytest.approx(PERFECT_AUC)
    assert means.auc_rebalanced == pytest.approx(PERFECT_AUC)
    alone = measured(folder).rows[1]
    assert both.rows[2].measures == alone.measures


def test_photographs_that_cannot_be_read_are_named_and_skipped(folder):
    whole = measured(folder)
    (folder / "1.5.png").write_bytes((folder / "1.png").read_bytes()[:90])
    (folder / "2.5.jpg").write_bytes(b"")
    save(folder / "3.5.png", picture(9, width=5, height=40))
    seen = []
    evaluation = measured(folder, report=lambda done, total: seen.append((done, total)))
    assert list(evaluation.unreadable) == ["1.5.png", "2.5.jpg", "3.5.png"]
    for key, why in evaluation.unreadable.items():
        assert why.startswith(key)
    assert "5x40 pixels" in evaluation.unreadable["3.5.png"]
    assert [each.key for each in evaluation.subjects] == [f"{n}.png" for n in range(5)]
    assert [row.measures for row in evaluation.rows] == [row.measures for row in whole.rows]
    assert seen[-1] == (8, 8)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_nothing_to_measure_is_told(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"no photograph that can be measured: 1.png can't be"):
        measured(tmp_path)


def test_gray_photographs_count_and_leave_means_finite(folder):
    gray = np.repeat(picture(7)[..., :1], 3, 2)
    save(folder / "8.png", gray)
    save(folder / "9.png", np.clip(gray + np.array([1, 0, -1]), 0, 255).astype(np.uint8))
    evaluation = measured(folder)
    assert [each.gray for each in evaluation.subjects] == [False] * 5 + [True] * 2
    assert evaluation.rows[0].measures[5].psnr == MOST_PSNR
    assert "2 without any colour counted, too." in list(sentences_about(evaluation))
    assert evaluation.rows[0].means.psnr == np.mean(
        [each.psnr for each in evaluation.rows[0].measures]
    )


def test_small_photographs_are_not_enlarged(folder):
    save(folder / "9.png", picture(9, width=30, height=20))
    evaluation = measured(folder, tiles=6)
    assert [each.side for each in evaluation.subjects] == [SIDE] * 5 + [20]
    assert [image.shape for image in evaluation.shown[-1].images] == [(20, 20, 3)] * 3
    assert "1 had fewer pixels, and kept them." in list(sentences_about(evaluation))


def test_the_first_and_those_that_are_shown(folder):
    evaluation = measured(folder, limit=4, tiles=2)
    assert [each.key for each in evaluation.subjects] == [f"{n}.png" for n in range(4)]
    assert [each.caption for each in evaluation.shown] == ["1.png", "3.png"]
    gray, coloured, truth = evaluation.shown[0].images
    np.testing.assert_array_equal(truth, picture(1)[:, 6 : 6 + SIDE])
    assert np.ptp(gray, axis=2).max() <= 1
    assert np.ptp(coloured, axis=2).max() > 20
    assert measured(folder).shown == ()


def test_evenly():
    assert evenly(3, 9) == [1, 4, 7]
    assert evenly(24, 5) == [0, 1, 2, 3, 4]
    assert evenly(24, 500) == sorted(set(evenly(24, 500)))
    assert evenly(0, 5) == evenly(3, 0) == []


def test_what_cannot_be_asked_for(folder):
    for candidates in ([STANDIN, STANDIN], [replace(STANDIN, label="truth")]):
        with pytest.raises(UsageError, match="one name"):
            measured(folder, candidates)
    for size in (15, 4097):
        with pytest.raises(UsageError, match=f"--size is {size}; expected pixels from 16 to 4096"):
            evaluate([STANDIN], open_source(folder), size=size)


def test_no_network_at_all(folder):
    assert [row.label for row in measured(folder, ()).rows] == ["gray", "truth"]


def test_a_tar_gives_what_its_folder_gives(folder, tmp_path):
    with tarfile.open(tmp_path / "album.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(path.name)
            entry.size = path.stat().st_size
            tar.addfile(entry, BytesIO(path.read_bytes()))
    evaluation = measured(tmp_path / "album.tar")
    assert [row.measures for row in evaluation.rows] == [
        row.measures for row in measured(folder).rows
    ]
    assert evaluation.photos == "album.tar"


# Files


def strict(text):
    """JSON without NaN and Infinity, which only Python reads."""

    def refuse(word):
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


def test_the_files(folder, tmp_path):
    (folder / "7.png").write_bytes(b"")
    evaluation = measured(folder, tiles=4)
    write_files(evaluation, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    lines = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert len({len(line) for line in lines[:5]}) == 1, "columns line up"
    assert [line.split()[1] for line in lines[2:5]] == ["gray", "standin", "truth"]
    assert lines[4].split(" | ")[1].strip() == "-"
    assert "5 photographs of album, their middle square at 32x32 pixels." in lines
    assert "1 more photograph couldn't be read." in lines
    figures = strict((tmp_path / "out" / "figures.json").read_text())
    assert figures["measured"] == len(figures["pictures"]) == 5
    assert list(figures["unreadable"]) == ["7.png"]
    assert figures["rows"][2]["means"]["psnr"] is None
    row = figures["pictures"][3]["rows"]["standin"]
    assert row["psnr"] == pytest.approx(evaluation.rows[1].measures[3].psnr, abs=1e-6)
    sheet = cv2.imread(str(tmp_path / "out" / "sheet.png"))
    assert sheet is not None
    assert sheet.std() > 20


def test_figures_of_the_whole_leave_single_photographs_out(folder):
    evaluation = measured(folder)
    assert "pictures" not in figures_of(evaluation, pictures=False)
    assert markdown(table_of(evaluation)).count("\n") == 4


def test_a_folder_that_will_not_do(tmp_path):
    refuse_folder(tmp_path / "new", overwrite=False)
    refuse_folder(tmp_path, overwrite=False)
    (tmp_path / "file").touch()
    (tmp_path / "figures.json").touch()
    cases = {"file": "isn't a folder", "absent/new": "absent isn't a folder; make it", ".": "-o"}
    for name, said in cases.items():
        with pytest.raises(OutputError, match=said):
            refuse_folder(tmp_path / name, overwrite=False)
    refuse_folder(tmp_path, overwrite=True)


def test_a_full_disk_is_told_and_leaves_no_part(folder, tmp_path, monkeypatch):
    evaluation = measured(folder)

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        OutputError, match=r"the disk is full, so .*table.md can't be written; free"
    ):
        write_files(evaluation, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []

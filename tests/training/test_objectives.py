"""What networks are trained towards: each is least at the truth, and falls in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.made_up import with_classifier
from vidcolor.errors import TrainingError
from vidcolor.models.bins import AbBins
from vidcolor.models.cantor import AbGrid, cantor
from vidcolor.models.compact import CompactModel
from vidcolor.models.eccv16 import Eccv16Config, Eccv16Model
from vidcolor.models.lab import lab_to_rgb, rgb_to_lab
from vidcolor.models.osnabrueck import OsnabrueckConfig, OsnabrueckModel
from vidcolor.models.registry import entry_of
from vidcolor.models.stclair import StClairModel
from vidcolor.training.coding import annealed_mean
from vidcolor.training.objectives import NAMES, ObjectiveOptions, Truth, make_objective
from vidcolor.training.perceptual import PerceptualLoss
from vidcolor.training.prior import imagenet_121

PAIRS = [
    ("osnabrueck-121", "classes-121"),
    ("osnabrueck-regression", "mse"),
    ("ucsd-eleven", "rgb-l1"),
    ("ucsd-eleven", "rgb-mse"),
    ("deepcolor-3", "mse"),
    ("stclair-autoencoder", "l1"),
    ("eccv16", "classes-313"),
    ("siggraph17", "classes-529"),
    ("siggraph17", "smooth-l1"),
    ("compact", "two-heads"),
    ("compact", "classes-313"),
]


@pytest.fixture(scope="module")
def truth():
    """Two pictures of 32x32: colour follows lightness, so that there is something to learn."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    lightness = 50 + 30 * torch.sin(torch.stack([x / 9, y / 7]))[:, None]
    ab = torch.cat([lightness - 50, 60 - lightness], 1)
    return Truth(lightness, ab)


@pytest.mark.parametrize(("network", "name"), PAIRS)
def test_a_few_steps_lower_it(truth, network, name):
    torch.manual_seed(0)
    model = with_classifier(entry_of(network).build()).train()
    objective = make_objective(name, ObjectiveOptions())
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    losses = []
    for _ in range(4):
        total, parts = objective(model, truth)
        assert all(not part.requires_grad for part in parts.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < losses[0]


def test_hints_teach_the_keys_in_half_precision(truth):
    """One of two pictures has a hint; what it reaches is learned from, in 16 bits, too."""
    torch.manual_seed(0)
    model = CompactModel().train()
    hints = torch.zeros(2, 3, 32, 32)
    hints[1, :2, 8:14, 8:14] = truth.ab[1, :, 8:14, 8:14]
    hints[1, 2, 8:14, 8:14] = 1
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = make_objective("two-heads", ObjectiveOptions())(
            model, replace(truth, hints=hints)
        )
    total.backward()
    gradient = model.hint_reach.key.weight.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_a_wide_knee_squares_what_a_narrow_one_takes_straight(truth):
    oracle = Oracle()
    oracle.answer = truth.ab + 20.0
    narrow, wide = (
        float(make_objective("smooth-l1", ObjectiveOptions(knee=knee))(oracle, truth).total)
        for knee in (10.0, 40.0)
    )
    # In steps of a bin: 2 - 1/2, and 2 * 2 / (2 * 4).
    assert (narrow, wide) == pytest.approx((1.5, 0.5))


def test_every_objective_is_tried():
    assert {name for _, name in PAIRS} == set(NAMES)


class Oracle(StClairModel):
    """Answers what it was told to."""

    answer: torch.Tensor

    def forward(self, lightness, hints=None):
        return self.answer


@pytest.mark.parametrize("name", ["mse", "l1", "smooth-l1"])
def test_distances_are_nothing_at_the_truth_and_more_farther_away(truth, name):
    oracle, objective = Oracle(), make_objective(name, ObjectiveOptions())
    losses = []
    for shift in (0.0, 1.0, 30.0):
        oracle.answer = truth.ab + shift
        losses.append(float(objective(oracle, truth).total))
    assert losses[0] == 0
    assert losses[1] < losses[2]


def test_an_answer_at_half_size_is_compared_at_half_size(truth):
    oracle, objective = Oracle(), make_objective("mse", ObjectiveOptions())
    oracle.answer = torch.nn.functional.avg_pool2d(truth.ab, 2)
    assert float(objective(oracle, truth).total) < 1e-9


def test_perceptual_loss_sees_colours_and_gives_gradients(truth):
    perceptual = PerceptualLoss(CompactModel())
    ab = truth.ab.clone().requires_grad_()
    assert float(perceptual(truth.lightness, truth.ab, truth.ab)) == 0
    near = float(perceptual(truth.lightness, truth.ab + 2, truth.ab))
    far = perceptual(truth.lightness, ab * 0 - 60, truth.ab)
    assert 0 < near < far.item()
    far.backward()
    wrong = perceptual(truth.lightness, ab + 9, truth.ab)
    wrong.backward()
    assert ab.grad is not None
    assert ab.grad.abs().sum() > 0


def test_perceptual_beside_an_objective(truth):
    torch.manual_seed(0)
    model = StClairModel()
    plain = make_objective("mse", ObjectiveOptions())(model, truth)
    both = make_objective("mse", ObjectiveOptions(perceptual=0.5))(model, truth)
    assert set(both.parts) == {"ab", "features"}
    expected = plain.total.item() + 0.5 * both.parts["features"].item()
    assert both.total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("network", "name", "words"),
    [
        ("stclair-autoencoder", "classes-121", "classes-121 isn't for stclair-autoencoder"),
        ("stclair-autoencoder", "classes-313", "doesn't score the 313 colours"),
        ("stclair-autoencoder", "rgb-l1", "an objective on RGB isn't for stclair-autoencoder"),
        ("osnabrueck-regression", "classes-121", "has no classes; take mse"),
        ("stclair-autoencoder", "hinge", "there is no objective 'hinge'"),
    ],
)
def test_what_doesnt_fit_together_is_said(truth, network, name, words):
    with pytest.raises(TrainingError, match=words):
        make_objective(name, ObjectiveOptions())(entry_of(network).build(), truth)


def test_rebalancing_by_the_datas_counts_needs_them():
    with pytest.raises(TrainingError, match="own counts needs them"):
        make_objective("classes-313", ObjectiveOptions(rebalance="data"))


def test_rare_classes_of_the_121_count_more():
    """By a plain transcription of equation 4 of ECCV 2016, over the report's classes."""
    torch.manual_seed(0)
    ab = 60 * torch.randn(1, 2, 16, 16).clamp(-2, 2)
    truth = Truth(torch.full((1, 1, 16, 16), 50.0), ab)
    prior = np.random.default_rng(0).dirichlet(np.full(121, 0.3))
    model = OsnabrueckModel(OsnabrueckConfig(enlarge="resize")).eval()
    options = ObjectiveOptions(rebalance="data")
    loss = make_objective("classes-121", options, prior)(model, truth).total.item()
    with torch.no_grad():
        shares = torch.softmax(model.raw(truth.lightness), 1)[0].numpy().astype(np.float64)
    raw = [1 / (0.5 * p + 0.5 / 121) for p in prior]
    scale = sum(p * w for p, w in zip(prior, raw, strict=True))
    total = 0.0
    for y in range(16):
        for x in range(16):
            a, b = (int(np.clip(np.rint(ab[0, n, y, x].item()) + 128, 0, 255)) for n in (0, 1))
            rank = sorted(cantor(i, j) for i in range(11) for j in range(11)).index(
                cantor(a // 25, b // 25)
            )
            total += raw[rank] / scale * -np.log(shares[rank, y, x])
    assert loss == pytest.approx(total / 256, rel=1e-4)


def test_imagenets_prior_of_the_121_is_that_of_the_313_gathered():
    prior = imagenet_121()
    bins = AbBins.load()
    gray = cantor(5, 5)
    inside = (np.abs(bins.centers + 128 - 137) <= 12).all(1)
    assert prior.sum() == pytest.approx(1)
    assert prior[AbGrid.NUMBERS.index(gray)] == pytest.approx(bins.prior[inside].sum())


def test_a_unit_of_mse_scales_it(truth):
    oracle = Oracle()
    oracle.answer = truth.ab + 3
    plain = make_objective("mse", ObjectiveOptions(unit=1.0))(oracle, truth).total.item()
    assert plain == pytest.approx(9, rel=1e-5)
    scaled = make_objective("mse", ObjectiveOptions())(oracle, truth).total.item()
    assert scaled == pytest.approx(9 / 110**2, rel=1e-5)


def test_what_eccv16_scores_it_paints_before_and_after_training(truth):
    """No objective teaches the layer that turns scores into colours: it holds them."""
    torch.manual_seed(0)
    model = Eccv16Model(Eccv16Config(temperature=0.38)).eval()
    scores = 5 * torch.randn(1, 313, 4, 4)
    torch.testing.assert_close(model.decode(scores) * 110, annealed_mean(scores, 0.38))


def test_dots_are_what_the_report_s_layer_learns(truth):
    """Trained for a little while, the transposed layer has colours at nine pixels of each 256 and
    one colour everywhere else; the cured layer has them everywhere."""
    spread = {}
    for cured in (False, True):
        torch.manual_seed(0)
        config = OsnabrueckConfig(enlarge="resize" if cured else "transposed")
        model = OsnabrueckModel(config).train()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        objective = make_objective("classes-121", ObjectiveOptions())
        for _ in range(4):
            optimizer.zero_grad()
            objective(model, truth).total.backward()
            optimizer.step()
        with torch.inference_mode():
            ab = model.eval()(truth.lightness)[0]
        tiles = ab.reshape(2, 2, 16, 2, 16)
        spread[cured] = int((tiles.std((1, 3)).amax(0) > 1e-6).sum())
    assert spread == {False: 9, True: 256}


def test_rgb_of_lab_is_the_way_back():
    rgb = torch.rand(1, 3, 8, 8)
    assert (lab_to_rgb(rgb_to_lab(rgb)) - rgb).abs().max() < 1e-4

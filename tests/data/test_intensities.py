"""The rules in closed form, and which rule a data set gets."""

from pathlib import Path

import numpy as np
import pytest

from fdif_jax.data.datalist import DataList
from fdif_jax.data.intensities import Intensity, apply, choose
from fdif_jax.errors import InputError


def volume(values):
    return np.asarray(values, np.float32).reshape(1, 1, -1, 1)


@pytest.mark.parametrize(
    ("value", "scaled"), [(-1000, 0), (-175, 0), (37.5, 0.5), (250, 1), (3000, 1)]
)
def test_ct_is_the_window_clipped(value, scaled):
    assert apply(Intensity("ct"), volume([value])).item() == pytest.approx(scaled, abs=1e-7)


def test_zscore_is_taken_over_what_is_not_zero_and_keeps_the_order():
    values = np.random.default_rng(0).normal(50, 7, (6, 7, 8, 2)).astype(np.float32)
    values[:3, ..., 0] = 0
    scaled = apply(Intensity("zscore"), values)
    for c in range(2):
        inside = scaled[..., c][values[..., c] != 0]
        assert inside.mean() == pytest.approx(0, abs=1e-5)
        assert inside.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(scaled[0, 0, 0, 0], -50 / 7, rtol=0.05)  # black stays darkest
    assert scaled.dtype == np.float32


def test_percentiles_are_taken_over_what_is_not_zero():
    scaled = apply(Intensity("percentile"), volume([0, 0, *range(1, 202), 5000])).ravel()
    assert scaled[:3].tolist() == [0, 0, 0]
    assert scaled[-2:].tolist() == [1, 1]
    np.testing.assert_allclose(np.diff(scaled[4:200]), 1 / 198.99, rtol=1e-3)  # 2.005 to 200.995


def test_none_is_as_in_the_file():
    values = volume([-5, 0, 3])
    assert apply(Intensity("none"), values) is not values
    np.testing.assert_array_equal(apply(Intensity("none"), values), values)


@pytest.mark.parametrize("kind", ["zscore", "percentile"])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e-30, 3e38])
def test_a_constant_channel_becomes_zero(kind, value):
    assert not apply(Intensity(kind), np.full((5, 5, 5, 1), value, np.float32)).any()


def datalist(*modality, synthetic=False):
    return DataList(Path("dataset.json"), (), modality=modality, synthetic=synthetic)


def never():
    raise AssertionError("volumes are read only where the data set says nothing")


@pytest.mark.parametrize(
    ("option", "declared", "lowest", "kind"),
    [
        ("auto", datalist("SDF", synthetic=True), never, "ct"),
        ("auto", datalist("CT"), never, "ct"),
        ("auto", datalist("ct", "CT"), never, "ct"),
        ("auto", datalist("MRI"), never, "zscore"),
        ("auto", datalist("MR"), never, "zscore"),
        ("auto", datalist("FLAIR", "T1w", "t1gd", "T2w"), never, "zscore"),
        ("auto", datalist(), lambda: -1024.0, "ct"),
        ("zscore", datalist("CT"), never, "zscore"),
        ("percentile", datalist("PET"), never, "percentile"),
        ("none", datalist(), never, "none"),
    ],
)
def test_the_rule_follows_option_and_modality(option, declared, lowest, kind):
    assert choose(option, declared, lowest) == Intensity(kind)


@pytest.mark.parametrize(
    ("option", "declared", "message"),
    [
        ("auto", datalist("PET"), "declares the modality PET.*--intensity zscore"),
        ("auto", datalist("CT", "MR"), "declares the modality CT, MR"),
        ("auto", datalist(), "declares no modality.*--intensity ct"),
        ("zscores", datalist(), "did you mean 'zscore'"),
    ],
)
def test_what_cannot_be_told_is_asked(option, declared, message):
    with pytest.raises(InputError, match=message):
        choose(option, declared, lambda: 0.0)

"""The configuration of classification sets refuses what makes none, and counts volumes."""

import dataclasses
import json
import math

import pytest

from fdif_jax.classification import ClassificationConfig
from fdif_jax.errors import InputError
from fdif_jax.io.manifest import config_from_json

DEFAULT = ClassificationConfig()


def test_json_gives_back_the_same_configuration():
    config = ClassificationConfig(grid=(8, 9, 10), primitives=("cone",), multilabel=True)
    assert config_from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": (64, 7, 64)}, r"H is 7; allowed: 8 or more"),
        ({"samples_per_class": 0}, r"samples_per_class is 0; allowed: 1 or more"),
        ({"samples_per_class": 10**7}, r"at most 1000000"),
        ({"samples_per_class": 2.5}, r"give a whole number"),
        ({"n_splits": 1}, r"n_splits is 1; allowed: 2 to 100"),
        ({"n_splits": 101}, r"n_splits is 101"),
        ({"grid_scale": 0.0}, r"grid_scale is 0.0; allowed: 0.01 to 2.0"),
        ({"grid_scale": math.nan}, r"grid_scale is nan"),
        ({"grid_scale": "wide"}, r"give a number"),
        ({"compression_level": 0}, r"compression_level is 0; allowed: 1 to 9"),
        ({"num_classes": 0}, r"num_classes is 0"),
        ({"num_combined_unions": -1}, r"num_combined_unions is -1"),
        ({"sdf_mappers": ()}, r"sdf_mappers is empty"),
        ({"multilabel": True, "mapper_as_augmentation": True}, r"multilabel cannot be combined"),
        ({"multilabel": True, "displacement_as_augmentation": True}, r"makes no label to learn"),
        ({"multilabel": True, "labels_style": "pair"}, r"labels_style pair .*; drop one"),
        ({"labels_style": "triple"}, r"labels_style is 'triple'; allowed: plain, pair"),
        ({"dataset_name": "a/b"}, r"dataset_name is 'a/b'"),
        ({"layout": "monai"}, r"layout is 'monai'; allowed: ssl3d"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(DEFAULT, **changes)


@pytest.mark.parametrize(
    ("samples", "splits", "validation"),
    [(50, 5, 13), (25, 5, 7), (8, 5, 2), (3, 2, 3), (1, 100, 1)],
)
def test_validation_is_a_share_of_training_rounded_up(samples, splits, validation):
    config = dataclasses.replace(DEFAULT, samples_per_class=samples, n_splits=splits)
    assert config.counts(8) == {"training": 8 * samples, "validation": 8 * validation}


def test_volumes_of_a_class_follow_one_another():
    config = dataclasses.replace(DEFAULT, samples_per_class=3, n_splits=3)
    assert [config.class_of("training", i) for i in range(7)] == [0, 0, 0, 1, 1, 1, 2]
    assert [config.class_of("validation", i) for i in range(5)] == [0, 0, 1, 1, 2]

"""The configuration refuses what cannot be generated, and survives JSON."""

import dataclasses
import json

import pytest

from fdif_jax.config import (
    MAX_SEED,
    PAPER,
    PRESETS,
    SMALL,
    GenerateConfig,
    check_grid,
    check_seed,
)
from fdif_jax.errors import InputError
from fdif_jax.synth.catalog import Catalog


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_json_gives_back_the_same_configuration(config):
    assert GenerateConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": (64, 7, 64)}, r"H is 7; allowed: 8 or more"),
        ({"grid": (-1, 64, 64)}, r"D is -1"),
        ({"grid": (64, 64)}, r"2 sizes; give three"),
        ({"num_samples": 0}, r"num_samples is 0; allowed: 1 or more"),
        ({"num_val_samples": -1}, r"num_val_samples is -1"),
        ({"min_objects": 0}, r"min_objects is 0"),
        ({"min_objects": 6}, r"max_objects is 5, below min_objects 6"),
        ({"num_classes": 0}, r"num_classes is 0"),
        ({"num_combined_unions": -1}, r"num_combined_unions is -1"),
        ({"sdf_mappers": ()}, r"sdf_mappers is empty"),
        ({"multi_task": True, "mapper_as_augmentation": True}, r"multi_task cannot be combined"),
        ({"multi_task": True, "displacement_as_augmentation": True}, r"multi_task cannot"),
        ({"layout": "dicom"}, r"layout is 'dicom'; allowed: monai, nnunet"),
        ({"dataset_id": 0}, r"dataset_id is 0"),
        ({"dataset_id": 1000}, r"dataset_id is 1000"),
        ({"dataset_name": "a/b"}, r"dataset_name is 'a/b'"),
        ({"dataset_name": ""}, r"dataset_name is ''"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_from_json_refuses_unknown_keys():
    with pytest.raises(InputError, match="unknown keys colour"):
        GenerateConfig.from_json({"colour": "red"})


def test_is_hashable_and_frozen():
    assert hash(PAPER) == hash(dataclasses.replace(PAPER))
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAPER.num_samples = 3


@pytest.mark.parametrize("seed", [0, 1, MAX_SEED])
def test_seed_allowed(seed):
    check_seed(seed)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_seed_refused(seed):
    with pytest.raises(InputError, match=f"seed is {seed}"):
        check_seed(seed)


def test_grid_allowed():
    check_grid((8, 9, 256))


def test_paper_preset_is_the_paper_s():
    """5000 volumes of 96 cubed, 20 objects, 109 classes, 10 mappers, 9 displacements."""
    assert (PAPER.grid, PAPER.num_samples) == ((96, 96, 96), 5000)
    assert (PAPER.min_objects, PAPER.max_objects, PAPER.num_classes) == (20, 20, 109)
    assert len(set(PAPER.sdf_mappers)) == 10
    assert len(set(PAPER.displacement_functions)) == 9
    assert PAPER.mapper_as_augmentation
    assert PAPER.displacement_as_augmentation
    catalog = Catalog.default()
    assert set(PAPER.sdf_mappers) <= set(catalog.mappers)
    assert set(PAPER.displacement_functions) <= set(catalog.displacements)

"""A volume is a pure function of (configuration, catalog, seed, split, index)."""

import dataclasses
import functools
import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draw_checks import quick_jit

from fdif_jax import generate_volume, make_recipe, stream
from fdif_jax.config import MAX_SEED, PAPER, GenerateConfig
from fdif_jax.errors import InputError
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.recipe import Recipe
from fdif_jax.synth.stream import _stream_as_program

ROOT = Path(__file__).parents[2]
CONFIG = dataclasses.replace(PAPER, grid=(16, 16, 16), min_objects=2, max_objects=4)
EVERYTHING = GenerateConfig(
    grid=(16, 20, 24),
    num_classes=20,
    num_combined_unions=6,
    sdf_mappers=("inverse_cube", "modular_5"),
    displacement_functions=("ridge", "sawtooth"),
    multi_task=True,
)
SEED = 7


@functools.cache
def recipe(config=CONFIG) -> Recipe:
    return make_recipe(config, SEED)


def digest(*arrays):
    hasher = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        hasher.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    return hasher.hexdigest()


def volumes(count, split="training", config=CONFIG):
    return [digest(*recipe(config).produce(split, i)[:2]) for i in range(count)]


def test_all_ways_out_give_the_same_bytes():
    """What the files hold, one volume, and a stream from anywhere."""
    want = volumes(4)
    assert [digest(*recipe().volume("training", i)) for i in range(4)] == want
    # Nothing of a volume depends on how many there are: a data set can be extended.
    more = dataclasses.replace(CONFIG, num_samples=9, num_val_samples=4)
    assert digest(*generate_volume(more, SEED, 2)) == want[2]
    batches = stream(CONFIG, SEED, batch_size=2, start=1)
    batch = next(batches)
    assert batch.image.shape == (2, 16, 16, 16)
    assert [digest(*pair) for pair in zip(*batch, strict=True)] == want[1:3]
    assert digest(next(batches).image[0]) == digest(recipe().produce("training", 3).image)
    batches.close()


@pytest.mark.slow
def test_a_program_over_a_batch_gives_the_same_bytes():
    images, labels = recipe().batch("training", np.asarray([3, 0, 2]))
    want = volumes(4)
    got = [digest(*pair) for pair in zip(images, labels, strict=True)]
    assert got == [want[i] for i in (3, 0, 2)]


@pytest.mark.slow
def test_the_stream_of_an_accelerator_gives_the_same_bytes():
    batches = _stream_as_program(recipe(), "training", 1, 3)
    assert [digest(*pair) for pair in zip(*next(batches), strict=True)] == volumes(4)[1:]
    assert next(batches).image.shape == (3, 16, 16, 16)


_IN_ANOTHER_PROCESS = """
import hashlib
import numpy as np
from fdif_jax import make_recipe
from fdif_jax.config import GenerateConfig
recipe = make_recipe(GenerateConfig.from_json({config!r}), {seed})
for i in range({count}):
    hasher = hashlib.sha256()
    for array in recipe.produce("training", i)[:2]:
        hasher.update(f"{{array.shape}}{{array.dtype}}".encode() + array.tobytes())
    print(hasher.hexdigest())
print(*recipe.classes.names, sep="|")
"""


def elsewhere(config, hash_seed, count=2):
    code = _IN_ANOTHER_PROCESS.format(config=config.to_json(), seed=SEED, count=count)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_another_process_with_another_hash_seed_gives_the_same_bytes():
    assert elsewhere(CONFIG, "12345") == [*volumes(2), "|".join(recipe().classes.names)]


@pytest.mark.slow
def test_unions_and_tasks_are_repeatable_too():
    """Two seeds of Python's hashes, one answer; also for what is drawn on the host."""
    assert elsewhere(EVERYTHING, "1") == elsewhere(EVERYTHING, "99")
    assert elsewhere(EVERYTHING, "1")[:2] == volumes(2, config=EVERYTHING)
    images, labels = recipe(EVERYTHING).batch("training", np.arange(2))
    assert labels.shape == (2, 16, 20, 24, 3)
    pairs = zip(images, labels, strict=True)
    assert [digest(*pair) for pair in pairs] == volumes(2, config=EVERYTHING)


def test_every_seed_split_and_index_has_its_own_key():
    seeds = (0, 1, 2**32, 2**32 + 1, 2**33, 2**31, MAX_SEED)
    keys = {
        tuple(jax.random.key_data(Recipe(None, seed, *[None] * 4).key(split, i)).tolist())
        for seed, split, i in itertools.product(seeds, ("training", "validation"), range(5))
    }
    assert len(keys) == len(seeds) * 2 * 5


def test_other_indices_and_splits_are_other_volumes():
    assert len({*volumes(4), *volumes(4, "validation")}) == 8


def test_the_seed_counts_beyond_32_bits():
    sample = recipe().compiled_sample
    seeds = SEED, SEED + 2**32, SEED + 2**33
    scenes = [sample(make_recipe(CONFIG, s)._split_key("training"), np.uint32(0)) for s in seeds]
    assert len({digest(*jax.tree.leaves(scene)) for scene in scenes}) == 3


def test_refuses_what_is_no_index_or_split():
    with pytest.raises(InputError, match="index is -1"):
        recipe().volume("training", -1)
    with pytest.raises(InputError, match=r"unknown split 'train'; did you mean 'training'"):
        recipe().volume("train", 0)
    with pytest.raises(InputError, match="batch_size is 0"):
        stream(CONFIG, SEED, batch_size=0)
    with pytest.raises(InputError, match="unknown recipe 'fdiff'; did you mean 'fdif'"):
        make_recipe(dataclasses.replace(CONFIG, recipe="fdiff"), SEED)


def test_draws_are_pinned():
    """Data sets of earlier versions can be extended: the draws of a seed are part of the format.

    A change here needs a new major version, and a word in the change log.
    """
    drawn = recipe().draw("training", 0)
    slots = CONFIG.max_objects
    assert np.asarray(drawn.scene.label)[:slots].ravel().tolist() == PINNED["label"]
    assert np.asarray(drawn.scene.mapper)[:slots].tolist() == PINNED["mapper"]
    assert np.asarray(drawn.scene.displacement)[:slots].tolist() == PINNED["displacement"]
    assert int(np.sum(drawn.scene.parts)) == PINNED["objects"]
    np.testing.assert_allclose(drawn.scene.local_from_world[0, 0], PINNED["row"], rtol=1e-5)
    np.testing.assert_allclose(drawn.scene.shape.half_height[0, 0], PINNED["height"], rtol=1e-5)


PINNED = {
    "displacement": [2, 5, 3, 9],
    "height": 1.085578,
    "label": [38, 69, 99, 22],
    "mapper": [10, 10, 8, 5],
    "objects": 2,
    "row": [0.0559441, -0.2436462, -0.9788442, 4.074297],
}


def test_more_in_the_catalog_does_not_change_what_was_there():
    config = dataclasses.replace(CONFIG, num_classes=None, primitives=("cone", "sixstartorus"))
    more = (
        Catalog.default()
        .with_primitive("egg", lambda x, y, z, a, b: x, ranges={"a": (0, 1), "b": (0, 1)})
        .with_mapper("flat", lambda d: 0 * d)
        .with_displacement("bump", lambda x, y, z: jnp.sin(x), amplitude=0.1)
    )
    before, after = make_recipe(config, SEED), make_recipe(config, SEED, more)
    one, other = (quick_jit(r.sample)(r.key("training", 0)).scene for r in (before, after))
    blank = jnp.zeros(1)
    for a, b in zip(
        jax.tree.leaves(one._replace(shape=one.shape._replace(custom=blank))),
        jax.tree.leaves(other._replace(shape=other.shape._replace(custom=blank))),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert before.classes == after.classes

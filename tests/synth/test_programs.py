"""The structure of the compiled programs: one branch per object, whatever the batch."""

import dataclasses
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scenes_to_render import CATALOG, CUBE, drawn_scene

from fdif_jax.config import PAPER
from fdif_jax.errors import InputError
from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import PROGRAMS
from fdif_jax.synth.recipe import seed_key
from fdif_jax.synth.recipes import make_recipe
from fdif_jax.synth.renderer import blocks_at_once, make_renderer, resolve_path

FORMULAS, DISPLACEMENTS, MAPPERS = len(PROGRAMS), 11, 11
UINT8 = np.dtype(np.uint8)


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


def switches(function, *args):
    """How many conditionals have how many branches, and the widest choice made elementwise."""
    conditionals, widest = Counter(), 0
    for equation in equations(jax.make_jaxpr(function)(*args).jaxpr):
        if equation.primitive.name == "cond":
            conditionals[len(equation.params["branches"])] += 1
        if equation.primitive.name == "select_n":
            widest = max(widest, len(equation.invars) - 1)
    return conditionals, widest


SCENE = drawn_scene(CUBE, 0, rows=np.arange(6))


def test_plain_path_has_one_switch_for_each_choice():
    """Formulas twice, for an object and the second solid of a union; a shell's profile once."""
    conditionals, widest = switches(
        make_renderer(CATALOG, Grid.voxels(CUBE), UINT8, path="dense"), SCENE
    )
    assert conditionals[FORMULAS] == 2
    assert conditionals[MAPPERS] == 2, "mappers and displacements are eleven each"
    assert conditionals[4] == 1
    assert conditionals[2] == 1
    assert widest == 2, "a batched index would choose elementwise among all branches"


def test_block_path_keeps_its_switches():
    conditionals, widest = switches(
        make_renderer(CATALOG, Grid.voxels(CUBE), UINT8, path="blocks"), SCENE
    )
    assert conditionals[FORMULAS] == 3, "bounds in a loop; distances for one solid and for two"
    assert conditionals[MAPPERS] == 2
    assert widest == 2


def test_batch_program_keeps_the_switches_of_one_volume():
    recipe = make_recipe(dataclasses.replace(PAPER, grid=(16, 16, 16)), 0)
    one = switches(lambda key: recipe.render(recipe.sample(key)), jax.random.key(0))
    many = switches(recipe.batch_program.__wrapped__, seed_key(0), np.arange(4, dtype=np.uint32))
    assert one == many
    assert many[0][FORMULAS] >= 2
    assert many[1] == 2


@pytest.mark.slow
def test_the_count_would_see_a_batched_switch():
    scenes = jax.tree.map(lambda field: np.stack([field, field]), SCENE)
    program = jax.vmap(make_renderer(CATALOG, Grid.voxels(CUBE), UINT8, path="dense"))
    conditionals, widest = switches(program, scenes)
    assert conditionals[FORMULAS] == 0
    assert widest >= FORMULAS


def test_paths():
    assert resolve_path("dense") == "dense"
    assert resolve_path("auto") == ("blocks" if jax.default_backend() == "cpu" else "dense")
    with pytest.raises(InputError, match="path is 'fast'; allowed: auto, blocks, dense"):
        resolve_path("fast")


def test_steps_are_small_in_small_volumes():
    sizes = [blocks_at_once(Grid.voxels((n, n, n))) for n in (16, 48, 96, 256)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 8
    assert sizes[-1] == 64


def test_no_program_asks_for_float64():
    jaxpr = jax.make_jaxpr(make_renderer(CATALOG, Grid.voxels(CUBE), UINT8, path="blocks"))(SCENE)
    types = {
        v.aval.dtype for e in equations(jaxpr.jaxpr) for v in e.outvars if hasattr(v.aval, "dtype")
    }
    assert jnp.float64 not in types

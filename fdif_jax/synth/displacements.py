"""Surface displacements: fields added to a distance, evaluated in world coordinates.

A field takes coordinates ``x, y, z`` normalised by the grid's largest on each axis, as rows
that broadcast, and returns its value over the amplitude. All are sums, products or maxima of
one-dimensional functions: a sine costs one row, never a volume. Source: generator formulas of
arXiv:2603.23199; amplitudes and frequencies are the original's registry.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

Field = Callable[[Array, Array, Array], Array]


@dataclasses.dataclass(frozen=True, slots=True)
class Displacement:
    """A named field.

    Args:
      name: as given on the command line.
      field: normalised (x, y, z) rows to displacement over amplitude.
      amplitude: as a share of the grid's largest x coordinate.
      label: the long name that class labels carry; the name if omitted.
    """

    name: str
    field: Field
    amplitude: float
    label: str = ""

    @property
    def long_name(self) -> str:
        """The name in class labels."""
        return self.label or self.name


def _none(x: Array, y: Array, z: Array) -> Array:
    return jnp.zeros((1, 1, 1), x.dtype)


def _perlin(k: float) -> Field:
    return lambda x, y, z: jnp.sin(k * x) * jnp.sin(k * y) + jnp.sin(k * z)


def _turbulence(k: float) -> Field:
    def field(x: Array, y: Array, z: Array) -> Array:
        return (
            jnp.sin(0.1 * k * x) * jnp.cos(0.15 * k * y)
            + jnp.sin(0.2 * k * y) * jnp.cos(0.25 * k * z)
            + jnp.sin(0.3 * k * z) * jnp.cos(0.35 * k * x)
        )

    return field


def _ridge(k: float) -> Field:
    return lambda x, y, z: abs(jnp.sin(k * x)) + abs(jnp.sin(k * y)) + abs(jnp.sin(k * z))


def _sharpmax(k: float) -> Field:
    def field(x: Array, y: Array, z: Array) -> Array:
        x, y, z = (jnp.abs(jnp.sin(k * axis)) for axis in (x, y, z))
        return jnp.maximum(jnp.maximum(x, y), z)

    return field


def _twisted(k: float) -> Field:
    return lambda x, y, z: jnp.abs(jnp.sin(k * x))


def _sawtooth(k: float) -> Field:
    def tooth(axis: Array) -> Array:
        return k * axis - jnp.floor(0.5 + k * axis)

    return lambda x, y, z: (2 / jnp.pi) * (tooth(x) + tooth(y) + tooth(z))


def _entry(name: str, kind: Callable[[float], Field], amplitude: float, k: float, label: str):
    return Displacement(name, kind(k), amplitude, label.format(a=amplitude, k=k))


NONE = Displacement("none", _none, 0.0)

DISPLACEMENTS: tuple[Displacement, ...] = (
    _entry("perlin_more_fine", _perlin, 0.03, 50.0, "perlin_amp_{a}_scale_{k}"),
    _entry("perlin_fine", _perlin, 0.01, 30.0, "perlin_amp_{a}_scale_{k}"),
    _entry("turbulence", _turbulence, 0.05, 30.0, "turbulence_amp_{a}_scale_{k}"),
    _entry("ridge", _ridge, 0.03, 30.0, "ridge_amp_{a}_freq_{k}"),
    _entry("ridge_coarse", _ridge, 0.05, 10.0, "ridge_amp_{a}_freq_{k}"),
    _entry("sharpmax", _sharpmax, 0.05, 20.0, "sharpmax_amp_{a}_freq_{k}"),
    _entry("sharpmax_fine", _sharpmax, 0.03, 40.0, "sharpmax_amp_{a}_freq_{k}"),
    _entry("twisted_x", _twisted, 0.04, 20.0, "twisted_amp_{a}_freq_{k}_axis_x"),
    _entry("sawtooth", _sawtooth, 0.03, 15.0, "sawtooth_amp_{a}_freq_{k}"),
    _entry("sawtooth_fine", _sawtooth, 0.02, 30.0, "sawtooth_amp_{a}_freq_{k}"),
)

"""From signed distance to intensity.

A mapper takes distances in voxels (negative inside) and returns intensities, 0 to 128. It
paints up to ``reach`` voxels outside the surface; beyond, the renderer puts 0 and need not ask.
"""

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

BRIGHTEST = 128.0


@dataclasses.dataclass(frozen=True, slots=True)
class Mapper:
    """A named function of distance, with how far outside the surface it still paints."""

    name: str
    intensity: Callable[[Array], Array]
    reach: float = 0.0


def _inverse_cube(d: Array) -> Array:
    d = jnp.abs(d)
    return BRIGHTEST / (d * d * d + 1.0)


def _exponential(base: float) -> Callable[[Array], Array]:
    rate = math.log(base)
    # Outside, where the value is dropped, the exponent is held at 0 so that it stays finite.
    return lambda d: BRIGHTEST * jnp.exp(rate * jnp.minimum(d, 0.0))


def _linear(slope: float) -> Callable[[Array], Array]:
    return lambda d: jnp.clip(BRIGHTEST + slope * d, 0.0, BRIGHTEST)


def _floor(width: float) -> Callable[[Array], Array]:
    return lambda d: jnp.clip(BRIGHTEST + 10.0 * jnp.ceil(d / width), 0.0, BRIGHTEST)


def _modular(modulus: float, width: float) -> Callable[[Array], Array]:
    def intensity(d: Array) -> Array:
        step = modulus - 1.0 - jnp.floor(-d / width)
        step = step - modulus * jnp.floor(step / modulus)
        return step * (BRIGHTEST / (modulus - 1.0))

    return intensity


def _sinusoidal(wavelength: float) -> Callable[[Array], Array]:
    def intensity(d: Array) -> Array:
        turns = d / wavelength
        return 64.0 * (jnp.cos((2.0 * math.pi) * (turns - jnp.round(turns))) + 1.0)

    return intensity


MAPPERS: tuple[Mapper, ...] = (
    Mapper("inverse_cube", _inverse_cube, reach=math.inf),
    Mapper("exponential_base_1.5", _exponential(1.5)),
    Mapper("exponential_base_2.0", _exponential(2.0)),
    Mapper("linear_slope_10.0", _linear(10.0)),
    Mapper("linear_slope_20.0", _linear(20.0)),
    Mapper("floor_width_0.5", _floor(0.5)),
    Mapper("floor_width_1.0", _floor(1.0)),
    Mapper("modular_5", _modular(5.0, 1.0)),
    Mapper("modular_10", _modular(10.0, 0.5)),
    Mapper("sinusoidal_wavelength_1.0", _sinusoidal(1.0)),
    Mapper("sinusoidal_wavelength_3.0", _sinusoidal(3.0)),
)

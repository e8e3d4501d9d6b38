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
        # Half a step away from the multiples, a product can stand for the slow division.
        step = step - modulus * jnp.floor((step + 0.5) * (1.0 / modulus))
        return step * (BRIGHTEST / (modulus - 1.0))

    return intensity


_COSINE = (
    1.0,
    -4.934802055358887,
    4.058712005615234,
    -1.335260272026062,
    0.2353208214044571,
    -0.025785809382796288,
    0.0019043289357796311,
    -8.869093289831653e-05,
)
"""cos(pi t) as a polynomial in t * t for |t| <= 1: least squares at Chebyshev nodes, error 7e-7."""


def _sinusoidal(wavelength: float) -> Callable[[Array], Array]:
    def intensity(d: Array) -> Array:
        turns = d / wavelength
        half_turns = 2.0 * (turns - jnp.round(turns))
        square = half_turns * half_turns
        cosine = jnp.full_like(square, _COSINE[-1])
        for coefficient in _COSINE[-2::-1]:
            cosine = cosine * square + coefficient
        return 64.0 * (cosine + 1.0)

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

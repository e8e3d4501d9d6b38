"""What all pictures share: figures, greys, and a colour for every class.

matplotlib is imported where it is needed, and its figures are made without pyplot, whose global
state does not bear threads.
"""

import importlib.util
import io
from typing import Any

import numpy as np

from fdif_jax.errors import EnvironmentFault

GOLDEN_TURN = 0.61803398875  # steps of it keep the hues of neighbouring ids apart
_OPACITY = 0.5


def available() -> bool:
    """Whether pictures can be drawn: matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def require(*modules: str) -> None:
    """Raises EnvironmentFault, naming the extra, where one of ``modules`` is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise EnvironmentFault(
            f"these pictures need {', '.join(missing)}: pip install 'fdif-jax[viz]'."
        )


def figure(size: tuple[float, float], *, arrange: bool = True) -> Any:
    """An empty figure of ``size`` inches; its savefig brings its own canvas for the format.

    Args:
      size: width and height.
      arrange: let matplotlib make room for titles and labels.

    Raises:
      EnvironmentFault: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EnvironmentFault(
            "pictures need matplotlib: pip install 'fdif-jax[viz]', or leave out the option that "
            "asks for them (--num_visualize)."
        ) from error
    return Figure(figsize=size, layout="constrained" if arrange else None)


def png(figure: Any, dpi: float = 100) -> bytes:
    """The figure as a file, of ``dpi`` pixels an inch."""
    without_formulas(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def without_formulas(figure: Any) -> None:
    """Takes all text as it is; names may hold the dollars that matplotlib sets formulas between."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)


def show(axes: Any, pixels: np.ndarray, aspect: float = 1.0) -> None:
    """Draws RGB ``pixels`` (rows upwards, columns, 3) without ticks.

    Args:
      axes: where.
      pixels: 0 to 1.
      aspect: height of a pixel by its width.
    """
    axes.imshow(pixels, origin="lower", interpolation="nearest", aspect=aspect)
    axes.set_xticks([])
    axes.set_yticks([])


def grey(values: np.ndarray) -> np.ndarray:
    """RGB of values of 0 to 1, (…) to (…, 3); what is beyond is clipped."""
    return np.repeat(values[..., None], 3, axis=-1).clip(0, 1)


def colour(ids: np.ndarray) -> np.ndarray:
    """RGB of class ids, (…) to (…, 3): the same colour for the same id in every picture."""
    hue = (ids.astype(np.float64) * GOLDEN_TURN) % 1.0
    bright = np.where(ids % 2 == 0, 0.75, 1.0)
    sector = (hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    return bright[..., None] * np.clip(np.abs(sector - 3) - 1, 0, 1)


def coloured(ids: np.ndarray) -> np.ndarray:
    """As ``colour``, with the background black."""
    return colour(ids) * (ids > 0)[..., None]


def over(below: np.ndarray, colours: np.ndarray, where: np.ndarray) -> np.ndarray:
    """``below`` (…, 3) with half-transparent ``colours`` at the pixels of ``where`` (…)."""
    mixed = (1 - _OPACITY) * below + _OPACITY * colours
    return np.where(where[..., None], mixed, below)

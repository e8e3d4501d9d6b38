"""What a data set costs, in memory and on disk."""

import math

from fdif_jax.classification import ClassificationConfig, DataSetConfig
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io.manifest import Generation
from fdif_jax.memory import MIB, human, memory_available

# Peak memory of `fdif generate`, cold: 716 MiB at 64^3, 748 MiB at 96^3 and 936 MiB at 192^3 (the
# paper's objects, two volumes in flight), 878 MiB at 128^3 with two tasks; 500 MiB of it is there
# only while programs are compiled. Rounded up.
BASE_BYTES = 700 * MIB
BYTES_PER_VOXEL = 40
# Gzipped bytes per voxel: 0.23 and 0.035 with 2 to 5 objects in 64^3, 0.34 and 0.11 with 20 in
# 96^3; the image needs more the more surfaces it holds, up to noise.
_IMAGE_RATIO = (0.20, 0.007, 0.5)
_LABEL_RATIO = (0.02, 0.0045, 0.3)
# Of a Blosc2 file; 0.24 to 0.62 of float32 were seen, the most with inverse_cube.
_FLOAT_BYTES = 2.4


def memory_needed(config: DataSetConfig, workers: int) -> int:
    """Bytes of memory that a run takes at its peak, estimated."""
    return BASE_BYTES + workers * math.prod(config.grid) * BYTES_PER_VOXEL


def disk_needed(generation: Generation) -> int:
    """Bytes on disk of the whole set, estimated."""
    config, tasks = generation.config, len(generation.classes.tasks)
    voxels = math.prod(config.grid) * sum(generation.counts.values())
    if isinstance(config, ClassificationConfig):
        return int(voxels * _FLOAT_BYTES)
    objects = (config.min_objects + config.max_objects) / 2
    image, label = (
        min(start + slope * objects, most) for start, slope, most in (_IMAGE_RATIO, _LABEL_RATIO)
    )
    return int(voxels * (image + label * max(tasks, 1)))


def refuse_too_large(grid: tuple[int, ...], needed: int, remedy: str) -> None:
    """Refuses what does not fit into memory.

    Args:
      grid: (D, H, W), for the message.
      needed: bytes.
      remedy: a closing hint.

    Raises:
      InputError: with both numbers.
    """
    available = memory_available()
    if available is not None and needed > available:
        size = "x".join(map(str, grid))
        raise InputError(
            f"a grid of {size} needs about {human(needed)} of memory, {human(available)} are "
            f"available; {remedy}"
        )


def require_matplotlib() -> None:
    """Raises EnvironmentFault, naming the extra, where pictures cannot be drawn."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise EnvironmentFault(
            "pictures need matplotlib: pip install 'fdif-jax[viz]', or leave out --num_visualize."
        )

"""What a weight file holds, whatever its form: tensors by name, and what stands beside them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Content(NamedTuple):
    """A weight file in memory.

    Attributes:
      tensors: by the file's own names; bfloat16 as float32.
      place: where in the file they stand, e.g. ``network_weights``; empty at the top.
      beside: everything else at the top, in plain containers: plans, epochs, optimizers.
    """

    tensors: dict[str, np.ndarray]
    place: str = ""
    beside: Mapping[str, Any] = {}

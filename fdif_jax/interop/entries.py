"""One row of a name table: a PyTorch key, our path, and how the axes are arranged."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

Layout = Literal["conv", "transpose", "linear", "copy"]

# PyTorch to ours; (O, I, D, H, W), (I, O, D, H, W) for transposed convolutions, (O, I).
_AXES: dict[Layout, tuple[int, ...]] = {
    "conv": (2, 3, 4, 1, 0),
    "transpose": (2, 3, 4, 0, 1),
    "linear": (1, 0),
}


class Entry(NamedTuple):
    """``key`` of a PyTorch state dict stands at ``path`` (attributes, indices) of our network."""

    key: str
    path: str
    layout: Layout = "copy"

    def to_ours(self, tensor: np.ndarray) -> np.ndarray:
        """Our arrangement of a PyTorch tensor."""
        return tensor if self.layout == "copy" else tensor.transpose(_AXES[self.layout])

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """PyTorch's arrangement of our array."""
        if self.layout == "copy":
            return array
        return np.ascontiguousarray(array.transpose(np.argsort(_AXES[self.layout])))

    def torch_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """PyTorch's shape of our shape."""
        if self.layout == "copy":
            return tuple(shape)
        return tuple(shape[i] for i in np.argsort(_AXES[self.layout]))


Entries = Iterator[Entry]


def conv(key: str, path: str, *, bias: bool = False) -> Entries:
    """A convolution."""
    yield from _with_bias(key, path, "conv", bias)


def transposed(key: str, path: str, *, bias: bool = False) -> Entries:
    """A transposed convolution."""
    yield from _with_bias(key, path, "transpose", bias)


def linear(key: str, path: str, *, bias: bool = True) -> Entries:
    """A linear layer."""
    yield from _with_bias(key, path, "linear", bias)


def norm(key: str, path: str) -> Entries:
    """Scale and bias of a norm."""
    yield Entry(f"{key}.weight", f"{path}.scale")
    yield Entry(f"{key}.bias", f"{path}.bias")


def batch_norm(key: str, path: str) -> Entries:
    """Scale, bias and running statistics."""
    yield from norm(key, path)
    yield Entry(f"{key}.running_mean", f"{path}.mean")
    yield Entry(f"{key}.running_var", f"{path}.var")


def _with_bias(key: str, path: str, layout: Layout, bias: bool) -> Entries:
    yield Entry(f"{key}.weight", f"{path}.kernel", layout)
    if bias:
        yield Entry(f"{key}.bias", f"{path}.bias")

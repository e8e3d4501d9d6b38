"""A network and all that belongs around it: from an image as read to labels on the same grid."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fdif_jax.data import geometry
from fdif_jax.data.images import Image
from fdif_jax.data.preprocess import Prepared, Preprocessing, prepare
from fdif_jax.data.restore import restore_labels, restore_probabilities
from fdif_jax.errors import InputError
from fdif_jax.infer.sliding_window import (
    Apply,
    Progress,
    Shape3,
    Windows,
    predict_planes,
    window_count,
)
from fdif_jax.models.heads import as_one
from fdif_jax.models.registry import AnyConfig, AnyNetwork, Network


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """What predicts one image after another; the network is compiled with the first one.

    Attributes:
      apply: patches to logits, those of several tasks one behind the other.
      windows: how a prepared volume is covered.
      classes: of each task.
      plan: what is done to an image before.
    """

    apply: Apply
    windows: Windows
    classes: tuple[int, ...]
    plan: Preprocessing

    def prepare(self, image: Image) -> Prepared:
        """The image as the network sees it.

        Raises:
          InputError: the affine is of no use; the message fits behind the file's name.
        """
        return prepare(image, None, self.plan)

    def labels(self, prepared: Prepared, progress: Progress | None = None) -> np.ndarray:
        """The most probable class of every voxel of the file.

        Memory grows with the volume, and with the classes times a patch's depth of planes.

        Returns:
          (D, H, W), or (D, H, W, tasks) with several, in the smallest unsigned type.
        """
        planes = self._probabilities(prepared, progress)
        return restore_labels(planes, prepared.geometry, self.classes)

    def probabilities(self, prepared: Prepared, progress: Progress | None = None) -> np.ndarray:
        """(D, H, W, classes) float32 on the file's grid; tasks one behind the other."""
        planes = self._probabilities(prepared, progress)
        return restore_probabilities(planes, prepared.geometry, np.float32, self.classes)

    def count(self, shape: Shape3, affine: np.ndarray) -> int:
        """The windows that an image of this shape has at most; fewer where it is cropped."""
        plan = self.plan
        whole = geometry.plan(
            shape, affine, orient=plan.orient, spacing=plan.spacing, pad_to=plan.pad_to
        )
        return window_count(whole.prepared, self.windows)

    def _probabilities(
        self, prepared: Prepared, progress: Progress | None
    ) -> Iterator[tuple[int, np.ndarray]]:
        ends = np.cumsum(self.classes)[:-1]
        channels = sum(self.classes)
        for z, logits in predict_planes(
            self.apply, prepared.image, self.windows, channels, progress
        ):
            parts = [softmax(part) for part in np.split(logits, ends, axis=-1)]
            yield z, np.concatenate(parts, axis=-1)


def make_predictor(
    model: Network, plan: Preprocessing, windows: Windows, devices: int = 1
) -> Predictor:
    """A predictor of this network; its weights go to the devices now, and only once.

    Args:
      model: in any mode; it is left alone.
      plan: what it was trained with.
      windows: how volumes are covered; a batch is spread over the devices.
      devices: how many to use.

    Raises:
      InputError: a patch that the network does not take, more devices than there are.
    """
    model.check_size(windows.patch)
    apply = on_devices(model, devices)
    windows = dataclasses.replace(windows, batch=-(-windows.batch // devices) * devices)
    return Predictor(apply, windows, classes_of_tasks(model.config), plan)


def on_devices(model: AnyNetwork, devices: int) -> Apply:
    """The network as a function of batches, which are spread over the devices.

    Args:
      model: in any mode; it is left alone.
      devices: how many to use; batches are multiples of it.

    Raises:
      InputError: more devices than there are.
    """
    check_devices(devices)
    mesh = Mesh(np.array(jax.devices()[:devices]), ("batch",))
    forward, state = split_forward(model)
    state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    split = NamedSharding(mesh, PartitionSpec("batch"))
    program = jax.jit(forward, out_shardings=split)
    return lambda patches: program(state, jax.device_put(patches, split))


def split_forward(model: AnyNetwork) -> tuple[Callable[[Any, jax.Array], jax.Array], Any]:
    """The network as a pure function (state, patches) to logits, and its state.

    The function is in evaluation mode whatever mode the network is in; the logits of several tasks
    lie one behind the other. With the state as an argument, one program serves changing weights.
    """
    graph, state = nnx.split(model)

    def forward(state: Any, patches: jax.Array) -> jax.Array:
        network = nnx.merge(graph, state, copy=True)
        network.eval()
        return as_one(network(patches), network.config.out_channels)

    return forward, state


def check_devices(devices: int) -> None:
    """Refuses more devices than there are.

    Raises:
      InputError: with their number.
    """
    there = jax.device_count()
    if not 1 <= devices <= there:
        raise InputError(f"devices is {devices}; allowed: 1 to {there}, as many as there are.")


def default_batch() -> int:
    """Windows at once: a CPU is busy with one, an accelerator wants more."""
    return 1 if jax.default_backend() == "cpu" else 4


def classes_of_tasks(config: AnyConfig) -> tuple[int, ...]:
    """Output channels, one number for each task."""
    outputs = config.out_channels
    return (outputs,) if isinstance(outputs, int) else tuple(count for _, count in outputs)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, of the same type."""
    result = logits - logits.max(axis=-1, keepdims=True)
    np.exp(result, out=result)
    result /= result.sum(axis=-1, keepdims=True)
    return result

"""One update as one program: augment, forward, loss, gradients, AdamW; the state is donated.

With several devices the program is that of one device on its part of the crops, tied together by
three means: of the gradients, of the losses, and of batch statistics. So its parts are the very
loops that are fast on one device (a partitioner would cut through them), and any number of
devices gives the same update.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from fdif_jax.data.augment import augment
from fdif_jax.data.intensities import Intensity
from fdif_jax.models.dropout import draw_from, spread_batch
from fdif_jax.models.registry import AnyNetwork
from fdif_jax.train import losses, schedules

AXIS = "batch"
_AUGMENT, _DROP = 0, 1  # what a step's key is split into


class State(NamedTuple):
    """What an update changes; all of it is in a checkpoint."""

    params: nnx.State
    stats: nnx.State
    """Running statistics."""
    optimizer: optax.OptState
    update: Array
    """Updates done, int32."""


class Metrics(NamedTuple):
    """Of one update; float32, the same on every device."""

    loss: Array
    dice_loss: Array | None
    """None, as ``ce``, where the loss has no such part."""
    ce: Array | None
    by_crop: Array
    """(accumulation, crops): the loss of every crop, to find one that is not a number."""
    gradient_norm: Array


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
      learning_rate: largest rate.
      max_iterations: updates of the whole run.
      seed: of augmentation and dropout.
      loss: a name in ``losses.LOSSES``, or a loss of another kind.
      tasks: names in the order of the labels' last axis; empty for a single task.
      accumulation: batches that one update is the mean of.
      augment: flips, turns, shifts.
      weight_decay: AdamW's, on all parameters.
      frozen: the encoder stays as it is.
    """

    learning_rate: float
    max_iterations: int
    seed: int = 0
    loss: str | losses.LossFunction = "dice_ce"
    tasks: tuple[str, ...] = ()
    accumulation: int = 1
    augment: bool = True
    weight_decay: float = 1e-5
    frozen: bool = False


class Parts(NamedTuple):
    """What is fixed of a network that was taken apart."""

    graph: Any
    """Its form in training."""
    eval_graph: Any
    """Its form in evaluation, on one device."""
    random: nnx.State
    encoder: frozenset[str]
    """Names of the top-level parts that ``--freeze_encoder`` keeps."""


Step = Callable[[State, Array, Array], tuple[State, Metrics]]
"""(state, images (A, N, D, H, W, C), labels (A, N, D, H, W[, T])) to (state, metrics).

Labels of whole images are (A, N[, T])."""


def take_apart(model: AnyNetwork, recipe: Recipe, mesh: Mesh) -> tuple[Parts, State]:
    """The network as what is fixed and a first state, whole on every device.

    The network must not be used afterwards: the first update takes its arrays over.
    """
    model.eval()
    eval_graph = nnx.split(model, nnx.Param, nnx.BatchStat, nnx.RngState)[0]
    model.train()
    spread_batch(model, AXIS if mesh.size > 1 else None)
    graph, *arrays = nnx.split(model, nnx.Param, nnx.BatchStat, nnx.RngState)
    params, stats, random = arrays
    names = {str(path[0]) for path, _ in nnx.to_flat_state(params)}
    encoder = frozenset(names - set(model.decoder_parts))
    state = State(params, stats, _optimizer(recipe).init(params), jnp.int32(0))
    return Parts(graph, eval_graph, random, encoder), jax.device_put(state, replicated(mesh))


def put_together(parts: Parts, state: State) -> AnyNetwork:
    """A network in evaluation mode with the state's weights, as this process has them."""
    params, stats = on_one_device((state.params, state.stats))
    return nnx.merge(parts.eval_graph, params, stats, parts.random, copy=True)


def on_one_device(tree: Any) -> Any:
    """Arrays that lie whole on every device, as arrays on one device of this process."""
    return jax.tree.map(lambda a: a.addressable_data(0), tree)


def replicated(mesh: Mesh) -> NamedSharding:
    """Where the state lies: whole, on every device."""
    return NamedSharding(mesh, P())


def spread(mesh: Mesh) -> NamedSharding:
    """Where batches lie: crops, the second axis, over the devices."""
    return NamedSharding(mesh, P(None, AXIS))


def make_step(parts: Parts, recipe: Recipe, mesh: Mesh) -> Any:
    """The update as a jitted ``Step`` that takes its state over."""
    update: Any = partial(_update, parts, recipe, mesh.size > 1)
    if mesh.size > 1:
        update = jax.shard_map(
            update,
            mesh=mesh,
            in_specs=(P(), P(None, AXIS), P(None, AXIS)),
            out_specs=P(),
            check_vma=False,  # the custom gradients of norms say themselves what is summed
        )
    whole, split = replicated(mesh), spread(mesh)
    return jax.jit(
        update,
        donate_argnums=0,
        in_shardings=(whole, split, split),
        out_shardings=whole,
    )


def to_float(images: Array) -> Array:
    """Synthetic volumes as stored, uint8, in the network's range; others as they are."""
    if images.dtype != jnp.uint8:
        return images
    low, high = Intensity("ct").window
    return jnp.clip((images.astype(jnp.float32) - low) / (high - low), 0.0, 1.0)


def _update(
    parts: Parts, recipe: Recipe, several: bool, state: State, images: Array, labels: Array
) -> tuple[State, Metrics]:
    key = jax.random.fold_in(jax.random.key(recipe.seed), state.update)

    def one(stats: nnx.State, number: Array, images: Array, labels: Array):
        own = jax.random.fold_in(key, number)
        return _gradients(parts, recipe, several, own, (state.params, stats), (images, labels))

    grads, stats, total, by_crop = _accumulated(
        one, recipe.accumulation, state.stats, images, labels
    )
    grads, total = jax.tree.map(lambda x: x / recipe.accumulation, (grads, total))
    if several:
        grads, total = lax.pmean((grads, total), AXIS)
        by_crop = lax.all_gather(by_crop, AXIS, axis=1, tiled=True)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        changes, optimizer = _optimizer(recipe).update(grads, state.optimizer, state.params)
    if recipe.frozen:
        changes = _without(parts.encoder, changes)
    params = optax.apply_updates(state.params, changes)
    metrics = Metrics(total.total, total.dice_loss, total.ce, by_crop, optax.tree.norm(grads))
    return State(params, stats, optimizer, state.update + 1), metrics


def _accumulated(one: Callable, count: int, stats: nnx.State, images: Array, labels: Array):
    """Sums over the batches of gradients and losses; running statistics go through them all."""
    grads, stats, total, by_crop = one(stats, jnp.int32(0), images[0], labels[0])
    if count == 1:
        return grads, stats, total, by_crop[None]

    def add(carry, batch):
        grads, total, stats = carry
        more, stats, found, by_crop = one(stats, *batch)
        grads, total = jax.tree.map(jnp.add, (grads, total), (more, found))
        return (grads, total, stats), by_crop

    rest = (jnp.arange(1, count), images[1:], labels[1:])
    (grads, total, stats), others = lax.scan(add, (grads, total, stats), rest)
    return grads, stats, total, jnp.concatenate([by_crop[None], others])


def _gradients(parts: Parts, recipe: Recipe, several: bool, key: Array, weights, batch):
    """Of the mean loss over this device's crops."""
    (params, stats), (images, labels) = weights, batch
    images = to_float(images)
    if recipe.augment:
        first = lax.axis_index(AXIS) * images.shape[0] if several else 0
        crops = first + jnp.arange(images.shape[0])
        own = jax.random.fold_in(key, _AUGMENT)
        images, labels = augment(jax.vmap(partial(jax.random.fold_in, own))(crops), images, labels)
    random = draw_from(parts.random, jax.random.fold_in(key, _DROP))

    def loss(params):
        if recipe.frozen:
            params = _still(parts.encoder, params)
        model = nnx.merge(parts.graph, params, stats, random, copy=True)
        by_crop = _loss(recipe, model(images), labels)
        total = jax.tree.map(jnp.mean, by_crop)
        return total.total, (nnx.state(model, nnx.BatchStat), total, by_crop.total)

    grads, (stats, total, by_crop) = jax.grad(loss, has_aux=True)(params)
    return grads, stats, total, by_crop


def _loss(recipe: Recipe, logits: Array | Mapping[str, Array], labels: Array) -> losses.Loss:
    """By crop, (B,)."""
    loss = losses.LOSSES[recipe.loss] if isinstance(recipe.loss, str) else recipe.loss
    if isinstance(logits, Mapping):
        return losses.multi_task(loss, logits, labels, recipe.tasks)
    return loss(logits, labels)


def _optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """PyTorch's AdamW: decay on every parameter, betas (0.9, 0.999), epsilon 1e-8."""
    rate = schedules.warmup_cosine(recipe.learning_rate, recipe.max_iterations)
    return optax.adamw(rate, weight_decay=recipe.weight_decay)


def _without(names: frozenset[str], changes: nnx.State) -> nnx.State:
    """Zeros where the first word of the path is one of ``names``."""
    return nnx.map_state(
        lambda path, v: v.replace(jnp.zeros_like(v[...])) if str(path[0]) in names else v, changes
    )


def _still(names: frozenset[str], params: nnx.State) -> nnx.State:
    return nnx.map_state(
        lambda path, v: v.replace(lax.stop_gradient(v[...])) if str(path[0]) in names else v, params
    )

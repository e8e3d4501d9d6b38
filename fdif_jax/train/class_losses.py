"""Cross-entropy of images that have a class as a whole."""

import jax
from jax import Array

from fdif_jax.train.losses import Loss


def class_cross_entropy(logits: Array, labels: Array, *, smoothing: float = 0.0) -> Loss:
    """Softmax cross-entropy of every image; it has no parts.

    Args:
      logits: (B, C) float32.
      labels: (B,) integers, 0 to C - 1.
      smoothing: share of each label that is spread evenly over all classes.
    """
    share = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype) * (1 - smoothing)
    target = share + smoothing / logits.shape[-1]
    return Loss(-(target * jax.nn.log_softmax(logits)).sum(-1), None, None)

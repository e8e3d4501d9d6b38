"""Scores of classifiers, by scikit-learn's definitions."""

import importlib.util
from collections.abc import Mapping

import numpy as np

from fdif_jax.errors import EnvironmentFault

NAMES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision")


def require_sklearn() -> None:
    """Raises EnvironmentFault, naming the extra, where scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise EnvironmentFault(
            "scores of classifiers need scikit-learn: pip install 'fdif-jax[classification]'."
        )


def class_scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The scores of one label, by ``NAMES``.

    The class of an image is its most probable one. Balanced accuracy is the mean over the classes
    that are there of the share that was found. AUROC and average precision are those of class 1
    where there are two classes, else means over the classes, each against the others; a class that
    no image has, or all have, has neither, and where none is left they are NaN.

    Args:
      probabilities: (N, C), N of at least 1.
      labels: (N,) class ids.
    """
    require_sklearn()
    from sklearn import metrics

    found = probabilities.argmax(1)
    ranked = by_class(probabilities, labels).values()
    recalls = [float((found[labels == c] == c).mean()) for c in np.unique(labels)]
    return {
        "accuracy": float((found == labels).mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "macro_f1": float(metrics.f1_score(labels, found, average="macro", zero_division=0)),
        "auroc": _mean([auroc for auroc, _ in ranked]),
        "average_precision": _mean([precision for _, precision in ranked]),
    }


def by_class(probabilities: np.ndarray, labels: np.ndarray) -> Mapping[int, tuple[float, float]]:
    """AUROC and average precision of each class that some, not all, images have.

    Of two classes, which mirror each other, the second alone. Arguments as ``class_scores``.
    """
    from sklearn import metrics

    count = probabilities.shape[1]
    scores = {}
    for c in range(count) if count != 2 else (1,):
        own = labels == c
        if own.any() and not own.all():
            p = probabilities[:, c]
            auroc = float(metrics.roc_auc_score(own, p))
            scores[c] = auroc, float(metrics.average_precision_score(own, p))
    return scores


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")

"""Images to predict, and a network whose answer is known: the voxels above one half."""

import types

import nibabel
import numpy as np
from flax import nnx

from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.errors import InputError
from fdif_jax.infer.predictor import Predictor
from fdif_jax.infer.sliding_window import Windows

AS_IT_IS = Preprocessing(Intensity("none"))
# RAS+ world of the axes i, j, k: as stored, to the left and back, and turned and mirrored.
AFFINES = {
    "ras": np.diag([1.0, 1.0, 2.0, 1.0]),
    "lps": np.array([[-1.0, 0, 0, 30], [0, -1.2, 0, 20], [0, 0, 2, -7], [0, 0, 0, 1]]),
    "ipr": np.array([[0, 0, 1.5, 4], [0, -1.0, 0, 9], [-2.0, 0, 0, 3], [0, 0, 0, 1]]),
}


def above_half(x):
    """Logits of background, and of what is above one half in the first channel."""
    margin = 40 * (np.asarray(x)[..., :1] - 0.5)
    return np.concatenate([-margin, margin], axis=-1)


class TwoHeads(nnx.Module):
    """A network that compiles at once, and has all that a real one has: modes, sizes, tasks."""

    def __init__(self, rngs):
        self.config = types.SimpleNamespace(in_channels=1, out_channels=(("a", 2), ("b", 3)))
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(1, rngs=rngs)
        self.heads = nnx.Dict(
            {task: nnx.Linear(1, n, rngs=rngs) for task, n in (("a", 2), ("b", 3))}
        )

    def __call__(self, x):
        features = self.dropout(self.norm(x))
        return {task: head(features) for task, head in self.heads.items()}

    def check_size(self, size, batch=1):
        if any(n % 16 for n in size):
            raise InputError("multiples of 16")


def predictor(plan=AS_IT_IS, apply=above_half, classes=(2,), **options):
    return Predictor(apply, Windows(**{"patch": (8, 8, 8)} | options), classes, plan)


def volume(shape=(14, 11, 9), seed=0):
    """Noise with a margin that is cut off as background."""
    values = np.random.default_rng(seed).random(shape).astype(np.float32)
    values[:2] = values[:, -1:] = 0
    return values


def write(path, voxels, affine=AFFINES["ras"], nifti2=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image
    nibabel.save(kind(np.asarray(voxels, np.float32), affine), path)
    return path

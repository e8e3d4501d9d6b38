"""A recipe that costs nothing, for tests in which what is rendered does not matter."""

import types

import numpy as np

from fdif_jax.synth.labels import class_table


class FakeRecipe:
    """Real classes; voxels that are a function of (seed, split, index) and cost nothing."""

    def __init__(self, config, seed, catalog):
        self.config, self.seed = config, seed
        self.classes = class_table(config, catalog, seed)

    def produce(self, split, index):
        rng = np.random.default_rng([self.seed, int(split == "validation"), index])
        if self.classes.of_volumes:
            image = rng.standard_normal(self.config.grid, np.float32)
            return types.SimpleNamespace(image=image, label=None)
        tasks = self.classes.tasks
        label = rng.integers(0, 2, self.config.grid)
        if tasks:
            label = np.stack([label] * len(tasks), axis=-1)
        return types.SimpleNamespace(
            image=rng.integers(0, 129, self.config.grid, dtype=np.uint8),
            label=label.astype(self.classes.dtype),
            scene=lambda: {"grid": list(self.config.grid), "objects": []},
        )

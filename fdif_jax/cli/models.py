"""Rows for ``fdif list models``."""

from fdif_jax.models.registry import PRESETS

# GiB that one training step must hold at 96^3, batch 1, 14 classes, float32: weights, gradients,
# optimizer and kept activations, without and with recomputation. From
# ``registry.training_bytes``, which takes seconds per network; a test holds them to it.
MEMORY: dict[str, tuple[float, float]] = {}
PARAMETERS: dict[str, int] = {}


def model_rows() -> list[tuple[str, str, str, str]]:
    """Header and one row per preset: name, parameters, sizes it takes, memory."""
    rows = [("name", "parameters", "input sizes", "training step at 96^3 (with --use_checkpoint)")]
    for preset in PRESETS:
        plain, light = MEMORY[preset.name]
        rows.append((preset.name, f"{PARAMETERS[preset.name]:,}", preset.rule,
                     f"{plain:.1f} GiB ({light:.1f})"))
    return rows

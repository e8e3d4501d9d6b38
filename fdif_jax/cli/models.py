"""Rows for ``fdif list models``."""

from fdif_jax.models.registry import PRESETS

# GiB that one training step must hold at 96^3, batch 1, 14 classes, float32: weights, gradients,
# optimizer and kept activations, without and with recomputation; ResEnc with the five stages of
# that patch. ``registry.training_bytes`` takes seconds per network, so its results stand here and
# a test holds them to it.
MEMORY: dict[str, tuple[float, float]] = {
    "vnet": (2.2, 1.0),
    "unetr": (2.6, 1.5),
    "swin_unetr": (5.0, 1.5),
    "resenc_m": (3.0, 1.7),
    "resenc_l": (3.0, 1.7),
    "resenc_xl": (3.0, 1.7),
    "primus_s": (1.9, 0.7),
    "primus_b": (4.3, 1.9),
    "primus_m": (6.2, 2.7),
    "primus_l": (12.0, 5.5),
}
# At the preset's patch and 14 classes.
PARAMETERS: dict[str, int] = {
    "vnet": 45_646_126,
    "unetr": 92_784_046,
    "swin_unetr": 62_187_296,
    "resenc_m": 102_359_430,
    "resenc_l": 102_359_430,
    "resenc_xl": 102_359_430,
    "primus_s": 24_174_098,
    "primus_b": 94_131_038,
    "primus_m": 147_661_030,
    "primus_l": 326_989_622,
}


def model_rows() -> list[tuple[str, str, str, str]]:
    """Header and one row per preset: name, parameters, sizes it takes, memory."""
    rows = [("name", "parameters", "input sizes", "training step at 96^3 (with --use_checkpoint)")]
    for preset in PRESETS:
        plain, light = MEMORY[preset.name]
        rows.append(
            (
                preset.name,
                f"{PARAMETERS[preset.name]:,}",
                preset.rule,
                f"{plain:.1f} GiB ({light:.1f})",
            )
        )
    return rows

"""What ``fdif list models`` shows."""

from fdif_jax.models.registry import PRESETS

# GiB that one training step must hold at 96^3, batch 1, 14 classes, float32: weights, gradients,
# optimizer and kept activations, without and with recomputation; ResEnc with the five stages of
# that patch. ``registry.training_bytes`` takes seconds per network, so its results stand here and
# a test holds them to it.
MEMORY: dict[str, tuple[float, float]] = {
    "vnet": (2.2, 1.0),
    "unetr": (2.3, 1.5),
    "swin_unetr": (4.1, 1.5),
    "resenc_m": (3.0, 1.7),
    "resenc_l": (3.0, 1.7),
    "resenc_xl": (3.0, 1.7),
    "primus_s": (1.4, 0.6),
    "primus_b": (3.3, 1.8),
    "primus_m": (4.8, 2.7),
    "primus_l": (9.4, 5.5),
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


def model_records() -> list[dict[str, str | int | float]]:
    """One record per preset: name, parameters, sizes it takes, GiB of a training step."""
    return [
        {
            "name": preset.name,
            "parameters": PARAMETERS[preset.name],
            "input_sizes": preset.rule,
            "step_gib": MEMORY[preset.name][0],
            "step_gib_remat": MEMORY[preset.name][1],
        }
        for preset in PRESETS
    ]

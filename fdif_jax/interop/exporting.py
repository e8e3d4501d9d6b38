"""One of our networks as another tool's weight file."""

from pathlib import Path
from typing import Any

from fdif_jax.errors import InputError, lookup
from fdif_jax.interop import files, formats
from fdif_jax.interop.hints import record_of
from fdif_jax.models.conv import Shape3
from fdif_jax.models.primus import PrimusConfig
from fdif_jax.models.registry import PRESETS, Config, Network, family_of
from fdif_jax.models.resenc_plan import ResEncConfig

TARGETS: dict[str, str] = {
    "monai": "bare state dict in MONAI's names (.pth or .safetensors)",
    "monai-swinvit": "SwinUNETR's encoder, as SwinUNETR.load_from wants it (.pth)",
    "nnunet": "for nnUNetv2_train -pretrained_weights (.pth)",
    "ssl3d": "with the adaptation plan, for nnssl and SSL3D (.pth)",
    "safetensors": "the original's names, without PyTorch (.safetensors)",
}
_FAMILIES = {
    "monai": ("vnet", "unetr", "swin_unetr"),
    "monai-swinvit": ("swin_unetr",),
    "nnunet": ("resenc", "primus"),
    "ssl3d": ("resenc", "primus"),
    "safetensors": ("vnet", "unetr", "swin_unetr", "resenc", "primus"),
}
_PRIMUS = {
    f"Primus{preset.name[-1].upper()}": (
        preset.config.hidden_size,
        preset.config.depth,
        preset.config.heads,
    )
    for preset in PRESETS
    if isinstance(preset.config, PrimusConfig)
}
_SUFFIXES = {"monai": (".pth", ".safetensors"), "safetensors": (".safetensors",)}


def export_file(
    model: Network,
    path: Path | str,
    *,
    to: str,
    task: str | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    patch: Shape3 | None = None,
    class_name: str | None = None,
) -> None:
    """Writes the network for another tool, complete or not at all.

    Args:
      model: the network.
      path: the file; its suffix says ``.pth`` or ``.safetensors`` where both are possible.
      to: one of ``TARGETS``.
      task: which head of a multi-task network.
      spacing: millimetres per voxel that it was trained at; only for ``ssl3d``.
      patch: that it was trained on; only for ``ssl3d``.
      class_name: of the architecture, for ``ssl3d``; known for the sizes that SSL3D has.

    Raises:
      InputError: a target that this network or this suffix does not go with.
      EnvironmentFault: a ``.pth`` without PyTorch, or a file that cannot be written.
    """
    path = Path(path)
    check_target(model.config, path, to)
    if task is None and len(formats.tasks_of(model)) > 1 and to == "monai-swinvit":
        task = formats.tasks_of(model)[0]  # the encoder is the same for all
    beside: dict[str, Any] = {}
    if to == "ssl3d":
        beside["nnssl_adaptation_plan"] = adaptation_plan(
            model.config, spacing=spacing, patch=patch, class_name=class_name
        )
    tensors = formats.to_state_dict(model, task)
    if path.suffix == ".safetensors":
        files.write_safetensors(path, tensors, record_of(model.config))
    elif to == "monai":
        files.write_pickle(path, tensors)
    elif to == "monai-swinvit":
        files.write_pickle(path, {"state_dict": formats.to_swinvit(tensors)})
    else:
        resenc = family_of(model.config) == "resenc"
        shared = formats.with_aliases(tensors)[1] if resenc else {}
        files.write_pickle(path, {"network_weights": tensors} | beside, shared)


def check_target(config: Config, path: Path, to: str) -> None:
    """Refuses a target that does not go with the network or the file's suffix.

    Raises:
      InputError: naming what does.
    """
    lookup(TARGETS, to, kind="export target")
    family = family_of(config)
    if family not in _FAMILIES[to]:
        fitting = ", ".join(name for name, families in _FAMILIES.items() if family in families)
        raise InputError(
            f"--to {to} is for {', '.join(_FAMILIES[to])}; this network is {family}: use {fitting}."
        )
    suffixes = _SUFFIXES.get(to, (".pth",))
    if path.suffix not in suffixes:
        raise InputError(f"--to {to} writes {' or '.join(suffixes)}, got {path.name}.")


def adaptation_plan(
    config: Config,
    *,
    spacing: tuple[float, float, float],
    patch: Shape3 | None,
    class_name: str | None = None,
) -> dict[str, Any]:
    """What SSL3D asks for beside the weights, to fit them into another plan.

    Raises:
      InputError: no patch for a ResEnc, a spacing that is not positive, or a network that SSL3D
        has no name for, without ``class_name``.
    """
    keys: tuple[str, str, list[str], str | None]
    size = patch or getattr(config, "image_size", None)
    if size is None:
        raise InputError("ssl3d needs the patch that the network was trained on (--grid_size).")
    if not all(0 < mm < float("inf") for mm in spacing):
        given = " ".join(map(str, spacing))
        raise InputError(f"--spacing is {given}; allowed: millimetres above 0.")
    class_name = class_name or _class_name(config)
    if family_of(config) == "primus":
        keys = ("eva", "down_projection", ["down_projection.proj"], "eva.pos_embed")
    else:
        stem = "encoder.stem.convs.0"
        keys = ("encoder.stages", "encoder.stem", [f"{stem}.conv", f"{stem}.all_modules.0"], None)
    return {
        "architecture_plans": {
            "arch_class_name": class_name,
            "arch_kwargs": None,
            "arch_kwargs_requiring_import": None,
        },
        "pretrain_plan": {
            "configurations": {
                "onemmiso": {"spacing": list(spacing), "patch_size": list(size)},
            }
        },
        "pretrain_num_input_channels": config.in_channels,
        "recommended_downstream_patchsize": list(size),
        "key_to_encoder": keys[0],
        "key_to_stem": keys[1],
        "keys_to_in_proj": keys[2],
        "key_to_lpe": keys[3],
    }


def _class_name(config: Config) -> str:
    """The name under which SSL3D builds this very network.

    Raises:
      InputError: it would build another one.
    """
    if isinstance(config, PrimusConfig):
        shape = (config.hidden_size, config.depth, config.heads)
        for name, size in _PRIMUS.items():
            if shape == size:
                return name
        raise InputError(
            "SSL3D builds primus_s, primus_b, primus_m and primus_l; this one has hidden_size, "
            f"depth and heads {shape}: export it with --to nnunet."
        )
    standard = ResEncConfig()
    shaping = ("features", "kernels", "strides", "blocks", "decoder_convs")
    other = [n for n in shaping if getattr(config, n) != getattr(standard, n)]
    if other:
        raise InputError(
            "SSL3D builds the ResEnc of six stages, kernels 3 and strides 2; this one has other "
            f"{', '.join(other)}: export it with --to nnunet."
        )
    return "ResEncL"

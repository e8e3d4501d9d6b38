"""Whole files: import a foreign one as a network, export a network, say what a file holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from flax import nnx

from fdif_jax.errors import InputError, lookup
from fdif_jax.interop import files, formats, state
from fdif_jax.interop.infer import Shape3, infer_config, original_names
from fdif_jax.models.registry import Config, Network, build, family_of
from fdif_jax.models.swin import Merging

Target = Literal["monai", "monai-swinvit", "nnunet", "ssl3d", "safetensors"]
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
_PRIMUS_NAMES = {396: "PrimusS", 792: "PrimusB", 864: "PrimusM", 1056: "PrimusL"}


def import_file(
    path: Path | str,
    *,
    image_size: Shape3 | None = None,
    merging: Merging = "merging",
) -> tuple[Network, list[str]]:
    """The network of a foreign weight file, in evaluation mode.

    Args:
      path: ``.safetensors``, or ``.pth`` where PyTorch is installed.
      image_size: of UNETR and Primus, where the file does not hold a cube.
      merging: of SwinUNETR; ``legacy`` for files from MONAI up to 1.4.

    Returns:
      the network, and the keys that the file does not hold and that started afresh: the decoder
      of self-supervised files.

    Raises:
      InputError: no weight file, none of our networks, or mismatches (all of them).
    """
    tensors = files.read_tensors(Path(path))
    names = original_names(tensors)
    config = infer_config(names, image_size=image_size, merging=merging)
    model = build(config, rngs=nnx.Rngs(0))
    encoder_only = family_of(config) == "swin_unetr" and not any(
        key.startswith(("encoder", "decoder", "out.")) for key in names
    )
    allow = (lambda key: not key.startswith("swinViT.")) if encoder_only else None
    missing = formats.load_state_dict(model, names, allow=allow)
    model.eval()
    return model, missing


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
    """Writes the network for another tool.

    Args:
      model: the network.
      path: the file; its suffix says ``.pth`` or ``.safetensors`` where both are possible.
      to: one of ``TARGETS``.
      task: which head of a multi-task network.
      spacing: millimetres per voxel that it was trained at; only for ``ssl3d``.
      patch: that it was trained on; only for ``ssl3d``.
      class_name: of the architecture, for ``ssl3d``; known for ResEnc and the sizes of Primus.

    Raises:
      InputError: a target that this network or this suffix does not go with.
      EnvironmentFault: a ``.pth`` without PyTorch.
    """
    path = Path(path)
    lookup(TARGETS, to, kind="export target")
    family = family_of(model.config)
    if family not in _FAMILIES[to]:
        raise InputError(f"--to {to} is for {', '.join(_FAMILIES[to])}; this network is {family}.")
    suffixes = {"monai": (".pth", ".safetensors"), "safetensors": (".safetensors",)}.get(
        to, (".pth",)
    )
    if path.suffix not in suffixes:
        raise InputError(f"--to {to} writes {' or '.join(suffixes)}, got {path.name}.")
    if task is None and len(formats.tasks_of(model)) > 1 and to == "monai-swinvit":
        task = formats.tasks_of(model)[0]  # the encoder is the same for all
    tensors = formats.to_state_dict(model, task)
    if path.suffix == ".safetensors":
        files.write_safetensors(path, tensors)
    elif to == "monai":
        files.write_pickle(path, tensors)
    elif to == "monai-swinvit":
        files.write_pickle(path, {"state_dict": formats.to_swinvit(tensors)})
    else:
        shared: dict[str, str] = {}
        if family == "resenc":
            _, shared = formats.with_aliases(tensors)
        content: dict[str, Any] = {"network_weights": tensors}
        if to == "ssl3d":
            content["nnssl_adaptation_plan"] = adaptation_plan(
                model.config, spacing=spacing, patch=patch, class_name=class_name
            )
        files.write_pickle(path, content, shared)


def adaptation_plan(
    config: Config,
    *,
    spacing: tuple[float, float, float],
    patch: Shape3 | None,
    class_name: str | None = None,
) -> dict[str, Any]:
    """What SSL3D asks for beside the weights, to fit them into another plan.

    Raises:
      InputError: no patch for a ResEnc, or a Primus of no known size without ``class_name``.
    """
    keys: tuple[str, str, list[str], str | None]
    family = family_of(config)
    size = patch or getattr(config, "image_size", None)
    if size is None:
        raise InputError("ssl3d needs the patch that the network was trained on.")
    if family == "primus":
        class_name = class_name or _PRIMUS_NAMES.get(config.hidden_size)  # type: ignore[union-attr]
        keys = ("eva", "down_projection", ["down_projection.proj"], "eva.pos_embed")
    else:
        class_name = class_name or "ResEncL"
        stem = "encoder.stem.convs.0"
        keys = ("encoder.stages", "encoder.stem", [f"{stem}.conv", f"{stem}.all_modules.0"], None)
    if class_name is None:
        raise InputError("this primus has none of the sizes S, B, M, L: pass its class name.")
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


def inspect_file(path: Path | str, *, image_size: Shape3 | None = None) -> list[str]:
    """What a weight file holds, line by line: tensors, network, options, what does not fit.

    Raises:
      InputError: not a weight file.
    """
    tensors = files.read_tensors(Path(path))
    total = sum(int(np.prod(a.shape)) for a in tensors.values())
    lines = [f"{Path(path).name}: {len(tensors)} tensors, {total:,} numbers"]
    names = original_names(tensors)
    try:
        config = infer_config(names, image_size=image_size)
    except InputError as error:
        return [*lines, f"network: unknown; {error}"]
    options = ", ".join(
        f"{field}={getattr(config, field)}"
        for field in config.__dataclass_fields__
        if field not in ("remat", "dtype")
    )
    lines += [f"network: {family_of(config)}", f"options: {options}"]
    model = nnx.eval_shape(lambda: build(config, rngs=nnx.Rngs(0)))
    form, entries = formats.format_of(model), formats.entries_of(model)
    problems = state.compare(model, entries, names, form.ignored)
    if not problems:
        return [*lines, "complete: every parameter is there with its shape, and nothing else"]
    return [*lines, f"{len(problems)} mismatches:", *(f"  {problem}" for problem in problems)]


def load_pretrained(model: Network, tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Foreign weights into ``model``; a head that does not fit keeps its fresh values.

    Returns:
      the keys of the head that were not taken, for the log.

    Raises:
      InputError: anything else that does not fit, all of it.
    """
    return formats.load_state_dict(
        model, original_names(tensors), allow=lambda key: formats.is_head(model, key)
    )

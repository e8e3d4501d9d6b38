"""What the tensors of a file do not say, from the person and from what stands beside them.

A state dict does not tell the patch and the heads of a transformer, nor the version of MONAI.
The person may; else the file may: SSL3D's adaptation plan and nnU-Net's checkpoints hold the
patch, and our own safetensors a record of all three.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fdif_jax.errors import InputError, lookup
from fdif_jax.interop.tensor_files import OURS
from fdif_jax.models.conv import Shape3
from fdif_jax.models.registry import Config, family_of
from fdif_jax.models.resenc_plan import resenc_config_from_plans
from fdif_jax.models.swin import Merging

MERGINGS: tuple[Merging, ...] = ("merging", "legacy", "mergingv2")
_MEANT_FOR = {
    "heads": ("unetr", "primus"),
    "merging": ("swin_unetr",),
    "plans": ("resenc",),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Hints:
    """What is known besides the tensors; None is unknown.

    Attributes:
      image_size: the patch that the network was trained on; fixes that of UNETR and Primus.
      heads: attention heads of UNETR and Primus.
      merging: of SwinUNETR.
      plans: a parsed nnU-Net ``plans.json``, for ResEnc.
    """

    image_size: Shape3 | None = None
    heads: int | None = None
    merging: Merging | None = None
    plans: Mapping[str, Any] | None = None


def check_given(hints: Hints, family: str) -> None:
    """Refuses what the person gave for another network, or out of range.

    Raises:
      InputError: naming the option and the networks that it is for.
    """
    for option, families in _MEANT_FOR.items():
        if getattr(hints, option) is not None and family not in families:
            raise InputError(
                f"--{option} is for {' and '.join(families)}; the file is of {family}: "
                "leave it out."
            )
    if hints.merging is not None:
        lookup(dict.fromkeys(MERGINGS), hints.merging, kind="merging")
    if hints.heads is not None and hints.heads < 1:
        raise InputError(f"--heads is {hints.heads}; allowed: 1 or more.")
    if hints.image_size is not None and min(hints.image_size) < 1:
        given = " ".join(map(str, hints.image_size))
        raise InputError(f"--grid_size is {given}; allowed: three numbers, 1 or more each.")


def completed(hints: Hints, beside: Mapping[str, Any]) -> Hints:
    """The person's hints; where they are silent, the file's own."""
    found = hints
    if hints.plans is not None and hints.image_size is None:
        found = dataclasses.replace(found, image_size=_planned_patch(hints.plans, "3d_fullres"))
    for other in (_from_our_record(beside), _from_adaptation(beside), _from_nnunet(beside)):
        known = {
            field.name: getattr(other, field.name)
            for field in dataclasses.fields(found)
            if getattr(found, field.name) is None
        }
        found = dataclasses.replace(found, **known)
    return found


def record_of(config: Config) -> dict[str, Any]:
    """What our own files say beside the tensors; read back by ``completed``."""
    fields = {
        "unetr": ("image_size", "heads"),
        "primus": ("image_size", "heads"),
        "swin_unetr": ("merging",),
    }
    return {name: getattr(config, name) for name in fields.get(family_of(config), ())}


def read_plans(path: Path | str) -> dict[str, Any]:
    """A parsed ``plans.json``.

    Raises:
      InputError: no such file, or not nnU-Net's plans.
    """
    path = Path(path)
    try:
        plans = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}); give nnU-Net's plans.json.") from None
    if not isinstance(plans, dict) or not isinstance(plans.get("configurations"), dict):
        raise InputError(f"{path} holds no configurations; give nnU-Net's plans.json.")
    return plans


def config_of_plans(plans: Mapping[str, Any], *, in_channels: int, out_channels: int) -> Config:
    """The ResEnc that plans describe.

    Raises:
      InputError: another architecture, or damaged plans.
    """
    try:
        return resenc_config_from_plans(plans, in_channels=in_channels, out_channels=out_channels)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the plans are damaged ({type(error).__name__}: {error}); "
            "give the plans.json that nnU-Net wrote."
        ) from None


def patch_of_plans(plans: Mapping[str, Any], configuration: str = "3d_fullres") -> Shape3:
    """The patch that nnU-Net planned, voxels.

    Raises:
      InputError: the configuration has none.
    """
    patch = _planned_patch(plans, configuration)
    if patch is None:
        raise InputError(
            f"the plans name no patch of three sizes for {configuration}; "
            "give the plans.json that nnU-Net wrote."
        )
    return patch


class _Found(NamedTuple):
    image_size: Shape3 | None = None
    heads: int | None = None
    merging: Merging | None = None
    plans: None = None


def _from_our_record(beside: Mapping[str, Any]) -> _Found:
    record = _mapping(beside.get(OURS))
    heads, merging = record.get("heads"), record.get("merging")
    return _Found(
        _shape(record.get("image_size")),
        heads if type(heads) is int and heads > 0 else None,
        merging if merging in MERGINGS else None,
    )


def _from_adaptation(beside: Mapping[str, Any]) -> _Found:
    plan = _mapping(beside.get("nnssl_adaptation_plan"))
    trained = _mapping(_mapping(plan.get("pretrain_plan")).get("configurations"))
    first = next(iter(trained.values()), None)
    return _Found(
        _shape(plan.get("pretrain_patch_size")) or _shape(_mapping(first).get("patch_size"))
    )


def _from_nnunet(beside: Mapping[str, Any]) -> _Found:
    arguments = _mapping(beside.get("init_args"))
    return _Found(_planned_patch(arguments.get("plans"), arguments.get("configuration")))


def _planned_patch(plans: Any, configuration: Any) -> Shape3 | None:
    configurations = _mapping(_mapping(plans).get("configurations"))
    if not isinstance(configuration, str):
        return None
    return _shape(_mapping(configurations.get(configuration)).get("patch_size"))


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _shape(value: Any) -> Shape3 | None:
    if not isinstance(value, list | tuple) or len(value) != 3:
        return None
    if not all(type(n) is int and n > 0 for n in value):
        return None
    return (value[0], value[1], value[2])

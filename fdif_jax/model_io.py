"""Model folders: ``config.json`` beside orbax weights; loading for another task, input or patch.

model_best/
config.json   network and its options, patch, intensities, class names, provenance
weights/      orbax: one array per parameter and running statistic, by its path

A folder is whole at every moment, also when saving is killed. A new one gets its name at the end.
In one that is replaced, the new weights stand beside the old ones (``weights`` and ``weights.next``
take turns), and replacing the file config.json, which names the valid ones, is the whole switch.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from flax import nnx

from fdif_jax.errors import InputError
from fdif_jax.faults import one_fault
from fdif_jax.model_weights import (
    adapt,
    check_shapes,
    is_head,
    set_weights,
    shapes_of,
    weights_of,
)
from fdif_jax.models.heads import ClassifierConfig
from fdif_jax.models.registry import (
    AnyConfig,
    AnyNetwork,
    abstract_network,
    config_from,
    to_record,
    without_weights,
)

__all__ = [
    "ModelInfo",
    "adapt",
    "check_folder",
    "is_head",
    "load_info",
    "load_model",
    "model_folder",
    "refuse_classifier",
    "refuse_run_folder",
    "save_model",
    "set_weights",
    "weights_of",
]

FORMAT = 1
_CONFIG = "config.json"
_WEIGHTS = ("weights", "weights.next")


@dataclasses.dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model folder says besides the weights.

    Attributes:
      config: of the network.
      patch: voxels per axis that it was trained on, if any.
      intensities: how images were scaled, e.g. ``{"kind": "ct", "window": [-175, 250]}``.
      class_names: by output channel, or by task.
      provenance: where the weights come from: file, command, data, versions.
    """

    config: AnyConfig
    patch: tuple[int, int, int] | None = None
    intensities: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    class_names: Any = None
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def save_model(path: Path | str, model: AnyNetwork, info: ModelInfo | None = None) -> None:
    """Writes a model folder, complete or not at all; an existing one is replaced.

    One process may save into a folder at a time.

    Args:
      path: the folder.
      model: the network; its own config is written, whatever ``info`` holds.
      info: the rest of config.json.

    Raises:
      InputError: the path exists and is no model folder.
      EnvironmentFault: the place is not writable, the disk is full, …
    """
    path = Path(path)
    check_free(path, overwrite=True)
    values = _to_json(model.config, info or ModelInfo(model.config))
    json.dumps(values, allow_nan=False)  # what cannot be written fails before anything is
    with one_fault(f"{path} cannot be written", "; choose another place."):
        if (path / _CONFIG).is_file():
            _replace(path, model, values)
        else:
            _create(path, model, values)


def check_free(path: Path | str, *, overwrite: bool) -> None:
    """Refuses a path that a model folder must not be written to; touches nothing.

    Raises:
      InputError: it exists and is no model folder; or is one, and ``overwrite`` is off.
    """
    path = Path(path)
    if (path / _CONFIG).is_file():
        if not overwrite:
            raise InputError(f"{path} exists; choose another name, or pass --overwrite.")
    elif path.exists():
        raise InputError(f"{path} exists and is not a model folder; choose another name.")


def load_info(path: Path | str) -> ModelInfo:
    """What config.json says.

    Raises:
      InputError: not a model folder, a damaged one, or one of a later format.
    """
    return _read_info(model_folder(path) / _CONFIG)[0]


def load_model(
    path: Path | str,
    *,
    out_channels: int | Mapping[str, int] | None = None,
    in_channels: int | None = None,
    image_size: tuple[int, int, int] | None = None,
    rngs: nnx.Rngs | None = None,
) -> AnyNetwork:
    """The network or classifier of a model folder, in evaluation mode; adapted where asked for.

    Args:
      path: the folder; a ``.pth`` behind its name is ignored.
      out_channels: another head; see ``adapt``, as for the two that follow.
      in_channels: another number of image channels.
      image_size: another patch.
      rngs: for a fresh head.

    Raises:
      InputError: not a model folder, or weights that do not fit their config, with the full list
        of mismatches.
    """
    folder = model_folder(path)
    info, weights = _checked(folder)
    model = without_weights(info.config)
    set_weights(model, _restore(weights))
    model, _ = adapt(
        model, out_channels=out_channels, in_channels=in_channels, image_size=image_size, rngs=rngs
    )
    model.eval()
    return model


def refuse_classifier(path: Path | str, info: ModelInfo, doing: str) -> None:
    """Refuses the model folder of a classifier where labels of voxels are needed.

    Args:
      path: the folder.
      info: what ``load_info`` gave.
      doing: what for, e.g. ``fdif export writes``.

    Raises:
      InputError: it is one.
    """
    if isinstance(info.config, ClassifierConfig):
        raise InputError(f"{path} is a classifier; {doing} segmentation networks: give one.")


def check_folder(path: Path | str) -> ModelInfo:
    """What config.json says, after a look at whether the weights are there and fit it.

    Raises:
      InputError: as ``load_model``.
    """
    return _checked(model_folder(path))[0]


def model_folder(path: Path | str) -> Path:
    """The folder that ``path`` means.

    Raises:
      InputError: there is no model folder, or it is the folder of a run, which holds some.
    """
    path = Path(path)
    refuse_run_folder(path)
    for candidate in (path, path.with_suffix("") if path.suffix == ".pth" else path):
        if (candidate / _CONFIG).is_file():
            return candidate
    raise InputError(f"{path}: not a model folder (no {_CONFIG} in it).")


def refuse_run_folder(path: Path) -> None:
    """Refuses the folder of a training run, which also has a config.json.

    Raises:
      InputError: naming the model folder in it.
    """
    best = path / "model_best"
    if (best / _CONFIG).is_file():
        raise InputError(f"{path} is the folder of a run; give {best}.")


def _create(path: Path, model: AnyNetwork, values: Mapping[str, Any]) -> None:
    for left in path.parent.glob(f".{path.name}.*.tmp"):  # of a save that was killed
        shutil.rmtree(left, ignore_errors=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        partial.mkdir(parents=True)
        _write(partial, _WEIGHTS[0], model, values)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace(path: Path, model: AnyNetwork, values: Mapping[str, Any]) -> None:
    valid = _valid_weights(path)
    name = _WEIGHTS[0] if valid != _WEIGHTS[0] else _WEIGHTS[1]
    for left in path.glob(f"{name}*"):  # of a save that was killed
        if left.name != valid:
            shutil.rmtree(left, ignore_errors=True)
    try:
        _write(path, name, model, values)
    finally:
        for stale in {name, valid} - {_valid_weights(path)}:
            shutil.rmtree(path / stale, ignore_errors=True)


def _valid_weights(path: Path) -> str:
    try:
        return _read_info(path / _CONFIG)[1]
    except InputError:  # damaged: whatever it meant, the next save replaces it
        return _WEIGHTS[1]


def _write(folder: Path, name: str, model: AnyNetwork, values: Mapping[str, Any]) -> None:
    with _checkpointer() as writer:
        writer.save((folder / name).absolute(), jax.device_get(weights_of(model)))
    temporary = folder / f".{_CONFIG}.tmp"
    temporary.write_text(json.dumps({**values, "weights": name}, indent=2) + "\n")
    temporary.replace(folder / _CONFIG)


def _checkpointer() -> ocp.StandardCheckpointer:
    """Reads and writes in this process alone: in a job of several, orbax would wait for all."""
    own = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"model{own}"
    )
    alone = jax.process_count() == 1
    return ocp.StandardCheckpointer(**({} if alone else {"multiprocessing_options": options}))


def _read_info(file: Path) -> tuple[ModelInfo, str]:
    """The info, and the name of the valid weights."""
    try:
        values = json.loads(file.read_text())
        network = values["network"]
        if values["format"] > FORMAT:
            raise InputError(
                f"{file}: format {values['format']} is newer than this program's "
                f"{FORMAT}; update fdif-jax."
            )
        config = config_from(network["family"], network["options"])
        hash(config)
        patch = values.get("patch")
        if patch is not None:
            patch = tuple(int(n) for n in patch)
            if len(patch) != 3 or min(patch) < 1:
                raise ValueError(f"patch {patch}")
        info = ModelInfo(
            config,
            patch,
            dict(values.get("intensities") or {}),
            values.get("class_names"),
            dict(values.get("provenance") or {}),
        )
        weights = values.get("weights", _WEIGHTS[0])
        if weights not in _WEIGHTS:
            raise ValueError(f"weights {weights!r}")
    except InputError as error:
        raise InputError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{file}: not the config of a model folder, or damaged ({error!r}); "
            "save or import the model again."
        ) from None
    return info, weights


def _checked(folder: Path) -> tuple[ModelInfo, Path]:
    """The info and the weights' folder, once their names and shapes are those of the config."""
    info, name = _read_info(folder / _CONFIG)
    try:
        wanted = shapes_of(abstract_network(info.config))
    except InputError:
        raise
    except Exception as error:  # a person may have edited the options into anything
        raise InputError(
            f"{folder / _CONFIG}: no network can be built of these options ({error}); "
            "save or import the model again."
        ) from None
    with _readable(folder / name), _checkpointer() as reader:
        found = _tree(reader, folder / name)
        given = {path: tuple(m.shape) for path, m in found.items()}
    check_shapes(given, wanted, f"{folder}: ")
    return info, folder / name


def _restore(path: Path) -> dict[str, Any]:
    with _readable(path), _checkpointer() as reader:
        found = _tree(reader, path)
        shapes = {name: jax.ShapeDtypeStruct(m.shape, m.dtype) for name, m in found.items()}
        return reader.restore(path.absolute(), shapes)


def _tree(reader: ocp.StandardCheckpointer, path: Path) -> Mapping[str, Any]:
    found = reader.metadata(path.absolute()).item_metadata
    if found is None:
        raise ValueError("files are missing or cut off")
    return found.tree


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever orbax makes of files that are missing or damaged, as one error."""
    try:
        yield
    except (ValueError, OSError, KeyError, AttributeError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: the weights cannot be read, the folder is incomplete or damaged "
            f"({reason}); save or import the model again."
        ) from None


def _to_json(config: AnyConfig, info: ModelInfo) -> dict[str, Any]:
    packages = ("fdif-jax", "jax", "flax")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "format": FORMAT,
        "network": to_record(config),
        "patch": info.patch,
        "intensities": dict(info.intensities),
        "class_names": info.class_names,
        "provenance": {"versions": versions} | dict(info.provenance),
    }

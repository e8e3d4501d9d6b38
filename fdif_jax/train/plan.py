"""From a config to everything that is known before anything is compiled or written."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from fdif_jax.data.cache import Volumes, default_folder
from fdif_jax.data.datalist import DataList, read_datalist
from fdif_jax.data.intensities import Intensity, choose
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.data.survey import check_datalist, lowest_voxel
from fdif_jax.errors import InputError
from fdif_jax.models.registry import Config
from fdif_jax.synth.plugins import load_catalog
from fdif_jax.synth.recipe import Recipe as Generator
from fdif_jax.synth.recipes import make_recipe
from fdif_jax.train.config import (
    DEFAULT_OUT_CHANNEL,
    MAX_CLASSES,
    Kind,
    RunOptions,
    TrainConfig,
)
from fdif_jax.train.network import network_config


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run whose options fit each other and the data.

    Attributes:
      config: the options.
      network: what to train.
      tasks: names in the order of the labels' last axis; empty for a single task.
      channels: classes and background, one number for each task.
      class_names: by id, or by task; may be empty.
      preprocessing: what predictions must repeat.
      datalist: the files; or
      generator: of the volumes on the fly.
      volumes: prepares the files.
      notes: what a person should know before it starts.
    """

    config: TrainConfig
    network: Config
    tasks: tuple[str, ...]
    channels: tuple[int, ...]
    class_names: Mapping[Any, Any]
    preprocessing: Preprocessing
    datalist: DataList | None
    generator: Generator | None
    volumes: Volumes | None
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What the run folder is called after."""
        if self.config.pretrained_model is not None:
            return "fine_tuning"
        synthetic = self.datalist is None or self.datalist.synthetic
        return "pretraining" if synthetic else "training_from_scratch"


def make_plan(config: TrainConfig, options: RunOptions) -> Plan:
    """Checks the options against the data and the network.

    Raises:
      InputError: whatever does not fit; nothing was written or compiled.
    """
    if config.generation is not None:
        return _on_the_fly(config, options)
    assert config.data is not None
    datalist = read_datalist(Path(config.data))
    if not datalist.training:
        raise InputError(f"{datalist.path} lists no training cases; give it some.")
    names = dict(datalist.tasks) if config.multi_task else dict(datalist.labels)
    channels = _channels(config, datalist)
    tasks = tuple(datalist.tasks) if config.multi_task else ()
    network = network_config(config, _outputs(tasks, channels), _devices(options))
    survey = check_datalist(datalist, channels=config.in_channels)
    intensity = choose(config.intensity, datalist, lambda: lowest_voxel(datalist.training))
    spacing = config.spacing if config.resample else None
    preprocessing = Preprocessing(intensity, spacing, pad_to=config.patch)
    folder = _cache_folder(options) if config.resample else None
    return Plan(
        config=config,
        network=network,
        tasks=tasks,
        channels=channels,
        class_names=names,
        preprocessing=preprocessing,
        datalist=datalist,
        generator=None,
        volumes=Volumes(preprocessing, channels, folder, config.in_channels),
        notes=(*_notes(config, datalist), *survey.notes),
    )


def _on_the_fly(config: TrainConfig, options: RunOptions) -> Plan:
    assert config.generation is not None
    catalog, _ = load_catalog(config.generation.plugin)
    generator = make_recipe(config.generation, config.seed, catalog)
    classes = generator.classes
    if bool(classes.tasks) != config.multi_task:
        raise InputError(_task_message("the generation", tuple(classes.tasks)))
    tasks = tuple(classes.tasks)
    if tasks:
        channels = tuple(len(ids) for ids in classes.tasks.values())
        names: Mapping[Any, Any] = {
            task: {i: name for name, i in ids.items()} for task, ids in classes.tasks.items()
        }
    else:
        channels, names = (classes.out_channel,), classes.labels
        _refuse_contradiction(config, "the generation", classes.out_channel)
    return Plan(
        config=config,
        network=network_config(config, _outputs(tasks, channels), _devices(options)),
        tasks=tasks,
        channels=channels,
        class_names=names,
        preprocessing=Preprocessing(Intensity("ct"), pad_to=config.patch),
        datalist=None,
        generator=generator,
        volumes=None,
        notes=("volumes are rendered on the fly: no epoch, no two crops alike",),
    )


def _channels(config: TrainConfig, datalist: DataList) -> tuple[int, ...]:
    if bool(datalist.tasks) != config.multi_task:
        raise InputError(_task_message(str(datalist.path), tuple(datalist.tasks)))
    if datalist.tasks:
        if config.out_channel is not None:
            raise InputError(
                f"out_channel is {config.out_channel}, but --multi_task takes the classes of each "
                f"task from {datalist.path}; leave --out_channel out."
            )
        found = tuple(max(names, default=0) + 1 for names in datalist.tasks.values())
    else:
        _refuse_contradiction(config, str(datalist.path), datalist.out_channel)
        found = (datalist.out_channel or config.out_channel or DEFAULT_OUT_CHANNEL,)
    if not all(2 <= n <= MAX_CLASSES for n in found):
        raise InputError(
            f"{datalist.path} declares {' and '.join(map(str, found))} classes with background; "
            f"training takes 2 to {MAX_CLASSES}: correct its labels."
        )
    return found


def _outputs(tasks: tuple[str, ...], channels: tuple[int, ...]) -> int | dict[str, int]:
    return dict(zip(tasks, channels, strict=True)) if tasks else channels[0]


def _refuse_contradiction(config: TrainConfig, where: str, recorded: int | None) -> None:
    if recorded is not None and config.out_channel not in (None, recorded):
        raise InputError(
            f"out_channel is {config.out_channel}, but {where} has {recorded} (classes and "
            "background); leave --out_channel out, or give other data."
        )


def _task_message(where: str, tasks: tuple[str, ...]) -> str:
    if tasks:
        return f"{where} has the tasks {', '.join(tasks)}; add --multi_task."
    return f"{where} has no tasks; leave --multi_task out."


def _devices(options: RunOptions) -> int:
    return options.devices or jax.device_count()


def _cache_folder(options: RunOptions) -> Path | None:
    if options.cache_dir == "none":
        return None
    return default_folder() if options.cache_dir is None else Path(options.cache_dir)


def _notes(config: TrainConfig, datalist: DataList) -> tuple[str, ...]:
    notes = []
    if not datalist.tasks and datalist.out_channel is None and config.out_channel is None:
        notes.append(
            f"{datalist.path} names no classes: {DEFAULT_OUT_CHANNEL} outputs are assumed; "
            "--out_channel gives another number"
        )
    if not datalist.validation:
        notes.append(
            f"{datalist.path} lists no validation cases: nothing is validated, and the last model "
            "is kept as the best"
        )
    if not datalist.synthetic and not config.resample:
        notes.append(
            "without --is_real_data volumes keep their spacing and are prepared again for each crop"
        )
    return tuple(notes)

"""Configurations, presets, recipes and networks, from the code that defines them."""

import dataclasses
import inspect
import re
import types
from typing import Any, Literal, get_args, get_origin

from fdif_jax.models import registry
from pipe_tables import code, table

from fdif_jax.classification import ClassificationConfig
from fdif_jax.cli.models import model_records
from fdif_jax.config import PRESETS, GenerateConfig
from fdif_jax.train.class_config import ClassifyConfig
from fdif_jax.train.config import RunOptions, TrainConfig
from fdif_jax.train.recipes import RECIPES

_TIMES = "\N{NO-BREAK SPACE}x\N{NO-BREAK SPACE}"
_ENTRY = re.compile(r"^  (\w+): (.*(?:\n    .*)*)", re.MULTILINE)


def presets() -> str:
    """Every field, side by side."""
    rows = [
        [code(field.name), *(_value(getattr(preset, field.name)) for preset in PRESETS.values())]
        for field in dataclasses.fields(GenerateConfig)
    ]
    return table(("field", *PRESETS), rows)


def recipes() -> str:
    """The options of each."""
    rows = [
        (code(name), code(f"--{option}"), _value(value))
        for name, recipe in RECIPES.items()
        for option, value in recipe.items()
    ]
    return table(("recipe", "option", "value"), rows)


def networks() -> str:
    """What `fdif list models` shows, and the patch where none is given."""
    sizes = {preset.name: preset.image_size for preset in registry.PRESETS}
    rows = [
        (
            code(record["name"]),
            f"{record['parameters']:,}",
            _TIMES.join(map(str, sizes[record["name"]])),
            record["input_sizes"],
            record["step_gib"],
            record["step_gib_remat"],
        )
        for record in model_records()
    ]
    head = ("name", "parameters", "patch", "sizes it takes", "GiB a step", "with remat")
    return table(head, rows)


def network_options() -> str:
    """The fields of each family's config."""
    families = {preset.family: type(preset.config) for preset in reversed(registry.PRESETS)}
    parts = [f"### {family}\n\n{fields(config)}" for family, config in families.items()]
    return "\n".join(reversed(parts))


def generate_config() -> str:
    """Of `fdif generate`."""
    return fields(GenerateConfig)


def classification_config() -> str:
    """Of `fdif generate-classification`."""
    return fields(ClassificationConfig)


def train_config() -> str:
    """Of `fdif train`."""
    return fields(TrainConfig)


def classify_config() -> str:
    """Of `fdif train-classifier`; what it leaves out it shares with TrainConfig."""
    return fields(ClassifyConfig, meanings(TrainConfig))


def run_options() -> str:
    """How a run is carried out."""
    return fields(RunOptions)


def fields(config: type, more: dict[str, str] | None = None) -> str:
    """The fields of a frozen dataclass: name, type, default, and what its docstring says.

    Raises:
      KeyError: the docstring leaves a field out.
    """
    said = (more or {}) | meanings(config)
    rows = [
        (code(field.name), code(_type(field.type)), _default(field), said[field.name])
        for field in dataclasses.fields(config)
    ]
    return table(("field", "type", "default", "meaning"), rows)


def meanings(config: type) -> dict[str, str]:
    """Field to text, from a google docstring; double backticks become Markdown's single ones."""
    text = inspect.getdoc(config) or ""
    body = text.partition("Raises:")[0]
    return {
        name: " ".join(words.split()).replace("``", "`") for name, words in _ENTRY.findall(body)
    }


def _default(field: dataclasses.Field) -> str:
    return "(to be given)" if field.default is dataclasses.MISSING else _value(field.default)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return " ".join(map(_value, value))
    return code(value)


def _type(kind: Any) -> str:
    """As a person would write it."""
    if get_origin(kind) is Literal:
        return ", ".join(map(repr, get_args(kind)))
    if isinstance(kind, types.UnionType):
        return " or ".join(_type(part) for part in get_args(kind))
    if kind is types.NoneType:
        return "None"
    if get_origin(kind) is tuple:
        return f"tuple[{', '.join('…' if p is ... else _type(p) for p in get_args(kind))}]"
    return kind.__name__ if isinstance(kind, type) else str(kind).rpartition(".")[2]

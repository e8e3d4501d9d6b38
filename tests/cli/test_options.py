"""Several values after one option, both spellings, presets."""

import shlex

import click
import pytest
from click.testing import CliRunner

from fdif_jax.cli import underscored
from fdif_jax.cli.options import Several, SeveralCommand, config_from, generation_options
from fdif_jax.config import PAPER, SMALL
from fdif_jax.errors import InputError
from fdif_jax.io.continuing import generate_command
from fdif_jax.io.manifest import Classes, Generation


@click.command(cls=SeveralCommand, context_settings={"token_normalize_func": underscored})
@click.option("--names", cls=Several, multiple=True)
@click.option("--other_names", cls=Several, multiple=True)
@click.option("--size", type=int)
@click.option("--flag", is_flag=True)
@click.argument("rest", nargs=-1)
def program(names, other_names, size, flag, rest):
    click.echo(repr((names, other_names, size, flag, rest)))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("", ((), (), None, False, ())),
        ("--names a", (("a",), (), None, False, ())),
        ("--names a b c", (("a", "b", "c"), (), None, False, ())),
        ("--names a b --size 3", (("a", "b"), (), 3, False, ())),
        ("--size 3 --names a b", (("a", "b"), (), 3, False, ())),
        ("--names a b --flag", (("a", "b"), (), None, True, ())),
        ("--names a --names b", (("a", "b"), (), None, False, ())),
        ("--names=a b --flag", (("a", "b"), (), None, True, ())),
        ("--names a --other_names b c", (("a",), ("b", "c"), None, False, ())),
        ("--names a --other-names b c", (("a",), ("b", "c"), None, False, ())),
        ("--other-names=b c", ((), ("b", "c"), None, False, ())),
        ("--names -1 -.5 a", (("-1", "-.5", "a"), (), None, False, ())),
        ("--names - a", (("-", "a"), (), None, False, ())),
        ("--names a -- x y", (("a",), (), None, False, ("x", "y"))),
        ("x --names a b", (("a", "b"), (), None, False, ("x",))),
    ],
)
def test_several_values(args, expected):
    result = CliRunner().invoke(program, args.split())
    assert result.output == repr(expected) + "\n"


@pytest.mark.parametrize("args", ["--names", "--names --size 3", "--size 3 --other-names"])
def test_an_option_without_values_is_refused(args):
    result = CliRunner().invoke(program, args.split())
    assert result.exit_code == 2
    assert "needs at least one value" in result.output


def config(args: str):
    found = []

    @click.command(cls=SeveralCommand, context_settings={"token_normalize_func": underscored})
    @generation_options
    def catch(**options):
        found.append(config_from(options))

    result = CliRunner().invoke(catch, args.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def test_the_presets_are_the_configurations():
    assert config("") == SMALL
    assert config("--preset small") == SMALL
    assert config("--preset paper") == PAPER


@pytest.mark.parametrize(
    ("args", "field", "value"),
    [
        ("--D 10 --W 12", "grid", (10, 64, 12)),
        ("--preset paper --H 32", "grid", (96, 32, 96)),
        ("--num-samples 7", "num_samples", 7),
        ("--num_val_samples 7", "num_val_samples", 7),
        ("--no-transform", "transform", False),
        ("--no_transform", "transform", False),
        ("--multi_task", "multi_task", True),
        ("--mapper-as-augmentation", "mapper_as_augmentation", True),
        ("--preset paper --no_mapper_as_augmentation", "mapper_as_augmentation", False),
        ("--nnunet_format", "layout", "nnunet"),
        ("--primitives all", "primitives", ("all",)),
        ("--sdf_mappers modular_5 modular_10", "sdf_mappers", ("modular_5", "modular_10")),
        ("--preset paper --categories basic", "num_classes", None),
        ("--preset paper --categories basic --num_classes 3", "num_classes", 3),
        ("--preset paper --primitives sphere", "sdf_mappers", PAPER.sdf_mappers),
    ],
)
def test_options_override_the_preset(args, field, value):
    assert getattr(config(args), field) == value


@pytest.mark.parametrize(
    "args",
    [
        "",
        "--preset paper --no-transform",
        "--D 9 --nnunet_format --dataset_id 4 --dataset_name a-b --num_val_samples 3",
        "--categories basic revolution --multi_task --num_combined_unions 2",
        "--primitives sphere cone --num_classes 1 --displacement_functions ridge",
    ],
)
def test_the_command_that_goes_on_gives_the_same_configuration(args, tmp_path):
    original = config(args)
    made = Generation(original, 5, Classes({}, 0, {}, "uint8"))
    words = shlex.split(generate_command(made, tmp_path))
    assert words[:6] == ["fdif", "generate", "--out_dir", str(tmp_path), "--seed", "5"]
    assert config(shlex.join(words[4:])) == original


def test_a_bad_number_is_an_input_error():
    with pytest.raises(InputError, match="num_samples is 0"):
        config("--num_samples 0")

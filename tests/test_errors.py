"""Errors name what was given, what is allowed and the nearest name."""

import pytest

from fdif_jax.errors import EnvironmentFault, FdifError, InputError, lookup, nearest

SHAPES = {"sphere": 1, "cylinder": 2, "Torus": 3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [("shpere", "sphere"), ("CYLINDER", "cylinder"), ("torrus", "Torus"), ("qqqqq", None)],
)
def test_nearest_ignores_case_and_gives_up_on_nothing_like_it(given, expected):
    assert nearest(given, SHAPES) == expected


def test_lookup_gives_what_the_name_stands_for():
    assert lookup(SHAPES, "cylinder", kind="shape") == 2


def test_lookup_names_the_nearest():
    with pytest.raises(InputError, match=r"unknown shape 'sfere'; did you mean 'sphere'\? See x"):
        lookup(SHAPES, "sfere", kind="shape", remedy="See x.")


def test_lookup_lists_a_short_table_and_counts_a_long_one():
    with pytest.raises(InputError, match=r"unknown shape 'q'; allowed: sphere, cylinder, Torus\."):
        lookup(SHAPES, "q", kind="shape")
    long = {f"name{i}": i for i in range(13)}
    with pytest.raises(InputError, match=r"unknown shape 'q'; there are 13\."):
        lookup(long, "q", kind="shape")


def test_errors_can_be_caught_as_what_python_calls_them():
    assert issubclass(InputError, (FdifError, ValueError))
    assert issubclass(InputError, ValueError)
    assert issubclass(EnvironmentFault, FdifError)
    assert issubclass(EnvironmentFault, OSError)

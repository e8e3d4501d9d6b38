"""Running ``fdif`` and what a refusal looks like."""

from click.testing import CliRunner

from fdif_jax.cli import cli


def fdif(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def done(*words):
    result = fdif(*words)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words, says=(), writes=None):
    """Exit code 2, one line behind ``Error:``, no traceback, and nothing at ``writes``."""
    result = fdif(*words)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    lines = result.output.splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    assert lines[0][-1] in ".?)", lines[0]
    for part in says:
        assert part in lines[0], lines[0]
    if writes is not None:
        assert not writes.exists()
        assert not [p for p in writes.parent.glob("*") if writes.name in p.name], "a rest"
    return lines[0]

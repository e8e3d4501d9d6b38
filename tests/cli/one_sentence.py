"""How a foreseen error must look."""


def assert_one_sentence(result, *parts):
    """Exit code 2, one line behind ``Error:``, no traceback."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    lines = result.output.splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    assert lines[0][-1] in ".?)", lines[0]
    assert "Traceback" not in result.output
    for part in parts:
        assert part in lines[0], lines[0]

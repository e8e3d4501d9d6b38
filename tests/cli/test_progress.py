"""The bar: lines in a file, nothing when quiet."""

import re
import time

from fdif_jax.cli.progress import Bar


def test_a_log_gets_lines_with_speed_time_left_and_note(capsys, monkeypatch):
    monkeypatch.setattr("fdif_jax.cli.progress.LOG_EVERY_S", 0.0)
    with Bar(unit="update") as bar:
        bar(100, 200)
        for done in range(101, 104):
            time.sleep(0.01)
            bar(done, 200, "loss 0.83, Dice 0.71" if done == 102 else "")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("100 of 200 updates")
    assert any("loss 0.83" in line for line in lines[:-1])
    last = r"103 of 200 updates, +[\d.]+update/s, 00:00 done, 00:0\d left, loss 0.83, Dice 0.71"
    assert re.fullmatch(last, lines[-1])


def test_a_log_gets_a_line_only_now_and_then(capsys):
    with Bar() as bar:
        for done in range(1000):
            bar(done, 1000)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_quiet(capsys):
    with Bar(quiet=True) as bar:
        bar(1, 2, "note")
    assert capsys.readouterr().err == ""

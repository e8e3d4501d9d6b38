"""The log of a run: goes on after a kill, tells a full disk in one sentence."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fdif_jax.errors import EnvironmentFault
from fdif_jax.io import metrics
from fdif_jax.train.log import RunLog, Validation

FOUND = Validation(0.81, {"anterior": 0.8, "posterior": float("nan")}, 40, 12.3)
FULL = Path("/dev/full")
NUMBERS = {"loss": 1.23, "dice_loss": 0.8, "ce": 0.43, "learning_rate": 1e-4}


def updates(out_dir) -> list[int]:
    return [row["update"] for row in metrics.read(out_dir / metrics.FILE)]


def text(out_dir) -> str:
    return (out_dir / "training_log.txt").read_text()


def test_lines_for_programs_and_for_a_person(tmp_path):
    with RunLog.open(tmp_path / "run") as log:
        log.say("4 training volumes, no validation list")
        log.training(120, NUMBERS)
        log.validation(500, FOUND)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert rows[0] == {"update": 120} | NUMBERS
    assert rows[1] == {
        "update": 500,
        "validation": {
            "dice": 0.81,
            "by_class": {"anterior": 0.8, "posterior": None},
            "cases": 40,
            "seconds": 12.3,
        },
    }
    lines = text(tmp_path / "run").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \w", line) for line in lines)
    assert "no validation list" in lines[0]
    assert "update 120: loss 1.23, dice loss 0.8, ce 0.43, learning rate 0.0001" in lines[1]
    assert "update 500: Dice 0.8100, anterior 0.8000, posterior nan (40 cases" in lines[2]


def test_many_classes_stay_out_of_the_text(tmp_path):
    with RunLog.open(tmp_path) as log:
        log.validation(1, FOUND._replace(by_class={f"class{i}": 0.5 for i in range(109)}))
    assert "class7" not in text(tmp_path)
    assert len(metrics.read(tmp_path / metrics.FILE)[0]["validation"]["by_class"]) == 109


def test_a_resumed_run_forgets_what_it_will_measure_again(tmp_path):
    with RunLog.open(tmp_path) as log:
        for update in (10, 20, 30, 40):
            log.training(update, NUMBERS)
    with RunLog.open(tmp_path, resume_update=20) as log:
        log.training(30, NUMBERS)
    assert updates(tmp_path) == [10, 20, 30]
    assert "update 40" in text(tmp_path)
    assert "resumed after update 20" in text(tmp_path)
    RunLog.open(tmp_path).close()
    assert updates(tmp_path) == []


def test_a_line_that_a_kill_cut_is_no_line(tmp_path):
    with RunLog.open(tmp_path) as log:
        log.training(10, NUMBERS)
    for name in (metrics.FILE, "training_log.txt"):
        with (tmp_path / name).open("a") as file:
            file.write('{"update": 1')
    assert updates(tmp_path) == [10]
    with RunLog.open(tmp_path, resume_update=10) as log:
        log.training(20, NUMBERS)
    assert updates(tmp_path) == [10, 20]
    assert len((tmp_path / metrics.FILE).read_text().splitlines()) == 2
    assert '{"update": 1\n' in text(tmp_path)


def test_a_kill_loses_no_line(tmp_path):
    code = (
        "import os, pathlib, signal, sys\n"
        "from fdif_jax.train.log import RunLog\n"
        "log = RunLog.open(pathlib.Path(sys.argv[1]))\n"
        "log.training(7, {'loss': 1.0})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert updates(tmp_path) == [7]
    assert "update 7: loss 1" in text(tmp_path)


def test_only_the_first_process_writes(tmp_path):
    with RunLog.open(tmp_path / "run", tensorboard=True, enabled=False) as log:
        log.say("hello")
        log.training(1, NUMBERS)
        log.validation(1, FOUND)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_sentence(tmp_path):
    (tmp_path / "training_log.txt").symlink_to(FULL)
    with RunLog.open(tmp_path) as log, pytest.raises(EnvironmentFault, match="make room") as told:
        log.training(1, NUMBERS)
    assert "training_log.txt" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="choose another --out_dir"):
        RunLog.open(tmp_path / "file")


def events(folder) -> list[tuple[str, int]]:
    """(tag, step) of all scalars, and ("purge", step) where a writer began."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            if event.HasField("session_log"):
                found.append(("purge", event.step))
            found += [(value.tag, event.step) for value in event.summary.value]
    return found


def test_tensorboard_shows_the_same_numbers_and_hides_forgotten_ones(tmp_path, capfd):
    with RunLog.open(tmp_path, tensorboard=True) as log:
        log.training(10, NUMBERS)
        log.validation(10, FOUND)
    with RunLog.open(tmp_path, resume_update=5, tensorboard=True) as log:
        log.training(10, {"loss": float("nan")})
    assert events(tmp_path / "tensorboard") == [
        ("purge", 1),
        *((f"training/{name}", 10) for name in NUMBERS),
        ("validation/dice", 10),
        ("validation/dice_by_class/anterior", 10),
        ("purge", 6),
    ]
    assert capfd.readouterr() == ("", "")


def test_without_tensorboardx_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(EnvironmentFault, match=r"fdif-jax\[tensorboard\]"):
        RunLog.open(tmp_path, tensorboard=True)
    assert RunLog.open(tmp_path).close() is None

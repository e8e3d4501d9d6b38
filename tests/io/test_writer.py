"""The writer: resume, shards, extension, refusal, faults."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fake_generate import files, generation, producer, write

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import atomic, folder, writer
from fdif_jax.io.layouts import layout_for

IMAGE_1 = "data/image/batch_0000/sample_00001_x.nii.gz"
LABEL_1 = "data/label/batch_0000/sample_00001_y.nii.gz"
SCENE_1 = "data/scene/batch_0000/sample_00001.json"


@pytest.fixture
def whole(tmp_path):
    """The files of one undisturbed run, with validation samples and scenes."""
    made = generation(num_samples=7, num_val_samples=3)
    write(tmp_path / "whole", made, scenes=True)
    return made, files(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_workers_changes_nothing(tmp_path, whole, workers):
    made, expected = whole
    write(tmp_path / "d", made, workers=workers, scenes=True)
    assert files(tmp_path / "d") == expected


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_three_shards_give_the_same_set(tmp_path, whole, order):
    made, expected = whole
    for place, index in enumerate(order):
        report = write(tmp_path / "d", made, shard=writer.Shard(index, 3), scenes=True)
        last = place == len(order) - 1
        assert (report.missing == 0) == last
        assert (tmp_path / "d/data/data.json").exists() == last
    assert files(tmp_path / "d") == expected


def test_shards_and_equal_runs_at_once_give_the_same_set(tmp_path, whole):
    made, expected = whole
    shards = [
        writer.Shard(0, 2),
        writer.Shard(1, 2),
        writer.Shard(0, 3),
        writer.Shard(),
        writer.Shard(),
    ]
    failures = []

    def run(shard):
        try:
            write(tmp_path / "d", made, shard=shard, scenes=True, seconds=0.002)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(shard,)) for shard in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert files(tmp_path / "d") == expected


def test_a_finished_set_is_left_alone(tmp_path, whole):
    made, _ = whole
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "whole").rglob("*")}
    calls = []
    report = write(tmp_path / "whole", made, calls=calls, scenes=True)
    assert (report.found, report.written, calls) == (10, 0, [])
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "whole").rglob("*")}


def foreign_volume(path: Path, expected: dict[str, bytes]) -> None:
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[148:228] = bytes(80)
    path.write_bytes(gzip.compress(bytes(raw)))


def neighbours_file(path: Path, expected: dict[str, bytes]) -> None:
    path.write_bytes(expected[IMAGE_1.replace("00001", "00002")])


def truncate(path: Path, expected: dict[str, bytes]) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        pytest.param(IMAGE_1, truncate, "is cut off", id="truncated"),
        pytest.param(LABEL_1, lambda p, _: p.write_bytes(b""), "is empty", id="empty"),
        pytest.param(
            LABEL_1,
            lambda p, _: p.write_text("text " * 9),
            "is damaged",
            id="text",
        ),
        pytest.param(IMAGE_1, foreign_volume, "not written by fdif", id="foreign"),
        pytest.param(IMAGE_1, neighbours_file, "another sample", id="neighbour"),
        pytest.param(SCENE_1, truncate, "no JSON", id="scene"),
        pytest.param(SCENE_1, lambda p, _: p.write_text("[]"), "another sample", id="other-scene"),
        pytest.param(IMAGE_1, lambda p, _: p.unlink(), None, id="missing"),
    ],
)
def test_resume_names_and_redoes_a_flawed_file(tmp_path, whole, name, damage, reason):
    made, expected = whole
    damage(tmp_path / "whole" / name, expected)
    notices, calls = [], []
    report = write(tmp_path / "whole", made, scenes=True, notice=notices.append, calls=calls)
    assert calls == [("training", 1)]
    assert report.found == 9
    if reason is None:
        assert notices == []
    else:
        assert len(notices) == 1
        assert name in notices[0]
        assert reason in notices[0]
    assert files(tmp_path / "whole") == expected


def test_the_set_is_not_called_whole_while_a_sample_is_made_again(tmp_path, whole):
    made, _ = whole
    (tmp_path / "whole" / IMAGE_1).unlink()

    def produce(split, index):
        assert not (tmp_path / "whole/data/data.json").exists()
        return producer(made)(split, index)

    job = writer.Job(tmp_path / "whole", layout_for(made))
    assert writer.write_dataset(job, produce).written == 1
    assert (tmp_path / "whole/data/data.json").exists()


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"max_objects": 9},
        {"num_samples": 6},
        {"num_samples": 8},
        {"num_val_samples": 4},
    ],
    ids=str,
)
def test_another_configuration_is_refused_and_touches_nothing(tmp_path, whole, other):
    _, expected = whole
    options = {"num_samples": 7, "num_val_samples": 3, **other}
    with pytest.raises(InputError, match="choose another out_dir"):
        write(tmp_path / "whole", generation(**options))
    assert files(tmp_path / "whole") == expected


def test_the_refusal_names_what_differs(tmp_path, whole):
    with pytest.raises(InputError, match=r"max_objects: 5 there, 9 asked for; seed: 1 there, 4"):
        write(tmp_path / "whole", generation(4, num_samples=7, num_val_samples=3, max_objects=9))


@pytest.mark.parametrize("layout", ["monai", "nnunet"])
def test_more_training_samples_extend_a_set(tmp_path, layout):
    calls = []
    write(tmp_path / "d", generation(num_samples=3, layout=layout))
    write(tmp_path / "d", generation(num_samples=6, layout=layout), calls=calls)
    write(tmp_path / "once", generation(num_samples=6, layout=layout))
    assert sorted(calls) == [("training", i) for i in (3, 4, 5)]
    assert files(tmp_path / "d") == files(tmp_path / "once")


def test_a_run_that_was_overtaken_by_an_extension_does_not_call_the_set_whole(tmp_path):
    small, large = generation(num_samples=2), generation(num_samples=4)

    def produce(split, index):
        if index == 1:
            folder.claim(tmp_path, layout_for(large))
        return producer(small)(split, index)

    report = writer.write_dataset(writer.Job(tmp_path, layout_for(small), workers=1), produce)
    assert report.written == 2
    assert not (tmp_path / "data/data.json").exists()


def test_a_folder_with_files_of_others_under_our_names_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="fdif did not write it"):
        write(tmp_path, generation())
    assert files(tmp_path) == {}


def test_files_of_others_under_other_names_are_left_in_peace(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, generation())
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("layout", ["monai", "nnunet"])
def test_remove_deletes_what_fdif_wrote_and_nothing_else(tmp_path, layout):
    made = generation(num_val_samples=1, layout=layout)
    write(tmp_path, made, scenes=True)
    home = tmp_path / layout_for(made).homes[0]
    (home / "generation_log.txt").write_text("a log")
    (home / "mine.nii.gz").write_text("mine")
    folder.remove(tmp_path, layout_for(generation(num_samples=50, layout=layout)))
    assert list(files(tmp_path).values()) == [b"mine"]


def test_temporary_files_of_own_samples_are_cleaned_and_no_others(tmp_path):
    (tmp_path / "data/image/batch_0000").mkdir(parents=True)
    folder_of_one = tmp_path / "data/image/batch_0000"
    stale = folder_of_one / ".sample_00001_x.nii.gz.0123456789abcdef.tmp"
    other = folder_of_one / ".sample_00099_x.nii.gz.0123456789abcdef.tmp"
    mine = folder_of_one / ".sample_00001_x.nii.gz.swp"
    (tmp_path / "generation.json").write_bytes(generation().to_bytes())
    for path in (stale, other, mine):
        path.write_text("half")
    write(tmp_path, generation())
    assert [p.exists() for p in (stale, other, mine)] == [False, True, True]


def test_a_shard_cleans_after_itself_before_it_starts_and_leaves_the_others_alone(tmp_path):
    folder_of_all = tmp_path / "data/image/batch_0000"
    folder_of_all.mkdir(parents=True)
    (tmp_path / "generation.json").write_bytes(generation().to_bytes())
    left = [folder_of_all / f".sample_0000{i}_x.nii.gz.{'0' * 16}.tmp" for i in range(2)]
    for path in left:
        path.write_text("half")
    write(tmp_path, generation(), shard=writer.Shard(0, 2))
    assert [path.exists() for path in left] == [False, True]


def test_a_temporary_file_that_another_run_cleaned_is_written_again(tmp_path, monkeypatch):
    lost = []
    replace = Path.replace

    def lose_once(self, target):
        if not lost:
            lost.append(self)
            self.unlink()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", lose_once)
    atomic.write(tmp_path / "a.nii.gz", b"content")
    assert files(tmp_path) == {"a.nii.gz": b"content"}
    assert lost


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "a/b", "1/0", "1/2/3", "0.5/2"])
def test_a_bad_shard_is_refused(text):
    with pytest.raises(InputError, match="give I/N"):
        writer.Shard.parse(text)


def test_progress_counts_up_to_the_total(tmp_path, whole):
    made, _ = whole
    (tmp_path / "whole" / IMAGE_1).unlink()
    seen = []
    job = writer.Job(tmp_path / "whole", layout_for(made), scenes=True)
    writer.write_dataset(
        job, producer(made), progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(9, 10), (10, 10)]


def test_the_report_holds_the_time_of_each_stage(tmp_path):
    report = write(tmp_path, generation(num_samples=4), seconds=0.01)
    assert sorted(report.seconds) == ["compress", "render", "write"]
    assert report.seconds["render"] >= 0.04
    assert report.elapsed > 0


# ---------------------------------------------------------------- faults


def test_an_error_of_the_producer_stops_the_run_and_keeps_what_is_there(tmp_path):
    def produce(split, index):
        if index == 3:
            raise RuntimeError("a bug")
        return producer(generation())(split, index)

    job = writer.Job(tmp_path, layout_for(generation()), workers=1)
    with pytest.raises(RuntimeError, match="a bug"):
        writer.write_dataset(job, produce)
    assert len([name for name in files(tmp_path) if name.endswith("_x.nii.gz")]) == 3


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises((InputError, EnvironmentFault), match="file"):
        write(tmp_path / "file/below", generation())
    assert files(tmp_path) == {"file": b"x"}


def test_an_unwritable_folder_ends_with_one_sentence(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(EnvironmentFault, match=r"Permission denied; 0 of 5 .* continues there\."):
        write(tmp_path / "d", generation())


RUN_IN_A_FULL_PLACE = """
import resource, sys
sys.path.insert(0, sys.argv[2])
import fake_generate
from fdif_jax.errors import FdifError
if sys.argv[3] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
made = fake_generate.generation(num_samples=60, grid=(40, 40, 40))
try:
    fake_generate.write(sys.argv[1], made)
except FdifError as error:
    print(error)
    sys.exit(2)
"""


def run_in_a_full_place(out_dir, how):
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", RUN_IN_A_FULL_PLACE, str(out_dir), here, how]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def assert_one_sentence_and_resumable(result, out_dir, reason, tmp_path):
    assert result.returncode == 2, result.stderr
    assert reason in result.stdout
    assert "of 60 samples are complete" in result.stdout
    assert result.stdout.count("\n") == 1
    left = files(out_dir)
    assert not [name for name in left if name.endswith(".tmp") or name.endswith("data.json")]
    made = generation(num_samples=60, grid=(40, 40, 40))
    for name, data in left.items():
        target = tmp_path / "moved" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    notices = []
    write(tmp_path / "moved", made, notice=notices.append)
    write(tmp_path / "once", made)
    assert notices == []
    assert files(tmp_path / "moved") == files(tmp_path / "once")


def test_a_file_size_limit_ends_with_one_sentence(tmp_path):
    result = run_in_a_full_place(tmp_path / "d", "limit")
    assert_one_sentence_and_resumable(result, tmp_path / "d", "File too large", tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 1 MiB; where the test may not mount one, the file size limit has to do."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield (place, "disk", "No space left") if mounted else (place, "limit", "File too large")
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_with_one_sentence(tmp_path, small_disk):
    place, how, reason = small_disk
    result = run_in_a_full_place(place / "d", how)
    assert_one_sentence_and_resumable(result, place / "d", reason, tmp_path)


def start(out_dir, *args):
    command = [sys.executable, str(Path(__file__).parent / "fake_generate.py"), str(out_dir), *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    return process


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("layout", ["monai", "nnunet"])
def test_sigkill_at_random_moments_leaves_nothing_half(tmp_path, layout):
    rng = np.random.default_rng(3)
    kills = 0
    for _ in range(4):
        process = start(tmp_path / "d", "--layout", layout)
        time.sleep(rng.uniform(0.0, 0.25))
        process.kill()
        kills += finish(process)[0] == -signal.SIGKILL
        for name in files(tmp_path / "d"):
            assert not name.endswith(("data.json", "dataset.json"))
    assert kills == 4
    assert finish(start(tmp_path / "d", "--layout", layout, "--seconds", "0"))[0] == 0
    assert finish(start(tmp_path / "once", "--layout", layout, "--seconds", "0"))[0] == 0
    assert files(tmp_path / "d") == files(tmp_path / "once")


def test_ctrl_c_finishes_the_samples_in_flight_and_says_how_far_it_came(tmp_path):
    made = generation(num_samples=2000)  # far more than are made before it

    def interrupt():
        while len(list(tmp_path.rglob("*_y.nii.gz"))) < 3:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    killer = threading.Thread(target=interrupt)
    killer.start()
    with pytest.raises(writer.Interrupted) as caught:
        write(tmp_path / "d", made, seconds=0.01)
    killer.join()
    outcome = files(tmp_path / "d")
    images = [name for name in outcome if name.endswith("_x.nii.gz")]
    labels = [name for name in outcome if name.endswith("_y.nii.gz")]
    assert f"{len(images)} of 2000 samples are complete" in str(caught.value)
    assert len(images) == len(labels) < 2000
    assert not [name for name in outcome if name.endswith(".tmp")]


def test_scene_files_say_which_sample_they_are(whole):
    made, expected = whole
    source = json.loads(expected[SCENE_1])["source"]
    assert source == {
        "layout": "monai",
        "config_hash": made.config_hash,
        "split": "training",
        "index": 1,
    }

"""What `fdif generate` decides and says; the voxels are stand-ins."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from one_sentence import assert_one_sentence

from fdif_jax import memory

pytestmark = pytest.mark.usefixtures("fake_recipe")
SMALL = "generate --D 8 --H 8 --W 8 --num_samples 3"


def files(root="."):
    root = Path(root)
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and not p.name.startswith("generation_log")
    }


def record(path="out"):
    return json.loads((Path(path) / "generation.json").read_text())


def test_the_seed_is_drawn_printed_recorded_and_taken_up_again(fdif):
    first = fdif(f"{SMALL} --out_dir out")
    assert first.exit_code == 0, first.output
    seed = record()["seed"]
    assert f"seed {seed}" in first.output
    again = fdif(f"{SMALL} --out_dir out")
    assert f"seed {seed}" in again.output
    assert "nothing to do: all 3 samples are there" in again.output
    assert_one_sentence(fdif(f"{SMALL} --out_dir out --seed {seed + 1}"), "seed:")
    other = fdif(f"{SMALL} --out_dir other")
    assert record("other")["seed"] != seed, other.output


def test_the_default_folder_is_named_by_the_time(fdif):
    assert fdif(SMALL).exit_code == 0
    (folder,) = Path("outputs").iterdir()
    assert (folder / "data/data.json").exists()


def test_the_last_line_is_the_command_that_trains_on_it(fdif):
    last = fdif(f"{SMALL} --out_dir out").stdout.splitlines()[-1]
    assert last == (
        "Train on it: fdif train --data_json_path out/data/data.json --model_name swin_unetr "
        "--out_channel 5"
    )
    several = fdif(f"{SMALL} --out_dir tasks --multi_task --sdf_mappers modular_5 modular_10")
    assert several.stdout.splitlines()[-1].endswith("--model_name swin_unetr --multi_task")


def test_a_dry_run_says_all_and_writes_nothing(fdif, tmp_path):
    result = fdif("generate --preset paper --dry_run --out_dir out --workers 2")
    assert result.exit_code == 0
    assert "109 classes, out_channel 110" in result.output
    assert "109  OnionedEightStarConePrism + inverse_cube" in result.output
    assert "on disk" in result.output
    assert "of memory" in result.output
    assert list(tmp_path.iterdir()) == []


def test_quiet_says_nothing(fdif):
    result = fdif(f"{SMALL} --out_dir out --quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_an_alias_or_a_default_spelt_out_is_the_same_configuration(fdif):
    fdif(f"{SMALL} --out_dir out --seed 1 --categories revolution basic")
    again = fdif(f"{SMALL} --out_dir out --categories basic revolution --dataset_id 7")
    assert "nothing to do" in again.output
    fdif(f"{SMALL} --out_dir b --seed 1 --primitives onionedhexagonprism Sphere sphere")
    again = fdif(f"{SMALL} --out_dir b --primitives onionedchexagonprism sphere")
    assert "nothing to do" in again.output


def test_shards_make_one_data_set(fdif):
    whole = f"{SMALL} --num_val_samples 2 --seed 5"
    fdif(f"{whole} --out_dir whole")
    for index in (2, 0, 1):
        result = fdif(f"{whole} --out_dir out --shard {index}/3")
        assert result.exit_code == 0, result.output
        assert ("Train on it" in result.output) == (index == 1)
    assert files("out") == files("whole")
    logs = sorted(path.name for path in Path("out").glob("*.txt"))
    assert logs == [f"generation_log_{i}_of_3.txt" for i in range(3)]


def test_a_multi_process_jax_job_is_a_sharded_run(fdif, monkeypatch):
    import jax

    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    assert_one_sentence(fdif(SMALL), "a shard needs --out_dir and --seed")
    result = fdif(f"{SMALL} --out_dir out --seed 1")
    assert "shard 1 of 3" in result.output
    assert len(list(Path("out").rglob("*_x.nii.gz"))) == 1


def test_overwrite_replaces_our_data_set_and_no_other(fdif, tmp_path):
    fdif(f"{SMALL} --out_dir out --seed 1 --num_val_samples 1 --save_scenes --num_visualize 1")
    Path("out/notes.txt").write_text("mine")
    refused = fdif(f"{SMALL} --out_dir out --seed 2")
    assert_one_sentence(refused, "another configuration", "seed: 1 there, 2 asked for")
    result = fdif(f"{SMALL} --out_dir out --seed 2 --overwrite")
    assert result.exit_code == 0, result.output
    fdif(f"{SMALL} --out_dir fresh --seed 2")
    assert files("out") == files("fresh") | {"notes.txt": b"mine"}
    Path("theirs").mkdir()
    Path("theirs/photo.nii.gz").write_text("mine")
    refused = fdif(f"{SMALL} --out_dir theirs --overwrite")
    assert_one_sentence(refused, "fdif did not write it")
    assert files("theirs") == {"photo.nii.gz": b"mine"}


def test_a_flawed_file_is_named_and_made_again(fdif):
    fdif(f"{SMALL} --out_dir out --seed 1")
    before = files("out")
    path = Path("out/data/image/batch_0000/sample_00001_x.nii.gz")
    path.write_bytes(path.read_bytes()[:-10])
    assert_one_sentence(fdif("validate out"), "sample_00001_x.nii.gz: is cut off")
    result = fdif(f"{SMALL} --out_dir out")
    assert "sample_00001_x.nii.gz is cut off; it is made again." in result.output
    assert "1 samples written, 2 were there" in result.output
    assert files("out") == before
    assert "3 cases, all valid" in fdif("validate out").output
    assert "made again" in Path("out/generation_log.txt").read_text()


def test_pictures_are_drawn_once(fdif):
    fdif(f"{SMALL} --out_dir out --num_visualize 2")
    pictures = sorted(Path("out/visualizations").iterdir())
    assert [p.name for p in pictures] == ["sample_00000.png", "sample_00001.png"]
    fdif(f"{SMALL} --out_dir out --num_visualize 9")
    assert len(list(Path("out/visualizations").iterdir())) == 3


def test_pictures_need_the_extra_before_anything_is_written(fdif, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_one_sentence(fdif(f"{SMALL} --num_visualize 1"), "fdif-jax[viz]")
    assert list(tmp_path.iterdir()) == []


def test_the_log_holds_options_classes_and_runs(fdif):
    fdif(f"{SMALL} --out_dir out --seed 4")
    fdif(f"{SMALL} --out_dir out --seed 4")
    text = Path("out/generation_log.txt").read_text()
    for part in ("seed                           4", "    1  Sphere + inverse_cube", "3 written"):
        assert part in text
    assert text.count("were there") == 2


PLUGIN = """
from fdif_jax.synth.catalog import Catalog
catalog = Catalog.default().with_mapper("halo{}", lambda d: 128.0 - d)
"""


def test_a_plugin_counts_by_name_and_source(fdif, monkeypatch):
    args = f"{SMALL} --out_dir out --seed 1 --plugin my_shapes:catalog --sdf_mappers halo"
    Path("my_shapes.py").write_text(PLUGIN.format(""))
    assert fdif(args).exit_code == 0
    assert "nothing to do" in fdif(args).output
    sys.modules.pop("my_shapes")
    Path("my_shapes.py").write_text(PLUGIN.format("") + "# edited\n")
    assert_one_sentence(fdif(args), "plugin source")
    assert "halo" in fdif("list mappers --plugin my_shapes:catalog").output
    sys.modules.pop("my_shapes")


def test_memory_limits_of_machine_and_container_count(monkeypatch):
    texts = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   4096 kB\n"}
    monkeypatch.setattr(memory, "_read", lambda path: texts.get(path, ""))
    assert memory.memory_available() == 4 * 2**20
    texts["/sys/fs/cgroup/memory.max"] = "max"
    texts["/sys/fs/cgroup/memory.current"] = "1"
    assert memory.memory_available() == 4 * 2**20
    texts["/sys/fs/cgroup/memory.max"] = str(3 * 2**20)
    assert memory.memory_available() == 3 * 2**20 - 1
    texts.clear()
    assert memory.memory_available() is None


def test_a_device_that_is_out_of_memory_ends_in_one_sentence(fdif, monkeypatch):
    import jax

    def produce(self, split, index):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr("fake_recipe.FakeRecipe.produce", produce)
    result = fdif(f"{SMALL} --out_dir out --quiet")
    assert_one_sentence(result, "out of memory", "fewer --workers", "0 of 3 samples")


def test_ctrl_c_ends_in_one_sentence_and_130(fdif, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("fdif_jax.io.writer.resume.inspect", stop)
    result = fdif(f"{SMALL} --out_dir out")
    assert result.exit_code == 130
    last = result.output.splitlines()[-1]
    assert "interrupted; 0 of 3 samples are complete in out" in last
    assert "continues there" in last


def test_help_and_list_load_no_jax():
    code = (
        "import sys; from fdif_jax.cli import cli\n"
        "try: cli({!r})\n"
        "finally: assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    for args in (["--help"], ["list", "primitives"], ["list", "categories", "--json"]):
        run = subprocess.run(
            [sys.executable, "-c", code.format(args)], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr


def test_the_console_script_is_the_program():
    run = subprocess.run(
        [sys.executable, "-c", "from fdif_jax.cli import main; main()", "generate", "--D", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == "Error: D is 0; allowed: 8 or more.\n"

"""`fdif benchmark train`: figures that belong together."""

import json

import pytest


@pytest.mark.slow
def test_figures_of_training(fdif):
    result = fdif(
        "benchmark train --model_name primus_s --model_option hidden_size=12 depth=1 heads=1 "
        "--grid_size 16 16 16 --num_crops 2 --updates 3 --json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["crops"] == 2
    assert found["updates"] == 3
    assert found["updates_per_second"] > 0
    assert found["step_updates_per_second"] > 0
    assert found["compile_seconds"] > 0.1
    assert found["peak_memory_mib"] > 100

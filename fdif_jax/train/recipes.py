"""Settings that are known to work: what they reach, at what cost, on what.

    name        what                                  reached                     cost
    small_mr    small ResEnc, tiny MR volumes         MEASURE                     MEASURE

A recipe is a set of option values for `fdif train`; options given beside it override it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "small_mr": {
            "model_name": "resenc_l",
            "model_option": ("features=[16,32,64,128]", "blocks=[1,2,2,2]"),
            "grid_size": (40, 56, 40),
            "batch_size": 2,
            "num_crops": 1,
            "is_real_data": True,
            "spacing": ("native",),
            "learning_rate": 2e-3,
            "max_iterations": 600,
            "eval_every": 200,
        },
    }
)

"""metrics.jsonl: what a run measured, one JSON object a line.

    {"update": 120, "loss": 1.23, "dice_loss": 0.8, "ce": 0.43, "learning_rate": 1e-4, ...}
    {"update": 500, "validation": {"dice": 0.81, "by_class": {"anterior": 0.8}, "cases": 40, ...}}

What is not a number is ``null``, as in any JSON. A line that a kill cut is no line.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_jax.io import atomic

FILE = "metrics.jsonl"


def encode(row: Mapping[str, Any]) -> bytes:
    """One line; NaN and infinities become null."""
    return (json.dumps(finite(row), allow_nan=False) + "\n").encode()


def finite(value: Any) -> Any:
    """The same with None for every NaN and infinity in it, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read(path: Path) -> list[dict[str, Any]]:
    """The whole lines of the file, in its order; none where there is no file."""
    if not path.exists():
        return []
    return [row for line in path.read_bytes().splitlines() if (row := _row(line)) is not None]


def forget_after(path: Path, update: int) -> None:
    """Drops the lines of later updates, and cut ones. A kill leaves the old file or the new one.

    Raises:
      OSError: the file cannot be written.
    """
    kept = [row for row in read(path) if row["update"] <= update]
    atomic.write(path, b"".join(map(encode, kept)))


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("update"), int) else None

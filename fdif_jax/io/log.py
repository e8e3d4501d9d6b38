"""generation_log.txt: options, class table and timings for a person to read.

One file per shard, since shards run at the same time; it is no part of the data set's equality.
"""

import contextlib
import dataclasses
import platform
import time
from pathlib import Path

from fdif_jax import __version__
from fdif_jax.io import atomic
from fdif_jax.io.folder import LOG_STEM
from fdif_jax.io.manifest import Generation
from fdif_jax.io.writer import Report, Shard


def file_name(shard: Shard) -> str:
    """Of the shard's log."""
    part = f"_{shard.index}_of_{shard.count}" if shard.count > 1 else ""
    return f"{LOG_STEM}{part}.txt"


def append(home: Path, generation: Generation, shard: Shard, report: Report) -> None:
    """Adds one run to the log; begins it with options and classes where it is not there.

    A log that cannot be written is no reason to fail a run whose samples are all there.
    """
    path = home / file_name(shard)
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        head = _head(generation)
        if not text.startswith(head):
            text = head
        atomic.write(path, (text + _run(report)).encode())


def _head(generation: Generation) -> str:
    lines = [f"fdif-jax {__version__}, data set {generation.config_hash}", "", "Options"]
    options = {"seed": generation.seed} | dataclasses.asdict(generation.config)
    for name, value in options.items():
        shown = " ".join(map(str, value)) if isinstance(value, tuple | list) else value
        lines.append(f"  {name:<30} {shown}")
    classes = generation.classes
    lines += ["", f"Classes ({classes.out_channel} output channels)"]
    lines += [f"  {i:>5}  {name}" for i, name in classes.labels.items()]
    for task, ids in classes.tasks.items():
        lines += ["", f"Task {task}", *(f"  {i:>5}  {name}" for name, i in ids.items())]
    return "\n".join([*lines, "", "Runs", ""])


def _run(report: Report) -> str:
    seconds = ", ".join(f"{stage} {s:.1f} s" for stage, s in report.seconds.items())
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    lines = [
        f"  {when} on {platform.node()}: {report.written} written, {report.found} were there, "
        f"{report.elapsed:.1f} s ({seconds}, summed over workers)"
    ]
    lines += [f"    made again: {path} {reason}" for path, reason in report.flawed]
    return "\n".join([*lines, ""])

"""A folder with a page that shows samples: index.html, and a script for each sample's volumes."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdif_jax.view import assets, thumbnails
from fdif_jax.view.packing import pack
from fdif_jax.view.sources import Sample, Source
from fdif_jax.view.volumes import Count, Volumes, apart, by_place, counts, read
from fdif_jax.viz import drawing

PAGE_BYTES = 44_000_000
"""For the volumes of all samples; with the viewer and the thumbnails a page stays below 50 MB."""
_LEAST_BYTES = 150_000  # for each sample, however many there are
_DIGITS = 6
_ELSEWHERE = 0.01  # of a voxel side: headers in float32 differ by less

Progress = Callable[[int, int], None]


class Written(NamedTuple):
    """How many samples a page shows, and of how many of them something is to be told."""

    samples: int
    thinned: int
    """With fewer voxels than they have."""
    apart: int
    """With files that their headers place apart."""


def choose(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many, evenly spread over all."""
    count = min(most, len(samples))
    return [samples[i * len(samples) // count] for i in range(count)]


def write_page(
    source: Source, folder: Path, *, most: int, workers: int, progress: Progress | None = None
) -> Written:
    """Writes the page of a source into an empty folder.

    Args:
      source: what is shown.
      folder: where.
      most: samples; more are thinned out evenly.
      workers: threads.
      progress: told after every sample.

    Raises:
      InputError: a file cannot be read, or does not fit the others of its sample.
      EnvironmentFault: what draws is not installed.
      OSError: the folder cannot be written.
    """
    thumbnails.require_viz()
    samples = choose(source.samples, most)
    share = max(PAGE_BYTES // len(samples), _LEAST_BYTES)
    for name in ("thumbnails", "volumes"):
        (folder / name).mkdir(parents=True)
    rows = []
    with ThreadPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(_write_sample, folder, i, sample, len(source.names) or 1, share)
            for i, sample in enumerate(samples)
        ]
        try:
            for job in jobs:
                rows.append(job.result())
                if progress is not None:
                    progress(len(rows), len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)
    assets.write(folder, _script("fdif.page", _page(source, rows)))
    thinned, moved = (sum(bool(row[key]) for row in rows) for key in ("shown", "apart"))
    return Written(len(rows), thinned, moved)


def _write_sample(
    folder: Path, number: int, sample: Sample, tasks: int, share: int
) -> dict[str, Any]:
    """Writes thumbnail and volumes; returns what the list says of the sample."""
    volumes, away = read(sample, tasks), apart(sample, tasks)
    found = counts(volumes)
    packed = pack(by_place(volumes, found), share)
    name = f"{number:05d}"
    texts = {
        "images": packed.images,
        "labels": packed.labels,
        "predictions": packed.predictions,
    }
    (folder / f"thumbnails/{name}.jpg").write_bytes(thumbnails.thumbnail(volumes))
    (folder / f"volumes/{name}.js").write_bytes(_script(f"fdif.volumes[{number}]", texts))
    told = {"file": name, "apart": _rounded(away) if away > _ELSEWHERE else None}
    return _row(sample, volumes, found, packed.shape) | told


def _row(
    sample: Sample, volumes: Volumes, found: list[list[Count]], shown: tuple[int, ...]
) -> dict[str, Any]:
    scores = [one.dice for task in found for one in task if one.dice is not None]
    return {
        "id": sample.id,
        "split": sample.split,
        "classes": sample.classes,
        "shape": volumes.shape,
        "spacing": [_rounded(size) for size in volumes.spacing],
        "shown": None if shown == volumes.shape else shown,
        "counts": [[_plain(one) for one in task] for task in found],
        "dice": round(float(np.mean(scores)), _DIGITS) if scores else None,
        "compared": bool(volumes.labels and volumes.predictions),
        "predicted": bool(volumes.predictions),
        "channels": len(volumes.images),
        "focus": _focus(volumes),
    }


def _rounded(size: float) -> float:
    return float(f"{size:.{_DIGITS}g}")


def _focus(volumes: Volumes) -> list[float]:
    """Where the planes cut at first, as shares of the axes: where most foreground is."""
    ids = next(iter((*volumes.labels, *volumes.predictions)), None)
    if ids is None or not ids.any():
        return [0.5, 0.5, 0.5]
    sums = ((ids > 0).sum(across) for across in ((1, 2), (0, 2), (0, 1)))
    return [round(float(own.argmax()) / max(1, own.size - 1), _DIGITS) for own in sums]


def _plain(count: Count) -> list[Any]:
    dice = None if count.dice is None else round(count.dice, _DIGITS)
    return [count.label, count.voxels, count.predicted, dice]


def _page(source: Source, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    most = max((len(row["counts"]) for row in rows), default=0)
    named = list(source.names)
    if len(named) != most:
        named = [f"task {i}" for i in range(most)] if most > 1 else [""] * most
    return {
        "title": source.path.resolve().name,
        "path": str(source.path),
        "listed": len(source.samples),
        "channels": source.channels,
        "tasks": [
            {"name": name, "classes": _classes(source.names.get(name, {}), i, rows)}
            for i, name in enumerate(named)
        ],
        "samples": rows,
    }


def _classes(
    names: Mapping[int, str], task: int, rows: Sequence[dict[str, Any]]
) -> dict[int, list[str]]:
    """Name and colour of every class that any sample holds."""
    ids = sorted(
        {count[0] for row in rows for own in row["counts"][task : task + 1] for count in own}
    )
    colours = np.rint(255 * drawing.colour(np.array(ids, int))).astype(int).tolist()
    return {
        i: [names.get(i, f"class {i}"), "#{:02x}{:02x}{:02x}".format(*rgb)]
        for i, rgb in zip(ids, colours, strict=True)
    }


def _script(name: str, value: Any) -> bytes:
    """A script that assigns ``value``, in the page's encoding.

    Names of files need not be text; what is none in them becomes a question mark.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"{name} = {text};\n".encode(errors="replace")

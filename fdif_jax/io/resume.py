"""Which samples of a folder are complete and intact, and which files must be made again."""

import dataclasses
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fdif_jax.io.layout import Layout, SampleRef


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """The state of some samples.

    Args:
      complete: how many need nothing.
      pending: those to be made, in order.
      flawed: (path, reason) of files that are there but are not what they should be.
    """

    complete: int
    pending: tuple[SampleRef, ...]
    flawed: tuple[tuple[str, str], ...]


def inspect(
    out_dir: Path, layout: Layout, refs: Sequence[SampleRef], *, scenes: bool, workers: int
) -> Found:
    """Reads every file of ``refs`` and checks stamps and checksums, in threads.

    Args:
      out_dir: the folder that the layout's paths start from.
      layout: of the data set.
      refs: the samples to look at.
      scenes: whether a scene file belongs to each sample.
      workers: threads; decompression runs outside Python's lock.

    Raises:
      OSError: a file cannot be read.
    """

    def look(ref: SampleRef) -> tuple[bool, list[tuple[str, str]]]:
        return _inspect_sample(out_dir, layout, ref, scenes)

    with ThreadPoolExecutor(workers) as pool:
        looks = list(pool.map(look, refs))
    pending = tuple(ref for ref, (fine, _) in zip(refs, looks, strict=True) if not fine)
    flawed = tuple(item for _, flaws in looks for item in flaws)
    return Found(len(refs) - len(pending), pending, flawed)


def absent(out_dir: Path, layout: Layout, refs: Sequence[SampleRef]) -> int:
    """How many samples lack a file. Names only: under its final name a file is whole."""
    present: dict[str, set[str]] = {}

    def there(name: str) -> bool:
        folder, _, base = name.rpartition("/")
        if folder not in present:
            try:
                present[folder] = {path.name for path in (out_dir / folder).iterdir()}
            except (FileNotFoundError, NotADirectoryError):
                present[folder] = set()
        return base in present[folder]

    return sum(not all(map(there, layout.files(ref))) for ref in refs)


def _inspect_sample(
    out_dir: Path, layout: Layout, ref: SampleRef, scenes: bool
) -> tuple[bool, list[tuple[str, str]]]:
    fine, flaws = True, []
    for name in layout.files(ref):
        data = _read(out_dir / name)
        flaw = None if data is None else layout.flaw(ref, name, data)
        if flaw is not None:
            flaws.append((name, flaw))
        fine = fine and data is not None and flaw is None
    scene_file = layout.scene_file(ref) if scenes else None
    if scene_file is not None:
        data = _read(out_dir / scene_file)
        flaw = None if data is None else _scene_flaw(layout, ref, data)
        if flaw is not None:
            flaws.append((scene_file, flaw))
        fine = fine and data is not None and flaw is None
    return fine, flaws


def scene_source(layout: Layout, ref: SampleRef) -> dict[str, str | int]:
    """What a scene file says of the sample it belongs to; ``fdif render`` makes stamps of it."""
    generation = layout.generation
    return {
        "layout": generation.config.layout,
        "config_hash": generation.config_hash,
        "split": ref.split,
        "index": ref.index,
    }


def _scene_flaw(layout: Layout, ref: SampleRef, data: bytes) -> str | None:
    try:
        record = json.loads(data)
    except ValueError:
        return "is cut off or no JSON"
    if not isinstance(record, dict) or record.get("source") != scene_source(layout, ref):
        return "is the scene of another sample"
    return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None

"""A data set's folder before anything is written into it: whose it is, and making it ours."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import atomic, manifest
from fdif_jax.io.layout import Layout, SampleRef, samples
from fdif_jax.io.layouts import layout_for
from fdif_jax.io.manifest import Generation

LOG_STEM = "generation_log"


def check(out_dir: Path, layout: Layout, *, overwrite: bool = False) -> None:
    """Refuses a folder that this run must not write into; touches nothing.

    Raises:
      InputError: it holds another configuration, or files that fdif did not write under names
        that it would.
    """
    first = manifest.read(out_dir / layout.homes[0])
    for home in layout.homes:
        existing = manifest.read(out_dir / home)
        if existing is None:
            _refuse_strangers(out_dir / home, _tops(layout, home), overwrite)
        elif not overwrite:
            manifest.continuation(existing, layout.generation, out_dir / home)
        elif existing != first:
            # Overwriting removes the set of the first home: this one is not a part of it.
            raise InputError(
                f"{out_dir / home} holds a data set of another configuration, which --overwrite "
                "would not replace; choose another dataset_id, or move it away."
            )


def claim(out_dir: Path, layout: Layout) -> None:
    """Writes generation.json into every home that lacks it; takes back ``whole`` if extended.

    Whichever shard comes first does it; all of them write the same bytes.

    Raises:
      InputError: as ``check``.
      OSError: the folder cannot be written.
    """
    check(out_dir, layout)
    for home in layout.homes:
        old = manifest.read(out_dir / home)
        if old is not None:
            if manifest.continuation(old, layout.generation, out_dir / home) == "same":
                continue
            for name in layout_for(old).metadata():
                (out_dir / name).unlink(missing_ok=True)
        atomic.write(out_dir / home / manifest.FILE, layout.generation.to_bytes())


def claimed_by(out_dir: Path, layout: Layout) -> bool:
    """Whether the folder still is of this generation (and was not extended by another run)."""
    home = out_dir / layout.homes[0]
    found = manifest.read(home)
    try:
        return found is not None and manifest.continuation(found, layout.generation, home) == "same"
    except InputError:
        return False


def owned(layout: Layout) -> Iterator[str]:
    """Every file but generation.json and logs that runs of this generation write."""
    yield from layout.metadata()
    for ref in samples(layout.generation):
        yield from owned_by_sample(layout, ref)


def owned_by_sample(layout: Layout, ref: SampleRef) -> tuple[str, ...]:
    """The files of one sample, scene and picture included."""
    scene = layout.scene_file(ref)
    return (*layout.files(ref), *([scene] if scene else []), layout.picture_file(ref))


def remove(out_dir: Path, layout: Layout) -> None:
    """Deletes the data set that generation.json in the layout's first home describes.

    Only names that fdif writes; then folders that are empty. What says that the set is whole goes
    first and generation.json last, so that a kill in between leaves a folder that can be
    overwritten again.

    Raises:
      EnvironmentFault: a file cannot be deleted.
    """
    existing = manifest.read(out_dir / layout.homes[0])
    if existing is None:
        return
    old = layout_for(existing)
    names = list(owned(old))
    try:
        atomic.clean(out_dir, (*names, *(f"{home}/{manifest.FILE}" for home in old.homes)))
        for name in names:
            with contextlib.suppress(NotADirectoryError):
                (out_dir / name).unlink(missing_ok=True)
        for home in reversed(old.homes):
            for log in (out_dir / home).glob(f"{LOG_STEM}*.txt"):
                log.unlink(missing_ok=True)
            (out_dir / home / manifest.FILE).unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"{error.filename} cannot be deleted: {error.strerror}; nothing new was written."
        ) from error
    _remove_empty(out_dir, names)


def generation_of(home: Path) -> Generation:
    """The generation whose generation.json lies in ``home``.

    Raises:
      InputError: there is none.
    """
    found = manifest.read(home)
    if found is None:
        raise InputError(f"{home} holds no {manifest.FILE}; fdif generate writes one.")
    return found


def _tops(layout: Layout, home: str) -> set[str]:
    """The names directly in ``home`` that fdif would write."""
    below = f"{home}/" if home else ""
    names = (n.removeprefix(below) for n in owned(layout) if n.startswith(below))
    return {name.split("/")[0] for name in names}


def _refuse_strangers(home: Path, tops: set[str], overwrite: bool) -> None:
    """Refuses names that fdif would write but did not; with overwrite, any file at all."""
    try:
        found = sorted(path.name for path in home.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise InputError(f"{home} is a file, or below one; give a folder.") from error
    except OSError as error:
        raise EnvironmentFault(f"{home} cannot be read: {error.strerror}.") from error
    strangers = [name for name in found if name in tops or overwrite]
    strangers = [name for name in strangers if not name.startswith(f".{manifest.FILE}.")]
    if strangers:
        raise InputError(
            f"{home} holds {strangers[0]!r} but no {manifest.FILE}, so fdif did not write it; "
            "choose another out_dir or move it away."
        )


def _remove_empty(out_dir: Path, names: list[str]) -> None:
    folders = {parent for name in names for parent in (out_dir / name).parents}
    inside = [f for f in folders if f != out_dir and f.is_relative_to(out_dir)]
    for folder in sorted(inside, key=lambda f: len(f.parts), reverse=True):
        with contextlib.suppress(OSError):  # not empty, or not there
            folder.rmdir()

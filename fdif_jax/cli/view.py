"""`fdif view`: a page that shows a data set, predictions or a run in a browser."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fdif_jax.cli.progress import Bar
from fdif_jax.errors import InputError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from http.server import ThreadingHTTPServer

    from fdif_jax.view.sources import Source

_PORT = 8765


@click.command("view")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="What the predictions at PATH are held against: label file; folder of files named as the "
    "predictions; or data.json, dataset.json, which give the images too.",
)
@click.option(
    "--out_dir",
    type=click.Path(path_type=Path),
    show_default="name of PATH, or of a list's folder, and _view",
    help="Where to write the page; index.html is to be opened.",
)
@click.option(
    "--serve", is_flag=True, help="Serve the page to browsers on this machine, until Ctrl-C."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    help="Of --serve; 0 takes a free one.",
)
@click.option(
    "--max_samples",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Show so many, evenly spread over all.",
)
@click.option("--overwrite", is_flag=True, help="Replace the page in --out_dir.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors, and where the page is served.")
def command(
    path: Path,
    reference: Path | None,
    out_dir: Path | None,
    serve: bool,
    port: int,
    max_samples: int,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write a page that shows what is at PATH, for any browser, without a network.

    PATH is a data set of any layout (its folder, data.json, dataset.json or labelsTr.json), a file
    of a sample, a folder of predicted label files, or a run folder of `fdif train`. The page shows
    three planes with the labels over them and the labels in space, for each sample; of predictions
    their Dice and where they differ from the references; of a run its curves, pictures, log and
    configuration.

    A page of 200 samples stays below 50 MB: large volumes are shown with fewer grey levels, and if
    need be with larger voxels, which the page says.
    """
    from fdif_jax.view import folder, runs, sources

    path = path.expanduser()
    out_dir = _out_dir(path, out_dir)
    source = None
    if not runs.is_run(path):
        source = sources.find(path, None if reference is None else reference.expanduser())
    elif reference is not None:
        raise InputError(f"{path} is a run folder; leave out --reference, which is of predictions.")
    folder.check(out_dir, overwrite=overwrite)
    with _server(out_dir, port) if serve else contextlib.nullcontext() as made:
        with folder.staged(out_dir) as place:
            if source is None:
                told = runs.write_page(path, place)
            else:
                told = _write_samples(source, place, max_samples, quiet)
        if not quiet:
            click.echo(f"wrote {out_dir / 'index.html'}: {told}")
        if made is not None:
            _serve(made)


def _out_dir(path: Path, given: Path | None) -> Path:
    if given is not None:
        return given.expanduser()
    own = path.resolve()
    if own.suffix == ".json":  # all lists are called alike
        own = own.parent.parent if own.parent.name == "data" else own.parent
    name = own.name.split(".")[0]
    return Path(f"{name or 'root'}_view")


def _write_samples(source: "Source", place: Path, most: int, quiet: bool) -> str:
    """Writes the page; returns what it shows."""
    from fdif_jax.cli.plan import worker_count
    from fdif_jax.view.page import write_page

    with Bar(quiet=quiet) as bar:
        written = write_page(source, place, most=most, workers=worker_count(None), progress=bar)
    all_of = len(source.samples)
    shown = f"{written.samples} of {all_of}" if written.samples < all_of else str(all_of)
    larger = f", {written.thinned} with larger voxels" if written.thinned else ""
    apart = f", {written.apart} with files that lie apart by their headers" if written.apart else ""
    return f"{shown} {'sample' if all_of == 1 else 'samples'}{larger}{apart}"


def _server(out_dir: Path, port: int) -> "AbstractContextManager[ThreadingHTTPServer]":
    """Before anything is written: the port may be taken."""
    from fdif_jax.view.serve import server

    return server(out_dir, port)


def _serve(made: "ThreadingHTTPServer") -> None:
    """Until Ctrl-C, which is the way to end it."""
    from fdif_jax.view.serve import address

    click.echo(f"{address(made)} shows it; Ctrl-C ends")
    try:
        made.serve_forever()
    except KeyboardInterrupt:
        click.echo("")

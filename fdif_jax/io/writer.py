"""The driver: makes every missing sample of a data set, in threads, and survives being killed.

It knows a layout and a function that produces one sample, nothing else. What a sample holds is a
pure function of (configuration, seed, split, index), so there is no state to save: a run looks
which files are intact and makes the others. Shards and even two equal runs at once in one folder
only cost work twice, since every file appears by a rename and with the same bytes.
"""

import dataclasses
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import atomic, folder, resume
from fdif_jax.io.layout import Layout, SampleRef, samples
from fdif_jax.io.manifest import to_json_bytes

Produce = Callable[[str, int], Any]
Progress = Callable[[int, int], None]
Notice = Callable[[str], None]
STAGES = ("render", "compress", "write")


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """This process makes the samples whose number is ``index`` modulo ``count``."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From ``I/N``.

        Raises:
          InputError: not two numbers with 0 <= I < N.
        """
        index, slash, count = text.partition("/")
        if slash and index.isdecimal() and count.isdecimal() and int(index) < int(count):
            return cls(int(index), int(count))
        raise InputError(f"shard is {text!r}; give I/N with 0 <= I < N, e.g. 0/4.")

    def of(self, layout: Layout) -> tuple[SampleRef, ...]:
        """The samples of this shard."""
        return tuple(samples(layout.generation))[self.index :: self.count]


WHOLE = Shard()


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One run of the writer.

    Args:
      out_dir: the folder that the layout's paths start from.
      layout: what to write where.
      shard: which part of it this process makes.
      workers: samples in flight, each in a thread that renders, compresses and writes.
      scenes: whether to write the scene file of each sample.
    """

    out_dir: Path
    layout: Layout
    shard: Shard = WHOLE
    workers: int = 2
    scenes: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    Args:
      found: samples that were complete before it.
      written: samples it made.
      flawed: (path, reason) of files it replaced.
      missing: samples of other shards that still lack files; 0 means the set is whole.
      seconds: time spent in each of ``STAGES``, summed over workers.
      elapsed: wall-clock seconds.
    """

    found: int
    written: int
    flawed: tuple[tuple[str, str], ...]
    missing: int
    seconds: dict[str, float]
    elapsed: float


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a sentence on how far the run came."""


def write_dataset(
    job: Job,
    produce: Produce,
    *,
    progress: Progress = lambda done, total: None,
    notice: Notice = lambda message: None,
) -> Report:
    """Makes every sample of the job's shard that is not there yet; metadata last.

    Args:
      job: what, where, which part, in how many threads.
      produce: ``produce(split, index)`` gives a sample with ``image``, ``label`` and, where
        ``job.scenes``, ``scene()``; called from threads.
      progress: called with (complete, all) of this shard, one call at a time.
      notice: called with a sentence for each flawed file that is made again.

    Raises:
      InputError: the folder holds something else.
      EnvironmentFault: the disk is full, the folder not writable; what was written stays.
      Interrupted: Ctrl-C; likewise.
    """
    run = _Run(job, produce, progress)
    try:
        run.prepare(notice)
        run.make_pending()
        return run.finish()
    except KeyboardInterrupt as stop:
        raise Interrupted(f"interrupted; {run.state()}") from stop
    except FileExistsError as error:
        raise InputError(f"{error.filename} is a file where a folder must be.") from error
    except EnvironmentFault:
        raise
    except MemoryError as error:
        raise EnvironmentFault(
            f"out of memory (fewer --workers need less); {run.state()}"
        ) from error
    except OSError as error:
        raise EnvironmentFault(f"{_what_failed(error)}; {run.state()}") from error


class _Run:
    """The mutable side of ``write_dataset``."""

    def __init__(self, job: Job, produce: Produce, progress: Progress):
        self.job, self.produce, self.progress = job, produce, progress
        self.refs = job.shard.of(job.layout)
        self.found: resume.Found | None = None
        self.written: list[str] = []
        self.made = 0
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.began = time.perf_counter()
        self.lock = threading.Lock()
        self.stop = threading.Event()

    def prepare(self, notice: Notice) -> None:
        """Claims the folder, removes what killed runs left, finds what is missing."""
        job = self.job
        folder.claim(job.out_dir, job.layout)
        self.clean(self.refs)
        found = resume.inspect(
            job.out_dir, job.layout, self.refs, scenes=job.scenes, workers=job.workers
        )
        self.found = found
        for path, reason in found.flawed:
            notice(f"{path} {reason}; it is made again.")
        if found.pending:  # the set is not whole: nothing may say so
            for name in job.layout.metadata():
                (job.out_dir / name).unlink(missing_ok=True)
        self.progress(self.done, len(self.refs))

    @property
    def done(self) -> int:
        """Complete samples of this shard; before they are inspected, by their names."""
        if self.found is None:
            return len(self.refs) - resume.absent(self.job.out_dir, self.job.layout, self.refs)
        return self.found.complete + self.made

    def make_pending(self) -> None:
        """Runs the workers until nothing is left, or one fails."""
        todo = iter(self.found.pending if self.found else ())
        with ThreadPoolExecutor(self.job.workers) as pool:
            try:
                pool.submit(self.work, todo, 1).result()  # alone, since the first one compiles
                workers = [pool.submit(self.work, todo) for _ in range(self.job.workers)]
                for worker in as_completed(workers):
                    worker.result()
            finally:  # on Ctrl-C too: the samples in flight are finished, no others begun
                self.stop.set()

    def work(self, todo: Iterator[SampleRef], at_most: float = math.inf) -> None:
        """One worker."""
        made = 0
        try:
            while made < at_most and not self.stop.is_set():
                with self.lock:
                    ref = next(todo, None)
                if ref is None:
                    return
                self.make(ref)
                made += 1
        except BaseException:
            self.stop.set()
            raise

    def make(self, ref: SampleRef) -> None:
        """Renders, compresses and writes one sample."""
        job, marks = self.job, [time.perf_counter()]
        sample = self.produce(ref.split, ref.index)
        marks.append(time.perf_counter())
        files = job.layout.encode(ref, sample)
        scene_file = job.layout.scene_file(ref) if job.scenes else None
        if scene_file is not None:
            scene = {"source": resume.scene_source(job.layout, ref)} | sample.scene()
            files[scene_file] = to_json_bytes(scene)
        marks.append(time.perf_counter())
        for name, data in files.items():
            atomic.write(job.out_dir / name, data)
        marks.append(time.perf_counter())
        with self.lock:
            self.made += 1
            self.written.extend(files)
            for stage, start, end in zip(STAGES, marks, marks[1:], strict=False):
                self.seconds[stage] += end - start
            self.progress(self.done, len(self.refs))

    def finish(self) -> Report:
        """Flushes, and writes the metadata where every file of every shard is in place."""
        job = self.job
        atomic.flush(job.out_dir, self.written, job.workers)
        everything = tuple(samples(job.layout.generation))
        missing = resume.absent(job.out_dir, job.layout, everything)
        if not missing and folder.claimed_by(job.out_dir, job.layout):
            self.clean(everything)
            self.write_metadata()
        elapsed = time.perf_counter() - self.began
        flawed = self.found.flawed if self.found else ()
        return Report(
            found=self.done - self.made,
            written=self.made,
            flawed=flawed,
            missing=missing,
            seconds=self.seconds,
            elapsed=elapsed,
        )

    def write_metadata(self) -> None:
        """Leaves metadata alone that is there and right, so that a finished set is not touched."""
        metadata = self.job.layout.metadata()
        for name, data in metadata.items():
            path = self.job.out_dir / name
            if not path.exists() or path.read_bytes() != data:
                atomic.write(path, data)
        atomic.flush(self.job.out_dir, metadata, 1)

    def clean(self, refs: Sequence[SampleRef]) -> None:
        """Removes temporary files that killed runs left for ``refs`` and the metadata."""
        layout = self.job.layout
        names = [name for ref in refs for name in folder.owned_by_sample(layout, ref)]
        records = [f"{home}/generation.json".lstrip("/") for home in layout.homes]
        atomic.clean(self.job.out_dir, (*names, *layout.metadata(), *records))

    def state(self) -> str:
        """How far the run came and how to go on, as the second half of a sentence."""
        where = self.job.out_dir
        complete = f"{self.done} of {len(self.refs)} samples are complete in {where}"
        return f"{complete}, and the same command with --out_dir {where} continues there."


def _what_failed(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"writing failed: {reason}"
    return f"{os.fspath(error.filename)} cannot be written: {reason}"

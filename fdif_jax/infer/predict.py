"""Label files for many images: which are there already, and the rest one after another.

A file is written under its final name when it is whole, and its stamp tells by which weights, with
which settings and from which image it was made; so a run that was stopped goes on where it was,
and never takes over what something else has made.
"""

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdif_jax.data.datalist import Case
from fdif_jax.data.images import read_image
from fdif_jax.data.preprocess import Prepared
from fdif_jax.data.survey import Header
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.faults import enough_memory
from fdif_jax.infer.predictor import Predictor
from fdif_jax.infer.sliding_window import Progress, classes_of, window_count
from fdif_jax.io import atomic, nifti
from fdif_jax.io.stamp import Stamp
from fdif_jax.model_weights import weights_of
from fdif_jax.models.registry import Network

_ENDING = ".nii.gz"
_NO_MEMORY = (
    "there is not enough memory; lower --batch, leave --probabilities out, or cut the images: the "
    "label files that are written are good."
)


@dataclasses.dataclass(frozen=True)
class Job:
    """What to predict, and where to.

    Attributes:
      cases: the images.
      headers: of each case, as ``inputs.check_cases`` has them.
      out_dir: gets ``<case>.nii.gz``, and ``probabilities/<case>.nii.gz``.
      fingerprint: of weights and settings, see ``fingerprint``.
      channels: of the images.
      probabilities: write them besides the labels.
      overwrite: make anew what is there.
    """

    cases: Sequence[Case]
    headers: Sequence[Header]
    out_dir: Path
    fingerprint: str
    channels: int
    probabilities: bool = False
    overwrite: bool = False

    def label_file(self, case: Case) -> Path:
        """Where the labels of a case go."""
        return self.out_dir / f"{case.id}{_ENDING}"

    def probability_file(self, case: Case) -> Path:
        """Where its probabilities go."""
        return self.out_dir / "probabilities" / f"{case.id}{_ENDING}"


class Report(NamedTuple):
    """What a run did."""

    written: int
    skipped: int


def fingerprint(model: Network, predictor: Predictor) -> str:
    """16 hex digits that differ where weights or settings would give other labels."""
    windows = dataclasses.asdict(predictor.windows)
    del windows["batch"]
    settings = {"windows": windows, "plan": predictor.plan.to_json(), "classes": predictor.classes}
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8)
    for name, value in sorted(weights_of(model).items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def predict_cases(predictor: Predictor, job: Job, progress: Progress | None = None) -> Report:
    """Writes the label files that are not there yet, and stops at the first failure.

    While the network works on one case, the next one is read and prepared.

    Args:
      predictor: the network.
      job: what and where to.
      progress: told after every window; the number of all windows is estimated at first.

    Raises:
      InputError: an image cannot be read or holds NaN; a file is there that is not of this job.
      EnvironmentFault: the disk is full or the folder not writable. What was written stays.
    """
    _refuse_inputs(job)
    rest = [at for at in enumerate(job.cases) if job.overwrite or not _is_done(job, at[1])]
    estimates = [_estimate(predictor, case, job.headers[i]) for i, case in rest]
    try:
        job.out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"{job.out_dir} cannot be made a folder ({error.strerror}); choose another --out_dir."
        ) from error
    done, ahead = 0, sum(estimates)
    cases = [case for _, case in rest]
    with enough_memory(_NO_MEMORY):
        for written, (case, prepared) in enumerate(_prepared(predictor, job, cases)):
            ahead -= estimates[written]
            try:
                _write(predictor, job, case, prepared, _shifted(progress, done, ahead))
            except OSError as error:
                raise EnvironmentFault(
                    f"{job.label_file(case)} cannot be written ({error.strerror or error}); "
                    f"{written} of {len(rest)} are; run the command again once there is room, to "
                    "go on."
                ) from error
            done += window_count(prepared.image.shape[:3], predictor.windows)
    return Report(len(rest), len(job.cases) - len(rest))


def _refuse_inputs(job: Job) -> None:
    """Refuses to replace or delete an image that is to be predicted, and folders in the way."""
    images = {os.path.realpath(path) for case in job.cases for path in case.images}
    for case in job.cases:
        for path in (job.label_file(case), job.probability_file(case)):
            if os.path.realpath(path) in images:
                raise InputError(f"{path} is an image to predict; choose another --out_dir.")
            if path.is_dir():
                raise InputError(f"{path} is a folder; choose another --out_dir.")


def _estimate(predictor: Predictor, case: Case, header: Header) -> int:
    """How many windows a case takes, by its header."""
    try:
        return predictor.count(header.shape, header.affine)
    except InputError as error:
        raise InputError(f"{case.images[0]} {error}") from error


def _is_done(job: Job, case: Case) -> bool:
    """Whether this job has made the case's files; refuses files that something else has made."""
    path = job.label_file(case)
    if not path.exists():
        return False
    reason = nifti.flaw(path.read_bytes(), _stamp(job, case))
    if reason is not None:
        raise InputError(
            f"{path} is there, but not of this model, these settings and this image ({reason}); "
            "pass --overwrite, or choose another --out_dir."
        )
    return not job.probabilities or nifti.ends_as_it_says(job.probability_file(case))


def _stamp(job: Job, case: Case) -> Stamp:
    """What a case's label file holds, by what it was made of."""
    sums = [f"{zlib.crc32(path.read_bytes()):08x}" for path in case.images]
    digest = hashlib.blake2b(" ".join([job.fingerprint, *sums]).encode(), digest_size=8)
    return Stamp(digest.hexdigest(), "prediction", 0, "label")


def _prepared(
    predictor: Predictor, job: Job, cases: Sequence[Case]
) -> Iterator[tuple[Case, Prepared]]:
    """Each case, read and prepared while the one before it is in use."""

    def prepare(case: Case) -> Prepared:
        image = read_image(case.images, job.channels)
        try:
            return predictor.prepare(image)
        except InputError as error:
            raise InputError(f"{case.images[0]} {error}") from error

    with ThreadPoolExecutor(1) as pool:
        running = [pool.submit(prepare, case) for case in cases[:1]]
        for i, case in enumerate(cases):
            prepared = running.pop().result()
            running += [pool.submit(prepare, following) for following in cases[i + 1 : i + 2]]
            yield case, prepared


def _write(
    predictor: Predictor, job: Job, case: Case, prepared: Prepared, progress: Progress | None
) -> None:
    """The files of one case; the labels last, since they say that it is done."""
    affine = prepared.geometry.affine
    extra = job.probability_file(case)
    if job.probabilities:
        probabilities = predictor.probabilities(prepared, progress)
        extra.parent.mkdir(parents=True, exist_ok=True)
        with atomic.staged(extra) as temporary, temporary.open("xb") as file:
            nifti.write_channels(file, probabilities, affine)
        labels = classes_of(probabilities, predictor.classes)
        labels = labels if len(predictor.classes) > 1 else labels[..., 0]
    else:
        labels = predictor.labels(prepared, progress)
        extra.unlink(missing_ok=True)  # of an earlier run: it would belong to other labels
    atomic.write(job.label_file(case), nifti.encode(labels, _stamp(job, case), affine))


def _shifted(progress: Progress | None, before: int, ahead: int) -> Progress | None:
    """Progress within a case as progress of all."""
    if progress is None:
        return None
    return lambda done, total: progress(before + done, before + total + ahead)

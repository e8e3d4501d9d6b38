"""Which devices share a batch, and joining the processes of a cluster job."""

import jax
from jax.sharding import AxisType, Mesh

from fdif_jax.errors import InputError
from fdif_jax.train.step import AXIS


def join_processes(
    coordinator: str | None = None, count: int | None = None, number: int | None = None
) -> None:
    """Makes this process one of a job's; must come before anything asks for devices.

    Without arguments jax finds SLURM, Open MPI and Kubernetes by itself.

    Args:
      coordinator: HOST:PORT of process 0.
      count: processes.
      number: of this one, from 0.

    Raises:
      InputError: there is no such job, or the others do not answer.
    """
    if jax.distributed.is_initialized():
        return
    given = (coordinator, count, number)
    if any(v is not None for v in given) and any(v is None for v in given):
        raise InputError(
            "--coordinator, --num_processes and --process_id belong together; give all three, or "
            "none of them under SLURM, Open MPI or Kubernetes."
        )
    platforms: str | None = jax.config.jax_platforms  # type: ignore[attr-defined]
    if (platforms or "cpu").startswith("cpu"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(coordinator, count, number)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"the processes of the job could not be joined ({reason}); give --coordinator "
            "HOST:PORT, --num_processes and --process_id."
        ) from error


def make_mesh(count: int | None = None) -> Mesh:
    """One axis over the job's devices, or over the first ``count`` of this process.

    Raises:
      InputError: more devices than there are, or a part of a job's.
    """
    devices = jax.devices()
    if count is not None and count != len(devices):
        if jax.process_count() > 1:
            raise InputError(
                f"--devices {count} of {len(devices)}: a job of several processes trains on all "
                "of its devices; leave --devices out."
            )
        if not 1 <= count <= len(devices):
            raise InputError(f"devices is {count}; allowed: 1 to {len(devices)}.")
        devices = devices[:count]
    return jax.make_mesh((len(devices),), (AXIS,), (AxisType.Auto,), devices=devices)


def own_slots(crops: int, mesh: Mesh) -> range:
    """Which of an update's crops this process has to provide.

    Raises:
      InputError: the devices cannot share them evenly.
    """
    if crops % mesh.size:
        raise InputError(
            f"{crops} crops an update (images, for a classifier) cannot be shared by {mesh.size} "
            f"devices; make it a multiple of {mesh.size} by --batch_size, or set --devices."
        )
    here = sum(d.process_index == jax.process_index() for d in mesh.devices.flat)
    before = sum(d.process_index < jax.process_index() for d in mesh.devices.flat)
    each = crops // mesh.size
    return range(before * each, (before + here) * each)

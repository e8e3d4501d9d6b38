"""How much memory is there to be had, and numbers of bytes for people."""

from pathlib import Path

MIB, GIB = 2**20, 2**30


def memory_available() -> int | None:
    """Bytes that this process may still take: of the machine and of its container.

    None where the system does not say.
    """
    limits = [_meminfo(), *_cgroup_limits()]
    known = [limit for limit in limits if limit is not None]
    return min(known, default=None)


def human(count: float) -> str:
    """Bytes in MiB, GiB or TiB."""
    if count >= 1024 * GIB:
        return f"{count / GIB / 1024:,.1f} TiB"
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"


def _meminfo() -> int | None:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_limits() -> list[int | None]:
    """Of control groups, version 2 and 1: the limit less what is in use."""
    pairs = (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    )
    found: list[int | None] = []
    for limit, used in pairs:
        texts = _read(limit).strip(), _read(used).strip()
        if all(text.isdecimal() for text in texts):
            found.append(int(texts[0]) - int(texts[1]))
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""

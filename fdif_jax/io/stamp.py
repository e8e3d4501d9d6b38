"""What a file of a data set says of itself, so that a foreign or edited one is noticed."""

import dataclasses

_MARK = "fdif"


@dataclasses.dataclass(frozen=True, slots=True)
class Stamp:
    """What a file holds; two files with the same stamp hold the same voxels.

    Args:
      config_hash: hash of all that decides the voxels but split and index; 16 hex digits.
      split: ``training`` or ``validation``.
      index: number of the sample within its split.
      kind: ``image``, ``label`` or ``label_<task>``.
    """

    config_hash: str
    split: str
    index: int
    kind: str

    def text(self) -> str:
        """The stamp as it stands in the file, before the checksum."""
        return f"{_MARK} {self.config_hash} {self.split} {self.index} {self.kind}"

    def with_checksum(self, crc: int) -> str:
        """The stamp as it stands in the file, with the CRC-32 of what it vouches for."""
        return f"{self.text()} {crc:08x}"

    def contradiction(self, found: str, crc: int) -> str | None:
        """Why a file is not the intact one with this stamp, or None where it is.

        The answer fits behind the file's name.

        Args:
          found: what the file says of itself, with the checksum.
          crc: the CRC-32 of what it holds.
        """
        if not found.startswith(_MARK + " "):
            return "was not written by fdif"
        claimed, _, checksum = found.rpartition(" ")
        if claimed != self.text():
            return f"holds another sample ({claimed.removeprefix(_MARK + ' ')})"
        if checksum != f"{crc:08x}":
            return "was changed after fdif wrote it"
        return None


def kind_of(found: str) -> str | None:
    """The kind that a file's stamp names; None where fdif did not write it."""
    words = found.rstrip("\0").split()
    return words[4] if len(words) == 6 and words[0] == _MARK else None

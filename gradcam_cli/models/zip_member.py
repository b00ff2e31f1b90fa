"""Members of a zip archive that are stored without compression, as parts of its file."""

from __future__ import annotations

import io
import os
import zipfile
from typing import IO, Any, NamedTuple


class StoredMember(NamedTuple):
    """A member of an archive that is stored as it is.

    Attributes:
        start: offset of its first byte in the file of the archive.
        size: in bytes.
        crc: CRC-32 that the archive has for it.
    """

    start: int
    size: int
    crc: int


def stored_member(archive: zipfile.ZipFile, name: str) -> StoredMember | None:
    """Return where a member is in the file of an archive, or None if it is compressed.

    Raises:
        KeyError: the archive has no such member.
        zipfile.BadZipFile, OSError, RuntimeError: its header differs from the directory of the archive, or is missing.
    """
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        return None
    archive.open(member).close()  # compares the two headers
    file: IO[bytes] = archive.fp  # type: ignore[assignment]
    file.seek(member.header_offset + 26)
    lengths = file.read(4)
    start = member.header_offset + 30 + sum(int.from_bytes(lengths[at : at + 2], "little") for at in (0, 2))
    return StoredMember(start, member.file_size, member.CRC)


class FileWindow(io.RawIOBase):
    """A read-only file that is a part of another file.

    Attributes:
        start: offset of its first byte in the other file.
    """

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self.start = start
        self._file, self._size, self._position = file, size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the window."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position in the window."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read bytes into a buffer; return their number."""
        view = memoryview(buffer).cast("B")
        view = view[: max(self._size - self._position, 0)]
        self._file.seek(self.start + self._position)
        count = self._file.readinto(view) if len(view) else 0  # type: ignore[attr-defined]
        self._position += count
        return int(count)

"""Zips that people bring, read in memory: no path of an archive is ever written to."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from core.errors import BadInput

MOST_UNPACKED_BYTES = 2 << 30
UNREADABLE = (  # what zipfile and the decompressors below it raise for a damaged or an odd zip
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,  # bzip2, and a place before the file's start
    ValueError,  # among them names that are not UTF-8
    OverflowError,
    MemoryError,  # LZMA takes as much as the zip says it needs
    RuntimeError,  # a password; NotImplementedError is one
)


class Archive:
    """The files of a zip."""

    def __init__(self, data: bytes) -> None:
        """Open it.

        Raises:
            BadInput: not a zip.
        """
        with _translated():
            self._archive = zipfile.ZipFile(io.BytesIO(data))

    @property
    def names(self) -> list[str]:
        """Paths of its files within it, folders left out."""
        return [member.filename for member in self._archive.infolist() if not member.is_dir()]

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Files by their paths.

        Raises:
            BadInput: damaged, with a password, or more than 2 GiB together.
        """
        if sum(self._archive.getinfo(name).file_size for name in names) > MOST_UNPACKED_BYTES:
            what = names[0] if len(names) == 1 else "What the zip holds"
            raise BadInput(f"{what} is larger than 2 GiB.", hint="Cut it into parts and bring them one by one.")
        with _translated():
            return {name: self._archive.read(name) for name in names}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        why = str(error) or type(error).__name__
        raise BadInput(f"The zip cannot be read: {why}.", hint="Pack it again, without a password.") from error

"""The images of a server, those of a directory and those that the page uploads; a client names them by their ids."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from gradcam_cli.errors import InputError
from gradcam_cli.images.discover import find_sources
from gradcam_cli.images.in_memory import BytesSource
from gradcam_cli.images.load import LoadedImage, Unexplained, load_image
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.source import Source
from gradcam_cli.reporting.rerun import escape_for_display
from gradcam_cli.serving.byte_cache import ByteCache

MAX_UPLOAD_BYTES = 1 << 26
"""Limit of an uploaded file."""
MAX_UPLOADS_BYTES, MAX_DECODED_BYTES = 1 << 28, 1 << 28
"""Bytes of the uploaded files that are kept, and of decoded images; the least recently used are dropped."""
MAX_NAME_LENGTH = 200


class UnknownImage(Exception):  # noqa: N818  # an answer to the client
    """No image has this id, or the upload was dropped."""


@dataclass(frozen=True)
class StoredImage:
    """An image that the page can name.

    Attributes:
        id: names it in requests.
        name: as the page shows it.
        source: reads it; its name is that of the image on a command line.
    """

    id: str
    name: str
    source: Source


class ImageStore:
    """Lists and reads the images of a server; several threads may use it.

    Args:
        directory: its images are listed once, in natural order, with those of its folders; None for no directory.
        options: how they are read.
        arrays: whether `.npy` files are images.
    """

    def __init__(
        self,
        directory: str | None = None,
        options: ReadOptions = ReadOptions(),  # noqa: B008
        *,
        arrays: bool = False,
    ) -> None:
        self.directory = directory
        self._options = options
        found = find_sources([directory], arrays=arrays, rank=options.rank) if directory else ()
        self._listed = [StoredImage(str(i), _shown(source), source) for i, source in enumerate(found)]
        self._by_id = {image.id: image for image in self._listed}
        self._uploads: ByteCache[StoredImage] = ByteCache(MAX_UPLOADS_BYTES)
        self._decoded: ByteCache[LoadedImage] = ByteCache(MAX_DECODED_BYTES)

    @property
    def directory_name(self) -> str | None:
        """The name of the directory, as the page shows it."""
        return escape_for_display(os.path.basename(os.path.abspath(self.directory))) if self.directory else None

    def listed(self, query: str = "") -> Sequence[StoredImage]:
        """Return the images of the directory whose names contain a text, in upper or lower case."""
        text = query.casefold()
        return [image for image in self._listed if text in image.name.casefold()] if text else self._listed

    def add(self, data: bytes, name: str) -> tuple[StoredImage, LoadedImage]:
        """Keep an uploaded file; the same file gets the same id.

        Args:
            data: its bytes.
            name: from the client.

        Raises:
            InputError: it is no image, or one that the limits refuse.
        """
        name = clean_name(name)
        image_id = "u" + hashlib.sha256(name.encode("utf-8", "surrogatepass") + b"\0" + data).hexdigest()[:20]
        image = StoredImage(image_id, escape_for_display(name), BytesSource(name, data=data))
        loaded = self.load(image)
        return self._uploads.put(image_id, image, len(data)), loaded

    def find(self, image_id: str) -> StoredImage:
        """Return an image by its id.

        Raises:
            UnknownImage: there is none.
        """
        image = self._by_id.get(image_id) or self._uploads.get(image_id)
        if image is None:
            raise UnknownImage
        return image

    def load(self, image: StoredImage, *, kept: bool = True) -> LoadedImage:
        """Return the decoded image.

        Args:
            image: from `find`.
            kept: whether it is likely to be needed again.

        Raises:
            InputError: it cannot be read.
        """
        if found := self._decoded.get(image.id):
            return found
        loaded = load_image(image.source, self._options)
        if isinstance(loaded, Unexplained):
            raise InputError(f"{image.name}: {loaded.error}", loaded.hint)
        return self._decoded.put(image.id, loaded, loaded.decoded().nbytes) if kept else loaded


def clean_name(header: str) -> str:
    """Return the name of an uploaded file from its percent-encoded header: its last part, of limited length."""
    name = os.path.basename(unquote(header, errors="replace").replace("\\", "/").replace("\0", ""))
    stem, suffix = os.path.splitext(name)
    return (stem[: MAX_NAME_LENGTH - len(suffix[:20])] + suffix[:20]) or "image"


def _shown(source: Source) -> str:
    return escape_for_display(str(source.relative_path or source.name))

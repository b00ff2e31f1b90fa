"""Files are written here and nowhere else: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the target's place, at once, when the block ends well.

    Missing folders are made. If the block raises, the target is as it was and nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".gradcam-{secrets.token_hex(6)}.part"
    try:
        with open(partial, "xb") as file:
            yield file
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise

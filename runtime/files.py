"""Files that appear under their name in one step, so that no reader meets half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def put(file: Path, data: bytes) -> None:
    """The file with these bytes, in place of an old one; what cannot be written leaves nothing behind.

    Raises:
        OSError: the folder is not there, cannot be written, or is full.
    """
    with tempfile.NamedTemporaryFile(
        dir=file.parent, prefix=f".{file.name}.", delete=False
    ) as part:
        try:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
            os.chmod(part.name, 0o644)
            os.replace(part.name, file)
        except OSError:
            Path(part.name).unlink(missing_ok=True)
            raise

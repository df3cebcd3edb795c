"""Pictures of ads as data URLs: what a vision model is sent and what a CLIP model embeds."""

from __future__ import annotations

import base64
from pathlib import Path

from merchgraph.runtime.errors import SetupError

LARGEST_BYTES = 8_000_000
"""Of one picture; servers refuse a request that is much longer."""
KINDS = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"RIFF": "webp",
}
"""How the files of each kind begin."""


def picture(image: str) -> str:
    """A picture as a model is sent it: a data URL, or the web address that was given; "" for none.

    Args:
        image: a path, a data URL, a web address, or "".

    Raises:
        SetupError: no such file, no picture of a kind that models read, or one that is too large.
    """
    if not image or image.startswith(("https://", "http://")):
        return image
    if image.startswith("data:"):
        data, kind = _decoded(image), _kind(_decoded(image))
        said = repr(f"{image[:40]}...")
    else:
        path, said = Path(image).expanduser(), repr(image)
        try:
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # a name that no file can have
            why = error.strerror if isinstance(error, OSError) else error
            raise SetupError(f"The image {said} cannot be read: {why}; give its path.") from error
        kind = _kind(data)
    if not kind:
        raise SetupError(f"The image {said} is none; expected PNG, JPEG, GIF or WebP.")
    if len(data) > LARGEST_BYTES:
        raise SetupError(
            f"The image {said} has {len(data):,} bytes; save it with {LARGEST_BYTES:,} at most."
        )
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def content(url: str) -> bytes | None:
    """The bytes of a data URL that `picture` made; None of a web address, which nobody fetches."""
    return _decoded(url) if url.startswith("data:") else None


def _decoded(url: str) -> bytes:
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except ValueError:
        return b""


def _kind(data: bytes) -> str:
    return next((kind for start, kind in KINDS.items() if data.startswith(start)), "")

"""Pictures as data URLs."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.ctr import images
from merchgraph.tools.ctr.images import content, picture

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


@pytest.mark.parametrize(
    ("data", "kind"),
    [(PNG, "png"), (b"\xff\xd8\xff\xe0x", "jpeg"), (b"GIF89a", "gif"), (b"RIFF0000WEBP", "webp")],
)
def test_a_file_becomes_a_data_url_of_its_kind(tmp_path: Path, data: bytes, kind: str) -> None:
    file = tmp_path / "ad.bin"
    file.write_bytes(data)
    url = picture(str(file))
    assert url == f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    assert picture(url) == url
    assert content(url) == data


def test_a_web_address_is_passed_on_and_not_fetched() -> None:
    assert picture("https://shop.test/a.png") == "https://shop.test/a.png"
    assert content("https://shop.test/a.png") is None


def test_no_image_is_no_picture() -> None:
    assert picture("") == ""


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("none.png", "'none.png' cannot be read: No such file"),
        (".", "'.' cannot be read: Is a directory"),
        ("a\0b", "cannot be read: embedded null"),
        ("data:image/png;base64,!!", "is none; expected PNG, JPEG, GIF or WebP"),
        ("data:text/plain;base64,aGVsbG8=", "is none; expected"),
        ("data:", "is none; expected"),
    ],
)
def test_what_is_no_picture_is_said(image: str, told: str) -> None:
    with pytest.raises(SetupError) as caught:
        picture(image)
    assert told in str(caught.value)


def test_a_text_file_is_no_picture(tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("RIF and more", encoding="utf-8")
    with pytest.raises(SetupError, match=r"secret\.txt' is none"):
        picture(str(file))


def test_a_picture_that_is_too_large_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGEST_BYTES", 8)
    file = tmp_path / "ad.png"
    file.write_bytes(PNG)
    with pytest.raises(SetupError, match="has 12 bytes; save it with 8 at most"):
        picture(str(file))

"""
Messages to relay: those of CPython's own e-mail tests, and awkward ones of our own.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from tests.e2e.processes import require

DEBIAN = Path("/usr/lib/python3.11/test/test_email/data")
HEAD = b"From: <a@origin.test>\r\nSubject: awkward\r\n\r\n"


def cpython_folder() -> Path | None:
    """
    Find the data of CPython's e-mail tests: this interpreter's, or those of libpython3.11-testsuite.
    """
    spec = importlib.util.find_spec("test")
    places = [Path(each) / "test_email" / "data" for each in (spec.submodule_search_locations or [])] if spec else []
    return next((each for each in [*places, DEBIAN] if each.is_dir()), None)


def normalised(raw: bytes) -> bytes:
    """
    Give every line CRLF, the last one too: what a client can send.
    """
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


def cpython_messages() -> dict[str, bytes]:
    """
    Read all messages of CPython's corpus, by a name made of the file's; skips the test where it is not installed.
    """
    folder = cpython_folder()
    require(folder is not None, "CPython's e-mail test corpus is not installed")
    files = sorted((folder or DEBIAN).glob("*.txt"))
    return {file.stem.replace("_", "-").lower(): normalised(file.read_bytes()) for file in files}


def our_messages() -> dict[str, bytes]:
    """
    What that corpus lacks.
    """
    every = bytes(each for each in range(1, 256) if each not in b"\r\n")
    return {
        "eight-bit": HEAD + "Grüße, 日本語, ελληνικά".encode() + b"\r\n",
        "latin-1": HEAD + bytes(range(160, 256)) + b"\r\n",
        "eight-bit-header": b"Subject: " + "Grüße".encode() + b"\r\n\r\nx\r\n",
        "long-line": HEAD + b"l" * 100 * 1024 + b"\r\n",
        "long-lines": HEAD + (b"m" * 100 * 1024 + b"\r\n") * 5,
        "long-line-of-dots": HEAD + b"." * 100 * 1024 + b"\r\n",
        "long-header": b"Subject: " + b"s" * 20000 + b"\r\n\r\nx\r\n",
        "dots": HEAD + b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
        "dot-first": b".leading\r\n.dots\r\n",
        "empty": b"",
        "only-headers": b"Subject: nothing\r\n",
        "empty-body": HEAD,
        "empty-lines": HEAD + b"\r\n" * 1000,
        "starts-with-empty-line": b"\r\nbody\r\n",
        "every-byte": HEAD + every + b"\r\n",
        "every-byte-a-line": HEAD + b"".join(bytes([each]) + b"\r\n" for each in every),
        "large": HEAD + (b"0123456789abcdef" * 4 + b"\r\n") * 32768,
    }


def all_messages() -> dict[str, bytes]:
    """
    Both.
    """
    return {**cpython_messages(), **our_messages()}

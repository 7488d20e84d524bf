"""
Keys and messages for the tests of signatures.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from empath.config.schema import Dkim, DkimKey
from empath.config.units import File
from empath.mail.address import parse_address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message
from empath.mail.origin import TRUSTED, Origin

HEADER = b"From: A <a@example.org>\r\nSubject: x\r\n"
BODY = b"\r\nhello\r\n"


@cache
def rsa(bits: int = 2048, number: int = 0) -> RSAPrivateKey:
    """
    Give an RSA key, the same for the same number.
    """
    return generate_private_key(65537, bits)


@cache
def ed25519(number: int = 0) -> Ed25519PrivateKey:
    """
    Give an Ed25519 key.
    """
    return Ed25519PrivateKey.generate()


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    """
    Write a private key.
    """
    return bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))


def record(key: RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    """
    Give the TXT record that publishes a key.
    """
    if isinstance(key, Ed25519PrivateKey):
        return b"v=DKIM1; k=ed25519; p=" + b64encode(key.public_key().public_bytes_raw())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b64encode(public)


def dkim_key(path: Path, domain: str = "example.org", selector: str = "s", **more: Any) -> DkimKey:
    """
    Give the section of one key.
    """
    return DkimKey(domain, selector, File(str(path)), **more)


def section_of(*keys: DkimKey, **more: Any) -> Dkim:
    """
    Give [delivery.dkim].
    """
    return Dkim(keys, **more)


def message(
    header: bytes = HEADER,
    body: bytes | None = BODY,
    *recipients: str,
    queue_id: str = "ID",
    size: int | None = None,
    eight_bit: bool = False,
    origin: Origin = TRUSTED,
) -> Message:
    """
    Make a message.
    """
    to = tuple(Recipient(parse_address(text)) for text in recipients or ("b@example.net",))
    envelope = Envelope(parse_address("a@example.org"), to)
    length = len(header) + len(body or b"") if size is None else size
    file = None if body is not None else "file"
    return Message(queue_id, 0.0, envelope, header, body, file, length, eight_bit, origin=origin)

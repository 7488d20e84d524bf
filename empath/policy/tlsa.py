"""
Which TLSA records count, and which certificate one of them means (RFC 6698, RFC 7671, RFC 7672 §3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256, sha512
from typing import Final

from empath.mail.answer import TlsaRecord

TRUST_ANCHOR: Final = 2  # DANE-TA: who issued the server's certificate, at whatever distance
END_ENTITY: Final = 3  # DANE-EE: the server's certificate itself; no name, no date, no issuer counts

WHOLE_CERTIFICATE: Final = 0
PUBLIC_KEY: Final = 1

EXACT: Final = 0
_DIGESTS: Final[Mapping[int, Callable[[bytes], bytes]]] = {
    1: lambda content: sha256(content).digest(),
    2: lambda content: sha512(content).digest(),
}
_LENGTHS: Final[Mapping[int, int]] = {1: 32, 2: 64}
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0  # the one element before the serial number, absent in version 1


def usable(records: Iterable[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """
    Give the records that can vouch for a mail server, in an order that is the same for the same records.

    Usages 0 and 1 cannot (RFC 7672 §3.1.3), nor can what we do not know or what is malformed. Of the digests for one
    usage and selector only the strongest count (RFC 7671 §9), so that nobody is let in by a weaker one.
    """
    known = {record for record in records if _known(record)}
    best: dict[tuple[int, int], int] = {}
    for record in known:
        of = record.usage, record.selector
        best[of] = max(best.get(of, EXACT), record.matching)
    chosen = [r for r in known if r.matching in (EXACT, best[r.usage, r.selector])]
    return tuple(sorted(chosen, key=lambda r: (r.usage, r.selector, r.matching, r.association)))


def matches(record: TlsaRecord, certificate: bytes, public_key: bytes) -> bool:
    """
    Tell whether a record means a certificate: `certificate` is the whole of it, `public_key` its SubjectPublicKeyInfo,
    both in DER.
    """
    chosen = certificate if record.selector == WHOLE_CERTIFICATE else public_key
    digest = _DIGESTS.get(record.matching)
    return record.association == (chosen if digest is None else digest(chosen))


def owner(host: str, port: int) -> str:
    """
    Tell where the TLSA records of a server are (RFC 6698 §3).
    """
    return f"_{port}._tcp.{host}"


def spelled(record: TlsaRecord) -> str:
    """
    Spell a record as zone files and reports do (RFC 6698 §2.2, RFC 8460 §4.4).
    """
    return f"{record.usage} {record.selector} {record.matching} {record.association.hex()}"


def _known(record: TlsaRecord) -> bool:
    if record.usage not in (TRUST_ANCHOR, END_ENTITY) or record.selector not in (WHOLE_CERTIFICATE, PUBLIC_KEY):
        return False
    if record.matching == EXACT:
        return _is_sequence(record.association)
    return len(record.association) == _LENGTHS.get(record.matching)


def _is_sequence(content: bytes) -> bool:
    """
    Tell whether this may be a certificate or a key: one DER SEQUENCE, whole and nothing behind it.
    """
    tag, body, rest = _element(content)
    return tag == _SEQUENCE and bool(body) and not rest


def public_key_of(certificate: bytes) -> bytes:
    """
    Cut the SubjectPublicKeyInfo out of a certificate in DER (RFC 5280 §4.1), byte by byte as it is there; b"" if it is
    no certificate.
    """
    _, body, _ = _element(certificate)
    _, body, _ = _element(body)
    tag, _, rest = _element(body)
    for _ in range(5 if tag == _VERSION else 4):  # serial number, signature, issuer, validity, subject
        rest = _element(rest)[2]
    body = rest
    tag, content, rest = _element(body)
    return body[: len(body) - len(rest)] if tag == _SEQUENCE and content else b""


def _element(encoded: bytes) -> tuple[int, bytes, bytes]:
    """
    Part the first element of DER from the rest: its tag, its content, what follows; all empty where it is not whole.
    """
    if len(encoded) < 2:
        return 0, b"", b""
    octets = encoded[1] & 0x7F if encoded[1] & 0x80 else 0
    start = 2 + octets
    length = int.from_bytes(encoded[2:start], "big") if octets else encoded[1]
    if octets > 4 or start + length > len(encoded):
        return 0, b"", b""
    return encoded[0], encoded[start : start + length], encoded[start + length :]

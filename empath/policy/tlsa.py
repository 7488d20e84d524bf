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
    if len(content) < 2 or content[0] != _SEQUENCE:
        return False
    first = content[1]
    if first < 0x80:
        return len(content) == 2 + first
    octets = first & 0x7F
    return 0 < octets <= 4 and len(content) == 2 + octets + int.from_bytes(content[2 : 2 + octets], "big")

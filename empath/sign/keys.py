"""
The keys of [delivery.dkim], as they stand in files.

Fatal, raised from `Keys.prepare`: a file that no key can be had from, or one that verifiers refuse (ConfigError).
Retried, with an error line once per change: files that changed into such; mail that they should sign waits, since their
older key may be withdrawn. Ignored, with a warning: RSA keys that are short.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.config.schema import Dkim, DkimKey
from empath.errors import ConfigError, SigningFailed
from empath.mail.address import canonical_domain
from empath.mail.dkim.signature import Algorithm, Form, Signatory
from empath.net.tls_files import PemFiles, Stamp, TlsUnusable, private_key_in, stamp
from empath.sign.rsa import rsa_signing

LOOK_AGAIN: Final = 1.0  # seconds between two looks at a file
SHORTEST: Final = 1024  # bits that verifiers must take (RFC 8301 §3.2)
SHORT: Final = 2048

log = Logger()


@attrs.frozen(slots=True, eq=False)
class SigningKey:
    """
    A key as it was read: `sign` makes the signature of a SHA-256 hash; where it is `quick` a thread would cost more.
    """

    signatory: Signatory
    sign: Callable[[bytes], bytes] = attrs.field(repr=False)
    quick: bool


@attrs.define(slots=True, eq=False)
class _Kept:
    """
    One key of the section, as its file was when it was last looked at; `trouble` is why it cannot be used.
    """

    where: str
    section: DkimKey
    domain: str
    forms: tuple[Form, Form]
    files: PemFiles
    seen: Stamp | None
    looked: float
    key: SigningKey | None = None
    trouble: str = ""


class Keys:
    """
    The keys of a section, by domain. Files that change are read again.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._by_domain: dict[str, list[_Kept]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_domain)

    def prepare(self, section: Dkim) -> Callable[[], None]:
        """
        Read the files that a section names, and give what has them used; ConfigError if one is of no use.
        """
        by_domain: dict[str, list[_Kept]] = {}
        problems: list[str] = []
        for number, key in enumerate(section.keys):
            where = f"delivery.dkim.keys[{number}]"
            try:
                kept = self._keep(where, key, section)
            except TlsUnusable as trouble:
                problems.append(str(trouble))
            except ValueError as trouble:
                problems.append(f'{where}.domain: found "{key.domain}": {trouble}')
            else:
                by_domain.setdefault(kept.domain, []).append(kept)
        if problems:
            raise ConfigError(problems)

        def use() -> None:
            self._by_domain = by_domain

        return use

    def of(self, domain: str) -> tuple[SigningKey, ...]:
        """
        Give the keys that sign mail of a domain: its own, or those of the nearest one above it that are for subdomains.
        SigningFailed if one of them cannot be had now.
        """
        found = self._by_domain.get(domain, ())
        above = domain
        while not found and "." in above:
            above = above.partition(".")[2]
            found = [kept for kept in self._by_domain.get(above, ()) if kept.section.subdomains]
        return tuple([self._current(kept) for kept in found])

    def _keep(self, where: str, key: DkimKey, section: Dkim) -> _Kept:
        header_form, _, body_form = section.canonicalization.partition("/")
        forms: tuple[Form, Form] = (_form(header_form), _form(body_form))
        path, domain = key.private_key, canonical_domain(key.domain)
        kept = _Kept(where, key, domain, forms, PemFiles(), stamp(path), self._clock.seconds())
        kept.key = _read(kept)
        return kept

    def _current(self, kept: _Kept) -> SigningKey:
        now = self._clock.seconds()
        if not 0.0 <= now - kept.looked < LOOK_AGAIN:
            kept.looked = now
            self._look(kept)
        if kept.key is None:
            raise SigningFailed(kept.trouble)
        return kept.key

    def _look(self, kept: _Kept) -> None:
        before, kept.seen = kept.seen, stamp(kept.section.private_key)
        if before == kept.seen and kept.key is not None:
            return
        try:
            kept.key = _read(kept)
        except TlsUnusable as trouble:
            kept.key = None
            if kept.trouble != str(trouble):
                log.error("{reason}; mail that it signs waits", reason=str(trouble))
            kept.trouble = str(trouble)
        else:
            kept.trouble = ""
            log.info("{where}.private_key: loaded anew", where=kept.where)


def _form(name: str) -> Form:
    return "simple" if name == "simple" else "relaxed"


def _read(kept: _Kept) -> SigningKey:
    """
    Read a key, TlsUnusable if it is none to sign with.
    """
    section, where = kept.section, f"{kept.where}.private_key"
    path = section.private_key
    key = private_key_in(kept.files.text(where, path), where, path)
    if isinstance(key, RSAPrivateKey):
        algorithm: Algorithm = "rsa-sha256"
        if key.key_size < SHORTEST:
            reason = f"an RSA key of {key.key_size} bits; verifiers refuse less than {SHORTEST} (RFC 8301)"
            raise TlsUnusable(where, path, reason)
        if key.key_size < SHORT:
            log.warn(
                "{where}: an RSA key of {bits} bits is short; {short} are good",
                where=where,
                bits=key.key_size,
                short=SHORT,
            )
        sign = rsa_signing(key)
    elif isinstance(key, Ed25519PrivateKey):
        algorithm, sign = "ed25519-sha256", key.sign
    else:
        raise TlsUnusable(where, path, "neither an RSA nor an Ed25519 key (RFC 6376 §3.3, RFC 8463)")
    if section.algorithm not in ("", algorithm):
        raise TlsUnusable(where, path, f"a key for {algorithm}, not for {section.algorithm}")
    signatory = Signatory(kept.domain, section.selector, algorithm, *kept.forms)
    return SigningKey(signatory, sign, algorithm == "ed25519-sha256")

"""
The certificates that we show to servers which ask for one.

Fatal, raised from `Identities.use`: files that no certificate can be had from (ConfigError). Ignored, with an error
line once per change: files that changed into such; the certificate that is in use stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.config.schema import Delivery as Section
from empath.config.schema import KeyPair
from empath.errors import ConfigError
from empath.net.tls_files import Identity, PemFiles, Stamp, TlsUnusable, stamp

LOOK_AGAIN: Final = 1.0  # seconds between two looks at the files

log = Logger()


@attrs.define(slots=True, eq=False)
class _Shown:
    """
    One certificate, as its files were when they were last looked at.
    """

    where: str
    pair: KeyPair
    files: PemFiles
    identity: Identity
    seen: tuple[Stamp | None, ...]
    looked: float


class Identities:
    """
    The certificates of a section, by the names of their files. Files that change are read again.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._shown: dict[str, _Shown] = {}

    def use(self, section: Section) -> None:
        """
        Read the files that a section names; ConfigError, and nothing changed, if one is of no use.
        """
        self.prepare(section)()

    def prepare(self, section: Section) -> Callable[[], None]:
        """
        Read the files as `use` does, and give what has them used.
        """
        try:
            shown = {str(pair.certificate): self._read(where, pair) for where, pair in pairs(section).items()}
        except TlsUnusable as trouble:
            raise ConfigError([str(trouble)]) from trouble

        def use() -> None:
            self._shown = shown

        return use

    def find(self, certificate: str) -> Identity | None:
        """
        Give a certificate by its file as it is now, None where there is none by that name.
        """
        shown = self._shown.get(certificate)
        if shown is None:
            return None
        now = self._clock.seconds()
        if not 0.0 <= now - shown.looked < LOOK_AGAIN:
            shown.looked = now
            self._look(shown)
        return shown.identity

    def ends(self) -> dict[str, float]:
        """
        Tell when each certificate ends, in seconds since the epoch, by its file.
        """
        found = {path: self.find(path) for path in self._shown}
        return {path: identity.expires for path, identity in found.items() if identity is not None}

    def _read(self, where: str, pair: KeyPair) -> _Shown:
        files = PemFiles()
        seen = _stamps(pair)
        return _Shown(where, pair, files, files.identity(pair, where), seen, self._clock.seconds())

    def _look(self, shown: _Shown) -> None:
        before, shown.seen = shown.seen, _stamps(shown.pair)
        if before == shown.seen:
            return
        try:
            shown.identity = shown.files.identity(shown.pair, shown.where)
        except TlsUnusable as trouble:
            log.error("{reason}; the certificate that was loaded before stays in use", reason=str(trouble))
        else:
            log.info("{where}certificate: loaded anew", where=shown.where)


def pairs(section: Section) -> dict[str, KeyPair]:
    """
    Tell the certificates of a section with their keys, by what stands before them in the configuration.
    """
    named = {"delivery.tls.": KeyPair(section.tls.certificate, section.tls.private_key)}
    for name, domain in section.domains.items():
        named[f'delivery.domains."{name}".'] = KeyPair(domain.certificate, domain.private_key)
    return {where: pair for where, pair in named.items() if pair.certificate}


def _stamps(pair: KeyPair) -> tuple[Stamp | None, ...]:
    return stamp(pair.certificate), stamp(pair.private_key)

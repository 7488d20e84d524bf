"""
TLS of the listeners: certificates that are read where the ports are bound, and read again once their files change.

Fatal, raised from `ServerTls.load`: files that TLS cannot be had with (ConfigError). Ignored, with an error line once
per change: files that changed into such; the certificate that is in use stays.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from empath.config.schema import KeyPair, Listener
from empath.errors import ConfigError
from empath.net.binding import channel_bindings as channel_bindings  # beside `described`, for who describes a session
from empath.net.tls_files import Identity, PemFiles, Stamp, TlsUnusable, stamp
from empath.receive.tls_context import Contexts, contexts

LOOK_AGAIN: Final = 1.0  # seconds between two looks at the files

log = Logger()


class RightsGone(ConfigError):
    """
    A listener's files changed into such that only somebody else may read; `key` is that of the file, `why` the reason.
    """

    def __init__(self, key: str, trouble: TlsUnusable) -> None:
        super().__init__([f"{key.removesuffix(trouble.key)}{trouble}"])
        self.key, self.why = key, trouble.reason


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """
    One listener's TLS; `name` is how errors call the listener, such as "smtp.listeners[0]".

    `load` comes before the first handshake. `files` may be shared with other listeners. `expires` is when the first of
    the certificates in use ends, in seconds since the epoch; `paths` are those of all files.
    """

    def __init__(self, listener: Listener, name: str, clock: IReactorTime, files: PemFiles | None = None) -> None:
        self._name = name
        self._clock = clock
        self._pairs = {"": KeyPair(listener.certificate, listener.private_key)}
        self._pairs |= {f"certificates[{at}].": pair for at, pair in enumerate(listener.certificates)}
        self._client_ca = listener.client_ca
        paths = {path for pair in self._pairs.values() for path in (pair.certificate, pair.private_key)}
        self.paths = sorted(paths | {listener.client_ca} - {""})
        self._files = files or PemFiles()
        self._seen: tuple[Stamp | None, ...] = ()
        self._looked = 0.0
        self._contexts: Contexts | None = None
        self._sound = False
        self.expires = 0.0
        self._ends: dict[str, float] = {}

    def load(self) -> None:
        """
        Read the files, while there are the privileges to do it. ConfigError if TLS cannot be had with them.
        """
        self._note()
        try:
            self._adopt()
        except TlsUnusable as trouble:
            raise ConfigError([f"{self._name}.{trouble}"]) from trouble

    def prepare(self, name: str) -> Callable[[], None]:
        """
        Read the files as they are now, and give what has them used, and the listener called so, which does not fail.
        ConfigError if they cannot be, RightsGone if only somebody else may read them.
        """
        seen = tuple(map(stamp, self.paths))
        if self._sound and seen == self._seen:
            return partial(self.call, name)
        try:
            read = self._read()
        except TlsUnusable as trouble:
            if trouble.denied:
                raise RightsGone(f"{name}.{trouble.key}", trouble) from trouble
            raise ConfigError([f"{name}.{trouble}"]) from trouble

        def use() -> None:
            self.call(name)
            self._seen, self._looked = seen, self._clock.seconds()
            self._take(*read)

        return use

    def call(self, name: str) -> None:
        """
        Have errors call the listener so.
        """
        self._name = name

    def creator(self) -> IOpenSSLServerConnectionCreator:
        """
        Give what `transport.startTLS` takes.
        """
        return self

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Begin a handshake, with the certificates that the files hold now.
        """
        self._look_again()
        if self._contexts is None:
            raise RuntimeError(f"{self._name}: no certificate was loaded")
        return SSL.Connection(self._contexts.default, None)

    def ends(self) -> dict[str, float]:
        """
        Tell when each certificate ends, in seconds since the epoch, by its file: those that the next handshake shows.
        """
        self._look_again()
        return self._ends

    def _look_again(self) -> None:
        if not 0.0 <= self._clock.seconds() - self._looked < LOOK_AGAIN:
            self._look()

    def _note(self) -> tuple[Stamp | None, ...]:
        """
        Remember what the files look like now; tell what they looked like before.
        """
        before, self._seen = self._seen, tuple(map(stamp, self.paths))
        self._looked = self._clock.seconds()
        return before

    def _look(self) -> None:
        """
        Use the files as they are now, if they have changed and are sound.
        """
        if self._note() == self._seen:
            return
        try:
            self._adopt()
        except TlsUnusable as trouble:
            log.error(
                "{listener}.{reason}; the certificates that were loaded before stay in use",
                listener=self._name,
                reason=str(trouble),
            )
        else:
            log.info("{listener}: certificates loaded anew, valid until {end}", listener=self._name, end=self._end())

    def _adopt(self) -> None:
        """
        Read what has changed and use it; TlsUnusable if that cannot be.
        """
        self._sound = False
        self._take(*self._read())

    def _read(self) -> tuple[Contexts, list[tuple[str, KeyPair, Identity]]]:
        """
        Read what has changed; TlsUnusable if TLS cannot be had with it.
        """
        found = [(key, pair, self._files.identity(pair, key)) for key, pair in self._pairs.items()]
        authorities = self._files.authorities(self._client_ca) if self._client_ca else ()
        named = [(f"{key}certificate {pair.certificate}", identity) for key, pair, identity in found]
        return contexts(named, authorities), found

    def _take(self, made: Contexts, found: list[tuple[str, KeyPair, Identity]]) -> None:
        """
        Use what was read.
        """
        self._contexts, self._sound = made, True
        self._ends = {pair.certificate: identity.expires for _, pair, identity in found}
        self.expires = min(self._ends.values())
        for key, pair, identity in found:
            self._check_dates(f"{key}certificate", pair.certificate, identity)

    def _check_dates(self, key: str, path: str, identity: Identity) -> None:
        """
        Warn of a certificate that clients which look at it will not take.
        """
        now = self._clock.seconds()
        first = identity.chain[0]
        if now > identity.expires:
            said = f"expired on {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        elif now < first.not_valid_before_utc.timestamp():
            said = f"not valid before {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        else:
            return
        log.warn("{listener}.{key}: {path}: {said}", listener=self._name, key=key, path=path, said=said)

    def _end(self) -> str:
        return f"{datetime.fromtimestamp(self.expires, UTC):%Y-%m-%d %H:%M} UTC"


def described(connection: SSL.Connection) -> tuple[str, str, str]:
    """
    Tell the protocol's version ("TLSv1.3"), the cipher suite, and the subject of the client's certificate.

    The subject is RFC 4514's text with control characters escaped, "" without a certificate; that it was verified is
    what the handshake is for.
    """
    certificate = connection.get_peer_certificate()
    subject = "" if certificate is None else certificate.to_cryptography().subject.rfc4514_string()
    shown = "".join(char if char.isprintable() else _escaped(char) for char in subject)
    return connection.get_protocol_version_name(), connection.get_cipher_name() or "", shown


def _escaped(char: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in char.encode("utf-8", "surrogatepass"))

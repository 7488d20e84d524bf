"""
Who may see a page: whoever has the token, or, while there is none, who is on this machine and asked for it themselves.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from twisted.internet.defer import Deferred

from empath.observe.web.page import Answer, Ask, Asked, Page, Pages, text

_BEARER: Final = re.compile(
    r"bearer +([!-~]+) *", re.ASCII | re.IGNORECASE
)  # RFC 6750 §2.1, RFC 9110 §11.1; beyond which curl and Prometheus send what the operator chose
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]*)?")


class Guard:
    """
    Guards pages by `token_hash`, the SHA-256 of a bearer token in hexadecimal, "" for none; `key` is what it is called
    in the configuration, and `hostname` our own.

    Without a token only clients on this machine are answered, and only those that name it by an address, as localhost
    or by `hostname`: a site that a browser on this machine shows could otherwise have its own name lead here, and read
    the page as if it were its own (DNS rebinding).
    """

    __slots__ = ("_hash", "_hostname", "_key")

    def __init__(self, token_hash: str, key: str, hostname: str) -> None:
        self._hash = token_hash
        self._key = key
        self._hostname = hostname.lower()

    def use(self, token_hash: str) -> bool:
        """
        Go by this from now on; tells whether it is another than before.
        """
        changed, self._hash = token_hash != self._hash, token_hash
        return changed

    def over(self, pages: Pages) -> Pages:
        """
        Give these pages to those alone who may see them.
        """
        return {path: self._guarded(ask) for path, ask in pages.items()}

    def refusal(self, asked: Asked) -> Page | None:
        """
        Tell why somebody may not see it; None if they may.
        """
        if self._hash:
            return self._without_token(asked.authorization)
        if not asked.is_local:
            return text(403, f"Forbidden: only clients on this machine are answered, until {self._key} is set")
        if not self._is_ours(asked.host):
            said = f"Misdirected Request: name this machine by address, as localhost, or set {self._key}"
            return text(421, said)
        return None

    def _guarded(self, ask: Ask) -> Callable[[Asked], Answer | Deferred[Page]]:
        return lambda asked: self.refusal(asked) or ask(asked)

    def _without_token(self, authorization: str) -> Page | None:
        """
        Compare hashes, in a time that tells nothing (RFC 6750 §3: what a refusal says).
        """
        if not authorization:
            return text(401, "Unauthorized: a bearer token is wanted", www_authenticate='Bearer realm="empath"')
        found = _BEARER.fullmatch(authorization)
        given = sha256((found[1] if found else "").encode()).hexdigest()
        if hmac.compare_digest(given, self._hash) and found:
            return None
        challenge = 'Bearer realm="empath", error="invalid_token"'
        return text(401, "Unauthorized: this is not the token", www_authenticate=challenge)

    def _is_ours(self, host: str) -> bool:
        """
        Tell whether a Host field names this machine in a way that only this machine decides on.
        """
        found = _HOST.fullmatch(host.strip().lower())
        name = found[1].rstrip(".") if found else ""
        if name in ("", "localhost", self._hostname):  # none: HTTP/1.0; a browser always names one
            return found is not None
        try:
            return bool(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            return name.endswith(".localhost")

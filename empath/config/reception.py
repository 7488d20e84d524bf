"""
What the keys of [[smtp.listeners]] and [auth] need of one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from empath.config.convert import Problem, unusable
from empath.config.endpoints import is_local, port_of
from empath.config.schema import Auth, Config, KeyPair, Listener
from empath.config.values import shown

SMTP_PORT: Final = 25
_LISTENERS: Final = "smtp.listeners"
_SOURCES: Final = ("auth.users", "auth.authenticator")


def of_auth(auth: Auth) -> Iterator[Problem]:
    """
    Logins have one source, and addresses of logins need one.
    """
    if auth.users and auth.authenticator:
        yield unusable("auth.authenticator", shown(auth.authenticator), "none, as auth.users is set", ("auth.users",))
    if auth.senders and not (auth.users or auth.authenticator):
        yield unusable("auth.senders", shown(auth.senders), "only with auth.users or auth.authenticator", _SOURCES)


def of_listeners(config: Config) -> Iterator[Problem]:
    """
    Look at each listener.
    """
    has_logins = bool(config.auth.users or config.auth.authenticator)
    for at, listener in enumerate(config.smtp.listeners):
        place = _Place(f"{_LISTENERS}[{at}]")
        yield from _of_endpoint(place, listener)
        yield from _of_tls(place, listener)
        if listener.kind == "lmtp":
            yield from _of_lmtp(place, listener)
        else:
            yield from _of_login(place, listener, has_logins)
            yield from _of_cleartext(place, listener)


@attrs.frozen(slots=True)
class _Place:
    """
    Where a listener stands in the file.
    """

    path: str

    def key(self, name: str) -> str:
        """
        Give the path of one of its keys.
        """
        return f"{self.path}.{name}"

    def unusable(self, name: str, found: str, allowed: str, *because: str) -> Problem:
        """
        Make the problem of one of its keys, which rests on others of its keys, or of other sections.
        """
        others = (each if "." in each else self.key(each) for each in because)
        return unusable(self.key(name), found, allowed, (_LISTENERS, *others))


def _of_endpoint(place: _Place, listener: Listener) -> Iterator[Problem]:
    """
    Refuse endpoints that would hide from us what we have to know: the client, or TLS.
    """
    kind = listener.endpoint.partition(":")[0]
    if kind == "haproxy":
        allowed = "an endpoint without haproxy: in front; smtp.proxies says who sends a PROXY header"
        yield place.unusable("endpoint", shown(listener.endpoint), allowed)
    elif kind in ("ssl", "tls"):
        allowed = 'a "tcp:" endpoint; tls = "implicit" is for TLS from the first byte'
        yield place.unusable("endpoint", shown(listener.endpoint), allowed)


def _of_tls(place: _Place, listener: Listener) -> Iterator[Problem]:
    """
    TLS has a certificate and its key, and they are for TLS.
    """
    if listener.tls == "none":
        for name in ("certificate", "private_key", "client_ca", "certificates"):
            if value := getattr(listener, name):
                found = shown(value) if isinstance(value, str) else "an array"
                yield place.unusable(name, found, 'only with tls = "starttls" or "implicit"', "tls")
        return
    pairs = {"": KeyPair(listener.certificate, listener.private_key)}
    pairs |= {f"certificates[{index}].": pair for index, pair in enumerate(listener.certificates)}
    for prefix, pair in pairs.items():
        reason = "as one of certificates" if prefix else f'as tls = "{listener.tls}"'
        if not pair.certificate:
            allowed = f"the path of a PEM file with a certificate and its chain, {reason}"
            yield place.unusable(f"{prefix}certificate", "nothing", allowed, "certificates")
        if not pair.private_key:
            allowed = f"the path of a PEM file with the private key, {reason}"
            yield place.unusable(f"{prefix}private_key", "nothing", allowed, "certificates")


def _of_lmtp(place: _Place, listener: Listener) -> Iterator[Problem]:
    """
    LMTP is never on port 25 (RFC 2033 §5), and nobody logs in there.
    """
    if port_of(listener.endpoint) == SMTP_PORT:
        allowed = 'any other port with kind = "lmtp" (RFC 2033)'
        yield place.unusable("endpoint", shown(listener.endpoint), allowed, "kind")
    if listener.auth:
        yield place.unusable("auth", shown(listener.auth), 'false with kind = "lmtp"', "kind")
    if listener.auth_cleartext:
        yield place.unusable("auth_cleartext", "true", 'false with kind = "lmtp"', "kind")


def _of_login(place: _Place, listener: Listener, has_logins: bool) -> Iterator[Problem]:
    """
    Submission is with a login, and a login is known from somewhere.
    """
    submission = listener.kind == "submission"
    if submission and listener.auth is False:
        yield place.unusable("auth", "false", '"required" or nothing with kind = "submission"', "kind")
    elif (submission or listener.auth) and not has_logins:
        name, found = ("auth", shown(listener.auth)) if listener.auth else ("kind", shown(listener.kind))
        yield place.unusable(name, found, "only with auth.users or auth.authenticator", *_SOURCES)


def _of_cleartext(place: _Place, listener: Listener) -> Iterator[Problem]:
    """
    Passwords go over TLS: beyond this machine from submitters always, from others unless the operator says so.
    """
    submission = listener.kind == "submission"
    if submission and not is_local(listener.endpoint):
        if listener.tls == "none":
            allowed = '"starttls" or "implicit", as kind is "submission" and the endpoint is not only on loopback'
            yield place.unusable("tls", '"none"', allowed, "kind", "endpoint")
        if listener.auth_cleartext:
            allowed = 'false, as kind is "submission" and the endpoint is not only on loopback'
            yield place.unusable("auth_cleartext", "true", allowed, "kind", "endpoint")
    elif listener.auth_cleartext and listener.tls == "implicit":
        yield place.unusable("auth_cleartext", "true", 'false with tls = "implicit"', "tls")
    elif listener.auth_cleartext and not (listener.auth or submission):
        yield place.unusable("auth_cleartext", "true", "only with auth", "auth")
    elif listener.auth and not submission and listener.tls == "none" and not listener.auth_cleartext:
        allowed = '"starttls" or "implicit", or auth_cleartext = true, as AUTH is not offered otherwise'
        yield place.unusable("tls", '"none"', allowed, "auth", "auth_cleartext")

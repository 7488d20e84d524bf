"""
What each way to deliver needs of a domain's table, and what means nothing to it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from empath.config.convert import Problem, unusable
from empath.config.names import STRATEGIES
from empath.config.schema import Domain
from empath.config.values import shown

_CONNECTION: Final = frozenset(
    {"tls", "tls_policy", "require_tls", "accept_invalid_certs", "certificate", "username", "password", "pool"}
)
_HOOK: Final = frozenset({"url", "secret", "format", "headers"})
_TAKES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "smtp": _CONNECTION | {"mx_override", "max_messages"},
        "lmtp": _CONNECTION | {"mx_override", "max_messages", "path"},
        "webhook": _HOOK,
        "maildir": frozenset({"path"}),
        "file": frozenset({"path"}),
        "discard": frozenset(),
    }
)
_THIRD_PARTY: Final = frozenset({"options"})
_ALL: Final = ("mx_override", "path", *sorted(_HOOK), "options", *sorted(_CONNECTION - {"password"}), "max_messages")
_NEEDS_FOLDER: Final = {"maildir": "the path of the maildir", "file": "the folder that mail is written to"}
_SECRET: Final = frozenset({"secret", "headers", "options"})  # never shown, or tables
_DEFAULTS: Final = Domain()
LEAST_SECRET: Final = 16  # characters
KEY_FOLLOWS: Final = "whsec_"  # as Standard Webhooks has it


def of_strategy(path: str, domain: Domain) -> Iterator[Problem]:
    """
    Look at how one table of [delivery.domains] has its mail delivered.
    """
    yield from _of_others(path, domain)
    if domain.strategy in _NEEDS_FOLDER and not domain.path:
        allowed = f'{_NEEDS_FOLDER[domain.strategy]}, as strategy = "{domain.strategy}" needs one'
        yield unusable(f"{path}.path", "nothing", allowed)
    if domain.strategy == "lmtp":
        yield from _of_lmtp(path, domain)
    if domain.strategy == "webhook":
        yield from _of_webhook(path, domain)


def too_short(path: str, secret: str) -> Iterator[Problem]:
    """
    Refuse a secret that can be found by trying; what is wrong with it is told by its length.
    """
    if 0 < len(secret) < LEAST_SECRET:
        yield unusable(path, f"a secret of {len(secret)} characters", f"one of at least {LEAST_SECRET}")


def _of_others(path: str, domain: Domain) -> Iterator[Problem]:
    """
    Refuse what only another strategy would look at.
    """
    takes = _TAKES.get(domain.strategy, _THIRD_PARTY)
    for key in _ALL:
        value = getattr(domain, key)
        if key in takes or value == getattr(_DEFAULTS, key):
            continue
        found = shown(list(value)) if isinstance(value, tuple) else "something" if key in _SECRET else shown(value)
        yield unusable(f"{path}.{key}", found, f"{_who_takes(key)}", (f"{path}.strategy",))


def _who_takes(key: str) -> str:
    if key == "options":
        return "a table only with the dotted name of a strategy"
    those = " or ".join(f'"{name}"' for name in STRATEGIES if key in _TAKES[name])
    return f"a value only with strategy = {those}"


def _of_lmtp(path: str, domain: Domain) -> Iterator[Problem]:
    """
    LMTP has no port of its own, and is not looked up (RFC 2033 §5): it goes to a socket, or to hosts with ports.
    """
    if domain.path and domain.mx_override:
        yield unusable(f"{path}.mx_override", "hosts", "none beside the path of a socket", (f"{path}.path",))
    elif domain.path:
        for key in ("pool", *sorted(_CONNECTION - {"pool", "password"})):
            if getattr(domain, key) != getattr(_DEFAULTS, key):
                yield unusable(f"{path}.{key}", shown(getattr(domain, key)), "none for a socket on this machine")
    elif not domain.mx_override:
        allowed = 'hosts with ports, such as "127.0.0.1:24", or the path of a socket, as strategy = "lmtp" needs one'
        yield unusable(f"{path}.mx_override", "nothing", allowed, (f"{path}.path",))
    for host in domain.mx_override:
        if not _port(host):
            yield unusable(f"{path}.mx_override", shown(host), 'hosts with ports other than 25, as strategy = "lmtp"')


def _of_webhook(path: str, domain: Domain) -> Iterator[Problem]:
    if not domain.url:
        yield unusable(f"{path}.url", "nothing", 'where mail is posted to, as strategy = "webhook" needs one')
    yield from _of_secret(f"{path}.secret", domain.secret)


def _of_secret(path: str, secret: str) -> Iterator[Problem]:
    """
    The key is the text, or stands behind "whsec_" in base64, as signature libraries have it: half of it would do
    neither way.
    """
    if not secret.startswith(KEY_FOLLOWS):
        yield from too_short(path, secret)
        return
    try:
        key = b64decode(secret.removeprefix(KEY_FOLLOWS), validate=True)
    except binascii.Error:
        allowed = f"base64 behind {KEY_FOLLOWS}, or a text that begins otherwise"
        yield unusable(path, f"{KEY_FOLLOWS} with something else behind it", allowed)
    else:
        if len(key) < LEAST_SECRET:
            yield unusable(path, f"a key of {len(key)} octets", f"one of at least {LEAST_SECRET}")


def _port(host: str) -> int:
    """
    Tell the port that stands behind a host, 0 where there is none, or that of SMTP.
    """
    port = "" if host.endswith("]") else host.rpartition("]")[2].partition(":")[2]
    return 0 if port in ("", "25") else int(port)

"""
What the keys of [control] and [audit] need of one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from empath.config.convert import Problem, unusable
from empath.config.schema import Audit, Control
from empath.config.values import shown

_ADDRESS: Final = ("audit.syslog.address",)


def of_control(control: Control) -> Iterator[Problem]:
    """
    A token has a name and a hash, and both are nobody else's: the audit trail tells people apart by them.
    """
    names, hashes = set(), set()
    for at, token in enumerate(control.tokens):
        path = f"control.tokens[{at}]"
        if not token.name:
            yield unusable(f"{path}.name", "nothing", "what its holder is called in the audit trail")
        elif token.name in names:
            yield unusable(f"{path}.name", shown(token.name), "each name once")
        if not token.sha256:
            yield unusable(f"{path}.sha256", "nothing", "the SHA-256 of the token, as 64 hexadecimal digits")
        elif token.sha256 in hashes:
            yield unusable(f"{path}.sha256", "that of another token", "each token once")
        names.add(token.name)
        hashes.add(token.sha256)


def of_audit(audit: Audit) -> Iterator[Problem]:
    """
    What the file is needed for is only there with the file.
    """
    if len(set(audit.sinks)) < len(audit.sinks):
        yield unusable("audit.sinks", "one of them twice", "each once")
    if audit.enabled and "file" not in audit.sinks:
        if audit.durable:
            yield unusable("audit.durable", "true", 'it only with "file" among sinks', ("audit.sinks",))
        if audit.on_full == "stop":
            yield unusable("audit.on_full", '"stop"', 'it only with "file" among sinks', ("audit.sinks",))
    if audit.syslog.ca and not audit.syslog.address.startswith("tls:"):
        yield unusable("audit.syslog.ca", shown(audit.syslog.ca), 'a file only with a "tls:" address', _ADDRESS)

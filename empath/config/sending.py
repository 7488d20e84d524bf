"""
What the tables about signatures, return paths and stopped senders need.
"""

from __future__ import annotations

from collections.abc import Iterator

from empath.config.convert import Problem, unusable
from empath.config.schema import Delivery, Dkim, Relay, Srs, Verp
from empath.config.strategies import too_short
from empath.config.values import shown

_DKIM = "delivery.dkim"


def of_sending(delivery: Delivery, relay: Relay) -> Iterator[Problem]:
    """
    Look at [delivery.dkim], [delivery.srs], [delivery.verp] and [delivery.bounces].
    """
    yield from _of_keys(delivery.dkim)
    yield from _of_fields(delivery.dkim)
    yield from _of_srs(delivery.srs)
    yield from _of_verp(delivery.verp, relay)
    for at, pattern in enumerate(delivery.bounces.patterns):
        if not pattern.match:
            path = f"delivery.bounces.patterns[{at}].match"
            yield unusable(path, "nothing", 'a regular expression, such as "mailbox unavailable"')


def _of_keys(dkim: Dkim) -> Iterator[Problem]:
    """
    A key is of a domain, is published under a selector, and stands in a file; a selector names one key.
    """
    seen = set()
    for at, key in enumerate(dkim.keys):
        path = f"{_DKIM}.keys[{at}]"
        if not key.domain:
            yield unusable(f"{path}.domain", "nothing", "the domain that the key signs for")
        if not key.selector:
            yield unusable(f"{path}.selector", "nothing", "the selector that the key is published under")
        if not key.private_key:
            yield unusable(f"{path}.private_key", "nothing", "the file of the key, in PEM")
        if key.domain and (key.domain, key.selector) in seen:
            yield unusable(f"{path}.selector", shown(key.selector), "each selector of a domain once")
        seen.add((key.domain, key.selector))


def _of_fields(dkim: Dkim) -> Iterator[Problem]:
    """
    From is signed (RFC 6376 §5.4); what every host on the way may change is not (§5.4.1), and what is not signed cannot
    be kept single.
    """
    headers = {name.lower() for name in dkim.headers}
    if dkim.headers != Dkim().headers and "from" not in headers:
        yield unusable(f"{_DKIM}.headers", "no From", "names with From among them (RFC 6376 §5.4)")
    for name in ("return-path", "dkim-signature"):
        if name in headers:
            yield unusable(f"{_DKIM}.headers", shown(name), "fields that stay as they are (RFC 6376 §5.4)")
    if dkim.oversign != Dkim().oversign and (more := [name for name in dkim.oversign if name.lower() not in headers]):
        yield unusable(f"{_DKIM}.oversign", shown(more[0]), "names that are among headers", (f"{_DKIM}.headers",))
    if "received" in dkim.oversign:
        yield unusable(f"{_DKIM}.oversign", '"received"', "no fields that the next host adds")


def _of_srs(srs: Srs) -> Iterator[Problem]:
    """
    The domain and its secret go together.
    """
    path = "delivery.srs"
    if srs.domain and not srs.secret:
        yield unusable(f"{path}.secret", "nothing", "a secret, as domain is set", (f"{path}.domain",))
    if not srs.domain and (srs.secret or srs.previous):
        yield unusable(f"{path}.domain", "nothing", "a domain, as a secret is set", (f"{path}.secret",))
    for where, secret in (("secret", srs.secret), *((f"previous[{at}]", old) for at, old in enumerate(srs.previous))):
        yield from too_short(f"{path}.{where}", secret)


def _of_verp(verp: Verp, relay: Relay) -> Iterator[Problem]:
    """
    What is switched on has a secret, and senders that it is for.
    """
    path = "delivery.verp"
    if verp.enabled and not verp.secret:
        yield unusable(f"{path}.secret", "nothing", "a secret, as enabled is true", (f"{path}.enabled",))
    if verp.enabled and not (verp.domains or relay.domains):
        allowed = "the domains of senders, as there are no relay.domains"
        yield unusable(f"{path}.domains", "nothing", allowed, (f"{path}.enabled", "relay.domains"))
    yield from too_short(f"{path}.secret", verp.secret)

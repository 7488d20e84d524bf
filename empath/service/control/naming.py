"""
What operators type for a destination or a message, as we write it.
"""

from __future__ import annotations

from collections.abc import Callable

from empath.control.serving import Refused
from empath.mail.address import canonical_domain
from empath.policy.selection import destination


def destination_of(text: str, has_route: Callable[[str], bool]) -> str:
    """
    Read a destination: a domain, perhaps with U-labels, or a name by which a route is known, as `has_route` tells.
    Refused for what is neither: a slip must not be obeyed as if it meant something.
    """
    name = destination(text.strip())
    if _is_domain(name) or ("." not in name and has_route(name)):
        return name
    raise Refused(f"domain: {text[:300]!r} is neither a domain nor the name of a route")


def queue_id_of(text: str) -> str:
    """
    Read a queue id as it is copied from a log line or a report: in any case, with blanks or a colon around it.
    """
    return text.strip().removesuffix(":").upper()


def _is_domain(name: str) -> bool:
    try:
        return canonical_domain(name) == name and not name.startswith("*.")
    except ValueError:
        return False

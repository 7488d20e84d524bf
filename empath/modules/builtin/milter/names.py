"""
What a client is called: milters judge by a name that the DNS vouches for both ways, as Postfix gives it to them.

Nothing is fatal or retried: without an answer in time the client has no name.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from twisted.internet.defer import Deferred, TimeoutError

from empath.modules import Answer, IServices, Session

PATIENCE: Final = 3.0  # seconds for all look-ups of one client
_NOWHERE: Final = "0.0.0.0"  # the peer of a session whose client a proxy does not know


def literal(session: Session) -> str:
    """
    What a client is called that has no name.
    """
    if session.peer == "unix":
        return "localhost"
    return "unknown" if session.peer == _NOWHERE else f"[{session.peer}]"


async def client_names(session: Session, services: IServices, ask: bool) -> tuple[str, str]:
    """
    Tell the name of a client, in brackets its address if it has none, and the name that its address points to, "" for
    none. A proxy's word for it comes first (XCLIENT NAME); the DNS is asked only if `ask`.
    """
    given = session.metadata.get("client_name", "")
    if given:
        return given, given
    if session.peer in ("unix", _NOWHERE):
        return literal(session), ""
    address = ip_address(session.peer)
    if address.is_loopback:
        return "localhost", "localhost"
    if not ask:
        return literal(session), ""
    pointer: list[str] = []
    looking = Deferred.fromCoroutine(_look_up(session.peer, services, pointer))
    try:
        found = await looking.addTimeout(PATIENCE, services.clock)
    except TimeoutError:
        found = ""
    return found or literal(session), pointer[0] if pointer else ""


async def _look_up(peer: str, services: IServices, pointer: list[str]) -> str:
    """
    Give the name that the address points to and that has this address; "" for none.
    """
    address = ip_address(peer)
    names = (await _answer(services, address.reverse_pointer, "PTR")).texts
    if not names:
        return ""
    pointer.append(names[0])
    known = (await _answer(services, names[0], "A" if address.version == 4 else "AAAA")).addresses
    return names[0] if any(ip_address(each) == address for each in known) else ""


async def _answer(services: IServices, name: str, rdtype: str) -> Answer:
    answer = services.lookup(name, rdtype)
    return answer if isinstance(answer, Answer) else await answer

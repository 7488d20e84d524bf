"""
The seam of ways to deliver that others write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from empath.mail.answer import Answer
from empath.mail.message import Message


class IStrategyServices(Interface):
    """
    What the maker of a strategy is called with, before the options of its table.
    """

    hostname = Attribute("Our name.")
    clock = Attribute("The reactor's clock (IReactorTime); `seconds()` is since the epoch.")
    http = Attribute(
        "Makes requests: `await http.request(method, url, fields, body, patience)` tells a WebAnswer. `fields` are"
        " pairs of name and value, `body` is bytes or what `content` gives. HTTPS is verified, no redirect is followed,"
        " connections are kept."
    )

    def lookup(name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        Ask the DNS; see `IResolver.lookup`.
        """

    def in_thread(call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a blocking call in one of a few threads, which deliveries share.
        """

    def content(message: Message) -> Any:
        """
        Give the whole of a message, as it is stored and never whole in memory: `length` tells its octets, each `open()`
        gives an IBodyReader that begins with the first one. Whoever opens it closes it.
        """

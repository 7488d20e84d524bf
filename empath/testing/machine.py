"""
The machine on which an MTA in memory runs: threads that run at once, chance by a seed, a spool that is kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.python.failure import Failure

from empath.service.machine import Machine
from empath.testing.fake_dns import DnsSockets


class AtOnce:
    """
    A thread pool without threads.
    """

    def __init__(self, most: int = 1, name: str = "") -> None:
        self.name = name

    def start(self) -> None:
        """
        Nothing is to be started.
        """

    def stop(self) -> None:
        """
        Nothing is under way.
        """

    def callInThreadWithCallback(
        self,
        onResult: Callable[[bool, Any], Any],  # noqa: N803 Twisted names it
        func: Callable[..., Any],
        *args: Any,
        **kw: Any,
    ) -> None:
        """
        Call, and tell the result.
        """
        try:
            result, good = func(*args, **kw), True
        except Exception:
            result, good = Failure(), False
        onResult(good, result)


def machine_in(reactor: Any, chance: random.Random, sockets: DnsSockets, make_spool: Any, *_: Any) -> Machine:
    """
    Describe it to the service.
    """
    return Machine(
        chance=chance,
        secret_chance=chance,
        datagrams=sockets,
        streams=lambda server: TCP4ClientEndpoint(reactor, server.host, server.port),
        make_pool=AtOnce,
        addresses=frozenset,
        memory_spool=make_spool,
    )

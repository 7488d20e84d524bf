"""
Real sockets on loopback: for what only the operating system can show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet import reactor as the_reactor  # noqa: TID251  # TLS of Twisted's takes its time from this one
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

T = TypeVar("T")


class RealSockets(TestCase):
    """
    The real reactor, for a bounded time.
    """

    timeout = 30.0
    reactor: Any = the_reactor

    def serve(self, client: Callable[[], T]) -> Deferred[T]:
        """
        Let `client`, which blocks, do its work in a thread; give what it returns.
        """
        return deferToThread(client)

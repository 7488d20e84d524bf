"""
What the page listens to, over HTTP.
"""

from __future__ import annotations

import json

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.observe.status.broadcast import Broadcast
from empath.observe.status.failures import Failures
from empath.observe.status.pages import figures_pages
from empath.observe.status.ring import Levels, Ring, Totals
from empath.observe.web.page import Asked, Page, Stream
from tests.observe.status.test_broadcast import Watcher, facts

ASKED = Asked("/status.json", "*/*", "", "", "localhost", True)


class Client(Watcher):
    """
    A client of a stream.
    """

    def end(self) -> None:
        """
        The stream is complete.
        """


class FiguresTests(SynchronousTestCase):
    """
    Both pages.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        ring = Ring(Totals, lambda: Levels(0, 0, 0))
        self.broadcast = Broadcast(ring, Failures(), lambda: succeed(facts(5.0)), self.clock)
        self.broadcast.start()
        self.addCleanup(self.broadcast.stop)
        self.pages = figures_pages(self.broadcast)

    def test_events_go_on_until_the_client_is_gone(self) -> None:
        """
        Nothing in between may hold them back.
        """
        stream = self.pages[b"/status/events"](ASKED)
        assert isinstance(stream, Stream)
        self.assertTrue(stream.content_type.startswith("text/event-stream"))
        client = Client()
        ended = stream.begin(client)
        self.clock.advance(1.0)
        ended()
        self.clock.advance(1.0)
        self.assertEqual((client.names, self.broadcast.watchers), (["history", "snapshot"], 0))

    def test_all_of_it_once_as_json(self) -> None:
        """
        For scripts.
        """
        self.clock.advance(1.0)
        answer = self.pages[b"/status.json"](ASKED)
        assert not isinstance(answer, Page | Stream)
        page = self.successResultOf(answer)
        content = json.loads(page.body)
        self.assertEqual((page.code, page.content_type), (200, "application/json"))
        self.assertEqual((content["facts"]["hostname"], len(content["samples"])), ("mx.test", 1))

"""
What the status page tells of a whole service, and what it costs where there is none.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Health
from empath.mail.life import AttemptEnded
from empath.testing.mta import Mta


class StatusTests(SynchronousTestCase):
    """
    An MTA in memory, whose page is looked at without HTTP.
    """

    def setUp(self) -> None:
        self.mta = Mta(domains=("example.org", "down.example"))
        self.addCleanup(self.mta.stop)
        self.status = self.mta.service.status

    def whole(self) -> Any:
        """
        Look, as JSON.
        """
        found: list[Any] = []
        self.status.broadcast.whole().addCallback(found.append)
        self.mta.advance(1.0)
        return json.loads(json.dumps(found[0]))

    def test_without_a_page_nothing_is_done(self) -> None:
        """
        No attempt is looked at, and no time is taken, whether it was never there or is there no more.
        """
        listeners = self.mta.service.events._listeners
        before = len(listeners.get(AttemptEnded, ()))
        self.mta.advance(hours=1)
        self.assertEqual(self.whole()["samples"], [])
        self.status.use(Health())
        self.mta.advance(10.5)
        self.assertEqual((len(listeners[AttemptEnded]) - before, len(self.whole()["samples"])), (2, 10))
        self.status.use(Health())
        self.status.use(Health(enabled=False))
        self.mta.advance(100.0)
        self.assertEqual((len(listeners.get(AttemptEnded, ())) - before, len(self.whole()["samples"])), (0, 11))

    def test_tells_of_mail(self) -> None:
        """
        What came, what became of it, why not, and which sites are slow.
        """
        self.status.use(Health())
        peer = self.mta.peer("example.org")
        client = self.mta.client()
        client.send("ann@client.example", ["bob@example.org"], b"Subject: x\r\n\r\nx\r\n")
        self.mta.advance(2.0)
        self.assertEqual(len(peer.messages), 1)
        found = self.whole()
        facts = found["facts"]
        self.assertEqual(
            (facts["hostname"], facts["totals"]["received"], facts["totals"]["delivered"]),
            (self.mta.config.hostname, 1, 1),
        )
        self.assertEqual([each["delivered"] for each in facts["slowest"]], [1])
        columns = found["fields"]
        self.assertEqual(sum(row[columns.index("received")] for row in found["samples"]), 1)
        self.assertEqual(facts["health"]["parts"].keys(), {"smtp", "spool", "disk", "delivery", "dns", "queue"})
        self.assertEqual(found["failures"], [])

    def test_the_names_of_parts_are_those_that_readiness_can_require(self) -> None:
        """
        A part that is not required is told as such.
        """
        health = self.whole()["facts"]["health"]
        self.assertLessEqual(set(health["required"]), health["parts"].keys())

"""
An MTA in memory that is asked as the control server asks it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.control.serving import Call, Caller, NotFound, Refused
from empath.control.terms.asking import Ask
from empath.service.control import tables_of
from empath.testing import MtaMixin

CONFIG = """
[relay]
networks = ["192.0.2.0/24"]
domains = ["example.org"]
recipients = "any"
[delivery]
retry_jitter_factor = 0.0
base_retry_delay = "60s"
"""
CALLER = Caller(0, 4711, "root")


class AskingCase(MtaMixin, SynchronousTestCase):
    """
    `ask` gives the answer, through JSON, as a client gets it; `told` are the pieces that came before.
    """

    config = CONFIG

    def setUp(self) -> None:
        super().setUp()
        self.asked = self.mta(config=self.config)
        self.told: list[Any] = []

    def send(
        self, *recipients: str, content: bytes = b"Subject: hello\r\n\r\nworld\r\n", peer: str = "192.0.2.7"
    ) -> str:
        """
        Hand in a message; tells its queue id.
        """
        reply = self.asked.client(peer).send("ann@sender.example", list(recipients), content)
        self.assertTrue(reply.startswith("250 "), reply)
        self.asked.settle()
        return reply.split()[-1]

    def begin(self, request: Ask[Any]) -> Deferred[Any]:
        """
        Begin to ask.
        """
        tables = [table for table in tables_of(self.asked.service) if type(request) in table]
        self.assertEqual(len(tables), 1, f"{request.verb} is answered by {len(tables)}")
        call = Call(CALLER, self._tell)
        again = msgspec.json.decode(msgspec.json.encode(request), type=type(request))

        async def answered() -> Any:
            answer = tables[0][type(request)](again, call)
            return await answer if hasattr(answer, "__await__") else answer

        return Deferred.fromCoroutine(answered())

    def ask(self, request: Ask[Any]) -> Any:
        """
        Ask, and let time pass until there is an answer.
        """
        over: list[Any] = []
        self.begin(request).addBoth(over.append)
        until = self.asked.seconds() + 60
        self.asked.settle()
        while not over and self.asked.step(until):
            pass
        self.assertTrue(over, f"{request.verb} is not answered")
        if isinstance(over[0], Failure):
            over[0].raiseException()
        self.assertIsInstance(over[0], request.answer)
        return msgspec.json.decode(msgspec.json.encode(over[0]), type=request.answer)

    def refusal(self, request: Ask[Any]) -> str:
        """
        Ask what is refused; tells the reasons.
        """
        return "; ".join(self.assertRaises(Refused, self.ask, request).problems)

    def missing(self, request: Ask[Any]) -> str:
        """
        Ask about what is not there.
        """
        return "; ".join(self.assertRaises(NotFound, self.ask, request).problems)

    def _tell(self, piece: object) -> None:
        self.told.append(msgspec.json.decode(msgspec.json.encode(piece), type=type(piece)))

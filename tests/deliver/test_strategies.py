"""
Ways to deliver in the whole of empath: chosen by domain or by a module, tried again, changed by a reload.
"""

from __future__ import annotations

import json
import os

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.config.schema import Config, Domain
from empath.config.units import Folder
from empath.errors import ConfigError
from empath.modules import IModule, Recipient, Session, Transaction, Verdict
from empath.testing import Mta
from empath.testing.web import WebServer

MAIL = b"From: <me@example.org>\r\nSubject: x\r\n\r\nhello\r\n"
CONFIG = """
[delivery.domains."hook.example"]
strategy = "webhook"
url = "http://127.0.0.1:8080/mail"
[delivery.domains."drop"]
strategy = "discard"
[delivery.domains."archive"]
strategy = "file"
path = "{folder}"
"""


@implementer(IModule)
class Choosing:
    """
    A module that chooses a way by the local part.
    """

    name = "choosing"

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Verdict | None:
        if recipient.address.local in ("drop", "archive", "hook.example"):
            transaction.redirect(recipient.address.local, recipient)
        return None


class StrategyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        self.mta = Mta([Choosing], config=CONFIG.format(folder=self.folder))
        self.addCleanup(self.mta.stop)
        self.hook = WebServer(self.mta.world, 200)
        self.mta.serve("127.0.0.1", 8080, self.hook)

    def send(self, *recipients: str) -> str:
        """
        Send a mail of our own; tells its queue id.
        """
        self.mta.client("127.0.0.1").send("me@example.org", list(recipients), MAIL)
        self.mta.settle()
        return self.mta.messages[-1].queue_id

    def test_a_module_chooses(self) -> None:
        """
        By `transaction.redirect`, recipient by recipient; whoever it leaves alone goes by the domain.
        """
        queue_id = self.send(*(f"{name}@example.org" for name in ("drop", "archive", "hook.example", "peter")))
        self.assertEqual(self.mta.queue(), [])
        [posted] = self.hook.requests
        [told] = json.loads(posted.body)["envelope"]["recipients"]
        self.assertEqual(told["address"], "hook.example@example.org")
        self.assertEqual([name.partition("-")[0] for name in os.listdir(self.folder)], [queue_id] * 2)
        [carried] = self.mta.peers["mx.example.org"].messages
        self.assertEqual(list(carried.recipients), ["peter@example.org"])

    def test_a_hook_in_trouble_is_asked_again(self) -> None:
        """
        Under the same id, by which it can tell what it has seen.
        """
        self.hook.reply = 503
        self.send("x@hook.example")
        [waiting] = self.mta.queue()
        self.assertEqual((waiting.attempts, waiting.last_error), (1, "451 4.3.2 503 Service Unavailable"))
        self.hook.reply = 200
        self.mta.advance(minutes=2)
        self.assertEqual(self.mta.queue(), [])
        first, second = [request.headers["webhook-id"] for request in self.hook.requests]
        self.assertEqual(first, second)

    def test_a_hook_that_refuses_bounces(self) -> None:
        self.hook.reply = 422
        self.send("x@hook.example")
        [bounce] = self.mta.peers["mx.example.org"].messages
        self.assertIn(b"422 Unprocessable", bounce.content)
        self.assertIn(b"Status: 5.6.0", bounce.content)

    def test_a_hook_that_never_answers_may_have_the_mail(self) -> None:
        """
        It is a possible duplicate, whatever becomes of it.
        """
        self.hook.reply = None
        self.send("x@hook.example")
        self.mta.advance(minutes=11)
        [waiting] = self.mta.queue()
        self.assertTrue(waiting.recipients[0].doubtful)
        self.assertIn("no answer within 600 s", waiting.last_error)

    def test_a_reload_changes_the_way(self) -> None:
        """
        What waits goes the new one; a strategy that cannot be made is refused as a whole.
        """
        self.hook.reply = 503
        self.send("x@hook.example")
        self.assertRaises(ConfigError, self.reload, Domain(strategy="no.such:Thing"))
        self.assertEqual(len(self.mta.queue()), 1)
        self.reload(Domain(strategy="file", path=Folder(self.folder)))
        self.mta.advance(minutes=10)
        self.assertEqual((self.mta.queue(), len(os.listdir(self.folder))), ([], 2))

    def reload(self, domain: Domain) -> None:
        """
        Have mail for hook.example go another way.
        """
        config: Config = self.mta.service.config
        delivery = attrs.evolve(config.delivery, domains={**config.delivery.domains, "hook.example": domain})
        self.mta.service.reconfigure(attrs.evolve(config, delivery=delivery))
        self.mta.settle()

"""
Requirements on modules in an MTA in memory: handed in any way, asked and told as in the real one, and made anew by a
restart.
"""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.errors import ConfigError
from empath.modules import (
    Attempt,
    IContent,
    IModule,
    IServices,
    Message,
    Recipient,
    Session,
    Transaction,
    Verdict,
    blocking,
    tempfail,
)
from empath.modules.builtin.greylist import Greylist
from empath.testing import MockSmtpServer, MtaMixin

CONTENT = b"Subject: x\r\n\r\nhi\r\n"


@implementer(IModule)
class Noting:
    """
    Notes at MAIL what it hears of at the delivery; `heard` may be a list of the test's own.
    """

    name = "noting"

    def __init__(self, note: str = "noted", heard: list[str] | None = None) -> None:
        self.note = note
        self.heard = [] if heard is None else heard
        self.mails = 0

    def mail_from(self, session: Session, transaction: Transaction) -> None:
        self.mails += 1
        transaction.metadata["note"] = f"{self.note} {self.mails}"

    def on_delivery_success(self, message: Message, attempt: Attempt) -> None:
        self.heard.append(message.metadata["note"])


@implementer(IModule)
class Slow:
    """
    Blocks, waits, asks the DNS, keeps a count.
    """

    name = "slow"

    def start(self, services: IServices) -> None:
        self.services = services

    @blocking
    def mail_from(self, session: Session, transaction: Transaction) -> None:
        transaction.metadata["thread"] = "ran"

    async def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Verdict | None:
        answer = self.services.lookup("policy.example", "A")
        found = answer if hasattr(answer, "addresses") else await answer
        times = int(await self.services.storage.get("times") or 0) + 1
        await self.services.storage.put("times", str(times))
        return tempfail(f"450 4.7.1 {times} times, {','.join(found.addresses)}")


@implementer(IModule)
class Failing:
    """
    Has a bug.
    """

    name = "failing"

    def data(self, session: Session, transaction: Transaction, content: IContent) -> Verdict:
        raise KeyError("bug")


class HandedInTests(MtaMixin, SynchronousTestCase):
    """
    The ways to name a module.
    """

    def test_every_way(self) -> None:
        """
        Instance, class, pair, mapping, dotted name, and the text of a file, in this order but for the text, which is
        first.
        """
        heard: list[str] = []
        mta = self.mta(
            [
                Noting("instance", heard),
                {"factory": Noting, "name": "second", "options": {"heard": heard}},
                {"factory": "tests.testing.test_modules:Noting", "name": "third"},
                {"factory": lambda: Noting("function", heard), "name": "fourth", "timeout": 1.0},
            ],
            config='[[modules]]\nfactory = "tests.testing.test_modules:Noting"\nname = "first"\n',
        )
        self.assertEqual(mta.service.modules.names, ("first", "noting", "second", "third", "fourth"))
        mta.client().send("a@b.example", ["c@example.org"], CONTENT)
        mta.settle()
        self.assertEqual(heard, ["function 1"] * 3)
        self.assertEqual(mta.module("first").heard, ["function 1"])
        self.assertRaises(LookupError, mta.module, "fifth")

    def test_a_module_that_is_none(self) -> None:
        """
        It is refused as in the real one, in words.
        """
        error = self.assertRaises(ConfigError, self.mta, [(Noting, {"nota": 1})])
        self.assertIn("nota", str(error))

    def test_a_restart_forgets_what_was_only_remembered(self) -> None:
        """
        Metadata comes back with the message; the module itself begins anew, instance or not.
        """
        for given in (Noting("x"), (Noting, {"note": "x"})):
            mta = self.mta([given])
            mta.peer("example.org", MockSmtpServer().with_response("RCPT", 1, 450, "4.2.0 later"))
            mta.client().send("a@b.example", ["c@example.org"], CONTENT)
            before = mta.module("noting")
            mta.restart()
            mta.advance(minutes=10)
            after = mta.module("noting")
            self.assertEqual((before.mails, before.heard, after.mails, after.heard), (1, [], 0, ["x 1"]))


class HookTests(MtaMixin, SynchronousTestCase):
    """
    What hooks may do.
    """

    def test_threads_dns_and_storage(self) -> None:
        """
        Threads run at once, the DNS is the test's, and what is stored outlives a restart.
        """
        mta = self.mta([Slow])
        mta.dns.a("policy.example", "192.0.2.1")
        client = mta.client()
        self.assertEqual(client.send("", ["c@example.org"], CONTENT), "450 4.7.1 1 times, 192.0.2.1")
        mta.restart()
        mta.dns.a("policy.example", "192.0.2.2")
        self.assertEqual(client.send("", ["c@example.org"], CONTENT), "450 4.7.1 2 times, 192.0.2.2")
        self.assertEqual(mta.storages.items["slow"]["times"], ("2", None))

    def test_bugs_show(self) -> None:
        """
        A module that raises answers 451, and its traceback is among the faults.
        """
        mta = self.mta([Failing])
        self.assertEqual(mta.client().send("", ["c@example.org"], CONTENT)[:3], "451")
        self.assertTrue(mta.faults.pop().check(KeyError))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_greylisted_retried_delivered(self) -> None:
        """
        The example of all examples, in a few milliseconds, five minutes and a restart in between.
        """
        begun = time.process_time()
        mta = self.mta([(Greylist, {"delay": 300})], domains=["example.org"])
        client = mta.client("192.0.2.7")
        mail = ("a@b.example", ["c@example.org"], CONTENT)
        self.assertEqual(client.send(*mail)[:9], "450 4.2.0")
        mta.advance(minutes=4)
        self.assertEqual(client.send(*mail)[:9], "450 4.2.0")
        mta.advance(minutes=1.1)
        mta.restart()
        self.assertEqual(client.send(*mail)[:9], "250 2.0.0")
        mta.settle()
        self.assertEqual([each.recipients for each in mta.peer("example.org").messages], [("c@example.org",)])
        self.assertLess(time.process_time() - begun, 1.0)

"""
Requirements on signatures of what does not go over SMTP.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.deliver.dispatch import Dispatch
from empath.deliver.routing import Routing
from empath.deliver.signed import Signing
from empath.errors import SigningFailed
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message, deliveries_of
from empath.mail.origin import OUTSIDE, TRUSTED
from empath.mail.outcome import Outcome, Success
from empath.mail.reply import Reply
from tests.deliver.test_changed import SIGNATURE, Signer
from tests.deliver.world import HEADER, Reader, message, spell


@implementer(IAgent)
class Agent:
    """
    Takes everything, and keeps it.
    """

    def __init__(self) -> None:
        self.taken: list[Message] = []

    def deliver(self, carried: Message, delivery: Delivery, attempt: Attempt) -> Deferred[tuple[Outcome, ...]]:
        self.taken.append(carried)
        return succeed((Success(Reply(250, "2.0.0", ("ok",))),) * len(delivery.open_recipients))

    def stop(self) -> None:
        pass


class SignedTests(SynchronousTestCase):
    """
    Maildirs, files, webhooks, the agents of others.
    """

    def setUp(self) -> None:
        self.agent = Agent()
        self.readers: list[Reader] = []

    def deliver(self, carried: Message, signer: Signer | None, strategy: str = "maildir") -> list[str]:
        """
        Deliver by a strategy.
        """
        routing = Routing(Section(domains={"example.org": Domain(strategy=strategy)}))
        dispatch = Dispatch(routing, {strategy: self.agent}, Clock())
        dispatch.signing = None if signer is None else Signing(signer, self.open_body)
        (delivery,) = deliveries_of(carried)
        done = dispatch.deliver(carried, delivery, Attempt(1, 0.0))
        assert isinstance(done, Deferred)
        return spell(self.successResultOf(done))

    def open_body(self, _: Message) -> Reader:
        self.readers.append(Reader([b""]))
        return self.readers[-1]

    def test_the_agent_gets_it_signed(self) -> None:
        """
        On top, and counted.
        """
        carried = message(origin=TRUSTED)
        self.assertEqual(self.deliver(carried, Signer()), ["Success 250 2.0.0"])
        (taken,) = self.agent.taken
        self.assertEqual((taken.header, taken.body), (SIGNATURE + HEADER, carried.body))
        self.assertEqual(taken.size, carried.size + len(SIGNATURE))

    def test_what_is_not_signed_goes_as_it_is(self) -> None:
        """
        Where the signer has nothing to say, there is none, or nobody vouched for it.
        """
        carried, outside = message(origin=TRUSTED), message(origin=OUTSIDE)
        self.deliver(carried, Signer(b""))
        self.deliver(carried, None)
        self.deliver(outside, Signer())
        self.assertEqual([taken is carried for taken in self.agent.taken], [True, True, False])
        self.assertIs(self.agent.taken[2], outside)

    def test_those_that_sign_themselves_are_left_alone(self) -> None:
        """
        And who gives nothing to anybody.
        """
        carried = message(origin=TRUSTED)
        for strategy in ("smtp", "discard"):
            self.deliver(carried, Signer(), strategy)
            self.assertIs(self.agent.taken.pop(), carried)

    def test_mail_that_cannot_be_signed_waits(self) -> None:
        """
        The agent does not see it.
        """
        told = self.deliver(message("b@example.org", "c@example.org", origin=TRUSTED), Signer(SigningFailed("no key")))
        self.assertEqual((told, self.agent.taken), (["TransientFailure 451 4.3.5"] * 2, []))

    def test_a_signature_may_take_its_time(self) -> None:
        """
        The agent is asked behind it.
        """
        signer = Signer(slow=True)
        (delivery,) = deliveries_of(message(origin=TRUSTED))
        signing = Signing(signer, self.open_body)
        done = Deferred.fromCoroutine(signing.deliver(self.agent, message(origin=TRUSTED), delivery, Attempt(1, 0.0)))
        self.assertNoResult(done)
        self.assertEqual(self.agent.taken, [])
        signer.later[0].callback(SIGNATURE)
        self.successResultOf(done)
        self.assertTrue(self.agent.taken[0].header.startswith(SIGNATURE))

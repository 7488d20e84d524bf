"""
Whom a sender is told of, and what.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.deliver_by import DeliverBy
from empath.mail.envelope import Recipient
from empath.mail.message import RecipientState, Status
from empath.mail.notice import Action, Notice, notices_of, worst
from empath.mail.outcome import Custody, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply

UNTIL = 5000.0
OK = Reply.of("250 2.0.0 ok")
LATER = TransientFailure(Reply.of("450 4.2.0 later"), Scope.HOST)
NEVER = PermanentFailure(Reply.of("550 5.1.1 no"), Scope.RECIPIENT)
IN_TIME = DeliverBy(100.0, returned=False, told=True, trace=False)
RETURNED = DeliverBy(100.0, returned=True, told=False, trace=False)
TRACED = DeliverBy(100.0, returned=True, told=False, trace=True)


def actions(
    outcome: Outcome, status: Status, by: DeliverBy | None = None, late: tuple[bool, bool] = (False, False)
) -> dict[str | None, Action]:
    """
    Tell for each NOTIFY what the sender hears of.
    """
    heard = {}
    for notify in (None, "NEVER", "SUCCESS", "DELAY", "failure"):
        recipient = Recipient(Address("b", "x", "b@x"), {} if notify is None else {"NOTIFY": notify})
        before = RecipientState(recipient, Status.RETRY, late=late[0])
        after = RecipientState(recipient, status, outcome.reply, late=late[1])
        for notice in notices_of((before,), (after,), (outcome,), by, UNTIL):
            assert notice.state is after
            assert (notice.until == UNTIL) is (notice.action is Action.DELAYED)
            heard[notify] = notice.action
    return heard


class NoticeTests(SynchronousTestCase):
    def test_failures(self) -> None:
        """
        Who said nothing of it hears of failures (RFC 3461 §5.2.2), a message that expired is one.
        """
        for outcome, status in ((NEVER, Status.FAILED), (LATER, Status.EXPIRED)):
            self.assertEqual(actions(outcome, status), {None: Action.FAILED, "failure": Action.FAILED})

    def test_successes(self) -> None:
        """
        Only who asked hears of them, and from us only what nobody else tells.
        """
        for custody, told in (
            (Custody.RELAYED, {"SUCCESS": Action.RELAYED}),
            (Custody.DELIVERED, {"SUCCESS": Action.DELIVERED}),
            (Custody.PASSED_ON, {}),
        ):
            success = attrs.evolve(Success(OK), custody=custody)
            self.assertEqual(actions(success, Status.COMPLETED), told)
            self.assertEqual(actions(success, Status.COMPLETED, RETURNED), told)

    def test_a_retry_is_nothing_to_tell_of(self) -> None:
        """
        Until it is late, and then once; to who did not ask, too, since BY= did (RFC 2852).
        """
        self.assertEqual(actions(LATER, Status.RETRY, IN_TIME), {})
        late = {None: Action.DELAYED, "DELAY": Action.DELAYED}
        self.assertEqual(actions(LATER, Status.RETRY, IN_TIME, (False, True)), late)
        self.assertEqual(actions(LATER, Status.RETRY, IN_TIME, (True, True)), {})

    def test_a_trace_tells_of_every_relay(self) -> None:
        """
        But not to whom nothing is to be told, and not of a delivery that nobody asked about.
        """
        everyone = dict.fromkeys((None, "SUCCESS", "DELAY", "failure"), Action.RELAYED)
        for custody in (Custody.RELAYED, Custody.PASSED_ON):
            self.assertEqual(actions(Success(OK, custody=custody), Status.COMPLETED, TRACED), everyone)
        delivered = Success(OK, custody=Custody.DELIVERED)
        self.assertEqual(actions(delivered, Status.COMPLETED, TRACED), {"SUCCESS": Action.DELIVERED})

    def test_a_relay_that_forgets_the_time_is_told(self) -> None:
        """
        In mode N nobody further on would say that the message is late. Where the next hop keeps the time, it is not
        told to who did not ask for it, though that one may know nothing of DSN (RFC 2852 §4.1.4.2, RFC 3461 §5.2.2).
        """
        everyone = dict.fromkeys((None, "SUCCESS", "DELAY", "failure"), Action.RELAYED)
        self.assertEqual(actions(Success(OK, custody=Custody.UNTIMED), Status.COMPLETED, IN_TIME), everyone)
        self.assertEqual(actions(Success(OK, custody=Custody.PASSED_ON), Status.COMPLETED, IN_TIME), {})
        self.assertEqual(actions(Success(OK), Status.COMPLETED, IN_TIME), {"SUCCESS": Action.RELAYED})

    def test_the_worst(self) -> None:
        """
        Failures before delays before successes.
        """
        state = RecipientState(Recipient(Address("b", "x", "b@x")))
        notices = tuple(Notice(state, action) for action in (Action.DELIVERED, Action.DELAYED, Action.FAILED))
        self.assertEqual([worst(notices[:n]) for n in (1, 2, 3)], [Action.DELIVERED, Action.DELAYED, Action.FAILED])

"""
Messages that come again under their idempotency key.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener
from empath.errors import SpoolError, SpoolFull
from empath.interfaces import IJudgedContent
from empath.mail.idempotency import MOST_MESSAGES
from empath.mail.life import MessageReceived
from empath.mail.life_safety import CopyRefused
from empath.mail.message import Status
from empath.mail.session import Transaction
from empath.policy.verdict import discard
from empath.receive.idempotent import Idempotency
from tests.receive.support import Client, World

QUEUED = b"250 2.0.0 Ok: queued as "
TRUSTED = "127.0.0.1"


class IdempotencyTests(SynchronousTestCase):
    """
    One client that may send to anyone, and others.
    """

    def setUp(self) -> None:
        self.world = World()

    def begun(self, *recipients: str, sender: str = "a@b.example", host: str = TRUSTED) -> Client:
        """
        Bring a client to where the content is awaited.
        """
        client = self.world.connect(host)
        rcpts = "".join(f"RCPT TO:<{each}>\r\n" for each in recipients or ("c@d.example",))
        client.say(f"EHLO client.example\r\nMAIL FROM:<{sender}>\r\n{rcpts}DATA\r\n".encode())
        return client

    def send(self, key: str, *recipients: str, sender: str = "a@b.example", host: str = TRUSTED) -> bytes:
        """
        Send a message; gives the reply.
        """
        client = self.begun(*recipients, sender=sender, host=host)
        said = client.say(f"Idempotency-Key: {key}\r\nSubject: x\r\n\r\nbody\r\n.\r\n".encode())
        client.lose()
        return said

    def copies(self) -> list[tuple[str, list[str]]]:
        """
        Tell what copies were told of.
        """
        found = [event for event in self.world.events if isinstance(event, CopyRefused)]
        return [(event.queue_id, [each.text for each in event.recipients]) for event in found]

    def test_a_copy_is_not_stored(self) -> None:
        """
        Its client hears what the first one's heard; the key is not part of what is stored.
        """
        first = self.send("k1")
        ((message, _),) = self.world.stored
        self.assertEqual(first, QUEUED + message.queue_id.encode() + b"\r\n")
        self.assertTrue(message.header.endswith(b"\r\nSubject: x\r\n"))
        self.assertNotIn(b"Idempotency", message.header)
        self.assertEqual(message.size, len(message.header) + len(message.body or b""))
        self.assertEqual(self.send("k1"), first)
        self.assertEqual(len(self.world.stored), 1)
        self.assertEqual(self.copies(), [(message.queue_id, ["c@d.example"])])
        self.assertEqual(self.world.spool.writers[-1].aborted, 1)
        received = [event for event in self.world.events if isinstance(event, MessageReceived)]
        self.assertEqual(len(received), 1)
        self.assertEqual(len(self.world.idempotency), 0)

    def test_the_session_goes_on(self) -> None:
        """
        After a copy as after any message, under pipelining, too.
        """
        one = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nIdempotency-Key: k\r\n\r\nx\r\n.\r\n"
        client = self.world.connect(TRUSTED)
        client.say(b"EHLO client.example\r\n")
        said = client.say(one * 3 + b"NOOP\r\n")
        ((message, _),) = self.world.stored
        self.assertEqual(said.count(b"queued as " + message.queue_id.encode()), 3)
        self.assertTrue(said.endswith(b"250 2.0.0 Ok\r\n"), said)

    def test_only_who_did_not_have_it_gets_it(self) -> None:
        """
        A second message with more recipients goes to those alone, under a queue id of its own.
        """
        self.send("k", "a@d.example", "b@d.example")
        second = self.send("k", "a@d.example", "c@d.example", "b@D.example")
        first, other = [message for message, _ in self.world.stored]
        self.assertEqual([each.address.text for each in other.envelope.recipients], ["c@d.example"])
        self.assertEqual(second, QUEUED + other.queue_id.encode() + b"\r\n")
        self.assertEqual(self.copies(), [(first.queue_id, ["a@d.example", "b@D.example"])])
        self.assertEqual(self.send("k", "c@d.example"), second)
        self.assertEqual(self.send("k", "c@d.example", "a@d.example"), QUEUED + first.queue_id.encode() + b"\r\n")
        self.assertEqual(len(self.world.stored), 2)

    def test_what_is_another_message(self) -> None:
        """
        One under another key, of another sender, of a login.
        """
        self.send("k")
        self.send("K")
        self.send("k", sender="b@b.example")
        self.send("k", sender="")
        self.assertEqual(len(self.world.stored), 4)
        self.assertEqual(self.copies(), [])

    def test_a_login_has_its_own_keys(self) -> None:
        """
        What a trusted client said under the same one is another message.
        """
        world = self.world = World(listener=Listener(auth=True, auth_cleartext=True))
        self.send("k")
        for _ in range(2):
            client = world.connect("192.0.2.7")
            client.say(b"EHLO x\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n")
            client.say(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
            client.say(b"Idempotency-Key: k\r\n\r\nx\r\n.\r\n")
        self.assertEqual(len(world.stored), 2)
        self.assertEqual(len(self.copies()), 1)

    def test_outside_the_key_is_a_field_like_any_other(self) -> None:
        """
        Of others' mail nothing is left out, and nobody finds out what was sent under a key.
        """
        for _ in range(2):
            self.send("a b", host="192.0.2.7")
        self.assertEqual(len(self.world.stored), 2)
        self.assertIn(b"\r\nIdempotency-Key: a b\r\n", self.world.stored[0][0].header)

    def test_what_has_travelled_has_no_key(self) -> None:
        """
        A relay that is trusted hands on what others wrote: their keys make nobody lose mail.
        """
        for number in range(2):
            self.send(f"a b\r\nReceived: from outside by relay; nr. {number}")
        self.assertEqual((len(self.world.stored), self.copies()), (2, []))
        self.assertIn(b"\r\nIdempotency-Key: a b\r\n", self.world.stored[1][0].header)

    def test_bad_keys(self) -> None:
        """
        They are refused for good; the session goes on.
        """
        for key in ("", "a b", "x" * 256, "1\r\nidempotency-key: 1"):
            said = self.send(key)
            self.assertTrue(said.startswith(b"554 5.6.0 "), said)
        self.assertEqual(self.world.stored, [])
        self.assertEqual([writer.aborted for writer in self.world.spool.writers], [1] * 4)

    def test_the_window(self) -> None:
        """
        A key that is older is as good as new; without a window keys mean nothing.
        """
        self.send("k")
        self.world.clock.advance(86399.0)
        self.send("k")
        self.assertEqual(len(self.world.stored), 1)
        self.world.clock.advance(1.0)
        self.send("k")
        self.assertEqual(len(self.world.stored), 2)
        self.world.idempotency.window = 0.0
        self.send("k")
        self.assertEqual(len(self.world.stored), 3)
        self.assertIn(b"Idempotency-Key: k", self.world.stored[2][0].header)

    def test_in_parallel(self) -> None:
        """
        Whoever comes while the first one is being stored waits for it: one message, and one answer for all.
        """
        commit = self.world.spool.slow_commit = Deferred()
        clients = [self.begun() for _ in range(100)]
        for client in clients:
            self.assertEqual(client.say(b"Idempotency-Key: k\r\n\r\nbody\r\n.\r\n"), b"")
        self.assertEqual((len(self.world.spool.committed), len(self.world.idempotency)), (1, 1))
        commit.callback(None)
        ((message, _),) = self.world.stored
        for client in clients:
            self.assertEqual(client.heard(), QUEUED + message.queue_id.encode() + b"\r\n")
        self.assertEqual((len(self.world.spool.committed), len(self.world.idempotency)), (1, 0))

    def test_a_thousand_wait(self) -> None:
        """
        Each gets its turn, though none takes any time: whether the first one was stored, or the spool tells no more.
        """
        for trouble in (None, SpoolError("the disk is away")):
            self.assertEqual(self.turns(1000, trouble), 0 if trouble else 1000)

    def turns(self, waiting: int, trouble: SpoolError | None) -> int:
        """
        Have so many wait for one, and the spool fail, or not, when that is done; tells how many took anything.
        """
        first: Deferred[None] = Deferred()
        took: list[None] = []
        once = Idempotency(self.world.spool.accepted, self.world.clock, 60.0)
        self.world.spool.unreadable = None
        storing = Deferred.fromCoroutine(once.in_turn(b"k", lambda _: first))
        others = [Deferred.fromCoroutine(once.in_turn(b"k", lambda _: took.append(None))) for _ in range(waiting)]
        self.world.spool.unreadable = trouble
        first.callback(None)
        self.successResultOf(storing)
        for other in others:
            if trouble is None:
                self.successResultOf(other)
            else:
                self.failureResultOf(other, SpoolError)
        self.assertEqual(len(once), 0)
        return len(took)

    def test_a_first_one_that_fails_lets_the_next_one_in(self) -> None:
        """
        Whether the spool refuses it, or its client goes away.
        """
        for gone in (False, True):
            self.setUp()
            commit = self.world.spool.slow_commit = Deferred()
            first, second, third = [self.begun() for _ in range(3)]
            for client in (first, second, third):
                client.say(b"Idempotency-Key: k\r\n\r\nbody\r\n.\r\n")
            self.world.spool.slow_commit = None
            if gone:
                first.lose()
            else:
                commit.errback(SpoolFull("full"))
            ((message, _),) = self.world.stored
            self.assertEqual(message.queue_id, self.world.spool.committed[1][0].queue_id)
            for client in (second, third):
                self.assertEqual(client.heard(), QUEUED + message.queue_id.encode() + b"\r\n")
            self.assertEqual(first.heard(), b"" if gone else b"452 4.3.1 not enough room to store the message\r\n")
            self.assertEqual(len(self.world.idempotency), 0)

    def test_one_that_waits_and_goes_away(self) -> None:
        """
        It gives up its turn; so does the one that is being stored when its time is over, with 451.
        """
        commit = self.world.spool.slow_commit = Deferred()
        clients = []
        for _ in range(3):
            clients.append(self.begun())
            clients[-1].say(b"Idempotency-Key: k\r\n\r\nbody\r\n.\r\n")
            self.world.clock.advance(100.0)
        first, second, third = clients
        second.lose()
        self.world.spool.slow_commit = None
        self.world.clock.advance(239.0)
        self.assertEqual((first.heard(), commit.called), (b"", False))
        self.world.clock.advance(1.0)
        self.assertEqual(first.heard(), b"451 4.3.0 the message could not be stored, try again later\r\n")
        ((message, _),) = self.world.stored
        self.assertEqual(third.heard(), QUEUED + message.queue_id.encode() + b"\r\n")
        self.assertEqual((commit.called, len(self.world.idempotency)), (True, 0))

    def test_a_spool_that_cannot_tell(self) -> None:
        """
        It may have been accepted before: come back later.
        """
        self.world.spool.unreadable = SpoolError("the disk is away")
        self.assertEqual(self.send("k"), b"451 4.3.0 the message could not be stored, try again later\r\n")
        self.world.spool.unreadable = None
        self.assertTrue(self.send("k").startswith(QUEUED))
        self.assertEqual(len(self.world.stored), 1)

    def test_too_many_messages_under_one_key(self) -> None:
        """
        Copies are known of still, new ones are refused.
        """
        for at in range(MOST_MESSAGES):
            self.send("k", f"u{at}@d.example")
        self.assertTrue(self.send("k", "u7@d.example").startswith(QUEUED))
        self.assertEqual(self.send("k", "new@d.example"), b"554 5.6.0 too many messages under one Idempotency-Key\r\n")
        self.assertEqual(len(self.world.stored), MOST_MESSAGES)

    def test_modules_do_not_see_the_key(self) -> None:
        """
        And who drops a message drops its copies: they claim nothing.
        """
        seen = []

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            seen.append(content.get("Idempotency-Key"))

        self.world.decisions.judge = judge
        self.send("k")
        self.assertEqual(seen, [None])
        self.world.decisions.judge = lambda transaction, content: discard("test")
        for _ in range(2):
            self.assertTrue(self.send("other").startswith(QUEUED))
        self.assertEqual(len(self.world.spool.claims), 1)

    def test_recipients_that_a_module_takes_away(self) -> None:
        """
        Without one that is left nothing is stored, and nothing claimed.
        """
        self.world.decisions.judge = lambda transaction, content: transaction.recipients.clear()
        self.assertTrue(self.send("k").startswith(QUEUED))
        self.assertEqual((self.world.stored, self.world.spool.claims), ([], []))

    def test_what_is_to_be_held(self) -> None:
        """
        Mail of a sender that was stopped while it came is stored, and waits.
        """
        self.world.held = "the sender is stopped"
        self.send("k")
        ((_, (delivery,)),) = self.world.stored
        self.assertEqual((delivery.status, delivery.last_error), (Status.HELD, "the sender is stopped"))

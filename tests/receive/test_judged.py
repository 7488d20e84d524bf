"""
What modules read and change of a message before it is stored.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Listener, SmtpTimeouts
from empath.errors import SpoolError, SpoolFull
from empath.interfaces import IContent, IJudgedContent, MaybeVerdict
from empath.mail.address import parse_address
from empath.mail.decision import Decision
from empath.mail.envelope import Recipient
from empath.mail.life import CommandAnswered, MessageDiscarded, MessageReceived
from empath.mail.message import Message, Status
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.mail.wish import Wish, wishes
from empath.policy.verdict import Action, Verdict, accept, discard, refuse
from tests.receive.support import BEGIN, EPOCH, Client, World, changed

QUEUED = b"250 2.0.0 Ok: queued as "
LOCAL = b"451 4.3.0 local error, try again later\r\n"
MAIL = b"Subject: x\r\nX-Old: 1\r\n\r\nbody\r\n.\r\n"


class JudgedCase(SynchronousTestCase):
    """
    A world whose modules do as a test says.
    """

    def setUp(self) -> None:
        self.world = World()

    def judged(self, judge: Callable[[Transaction, IJudgedContent], object], mail: bytes = MAIL) -> bytes:
        """
        Send a message and let it be judged: an acceptance unless `judge` gives a verdict.
        """

        def judging(transaction: Transaction, content: IJudgedContent) -> MaybeVerdict:
            verdict = judge(transaction, content)
            return verdict if isinstance(verdict, Verdict) else None

        self.world.decisions.judge = judging
        return self.world.begun().say(mail)

    def stored(self) -> Message:
        """
        Give the one message that was stored.
        """
        ((message, _),) = self.world.stored
        return message

    def made(self, judge: Callable[[Transaction, IJudgedContent], object], mail: bytes = MAIL) -> Message:
        """
        Send a message, let it be changed, and give it as it is stored.
        """
        said = self.judged(judge, mail)
        self.assertTrue(said.startswith(QUEUED), said)
        return self.stored()


class HeaderTests(JudgedCase):
    """
    The header block.
    """

    def test_the_content_is_what_it_promises(self) -> None:
        """
        For whoever judges, and for who only looks on.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            verifyObject(IJudgedContent, content)
            verifyObject(IContent, content.shadow())
            self.assertEqual((content.header, content.body), (b"Subject: x\r\nX-Old: 1\r\n", b"\r\nbody\r\n"))
            self.assertEqual((content.size, content.eight_bit), (30, False))
            self.assertEqual((content.fields(), content.get("x-old")), ([("Subject", "x"), ("X-Old", "1")], "1"))
            self.assertEqual(content.get_all("SUBJECT"), ["x"])

        message = self.made(judge)
        self.assertTrue(message.header.endswith(b"+0000\r\nSubject: x\r\nX-Old: 1\r\n"))

    def test_changes_are_stored(self) -> None:
        """
        Below our Received field; the sizes are right.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            content.add("X-Spam", "no")
            content.add("First", "1", 0)
            content.replace("subject", "y")
            self.assertEqual((content.remove("X-Old"), content.remove("X-Old")), (1, 0))
            self.assertEqual(content.header, b"First: 1\r\nsubject: y\r\nX-Spam: no\r\n")
            self.assertEqual(content.size, len(content.header) + 8)

        message = self.made(judge)
        self.assertTrue(message.header.startswith(b"Received: "))
        self.assertTrue(message.header.endswith(b"+0000\r\nFirst: 1\r\nsubject: y\r\nX-Spam: no\r\n"))
        self.assertEqual(message.size, len(message.header) + len(message.body or b""))

    def test_renamed(self) -> None:
        """
        A field that is called otherwise counts as changed.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            self.assertEqual((content.rename("X-Old", "X-Older"), content.rename("X-None", "X")), (1, 0))
            self.assertEqual(content.size, 32)

        self.assertTrue(self.made(judge).header.endswith(b"X-Older: 1\r\n"))

    def test_content_that_nobody_judges(self) -> None:
        """
        Is stored all the same, and nobody is asked; what was decided before holds.
        """
        self.world.decisions.judges_data = False
        self.world.decisions.judge = lambda transaction, content: refuse("550 5.7.1 no")
        client = self.world.begun()
        self.assertTrue(client.say(b"A: \xfc\r\n\r\nx\r\n.\r\n").startswith(QUEUED))
        message = self.stored()
        self.assertTrue(message.header.endswith(b"A: \xfc\r\n"))
        self.assertEqual((message.body, message.eight_bit), (b"\r\nx\r\n", True))
        self.world.decisions.answers["rcpt_to"] = discard("x")
        self.assertTrue(client.say(BEGIN.partition(b"\r\n")[2] + MAIL).splitlines()[-1].startswith(QUEUED))
        self.assertEqual(len(self.world.stored), 1)

    def test_a_field_that_is_none_is_refused(self) -> None:
        """
        And nothing is changed by it.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            self.assertRaises(ValueError, content.add, "X", "a\r\nBcc: x")
            self.assertRaises(ValueError, content.replace, "a b", "x")

        self.assertTrue(self.made(judge).header.endswith(b"Subject: x\r\nX-Old: 1\r\n"))

    def test_what_is_not_ascii(self) -> None:
        """
        Is encoded, unless the message came with SMTPUTF8 and such a header block: then it stays, and the message is
        known to have octets ≥ 128.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            content.add("X-Color", "grün")

        message = self.made(judge)
        self.assertTrue(message.header.endswith(b"X-Color: =?utf-8?b?Z3LDvG4=?=\r\n"))
        self.assertFalse(message.eight_bit)
        client = self.world.connect()
        client.say(b"EHLO x\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        client.say(MAIL)
        message = self.world.stored[-1][0]
        self.assertTrue(message.header.endswith(b"X-Color: =?utf-8?b?Z3LDvG4=?=\r\n"))
        client.say(b"MAIL FROM:<a@b.example> SMTPUTF8\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        client.say("Subject: ä\r\n\r\n.\r\n".encode())
        message = self.world.stored[-1][0]
        self.assertTrue(message.header.endswith("X-Color: grün\r\n".encode()))
        self.assertTrue(message.eight_bit)

    def test_an_address_that_is_not_ascii(self) -> None:
        """
        Cannot be encoded: it stays, and takes the message to hosts with SMTPUTF8 only; without it is no field.
        """
        self.world.decisions.judge = lambda transaction, content: content.replace("reply-to", "grün@x.example")
        client = self.world.connect()
        client.say(b"EHLO x\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + MAIL)
        message = self.stored()
        self.assertTrue(message.header.endswith("reply-to: grün@x.example\r\n".encode()))
        self.assertTrue(message.eight_bit)
        self.world = World()
        self.made(lambda _, content: self.assertRaises(ValueError, content.add, "To", "grün@x.example"))

    def test_a_new_message_is_complete_before_it_is_judged(self) -> None:
        """
        Modules of a submission see the Date and the Message-ID that we add.
        """
        self.world = World(listener=Listener(kind="submission", auth_cleartext=True))

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            self.assertEqual(content.get("message-id"), f"<{transaction.queue_id}@mx.example.org>")
            self.assertIsNotNone(content.get("date"))
            content.remove("Date")

        self.world.decisions.judge = judge
        client = self.world.connect()
        client.say(b"EHLO x\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n")
        self.assertIn(QUEUED, client.say(BEGIN.partition(b"\r\n")[2] + b"A: b\r\n\r\n.\r\n"))
        self.assertNotIn(b"Date:", self.stored().header)


class BodyTests(JudgedCase):
    """
    The body.
    """

    def test_it_can_be_read(self) -> None:
        """
        As often as one likes, until the message has been judged.
        """
        readers = []

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            for each in (content, content.shadow()):
                readers.append(each.open())
                self.assertEqual(self.successResultOf(Deferred.fromCoroutine(_read(readers[-1]))), b"\r\nbody\r\n")
            readers.append(content.open())

        self.made(judge)
        for reader in readers:
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(_read(reader))), b"failed")

    def test_appended(self) -> None:
        """
        At the end; what is 8-bit by then is known to be.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            self.assertIsNone(content.append(b"-- \r\n"))
            self.assertFalse(content.eight_bit)
            content.append(b"\xfc\r\n")
            content.append(b"")
            self.assertEqual((content.eight_bit, content.body), (True, b"\r\nbody\r\n-- \r\n\xfc\r\n"))

        message = self.made(judge)
        self.assertEqual((message.body, message.eight_bit), (b"\r\nbody\r\n-- \r\n\xfc\r\n", True))
        self.assertEqual(message.size, len(message.header) + len(message.body or b""))

    def test_replaced(self) -> None:
        """
        With or without its empty line, at once or in pieces; nothing is left of the old one.
        """
        for pieces in ([b"\r\nnew\r\n"], [b"new\r\n"], [b"\r\n", b"new\r\n"], [b"", b"\r\nnew\r\n"], [b"", b"new\r\n"]):
            self.world = World()

            def judge(transaction: Transaction, content: IJudgedContent, pieces: list[bytes] = pieces) -> None:
                self.assertTrue(content.eight_bit)
                content.replace_body(pieces[0])
                for piece in pieces[1:]:
                    content.append(piece)
                self.assertFalse(content.eight_bit)

            message = self.made(judge, b"A: b\r\n\r\n\xfc\r\n.\r\n")
            self.assertEqual((message.body, message.eight_bit), (b"\r\nnew\r\n", False))
            self.assertEqual(message.size, len(message.header) + 7)

    def test_which_part_is_eight_bit(self) -> None:
        """
        Is known of header block and body by themselves, whichever is changed.
        """
        for mail, removed, left in (
            (b"A: \xfc\r\n\r\nx\r\n.\r\n", True, False),
            (b"A: \xfc\r\n\r\n\xfc\r\n.\r\n", True, True),
            (b"A: \xfc\r\n\r\n\xfc\r\n.\r\n", False, True),
            (b"A: b\r\n\r\n\xfc\r\n.\r\n", True, True),
            (b" blank\r\n\xfc\r\n.\r\n", True, True),
        ):
            self.world = World()

            def judge(transaction: Transaction, content: IJudgedContent, removed: bool = removed) -> None:
                self.assertTrue(content.eight_bit)
                if removed:
                    content.remove("A")

            self.assertEqual(self.made(judge, mail).eight_bit, left, mail)

    def test_a_message_without_body(self) -> None:
        """
        What is added comes behind an empty line: it must not be read as header.
        """
        message = self.made(lambda transaction, content: content.append(b"Bcc: x\r\n"), b"A: b\r\n.\r\n")
        self.assertEqual((message.header[-6:], message.body), (b"A: b\r\n", b"\r\nBcc: x\r\n"))

    def test_what_lines_cannot_be_made_of(self) -> None:
        """
        Bare newlines and NULs are refused, and change nothing.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            for each in (content, content.shadow()):
                for data in (b"a\nb", b"a\rb", b"a\r\n\n", b"\r\n\0", b"a\r"):
                    self.assertRaises(ValueError, each.append, data)
                    self.assertRaises(ValueError, each.replace_body, data)

        self.assertEqual(self.made(judge).body, b"\r\nbody\r\n")

    def test_binary_content(self) -> None:
        """
        Stays declared as such when something is added; another body in its place is none, and not declared any more.
        """

        def add(transaction: Transaction, content: IJudgedContent) -> None:
            content.append(b"footer\r\n")

        def replace(transaction: Transaction, content: IJudgedContent) -> None:
            content.replace_body(b"\r\n\xfc\r\n")

        def shrink(transaction: Transaction, content: IJudgedContent) -> None:
            content.replace_body(b"")

        data = b"A: b\r\n\r\na\nb\0"
        for judge, body, declared in (
            (add, b"\r\na\nb\0footer\r\n", "BINARYMIME"),
            (replace, b"\r\n\xfc\r\n", "8BITMIME"),
            (shrink, b"", None),
        ):
            self.world = World()
            self.world.decisions.judge = judge
            client = self.world.connect()
            client.say(b"EHLO x\r\nMAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n")
            said = client.say(b"BDAT %d LAST\r\n" % len(data) + data)
            self.assertTrue(said.startswith(QUEUED), said)
            message = self.stored()
            self.assertEqual((message.body, message.envelope.parameters.get("BODY")), (body, declared))
            self.assertEqual(message.size, len(message.header) + len(body))

    def test_a_header_block_that_is_binary(self) -> None:
        """
        Needs BODY=BINARYMIME by itself, whatever body is put behind it.
        """
        for block, declared in ((b"A: b\r\n", None), (b"A: b\nc\r\n", "BINARYMIME"), (b"A: \0\r\n", "BINARYMIME")):
            self.world = World()
            self.world.decisions.judge = lambda transaction, content: content.replace_body(b"new\r\n")
            data = block + b"\r\na\nb"
            client = self.world.connect()
            client.say(b"EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n")
            client.say(b"BDAT %d LAST\r\n" % len(data) + data)
            message = self.stored()
            self.assertEqual(message.envelope.parameters.get("BODY"), declared)
            self.assertEqual((message.body, message.header[-len(block) :]), (b"\r\nnew\r\n", block))

    def test_a_body_that_was_replaced_is_not_read_on(self) -> None:
        """
        A reader says so: it would give parts of two bodies, and the end of one would look like its whole.
        """
        heard = []

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            reader = content.open()
            content.replace_body(b"\r\nnew\r\n")
            heard.append(self.successResultOf(Deferred.fromCoroutine(_read(reader))))
            heard.append(self.successResultOf(Deferred.fromCoroutine(_read(content.open()))))

        self.made(judge)
        self.assertEqual(heard, [b"failed", b"\r\nnew\r\n"])

    def test_what_a_hook_that_failed_did(self) -> None:
        """
        Is undone in the header block; nobody gets a message whose body is half of something.
        """
        huge = "\r\n ".join(["x" * 900] * 1200)
        for way, taken in (
            (lambda content: content.remove("Subject"), True),
            (lambda content: content.add("A", huge), True),
            (lambda content: content.append(b""), True),
            (lambda content: content.append(b"x"), False),
            (lambda content: content.replace_body(b""), False),
            (lambda content: content.append(b"x" * 10**6), True),
        ):
            self.world = World(changed(max_message_size=1_000_000))

            def judge(transaction: Transaction, content: IJudgedContent, way: Callable[..., object] = way) -> None:
                content.add("Before", "1")
                mark = content.mark()
                way(content)
                content.put_back(mark)
                content.add("Behind", "2")

            said = self.judged(judge)
            if taken:
                self.assertTrue(self.stored().header.endswith(b"Subject: x\r\nX-Old: 1\r\nBefore: 1\r\nBehind: 2\r\n"))
            else:
                self.assertEqual((said, self.world.stored), (LOCAL, []))

    def test_a_slow_spool(self) -> None:
        """
        Whoever adds waits while the spool writes, and the answer to the client with it.
        """
        self.world.spool.slow_clear, self.world.spool.slow_write = Deferred(), None
        done = []

        async def judge(transaction: Transaction, content: IJudgedContent) -> None:
            self.world.spool.slow_write = slow = Deferred[None]()
            waiting = content.replace_body(b"\r\nnew\r\n")
            assert waiting is not None
            await waiting
            done.append(1)
            self.world.spool.slow_write = None
            slow = Deferred()
            self.world.spool.slow_write = slow
            self.world.clock.callLater(1, slow.callback, None)
            waiting = content.append(b"more\r\n")
            assert waiting is not None
            await waiting

        self.world.decisions.judge = judge
        client = self.world.begun()
        self.assertEqual(client.say(MAIL), b"")
        slow, self.world.spool.slow_clear = self.world.spool.slow_clear, None
        write = self.world.spool.slow_write
        assert slow is not None and write is not None
        slow.callback(None)
        self.assertEqual(done, [])
        write.callback(None)
        self.assertEqual((done, client.heard()), ([1], b""))
        self.world.clock.advance(1)
        self.assertTrue(client.heard().startswith(QUEUED))
        self.assertEqual(self.stored().body, b"\r\nnew\r\nmore\r\n")

    def test_a_spool_that_fails(self) -> None:
        """
        The module hears it, and the client, whatever the module makes of it.
        """
        full = b"452 4.3.1 not enough room to store the message\r\n"
        for way in ("append", "replace_body"):
            self.world = World()

            def judge(transaction: Transaction, content: IJudgedContent, way: str = way) -> None:
                self.world.spool.write_error = SpoolFull("full")
                self.assertRaises(SpoolFull, getattr(content, way), b"x\r\n")

            self.assertEqual(self.judged(judge), full)
            self.assertTrue(self.world.spool.writers[0].aborted)

        async def later(transaction: Transaction, content: IJudgedContent) -> None:
            self.world.spool.slow_write = slow = Deferred[None]()
            waiting = content.append(b"x\r\n")
            slow.errback(SpoolFull("full"))
            assert waiting is not None
            try:
                await waiting
            except SpoolError:
                pass
            else:
                raise AssertionError("nothing was raised")

        self.world = World()
        self.world.decisions.judge = later
        self.assertEqual(self.world.begun().say(MAIL), full)


class LimitTests(JudgedCase):
    """
    What is too much.
    """

    def test_the_size_is_bounded(self) -> None:
        """
        Whatever is added counts; one octet too many is 552, and no octet beyond is stored.
        """
        size = len(MAIL) - 3

        def body(transaction: Transaction, content: IJudgedContent, more: int) -> None:
            content.append(b"x" * more)

        def header(transaction: Transaction, content: IJudgedContent, more: int) -> None:
            content.add("A", "x" * (more - 5))

        def replaced(transaction: Transaction, content: IJudgedContent, more: int) -> None:
            content.replace_body(b"\r\n" + b"x" * (more + 6))

        for judge in (body, header, replaced):
            for more in (20, 21):
                self.world = World(changed(max_message_size=size + 20))
                said = self.judged(lambda transaction, content: judge(transaction, content, more))  # noqa: B023
                if more == 20:
                    self.assertTrue(said.startswith(QUEUED), judge)
                    self.assertEqual(len(self.stored().body or b""), self.world.spool.writers[0].size)
                else:
                    self.assertEqual(said, b"552 5.3.4 message too large\r\n")
                    self.assertLessEqual(self.world.spool.writers[0].size, size)

    def test_what_we_mended_is_no_fault_of_a_module(self) -> None:
        """
        A message that is as large as it may be is taken with the Date that we add, if no module makes it larger.
        """
        smtp = changed(max_message_size=len(MAIL) - 3)
        self.world = World(smtp, Listener(kind="submission", auth_cleartext=True))
        self.world.decisions.judge = lambda transaction, content: content.replace("X-Old", "2")
        client = self.world.connect()
        client.say(b"EHLO x\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n" + BEGIN.partition(b"\r\n")[2])
        self.assertTrue(client.say(MAIL).startswith(QUEUED))
        self.world.decisions.judge = lambda transaction, content: content.append(b"x")
        client.say(BEGIN.partition(b"\r\n")[2])
        self.assertEqual(client.say(MAIL), b"552 5.3.4 message too large\r\n")

    def test_nothing_changes_after_the_verdict(self) -> None:
        """
        A module that goes on although it was not waited for cannot reach what is stored.
        """
        kept: list[IJudgedContent] = []
        message = self.made(lambda transaction, content: kept.append(content))
        for change in (
            lambda content: content.add("A", "b"),
            lambda content: content.remove("Subject"),
            lambda content: content.replace("Subject", "z"),
            lambda content: content.append(b"x"),
            lambda content: content.replace_body(b"x"),
        ):
            self.assertRaises(SpoolError, change, kept[0])
        self.assertEqual(message.body, b"\r\nbody\r\n")
        self.assertEqual(self.world.spool.writers[0].content, b"\r\nbody\r\n")

    def test_shadow(self) -> None:
        """
        Who only looks on sees its own header, and changes nothing.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            shadow = content.shadow()
            shadow.add("X", "1")
            self.assertEqual((shadow.get("x"), shadow.body, shadow.eight_bit), ("1", b"\r\nbody\r\n", False))
            self.assertEqual(shadow.size, content.size + 6)
            shadow.append(b"x")
            shadow.replace_body(b"x")
            self.assertIsNone(content.get("X"))

        message = self.made(judge)
        self.assertTrue(message.header.endswith(b"+0000\r\nSubject: x\r\nX-Old: 1\r\n"))
        self.assertEqual(message.body, b"\r\nbody\r\n")


class EnvelopeTests(JudgedCase):
    """
    What modules make of the transaction.
    """

    def test_everything_that_may_be_changed(self) -> None:
        """
        Is stored as it is when all have judged; a module that keeps the metadata cannot change it later.
        """
        kept = []

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            transaction.reverse_path = None
            transaction.recipients.append(Recipient(parse_address("more@y.example")))
            transaction.metadata["color"] = "grün"
            kept.append(transaction.metadata)
            transaction.priority = 4
            transaction.release = EPOCH + 60
            transaction.note(Decision("data", "m", "accept", why="fine"))

        message = self.made(judge)
        kept[0]["color"] = "red"
        deliveries = self.world.stored[0][1]
        self.assertIsNone(message.envelope.reverse_path)
        self.assertEqual([str(each.address) for each in message.envelope.recipients], ["c@d.example", "more@y.example"])
        self.assertEqual((message.metadata, message.priority), ({"color": "grün"}, 4))
        self.assertEqual(message.decisions, (Decision("data", "m", "accept", why="fine"),))
        self.assertEqual([(each.next_attempt, each.priority) for each in deliveries], [(EPOCH + 60, 4)] * 2)
        self.assertIn(b"priority 4;", message.header.replace(b"\r\n       ", b""))
        self.assertNotIn(b"for <", message.header)

    def test_held(self) -> None:
        """
        The message is ours, and goes nowhere.
        """
        with capturedLogs() as events:
            self.made(lambda transaction, content: transaction.hold("odd"))
        told = [str(formatEvent(event)) for event in events]
        self.assertIn(f"{self.stored().queue_id}: held: odd", told)
        ((_, (delivery,)),) = self.world.stored
        self.assertEqual((delivery.status, delivery.next_attempt, delivery.last_error), (Status.HELD, None, "odd"))

    def test_redirected(self) -> None:
        """
        The route decides, the addresses stay.
        """
        self.made(lambda transaction, content: transaction.redirect("archive"))
        ((_, (delivery,)),) = self.world.stored
        self.assertEqual((delivery.domain, str(delivery.recipients[0].address)), ("archive", "c@d.example"))

    def test_nobody_is_left(self) -> None:
        """
        The client hears success, and an event says that the message is gone.
        """
        self.assertTrue(self.judged(lambda transaction, content: transaction.recipients.clear()).startswith(QUEUED))
        self.assertEqual(self.world.stored, [])
        event = self.world.events[-1]
        assert isinstance(event, MessageDiscarded)
        self.assertEqual((event.decided_by, event.why), ("", "no recipient is left"))
        self.assertEqual(event.message.envelope.recipients, ())
        self.assertTrue(self.world.spool.writers[0].aborted)

    def test_garbage_fails_the_message_only(self) -> None:
        """
        What a module left in a transaction that cannot be: the client may come back, and the log says why.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            name, value = bad
            setattr(transaction, name, value)

        for bad in (
            ("recipients", ["c@d.example"]),
            ("recipients", 5),
            ("release", "soon"),
            ("metadata", None),
        ):
            self.world = World()
            self.assertEqual(self.judged(judge), LOCAL, bad)
            self.assertEqual((self.world.stored, self.world.spool.committed), ([], []))
            self.assertTrue(self.world.spool.writers[0].aborted)
            self.assertEqual(len(self.flushLoggedErrors(TypeError, AttributeError)), 1)
            self.assertEqual(self.world.refusals(), [f"DATA {LOCAL.decode().strip()}"])

    def test_too_many_recipients(self) -> None:
        """
        Ten thousand of one message are enough, however many a list holds: at RCPT or later.
        """
        many = [parse_address(f"u{number}@y.example") for number in range(9_999)]

        def rewriting(session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
            if recipient.address.local == "list":
                transaction.rewrite(recipient, *many)
            return None

        self.world.decisions.rcpt_to = rewriting  # type: ignore[method-assign]
        client = self.world.connect()
        said = client.say(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@d.example>\r\n")
        self.assertTrue(said.endswith(b"250 2.1.5 Ok\r\n"), said)
        self.assertEqual(client.say(b"RCPT TO:<list@d.example>\r\n"), b"250 2.1.5 Ok\r\n")
        self.assertEqual(client.say(b"RCPT TO:<two@d.example>\r\n"), b"452 4.5.3 too many recipients\r\n")
        self.assertTrue(client.say(b"DATA\r\n" + MAIL).split(b"\r\n")[1].startswith(QUEUED))
        self.assertEqual(len(self.stored().envelope.recipients), 10_000)

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            transaction.recipients *= 10_001

        self.world = World()
        self.assertEqual(self.judged(judge), b"452 4.5.3 too many recipients\r\n")
        self.assertTrue(self.world.spool.writers[0].aborted)

    def test_the_word_on_an_expansion_comes_first(self) -> None:
        """
        The client hears of its message when the report that a recipient became several is stored too (or cannot be), or
        after as long as it is let wait: the message is ours by then.
        """
        several = [parse_address("one@y.example"), parse_address("two@y.example")]

        def rewriting(session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
            transaction.rewrite(recipient, *several)
            return None

        for late in (False, True):
            self.world = World()
            told: Deferred[None] = Deferred()
            self.world.told_of_expansion = told
            self.world.decisions.rcpt_to = rewriting  # type: ignore[method-assign]
            client = self.world.connect()
            client.say(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<list@d.example> NOTIFY=SUCCESS\r\nDATA\r\n")
            self.assertEqual((client.say(MAIL), len(self.world.stored)), (b"", 1))
            if late:
                self.world.clock.advance(3600)
            else:
                told.callback(None)
            self.assertTrue(client.heard().startswith(QUEUED))

    def test_postmaster_can_be_rewritten(self) -> None:
        """
        <Postmaster> is who the configuration says, unless a module says otherwise.
        """
        rewritten = parse_address("root@y.example")

        def rewriting(session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
            transaction.rewrite(recipient, rewritten)
            return None

        for rewrite, expected in ((False, "boss@example.org"), (True, "root@y.example")):
            self.world = World()
            if rewrite:
                self.world.decisions.rcpt_to = rewriting  # type: ignore[method-assign]
            self.world.connect().say(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n" + MAIL)
            (recipient,) = self.stored().envelope.recipients
            self.assertEqual(str(recipient.address), expected)

    def test_postmaster_can_be_redirected(self) -> None:
        """
        The route is that of whoever the configuration says.
        """

        def redirecting(session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
            transaction.redirect("archive", recipient)
            return None

        self.world.decisions.rcpt_to = redirecting  # type: ignore[method-assign]
        self.world.connect().say(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n" + MAIL)
        ((_, (delivery,)),) = self.world.stored
        self.assertEqual((delivery.domain, str(delivery.recipients[0].address)), ("archive", "boss@example.org"))

    def test_a_priority_that_is_taken_away(self) -> None:
        """
        Is not asked of the next host either.
        """

        def judge(transaction: Transaction, content: IJudgedContent) -> None:
            self.assertEqual(transaction.priority, 4)
            transaction.priority = 0

        self.world.decisions.judge = judge
        client = self.world.connect("127.0.0.1")
        client.say(b"EHLO x\r\nMAIL FROM:<> RET=HDRS MT-PRIORITY=4\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + MAIL)
        self.assertEqual(self.stored().envelope.parameters, {"RET": "HDRS"})


class ToldTests(JudgedCase):
    """
    Who decided, and why.
    """

    def test_refusals(self) -> None:
        """
        Name the module and its reason at every stage; the client hears neither.
        """
        for stage, verb in (
            *(("connect", ""), ("ehlo", "EHLO"), ("mail_from", "MAIL"), ("rcpt_to", "RCPT"), ("data", "DATA")),
        ):
            for action in (Action.REFUSE, Action.DISCONNECT):
                world = World()
                world.decisions.answers[stage] = Verdict(action, Reply.of("550 5.7.1 no"), "access", "listed")
                client = world.connect()
                said = client.heard() + client.say(BEGIN + MAIL)
                self.assertNotIn(b"listed", said)
                told = next(event for event in world.events if isinstance(event, CommandAnswered))
                self.assertEqual((told.verb, told.decided_by, told.why), (verb, "access", "listed"), stage)

    def test_our_own_refusals_name_nobody(self) -> None:
        """
        Neither module nor reason.
        """
        client = self.world.connect()
        client.say(b"NONSENSE\r\n")
        (told,) = (event for event in self.world.events if isinstance(event, CommandAnswered))
        self.assertEqual((told.decided_by, told.why), ("", ""))

    def test_discarded_at_any_stage(self) -> None:
        """
        The client hears success; an event names who wanted it dropped, and why; what others add later is no matter.
        """
        for stage in ("connect", "ehlo", "mail_from", "rcpt_to", "data"):
            world = World()
            world.decisions.answers[stage] = Verdict(Action.DISCARD, decided_by="spam", why="score 90")
            client = world.connect()
            client.say(BEGIN)
            self.assertTrue(client.say(MAIL).startswith(QUEUED), stage)
            (event,) = (event for event in world.events if isinstance(event, MessageDiscarded))
            self.assertEqual((event.decided_by, event.why, event.session.peer), ("spam", "score 90", "192.0.2.7"))
            self.assertEqual((event.message.body, world.stored), (b"\r\nbody\r\n", []))
            self.assertFalse(any(isinstance(event, MessageReceived) for event in world.events))
            self.assertTrue(world.spool.writers[0].aborted)

    def test_a_discarded_message_does_not_take_the_next_with_it(self) -> None:
        """
        What was said at MAIL or RCPT holds for one message; a refusal wins over it.
        """
        client = self.world.connect()
        self.world.decisions.answers["rcpt_to"] = discard("x")
        client.say(BEGIN + MAIL)
        self.world.decisions.answers.clear()
        client.say(BEGIN.partition(b"\r\n")[2] + MAIL)
        self.assertEqual(len(self.world.stored), 1)
        self.world.decisions.answers = {"mail_from": discard("x"), "data": refuse("550 5.7.1 no")}
        self.assertTrue(client.say(BEGIN.partition(b"\r\n")[2] + MAIL).endswith(b"550 5.7.1 no\r\n"))

    def test_decisions_begin_anew_with_each_transaction(self) -> None:
        """
        With those of the session; RSET forgets those of the transaction.
        """
        greeted = Decision("ehlo", "m", "accept")
        noted = Decision("mail_from", "m", "accept")

        def mail_from(session: Session, transaction: Transaction) -> MaybeVerdict:
            session.decisions = (greeted,)
            transaction.note(noted)
            return accept()

        self.world.decisions.mail_from = mail_from  # type: ignore[method-assign]
        client = self.world.connect()
        client.say(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRSET\r\n" + BEGIN.partition(b"\r\n")[2] + MAIL)
        self.assertEqual(self.stored().decisions, (greeted, noted))


class TimeTests(JudgedCase):
    """
    How long a decision about content may take.
    """

    def waiting(self, world: World) -> tuple[Client, Deferred[MaybeVerdict]]:
        """
        Let a decision about content begin.
        """
        waiting: Deferred[MaybeVerdict] = Deferred()
        world.decisions.answers["data"] = waiting
        client = world.begun()
        self.assertEqual(client.say(MAIL), b"")
        return client, waiting

    def test_a_module_has_its_time(self) -> None:
        """
        Far more than the minute that it usually gets, with the usual time-outs.
        """
        client, waiting = self.waiting(self.world)
        self.world.clock.advance(500)
        waiting.callback(None)
        self.assertTrue(client.heard().startswith(QUEUED))

    def test_the_client_hears_before_it_gives_up(self) -> None:
        """
        The decision is let go of then, and the client may come back.
        """
        client, waiting = self.waiting(self.world)
        self.world.clock.advance(SmtpTimeouts().data_termination - 60)
        self.assertTrue(waiting.called)
        self.assertTrue(client.heard().startswith(b"451 4.3.0"))
        self.assertTrue(self.world.spool.writers[0].aborted)
        self.assertTrue(client.say(b"NOOP\r\n").startswith(b"250"))

    def test_a_decision_that_cannot_be_stopped(self) -> None:
        """
        Holds nobody up: the client has its answer, and what comes later of it is no matter.
        """
        stubborn: Deferred[None] = Deferred()

        async def judge(transaction: Transaction, content: IJudgedContent) -> MaybeVerdict:
            try:
                await Deferred[None]()
            except CancelledError:
                await stubborn
            return None

        self.world.decisions.judge = judge
        client = self.world.begun()
        client.say(MAIL)
        self.world.clock.advance(SmtpTimeouts().data_termination - 60)
        self.assertTrue(client.heard().startswith(b"451 4.3.0"))
        stubborn.callback(None)
        self.assertEqual((client.heard(), self.world.stored, self.world.spool.committed), (b"", [], []))
        self.world.decisions.judge = None
        self.assertTrue(client.say(BEGIN.partition(b"\r\n")[2] + MAIL).splitlines()[-1].startswith(QUEUED))

    def test_a_client_that_goes_away(self) -> None:
        """
        Stops the decision, and nothing is stored.
        """
        client, waiting = self.waiting(self.world)
        client.lose()
        self.assertTrue(waiting.called)
        self.assertEqual((self.world.stored, self.world.refusals()), ([], []))
        self.assertTrue(self.world.spool.writers[0].aborted)

    def test_what_comes_meanwhile_is_bounded(self) -> None:
        """
        A client that goes on and on while a module decides is made to wait, at any stage.
        """
        for stage in ("ehlo", "mail_from", "rcpt_to", "data"):
            world = World(changed(max_commands=20000))
            waiting: Deferred[MaybeVerdict] = Deferred()
            world.decisions.answers[stage] = waiting
            client = world.connect()
            client.say(BEGIN + MAIL)
            client.say(b"NOOP\r\n" * 15000)
            self.assertEqual(client.transport.producerState, "paused", stage)
            world.decisions.answers.clear()
            waiting.callback(None)
            self.assertEqual(client.transport.producerState, "producing", stage)


async def _read(reader: object) -> bytes:
    try:
        piece: bytes = await reader.read()  # type: ignore[attr-defined]
    except SpoolError:
        return b"failed"
    return piece


class TlsRequiredTests(JudgedCase):
    """
    What the header says of TLS (RFC 8689 §3) counts as it is in the end.
    """

    MAIL = b"Subject: x\r\ntls-required: NO\r\n\r\nbody\r\n.\r\n"

    def test_said(self) -> None:
        """
        It is noted with the envelope, and stays in the header.
        """
        message = self.made(lambda *_: None, self.MAIL)
        self.assertEqual(message.envelope.parameters, {"TLS-REQUIRED": "No"})
        self.assertIs(wishes(message), Wish.OPTIONAL)
        self.assertIn(b"\r\ntls-required: NO\r\n", message.header)

    def test_said_to_nobody_who_judges(self) -> None:
        """
        Also where no module looks at content.
        """
        self.world.decisions.judges_data = False
        self.assertIn(QUEUED, self.world.begun().say(self.MAIL))
        self.assertIs(wishes(self.stored()), Wish.OPTIONAL)

    def test_a_module_adds_it(self) -> None:
        """
        What a module says is said.
        """
        message = self.made(lambda _, content: content.add("TLS-Required", "No"))
        self.assertIs(wishes(message), Wish.OPTIONAL)

    def test_a_module_removes_it(self) -> None:
        """
        What it takes away was never said.
        """
        message = self.made(lambda _, content: content.remove("TLS-Required"), self.MAIL)
        self.assertEqual(message.envelope.parameters, {})

    def test_no_field(self) -> None:
        """
        A header block that begins with a blank is body, and the body says nothing.
        """
        for mail in (b" TLS-Required: No\r\n\r\n.\r\n", b"Subject: x\r\n\r\nTLS-Required: No\r\n.\r\n"):
            self.world = World()
            self.assertIs(wishes(self.made(lambda *_: None, mail)), Wish.NONE)

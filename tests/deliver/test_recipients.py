"""
One attempt over SMTP: an outcome for each recipient.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.testing import MockSmtpServer
from tests.deliver.mocked import MockedWorld, verbs
from tests.deliver.world import SENT, SENT_2, message, spell

MOCK = MockSmtpServer()
ONE_EACH = Section(max_recipients_per_transaction=1)


class RecipientTests(SynchronousTestCase):
    """
    An outcome for each recipient.
    """

    three = ("b@example.org", "c@example.org", "d@example.org")

    def test_one_refused(self) -> None:
        """
        One refused recipient never fails the others, and is not tried at another host.
        """
        grey = MOCK.with_response("RCPT", 2, 550, "5.1.1 no").with_response("RCPT", 3, 450, "4.2.1 later")
        world = MockedWorld(mx1=grey)
        told = world.deliver(message(*self.three))
        self.assertEqual(
            told,
            [
                "Success 250 2.0.0 mx1.example.org",
                "PermanentFailure 550 5.1.1 mx1.example.org",
                "TransientFailure 450 4.2.1 mx1.example.org",
            ],
        )
        self.assertEqual(world.mx2.sessions, [])

    def test_all_refused_then_next_message(self) -> None:
        """
        After a transaction in which everyone was refused the connection still serves.
        """
        world = MockedWorld(mx1=MOCK.with_response("RCPT", 1, 550, "5.1.1 no"))
        self.assertEqual(world.deliver(), ["PermanentFailure 550 5.1.1 mx1.example.org"])
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(verbs(world.mx1)[4:], ["RSET", "MAIL", "RCPT", "DATA"])

    def test_content_wanted_for_nobody(self) -> None:
        """
        A server that wants content though it refused everyone gets none.
        """
        world = MockedWorld(mx1=MOCK.with_rcpt_to_response(550, "5.1.1 no").with_data_response(354, "go"))
        self.assertEqual(world.deliver(), ["PermanentFailure 550 5.1.1 mx1.example.org"])
        self.assertEqual([(each.recipients, each.content) for each in world.mx1.messages], [((), b"")])

    def test_too_many_recipients(self) -> None:
        """
        Those whom the server does not take together go in further transactions at once.
        """
        full = MOCK
        for nth in (2, 3, 5):
            full = full.with_response("RCPT", nth, 452, "4.5.3 too many")
        world = MockedWorld(mx1=full)
        self.assertEqual(world.deliver(message(*self.three)), SENT * 3)
        self.assertEqual([each.recipients for each in world.mx1.messages], [(each,) for each in self.three])
        self.assertEqual(len(world.mx1.sessions), 1)

    def test_batches(self) -> None:
        """
        A transaction has no more recipients than configured.
        """
        world = MockedWorld(Section(max_recipients_per_transaction=2))
        self.assertEqual(world.deliver(message(*self.three)), SENT * 3)
        self.assertEqual(verbs(world.mx1), ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "MAIL", "RCPT", "DATA"])

    def test_rest_goes_to_the_next_host(self) -> None:
        """
        What a host did not get to before it failed is carried to the next one, and only that.
        """
        enough = MOCK.with_mail_from_response(421, "4.3.2 enough").with_response("MAIL", 1, 250, "2.1.0 ok")
        world = MockedWorld(ONE_EACH, enough)
        told = world.deliver(message(*self.three))
        self.assertEqual(told, [*SENT, *SENT_2, *SENT_2])
        self.assertEqual(
            [c for c in world.mx2.commands if c.startswith("RCPT")],
            ["RCPT TO:<c@example.org>", "RCPT TO:<d@example.org>"],
        )

    def test_session_ends_with_the_last_word_of_a_transaction(self) -> None:
        """
        Whom the only host did not get to, because 421 came in the same breath as the answer to the content, has an
        outcome too.
        """
        for content, first in (
            ("250 2.0.0 queued", "Success 250 2.0.0 mx1.example.org"),
            ("554 5.7.1 no", "PermanentFailure 554 5.7.1 mx1.example.org"),
        ):
            said = f"{content}\r\n421 4.3.2 enough\r\n".encode()
            world = MockedWorld(ONE_EACH, MOCK.with_malformed_response("CONTENT", said))
            world.resolver.table["example.org", "MX"] = [(10, "mx1.example.org")]
            told = world.deliver(message(*self.three))
            self.assertEqual(told, [first, *["TransientFailure 421 4.3.2 mx1.example.org"] * 2])

    def test_cut_short(self) -> None:
        """
        Who has the mail by the time a delivery is cancelled is told to have it, and never gets it again.
        """
        world = MockedWorld(ONE_EACH, MOCK.with_silence("CONTENT", nth=2))
        delivery = world.start(message(*self.three))
        world.world.settle()
        delivery.cancel()
        told = spell(self.successResultOf(delivery))
        self.assertEqual(told, [*SENT, "TransientFailure 451 4.3.2", "TransientFailure 451 4.3.2"])
        world.world.settle()
        self.assertEqual(world.mx1.open, 0)

    def test_server_in_trouble(self) -> None:
        """
        A 4yz to MAIL that blames the server's own system sends the mail to the next host at once.
        """
        world = MockedWorld(ONE_EACH, MOCK.with_mail_from_response(452, "4.3.1 disk full"))
        self.assertEqual(world.deliver(message(*self.three)), SENT_2 * 3)
        self.assertEqual(verbs(world.mx1).count("MAIL"), 1)

    def test_greylisted(self) -> None:
        """
        A 4yz for the message holds for all its recipients in this attempt; no other host is bothered.
        """
        section = Section(max_recipients_per_transaction=2)
        world = MockedWorld(section, MOCK.with_data_response(451, "4.7.1 greylisted"))
        self.assertEqual(world.deliver(message(*self.three)), ["TransientFailure 451 4.7.1 mx1.example.org"] * 3)
        self.assertEqual((verbs(world.mx1).count("MAIL"), world.mx2.sessions), (1, []))

    def test_permanent_is_not_presumed(self) -> None:
        """
        A 5yz to the content is for those who were in the transaction; the rest is asked for on its own.
        """
        section = Section(max_recipients_per_transaction=2)
        world = MockedWorld(section, MOCK.with_response("CONTENT", 1, 554, "5.7.1 no"))
        refused = "PermanentFailure 554 5.7.1 mx1.example.org"
        self.assertEqual(world.deliver(message(*self.three)), [refused, refused, *SENT])

    def test_eight_bit(self) -> None:
        """
        8-bit content that cannot be converted is not sent to a host without 8BITMIME: 554 5.6.3, found without a
        transaction.
        """
        world = MockedWorld(mx1=MOCK.with_ehlo_response(250, "mx"))
        raw = message(eight_bit=True, header="Subject: ü\r\n".encode())
        self.assertEqual(world.deliver(raw), ["PermanentFailure 554 5.6.3"])
        self.assertEqual(verbs(world.mx1), ["EHLO"])

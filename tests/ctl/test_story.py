"""
The story of a message, as `queue explain` tells it.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.control.terms.explaining import Explanation, HoldRow
from empath.control.terms.queue import ArrivalRow, RecipientRow
from empath.ctl.story import explained
from empath.ctl.viewing import viewed
from tests.ctl.samples import TIMES, ago, attempt, explanation, message, shown, step, waiting

STORY = """\
01KAM0000000000000000000M1  from <alice@example.org> to 3 recipients
  3.9 KiB, queued 21 Nov 18:04, 9h ago
  example.com: waiting, all 3 connections to mx.example.com are in use; attempt 8 follows in 12m

Came        from mail.example.org [192.0.2.5]:52113, by ESMTPSA, TLSv1.3 TLS_AES_256_GCM_SHA384, logged in as
            alice, to tcp:587, session 01KAM0000000000000000000S1
With        BODY=8BITMIME ENVID=QQ314159
Subject     the invoice
Message-ID  <1@example.org>
Judged      spf       mail_from  accept  pass
            greylist  rcpt_to    accept  known for 3 days
Metadata    service: submission
Trace       4bf92f3577b34da6a3ce929d0e0e4736

To example.com: retry after 7 attempts
  For       <bob@example.com>    retry      450 4.2.0 mailbox busy, said mx1.example.com, mailbox
            <carol@example.com>  completed  250 2.0.0 Ok: queued as 4711, said mx1.example.com
            <dan@example.com>    retry      connection lost after DATA, it may have been taken without an
                                            answer
  Tried       #1  retry, 21 Nov 18:04, 9h ago, no host was reached
                  server does not answer
                  took 420ms: dns 5s
                  (1 attempt not kept)
            #3-6  retry, 4 times alike, 21 Nov 21:04 to 00:04:05, 3h ago, mx1.example.com [198.51.100.7]:25,
                  TLSv1.3 (dane)
                  450 4.2.0 mailbox busy
                  took 420ms: dns 12ms, connect 30ms, tls 44ms, transaction 334ms
              #7  retry, 02:14:05, 50m ago, mx2.example.com [198.51.100.7]:25, TLSv1.3 (dane)
                  connection lost after DATA
                  took 420ms: dns 12ms, connect 30ms, tls 44ms, transaction 334ms
  Waits     connections: 3 of 3 connections to mx.example.com are in use, not before 03:05:05, in 1m
  Next      due 03:16:05, in 12m
  Goes to   site mx1.example.com,mx2.example.com, by smtp
            1. mx1.example.com:25, preference 10, TLS verified (dane), 198.51.100.7 2001:db8::7
            2. mx2.example.com:25, preference 20, TLS opportunistic (config), SERVFAIL for its addresses
  Expires   26 Nov 18:04, in 4d 15h"""


def told(told_of: Explanation, width: int = 110) -> str:
    """
    Draw a story.
    """
    return shown(explained(told_of, TIMES), width)


class StoryTests(SynchronousTestCase):
    """
    Requirements on the story.
    """

    maxDiff = None

    def test_one_screen_tells_where_it_came_from_and_where_it_goes(self) -> None:
        """
        What it waits for stands first; attempts after one another which ended alike are told once.
        """
        self.assertEqual(told(explanation()), STORY)

    def test_nothing_that_a_stranger_wrote_drives_the_terminal(self) -> None:
        """
        Escapes are shown as such, markup is text, and lines of a reply stand after one another.
        """
        evil = "550-5.7.1 [bold]\x1b]0;owned\x07\r\n550 5.7.1 no"
        delivery = attrs.evolve(waiting(), history=(attempt(1, ago(hours=1), evil, "mx.\x1b[2Jevil"),), recipients=())
        arrival = ArrivalRow("S", "192.0.2.1", 25, "tcp:25", "[red]\x1b[31m")
        shown_text = told(
            attrs.evolve(explanation(), message=attrs.evolve(message(delivery), sender="\x1b[1m@x", arrival=arrival)),
            width=300,
        )
        self.assertNotIn("\x1b", shown_text)
        self.assertIn(r"550-5.7.1 [bold]\x1b]0;owned\x07 550 5.7.1 no", shown_text)
        self.assertIn(r"[red]\x1b[31m", shown_text)

    def test_what_we_wrote_ourselves_came_from_nobody(self) -> None:
        """
        A report has no session.
        """
        own = attrs.evolve(explanation(), message=attrs.evolve(message(), arrival=ArrivalRow(origin="own"), sender=""))
        self.assertIn("Came        empath wrote it: a report", told(own))
        others = attrs.evolve(own, message=attrs.evolve(message(), arrival=ArrivalRow(origin="outside")))
        self.assertIn("Came        nobody remembers from where", told(others))
        self.assertIn("from <>", told(own))

    def test_very_many_are_counted(self) -> None:
        """
        Of recipients and destinations those first to whom mail is still to go.
        """
        done = tuple(RecipientRow(f"r{number}@example.com", "completed", "250 2.0.0 Ok") for number in range(1000))
        many = attrs.evolve(waiting(), recipients=(*done, RecipientRow("last@example.com", "retry")), more_recipients=5)
        text = told(attrs.evolve(explanation(), message=message(many)))
        self.assertIn("to 1,006 recipients", text)
        self.assertIn("<last@example.com>", text)
        self.assertIn("and 986 more", text)
        ways = [attrs.evolve(waiting(), domain=f"d{number}.example") for number in range(100)]
        text = told(attrs.evolve(explanation(), message=attrs.evolve(message(*ways), more_deliveries=7)))
        self.assertIn("and 87 destinations more", text)

    def test_a_recipient_of_whom_nothing_was_said(self) -> None:
        """
        Is told in one line.
        """
        untold = attrs.evolve(
            waiting(), recipients=(RecipientRow("a@example.com", "pending"),), history=(), last_error=""
        )
        self.assertIn("For       <a@example.com>  pending", shown(viewed(message(untold), TIMES), 10_000))

    def test_a_held_delivery_says_since_when(self) -> None:
        """
        Nobody knows until when, and it does not expire meanwhile.
        """
        held = attrs.evolve(
            step(), state="held", hold=HoldRow("held", None, "held by hand"), next_attempt=None, expires=None
        )
        delivery = attrs.evolve(waiting(), status="held", held_since=ago(hours=2))
        lines = told(attrs.evolve(explanation(), message=message(delivery), steps=(held,)))
        self.assertIn("Held      since 01:04:05, 2h ago", lines)
        self.assertIn("Waits     held: held by hand, until queue release", lines)
        self.assertIn("Expires   not as long as this lasts", lines)

    def test_an_ended_delivery_goes_nowhere(self) -> None:
        """
        What failed and is kept has a past and no future.
        """
        lines = told(attrs.evolve(explanation(), steps=(attrs.evolve(step(), state="ended", hold=None),)))
        self.assertNotIn("Goes to", lines)
        self.assertNotIn("Expires", lines)

    def test_a_message_that_is_gone_is_told_from_the_audit_trail(self) -> None:
        """
        The records tell what became of it.
        """
        records: tuple[dict[str, object], ...] = (
            {"time": "2026-11-21T18:00:00Z", "event": "received", "sender": "a@b", "recipients": ["c@d"]},
            {
                "time": "2026-11-21T18:00:01Z",
                "event": "delivered",
                "host": "mx.d",
                "reply": "250 2.0.0 Ok",
                "duration_ms": 41.0,
                "attempt": 1,
            },
            {"time": "?", "event": "control", "actor": "root, uid 0", "action": "queue.delete", "result": "done"},
        )
        gone = Explanation("01KAM0000000000000000000M1", None, (), (), audit=records)
        self.assertEqual(
            told(gone).splitlines(),
            [
                "01KAM0000000000000000000M1 is not in the queue any more. The audit trail tells:",
                "",
                "21 Nov 18:00  received   from <a@b>, to <c@d>",
                "21 Nov 18:00  delivered  attempt 1, at mx.d, 250 2.0.0 Ok, 41ms",
                "?             control    queue.delete by root, uid 0, done",
            ],
        )

    def test_a_message_nobody_knows_is_said_to_be_unknown(self) -> None:
        """
        Neither queue nor audit trail.
        """
        self.assertIn("does not tell of it", told(Explanation("01KAM0000000000000000000M1", None, (), ()), width=200))

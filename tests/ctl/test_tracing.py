"""
The verb that follows dialogues.
"""

from __future__ import annotations

import json
from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from empath.control.faults import RefusedByServer
from empath.control.terms.smtp import FollowDialogues, TraceEnd, TraceLine
from tests.ctl.asked import ran
from tests.ctl.samples import NOW

LINES = [
    TraceLine(NOW + timedelta(seconds=at / 10), connection, side, peer, event, from_us, text)
    for at, (connection, side, peer, event, from_us, text) in enumerate(
        (
            ("", "server", "", "began", True, ""),
            ("S1", "server", "192.0.2.1:2525", "opened", True, "tcp:25"),
            ("S1", "server", "192.0.2.1:2525", "line", True, "220 mx.example.org ESMTP empath"),
            ("S1", "server", "192.0.2.1:2525", "line", False, "EHLO \x1b[2Jevil"),
            ("C9", "client", "198.51.100.7:25", "tls", True, "TLSv1.3"),
            ("C9", "client", "198.51.100.7:25", "line", False, "550 5.1.1 no"),
            ("C9", "client", "198.51.100.7:25", "closed", True, ""),
        )
    )
]


class TraceTests(SynchronousTestCase):
    """
    Requirements on `smtp trace`.
    """

    def test_each_line_says_when_where_and_who(self) -> None:
        """
        Nothing in it drives a terminal.
        """
        done = ran(*["smtp", "trace", "--peer", "192.0.2.1"], answers={FollowDialogues: TraceEnd(6, 2)}, pieces=LINES)
        self.assertEqual(done.asked, [FollowDialogues("192.0.2.1")])
        self.assertEqual(
            [line.partition("  ")[2] for line in done.out.splitlines()],
            [
                "S1  * opened client 192.0.2.1:2525 tcp:25",
                "S1  > 220 mx.example.org ESMTP empath",
                r"S1  < EHLO \x1b[2Jevil",
                "C9  * tls TLSv1.3",
                "C9  < 550 5.1.1 no",
                "C9  * closed",
            ],
        )
        self.assertTrue(done.err.startswith("Following; ^C ends it."))
        self.assertIn("6 lines, 2 left out because they came too fast.", done.err)

    def test_as_json_each_line_is_an_object(self) -> None:
        """
        The last one is the end.
        """
        arguments = "smtp trace --id S1 --lines 6 --seconds 2.5 --json"
        done = ran(*arguments.split(), answers={FollowDialogues: TraceEnd(6, 0)}, pieces=LINES)
        self.assertEqual(done.asked, [FollowDialogues(id="S1", lines=6, seconds=2.5)])
        objects = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual((len(objects), objects[0]["event"], objects[-1]), (8, "began", {"lines": 6, "dropped": 0}))

    def test_who_is_refused_does_not_hear_that_it_follows(self) -> None:
        """
        It says so once the MTA said so.
        """
        refused = RefusedByServer("as many traces run as may")
        done = ran(*["smtp", "trace", "--peer", "192.0.2.1"], answers={FollowDialogues: refused})
        self.assertEqual((done.code, done.err), (1, "empathctl: as many traces run as may\n"))

    def test_just_one_thing_is_traced(self) -> None:
        """
        None or two are an error of usage.
        """
        for arguments in ("smtp trace", "smtp trace --peer 192.0.2.1 --domain example.org"):
            done = ran(*arguments.split())
            self.assertEqual((done.code, done.asked), (2, []))
            self.assertIn("Give one of --peer, --domain and --id.", done.err)

    def test_an_interrupt_ends_it_in_peace(self) -> None:
        """
        That is how one ends it.
        """

        def interrupted(request: FollowDialogues) -> TraceEnd:
            raise KeyboardInterrupt

        done = ran(*["smtp", "trace", "--domain", "d"], answers={FollowDialogues: interrupted}, pieces=LINES[:3])
        self.assertEqual((done.code, len(done.out.splitlines())), (0, 2))
        self.assertIn("2 lines.", done.err)

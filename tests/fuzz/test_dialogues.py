"""
Requirements on the run of millions of dialogues: its inputs are different, deep and repeatable, its judge is strict.
"""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.extension import Standing
from fuzz.dialogue_edge import DialogueEdge
from fuzz.dialogues import LONGEST, Dialogues
from fuzz.millions import Plan, record
from fuzz.reach import REACHED
from fuzz.running import load
from fuzz.targets.server_dialogue import LISTENERS, divided, played

MAIL = b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@elsewhere.example>\r\n"
CONTENT = b"DATA\r\nA: b\r\n.\r\n"


def supply(seed: int, count: int = 300) -> list[bytes]:
    """
    Make inputs.
    """
    dialogues = Dialogues(random.Random(seed), list(load("server_dialogue").seeds.values()))
    return [dialogues.next() for _ in range(count)]


class DialogueTests(SynchronousTestCase):
    """
    What is tried.
    """

    def test_the_same_seed_gives_the_same_dialogues(self) -> None:
        """
        Another one gives others; none is longer than it may be, and hardly one comes twice.
        """
        self.assertEqual(supply(1), supply(1))
        self.assertNotEqual(supply(1), supply(2))
        self.assertLessEqual(max(map(len, supply(1))), LONGEST)
        self.assertGreater(len(set(supply(1))), 290)

    def test_the_seeds_reach_everything(self) -> None:
        """
        There is a seed for each kind of depth that the run counts.
        """
        reached = 0
        for data in load("server_dialogue").seeds.values():
            reached |= played(data).reached
        self.assertEqual([name for bit, name in enumerate(REACHED) if not reached >> bit & 1], [])

    def test_every_division_has_all_octets_in_order(self) -> None:
        """
        Nothing is lost or exchanged, whatever the second byte is; some are byte by byte.
        """
        ways = [divided(MAIL + CONTENT, way) for way in range(256)]
        self.assertEqual({b"".join(parts) for parts in ways}, {MAIL + CONTENT})
        self.assertIn(len(MAIL + CONTENT), [len(parts) for parts in ways])


class JudgeTests(SynchronousTestCase):
    """
    What is held against a session that is wrong.
    """

    def play(self, edge: DialogueEdge, said: bytes) -> None:
        """
        Have a client say something, whole.
        """
        edge.feed(said, [said], False)

    def test_a_stranger_is_denied(self) -> None:
        """
        Nothing is accepted for others, and that is no failure.
        """
        edge = DialogueEdge(LISTENERS[0], False)
        self.play(edge, MAIL)
        self.assertIn(b"\r\n550 5.7.1 relay access denied\r\n", edge.replies)

    def test_a_relay_for_a_stranger_is_found(self) -> None:
        """
        A session that trusts who proved nothing fails the input.
        """
        edge = DialogueEdge(LISTENERS[0], False)
        edge.session.standing = Standing(trusted=True)
        self.assertRaisesRegex(AssertionError, "a relay for a stranger", self.play, edge, MAIL + CONTENT)

    def test_a_login_out_of_nowhere_is_found(self) -> None:
        """
        Even an account that is wrong itself is held against the bytes that came.
        """
        edge = DialogueEdge(LISTENERS[0], False)
        edge.become(Standing(login="tester", trusted=True))
        self.assertRaisesRegex(AssertionError, "without the password", self.play, edge, MAIL + CONTENT)

    def test_what_outlives_a_handshake_is_found(self) -> None:
        """
        The login of before TLS counts no more.
        """
        edge = DialogueEdge(LISTENERS[3], False)
        self.play(edge, b"EHLO c\r\nAUTH PLAIN AHRlc3RlcgBzZWNyZXQ3\r\nSTARTTLS\r\n")
        edge.feed(MAIL, [MAIL], False)
        self.assertEqual((edge.known.login, edge.known.secure), ("", True))
        self.assertIn(b"relay access denied", edge.replies)


class RunTests(SynchronousTestCase):
    """
    The run itself.
    """

    def test_a_small_run_counts_what_it_did(self) -> None:
        """
        All inputs are counted, and the coverage of what was kept is told.
        """
        lines: list[str] = []
        recorded = record(Plan(600, 0, 2, 7), lines.append)
        self.assertEqual((recorded.failures, recorded.count), ((), 600))
        self.assertGreater(recorded.different, 500)
        self.assertIn("no crash", lines)
        self.assertIn("server_auth.py", lines[-1])

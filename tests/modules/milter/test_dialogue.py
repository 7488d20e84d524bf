"""
What may be said when, and what is not said at all.
"""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from empath.modules.builtin.milter.codec import Command, Flags, MilterError, packet
from empath.modules.builtin.milter.dialogue import Dialogue, State
from empath.modules.builtin.milter.said import AddHeader, Answer, Kind, Progress
from tests.modules.milter.fakes import options
from tests.modules.milter.fakes import packet as said

CONTINUE = said(b"c")


def agreed(version: int = 6, flags: int = 0, macros: bytes = b"") -> Dialogue:
    """
    Make a dialogue that has begun.
    """
    dialogue = Dialogue(6)
    dialogue.negotiate()
    dialogue.received(said(options(version, flags=flags, macros=macros)))
    return dialogue


def at(state: State, flags: int = 0, version: int = 6) -> Dialogue:
    """
    Bring a dialogue to a state.
    """
    dialogue = agreed(version, flags)
    for command, reached in (
        (Command.CONNECT, State.SESSION),
        (Command.MAIL, State.ENVELOPE),
        (Command.DATA, State.CONTENT),
    ):
        if dialogue.state is state:
            break
        dialogue.say(command)
        if dialogue.awaiting is not None:
            dialogue.received(CONTINUE)
        assert dialogue.state is reached
    return dialogue


class SayingTests(SynchronousTestCase):
    """
    What goes out.
    """

    def test_each_command_in_its_turn(self) -> None:
        """
        A message, a reset one, another session on the connection, the end.
        """
        dialogue = at(State.CONTENT)
        for command in (Command.HEADER, Command.END_OF_HEADER, Command.BODY, Command.END_OF_MESSAGE):
            self.assertEqual(dialogue.say(command, b"x"), packet(command, b"x"))
            self.assertEqual(dialogue.awaiting, command)
            self.assertEqual(dialogue.received(CONTINUE), [Answer(Kind.CONTINUE)])
        self.assertIs(dialogue.state, State.SESSION)
        dialogue.say(Command.MAIL)
        dialogue.received(CONTINUE)
        self.assertEqual(dialogue.say(Command.ABORT), packet(Command.ABORT))
        self.assertIs(dialogue.awaiting, None)
        dialogue.say(Command.QUIT_NEXT)
        self.assertIs(dialogue.state, State.OPEN)
        dialogue.say(Command.QUIT)
        self.assertIs(dialogue.state, State.CLOSED)

    def test_nothing_out_of_turn(self) -> None:
        """
        Neither a command that cannot come now, nor one before the last one is answered.
        """
        for state, command in (
            (State.OPEN, Command.MAIL),
            (State.SESSION, Command.RCPT),
            (State.ENVELOPE, Command.BODY),
            (State.CONTENT, Command.RCPT),
            (State.CONTENT, Command.QUIT_NEXT),
        ):
            with self.assertRaises(ValueError):
                at(state).say(command)
        dialogue = agreed()
        dialogue.say(Command.CONNECT)
        with self.assertRaises(ValueError):
            dialogue.say(Command.HELO)

    def test_what_the_milter_does_not_want(self) -> None:
        """
        It is not said, and nothing is waited for; its macros are told all the same.
        """
        dialogue = agreed(flags=Flags.NO_CONNECT | Flags.NO_MAIL | Flags.NO_DATA)
        self.assertEqual(dialogue.say(Command.CONNECT, b"x"), b"")
        macros = dialogue.say(Command.MAIL, b"x", {"i": "Q1", "j": "unasked"})
        self.assertEqual(macros, packet(Command.MACRO, b"Mi\0Q1\0"))
        self.assertEqual(dialogue.say(Command.DATA), b"")
        self.assertFalse(agreed(flags=Flags.NO_BODY).wants(Command.BODY))

    def test_what_it_does_not_answer(self) -> None:
        """
        It is said, and nothing is waited for.
        """
        dialogue = agreed(flags=Flags.SILENT_CONNECT)
        self.assertEqual(dialogue.say(Command.CONNECT), packet(Command.CONNECT))
        self.assertIs(dialogue.awaiting, None)
        dialogue.say(Command.HELO)
        self.assertIs(dialogue.awaiting, Command.HELO)

    def test_old_versions_do_not_know_all_commands(self) -> None:
        """
        DATA came with version 4, unknown commands with version 3.
        """
        self.assertFalse(at(State.ENVELOPE, version=3).wants(Command.DATA))
        self.assertTrue(at(State.ENVELOPE, version=4).wants(Command.DATA))
        self.assertFalse(at(State.SESSION, version=2).wants(Command.UNKNOWN))
        self.assertTrue(at(State.SESSION, version=3).wants(Command.UNKNOWN))

    def test_macros_that_were_asked_for(self) -> None:
        """
        Those, where they are known, as they were spelled; none at all where an empty list was asked for.
        """
        asked = struct.pack("!I", 0) + b"j client_addr {nobody}\0" + struct.pack("!I", 1) + b"\0"
        dialogue = agreed(macros=asked)
        known = {"j": "mx.test", "{client_addr}": "192.0.2.7", "v": "empath", "{cipher}": "AES"}
        told = packet(Command.MACRO, b"Cj\0mx.test\0client_addr\x00192.0.2.7\0")
        self.assertEqual(dialogue.say(Command.CONNECT, b"", known), told + packet(Command.CONNECT))
        dialogue.received(CONTINUE)
        self.assertEqual(dialogue.say(Command.HELO, b"", known), packet(Command.HELO))

    def test_skip(self) -> None:
        """
        No more of that kind, until something else was said.
        """
        dialogue = at(State.CONTENT)
        dialogue.say(Command.HEADER)
        self.assertEqual(dialogue.received(said(b"s")), [Answer(Kind.SKIP)])
        self.assertFalse(dialogue.wants(Command.HEADER))
        self.assertEqual(dialogue.say(Command.HEADER), b"")
        dialogue.say(Command.BODY)
        dialogue.received(CONTINUE)
        self.assertTrue(dialogue.wants(Command.HEADER))


class HearingTests(SynchronousTestCase):
    """
    What comes in.
    """

    def test_changes_come_at_the_end(self) -> None:
        """
        With the end of the message, before its answer; sooner they are an error.
        """
        change = said(b"hX-A\0b\0")
        dialogue = at(State.CONTENT)
        dialogue.say(Command.END_OF_MESSAGE)
        heard = dialogue.received(change + said(b"p") + CONTINUE)
        self.assertEqual([heard[0], heard[2]], [AddHeader(b"X-A", b"b"), Answer(Kind.CONTINUE)])
        self.assertIsInstance(heard[1], Progress)
        dialogue = at(State.CONTENT)
        dialogue.say(Command.BODY)
        with self.assertRaises(MilterError):
            dialogue.received(change)

    def test_nothing_unasked(self) -> None:
        """
        A packet that nobody waits for is an error, and so is a second answer.
        """
        with self.assertRaises(MilterError):
            at(State.SESSION).received(CONTINUE)
        dialogue = agreed()
        dialogue.say(Command.CONNECT)
        with self.assertRaises(MilterError):
            dialogue.received(CONTINUE * 2)

    def test_the_offer_is_answered_by_options_only(self) -> None:
        """
        Anything else is an error.
        """
        dialogue = Dialogue(6)
        dialogue.negotiate()
        with self.assertRaises(MilterError):
            dialogue.received(CONTINUE)

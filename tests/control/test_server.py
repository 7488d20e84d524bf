"""
Requirements on the control server: what is asked is answered, or refused in words, and accounted for.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.control import protocol
from empath.control.connection import MAX_REQUESTS
from empath.control.server import MAX_CONNECTIONS, MAX_WRONG_TOKEN_DELAY, WRONG_TOKEN_DELAY, Verbs
from empath.control.serving import Answers, Call, NotFound, Refused
from tests.control.asking import Change, Count, Echo, Echoed, Served, token


def refuse(request: Echo, call: Call) -> Echoed:
    raise Refused("it is Monday", "it rains")


def miss(request: Echo, call: Call) -> Echoed:
    raise NotFound("there is no such thing")


class AnswerTests(SynchronousTestCase):
    """
    One request.
    """

    def served(self, answer: Any) -> Served:
        table: Answers = {Echo: answer, Change: answer}
        return Served([table])

    def test_it_is_answered_at_once_or_later(self) -> None:
        """
        By what a part gives, or what it gives waits for.
        """
        asking = Served().connect()
        asking.ask(Echo("hello"))
        self.assertEqual(asking.answer(), {"text": "hello"})
        waiting: Deferred[Echoed] = Deferred()
        asking = self.served(lambda request, call: waiting).connect()
        asking.ask(Echo())
        self.assertEqual(asking.boxes(), [])
        waiting.callback(Echoed("late"))
        self.assertEqual(asking.answer(), {"text": "late"})

    def test_long_ones_come_whole(self) -> None:
        """
        Both ways, over as many values as they need.
        """
        asking = Served().connect()
        asking.ask(Echo("x" * 500_000))
        self.assertEqual(len(asking.answer()["text"]), 500_000)

    def test_who_asks_is_told_why_not(self) -> None:
        """
        Each problem on a line.
        """
        asking = self.served(refuse).connect()
        asking.ask(Echo())
        self.assertEqual(asking.error(), ("REFUSED", "it is Monday\nit rains"))
        asking = self.served(miss).connect()
        asking.ask(Echo())
        self.assertEqual(asking.error(), ("NOT_FOUND", "there is no such thing"))

    def test_our_own_fault_is_logged_and_its_number_told(self) -> None:
        """
        And nothing of what is inside.
        """
        served = self.served(lambda request, call: 1 / 0)
        asking = served.connect()
        asking.ask(Echo())
        code, text = asking.error()
        self.assertEqual(code, "FAULT")
        self.assertIn("control fault 0-1", text)
        self.assertNotIn("division", text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(served.used[0].result, "failed")

    def test_another_version_is_told_both(self) -> None:
        """
        Before anything else is looked at.
        """
        asking = Served(tokens=[token("ops", "secret")]).connect()
        for version, named in ((b"2", "version 2"), (b"", "version none"), (b"\xff", "version \\xff")):
            asking.ask(Echo(), version=version)
            code, text = asking.error()
            self.assertEqual(code, "WRONG_VERSION")
            for word in ("empath 9.9", "version 1", named, "use the empathctl"):
                self.assertIn(word, text)

    def test_what_is_not_understood_is_refused(self) -> None:
        """
        A verb, a field, a value: a field that we do not know may have narrowed what is changed.
        """
        asking = Served().connect()
        cases: list[tuple[dict[str, Any], str]] = [
            ({"verb": b"test.nothing"}, "test.nothing"),
            ({"json": b'{"text": "x", "most": 3}'}, "'most'"),
            ({"json": b'{"text": 3}'}, "Expected `str`"),
            ({"json": b"{"}, "test.echo"),
            ({"json": b"[" * 50_000}, "test.echo"),
            ({"verb": b"\xff\xfe"}, "does not know"),
        ]
        for change, word in cases:
            asking.ask(Echo(), **change)
            code, text = asking.error()
            self.assertEqual(code, "REFUSED")
            self.assertIn(word, text)

    def test_it_takes_no_longer_than_it_may(self) -> None:
        """
        And what would answer is told to stop.
        """
        cancelled: list[object] = []
        served = self.served(lambda request, call: Deferred(cancelled.append))
        asking = served.connect()
        asking.ask(Echo())
        served.advance(protocol.SERVER_TIMEOUT - 1)
        self.assertEqual(asking.boxes(), [])
        served.advance(1)
        self.assertEqual(asking.error()[0], "TIMED_OUT")
        self.assertEqual(len(cancelled), 1)

    def test_who_hangs_up_is_not_worked_for(self) -> None:
        """
        It is accounted for all the same.
        """
        cancelled: list[object] = []
        served = self.served(lambda request, call: Deferred(cancelled.append))
        asking = served.connect()
        asking.ask(Change())
        asking.hang_up()
        self.assertEqual(len(cancelled), 1)
        self.assertEqual([used.result for used in served.used], ["cancelled"])
        self.assertEqual(served.server.connections, 0)
        self.assertEqual(served.clock.getDelayedCalls(), [])

    def test_who_hangs_up_before_it_is_known_gets_nothing_done(self) -> None:
        """
        While its user's name is looked up: nothing is changed, and that is no fault of ours.
        """
        looking: Deferred[Any] = Deferred()
        asked: list[Change] = []
        served = Served([{Change: lambda request, call: asked.append(request)}])
        served.in_thread = lambda call: looking
        asking = served.connect(uid=4711)
        asking.ask(Change())
        asking.hang_up()
        self.assertEqual(asked, [])
        self.assertEqual([used.result for used in served.used], ["cancelled"])

    def test_an_answer_that_is_too_large_is_refused(self) -> None:
        """
        In words, instead of being sent.
        """
        asking = self.served(lambda request, call: Echoed("x" * 10_000_000)).connect()
        asking.ask(Echo())
        self.assertEqual(asking.error()[0], "TOO_LARGE")

    def test_requests_are_answered_in_any_order(self) -> None:
        """
        Many at a time, but not any number.
        """
        waiting: list[Deferred[Echoed]] = []

        def later(request: Echo, call: Call) -> Deferred[Echoed]:
            waiting.append(Deferred())
            return waiting[-1]

        asking = self.served(later).connect()
        tags = [asking.ask(Echo()) for _ in range(MAX_REQUESTS)]
        asking.ask(Echo())
        self.assertEqual(asking.error()[0], "BUSY")
        for at in reversed(range(MAX_REQUESTS)):
            waiting[at].callback(Echoed(""))
        self.assertEqual([box[b"_answer"] for box in asking.boxes()], tags[::-1])

    def test_two_parts_do_not_answer_the_same(self) -> None:
        """
        That is a mistake of ours, seen at the start.
        """
        self.assertRaises(ValueError, Verbs.of, [{Echo: refuse}, {Echo: miss}])

    def test_what_cannot_be_answered_now_is_said(self) -> None:
        """
        While we start, or stop.
        """
        served = Served()
        served.busy = lambda request: "not yet"
        asking = served.connect()
        asking.ask(Echo())
        self.assertEqual(asking.error(), ("REFUSED", "not yet"))


class FollowTests(SynchronousTestCase):
    """
    Answers that come in pieces.
    """

    def setUp(self) -> None:
        self.calls: list[Call] = []
        self.waiting: list[Deferred[Echoed]] = []
        self.cancelled: list[object] = []
        self.served = Served([{Count: self.count}])
        self.asking = self.served.connect()

    def count(self, request: Count, call: Call) -> Deferred[Echoed]:
        self.calls.append(call)
        self.waiting.append(Deferred(self.cancelled.append))
        return self.waiting[-1]

    def take(self) -> list[str]:
        """
        Take all pieces; gives their texts, "" for a sign of life.
        """
        boxes = self.asking.boxes()
        for box in boxes:
            self.assertEqual((box[b"_command"], box[b"number"]), (b"Piece", b"1"))
            self.asking.send({b"_answer": box[b"_ask"]})
        return [json.loads(box.get(b"json", b'{"text": ""}'))["text"] for box in boxes]

    def test_pieces_come_before_the_answer(self) -> None:
        """
        In their order.
        """
        self.asking.ask(Count())
        for text in "ab":
            self.assertIsNone(self.calls[0].tell(Echoed(text)))
        self.assertEqual(self.take(), ["a", "b"])
        self.waiting[0].callback(Echoed("end"))
        self.assertEqual(self.asking.answer(), {"text": "end"})
        self.assertIsNone(self.calls[0].tell(Echoed("too late")))
        self.assertEqual(self.asking.boxes(), [])
        self.assertEqual([used.result for used in self.served.used], ["ok"])

    def test_a_peer_that_is_behind_is_waited_for(self) -> None:
        """
        Until it has taken some.
        """
        self.asking.ask(Count())
        told = [self.calls[0].tell(Echoed("x")) for _ in range(40)]
        self.assertIsNone(told[30])
        last = told[-1]
        assert isinstance(last, Deferred)
        self.assertNoResult(last)
        self.take()
        self.successResultOf(last)

    def test_one_that_takes_nothing_is_given_up(self) -> None:
        """
        By time, and by what waits for it.
        """
        self.asking.ask(Count())
        self.calls[0].tell(Echoed("x"))
        self.served.advance(protocol.SERVER_TIMEOUT + 10)
        self.assertEqual(len(self.cancelled), 1)
        self.assertEqual(self.asking.boxes()[-1][b"_error_code"], b"TIMED_OUT")
        self.asking.ask(Count())
        for _ in range(3000):
            self.calls[1].tell(Echoed("x"))
        self.served.advance(1)
        self.assertEqual(len(self.cancelled), 2)

    def test_a_long_silence_is_broken_by_signs_of_life(self) -> None:
        """
        For any time, as long as they are taken.
        """
        self.asking.ask(Count())
        for _ in range(100):
            self.served.advance(protocol.ALIVE_INTERVAL)
            self.assertEqual(self.take(), [""])
        self.assertEqual(self.cancelled, [])

    def test_the_client_can_end_it(self) -> None:
        """
        By a word, after which the connection can be used on.
        """
        tag = self.asking.ask(Count())
        self.asking.send({b"_command": b"Cancel", b"number": b"1", b"_ask": b"c"})
        boxes = self.asking.boxes()
        self.assertEqual([box.get(b"_answer") for box in boxes], [None, b"c"])
        self.assertEqual((boxes[0][b"_error"], boxes[0][b"_error_code"]), (tag, b"CANCELLED"))
        self.assertEqual(len(self.cancelled), 1)
        self.asking.send({b"_command": b"Cancel", b"number": b"1"})
        self.assertEqual(self.asking.boxes(), [])

    def test_pieces_need_a_number(self) -> None:
        """
        Or nobody knew whose they are.
        """
        for number in (b"", b"1" * 30):
            self.asking.ask(Count(), number=number)
            self.assertEqual(self.asking.error()[0], "REFUSED")


class BoundTests(SynchronousTestCase):
    """
    What a peer may do.
    """

    def setUp(self) -> None:
        self.served = Served()
        self.asking = self.served.connect()

    def test_what_is_too_large_is_told_and_ends_the_connection(self) -> None:
        """
        Whatever is sent after it.
        """
        self.asking.ask(Echo("x" * 1_200_000))
        self.assertEqual(self.asking.error()[0], "TOO_LARGE")
        self.asking.ask(Echo())
        self.assertEqual(self.asking.boxes(), [])
        self.served.advance(6)
        self.assertTrue(self.asking.transport.aborted)

    def test_garbage_ends_the_connection(self) -> None:
        """
        Octets that are no box, and boxes that mean nothing.
        """
        for octets in (b"EHLO x\r\n", b"\0\0", b"\0\1a\0\1b\0\0", b"\0\7_answer\0\1x\0\0"):
            asking = self.served.connect()
            asking.connection.dataReceived(octets)
            self.assertEqual(asking.boxes(), [])
            self.served.advance(6)
            self.assertTrue(asking.transport.aborted, octets)

    def test_an_unknown_command_is_refused(self) -> None:
        """
        As AMP would.
        """
        self.asking.send({b"_ask": b"1", b"_command": b"Dance"})
        self.assertEqual(self.asking.error()[0], "REFUSED")

    def test_a_tag_is_used_by_one_request_at_a_time(self) -> None:
        """
        Two answers under it could not be told apart.
        """
        served = Served([{Echo: lambda request, call: Deferred()}])
        asking = served.connect()
        asking.ask(Echo(), _ask=b"x")
        asking.ask(Echo(), _ask=b"x")
        self.assertEqual(asking.error()[0], "MALFORMED")

    def test_half_a_box_is_not_waited_for(self) -> None:
        """
        However slowly more of it comes.
        """
        octets = b"\0\4_ask\0\1x" + b"\0\1a\0\0"
        for at in range(10):
            self.asking.connection.dataReceived(octets[at : at + 1])
            self.served.advance(3)
        self.assertTrue(self.asking.transport.aborted)

    def test_idle_connections_are_closed(self) -> None:
        """
        After some minutes; each request begins them anew.
        """
        for _ in range(3):
            self.served.advance(protocol.IDLE_TIMEOUT - 10, 10)
            self.asking.ask(Echo())
        self.assertFalse(self.asking.transport.aborted)
        self.served.advance(protocol.IDLE_TIMEOUT + 10, 10)
        self.assertTrue(self.asking.transport.aborted)

    def test_a_peer_that_does_not_read_is_not_read(self) -> None:
        """
        Its requests wait; it is given up after a while.
        """
        self.asking.connection.pauseProducing()
        self.assertEqual(self.asking.transport.producerState, "paused")
        self.asking.ask(Echo("a"))
        self.assertEqual(self.asking.boxes(), [])
        self.asking.connection.resumeProducing()
        self.assertEqual(self.asking.answer(), {"text": "a"})
        self.assertEqual(self.asking.transport.producerState, "producing")
        self.asking.connection.pauseProducing()
        self.served.advance(31)
        self.assertTrue(self.asking.transport.aborted)

    def test_what_lies_unread_is_bounded(self) -> None:
        """
        Over all connections: the one that lets most of it lie is given up, others go on.
        """
        large = "x" * 9_000_000
        later: list[Deferred[Echoed]] = []

        def answer(request: Echo, call: Call) -> Deferred[Echoed]:
            later.append(Deferred())
            return later[-1]

        served = Served([{Echo: answer}])
        asking = [served.connect() for _ in range(4)]
        for number, each in enumerate(asking):
            for _ in range(number + 1):
                each.ask(Echo())
            each.connection.pauseProducing()
        for each_later in later:
            each_later.callback(Echoed(large))
        self.assertEqual([each.transport.aborted for each in asking], [False, False, True, False])  # 9, 18, 27, 18 MB
        asking[0].connection.resumeProducing()
        self.assertEqual(len(asking[0].boxes()), 1)

    def test_there_are_not_more_connections_than_there_may_be(self) -> None:
        """
        The next ones hear so, those beyond hear nothing.
        """
        open_ones = [self.served.connect() for _ in range(MAX_CONNECTIONS - 1)]
        surplus = self.served.connect()
        surplus.ask(Echo())
        code, text = surplus.error()
        self.assertEqual(code, "BUSY")
        self.assertIn(str(MAX_CONNECTIONS), text)
        self.served.advance(6)
        self.assertTrue(surplus.transport.aborted)
        for _ in range(MAX_CONNECTIONS - 1):
            self.served.connect()
        self.assertIsNone(self.served.server.buildProtocol())
        open_ones[0].ask(Echo("still"))
        self.assertEqual(open_ones[0].answer(), {"text": "still"})

    def test_the_stop_ends_all(self) -> None:
        """
        What is being answered is told so.
        """
        served = Served([{Echo: lambda request, call: Deferred()}])
        asking = served.connect()
        asking.ask(Echo())
        served.server.stop()
        self.assertEqual(asking.error(), ("CANCELLED", "it was cancelled, or empath stops"))
        self.assertTrue(asking.transport.disconnecting)


class TokenTests(SynchronousTestCase):
    """
    Who may ask.
    """

    def setUp(self) -> None:
        self.served = Served(tokens=[token("ops", "secret"), token("bot", "other")])

    def test_the_right_one_lets_in_and_is_named(self) -> None:
        """
        In the account of what was done.
        """
        asking = self.served.connect()
        asking.ask(Echo("x"), "other")
        self.assertEqual(asking.answer(), {"text": "x"})
        self.assertTrue(self.served.used[0].caller.startswith("token bot ("))

    def test_a_wrong_one_or_none_is_refused_after_a_while(self) -> None:
        """
        Longer and longer for all who guess; who knows does not wait.
        """
        guessing = [self.served.connect() for _ in range(20)]
        for each in guessing:
            each.ask(Echo(), "guess")
        self.served.advance(WRONG_TOKEN_DELAY)
        self.assertEqual([bool(each.boxes()) for each in guessing], [True] + [False] * 19)
        knowing = self.served.connect()
        knowing.ask(Echo("x"), "secret")
        self.assertEqual(knowing.answer(), {"text": "x"})
        self.served.advance(MAX_WRONG_TOKEN_DELAY)
        self.assertEqual(guessing[-1].error()[0], "NOT_ALLOWED")
        knowing.ask(Echo("x"))
        self.served.advance(MAX_WRONG_TOKEN_DELAY)
        self.assertEqual(knowing.error()[0], "NOT_ALLOWED")
        self.assertEqual({used.result for used in self.served.used}, {"ok", "not-allowed"})

    def test_who_does_not_wait_for_the_refusal_has_guessed_all_the_same(self) -> None:
        """
        The account tells of it as of the others.
        """
        guessing = self.served.connect()
        guessing.ask(Echo(), "guess")
        guessing.hang_up()
        [used] = self.served.used
        self.assertEqual(used.result, "not-allowed")
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def test_tokens_are_others_after_a_reload(self) -> None:
        """
        At once, on open connections too.
        """
        asking = self.served.connect()
        self.served.server.tokens.use([token("new", "third")])
        asking.ask(Echo("x"), "third")
        self.assertEqual(asking.answer(), {"text": "x"})
        asking.ask(Echo("x"), "secret")
        self.served.advance(2)
        self.assertEqual(asking.error()[0], "NOT_ALLOWED")


class AccountTests(SynchronousTestCase):
    """
    What the audit trail is told.
    """

    def setUp(self) -> None:
        self.served = Served(
            [{Echo: lambda request, call: Echoed(""), Change: lambda request, call: Echoed("y" * 1000)}]
        )
        self.asking = self.served.connect()

    def test_each_change_is_told_with_what_it_did(self) -> None:
        """
        Without secrets, and not at any length.
        """
        for _ in range(2):
            self.asking.ask(Change("hunter2", "x" * 1000))
        self.assertEqual(len(self.served.used), 2)
        used = self.served.used[0]
        self.assertEqual((used.verb, used.result, used.changes), ("test.change", "ok", True))
        self.assertEqual(json.loads(used.arguments), {"secret": "[masked]", "long": "[1000 characters]"})
        self.assertLess(len(used.detail), 600)

    def test_what_is_looked_at_again_and_again_is_told_once(self) -> None:
        """
        Every page of a listing is the same question, and each connection asks anew.
        """
        for after in ("", "a", "b", ""):
            self.asking.ask(Echo("x", after))
        self.asking.ask(Echo("y"))
        self.served.connect().ask(Echo("x"))
        self.assertEqual(len(self.served.used), 3)
        self.assertEqual([used.changes for used in self.served.used], [False] * 3)

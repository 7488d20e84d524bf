"""
Unknown recipients are refused, by what the next hop says or by a file.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from empath.errors import StorageError
from empath.modules import (
    Address,
    IModule,
    IStorage,
    MaybeVerdict,
    Recipient,
    Reply,
    Session,
    Transaction,
    Verdict,
    parse_address,
)
from empath.modules.builtin.recipients import MOST_TARGETS, Recipients
from empath.modules.builtin.recipients_asking import MOST_QUESTIONS, PAUSE
from empath.modules.builtin.recipients_known import Answer, Known, Lifetimes, heard
from empath.policy.incoming import PLACE
from tests.modules.support import FakeServices, recipient, session, transaction

HOUR = 3600.0
YES = Reply.of("250 2.1.5 ok")
NO = Reply.of("550 5.1.1 who is that")
LATER = Reply.of("451 4.4.1 the recipient cannot be verified: connection refused")

UNKNOWN = "550 5.1.1 no such user here"
SILENT = "450 4.1.1 the recipient cannot be verified now, try again later"
TOO_MANY = "450 4.7.1 too many unknown recipients, try again later"
BUSY = "450 4.3.2 too many recipients are being verified, try again later"


@implementer(IStorage)
class Storage:
    """
    What is kept, with the end of each; `broken` fails, `slow` waits in `writing`.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, float | None]] = {}
        self.broken = self.slow = False
        self.writing: list[Deferred[None]] = []

    def get(self, key: str) -> Deferred[str | None]:
        if self.broken:
            return fail(StorageError("no disk"))
        return succeed(self.kept.get(key, (None, 0))[0])

    def put(self, key: str, value: str, expires: float | None = None) -> Deferred[None]:
        if self.broken:
            return fail(StorageError("no disk"))
        if self.slow:
            self.writing.append(Deferred())
            return self.writing[-1]
        self.kept[key] = (value, expires)
        return succeed(None)

    def delete(self, key: str) -> Deferred[None]:
        raise NotImplementedError

    def keys(self, prefix: str = "", limit: int = 1000) -> Deferred[list[str]]:
        raise NotImplementedError

    def items(self, after: str = "", limit: int = 1000) -> Deferred[list[tuple[str, str]]]:
        raise NotImplementedError


class NextHop(FakeServices):
    """
    Services with a next hop that knows whom `replies` names; None answers only when told.
    """

    def __init__(self, folder: str = "/nowhere") -> None:
        super().__init__(folder, frozenset({"example.org", "example.net"}))
        self.clock.advance(1000.0)
        self.storage = self.kept = Storage()
        self.replies: dict[str, Reply | None] = {}
        self.usual: Reply | None = YES
        self.asked: list[str] = []
        self.hanging: list[Deferred[Reply]] = []

    def verify(self, address: Address) -> Awaitable[Reply]:
        self.asked.append(address.text)
        reply = self.replies.get(address.text, self.usual)
        if reply is not None:
            return succeed(reply)
        waiting: Deferred[Reply] = Deferred()
        self.hanging.append(waiting)
        return waiting


class RecipientsCase(SynchronousTestCase):
    """
    The module with a next hop.
    """

    def setUp(self) -> None:
        self.services = NextHop()
        self.module = self.started()

    def started(self, services: NextHop | None = None, **options: object) -> Recipients:
        """
        Make a module and start it.
        """
        module = Recipients(**options)
        module.start(services or self.services)
        return module

    def ask(
        self, address: str = "user@example.org", peer: Session | None = None, through: Transaction | None = None
    ) -> MaybeVerdict | Deferred[MaybeVerdict]:
        """
        Ask about a recipient; a plain value if it is known at once.
        """
        answer = self.module.rcpt_to(peer or session(), through or transaction(), recipient(address))
        return cast("MaybeVerdict | Deferred[MaybeVerdict]", answer)

    def told(
        self, address: str = "user@example.org", peer: Session | None = None, through: Transaction | None = None
    ) -> str:
        """
        Ask, and spell the answer: "" if nobody objects.
        """
        answer = self.ask(address, peer, through)
        return spelled(self.successResultOf(answer) if isinstance(answer, Deferred) else answer)

    def waiting(self, address: str = "user@example.org", peer: Session | None = None) -> Deferred[MaybeVerdict]:
        """
        Ask a next hop that takes its time.
        """
        answer = self.ask(address, peer)
        assert isinstance(answer, Deferred)
        self.assertNoResult(answer)
        return answer


def spelled(verdict: MaybeVerdict) -> str:
    """
    Spell a verdict.
    """
    return "" if verdict is None or verdict.reply is None else str(verdict.reply)


class VerifyTests(RecipientsCase):
    """
    By what the next hop says.
    """

    def test_interface(self) -> None:
        """
        It is a module.
        """
        verifyObject(IModule, self.module)

    def test_answers(self) -> None:
        """
        Yes is no opinion, no is 550 5.1.1, silence 450 4.1.1; the next hop's own words are for the operator.
        """
        self.services.replies.update(
            {"no@example.org": NO, "bare@example.org": Reply.of("550 no"), "l@example.org": LATER}
        )
        self.assertEqual(self.told(), "")
        self.assertEqual(self.told("no@example.org"), UNKNOWN)
        self.assertEqual(self.told("bare@example.org"), UNKNOWN)
        self.assertEqual(self.told("l@example.org"), SILENT)
        answer = self.ask("no@example.org")
        assert isinstance(answer, Verdict)
        self.assertEqual(answer.why, "550 5.1.1 who is that")
        silent = self.ask("l@example.org")
        assert isinstance(silent, Deferred)
        verdict = cast(Verdict, self.successResultOf(silent))
        self.assertEqual(verdict.why, str(LATER))

    def test_other_refusals(self) -> None:
        """
        A refusal for another reason than who it is keeps its enhanced code.
        """
        for said, told in (
            ("552 5.2.2 full", "550 5.2.2 not accepted for this recipient"),
            ("554 5.7.1 client blocked", "550 5.7.1 not accepted for this recipient"),
            ("550 5.6.7 no SMTPUTF8", "550 5.6.7 not accepted for this recipient"),
        ):
            self.services.usual = Reply.of(said)
            self.assertEqual(self.told(f"{said[:3]}{said[4:9]}@example.org"), told)

    def test_only_ours(self) -> None:
        """
        Nobody else's next hop is asked, whoever wants to know.
        """
        for address in ("user@elsewhere.example", "user@sub.example.org"):
            self.assertIsNone(self.ask(address, session(trusted=True)))
        self.assertEqual(self.services.asked, [])

    def test_trusted(self) -> None:
        """
        Who may relay hears of an unknown user, too: better than a bounce.
        """
        self.services.usual = NO
        self.assertEqual(self.told(peer=session(trusted=True, login="joe")), UNKNOWN)

    def test_postmaster(self) -> None:
        """
        Postmasters are reachable, whatever the next hop says.
        """
        self.services.usual = NO
        self.assertIsNone(self.ask("PostMaster@example.org"))
        nowhere = Recipient(Address("Postmaster", "", "Postmaster"))
        self.assertIsNone(self.module.rcpt_to(session(), transaction(), nowhere))
        self.assertEqual(self.services.asked, [])


class KnownTests(RecipientsCase):
    """
    What was said is remembered.
    """

    def test_remembered(self) -> None:
        """
        A yes counts for a day, a no for an hour, in any case of letters; then the next hop is asked again.
        """
        self.services.replies["no@example.org"] = NO
        self.told()
        self.told("no@example.org")
        self.services.clock.advance(HOUR - 1)
        self.assertIsNone(self.ask("USER@Example.org"))
        self.assertEqual(spelled(cast(MaybeVerdict, self.ask("No@example.org"))), UNKNOWN)
        self.assertEqual(len(self.services.asked), 2)
        self.services.clock.advance(1)
        self.told("no@example.org")
        self.assertEqual(self.services.asked[2:], ["no@example.org"])
        self.services.clock.advance(24 * HOUR)
        self.told()
        self.assertEqual(self.services.asked[3:], ["user@example.org"])

    def test_restart(self) -> None:
        """
        It is stored, and survives a restart; an answer ends where it would have.
        """
        self.services.replies["no@example.org"] = NO
        self.told()
        self.told("no@example.org")
        self.assertEqual(
            self.services.kept.kept,
            {
                "user@example.org": ("1000.0 250 2.1.5 ok", 1000.0 + 8 * 24 * HOUR),
                "no@example.org": ("1000.0 550 5.1.1 who is that", 1000.0 + HOUR),
            },
        )
        self.services.asked.clear()
        self.module = self.started()
        self.assertEqual((self.told(), self.told("no@example.org")), ("", UNKNOWN))
        self.assertEqual(self.services.asked, [])
        self.services.clock.advance(HOUR)
        self.told("no@example.org")
        self.assertEqual(self.services.asked, ["no@example.org"])

    def test_refreshed(self) -> None:
        """
        A yes that is half over is asked for again in the background, while it counts; a no replaces it.
        """
        self.told()
        self.services.clock.advance(12 * HOUR)
        self.services.usual = None
        self.assertIsNone(self.ask())
        self.assertIsNone(self.ask())
        self.assertEqual(len(self.services.asked), 2)
        self.services.hanging[0].callback(NO)
        self.assertEqual(self.told(), UNKNOWN)

    def test_refreshed_by_silence(self) -> None:
        """
        A next hop that is silent is not asked at every RCPT, and changes nothing.
        """
        self.told()
        self.services.clock.advance(12 * HOUR)
        self.services.usual = LATER
        self.assertIsNone(self.ask())
        self.assertIsNone(self.ask())
        self.assertEqual(len(self.services.asked), 2)
        self.services.clock.advance(PAUSE)
        self.assertIsNone(self.ask())
        self.assertEqual(len(self.services.asked), 3)

    def test_stale(self) -> None:
        """
        While the next hop is silent an old yes counts for seven days more, an old no does not.
        """
        self.services.replies["no@example.org"] = NO
        self.told()
        self.told("no@example.org")
        self.services.replies.clear()
        self.services.usual = LATER
        self.services.clock.advance(25 * HOUR)
        self.assertEqual(self.told("no@example.org"), SILENT)
        self.assertEqual(self.told(), "")
        asked = len(self.services.asked)
        self.assertIsNone(self.ask())
        self.assertEqual(len(self.services.asked), asked)
        self.services.clock.advance(7 * 24 * HOUR)
        self.assertEqual(self.told(), SILENT)

    def test_bounded(self) -> None:
        """
        Memory holds so many answers; the others are read when they are needed.
        """
        self.module = self.started(cache_size=2)
        for local in "ababca":
            self.assertEqual(self.told(f"{local}@example.org"), "")
        self.assertEqual(len(self.services.asked), 3)

    def test_those_used_last_are_in_memory(self) -> None:
        """
        Read or learnt, the one that was not used for longest makes room.
        """
        known = Known(self.services.kept, Lifetimes(10.0, 10.0, 0.0), 2)
        for key in "abc":
            known.learn(key, heard(YES, 1000.0))
        self.assertEqual([known.get(key) is None for key in "abc"], [True, False, False])
        known.get("b")
        read = self.successResultOf(Deferred.fromCoroutine(known.find("a")))
        self.assertEqual(read, Answer(1000.0, YES))
        self.assertEqual((len(known), known.get("a"), known.get("c")), (2, read, None))
        known.keep("b", heard(NO, 1000.0))
        known.learn("d", heard(YES, 1000.0))
        self.assertIsNotNone(known.get("b"))
        self.assertIsNone(known.get("a"))
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(known.find("nobody"))))
        self.assertEqual(len(known), 2)

    def test_a_short_memory_for_a_no(self) -> None:
        """
        An old no is never a yes, however short it counts.
        """
        self.module = self.started(cache_negative="10s")
        self.services.usual = NO
        self.told()
        self.services.clock.advance(10)
        self.services.usual = LATER
        self.assertEqual((self.told(), self.told()), (SILENT, SILENT))

    def test_nobody_asked(self) -> None:
        """
        Where everybody is taken without being asked, nothing is stored: senders make up as many addresses as they like.
        """
        self.services.usual = Reply.of("252 2.1.5 delivered without another host's consent")
        self.assertEqual((self.told(), self.told()), ("", ""))
        self.assertEqual(len(self.services.asked), 1)
        self.assertEqual(self.services.kept.kept, {})

    def test_many_words(self) -> None:
        """
        Of a long answer no more is kept than helps anybody.
        """
        self.services.usual = Reply(550, "5.1.1", ("who is that? " * 20,) * 50)
        self.assertEqual((self.told(), self.told()), (UNKNOWN, UNKNOWN))
        [(text, _)] = self.services.kept.kept.values()
        self.assertLess(len(text), 250)
        answer = self.ask()
        assert isinstance(answer, Verdict)
        self.assertLess(len(answer.why), 250)
        self.module = self.started()
        self.assertEqual(self.told(), UNKNOWN)
        self.assertEqual(len(self.services.asked), 1)

    def test_clock_set_back(self) -> None:
        """
        An answer from the future is none: a clock that once was wrong refuses nobody for years.
        """
        self.services.usual = NO
        self.services.clock.advance(1000 * HOUR)
        self.assertEqual(self.told(), UNKNOWN)
        self.services.clock.rightNow -= 999 * HOUR
        self.services.usual = YES
        self.assertEqual(self.told(), "")

    def test_storage_fails(self) -> None:
        """
        Without storage it goes on by memory.
        """
        self.services.kept.broken = True
        self.assertEqual((self.told(), self.told()), ("", ""))
        self.assertEqual(len(self.services.asked), 1)

    def test_storage_holds_something_else(self) -> None:
        """
        What nobody of ours wrote is no answer.
        """
        for text in ("", "yes", "1000.0", "x 250 ok", "1000.0 2.1.5"):
            self.services.kept.kept["user@example.org"] = (text, None)
            self.module = self.started()
            self.assertEqual(self.told(), "")
        self.assertEqual(len(self.services.asked), 5)


class SilenceTests(RecipientsCase):
    """
    Nobody waits for long, and nobody is asked too much.
    """

    def setUp(self) -> None:
        super().setUp()
        self.services.usual = None

    def test_shared(self) -> None:
        """
        One question for one address, however many want to know; each hears the answer.
        """
        first, second = self.waiting(), self.waiting("USER@example.org")
        self.assertEqual(len(self.services.asked), 1)
        self.services.hanging[0].callback(NO)
        self.assertEqual([spelled(self.successResultOf(each)) for each in (first, second)], [UNKNOWN] * 2)

    def test_patience(self) -> None:
        """
        A session waits four seconds; the answer that comes later is known to the next one.
        """
        waiting = self.waiting()
        self.services.clock.advance(4.0)
        late = self.successResultOf(waiting)
        assert late is not None
        self.assertEqual((spelled(late), late.why), (SILENT, "no answer within 4 s"))
        self.services.hanging[0].callback(NO)
        self.assertEqual(self.told(), UNKNOWN)

    def test_gone(self) -> None:
        """
        A client that leaves takes nothing with it: the answer is kept.
        """
        first, second = self.waiting(), self.waiting()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.services.hanging[0].callback(YES)
        self.assertIsNone(self.successResultOf(second))
        self.assertIsNone(self.ask())

    def test_most(self) -> None:
        """
        So many questions are open at a time, and what is known needs none.
        """
        self.services.replies["known@example.org"] = YES
        self.told("known@example.org")
        for number in range(MOST_QUESTIONS):
            self.waiting(f"u{number}@example.org")
        self.assertEqual(self.told("more@example.org"), BUSY)
        self.services.clock.advance(0)
        self.assertIsNone(self.ask("known@example.org"))

    def test_most_and_old(self) -> None:
        """
        Where no question can be asked an old yes counts, and nothing is refreshed.
        """
        self.services.replies["known@example.org"] = YES
        self.told("known@example.org")
        self.services.clock.advance(13 * HOUR)
        open_ = [self.waiting(f"u{number}@example.org") for number in range(MOST_QUESTIONS)]
        asked = len(self.services.asked)
        self.assertIsNone(self.ask("known@example.org"))
        self.assertEqual(len(self.services.asked), asked)
        self.services.clock.advance(12 * HOUR)
        self.assertIsNone(self.ask("known@example.org"))
        self.assertEqual({spelled(self.successResultOf(each)) for each in open_}, {SILENT})

    def test_told(self) -> None:
        """
        Of a silent next hop the log hears every five minutes, for each domain, whatever the clock is set to.
        """
        self.services.usual = LATER
        with capturedLogs() as events:
            for number, seconds in enumerate((0, 299, 1, -400)):
                self.services.clock.rightNow += seconds
                self.told(f"u{number}@example.org")
            self.told("u@example.net")
        told = [event["domain"] for event in events if event.get("log_namespace", "").endswith("recipients_asking")]
        self.assertEqual(told, ["example.org"] * 3 + ["example.net"])
        self.assertEqual(self.services.counted["silent"], 5)

    def test_fault(self) -> None:
        """
        A bug of whoever asks is logged, and nothing is known.
        """
        waiting = self.waiting()
        self.services.hanging[0].errback(RuntimeError("bug"))
        self.assertEqual(spelled(self.successResultOf(waiting)), SILENT)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_stop(self) -> None:
        """
        At the end nobody waits any more, and what is being written is waited for.
        """
        waiting = self.waiting()
        self.services.kept.slow = True
        self.services.replies["known@example.org"] = YES
        self.told("known@example.org")
        stopped = Deferred.fromCoroutine(self.module.stop())
        self.assertEqual(spelled(self.successResultOf(waiting)), SILENT)
        self.assertNoResult(stopped)
        self.services.kept.writing[0].callback(None)
        self.successResultOf(stopped)


class LimitTests(RecipientsCase):
    """
    A client that guesses is held off.
    """

    def setUp(self) -> None:
        super().setUp()
        self.module = self.started(max_unknown="3/min")
        self.services.usual = NO

    def guess(self, count: int, peer: str = "192.0.2.1") -> list[str]:
        """
        Name unknown users.
        """
        return [self.told(f"{peer.replace(':', '-')}-{n}@example.org", session(peer)) for n in range(count)]

    def test_guessing(self) -> None:
        """
        After so many unknown recipients no further question is asked for a client until the minute is over; what is
        known is told, and other clients are not concerned.
        """
        self.assertEqual(self.guess(5), [UNKNOWN] * 3 + [TOO_MANY] * 2)
        self.assertEqual(len(self.services.asked), 3)
        self.assertEqual(self.services.counted, {"asked": 3, "unknown": 3, "limited": 2})
        self.assertEqual(self.guess(1), [UNKNOWN])
        self.assertEqual(self.guess(1, "192.0.2.2"), [UNKNOWN])
        self.services.clock.advance(60)
        self.assertEqual(self.guess(5)[3:], [UNKNOWN] * 2)

    def test_network(self) -> None:
        """
        All of an IPv6 network of 64 bits is one client.
        """
        told = [self.guess(2, f"2001:db8::{n}") for n in (1, 2)]
        self.assertEqual(told, [[UNKNOWN] * 2, [UNKNOWN, TOO_MANY]])

    def test_trusted(self) -> None:
        """
        Who may relay is not counted.
        """
        told = [self.told(f"u{n}@example.org", session(trusted=True)) for n in range(5)]
        self.assertEqual(told, [UNKNOWN] * 5)

    def test_no_limit(self) -> None:
        """
        0 is no limit.
        """
        self.module = self.started(max_unknown=0)
        self.assertEqual(self.guess(9), [UNKNOWN] * 9)


class AliasTests(RecipientsCase):
    """
    What a recipient was rewritten to is what is judged.
    """

    def rewritten(self, *addresses: str) -> Transaction:
        """
        Make a transaction in which user@example.org becomes others.
        """
        made = transaction()
        made.rewrite(recipient(), *[parse_address(address) for address in addresses])
        return made

    def test_one(self) -> None:
        """
        The new one is judged, if it is ours; the old one is not.
        """
        self.services.replies["user@example.org"] = NO
        self.services.replies["gone@example.org"] = NO
        self.assertEqual(self.told(through=self.rewritten("a@example.net")), "")
        self.assertEqual(self.told(through=self.rewritten("gone@example.org")), UNKNOWN)
        self.assertEqual(self.told(through=self.rewritten("a@elsewhere.example")), "")
        self.assertEqual(self.told(through=self.rewritten()), "")
        self.assertEqual(self.services.asked, ["a@example.net", "gone@example.org"])

    def test_several(self) -> None:
        """
        If anyone takes it it is accepted, and who is unknown among them is dropped.
        """
        self.services.replies.update({"gone@example.org": NO, "late@example.org": LATER})
        made = self.rewritten("a@example.org", "gone@example.org", "late@example.org", "b@elsewhere.example")
        answer = cast("Deferred[Verdict]", self.ask(through=made))
        self.assertEqual(self.successResultOf(answer).why, "dropped unknown gone@example.org")
        left = [new.address.text for new in made.becomes(recipient())]
        self.assertEqual(left, ["a@example.org", "late@example.org", "b@elsewhere.example"])

    def test_what_is_read_here_and_has_no_mailbox_is_no_trouble(self) -> None:
        """
        An address that is only for complaints or bounces is unknown behind us, at each report that comes: nobody is
        warned of it. Where people are among those who are left, somebody is.
        """
        self.services.replies["fbl@example.org"] = NO
        for reader, level in ((f"complaint@{PLACE}", "info"), ("ann@example.net", "warn")):
            made = self.rewritten("fbl@example.org", reader)
            with capturedLogs() as logs:
                self.successResultOf(cast("Deferred[Verdict]", self.ask(through=made)))
            self.assertEqual([str(each.address) for each in made.becomes(recipient())], [reader])
            self.assertEqual([each["log_level"].name for each in logs], [level])

    def test_what_is_read_here_waits_while_nobody_knows_of_the_mailbox(self) -> None:
        """
        Who sends complaints would get a bounce of what is meant to be read only, once it is known that there is none.
        """
        self.services.replies["fbl@example.org"] = LATER
        self.assertEqual(self.told(through=self.rewritten("fbl@example.org", f"complaint@{PLACE}")), SILENT)
        made = self.rewritten("fbl@example.org", "a@elsewhere.example", f"complaint@{PLACE}")
        self.assertEqual(self.told(through=made), "")
        self.assertEqual(self.told(through=self.rewritten(f"complaint@{PLACE}")), "")

    def test_nobody_of_several(self) -> None:
        """
        If nobody takes it it is refused: for now while anyone is silent.
        """
        self.services.replies.update({"gone@example.org": NO, "off@example.org": NO, "late@example.org": LATER})
        self.assertEqual(self.told(through=self.rewritten("gone@example.org", "off@example.org")), UNKNOWN)
        self.assertEqual(self.told(through=self.rewritten("gone@example.org", "late@example.org")), SILENT)
        self.assertEqual(self.told(through=self.rewritten("late@example.org", "a@example.org")), "")

    def test_nobody_to_judge(self) -> None:
        """
        Others' recipients, and postmasters, need no answer.
        """
        self.assertIsNone(self.ask(through=self.rewritten("a@elsewhere.example", "postmaster@example.org")))

    def test_most(self) -> None:
        """
        Of a long list only the first are asked about.
        """
        many = self.rewritten(*[f"u{n}@example.org" for n in range(100)])
        self.assertEqual(self.told(through=many), "")
        self.assertEqual(len(self.services.asked), MOST_TARGETS)


class FileTests(SynchronousTestCase):
    """
    By a file.
    """

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = Path(self.folder, "users")
        self.path.write_text("User@example.org\n@example.net\n", encoding="utf-8")
        self.services = NextHop(self.folder)
        self.module = Recipients("users")

    def told(self, address: str) -> str:
        """
        Ask about a recipient.
        """
        return spelled(cast(MaybeVerdict, self.module.rcpt_to(session(), transaction(), recipient(address))))

    def test_listed(self) -> None:
        """
        Who is listed, or whose whole domain is, is taken; nobody is asked.
        """
        self.module.start(self.services)
        for address in ("user@Example.org", "anybody@example.net", "postmaster@example.org", "a@elsewhere.example"):
            self.assertEqual(self.told(address), "", address)
        self.assertEqual(self.told("other@example.org"), UNKNOWN)
        self.assertEqual(self.services.asked, [])
        self.successResultOf(Deferred.fromCoroutine(self.module.stop()))

    def test_followed(self) -> None:
        """
        A file that is changed is read again.
        """
        self.module.start(self.services)
        self.path.write_text("other@example.org\n# no one else of example.org\n@example.net\n", encoding="utf-8")
        self.services.clock.advance(5)
        self.assertEqual((self.told("other@example.org"), self.told("user@example.org")), ("", UNKNOWN))

    def test_wrong(self) -> None:
        """
        A file that is missing or wrong is told at start.
        """
        for text in ("user\n", "@\n", "@not a domain\n", None):
            self.path.unlink(missing_ok=True)
            if text is not None:
                self.path.write_text(text, encoding="utf-8")
            self.assertRaises(ValueError, self.module.start, self.services)


class OptionTests(SynchronousTestCase):
    """
    What the operator may write.
    """

    def test_wrong(self) -> None:
        """
        What makes no sense is told with the name of the option.
        """
        for key, value in (
            ("source", ""),
            ("source", 7),
            ("cache_positive", 0),
            ("cache_negative", "soon"),
            ("cache_stale", -1),
            ("cache_size", 0),
            ("wait", 0),
            ("max_unknown", "10"),
        ):
            error = self.assertRaises(ValueError, Recipients, **{key: value})
            self.assertIn(key, str(error))

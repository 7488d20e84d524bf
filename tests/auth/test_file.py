"""
The authenticator of the password file, on real files.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable
from typing import TypeVar

from argon2.exceptions import HashingError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.auth import file as module
from empath.auth.file import FileAuthenticator
from empath.auth.hashes import Verifier
from empath.errors import AuthenticatorUnavailable, ConfigError
from empath.interfaces import IAuthenticator
from tests.auth.made import Threads, argon2, at_once, scram

T = TypeVar("T")


class FileCase(SynchronousTestCase):
    """
    A file that the test writes.
    """

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.checked: list[str] = []
        accepts = Verifier.accepts

        def recording(verifier: Verifier, password: str) -> bool:
            self.checked.append(verifier.text)
            return accepts(verifier, password)

        self.patch(Verifier, "accepts", recording)

    def write(self, *lines: str) -> None:
        """
        Write the file anew, under a new inode.
        """
        with open(f"{self.path}.new", "w", encoding="utf-8") as new:
            new.write("\n".join(lines))
        os.rename(f"{self.path}.new", self.path)

    def opened(self, threads: Threads | None = None) -> FileAuthenticator:
        """
        Make the authenticator.
        """
        return FileAuthenticator(self.path, threads or at_once, self.clock, random.Random(1))

    def told(self, waiting: Awaitable[T]) -> T:
        """
        Expect an answer by now.
        """
        return self.successResultOf(asked(waiting))


def asked(waiting: Awaitable[T]) -> Deferred[T]:
    """
    Wait for what an interface calls an Awaitable.
    """

    async def wait() -> T:
        return await waiting

    return Deferred.fromCoroutine(wait())


class PasswordTests(FileCase):
    """
    PLAIN and LOGIN.
    """

    def setUp(self) -> None:
        super().setUp()
        self.tim, self.ursel, self.kurt = argon2("x"), argon2("y"), scram("z")
        self.write(f"tim:{self.tim}", f"ursel:{self.ursel}", f"kurt:{self.kurt}")

    def test_provides(self) -> None:
        """
        The seam.
        """
        verifyObject(IAuthenticator, self.opened())

    def test_passwords(self) -> None:
        """
        Right ones get in, a user with a SCRAM verifier too; wrong ones, unknown logins and tokens do not.
        """
        users = self.opened()
        self.assertEqual(self.told(users.check_password("tim", "x")), "tim")
        self.assertEqual(self.told(users.check_password("kurt", "z")), "kurt")
        self.assertIsNone(self.told(users.check_password("tim", "y")))
        self.assertIsNone(self.told(users.check_password("nobody", "x")))
        self.assertIsNone(self.told(users.check_token("tim", "x")))

    def test_unknown_logins_cost_the_same(self) -> None:
        """
        One verifier of the usual cost is computed for each wrong password, whoever it is for, every time.
        """
        users = self.opened()
        for login in ("tim", "nobody", "nobody", "tim"):
            self.told(users.check_password(login, "wrong"))
        self.assertEqual(self.checked, [self.tim] * 4)

    def test_the_usual_verifier_lets_nobody_in(self) -> None:
        """
        Not even with the password that it is of.
        """
        self.assertIsNone(self.told(self.opened().check_password("nobody", "x")))

    def test_nobody_at_all(self) -> None:
        """
        An empty file lets nobody in.
        """
        self.write("# nobody yet")
        users = self.opened()
        self.assertIsNone(self.told(users.check_password("tim", "x")))
        self.assertEqual(list(users.mechanisms()), ["PLAIN", "LOGIN"])

    def test_recently_proved(self) -> None:
        """
        What was right a moment ago is not computed again; what was wrong is.
        """
        users = self.opened()
        for _ in range(3):
            self.told(users.check_password("tim", "x"))
            self.told(users.check_password("tim", "y"))
        self.assertEqual(len(self.checked), 4)
        self.clock.advance(31)
        self.told(users.check_password("tim", "x"))
        self.assertEqual(len(self.checked), 5)

    def test_many_at_once(self) -> None:
        """
        Of twenty sessions that log in together, two are checked.
        """
        threads = Threads()
        users = self.opened(threads)
        answers = [asked(users.check_password("tim", "x")) for _ in range(20)]
        self.assertEqual(len(threads.waiting), 2)
        while threads.waiting:
            threads.run()
        self.assertEqual({self.successResultOf(answer) for answer in answers}, {"tim"})
        self.assertEqual(len(self.checked), 2)

    def test_trouble(self) -> None:
        """
        Without memory for a check nothing can be said: the client comes again.
        """

        def exhausted(verifier: Verifier, password: str) -> bool:
            raise HashingError("Memory allocation error")

        self.patch(Verifier, "accepts", exhausted)
        self.failureResultOf(asked(self.opened().check_password("tim", "x")), AuthenticatorUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(HashingError)), 1)

    def test_cancelled(self) -> None:
        """
        A client that goes is not waited for, and its answer harms nobody.
        """
        threads = Threads()
        answer = asked(self.opened(threads).check_password("tim", "x"))
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        threads.run()


class ScramTests(FileCase):
    """
    SCRAM-SHA-256.
    """

    def test_offered(self) -> None:
        """
        If all users can use it, and no longer when one cannot.
        """
        self.write(f"kurt:{scram('z')}")
        users = self.opened()
        self.assertEqual(list(users.mechanisms()), ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
        self.write(f"kurt:{scram('z')}", f"tim:{argon2('x')}")
        self.clock.advance(1)
        users.mechanisms()
        self.assertEqual(list(users.mechanisms()), ["PLAIN", "LOGIN"])

    def test_verifier(self) -> None:
        """
        The user's own, and one made up, always the same, for an unknown login.
        """
        self.write(f"kurt:{scram('z')}")
        users = self.opened()
        self.assertTrue(self.told(users.scram_verifier("kurt")).accepts("z"))
        self.assertEqual(self.told(users.scram_verifier("tim")), self.told(users.scram_verifier("tim")))


class ChangeTests(FileCase):
    """
    The file as it changes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.write(f"tim:{argon2('x')}")

    def test_a_file_that_cannot_be_used(self) -> None:
        """
        The start is refused, with all that is wrong.
        """
        self.write("tim", "ursel")
        with self.assertRaises(ConfigError) as caught:
            self.opened()
        self.assertEqual(len(caught.exception.problems), 2)
        with open(self.path, "wb") as written:
            written.write(b"\xff")
        self.assertRaises(ConfigError, self.opened)
        os.unlink(self.path)
        with self.assertRaises(ConfigError) as caught:
            self.opened()
        self.assertEqual(caught.exception.problems, [f"auth.users: {self.path}: No such file or directory"])

    def test_read_again(self) -> None:
        """
        A changed file counts a second later, and what was proved before does not.
        """
        users = self.opened()
        self.assertEqual(self.told(users.check_password("tim", "x")), "tim")
        self.write(f"tim:{argon2('new')}", f"ursel:{argon2('y')}")
        self.clock.advance(0.9)
        self.assertEqual(self.told(users.check_password("tim", "x")), "tim")
        self.clock.advance(0.1)
        self.assertIsNone(self.told(users.check_password("tim", "x")))
        self.assertEqual(self.told(users.check_password("ursel", "y")), "ursel")

    def test_looked_at_once_a_second(self) -> None:
        """
        No more often, however many log in; the clock may be set back.
        """
        looks: list[str] = []
        look = module.look

        def recording(path: str, known: module.Stamp) -> module.Seen:
            looks.append(path)
            return look(path, known)

        users = self.opened()
        self.patch(module, "look", recording)
        for _ in range(5):
            self.told(users.check_password("tim", "x"))
        self.assertEqual(looks, [])
        self.clock.advance(1)
        for _ in range(5):
            self.told(users.check_password("tim", "x"))
        self.assertEqual(len(looks), 1)
        self.clock.rightNow = 0.0
        self.told(users.check_password("tim", "x"))
        self.assertEqual(len(looks), 2)

    def test_a_broken_change(self) -> None:
        """
        The users stay as they were; a later good file counts.
        """
        users = self.opened()
        self.write("tim")
        self.clock.advance(1)
        self.assertEqual(self.told(users.check_password("tim", "x")), "tim")
        os.unlink(self.path)
        self.clock.advance(1)
        self.assertEqual(self.told(users.check_password("tim", "x")), "tim")
        self.write(f"tim:{argon2('y')}")
        self.clock.advance(1)
        self.assertIsNone(self.told(users.check_password("tim", "x")))

    def test_who_asks_meanwhile_waits_for_the_look(self) -> None:
        """
        One look serves all, whoever gives up.
        """
        threads = Threads()
        users = self.opened(threads)
        self.clock.advance(1)
        first, second = (asked(users.scram_verifier("tim")) for _ in range(2))
        self.assertEqual(len(threads.waiting), 1)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        threads.run()
        self.successResultOf(second)

    def test_a_look_that_fails(self) -> None:
        """
        A fault is logged, and the users stay.
        """
        users = self.opened()
        self.patch(module, "look", lambda path, known: fail_with(ZeroDivisionError()))
        self.clock.advance(1)
        self.assertEqual(self.told(users.check_password("tim", "x")), "tim")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_check_under_way_while_the_file_changes(self) -> None:
        """
        Its result is not remembered for the new file.
        """
        threads = Threads()
        users = self.opened(threads)
        old = asked(users.check_password("tim", "x"))
        self.write(f"tim:{argon2('new')}")
        self.clock.advance(1)
        users.mechanisms()
        check = threads.waiting.pop(0)
        threads.run()
        threads.waiting.append(check)
        threads.run()
        self.assertEqual(self.successResultOf(old), "tim")
        new = asked(users.check_password("tim", "x"))
        threads.run()
        self.assertIsNone(self.successResultOf(new))


def fail_with(error: Exception) -> module.Seen:
    """
    Raise where an expression is needed.
    """
    raise error

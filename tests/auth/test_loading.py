"""
The authenticator that [auth] asks for.
"""

from __future__ import annotations

import os
import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.auth.file import FileAuthenticator
from empath.auth.loading import authenticator_of, load_authenticator
from empath.auth.senders import senders_of
from empath.config.schema import Auth
from empath.config.units import File
from empath.errors import ConfigError
from empath.interfaces import IAuthenticator
from empath.policy.senders import ANYONE
from tests.auth import authenticators
from tests.auth.made import at_once


class LoadingTests(SynchronousTestCase):
    """
    By dotted name.
    """

    def problem(self, name: str) -> str:
        """
        Expect one line about a name.
        """
        with self.assertRaises(ConfigError) as caught:
            load_authenticator(name)
        (problem,) = caught.exception.problems
        self.assertTrue(problem.startswith(f"auth.authenticator: {name}: "), problem)
        self.assertNotIn("\n", problem)
        return str(problem)

    def test_loaded(self) -> None:
        """
        A class, or anything else that can be called, deep in a module.
        """
        for name in ("Tokens", "Tokens.usual"):
            made = load_authenticator(f"tests.auth.authenticators:{name}")
            self.assertTrue(IAuthenticator.providedBy(made))

    def test_what_is_wrong_is_said(self) -> None:
        """
        The form, the module, the attribute, the call, and what it returned.
        """
        for name in ("", "tests.auth.authenticators", "tests.auth.authenticators:", ":Tokens"):
            self.assertIn("package.module:callable", self.problem(name))
        self.assertIn("ModuleNotFoundError", self.problem("tests.auth.absent:Tokens"))
        self.assertIn("AttributeError", self.problem("tests.auth.authenticators:Absent"))
        self.assertIn("is no callable but a int", self.problem("tests.auth.authenticators:NUMBER"))
        self.assertIn("KeyError: 'DIRECTORY_URL'", self.problem("tests.auth.authenticators:failing"))
        self.assertIn("returned no IAuthenticator", self.problem("tests.auth.authenticators:Nothing"))

    def test_section(self) -> None:
        """
        A dotted name, a file, or nobody.
        """
        path = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="utf-8"):
            pass
        for section, kind in (
            (Auth(authenticator="tests.auth.authenticators:Tokens"), authenticators.Tokens),
            (Auth(users=File(path)), FileAuthenticator),
            (Auth(), type(None)),
        ):
            self.assertIsInstance(authenticator_of(section, at_once, Clock(), random.Random(1)), kind)


class SendersTests(SynchronousTestCase):
    """
    The file of senders.
    """

    def senders(self, content: bytes) -> Auth:
        """
        Write a file, and name it.
        """
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(content)
        return Auth(senders=File(path))

    def test_read(self) -> None:
        """
        Without a file anybody sends as anyone.
        """
        self.assertEqual(list(senders_of(self.senders(b"tim: tim@example.org")).logins), ["tim"])
        self.assertIs(senders_of(Auth()), ANYONE)

    def test_problems(self) -> None:
        """
        Every wrong line, no UTF-8, and no file.
        """
        section = self.senders(b"tim\nkurt")
        with self.assertRaises(ConfigError) as caught:
            senders_of(section)
        self.assertEqual(
            caught.exception.problems,
            [f"auth.senders: {section.senders}: line {number}: no login: address …" for number in (1, 2)],
        )
        self.assertRaises(ConfigError, senders_of, self.senders(b"\xff"))
        with self.assertRaises(ConfigError) as caught:
            senders_of(Auth(senders=File("/absent")))
        self.assertEqual(caught.exception.problems, ["auth.senders: /absent: No such file or directory"])

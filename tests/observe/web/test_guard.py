from __future__ import annotations

from hashlib import sha256

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.observe.web.guard import Guard
from empath.observe.web.page import Asked, Page, text

TOKEN = "correct-horse.battery~staple+/=="
HASH = sha256(TOKEN.encode()).hexdigest()
LOCAL = Asked(path="/", accept="", accept_encoding="", authorization="", host="localhost:8080", is_local=True)
AWAY = attrs.evolve(LOCAL, is_local=False, host="mx.example.org")


class GuardTests(SynchronousTestCase):
    def code(self, guard: Guard, asked: Asked) -> int:
        refusal = guard.refusal(asked)
        return 200 if refusal is None else refusal.code

    def with_token(self, authorization: str) -> Page | None:
        return Guard(HASH, "health.token_hash", "mx.example.org").refusal(
            attrs.evolve(AWAY, authorization=authorization)
        )

    def test_whoever_has_the_token_is_let_in_from_anywhere(self) -> None:
        for scheme in ("Bearer", "bearer", "BEARER  "):
            self.assertIsNone(self.with_token(f"{scheme} {TOKEN}"))

    def test_a_token_may_be_of_any_characters_that_a_field_can_carry(self) -> None:
        guard = Guard(sha256(b"p@ss:w{o}rd!").hexdigest(), "health.token_hash", "")
        self.assertEqual(self.code(guard, attrs.evolve(AWAY, authorization="Bearer p@ss:w{o}rd!")), 200)

    def test_no_token_is_401_and_says_what_is_wanted(self) -> None:
        refusal = self.with_token("")
        assert refusal is not None
        self.assertEqual((refusal.code, dict(refusal.headers)), (401, {"www-authenticate": 'Bearer realm="empath"'}))

    def test_wrong_and_malformed_tokens_are_401(self) -> None:
        for given in (
            "Bearer nonsense",
            "Bearer",
            "Bearer ",
            f"Basic {TOKEN}",
            f"Bearer {TOKEN},Bearer {TOKEN}",
            f"Bearer {HASH}",
            f"Bearer {TOKEN}=",
            f"Bearer \xe9{TOKEN}",
            TOKEN,
        ):
            refusal = self.with_token(given)
            assert refusal is not None, given
            self.assertEqual(refusal.code, 401)
            self.assertIn('error="invalid_token"', refusal.headers["www-authenticate"])

    def test_the_hash_of_nothing_is_not_opened_by_nothing(self) -> None:
        """
        Whatever cannot be a token never is one.
        """
        guard = Guard(sha256(b"").hexdigest(), "metrics.token_hash", "mx.example.org")
        for given in ("", "Bearer", "Bearer ", "Basic x"):
            self.assertEqual(self.code(guard, attrs.evolve(LOCAL, authorization=given)), 401)

    def test_with_a_token_this_machine_needs_it_too(self) -> None:
        self.assertEqual(self.code(Guard(HASH, "health.token_hash", ""), LOCAL), 401)

    def test_without_a_token_only_this_machine_is_answered(self) -> None:
        refusal = Guard("", "health.token_hash", "mx.example.org").refusal(AWAY)
        assert refusal is not None
        self.assertEqual(refusal.code, 403)
        self.assertIn(b"health.token_hash", refusal.body)

    def test_without_a_token_it_must_be_named_as_only_this_machine_is(self) -> None:
        guard = Guard("", "health.token_hash", "MX.example.org")
        for host in ("", "localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "::1", "mx.example.org.:9",
                     "10.0.0.7", "a.localhost"):  # fmt: skip
            found = self.code(guard, attrs.evolve(LOCAL, host=host))
            self.assertEqual(found, 421 if host == "::1" else 200, host)

    def test_other_names_that_lead_here_are_421(self) -> None:
        guard = Guard("", "health.token_hash", "mx.example.org")
        for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
                     "mx.example.org,evil.example", "127.0.0.1@evil.example", "evil.example/localhost",
                     "[::1].evil.example", "localhost:80:80", "\u0661.0.0.1"):  # fmt: skip
            self.assertEqual(self.code(guard, attrs.evolve(LOCAL, host=host)), 421, host)

    def test_another_token_counts_at_once_and_is_told(self) -> None:
        guard = Guard("", "health.token_hash", "")
        page = guard.over({b"/": lambda asked: text(200, "figures")})[b"/"]
        before = page(LOCAL)
        self.assertTrue(guard.use(HASH))
        self.assertFalse(guard.use(HASH))
        after = page(LOCAL)
        assert not isinstance(before, Deferred)
        assert not isinstance(after, Deferred)
        assert isinstance(before, Page)
        assert isinstance(after, Page)
        self.assertEqual((before.code, after.code), (200, 401))

"""
Modules in a real process: they refuse, keep, fail to load, and are replaced, as configured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.e2e.dialogue import Closed, Dialogue
from tests.e2e.harness import SENDER, EndToEndTestCase, message, smarthost
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, Settings, merged, toml

TOP: Final = Path(__file__).parents[2]
RULES: Final = "tests.e2e.house_rules"
ENVIRONMENT: Final = {"PYTHONPATH": f"{TOP}:{TOP / 'examples' / 'modules'}"}


def module(name: str, **settings: Any) -> dict[str, Any]:
    """
    Configure one of the modules of `house_rules`.
    """
    return {"factory": f"{RULES}:{name}", **settings}


class ModulesTestCase(EndToEndTestCase):
    """
    An instance with modules that hands everything to one peer.
    """

    def with_modules(self, *modules: dict[str, Any], settings: Settings | None = None) -> Empath:
        """
        Make one that is not started yet; its peer is `server`.
        """
        self.server = self.peer("127.0.0.11")
        base = merged(smarthost(self.server), settings or {})
        return self.empath({**base, "modules": list(modules)}, environment=ENVIRONMENT)

    def started(self, *modules: dict[str, Any], settings: Settings | None = None) -> Empath:
        """
        Make and start one.
        """
        empath = self.with_modules(*modules, settings=settings)
        empath.start()
        return empath

    def heard(
        self, empath: Empath, *, sender: str = SENDER, recipient: str = "you@one.test", subject: str = "x"
    ) -> str:
        """
        Try to send a message; gives the reply that ended it.
        """
        return str(self.attempt(empath, [recipient], message(subject), sender))

    def metric(self, empath: Empath, name: str, *labels: str) -> float:
        """
        Read one value of the metrics page.
        """
        for line in empath.get("/metrics", metrics=True)[1].splitlines():
            if line.startswith(name + "{") and all(label in line for label in labels):
                return float(line.split()[-1])
        return 0.0


class VerdictTests(ModulesTestCase):
    """
    What clients hear.
    """

    def test_it_refuses_as_configured_at_each_step(self) -> None:
        empath = self.started(module("Obedient", options={"note": "house rule"}))
        self.assertEqual(self.heard(empath, sender="refuse@a.test"), "550 5.7.1 refused: house rule")
        self.assertEqual(self.heard(empath, recipient="refuse@one.test"), "550 5.7.1 refused: house rule")
        self.assertEqual(self.heard(empath, recipient="tempfail@one.test"), "451 4.7.1 not now: house rule")
        self.assertEqual(self.heard(empath, subject="refuse"), "550 5.7.1 refused: house rule")
        self.assertEqual(self.heard(empath, subject="tempfail"), "451 4.7.1 not now: house rule")
        self.assertTrue(self.heard(empath).startswith("250 "))
        with Dialogue(empath.port) as client:
            self.assertEqual(str(client.greet("refuse.test")), "550 5.7.1 refused: house rule")
            self.assertEqual(client.say("EHLO client.test").code, 250, "a refusal ends no session")
        self.wait_arrived(self.server, "you@one.test")
        self.assertEqual(len(self.server.stored), 1)
        self.assertTrue(empath.wait_logged("reject: RCPT", "550 5.7.1 refused: house rule"))
        self.assertEqual(empath.stop(), 0)

    def test_a_disconnection_is_said_and_done(self) -> None:
        empath = self.started(module("Obedient"))
        for words in ({"sender": "disconnect@a.test"}, {"recipient": "disconnect@one.test"}, {"subject": "disconnect"}):
            self.assertEqual(self.heard(empath, **words), "421 4.7.0 go away: obedient")
        with Dialogue(empath.port) as client:
            self.assertEqual(client.greet("disconnect.test").code, 421)
            self.assertTrue(client.at_end())

    def test_a_refused_connection_hears_it_instead_of_the_greeting(self) -> None:
        empath = self.with_modules(module("Obedient", options={"greet": "refuse"}))
        program = empath.launch()
        program.wait_for(lambda: b"550" in banner(empath))
        with Dialogue(empath.port) as client:
            self.assertEqual(str(client.reply()), "550 5.7.1 refused: obedient")
            self.assertTrue(client.at_end())

    def test_a_discarded_message_is_gone_though_its_client_hears_250(self) -> None:
        empath = self.started(module("Obedient"))
        self.assertTrue(self.heard(empath, subject="discard").startswith("250 2.0.0 Ok: queued as "))
        self.assertTrue(self.heard(empath, subject="kept").startswith("250 "))
        self.wait_arrived(self.server, "you@one.test")
        [stored] = self.server.stored
        self.assertIn(b"Subject: kept", stored.content or b"")
        self.assertTrue(empath.wait_logged("discard", "obedient"))

    def test_in_shadow_mode_it_says_what_it_would_have_done(self) -> None:
        empath = self.started(module("Obedient", mode="shadow"))
        for words in ({"sender": "refuse@a.test"}, {"recipient": "disconnect@one.test"}, {"subject": "discard"}):
            self.assertTrue(self.heard(empath, **words).startswith("250 "), words)
        wait_until("all arrived", lambda: len(self.server.stored) == 3)
        self.assertTrue(empath.wait_logged("obedient would have decided refuse", "550 5.7.1 refused: obedient"))
        self.assertGreater(
            self.metric(empath, "empath_module_duration_seconds_count", 'module="obedient"', 'hook="rcpt_to"'), 0
        )


def banner(empath: Empath) -> bytes:
    """
    Read what a client hears first, b"" if nobody listens.
    """
    try:
        with Dialogue(empath.port) as client:
            return str(client.reply()).encode()
    except (OSError, Closed):
        return b""


class MetadataTests(ModulesTestCase):
    """
    What a module notes at MAIL is with the message at its delivery.
    """

    def test_it_is_read_after_kill_9_and_a_restart(self) -> None:
        empath = self.with_modules({"factory": "correlation:CorrelationId"})
        self.server.stop()
        empath.start()
        queue_id = self.send(empath, ["you@one.test"])
        empath.wait_logged(queue_id, "status=deferred")
        empath.kill()
        self.server.start()
        empath.start()
        stored = self.wait_arrived(self.server, "you@one.test")
        field = field_of(stored.content or b"", b"X-Correlation-ID")
        self.assertRegex(field, "^[0-9a-f]{24}$")
        self.assertTrue(empath.wait_logged(queue_id, f"{field} delivered to you@one.test"))
        self.assertEqual(empath.stop(), 0)


def field_of(content: bytes, name: bytes) -> str:
    """
    Give the value of the only header field of that name.
    """
    header = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    [value] = [line.partition(b": ")[2] for line in header if line.lower().startswith(name.lower() + b":")]
    return value.decode()


class FaultyTests(ModulesTestCase):
    """
    Modules with which empath does not start.
    """

    def refused(self, module: dict[str, Any]) -> str:
        """
        Try to start; gives the lines that say why not.
        """
        empath = self.empath({"modules": [module]}, name=str(free_port()), environment=ENVIRONMENT)
        self.assertEqual(empath.launch().wait(), 1)
        return empath.log()

    def test_the_line_names_module_hook_and_reason(self) -> None:
        for name, words in (
            ("WrongSignature", ("wrong-signature", "rcpt_to")),
            ("WrongOption", ("WrongOption", "colour: 'red' is not a colour of mail")),
            ("NoStart", ("cannot start", "no-start", "the database is not there")),
            ("NoModule", ("NoModule", "IModule")),
            ("Nowhere", ("Nowhere",)),
        ):
            told = self.refused(module(name))
            lines = [line for line in told.splitlines() if all(word in line for word in words)]
            self.assertEqual(len(lines), 1, f"{name}: {told}")

    def test_a_name_that_nothing_has_is_said(self) -> None:
        for factory in ("no_such_file:Module", "nosuchmodule", "tests.e2e.house_rules:"):
            self.assertIn(factory, self.refused({"factory": factory}))

    def test_an_unknown_option_is_said(self) -> None:
        told = self.refused(module("Obedient", options={"colour": "red"}))
        self.assertIn("colour", told)
        self.assertIn("Obedient", told)


class ReloadTests(ModulesTestCase):
    """
    SIGHUP reads [[modules]] again.
    """

    def reload(self, empath: Empath, *modules: dict[str, Any]) -> None:
        """
        Change the file and send SIGHUP.
        """
        empath.change({"modules": list(modules)})
        empath.file.write_text(toml(empath.configuration()))
        empath.hang_up()

    def test_a_reload_swaps_a_module(self) -> None:
        empath = self.started(module("Obedient", options={"note": "old"}))
        self.assertEqual(self.heard(empath, recipient="refuse@one.test"), "550 5.7.1 refused: old")
        self.reload(empath, module("Obedient", options={"note": "new"}))
        wait_until("the new one decides", lambda: "new" in self.heard(empath, recipient="refuse@one.test"))
        self.reload(empath)
        wait_until("none decides", lambda: self.heard(empath, recipient="refuse@one.test").startswith("250 "))
        self.assertEqual(empath.stop(), 0)

    def test_a_reload_that_cannot_be_done_changes_nothing(self) -> None:
        empath = self.started(module("Obedient", options={"note": "old"}))
        self.reload(empath, module("WrongOption"))
        self.assertTrue(empath.wait_logged("colour: 'red' is not a colour of mail"))
        self.assertEqual(self.heard(empath, recipient="refuse@one.test"), "550 5.7.1 refused: old")
        self.assertEqual(empath.stop(), 0)

"""
Requirements on reception, relay control, logins and limits that change while the service runs.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import attrs
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.config.again import Outcome
from empath.config.load import Loaded, parse_config
from empath.config.schema import Auth, Config, Health, Listener, Log, Metrics, Module, Relay
from empath.config.units import EndpointText, File, Size
from empath.errors import ConfigError
from empath.service.configuration import LOOK_INTERVAL, Configuration, Origin, held_by
from empath.testing import Mta
from tests.config.fakes import machine

CONFIG = 'relay = { networks = ["192.0.2.0/24"] }'
CONTENT = b"Subject: hello\r\n\r\nworld\r\n"


class ReceptionTests(SynchronousTestCase):
    """
    An MTA in memory.
    """

    def setUp(self) -> None:
        self.mta = Mta(config=CONFIG)
        self.addCleanup(self.mta.stop)
        self.mta.peer("example.net")

    @property
    def config(self) -> Config:
        return self.mta.service.config

    def change(self, **changes: object) -> Outcome:
        """
        Use other sections.
        """
        outcome = self.mta.service.reconfigure(attrs.evolve(self.config, **changes))  # type: ignore[arg-type]  # as the test says
        self.mta.settle()
        return outcome

    def send(self, recipient: str = "ann@example.net") -> str:
        """
        Send a message over a session of its own; gives the reply.
        """
        return str(self.mta.client().send("bob@example.com", [recipient], CONTENT))

    def test_who_may_relay(self) -> None:
        """
        Who is connected goes on as before; domains that are ours are, for modules and for return paths, too.
        """
        session = self.mta.client()
        self.assertEqual(session.send("bob@example.com", ["ann@example.net"], CONTENT)[:3], "250")
        relay = Relay(networks=(), domains=("ours.example",), recipients="any")
        self.assertEqual(self.change(relay=relay), Outcome(("relay.networks", "relay.domains"), {}))
        self.assertEqual(self.send()[:9], "550 5.7.1")
        self.assertEqual(self.send("ann@ours.example")[:3], "250")
        self.assertEqual(session.send("bob@example.com", ["ann@example.net"], CONTENT)[:3], "250")
        self.assertEqual(self.mta.service.modules._around.domains, {"ours.example"})
        self.assertEqual(self.mta.service.outgoing.returning.suppression.ours, {"ours.example"})

    def test_limits_of_sessions(self) -> None:
        """
        And of transactions.
        """
        self.change(smtp=attrs.evolve(self.config.smtp, banner="{hostname} new", max_message_size=Size(10)))
        self.assertEqual(self.send()[:9], "552 5.3.4")

    def test_logins(self) -> None:
        """
        Come with their file; what cannot be used refuses all.
        """
        users = Path(os.path.abspath(self.mktemp()))
        users.write_text("not a line of users\n")
        with self.assertRaises(ConfigError) as caught:
            self.change(auth=Auth(users=File(str(users))), relay=Relay(networks=()))
        self.assertIn("auth.users", caught.exception.problems[0])
        self.assertEqual(self.send()[:3], "250")
        users.write_text("")
        self.change(auth=Auth(users=File(str(users)), max_failures=1))
        self.assertIsNotNone(self.mta.service.reception.around.authenticator)
        known = self.mta.service.reception.around.authenticator
        self.change(auth=Auth(users=File(str(users)), max_failures=2))
        self.assertIs(self.mta.service.reception.around.authenticator, known)
        self.change(auth=Auth())
        self.assertIsNone(self.mta.service.reception.around.authenticator)

    def test_what_was_bound_is_given_back_if_something_else_is_wrong(self) -> None:
        """
        A module, for one, which is looked at last.
        """
        before = self.config
        bound = set(self.mta.world.places)
        listeners = (*before.smtp.listeners, Listener(endpoint=EndpointText("tcp:2599")))
        smtp = attrs.evolve(before.smtp, listeners=listeners, max_message_size=Size(1))
        domains = self.mta.service.modules._around.domains
        with self.assertRaises(ConfigError):
            self.change(smtp=smtp, modules=(Module("nope"),), relay=Relay(domains=("ours.example",)))
        self.mta.settle()
        self.assertEqual(set(self.mta.world.places), bound)
        self.assertEqual((self.config, self.mta.service.modules._around.domains), (before, domains))
        self.assertEqual(self.send()[:3], "250")
        self.change(smtp=attrs.evolve(before.smtp, listeners=listeners))
        self.assertEqual(len(set(self.mta.world.places) - bound), 1)
        self.assertTrue(self.mta.service.accepts_mail)

    def test_nothing_is_used_once_it_stops(self) -> None:
        """
        What is closed would be opened again, and stay open.
        """
        places = set(self.mta.world.places)
        self.mta.stop()
        smtp = attrs.evolve(self.config.smtp, listeners=(Listener(endpoint=EndpointText("tcp:2599")),))
        self.assertRaises(ConfigError, self.change, smtp=smtp)
        self.assertRaises(ConfigError, self.mta.service.reload)
        self.assertFalse(set(self.mta.world.places) - places)

    def test_what_is_only_numbers_and_words(self) -> None:
        """
        Room, readiness, labels, the log.
        """
        outcome = self.change(
            log=Log(level="error"),
            health=attrs.evolve(self.config.health, max_queue_size=7),
            metrics=attrs.evolve(self.config.metrics, max_domain_cardinality=3),
        )
        self.assertEqual(outcome.changed, ("log.level", "metrics.max_domain_cardinality", "health.max_queue_size"))
        self.assertEqual(self.mta.service.verbosity.level, "error")
        self.assertEqual(self.mta.service.readiness._section.max_queue_size, 7)

    def test_pages_move(self) -> None:
        """
        One that cannot be had refuses all.
        """
        place = EndpointText("tcp:9191:interface=127.0.0.1")
        self.change(health=Health(endpoint=place))
        self.assertIn(("127.0.0.1", 9191), self.mta.world.places)
        self.assertRaises(ConfigError, self.change, metrics=Metrics(endpoint=place), health=Health(enabled=False))
        self.assertIn(("127.0.0.1", 9191), self.mta.world.places)
        self.change(health=Health(enabled=False))
        self.assertNotIn(("127.0.0.1", 9191), self.mta.world.places)
        self.change(metrics=Metrics(endpoint=place))
        self.assertIn(("127.0.0.1", 9191), self.mta.world.places)


class WatchTests(SynchronousTestCase):
    """
    `watch_config`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.file = Path(os.path.abspath(self.mktemp()))
        self.file.write_text("1")
        self.used: list[Config] = []
        self.trouble: ConfigError | None = None
        self.found: Path | None = self.file
        origin = Origin(self.file, self.reread, machine())
        self.configuration = Configuration(origin, self.use, self.clock, lambda call: succeed(call()))
        self.configuration.watch(True)
        self.addCleanup(self.configuration.stop)

    def reread(self) -> Loaded:
        if self.trouble is not None:
            raise self.trouble
        return Loaded(Config(self.file.read_text()), self.found)

    def use(self, config: Config) -> Outcome:
        self.used.append(config)
        return Outcome((), {})

    def look(self, times: int = 3) -> list[str]:
        """
        Let it look; tells the hostnames that were used since the last time.
        """
        self.clock.pump([LOOK_INTERVAL] * times)
        used, self.used = self.used, []
        return [config.hostname for config in used]

    def test_reads_a_file_that_changed_once(self) -> None:
        """
        Not before it has stayed the same between two looks.
        """
        self.assertEqual(self.look(), [])
        self.file.write_text("22")
        self.assertEqual(self.look(1), [])
        self.file.write_text("333")
        self.assertEqual(self.look(1), [])
        self.assertEqual(self.look(5), ["333"])

    def test_reads_the_one_that_took_its_place(self) -> None:
        """
        Though there was none for a while.
        """
        self.file.unlink()
        self.assertEqual(self.look(), [])
        aside = self.file.with_suffix(".new")
        aside.write_text("2")
        aside.rename(self.file)
        self.assertEqual(self.look(), ["2"])

    def test_tells_of_a_broken_one_once(self) -> None:
        """
        And reads it again when it is mended.
        """
        self.trouble = ConfigError(["wrong"])
        self.file.write_text("broken")
        with capturedLogs() as events:
            self.assertEqual(self.look(5), [])
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error] * 2)
        self.trouble = None
        self.file.write_text("mended")
        self.assertEqual(self.look(), ["mended"])

    def test_permissions_that_are_mended(self) -> None:
        """
        Are a change: what could not be read may be readable now.
        """
        self.file.chmod(0o600)
        self.assertEqual(self.look(5), ["1"])

    def test_another_file_does_not_take_its_place(self) -> None:
        """
        Least of all the development defaults, which would keep all mail on this machine.
        """
        for found in (None, self.file.with_name("other.toml")):
            with self.assertRaises(ConfigError) as caught:
                self.found = found
                self.configuration.reload()
            self.assertIn(f"{self.file}: ", caught.exception.problems[0])
        self.assertEqual(self.used, [])

    def test_what_was_read_otherwise_is_known(self) -> None:
        """
        By a signal, or an operator.
        """
        self.file.write_text("two")
        self.assertEqual(self.configuration.reload().path, str(self.file))
        self.assertEqual(self.look(), ["two"])
        self.configuration.watch(False)
        self.file.write_text("three")
        self.assertEqual(self.look(), [])
        self.configuration.watch(True)
        self.assertEqual(self.look(), ["three"])

    def test_without_a_file_there_is_nothing_to_read(self) -> None:
        """
        Which is told.
        """
        self.assertRaises(ConfigError, Configuration(None, self.use, self.clock, succeed).reload)


class HeldTests(SynchronousTestCase):
    """
    Files of listeners that only root may read, after the user was changed.
    """

    def test_need_not_be_readable_any_more(self) -> None:
        """
        As they were read when the ports were bound; any other file that cannot be read is a fault.
        """
        folder = Path(os.path.abspath(self.mktemp()))
        folder.mkdir()
        for name in ("a.crt", "a.key"):
            (folder / name).write_text("")
        tls = 'tls = "starttls"\ncertificate = "a.crt"\nprivate_key = "a.key"'
        text, around = f"[[smtp.listeners]]\n{tls}\n", machine(str(folder))
        held = held_by(parse_config(text, "empath.toml", around))
        self.assertEqual(held, {str(folder / "a.crt"), str(folder / "a.key")})

        def denied(*_: object) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

        self.patch(os, "open", denied)
        self.assertRaises(ConfigError, parse_config, text, "empath.toml", around)
        later = attrs.evolve(around, held=held)
        self.assertEqual(held_by(parse_config(text, "empath.toml", later)), held)
        other = text.replace("a.key", "b.key")
        self.assertRaises(ConfigError, parse_config, other, "empath.toml", later)

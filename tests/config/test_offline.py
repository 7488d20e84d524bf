"""
Requirements on what is told of a configuration: checked, written down, compared, and what waits for a restart.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.config.convert import key_paths
from empath.config.hot import RESTART, usable, waiting
from empath.config.offline import check, check_text, compare, here
from empath.config.schema import Config
from empath.config.units import Options
from empath.config.written import MASK, plain, plain_value, toml_text
from empath.errors import ConfigError
from tests.config.fakes import machine, read

SECRETS = """
[delivery.srs]
domain = "srs.example.org"
secret = "the first of the secrets"
previous = ["another of the secrets"]
[delivery.domains."hook.example"]
strategy = "webhook"
url = "https://hooks.example.org/mail"
headers = { Authorization = "Bearer secret" }
[[modules]]
factory = "a.b:C"
options = { api_key = "secret", list = [{ password = "secret" }], when = 2026-11-22, reply = "451 4.7.1 no" }
[[control.tokens]]
name = "ops"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
"""
SAMPLE = """
hostname = "mx.example.org"
[smtp]
max_connection_rate_per_client = "30/min"
greeting_delay = 0.5
max_message_size = "10MB"
[[smtp.listeners]]
endpoint = "tcp:2525"
context = { service = "a\\"b" }
timeouts = { command = "90s" }
[[delivery.pools]]
name = "bulk"
[delivery.rate_limits]
global = "5000/h"
[delivery.domains."*.example.org"]
rate_limit = "7/s"
mx_override = "localhost:2525"
"""
DKIM_FIELDS = ("headers = [", "oversign = [")  # names that come out in lower case


class WrittenTests(SynchronousTestCase):
    """
    A configuration as TOML.
    """

    def test_what_is_written_is_read_as_the_same(self) -> None:
        """
        As long as nothing in it is secret.
        """
        for text in ("", SAMPLE):
            config = read(text)
            lines = toml_text(plain(config)).splitlines()
            written = "\n".join(
                line for line in lines if line not in ('path = ""', 'url = ""') and not line.startswith(DKIM_FIELDS)
            )
            self.assertEqual(read(written), config)

    def test_units_are_those_of_operators(self) -> None:
        """
        The largest that leaves nothing over.
        """
        found = plain(read(SAMPLE))
        self.assertEqual(found["smtp"]["max_connection_rate_per_client"], "30/min")
        self.assertEqual(found["smtp"]["greeting_delay"], 0.5)
        self.assertEqual((found["smtp"]["max_message_size"], found["spool"]["min_free"]), (10_000_000, "64MiB"))
        self.assertEqual(found["smtp"]["listeners"][0]["timeouts"], {"command": "90s"})
        self.assertEqual((found["delivery"]["keep_failed"], found["delivery"]["keep_completed"]), ("3d", 0))
        self.assertEqual(found["delivery"]["rate_limits"]["global"], "5000/h")

    def test_secrets_are_never_shown(self) -> None:
        """
        Nor what may be one in a table that only its reader knows.
        """
        config = read(SECRETS)
        text = toml_text(plain(config))
        self.assertNotIn("secrets", text)
        self.assertNotIn('"secret"', text)
        self.assertNotIn("Bearer", text)
        self.assertNotIn("0123456789abcdef", text)
        self.assertEqual(text.count(MASK), 6)
        self.assertIn('reply = "451 4.7.1 no"', text)
        for each in compare(read(""), config):
            self.assertNotIn("Bearer", each.new)


class CompareTests(SynchronousTestCase):
    """
    Two configurations.
    """

    def told(self, before: str, after: str) -> list[tuple[str, str, str, bool]]:
        found = compare(read(before), read(after))
        return [(each.key, each.old, each.new, bool(each.restart)) for each in found]

    def test_keys_with_both_values(self) -> None:
        """
        What is used at once, and what waits for a restart.
        """
        after = 'hostname = "b.example"\n[log]\nlevel = "debug"\n[delivery.domains."a.b"]\ntls_policy = "required"\n'
        found = self.told("", after)
        expected = [
            ("hostname", '"mx.example.org"', '"b.example"', True),
            ("log.level", '"info"', '"debug"', False),
            ("delivery.dsn.reporting_mta", '"mx.example.org"', '"b.example"', True),
            ("delivery.dsn.postmaster", '"postmaster@mx.example.org"', '"postmaster@b.example"', True),
        ]
        self.assertEqual(found[:4], expected)
        [domain] = found[4:]
        self.assertEqual((domain[0], domain[1], domain[3]), ('delivery.domains."a.b"', "", False))
        self.assertEqual(self.told(after, after), [])

    def test_a_key_that_came_or_went(self) -> None:
        """
        Is nothing on one side.
        """
        inside = '[delivery.domains."a.b"]\nrate_limit = "5/s"'
        key = 'delivery.domains."a.b".rate_limit'
        self.assertEqual(self.told('[delivery.domains."a.b"]', inside), [(key, "", '"5/s"', False)])
        self.assertEqual(
            self.told("[delivery.rate_limits]\nglobal = 0", '[delivery.rate_limits]\nglobal = "1/s"')[0][1:3],
            ("0", '"1/s"'),
        )

    def test_a_secret_that_is_another_one(self) -> None:
        """
        Is told, and not what it is.
        """
        [found] = self.told(SECRETS, SECRETS.replace("Bearer secret", "Bearer other"))
        self.assertEqual(
            found, ('delivery.domains."hook.example".headers.authorization', f'"{MASK}"', f'"{MASK}"', False)
        )


class HotTests(SynchronousTestCase):
    """
    What waits for a restart.
    """

    def test_what_waits_is_keys_of_the_file(self) -> None:
        """
        Each with a reason.
        """
        self.assertLessEqual(set(RESTART), set(key_paths(Config)))
        self.assertTrue(all(RESTART.values()))

    def test_all_else_can_be_used(self) -> None:
        """
        As it is wanted, beside what was there before.
        """
        now, wanted = read(""), read('hostname = "b.example"\n[spool]\nmin_free = 1\npath = "/p"\n[smtp]\nmax_hops = 3')
        self.assertEqual(
            list(waiting(now, wanted)),
            ["hostname", "spool.path", "delivery.dsn.reporting_mta", "delivery.dsn.postmaster"],
        )
        found = usable(now, wanted)
        self.assertEqual((found.hostname, found.spool.path), (now.hostname, now.spool.path))
        self.assertEqual((found.spool.min_free, found.smtp.max_hops), (1, 3))
        self.assertEqual(usable(now, now), now)
        named = attrs.evolve(now.delivery, dsn=attrs.evolve(now.delivery.dsn, postmaster="p@example.org"))
        self.assertEqual(usable(now, attrs.evolve(now, delivery=named)).delivery, named)


class CheckTests(SynchronousTestCase):
    """
    A file, on this machine.
    """

    def test_checked_without_a_service(self) -> None:
        """
        Endpoints, too.
        """
        folder = Path(os.path.abspath(self.mktemp()))
        folder.mkdir()
        file = folder / "empath.toml"
        file.write_text('hostname = "a.example"\n[[smtp.listeners]]\nendpoint = "tcp:2525"\n[spool]\npath = "s"')
        self.assertEqual(check(str(file), here()).config.hostname, "a.example")
        text = file.read_text()
        self.assertEqual(check_text(text, file, machine()).spool.path, str(folder / "s"))
        file.write_text('hostname = "a.example"\n[[smtp.listeners]]\nendpoint = "nope:2525"')
        with self.assertRaises(ConfigError) as caught:
            check(str(file), here())
        self.assertIn("smtp.listeners[0].endpoint", caught.exception.problems[0])


class UrlTests(SynchronousTestCase):
    """
    URLs in what is shown.
    """

    def test_their_secrets_are_masked(self) -> None:
        """
        A login and a query; the rest tells which one it is.
        """
        for url, shown in (
            ("https://hook.example/a?token=abc", f"https://hook.example/a?{MASK}"),
            ("postgres://ann:pw@db.example/x", f"postgres://{MASK}@db.example/x"),
            ("https://hook.example/a", "https://hook.example/a"),
        ):
            self.assertEqual(plain_value(url, str), shown)
            self.assertEqual(plain_value(Options({"place": [url]}), Options), {"place": [shown]})

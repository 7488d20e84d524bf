"""
Requirements on the configuration as a whole: where it is found, what it says, what is refused.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from empath.config.convert import key_paths
from empath.config.load import development_config, find_and_load, load_config
from empath.config.schema import Config
from empath.errors import ConfigError
from tests.config.documented import blocks, documented
from tests.config.fakes import machine, problems, read

EVERYTHING_WRONG = """
hostnam = "x"
workers = 2
[smtp]
max_attempts = 3
[[smtp.listeners]]
endpoint = "nope:1"
kind = "gateway"
auth = "yes"
[relay]
domains = ["example.org"]
[delivery]
base_retry_delay = "2d"
"""


class ReadingTests(SynchronousTestCase):
    """
    From text to values.
    """

    def test_an_empty_file_gives_the_contracts_defaults(self) -> None:
        """
        What is not written has its default; names default from the hostname.
        """
        config = read("")
        self.assertEqual(config.hostname, "mx.example.org")
        self.assertEqual((config.smtp, config.relay), (Config("x").smtp, Config("x").relay))
        self.assertEqual(config.delivery.dsn.reporting_mta, "mx.example.org")
        self.assertEqual(config.delivery.dsn.postmaster, "postmaster@mx.example.org")

    def test_equal_files_give_equal_configurations(self) -> None:
        """
        Sections can be compared, so that a reload can tell what changed.
        """
        text = '[delivery.domains."*"]\nmx_override = "smtp.example.org"\n[[smtp.listeners]]\ncontext = { a = "b" }'
        self.assertEqual(read(text), read(text))
        self.assertNotEqual(read(text).delivery, read("").delivery)
        self.assertEqual(read(text).spool, read("").spool)

    def test_every_error_is_told_at_once(self) -> None:
        """
        One line each, with the key's path, what was found and what is allowed, or the nearest known key.
        """
        self.assertEqual(
            problems(EVERYTHING_WRONG),
            [
                "hostnam: unknown key; did you mean hostname?",
                "workers: unknown key; allowed: hostname, control_socket, watch_config, log, smtp, relay, auth, "
                "modules, spool, delivery, metrics, tracing, health, control, audit",
                "smtp.max_attempts: unknown key; did you mean delivery.max_attempts?",
                'smtp.listeners[0].endpoint: found "nope:1"; allowed: a Twisted server endpoint, such as "tcp:25" or '
                "\"tcp:1025:interface=127.0.0.1\" (Unknown endpoint type: 'nope')",
                'smtp.listeners[0].kind: found "gateway"; allowed: "mta" | "submission" | "lmtp"',
                'smtp.listeners[0].auth: found "yes"; allowed: false | true | "required"',
                "delivery.base_retry_delay: found 172800 s; allowed: at most max_retry_delay, which is 86400 s",
            ],
        )

    def test_what_only_follows_from_another_error_is_not_told(self) -> None:
        """
        A password that cannot be read is one error, not also a missing one.
        """
        text = '[delivery.domains."*"]\nmx_override = "h"\nusername = "u"\npassword = { env = "NO" }'
        self.assertEqual(len(problems(text)), 1)
        self.assertEqual(len(problems('[delivery.domains."*"]\nstrategy = "lmpt"\npath = "/x"')), 1)

    def test_text_that_is_no_toml_tells_the_line(self) -> None:
        """
        A slip of the pen is found by its line.
        """
        self.assertEqual(len(problems("a = 1\nb == 2")), 1)
        self.assertIn("line 2", problems("a = 1\nb == 2")[0])

    def test_text_beyond_what_python_reads_is_refused(self) -> None:
        """
        Numbers of thousands of digits and thousands of brackets end with one line, not with a traceback.
        """
        for text in (f"hostname = {'9' * 5000}", f"a = {'[' * 5000}", f"a = {'{a=' * 5000}"):
            self.assertEqual(problems(text), ["not TOML that can be read: a number too long, or nested too deep"])

    def test_an_unusable_machine_name_is_refused(self) -> None:
        """
        A hostname that no peer would believe has to be given in the file.
        """
        self.assertEqual(len(problems("", machine(hostname="my_laptop"))), 1)
        self.assertEqual(problems('hostname = "mx.example.org"', machine(hostname="my_laptop")), [])


class ConsistencyTests(SynchronousTestCase):
    """
    Keys that need or contradict one another.
    """

    def domain(self, text: str, delivery: str = "") -> list[str]:
        """
        Tell the paths, within one domain's table, of what is wrong with it.
        """
        lines = problems(f'{delivery}\n[delivery.domains."*"]\n{text}')
        return [line.partition(":")[0].rpartition(".")[2] for line in lines]

    def test_recipients_of_our_domains_are_known_somehow(self) -> None:
        """
        By asking their next hop, unless there is a file that can be read, or "any".
        """
        path = os.path.abspath(self.mktemp())
        Path(path).write_text("ann@example.org\n")
        ours = '[relay]\ndomains = ["example.org"]\n'
        self.assertEqual(read(f'{ours}recipients = "{path}"').relay.recipients, path)
        self.assertEqual(read(f'{ours}recipients = "any"').relay.recipients, "any")
        self.assertEqual((read(ours).relay.recipients, read(f'{ours}recipients = "verify"')), ("verify", read(ours)))
        for wrong in ("", "/nonexistent/x", "/", "a\\u0000b"):
            self.assertEqual(len(problems(f'{ours}recipients = "{wrong}"')), 1, wrong)
        self.assertEqual(problems("[relay]\ndomains = []"), [])

    def test_maildirs_have_a_path_and_no_host(self) -> None:
        """
        And a path belongs to a maildir only.
        """
        self.assertEqual(self.domain('strategy = "maildir"'), ["path"])
        self.assertEqual(self.domain('strategy = "maildir"\npath = "/m"'), [])
        self.assertEqual(self.domain('strategy = "maildir"\npath = "/m"\nmx_override = "h"'), ["mx_override"])
        self.assertEqual(self.domain('strategy = "maildir"\npath = "/m"\nusername = "u"\npassword = "p"'), ["username"])
        for key, value in (("tls_policy", '"verified"'), ("max_messages", "5"), ("accept_invalid_certs", "false")):
            self.assertEqual(self.domain(f'strategy = "maildir"\npath = "/m"\n{key} = {value}'), [key])
        self.assertEqual(self.domain('strategy = "maildir"\npath = "/m"\nrate_limit = "5/s"\nmax_connections = 2'), [])
        self.assertEqual(self.domain('path = "/m"'), ["path"])

    def test_a_login_is_whole_and_goes_to_a_smarthost(self) -> None:
        """
        Username and password come together, for a host that the operator named.
        """
        self.assertEqual(self.domain('username = "u"\nmx_override = "h"'), ["password"])
        self.assertEqual(self.domain('password = "p"\nmx_override = "h"'), ["username"])
        self.assertEqual(self.domain('username = "u"\npassword = "p"'), ["mx_override"])

    def test_a_password_is_never_sent_in_the_clear(self) -> None:
        """
        Without another policy, that of a domain with a login is at least `required`; a weaker one is refused.
        """
        login = 'username = "u"\npassword = "p"\nmx_override = "h"\n'
        config = read(f'[delivery.domains."*"]\n{login}')
        self.assertEqual(config.delivery.domains["*"].tls_policy, "required")
        verified = read(f'[delivery.tls]\ndefault_policy = "verified"\n[delivery.domains."*"]\n{login}')
        self.assertEqual(verified.delivery.domains["*"].tls_policy, None)
        self.assertEqual(self.domain(login + 'tls_policy = "disabled"'), ["tls_policy"])
        self.assertEqual(self.domain(login + 'tls_policy = "opportunistic"'), ["tls_policy"])
        self.assertEqual(self.domain(login, '[delivery.tls]\ndefault_policy = "disabled"'), ["tls_policy"])
        self.assertEqual(self.domain(login + 'tls_policy = "verified"'), [])

    def test_required_tls_is_not_contradicted(self) -> None:
        """
        `require_tls` is `tls_policy = "required"`; implicit TLS cannot be disabled.
        """
        config = read('[delivery.domains."*"]\nrequire_tls = true')
        self.assertEqual(config.delivery.domains["*"].tls_policy, "required")
        self.assertEqual(self.domain('require_tls = true\ntls_policy = "opportunistic"'), ["tls_policy"])
        self.assertEqual(self.domain('tls = "implicit"\nmx_override = "h"\ntls_policy = "disabled"'), ["tls_policy"])

    def test_bounds_are_in_order(self) -> None:
        """
        A lower bound above its upper one, no address family, one twice, no listener.
        """
        self.assertEqual(len(problems('[delivery.dns]\nmin_cache_ttl = "2h"')), 1)
        self.assertEqual(len(problems("[delivery]\naddress_families = []")), 1)
        self.assertEqual(len(problems('[delivery]\naddress_families = ["ipv4", "ipv4"]')), 1)
        self.assertEqual(len(problems("[smtp]\nlisteners = []")), 1)


class FindingTests(SynchronousTestCase):
    """
    Which file is read.
    """

    def setUp(self) -> None:
        self.folder = Path(os.path.abspath(self.mktemp()))
        (self.folder / "sub").mkdir(parents=True)
        (self.folder / "sub" / "named.toml").write_text('hostname = "named.example.org"\n[spool]\npath = "queue"\n')

    def test_the_named_file_wins_then_the_environment_then_the_folder(self) -> None:
        """
        --config, $EMPATH_CONFIG, ./empath.toml, in this order.
        """
        around = machine(str(self.folder), EMPATH_CONFIG="from-env.toml")
        (self.folder / "from-env.toml").write_text('hostname = "env.example.org"')
        (self.folder / "empath.toml").write_text('hostname = "local.example.org"')
        self.assertEqual(find_and_load("sub/named.toml", around).config.hostname, "named.example.org")
        self.assertEqual(find_and_load(None, around).config.hostname, "env.example.org")
        self.assertEqual(find_and_load(None, machine(str(self.folder))).config.hostname, "local.example.org")

    def test_what_was_written_is_told_from_what_is_default(self) -> None:
        """
        By path, also where the value that was written is the default; without a file nothing was written.
        """
        text = 'hostname = "a.b"\n[audit]\npath = "/var/log/empath/audit.jsonl"\n[[smtp.listeners]]\nendpoint="tcp:1"'
        (self.folder / "some.toml").write_text(text)
        loaded = find_and_load("some.toml", machine(str(self.folder)))
        self.assertEqual(loaded.written, {"hostname", "audit", "audit.path", "smtp", "smtp.listeners"})
        self.assertEqual(find_and_load(None, machine(str(self.folder / "sub"))).written, frozenset())

    def test_relative_paths_are_resolved_against_the_files_folder(self) -> None:
        """
        Not against the folder in which the program happens to start.
        """
        config = find_and_load("sub/named.toml", machine(str(self.folder))).config
        self.assertEqual(config.spool.path, str(self.folder / "sub" / "queue"))

    def test_a_named_file_must_exist_and_be_readable_text(self) -> None:
        """
        A missing file, a folder, bytes that are no UTF-8: one line each.
        """
        (self.folder / "latin.toml").write_bytes(b'hostname = "\xe9"')
        for name in ("missing.toml", "sub", "latin.toml"):
            with self.assertRaises(ConfigError) as caught:
                find_and_load(name, machine(str(self.folder)))
            self.assertEqual(len(caught.exception.problems), 1)
        with self.assertRaises(ConfigError):
            find_and_load(None, machine(str(self.folder), EMPATH_CONFIG="missing.toml"))

    def test_without_a_file_nothing_leaves_the_machine(self) -> None:
        """
        The development defaults listen on loopback only and deliver everything into a maildir.
        """
        config = development_config(machine(str(self.folder)))
        self.assertEqual([listener.endpoint for listener in config.smtp.listeners], ["tcp:1025:interface=127.0.0.1"])
        self.assertEqual(config.health.endpoint, "tcp:8080:interface=127.0.0.1")
        self.assertEqual(config.metrics.endpoint, "tcp:9090:interface=127.0.0.1")
        self.assertEqual(config.spool.path, str(self.folder / ".empath" / "spool"))
        self.assertEqual(list(config.delivery.domains), ["*"])
        everything = config.delivery.domains["*"]
        self.assertEqual((everything.strategy, everything.path), ("maildir", str(self.folder / ".empath" / "mail")))
        self.assertEqual(development_config(machine(hostname="my_laptop")).hostname, "localhost")


class ExampleTests(SynchronousTestCase):
    """
    The examples and the documentation keep up with the schema.
    """

    ROOT = Path(__file__).parents[2]

    def test_every_example_can_be_used(self) -> None:
        """
        Each file in examples/ loads without a word of complaint, on a machine that has the files it names.
        """
        there = os.path.abspath(self.mktemp())
        Path(there).write_text("")
        names = {
            "relay.toml",
            "smarthost.toml",
            "development.toml",
            "submission.toml",
            "lmtp.toml",
            "haproxy.toml",
            "secured.toml",
            "sender.toml",
        }
        secrets = dict.fromkeys(("SRS_SECRET", "VERP_SECRET", "HOOK_SECRET"), "a secret of 16 or more")
        around = machine(SMARTHOST_PASSWORD="secret", **secrets)
        found = {path.name: path for path in (self.ROOT / "examples").glob("*.toml")}
        self.assertLessEqual(names, set(found))
        for path in found.values():
            text = re.sub(r'"/etc/[^"]+"', f'"{there}"', path.read_text())
            self.assertEqual(problems(text, around), [], path.name)

    def test_the_development_example_is_what_runs_without_a_file(self) -> None:
        """
        examples/development.toml spells the built-in defaults out.
        """
        path = self.ROOT / "examples" / "development.toml"
        self.assertEqual(load_config(path, machine()), development_config(machine(str(path.parent))))

    def test_every_key_is_documented_with_its_default(self) -> None:
        """
        docs/configuration.md has every key of the schema, and what it shows as TOML can be read.
        """
        keys = set(documented())
        plain = {path.replace("[]", "") for path in key_paths(Config)}
        self.assertEqual(sorted(plain - keys), [])
        self.assertEqual(sorted(keys - plain), [])
        for block in blocks():
            tomllib.loads(block)

"""
What docs/modules shows is so: each page's module is configured as the page says, and does what the page shows.
"""

from __future__ import annotations

import re
import sys
import unittest
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, cast

from twisted.trial.unittest import SynchronousTestCase

from empath.modules import Session
from empath.testing import Client, MockSmtpServer, Mta
from tests.auth.made import sha512
from tests.config.fakes import machine, read

DOCS: Final = Path(__file__).parents[2] / "docs" / "modules"
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FACTORY: Final = re.compile(r'^factory = "(\w+):\w+"', re.MULTILINE)
HOSTNAME: Final = "mx.example.org"
MONDAY: Final = 1_704_103_200.0  # 2024-01-01 10:00 UTC, for those that look at the calendar
LOGINS: Final = """
auth = { users = "logins" }
[[smtp.listeners]]
endpoint = "tcp:25"
auth = true
auth_cleartext = true
"""
CONTENT: Final = b"Subject: hello\r\n\r\nworld\r\n"


def blocks(page: Path, *kinds: str) -> list[tuple[str, str]]:
    """
    Give the code blocks of these kinds, in their order.
    """
    return [(found[1], found[2]) for found in BLOCK.finditer(page.read_text()) if found[1] in kinds]


def whole(source: str) -> bool:
    """
    Tell a whole file from a part of one: it begins with what it imports, or with a docstring.
    """
    return source.startswith(('"""', "from ", "import ")) and "class " in source


def pattern(line: str) -> str:
    """
    Make a pattern of a line of a page, in which "…" stands for anything.
    """
    return ".*".join(re.escape(part) for part in line.split("…"))


class HookPagesTests(SynchronousTestCase):
    """
    One page a hook, each with an example.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        (self.folder / "users").write_text("you@example.org\n")
        (self.folder / "logins").write_text(f"alice:{sha512('secret')}\n")

    def page(self, name: str, more: str = "") -> Mta:
        """
        Carry out what a page shows, with `more` configuration.
        """
        page = DOCS / "hooks" / f"{name}.md"
        [(_, source)] = blocks(page, "python")
        [(_, config)] = blocks(page, "toml")
        found = FACTORY.search(config)
        assert found is not None, "the page configures no module"
        read(config, machine(str(self.folder)))
        self.importable(found[1], source)
        return self.run_page(more + config, blocks(page, "text"))

    def importable(self, name: str, source: str) -> None:
        """
        Put a page's module where the configuration finds it.
        """
        (self.folder / f"{name}.py").write_text(source)
        sys.path.insert(0, str(self.folder))
        self.addCleanup(sys.path.remove, str(self.folder))
        self.addCleanup(sys.modules.pop, name, None)

    def run_page(self, config: str, shown: list[tuple[str, str]]) -> Mta:
        """
        Start with the page's configuration, and hold what happens against what is shown: dialogues and log lines.
        """
        relay = (
            "" if re.search(r"^(\[relay\]|relay =)", config, re.MULTILINE) else '[relay]\nnetworks = ["192.0.2.0/24"]\n'
        )
        mta = Mta(config=config + relay, hostname=HOSTNAME, begins=MONDAY, folder=self.folder)
        self.addCleanup(mta.stop)
        mta.peer("example.com")
        for _, text in shown:
            if text.startswith(("C:", "S:")):
                self.dialogue(mta.client("192.0.2.9"), text.splitlines())
                mta.advance(1)
            else:
                for line in text.splitlines():
                    found = [each for each in mta.logs if re.search(pattern(line), each)]
                    self.assertEqual(len(found), 1, f"{line}\n{mta.story()}")
        self.assertEqual(mta.faults, [], mta.story())
        return mta

    def dialogue(self, client: Client, lines: list[str]) -> None:
        """
        Say and hear what is shown; one that does not begin with a greeting goes on behind EHLO.
        """
        if lines[0].startswith("C:"):
            client.ehlo()
        else:
            client.connect_silently()
        for line in lines:
            who, _, text = line.partition(":")
            if who == "C":
                client.write(text.removeprefix(" ").encode() + b"\r\n")
            else:
                heard = client.reply().split("\n")[0].replace("250-", "250 ")
                self.assertRegex(heard, f"^{pattern(text.strip())}$")
        client.close()

    def test_connect(self) -> None:
        self.page("connect")

    def test_ehlo(self) -> None:
        self.page("ehlo", "relay = { networks = [] }\n")

    def test_starttls(self) -> None:
        module = self.page("starttls").module("modern-tls")
        old, new = (Session("S", "192.0.2.9", 25, "tcp:25", "mta", 0.0, tls=tls) for tls in ("TLSv1.2", "TLSv1.3"))
        self.assertEqual(str(module.starttls(old).reply), "550 5.7.10 TLS 1.3 is required here")
        self.assertIsNone(module.starttls(new))
        self.assertEqual(new.metadata, {"client": "anonymous"})

    def test_auth(self) -> None:
        self.page("auth", LOGINS)

    def test_mail_from(self) -> None:
        self.page("mail_from")

    def test_rcpt_to(self) -> None:
        self.page("rcpt_to")

    def test_data(self) -> None:
        self.page("data")

    def test_on_connection_opened(self) -> None:
        self.page("on_connection_opened")

    def test_on_connection_closed(self) -> None:
        self.page("on_connection_closed")

    def test_on_smtp_error(self) -> None:
        self.page("on_smtp_error")

    def test_on_message_received(self) -> None:
        self.page("on_message_received")

    def test_on_dns_lookup(self) -> None:
        mta = self.page("on_dns_lookup")
        mta.dns.fail("example.com")
        for _ in range(2):
            mta.client("192.0.2.9").send("a@example.net", ["you@example.com"], CONTENT)
            mta.advance(hours=1)
        self.assertEqual(len([line for line in mta.logs if "the servers of example.com fail" in line]), 1, mta.story())

    def test_on_delivery_attempt(self) -> None:
        self.page("on_delivery_attempt")

    def test_on_delivery_success(self) -> None:
        self.page("on_delivery_success")

    def test_on_delivery_failure(self) -> None:
        mta = self.page("on_delivery_failure")
        mta.peer("example.com", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 unknown"))
        mta.client("192.0.2.9").send("a@example.net", ["gone@example.com"], CONTENT)
        mta.advance(1)
        self.assertEqual(list(mta.storages.items["dead-addresses"]), ["gone@example.com"])

    def test_report_text(self) -> None:
        mta = self.page("report_text")
        home = mta.peer("example.net")
        mta.peer("example.com", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 unknown"))
        mta.client("192.0.2.9").send("a@example.net", ["gone@example.com"], CONTENT)
        mta.advance(1)
        (report,) = home.messages
        read = message_from_bytes(report.content, policy=policy.default)
        self.assertEqual((read["Subject"], report.sender), ("Unzustellbar", ""))
        text = cast(EmailMessage, next(iter(read.iter_parts())))
        self.assertEqual(text["Content-Language"], "de")
        self.assertIn("gone@example.com: 550 5.1.1 unknown", text.get_content())

    def test_every_page_is_tried(self) -> None:
        """
        None is forgotten here.
        """
        pages = {path.stem for path in (DOCS / "hooks").glob("*.md")} - {"index"}
        self.assertEqual(len(pages), 16)
        self.assertEqual({f"test_{name}" for name in pages} - set(dir(self)), set())


class PagesTests(SynchronousTestCase):
    """
    The other pages.
    """

    def test_the_tests_shown_pass(self) -> None:
        """
        Those of the first ten minutes and of the kit, with the modules shown beside them.
        """
        for name, module in (("index", "departed"), ("testing", "twice")):
            namespace: dict[str, Any] = {"__name__": module}
            folder = Path(self.mktemp()).absolute()
            folder.mkdir()
            sources = [source for _, source in blocks(DOCS / f"{name}.md", "python") if whole(source)]
            self.assertGreaterEqual(len(sources), 2)
            (folder / f"{module}.py").write_text(sources[0])
            sys.path.insert(0, str(folder))
            self.addCleanup(sys.path.remove, str(folder))
            self.addCleanup(sys.modules.pop, module, None)
            for source in sources:
                exec(compile(source, f"{name}.md", "exec", dont_inherit=True), namespace)
            self.passed([each for each in namespace.values() if is_case(each)])

    def test_the_cookbook_works(self) -> None:
        """
        Each module there is configured as shown, and each test passes.
        """
        page = DOCS / "cookbook.md"
        namespace: dict[str, Any] = {"__name__": "cookbook"}
        for _, source in blocks(page, "python"):
            exec(compile(source, page.name, "exec", dont_inherit=True), namespace)
        tests = [each for name, each in namespace.items() if name.startswith("test_")]
        self.assertEqual(len(tests), 3)
        for test in tests:
            made: list[Mta] = []
            test(lambda *given, made=made, **named: made.append(Mta(*given, **named)) or made[0])
            made[0].stop()
            self.assertEqual(made[0].faults, [])
        for _, config in blocks(page, "toml"):
            [section] = read(config, machine("/etc/empath")).modules
            namespace[section.factory.partition(":")[2]](**section.options)

    def passed(self, cases: list[type[SynchronousTestCase]]) -> None:
        """
        Run test cases.
        """
        result = unittest.TestResult()
        for case in cases:
            unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        self.assertGreater(result.testsRun, 0)
        self.assertEqual([trouble for _, trouble in [*result.errors, *result.failures]], [])

    def test_every_part_of_a_module_that_is_shown_is_python(self) -> None:
        """
        On all pages.
        """
        for page in sorted(DOCS.rglob("*.md")):
            for _, source in blocks(page, "python"):
                compile(source, page.name, "exec", dont_inherit=True)

    def test_every_configuration_that_is_shown_can_be_read(self) -> None:
        """
        On all pages, in a folder with the files that they name.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "users").write_text("you@example.org\n")
        for page in sorted(DOCS.rglob("*.md")):
            for _, config in blocks(page, "toml"):
                if "[project" not in config:
                    read(config, machine(str(folder)))


def is_case(value: object) -> bool:
    """
    Tell test cases.
    """
    return isinstance(value, type) and issubclass(value, SynchronousTestCase) and value is not SynchronousTestCase

"""
Requirements on the fixtures: what a test of somebody's module finds when it asks for them, in a pytest of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

PLUGIN: Final = "empath.testing.fixtures"
ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = """
from twisted.logger import Logger

def fault():
    try:
        raise KeyError("bug")
    except KeyError:
        Logger().failure("it failed")

def test_passes(empath_mta, empath_services, mock_smtp_server):
    mta = empath_mta(domains=["example.org"])
    mta.peer("example.org", mock_smtp_server.with_rcpt_to_response(550, "5.1.1 unknown"))
    assert mta.client().send("", ["user@example.org"], b"Subject: x\\r\\n\\r\\nhi\\r\\n").startswith("250")
    mta.settle()
    assert mta.queue("failed")[0].last_error.startswith("550")
    assert empath_services(hostname="mx.example.org").hostname == "mx.example.org"

def test_fails(empath_mta):
    mta = empath_mta()
    mta.client().send("a@b.example", ["c@elsewhere.example"], b"x\\r\\n")
    assert 0

def test_passes_and_has_an_error(empath_mta):
    mta = empath_mta()
    mta.reactor.callLater(1, fault)
    mta.advance(1)

def test_passes_too(empath_mta):
    mta = empath_mta()
    mta.reactor.callLater(1, fault)
    mta.advance(1)
    assert mta.faults.pop().check(KeyError)

def test_leaves_something(empath_services):
    empath_services().clock.callLater(10, print)
"""
CASES: Final = """
from twisted.trial.unittest import SynchronousTestCase
from empath.testing import MtaMixin

class ItTests(MtaMixin, SynchronousTestCase):
    def test_fails(self):
        self.mta().client().send("a@b.example", ["c@elsewhere.example"], b"x\\r\\n")
        self.fail()

    def test_passes(self):
        self.mta().client().send("a@b.example", ["c@example.org"], b"x\\r\\n")
"""


class FixtureTests(SynchronousTestCase):
    """
    Each test has a process of its own.
    """

    def outcome(self, source: str, *options: str) -> str:
        """
        Run a file and give what pytest says.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "test_it.py").write_text(source)
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider", *options, "test_it.py"]
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        return ended.stdout + ended.stderr

    def test_what_they_do(self) -> None:
        """
        They give what they promise; failures show the dialogue and the log, errors in the log and what is left behind
        fail a test.
        """
        said = self.outcome(SOURCE)
        self.assertIn("1 failed, 4 passed, 2 errors", said)
        self.assertIn("S: 550 5.7.1 relay access denied", said)
        self.assertIn("reject: RCPT from unknown[192.0.2.7]", said)
        self.assertIn("KeyError: 'bug'", said)
        self.assertIn("left behind by the module", said)

    def test_the_mixin_shows_them_too(self) -> None:
        """
        Under pytest, and under trial, which has no plugin of ours; of a test that fails only.
        """
        said = self.outcome(CASES)
        self.assertIn("1 failed, 1 passed", said)
        self.assertEqual(
            (said.count("S: 550 5.7.1 relay access denied"), said.count("S: 250 2.0.0 Ok: queued")), (1, 0)
        )
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "test_it.py").write_text(CASES)
        command = [sys.executable, "-m", "twisted.trial", "test_it"]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        said = ended.stdout
        self.assertIn("failures=1, successes=1", said)
        self.assertEqual(
            (said.count("S: 550 5.7.1 relay access denied"), said.count("S: 250 2.0.0 Ok: queued")), (1, 0)
        )

    def test_the_package_declares_them(self) -> None:
        """
        Who has empath installed need not name the plugin.
        """
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        self.assertEqual(project["entry-points"]["pytest11"], {"empath": PLUGIN})

    def test_the_plugin_costs_nothing(self) -> None:
        """
        Who does not use it imports neither Twisted nor the MTA with it.
        """
        source = """
import sys

def test_it():
    assert not [name for name in sys.modules if name.startswith(("twisted", "empath.service"))]
"""
        self.assertIn("1 passed", self.outcome(source))

    def test_the_kit_needs_no_pytest(self) -> None:
        """
        Users of trial need not have it.
        """
        code = "import sys; sys.modules['pytest'] = None; from empath.testing import *; Mta().stop()"
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))

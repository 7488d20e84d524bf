"""
What docs/strategies.md shows; the tests of examples/strategies, each beside its example, as its reader runs them; and
the configurations there.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from empath.testing import Mta
from empath.testing.web import WebServer
from tests.config.fakes import machine, read

FOLDER: Final = Path(__file__).parents[2] / "examples" / "strategies"
PAGE: Final = Path(__file__).parents[2] / "docs" / "strategies.md"
BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

sys.path.append(str(FOLDER))

ChatTests = importlib.import_module("test_chat").ChatTests


class EachStrategyTests(SynchronousTestCase):
    def test_each_configuration_names_its_strategy(self) -> None:
        names = sorted(path.stem for path in FOLDER.glob("*.toml"))
        self.assertEqual(names, ["chat"])
        for name in names:
            [domain] = read((FOLDER / f"{name}.toml").read_text(), machine("/etc/empath")).delivery.domains.values()
            module, _, factory = domain.strategy.partition(":")
            self.assertEqual(module, name)
            self.assertTrue(callable(getattr(importlib.import_module(module), factory)))


class PageTests(SynchronousTestCase):
    """
    docs/strategies.md.
    """

    def test_the_courier_delivers(self) -> None:
        """
        As the page shows it.
        """
        [source] = [block for block in BLOCK.findall(PAGE.read_text()) if "class Courier" in block]
        module = ModuleType("courier_of_the_page")
        exec(source, vars(module))
        self.patch(sys, "modules", {**sys.modules, module.__name__: module})
        options = '{ url = "http://127.0.0.1:8080/put" }'
        mta = Mta(config=f'[delivery.domains."x.example"]\nstrategy = "{module.__name__}:Courier"\noptions = {options}')
        self.addCleanup(mta.stop)
        web = WebServer(mta.world, 503)
        mta.serve("127.0.0.1", 8080, web)
        mta.client("127.0.0.1").send("me@example.org", ["you@x.example"], b"Subject: x\r\n\r\nhello\r\n")
        mta.settle()
        [waiting] = mta.queue()
        self.assertEqual(waiting.last_error, "451 4.3.0 the courier is away")
        web.reply = 200
        mta.advance(minutes=2)
        self.assertEqual(mta.queue(), [])
        self.assertTrue(web.requests[-1].body.endswith(b"\r\n\r\nhello\r\n"))

    def test_its_configuration_can_be_used(self) -> None:
        [text] = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        domains = read(
            text.replace('{ env = "HOOK_SECRET" }', '"0123456789abcdef"'), machine("/etc/empath")
        ).delivery.domains
        self.assertEqual([domain.strategy for domain in domains.values()], ["webhook", "file"])

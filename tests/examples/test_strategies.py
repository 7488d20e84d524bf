"""
The tests of examples/strategies, each beside its example, as its reader runs them; and the configurations there.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import machine, read

FOLDER: Final = Path(__file__).parents[2] / "examples" / "strategies"

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

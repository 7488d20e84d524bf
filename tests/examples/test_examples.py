"""
The tests of examples/modules, each beside its example, as its reader runs them; and the configurations there.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import machine, read

FOLDER: Final = Path(__file__).parents[2] / "examples" / "modules"
NAMES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))

sys.path.append(str(FOLDER))


def cases() -> dict[str, type[SynchronousTestCase]]:
    """
    Find the test cases beside the examples.
    """
    modules = [importlib.import_module(f"test_{name}") for name in NAMES]
    return {
        name: found
        for module in modules
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, SynchronousTestCase) and found.__module__ == module.__name__
    }


globals().update(cases())


class EachExampleTests(SynchronousTestCase):
    """
    What is said of the examples as a whole.
    """

    def test_each_has_its_test_and_its_configuration(self) -> None:
        """
        Six examples: a module, a test, a file of configuration of the same name.
        """
        self.assertEqual(len(NAMES), 6)
        expected = sorted([*(f"{name}.py" for name in NAMES), *(f"test_{name}.py" for name in NAMES)])
        self.assertEqual(sorted(path.name for path in FOLDER.glob("*.py")), expected)

    def test_each_configuration_can_be_used_and_makes_its_module(self) -> None:
        """
        Its options are ones that the module takes.
        """
        for name in NAMES:
            config = read((FOLDER / f"{name}.toml").read_text(), machine("/etc/empath"))
            [section] = config.modules
            module, _, factory = section.factory.partition(":")
            self.assertEqual(module, name)
            made = getattr(importlib.import_module(module), factory)(**section.options)
            self.assertRegex(made.name, "^[a-z0-9-]+$")

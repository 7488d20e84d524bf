"""
The pages of these modules: what stands there as TOML can be used as it stands.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

import empath
from empath.modules.finding import factory_of

PAGES: Final = Path(empath.__file__).parent.parent / "docs" / "modules" / "builtin"
ALL: Final = ("access", "alias", "dnsbl", "greylist", "headers", "metrics", "milter", "ratelimit", "recipients")
_TOML: Final = re.compile(r"```toml\n(.*?)```", re.DOTALL)


class PagesTests(SynchronousTestCase):
    """
    Each page.
    """

    def test_examples_are_right(self) -> None:
        """
        Every section makes its module.
        """
        for name in ALL:
            text = (PAGES / f"{name}.md").read_text()
            blocks = _TOML.findall(text)
            self.assertTrue(blocks, name)
            for section in [section for block in blocks for section in tomllib.loads(block)["modules"]]:
                self.assertEqual(section["factory"], name)
                factory_of(name)(**section["options"])

    def test_every_option_is_told(self) -> None:
        """
        With its name, in a table.
        """
        for name in ALL:
            text = (PAGES / f"{name}.md").read_text()
            for option in inspect.signature(factory_of(name)).parameters:
                self.assertIn(f"`{option}`", text)

"""
Requirements on the JSON Schema of the configuration.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
from twisted.trial.unittest import SynchronousTestCase

from empath.config import json_schema
from empath.config.written import plain
from tests.config.documented import DOCUMENT, blocks, documented
from tests.config.fakes import read

REWRITE = "EMPATH_REWRITE"  # set it to have the descriptions made anew
DESCRIPTIONS = Path(json_schema.__file__).with_name(json_schema.DESCRIPTIONS)
WRONG = (
    'hostnam = "x"',
    "[smtp]\nmax_errors = 0",
    '[smtp]\nmax_message_size = "many"',
    '[smtp.timeouts]\ncommand = "5 minutes"',
    '[[smtp.listeners]]\nkind = "gateway"',
    "[smtp]\nlisteners = []",
    '[delivery.rate_limits]\ndefault = "10"',
    '[delivery.domains."a.example"]\nmx = "b"',
    '[delivery.srs]\nsecret = { path = "x" }',
    "[[delivery.pools]]\naddresses = [1]",
    "watch_config = 1",
)


class SchemaTests(SynchronousTestCase):
    """
    `empathctl config schema`.
    """

    def setUp(self) -> None:
        self.schema = json_schema.json_schema()
        self.validator: Any = jsonschema.Draft202012Validator(self.schema)

    def faults(self, found: object) -> list[str]:
        return [error.message for error in self.validator.iter_errors(found)]

    def test_is_a_schema(self) -> None:
        """
        Of the draft that it names; JSON can say it.
        """
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.assertEqual(json.loads(json.dumps(self.schema)), self.schema)

    def test_allows_what_is_allowed(self) -> None:
        """
        Each example, each piece of the documentation, and a configuration written down again.
        """
        for path in sorted((DOCUMENT.parents[1] / "examples").glob("*.toml")):
            self.assertEqual(self.faults(tomllib.loads(path.read_text())), [], path.name)
        for block in blocks():
            self.assertEqual(self.faults(tomllib.loads(block)), [], block)
        self.assertEqual(self.faults(plain(read(""))), [])

    def test_finds_slips(self) -> None:
        """
        Unknown keys, words, units, and what is too little.
        """
        for text in WRONG:
            self.assertEqual(len(self.faults(tomllib.loads(text))), 1, text)

    def test_says_what_each_key_is_for_and_its_default(self) -> None:
        """
        In the words of the documentation.
        """
        smtp = self.schema["properties"]["smtp"]["properties"]
        self.assertEqual(smtp["max_message_size"]["default"], "25MiB")
        self.assertIn("of one message", smtp["max_recipients"]["description"])
        made = {key: said for key, said in documented().items() if said}
        if os.environ.get(REWRITE):
            DESCRIPTIONS.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
        self.assertEqual(json.loads(DESCRIPTIONS.read_text()), made, f"{REWRITE}=1 makes {DESCRIPTIONS.name} anew")

"""
The schema of all that can be asked and answered, and that the docs have it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from empath.control.described import requests, schema
from empath.control.terms.smtp import FollowDialogues

DOCS: Final = Path(__file__).parents[2] / "docs"
FILE: Final = DOCS / "control.schema.json"


class DescribedTests(SynchronousTestCase):
    """
    Requirements on the schema.
    """

    def test_the_docs_have_it_as_it_is(self) -> None:
        """
        With EMPATH_RECORD=1 in the environment it is written anew.
        """
        now = json.dumps(schema(), indent=1) + "\n"
        if os.environ.get("EMPATH_RECORD"):
            FILE.write_text(now)
        self.assertEqual(FILE.read_text(), now, "run this test with EMPATH_RECORD=1")

    def test_every_reference_leads_somewhere(self) -> None:
        """
        Each verb has its classes among the definitions.
        """
        told = schema()
        for name, kind in requests().items():
            verb = told["verbs"][name]
            self.assertEqual(verb["answer"], {"$ref": f"#/$defs/{kind.answer.__name__}"})
            for part in verb.values():
                if isinstance(part, dict):
                    self.assertIn(part["$ref"].rpartition("/")[2], told["$defs"])

    def test_times_are_told_to_be_times(self) -> None:
        """
        Those that may be missing, too.
        """
        status = schema()["$defs"]["Status"]["properties"]
        self.assertEqual(status["started"], {"type": "string", "format": "date-time"})
        self.assertEqual(status["oldest"]["anyOf"], [{"type": "string", "format": "date-time"}, {"type": "null"}])

    def test_pieces_are_told(self) -> None:
        """
        Of a request that has some.
        """
        self.assertEqual(schema()["verbs"][FollowDialogues.verb]["piece"], {"$ref": "#/$defs/TraceLine"})

    def test_each_verb_is_in_the_docs(self) -> None:
        """
        With what it asks for.
        """
        text = (DOCS / "control-json.md").read_text()
        self.assertEqual([name for name in requests() if f"`{name}`" not in text], [])

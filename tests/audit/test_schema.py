"""
The documented schema is the one that records have.
"""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from twisted.trial.unittest import SynchronousTestCase

import empath
from empath.audit.capturing import Capturing
from empath.audit.making import Capture
from empath.audit.schema import EVENTS, schema
from empath.observe.life import LifeEvents
from tests.audit.test_records import EVENTS as HAPPENED
from tests.audit.trails import NOON, trail
from tests.observe import made

DOCS = Path(empath.__file__).parents[1] / "docs"


class SchemaTests(SynchronousTestCase):
    def test_the_documented_schema_is_up_to_date(self) -> None:
        self.assertEqual(json.loads((DOCS / "audit.schema.json").read_text()), schema())

    def test_every_event_is_documented(self) -> None:
        page = (DOCS / "audit.md").read_text()
        self.assertEqual([event for event in EVENTS if f"`{event}`" not in page], [])

    def test_records_of_all_events_fit(self) -> None:
        path = Path(self.mktemp()).absolute()
        captures: list[Capture] = []
        events = LifeEvents()
        Capturing(lambda capture, _: captures.append(capture), lambda: NOON).listen(events.subscribe)
        for _, event in HAPPENED:
            events.emit(event)
        events.emit(made.attempt_ended(made.state()))
        file = trail(path)
        file.open(NOON)
        file.write(captures, sync=True)
        file.close(NOON)
        validator = jsonschema.Draft202012Validator(schema())
        for line in path.read_text().splitlines():
            record = json.loads(line)
            validator.validate(record)
            self.assertIn(record["event"], EVENTS)

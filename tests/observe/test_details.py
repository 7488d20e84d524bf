from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.observe.health import Readiness
from empath.observe.web.health_pages import Details, detailed_page
from empath.observe.web.page import Page
from tests.observe.test_health import Service
from tests.observe.web.test_guard import LOCAL

DETAILS = Details(
    version="1.0",
    hostname="mx.example.org",
    pid=7,
    uptime_seconds=60.0,
    listeners={"tcp:25": True},
    sessions=1,
    attempts=2,
    queue={"pending": 3},
    oldest_seconds=None,
    success_rate=0.5,
    breakers_open=("example.net",),
    breakers_open_count=1,
    disk_free=1000,
    disk_min_free=100,
    resolver_latency_seconds=None,
    loop_latency_seconds=0.001,
)


class DetailsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service()

    def page(self) -> Page:
        readiness = Readiness(schema.Health(), self.service.checks(), Clock())
        made = detailed_page(readiness, lambda: DETAILS)[b"/health/detailed"](LOCAL)
        assert isinstance(made, Deferred)
        page = self.successResultOf(made)
        assert isinstance(page, Page)
        return page

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.page().body)
        return facts

    def test_it_tells_readiness_first_and_all_else_behind_it(self) -> None:
        facts = self.facts()
        self.assertEqual([*facts][:2], ["alive", "ready"])
        self.assertEqual(facts["not_ready"], [])
        for field in attrs.fields(Details):
            self.assertIn(field.name, facts)

    def test_it_is_told_with_200_when_we_are_not_ready_too(self) -> None:
        self.service.answers.update(spool=False, queue_size=20_000)
        page = self.page()
        self.assertEqual((page.code, page.content_type), (200, "application/json"))
        facts = json.loads(page.body)
        self.assertEqual((facts["ready"], facts["not_ready"]), (False, ["spool", "queue"]))

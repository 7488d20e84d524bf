"""
What leaves for collectors, of the real program: traces, logs and metrics arrive; a collector that refuses, hangs, lies,
dies or never was there slows no mail and holds up no stop.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.otlp_receiver import OtlpReceiver
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath, merged
from tests.e2e.stalls import Stalls
from tests.otlp_as_prometheus import samples_of

SOON: Final = 20.0  # seconds for fifty messages: minutes if each waited for its collector, even on a slow disk
STILL: Final = ("empath_smtp_", "empath_delivery_messages_", "empath_delivery_attempts", "empath_export_lost")
DISCARD: Final = {"delivery": {"domains": {"*": {"strategy": "discard"}}}}


def to(endpoint: str, **more: Any) -> dict[str, Any]:
    """
    Send all signals to one place.
    """
    place = {"otlp_endpoint": endpoint, "otlp_headers": {"x-scope": "mail"}}
    return {
        **DISCARD,
        "log": place,
        "metrics": {**place, "otlp_interval": "1s"},
        "tracing": {**place, "enabled": True, "sample_ratio": 1.0},
        **more,
    }


class ExportTestCase(EndToEndTestCase):
    """
    An instance that discards mail, and a collector for all it has to tell.
    """

    def setUp(self) -> None:
        super().setUp()
        self.receiver = OtlpReceiver()
        self.addCleanup(self.receiver.stop)

    def told(self, *settings: dict[str, Any], endpoint: str = "") -> Empath:
        """
        Start an instance.
        """
        all_settings = to(endpoint or self.receiver.endpoint)
        for each in settings:
            all_settings = merged(all_settings, each)
        empath = self.empath(all_settings)
        empath.start()
        return empath

    def wait_traced(self, number: int) -> None:
        """
        Wait until the spans of so many receptions came.
        """
        wait_until("traced", lambda: sum(span.name == "receive" for span in self.receiver.spans) == number)

    def burst(self, empath: Empath, number: int = 50) -> float:
        """
        Send messages, and tell how long all took from the first to the last one's end, without the machine's stalls.
        """
        want = self.counted(empath, "empath_delivery_messages_delivered_total") + number
        with Stalls() as stalls:
            began = time.monotonic()
            for nth in range(number):
                self.send(empath, [f"nr{nth}@one.test"])
            wait_until("delivered", lambda: self.counted(empath, "empath_delivery_messages_delivered_total") == want)
            took = time.monotonic() - began
        return took - stalls.seconds

    def page(self, empath: Empath) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        _, page = empath.get("/metrics", metrics=True)
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if not sample.name.endswith("_created")
        }

    def counted(self, empath: Empath, name: str, **labels: str) -> float:
        return self.page(empath)[name, tuple(sorted(labels.items()))]


class ArrivingTests(ExportTestCase):
    """
    A collector that does what it should.
    """

    def setUp(self) -> None:
        super().setUp()
        self.receiver.start()

    def test_all_signals_arrive_from_one_who_says_who_they_are(self) -> None:
        empath = self.told()
        self.burst(empath, 3)
        self.wait_traced(3)
        wait_until("logged", lambda: any("from=<" in each.body.string_value for each in self.receiver.records))
        wait_until("pushed", lambda: bool(self.receiver.pushes))
        places = [each.resource for each in (*self.receiver.scoped_spans, *self.receiver.scoped_records)]
        for place in (*places, *self.receiver.metric_resources):
            names = place["service.name"], place["service.instance.id"], place["host.name"], place["process.pid"]
            self.assertEqual(names, ("empath", HOSTNAME, HOSTNAME, empath.running().pid))
        for asked in self.receiver.asked:
            told = asked.fields["x-scope"], asked.fields["content-encoding"]
            self.assertEqual(told, ("mail", "gzip"))
        self.assertEqual(self.receiver.faults, [])
        self.assertEqual(empath.stop(), 0)

    def test_the_push_is_the_page(self) -> None:
        """
        Name by name, label by label; and what stands still between the two, value by value.
        """
        empath = self.told({"log": {"otlp_endpoint": ""}, "tracing": {"enabled": False}})
        self.burst(empath, 5)
        page = self.page(empath)
        seen = len(self.receiver.pushes)
        wait_until("pushed", lambda: len(self.receiver.pushes) > seen + 1)
        pushed = {(name, labels): value for name, labels, value in samples_of(self.receiver.pushes[-1].values())}
        self.assertEqual(pushed.keys() ^ page.keys(), set())
        for sample in page:
            if sample[0].startswith(STILL):
                self.assertEqual(pushed[sample], page[sample], sample)
        self.assertEqual(empath.stop(), 0)

    def test_the_last_ones_arrive_before_the_end(self) -> None:
        """
        Spans, counts, and the very last line.
        """
        empath = self.told({"metrics": {"otlp_interval": "1h"}})
        wait_until("pushed", lambda: bool(self.receiver.pushes))
        for nth in range(20):
            self.send(empath, [f"nr{nth}@one.test"])
        self.assertEqual(empath.stop(), 0)
        self.assertEqual(sum(span.name == "receive" for span in self.receiver.spans), 20)
        last = {(name, labels): value for name, labels, value in samples_of(self.receiver.pushes[-1].values())}
        self.assertEqual(last["empath_smtp_messages_received_total", ()], 20)
        self.assertIn("stopped: 20 received", [each.body.string_value for each in self.receiver.records])

    def test_another_place_counts_from_a_reload_on(self) -> None:
        other = OtlpReceiver()
        self.addCleanup(other.stop)
        other.start()
        empath = self.told()
        self.burst(empath, 1)
        self.wait_traced(1)
        empath.reload({key: {"otlp_endpoint": other.endpoint} for key in ("log", "metrics", "tracing")})
        wait_until("moved", lambda: bool(other.pushes and other.records))
        asked = len(self.receiver.asked)
        self.burst(empath, 1)
        wait_until("traced", lambda: bool(other.spans))
        self.assertEqual(len(self.receiver.asked), asked)
        empath.reload({"log": {"otlp_endpoint": ""}, "metrics": {"otlp_endpoint": ""}, "tracing": {"enabled": False}})
        empath.wait_logged("in use from now on", "tracing.enabled")
        self.burst(empath, 1)
        time.sleep(1.5)
        asked = len(other.asked)
        self.burst(empath, 1)
        time.sleep(1.5)
        self.assertEqual(len(other.asked), asked)
        self.assertEqual(empath.stop(), 0)


class TroubleTests(ExportTestCase):
    """
    A collector that does not, while mail goes on.
    """

    def undisturbed(self, empath: Empath) -> None:
        self.assertLess(self.burst(empath), SOON)
        with Stalls() as stalls:
            began = time.monotonic()
            self.assertEqual(empath.stop(), 0)
        self.assertLess(time.monotonic() - began, 6.0 + stalls.seconds)
        for signal in ("traces", "logs", "metrics"):
            self.assertLessEqual(len(empath.logged(f"{signal} do not get to their collector")), 1)
        self.assertEqual(empath.logged("Traceback"), [])

    def test_that_never_was_there(self) -> None:
        empath = self.told(endpoint=f"http://127.0.0.1:{free_port()}")
        empath.wait_logged("metrics do not get to their collector: Connection refused")
        self.undisturbed(empath)

    def test_whose_name_does_not_exist(self) -> None:
        empath = self.told(endpoint="http://collector.invalid:4318")
        self.undisturbed(empath)

    def test_that_hangs(self) -> None:
        self.receiver.start()
        self.receiver.hang()
        self.undisturbed(self.told())

    def test_that_is_slow(self) -> None:
        self.receiver.start()
        self.receiver.delay = 2.0
        self.undisturbed(self.told())

    def test_that_refuses(self) -> None:
        self.receiver.start()
        self.receiver.refuse(400)
        empath = self.told()
        self.undisturbed(empath)

    def test_that_answers_with_garbage(self) -> None:
        self.receiver.start()
        self.receiver.raw = b"\x00\x01 what? \r\n\r\n"
        self.undisturbed(self.told())

    def test_that_is_busy_gets_it_later(self) -> None:
        self.receiver.start()
        self.receiver.refuse(503, Retry_After="1")
        empath = self.told()
        self.assertLess(self.burst(empath, 10), SOON)
        wait_until("asked", lambda: {each.path for each in self.receiver.asked} >= {"/v1/traces", "/v1/logs"})
        self.receiver.accept()
        self.wait_traced(10)
        self.assertEqual(self.counted(empath, "empath_export_lost_total", signal="traces"), 0)
        empath.wait_logged("traces get to their collector again; 0 lost")
        self.assertEqual(empath.stop(), 0)

    def test_that_dies_and_comes_back_gets_what_waited(self) -> None:
        self.receiver.start()
        empath = self.told()
        self.burst(empath, 1)
        self.wait_traced(1)
        self.receiver.stop()
        self.assertLess(self.burst(empath, 10), SOON)
        empath.wait_logged("traces do not get to their collector")
        self.receiver.start()
        self.wait_traced(11)
        self.assertEqual(empath.stop(), 0)


class AbsenceTests(ExportTestCase):
    """
    Nothing asked for.
    """

    def test_nothing_of_it_is_read_and_no_thread_is_begun(self) -> None:
        empath = self.empath(DISCARD)
        empath.start()
        self.burst(empath, 3)
        maps = Path(f"/proc/{empath.running().pid}/maps").read_text()
        threads = [path.read_text().strip() for path in Path(f"/proc/{empath.running().pid}/task").glob("*/comm")]
        self.assertNotIn("google/_upb", maps)
        self.assertEqual([each for each in threads if "export" in each], [])
        self.assertEqual(empath.stop(), 0)

from __future__ import annotations

import json
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import HTTPClientParser, Request
from twisted.web.http_headers import Headers
from zope.interface.verify import verifyObject

from empath.config import schema
from empath.log_output import MARKS
from empath.observe.export.log_record import LogRecord
from empath.observe.logs.lines import LineObserver, make_observer
from empath.observe.logs.rendering import MOST_LINES, MOST_RECORD, MOST_TEXT, Stamp

WHEN = 1795255200.1234  # 2026-11-21T10:00:00.123Z


class Unspeakable(Exception):
    """
    An exception that cannot even be told.
    """

    def __str__(self) -> str:
        raise RuntimeError("no words")


class ObserverCase(SynchronousTestCase):
    format: Any = "text"

    def setUp(self) -> None:
        self.written: list[str] = []
        self.observer = make_observer(schema.Log(format=self.format), self.written.append)

    def tell(self, template: str | None = None, namespace: str = "empath.deliver.pool", **fields: Any) -> str:
        event = {"log_level": LogLevel.info, "log_namespace": namespace, "log_time": WHEN, "log_format": template}
        self.observer({**event, **fields})
        return self.written[-1] if self.written else ""

    def failure(self, trouble: Exception) -> Failure:
        try:
            raise trouble
        except Exception:
            return Failure()


class TextTests(ObserverCase):
    def test_it_is_a_log_observer(self) -> None:
        verifyObject(ILogObserver, self.observer)

    def test_a_record_is_time_level_room_and_text_on_one_line(self) -> None:
        line = self.tell("{queue_id}: done", queue_id="Q1")
        self.assertEqual(line, "2026-11-21T10:00:00.123Z info deliver: Q1: done\n")

    def test_others_speak_under_their_whole_namespace(self) -> None:
        self.assertEqual(self.tell("x", "twisted.web"), "2026-11-21T10:00:00.123Z info twisted.web: x\n")
        self.assertEqual(self.tell("x", "empath"), "2026-11-21T10:00:00.123Z info empath: x\n")

    def test_braces_that_a_peer_sent_are_only_text(self) -> None:
        self.assertIn(": {0} {queue_id!r} %s\n", self.tell("{reply}", reply="{0} {queue_id!r} %s"))

    def test_control_characters_and_line_ends_are_escaped(self) -> None:
        line = self.tell("{reply}", reply="a\r\nb\x1b[2Jc\x00d\x7fe\x85f\u2028g\u202eh")
        self.assertTrue(line.endswith(r": a\r\nb\x1b[2Jc\x00d\x7fe\x85f\u2028g\u202eh" + "\n"), line)

    def test_words_of_any_language_stay_readable(self) -> None:
        self.assertIn(": grüße 你好\n", self.tell("{reply}", reply="grüße 你好"))

    def test_lone_surrogates_are_escaped_so_that_the_line_can_be_encoded(self) -> None:
        self.assertIn(r"\udcff", self.tell("{reply}", reply="\udcff").encode().decode())

    def test_a_namespace_cannot_break_the_line(self) -> None:
        self.assertEqual(self.tell("x", "a\nb").count("\n"), 1)

    def test_a_traceback_follows_indented_in_the_same_write(self) -> None:
        record = self.tell("{queue_id}: odd", queue_id="Q1", log_failure=self.failure(ValueError("first\nforged \x1b")))
        first, *rest = record.splitlines()
        self.assertEqual(first, "2026-11-21T10:00:00.123Z info deliver: Q1: odd")
        self.assertTrue(all(line.startswith("\t") for line in rest), rest)
        self.assertIn("ValueError: first", record)
        self.assertIn(r"forged \x1b", record)
        self.assertEqual(len(self.written), 1)

    def test_an_exception_without_words_is_logged_nevertheless(self) -> None:
        record = self.tell("odd", log_failure=self.failure(Unspeakable()))
        self.assertIn("Unspeakable", record)

    def test_a_failed_traceback_does_not_stop_the_record(self) -> None:
        class Mute(Failure):
            def getTraceback(self, *args: object, **kwargs: object) -> str:
                raise RuntimeError

        self.assertIn("no traceback (RuntimeError)", self.tell("odd", log_failure=Mute(ValueError("x"))))

    def test_twisteds_own_ways_of_formatting_work(self) -> None:
        self.assertIn(": called\n", self.tell("{ask()}", ask=lambda: "called"))
        self.assertIn("Unable to format event", self.tell("{missing}"))
        self.assertTrue(self.tell(None).endswith("deliver: \n"))
        self.assertIn(": 7\n", self.tell("{a}", log_flattened={"a!s:": "7"}))

    def test_events_of_the_old_logging_system_are_shown_as_info(self) -> None:
        self.observer({"log_format": "{log_text}", "log_text": "old", "log_time": WHEN})
        self.assertEqual(self.written, ["2026-11-21T10:00:00.123Z info -: old\n"])

    def test_many_namespaces_do_not_fill_memory(self) -> None:
        for number in range(2500):
            self.tell("x", f"ns{number}")
        self.assertLessEqual(len(self.observer._voices), 1000)


class LevelTests(ObserverCase):
    def say(self, level: str) -> bool:
        before = len(self.written)
        self.tell("x", log_level=LogLevel.levelWithName(level))
        return len(self.written) > before

    def test_only_what_is_at_or_above_the_level_is_written(self) -> None:
        self.observer.set_level("warn")
        self.assertEqual(
            [self.say(level) for level in ("debug", "info", "warn", "error", "critical")],
            [False, False, True, True, True],
        )

    def test_what_is_below_is_not_even_formatted(self) -> None:
        def formatted() -> str:
            self.fail("formatted")

        self.observer({"log_level": LogLevel.debug, "log_format": "{ask()}", "ask": formatted})
        self.assertEqual(self.written, [])

    def test_the_level_can_be_changed_while_running(self) -> None:
        self.assertFalse(self.say("debug"))
        self.observer.set_level("debug")
        self.assertTrue(self.say("debug"))
        self.assertEqual(self.observer.level, "debug")

    def test_shows_tells_beforehand(self) -> None:
        self.assertFalse(self.observer.shows("debug"))
        self.assertTrue(self.observer.shows("info"))
        self.assertTrue(self.observer.shows("critical"))

    def test_an_unknown_level_is_refused_and_changes_nothing(self) -> None:
        self.assertRaises(ValueError, self.observer.set_level, "loud")
        self.assertEqual(self.observer.level, "info")

    def test_events_without_a_level_are_hidden_above_info(self) -> None:
        self.observer.set_level("error")
        self.observer({"log_format": "x", "log_time": WHEN})
        self.assertEqual(self.written, [])

    def test_no_web_server_can_fill_the_log(self) -> None:
        """
        With thousands of answers before the answer, each of which Twisted's web client tells.
        """
        parser = HTTPClientParser(Request(b"GET", b"/", Headers({"Host": ["a.example"]}), None), lambda _: None)
        parser._log = Logger(namespace=HTTPClientParser._log.namespace, observer=self.observer)
        parser.makeConnection(StringTransport())
        parser.dataReceived(b"HTTP/1.1 100 Continue\r\n\r\n" * 3)
        self.assertEqual(self.written, [])
        parser._log.warn("trouble")
        self.assertEqual(len(self.written), 1)

    def test_a_new_section_changes_level_and_format(self) -> None:
        self.observer.reconfigure(schema.Log(level="error", format="json"))
        self.assertFalse(self.say("info"))
        self.assertTrue(self.say("error"))
        self.assertEqual(json.loads(self.written[-1])["level"], "error")


class JsonTests(ObserverCase):
    format = "json"

    def record(self, template: str, **fields: Any) -> dict[str, Any]:
        line = self.tell(template, **fields)
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line.isascii())
        return dict(json.loads(line))

    def test_a_record_is_one_object_with_the_fields_by_name(self) -> None:
        self.assertEqual(
            self.record(
                "{queue_id}: size={size}", queue_id="Q1", size=7, delay=0.5, tls=None, hosts=("a", "b"), more={"k": [1]}
            ),
            {
                "time": "2026-11-21T10:00:00.123Z",
                "level": "info",
                "namespace": "empath.deliver.pool",
                "event": "Q1: size=7",
                "queue_id": "Q1",
                "size": 7,
                "delay": 0.5,
                "tls": None,
                "hosts": ["a", "b"],
                "more": {"k": [1]},
            },
        )

    def test_what_json_cannot_say_is_only_in_the_text(self) -> None:
        record = self.record("{session}", session=object(), nan=float("nan"), odd={1: 2}, deep=[object()])
        self.assertEqual(set(record), {"time", "level", "namespace", "event"})
        self.assertIn("object", record["event"])

    def test_fields_cannot_replace_the_records_own_keys(self) -> None:
        record = self.record("{level}", level="fake", time="never")
        self.assertEqual((record["level"], record["event"], record["time"][:4]), ("info", "fake", "2026"))

    def test_control_characters_and_surrogates_are_escaped(self) -> None:
        self.assertEqual(self.record("{reply}", reply="a\r\n\x7f\x9b\udcff")["reply"], "a\r\n\x7f\x9b\udcff")

    def test_a_traceback_is_a_field(self) -> None:
        self.assertIn("ValueError: bad", self.record("odd", log_failure=self.failure(ValueError("bad")))["traceback"])


class TraceTests(ObserverCase):
    """
    Which trace a record belongs to.
    """

    def setUp(self) -> None:
        super().setUp()
        self.observer.ids_of = {"Q1": ("1" * 32, "2" * 16)}.get

    def test_every_record_with_a_queue_id_names_its_trace(self) -> None:
        """
        At its end, where it harms no tool that reads the beginning.
        """
        line = self.tell("{queue_id}: odd", queue_id="Q1")
        self.assertTrue(line.endswith(f": Q1: odd trace_id={'1' * 32} span_id={'2' * 16}\n"), line)
        self.assertTrue(self.tell("{queue_id}: odd", queue_id="NOQUEUE").endswith(": NOQUEUE: odd\n"))
        self.assertTrue(self.tell("{queue_id}: odd", queue_id=None).endswith(": None: odd\n"))
        self.assertTrue(self.tell("{queue_id}: odd", queue_id=["Q1"]).endswith(": ['Q1']: odd\n"))

    def test_an_event_that_knows_better_is_believed(self) -> None:
        """
        As those of attempts do; but a message that was stored while nothing was traced has ids all the same.
        """
        line = self.tell("{queue_id}: odd", queue_id="Q1", log_ids=("3" * 32, "4" * 16))
        self.assertTrue(line.endswith(f"trace_id={'3' * 32} span_id={'4' * 16}\n"), line)
        self.assertIn("2" * 16, self.tell("{queue_id}: odd", queue_id="Q1", log_ids=None))

    def test_a_traceback_follows_the_ids(self) -> None:
        """
        They are part of the first line.
        """
        first = self.tell("{queue_id}: odd", queue_id="Q1", log_failure=self.failure(ValueError("x"))).splitlines()[0]
        self.assertTrue(first.endswith("2" * 16), first)

    def test_json_has_them_as_fields(self) -> None:
        """
        Nobody else can set them for a message.
        """
        self.observer.reconfigure(schema.Log(format="json"))
        told = json.loads(self.tell("{queue_id}: odd", queue_id="Q1", trace_id="forged", span_id="forged"))
        self.assertEqual((told["trace_id"], told["span_id"], told["event"]), ("1" * 32, "2" * 16, "Q1: odd"))


class BoundTests(ObserverCase):
    """
    However much there is to say.
    """

    def test_a_long_text_is_cut(self) -> None:
        """
        What is left out is told.
        """
        line = self.tell("{text}", text="x" * 1_000_000)
        self.assertLess(len(line), MOST_TEXT + 100)
        self.assertTrue(line.endswith("x… (992000 characters more)\n"), line[-50:])

    def test_a_long_traceback_keeps_its_ends(self) -> None:
        """
        The place where it began, and what it was.
        """
        text = self.tell("odd", log_failure=self.failure(ValueError("\n".join(map(str, range(9999))) + "y" * 99999)))
        lines = text.splitlines()
        self.assertLess(len(lines), MOST_LINES + 5)
        self.assertLess(len(text), 20_000)
        self.assertTrue(any("lines more)" in line for line in lines))
        self.assertIn("9998y", lines[-1])

    def test_json_is_bounded_as_a_whole(self) -> None:
        """
        Long texts are cut, many fields left out; it is one object all the same.
        """
        self.observer.reconfigure(schema.Log(format="json"))
        told = json.loads(self.tell("{text}", text="x" * 100_000, queue_id="Q1", hosts=["h"] * 900))
        self.assertEqual((told["queue_id"], len(told["hosts"])), ("Q1", 900))
        self.assertTrue(told["text"].endswith("… (96000 characters more)"))
        line = self.tell("{queue_id}: odd", queue_id="Q1", **{f"f{n}": "\u2028" * 5000 for n in range(50)})
        told = json.loads(line)
        self.assertLess(len(line), MOST_RECORD + 100)
        self.assertEqual((told["cut"], told["event"], told["queue_id"]), (True, "Q1: odd", "Q1"))
        deep: list[Any] = []
        for _ in range(5000):
            deep = [deep]
        self.assertNotIn("deep", json.loads(self.tell("x", deep=deep, many=list(range(5000)))))


class MarkTests(ObserverCase):
    """
    Where each line begins with its priority, as the journal reads it.
    """

    def test_every_line_has_the_mark_of_its_record(self) -> None:
        """
        Those of a traceback too; JSON is one line.
        """
        self.observer = make_observer(schema.Log(), self.written.append, MARKS)
        self.tell("fine")
        self.tell("odd", log_level=LogLevel.critical, log_failure=self.failure(ValueError("x")))
        fine, odd = self.written
        self.assertEqual(fine[:7], "<6>2026")
        self.assertEqual({line[:3] for line in odd.splitlines()}, {"<2>"})
        self.observer.reconfigure(schema.Log(format="json"))
        self.assertEqual(self.tell("x")[:4], "<6>{")


class OutletTests(ObserverCase):
    """
    Records that go to a collector too.
    """

    def setUp(self) -> None:
        super().setUp()
        self.out: list[LogRecord] = []
        self.observer.outlet = self.out.append
        self.observer.ids_of = {"Q1": ("1" * 32, "2" * 16)}.get

    def test_what_is_written_goes_out_with_its_fields(self) -> None:
        """
        And nothing else does.
        """
        self.tell("{queue_id}: {reply}", queue_id="Q1", reply="a\nb", session=object())
        self.tell("hidden", log_level=LogLevel.debug)
        self.tell("bug", log_level=LogLevel.critical, log_failure=self.failure(ValueError("x")))
        first, second = self.out
        self.assertEqual((first.time, first.level, first.namespace), (WHEN, "info", "empath.deliver.pool"))
        self.assertEqual((first.text, dict(first.fields)), ("Q1: a\nb", {"queue_id": "Q1", "reply": "a\nb"}))
        self.assertEqual((first.trace_id, first.span_id, first.traceback), ("1" * 32, "2" * 16, ""))
        self.assertEqual((second.trace_id, second.level), ("", "critical"))
        self.assertIn("ValueError: x", second.traceback)

    def test_fields_are_bounded(self) -> None:
        """
        As they are in JSON.
        """
        self.tell("x", reply="x" * 1_000_000)
        [record] = self.out
        self.assertLess(len(record.fields["reply"]), MOST_TEXT)

    def test_what_is_said_about_going_out_does_not(self) -> None:
        """
        It would go round in circles.
        """
        for namespace in ("empath.observe.export.losses", "opentelemetry.sdk", "urllib3.connectionpool", "requests"):
            self.tell("they do not get there", namespace)
        self.assertEqual((self.out, len(self.written)), ([], 4))
        self.tell("x", "requestsome")
        self.assertEqual(len(self.out), 1)


class StampTests(SynchronousTestCase):
    def test_seconds_change_and_come_back(self) -> None:
        stamp = Stamp()
        told = [stamp(when) for when in (0.0, 0.9999, 1.5, 0.25)]
        self.assertEqual(
            told,
            [
                "1970-01-01T00:00:00.000Z",
                "1970-01-01T00:00:00.999Z",
                "1970-01-01T00:00:01.500Z",
                "1970-01-01T00:00:00.250Z",
            ],
        )


class LoggerTests(SynchronousTestCase):
    def test_twisteds_logger_speaks_through_it(self) -> None:
        written: list[str] = []
        log = Logger("empath.queue", observer=LineObserver(schema.Log(), written.append))
        log.warn("{queue_id}: late", queue_id="Q1")
        log.debug("{queue_id}: hidden", queue_id="Q1")
        self.assertEqual(len(written), 1)
        self.assertTrue(written[0].endswith("Z warn queue: Q1: late\n"), written)

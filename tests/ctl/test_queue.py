"""
The verbs that look at the queue and move mail.
"""

from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.control.terms.asking import Ask
from empath.control.terms.explaining import Explain
from empath.control.terms.managing import (
    Bounce,
    Count,
    CountQueue,
    Delete,
    DestinationCount,
    Freeze,
    Frozen,
    FrozenRow,
    GetQueueStats,
    Hold,
    Processed,
    ProcessNow,
    QueueStats,
    Release,
    Retry,
    Tally,
    Unfreeze,
)
from empath.control.terms.queue import Filter, Item, ListQueue, QueuePage, ViewMessage
from tests.ctl.asked import ran
from tests.ctl.samples import ago, ahead, explanation, message, waiting

ITEM = Item(
    "01KAM0000000000000000000M1",
    "example.com",
    "retry",
    ago(hours=9),
    4000,
    "alice@example.org",
    tuple(f"{name}@example.com" for name in ("bob", "carol", "dan", "eve", "frank")),
    7,
    ahead(minutes=12),
    "450 4.2.0 mailbox\x1b[2J busy",
    "3 of 3 connections are in use",
)
EVERYTHING = Filter(all=True)


class ListTests(SynchronousTestCase):
    """
    Requirements on `queue list`.
    """

    def test_where_no_terminal_is_each_delivery_is_a_line(self) -> None:
        """
        Below a head, with nothing cut off and nothing that drives a terminal.
        """
        done = ran("queue", "list", answers={ListQueue: QueuePage((ITEM,), "")})
        head, line = done.out.splitlines()
        self.assertEqual(
            head, f"{'ID':<26}  STATUS       TRIES    QUEUED         NEXT       SIZE  DESTINATION, MAIL, WHY"
        )
        self.assertEqual(
            line,
            "01KAM0000000000000000000M1  retry            7        9h       in 12m    3.9 KiB  example.com "
            "<alice@example.org> to <bob@example.com> <carol@example.com> <dan@example.com> and 2 more; "
            r"450 4.2.0 mailbox\x1b[2J busy; 3 of 3 connections are in use",
        )
        self.assertEqual((done.code, done.err), (0, ""))

    def test_on_a_narrow_terminal_it_is_a_few_lines(self) -> None:
        """
        What is said of it stands below.
        """
        done = ran("queue", "list", answers={ListQueue: QueuePage((ITEM,), "")}, columns=120)
        self.assertEqual(
            done.out.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines(),
            [
                "01KAM0000000000000000000M1  retry, example.com, 3.9 KiB, queued 9h ago, 7 attempts, next in 12m",
                "    <alice@example.org> to <bob@example.com> <carol@example.com> <dan@example.com> and 2 more",
                r"    450 4.2.0 mailbox\x1b[2J busy",
                "    3 of 3 connections are in use",
            ],
        )

    def test_pages_are_walked_until_there_are_enough(self) -> None:
        """
        Short and empty pages are no end; what is left is told.
        """

        def page(request: ListQueue) -> QueuePage:
            at = int(request.after or 0)
            return QueuePage((ITEM,) * (0 if at == 1 else 2), str(at + 1))

        done = ran("queue", "list", "--limit", "4", answers={ListQueue: page})
        self.assertEqual(
            [(r.limit, r.after) for r in done.asked if isinstance(r, ListQueue)], [(4, ""), (2, "1"), (2, "2")]
        )
        self.assertEqual(len(done.out.splitlines()), 5)
        self.assertIn("--after 3", done.err)

    def test_recipients_that_are_not_told_are_counted(self) -> None:
        """
        Those that are left out here, and those that the MTA left out.
        """
        page = QueuePage((attrs.evolve(ITEM, more_recipients=95),), "")
        self.assertIn("<dan@example.com> and 97 more; ", ran("queue", "list", answers={ListQueue: page}).out)

    def test_each_option_is_a_field_of_the_filter(self) -> None:
        """
        Ages are durations; <> is the null sender.
        """
        done = ran(
            *("queue", "list", "01ID", "--status", "retry", "--domain", "d.example", "--site", "mx.example"),
            *("--sender", "<>", "--recipient", "r@d.example", "--login", "alice", "--older-than", "2h", "--after", "x"),
            answers={ListQueue: QueuePage((), "")},
        )
        expected = Filter("01ID", "retry", "d.example", "mx.example", "", "r@d.example", "alice", 7200.0)
        self.assertEqual(done.asked, [ListQueue(expected, 50, "x")])
        self.assertEqual(done.out, "")
        self.assertIn("No mail of message 01ID, in state retry, to d.example", done.err)

    def test_as_json_all_pages_are_one_document(self) -> None:
        """
        It is one page of all rows.
        """
        pages = {"": QueuePage((ITEM, ITEM), "1"), "1": QueuePage((), "2"), "2": QueuePage((ITEM,), "")}
        done = ran("queue", "list", "--limit", "0", "--json", answers={ListQueue: lambda r: pages[r.after]})
        document = json.loads(done.out)
        self.assertEqual([row["queue_id"] for row in document["items"]], [ITEM.queue_id] * 3)
        self.assertEqual((document["after"], document["items"][0]["next_attempt"]), ("", "2026-11-22T03:16:05Z"))
        empty = ran("queue", "list", "--json", answers={ListQueue: QueuePage((), "")})
        self.assertEqual(json.loads(empty.out), {"items": [], "after": ""})

    def test_an_age_that_is_none_is_refused(self) -> None:
        """
        It is an error of usage that says what an age looks like.
        """
        for age in ("soon", "5 parsecs", "-3", "99999d"):
            done = ran("queue", "list", "--older-than", age)
            self.assertEqual(done.code, 2)
            self.assertIn("no duration such as 30s, 5m, 24h or 5d", done.err)


class LookTests(SynchronousTestCase):
    """
    Requirements on the other verbs that look.
    """

    def test_count_says_when_it_did_not_count_to_the_end(self) -> None:
        """
        The number alone otherwise.
        """
        all_of_it = ran("queue", "count", answers={CountQueue: Count(12, False)})
        self.assertEqual((all_of_it.out, all_of_it.asked), ("12\n", [CountQueue(EVERYTHING)]))
        some = ran("queue", "count", "--most", "5000", "--domain", "d", answers={CountQueue: Count(5000, True)})
        self.assertEqual((some.out, some.asked), ("more than 5,000\n", [CountQueue(Filter(domain="d"), 5000)]))
        as_json = ran("queue", "count", "--json", answers={CountQueue: Count(12, False)})
        self.assertEqual(json.loads(as_json.out), {"count": 12, "more": False})

    def test_view_shows_envelope_recipients_headers_and_body(self) -> None:
        """
        Nothing in them drives a terminal.
        """
        evil = attrs.evolve(message(waiting()), body="one\n\ttwo\x1b[2J\n", headers=(("Subject", "a\x1b]0;b"),))
        done = ran("queue", "view", evil.queue_id, answers={ViewMessage: evil})
        for line in ("Id        01KAM0000000000000000000M1", r"  Subject:  a\x1b]0;b", "  one", r"      two\x1b[2J"):
            self.assertIn(line, done.out.splitlines())
        self.assertIn("To example.com: retry after 7 attempts, next 03:16:05, in 12m", done.out)
        self.assertIn("<dan@example.com>    retry", done.out)

    def test_explain_tells_the_story(self) -> None:
        """
        For people as a story, for programs as its term.
        """
        done = ran("queue", "explain", "01ID", answers={Explain: explanation()})
        self.assertIn("Waits     connections: 3 of 3 connections to mx.example.com are in use", done.out)
        as_json = ran("queue", "explain", "01ID", "--json", answers={Explain: explanation()})
        self.assertEqual(json.loads(as_json.out)["steps"][0]["hold"]["why"], "connections")

    def test_stats_shows_what_there_is_by_status_and_destination(self) -> None:
        """
        Columns of states in which nothing is are left out.
        """
        stats = QueueStats(
            {"pending": 1200, "retry": 30, "held": 1, "failed": 0},
            17,
            ago(hours=9),
            (
                DestinationCount("example.com", {"pending": 1100, "retry": 30}),
                DestinationCount("b.example", {"held": 1}),
            ),
            5,
        )
        done = ran("queue", "stats", "--destinations", "2", answers={GetQueueStats: stats})
        self.assertEqual(done.asked, [GetQueueStats(2)])
        self.assertEqual(
            [line.strip() for line in done.out.splitlines()],
            [
                "pending 1,200  retry 30  held 1",
                "17 deliveries due, the oldest queued 21 Nov 18:04, 9h ago",
                "",
                "DESTINATION    ALL  PENDING  RETRY  HELD",
                "example.com  1,130    1,100     30     -",
                "b.example        1        -      -     1",
                "and 3 destinations more",
            ],
        )

    def test_stats_of_an_empty_queue(self) -> None:
        """
        That is said.
        """
        done = ran("queue", "stats", answers={GetQueueStats: QueueStats({"pending": 0}, 0, None, (), 0)})
        self.assertEqual(done.out.splitlines(), ["The queue is empty.", "no deliveries due"])


class JsonTests(SynchronousTestCase):
    """
    JSON that ends up on a terminal.
    """

    def test_it_drives_no_terminal(self) -> None:
        """
        What would is written as escapes, which mean the same.
        """
        evil = attrs.evolve(ITEM, sender="\x9b2J\u202e\x1b@ü.example")
        done = ran("queue", "list", "--json", answers={ListQueue: QueuePage((evil,), "")})
        self.assertEqual(json.loads(done.out)["items"][0]["sender"], evil.sender)
        self.assertFalse({"\x9b", "\u202e", "\x1b"} & set(done.out))
        done = ran(
            "queue", "view", ITEM.queue_id, "--json", answers={ViewMessage: attrs.evolve(message(), body="\u2028\x9b")}
        )
        self.assertEqual(json.loads(done.out)["body"], "\u2028\x9b")
        self.assertNotIn("\x9b", done.out)


class SlipTests(SynchronousTestCase):
    """
    What was typed by mistake.
    """

    def test_an_empty_name_does_not_mean_everything(self) -> None:
        """
        As that of a variable which was never set.
        """
        for verb in ("freeze", "unfreeze"):
            done = ran("queue", verb, "--domain", "")
            self.assertEqual((done.code, done.asked), (2, []))
        for arguments in (("delete", "--domain", "", "--yes"), ("retry", ""), ("list", "--login", " ")):
            done = ran("queue", *arguments)
            self.assertEqual((done.code, done.asked), (2, []))


class MoveTests(SynchronousTestCase):
    """
    Requirements on the verbs that move mail.
    """

    def test_nobody_means_all_mail_by_saying_nothing(self) -> None:
        """
        Without an id or a filter each of them is an error of usage, and asks for nothing.
        """
        for name in ("retry", "delete", "bounce", "hold", "release"):
            done = ran("queue", name)
            self.assertEqual((done.code, done.asked), (2, []))
            self.assertIn("--all means all mail", done.err)

    def test_what_is_not_final_is_not_asked_about(self) -> None:
        """
        Reason and force travel.
        """
        answers: dict[type[Ask[Any]], object] = dict.fromkeys((Retry, Hold, Release), Tally(2, 1, 3))
        retried = ran("queue", "retry", "--domain", "d", "--force", "--reason", "why", answers=answers)
        self.assertEqual(retried.asked, [Retry(Filter(domain="d"), "why", True)])
        self.assertEqual(
            retried.out,
            "2 deliveries will be attempted now. 1 under way: done when that attempt ends. "
            "3 left as before: they were so already, or cannot be in the state they are in.\n",
        )
        self.assertEqual(ran("queue", "hold", "01ID", answers=answers).asked, [Hold(Filter(queue_id="01ID"))])
        self.assertEqual(ran("queue", "release", "--all", answers=answers).asked, [Release(EVERYTHING)])

    def test_deleting_asks_how_many_are_meant(self) -> None:
        """
        A yes deletes; anything else does not.
        """
        answers = {CountQueue: Count(12, False), Delete: Tally(12), Bounce: Tally(12)}
        done = ran("queue", "delete", "--domain", "d", answers=answers, typed="y\n")
        self.assertEqual(done.asked, [CountQueue(Filter(domain="d")), Delete(Filter(domain="d"))])
        self.assertIn("Delete 12 deliveries to d? Nobody gets a report. [y/N]", done.err)
        self.assertEqual((done.code, done.out), (0, "12 deliveries deleted.\n"))
        declined = ran("queue", "bounce", "--domain", "d", answers=answers, typed="\n")
        self.assertEqual(declined.asked, [CountQueue(Filter(domain="d"))])
        self.assertIn("Senders get a report.", declined.err)
        self.assertNotEqual(declined.code, 0)

    def test_yes_is_not_asked(self) -> None:
        """
        Nor counted, where no progress is seen.
        """
        done = ran("queue", "delete", "--all", "--yes", answers={Delete: Tally(1)})
        self.assertEqual((done.asked, done.out), ([Delete(EVERYTHING)], "1 delivery deleted.\n"))

    def test_where_nobody_sits_nothing_is_deleted(self) -> None:
        """
        It is an error of usage that names --yes.
        """
        done = ran("queue", "delete", "--all", answers={CountQueue: Count(10_000, True)})
        self.assertEqual((done.code, done.asked), (2, [CountQueue(EVERYTHING)]))
        self.assertIn("--yes", done.err)

    def test_nothing_that_fits_is_an_error(self) -> None:
        """
        Scripts see it by the exit code.
        """
        answers = {CountQueue: Count(0, False), Hold: Tally(), Delete: Tally()}
        for name in ("hold", "delete"):
            done = ran("queue", name, "--sender", "a@b", answers=answers, typed="y\n")
            self.assertEqual((done.code, done.out), (1, ""))
            self.assertIn("No mail from <a@b>.", done.err)

    def test_progress_is_seen_on_a_terminal(self) -> None:
        """
        And the result stays.
        """
        answers = {CountQueue: Count(4, False), Delete: Tally(4)}
        done = ran(*("queue", "delete", "--all", "--yes"), answers=answers, pieces=[Tally(1), Tally(3)], columns=100)
        self.assertIn("Deleting", done.err)
        self.assertIn("3 of 4", done.err)
        self.assertEqual(done.out, "4 deliveries deleted.\n")

    def test_an_interrupt_tells_how_far_it_came(self) -> None:
        """
        With a shell's exit code for it.
        """

        def interrupted(request: Hold) -> Tally:
            raise KeyboardInterrupt

        done = ran("queue", "hold", "--all", answers={Hold: interrupted}, pieces=[Tally(200), Tally(400, 3)])
        self.assertEqual((done.code, done.out), (130, ""))
        self.assertIn("so far 400 deliveries held, and perhaps some more", done.err)

    def test_as_json_the_tally_is_told(self) -> None:
        """
        One document.
        """
        done = ran("queue", "retry", "--all", "--json", answers={Retry: Tally(2)}, pieces=[Tally(1)])
        self.assertEqual(json.loads(done.out), {"changed": 2, "in_flight": 0, "unchanged": 0})

    def test_what_is_frozen_is_shown(self) -> None:
        """
        And whether that changed anything.
        """
        frozen = Frozen((FrozenRow("", ago(hours=1)), FrozenRow("example.com", ago(minutes=5))), False)
        done = ran("queue", "freeze", "--domain", "example.com", answers={Freeze: frozen})
        self.assertEqual(done.asked, [Freeze("example.com")])
        self.assertEqual(len(done.out.splitlines()), 3)
        self.assertEqual(done.err, "It was frozen before.\n")
        thawed = ran("queue", "unfreeze", answers={Unfreeze: Frozen((), True)})
        self.assertEqual((thawed.out, thawed.err), ("Nothing is frozen.\n", ""))

    def test_due_mail_is_looked_for_at_once(self) -> None:
        """
        How much there is is told.
        """
        done = ran("queue", "process-now", answers={ProcessNow: Processed(3)})
        self.assertEqual(done.out, "3 deliveries due.\n")
        self.assertEqual(ran("queue", "process-now", answers={ProcessNow: Processed(0)}).out, "No deliveries due.\n")

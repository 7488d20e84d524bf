"""
Many real messages through real servers, each arriving once and unchanged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tests.e2e.corpus import all_messages
from tests.e2e.debian_peers import Dumped, Postfix, SmtpSink, smtp_source, swaks
from tests.e2e.harness import SENDER, EndToEndTestCase
from tests.e2e.processes import wait_until
from tests.e2e.sameness import relayed_difference
from tests.e2e.unbound import mail_zone

BOUND = 300.0


class CorpusTests(EndToEndTestCase):
    """
    Two domains with two MX hosts each: smtp-sinks for one.test, servers of our own for two.test.
    """

    sourced = 300
    swaks = 4

    def setUp(self) -> None:
        super().setUp()
        self.messages = all_messages()
        self.sinks = [self.sink(address) for address in ("127.0.0.11", "127.0.0.12")]
        self.servers = [self.peer(address) for address in ("127.0.0.21", "127.0.0.22")]
        zones = mail_zone("one.test", "127.0.0.11", "127.0.0.12") + mail_zone("two.test", "127.0.0.21", "127.0.0.22")
        self.instance = self.relaying(self.dns(*zones))

    def sink(self, address: str) -> SmtpSink:
        """
        Start an smtp-sink that ends with the test.
        """
        sink = SmtpSink(address, self.peer_port, self.folder / address)
        sink.start()
        self.addCleanup(sink.stop)
        return sink

    def settle(self, count: int) -> None:
        """
        Wait for `count` messages at each domain, then stop empath gracefully.
        """
        wait_until(f"{count} at the sinks", lambda: sum(sink.count() for sink in self.sinks) >= count, BOUND)
        wait_until(f"{count} stored", lambda: sum(len(each.stored) for each in self.servers) >= count, BOUND)
        wait_until("settled", lambda: self.queue_is_empty(), 30)
        self.assertEqual(self.instance.stop(), 0)
        for sink in self.sinks:
            sink.stop()

    def queue_is_empty(self) -> bool:
        """
        Tell whether nothing is left to deliver.
        """
        page = self.instance.get("/metrics", metrics=True)[1].splitlines()
        sizes = [line for line in page if line.startswith("empath_delivery_queue_size{")]
        open_ones = [line for line in sizes if not any(word in line for word in ("completed", "failed", "expired"))]
        return bool(open_ones) and all(float(line.split()[-1]) == 0 for line in open_ones)

    def test_every_message_of_the_corpus_arrives_once_byte_for_byte_at_its_own_mx(self) -> None:
        for name, content in self.messages.items():
            self.send(self.instance, [f"{name}@one.test", f"{name}@two.test"], content)
        self.settle(len(self.messages))
        stored = [each for server in self.servers for each in server.stored]
        at_two = [Dumped(each.recipients, each.content or b"") for each in stored]
        at_one = [each for sink in self.sinks for each in sink.dumped()]
        self.check(at_two, "two.test", b"\r\n")
        self.check(at_one, "one.test", b"\n")

    def check(self, arrived: list[Dumped], domain: str, end: bytes) -> None:
        """
        Exactly the corpus arrived, a message for each recipient, with `end` as line end.
        """
        expected = {f"{name}@{domain}": content for name, content in self.messages.items()}
        counted = Counter(address for each in arrived for address in each.recipients)
        self.assertEqual(counted, Counter(list(expected)))
        differences = {
            each.recipients[0]: relayed_difference(each.content, expected[each.recipients[0]].replace(b"\r\n", end))
            for each in arrived
        }
        self.assertEqual({name: text for name, text in differences.items() if text}, {})

    def test_messages_of_smtp_source_and_swaks_arrive_once_each(self) -> None:
        for domain in ("one.test", "two.test"):
            smtp_source(self.instance.port, SENDER, f"source@{domain}", self.sourced // 2)
            for nth in range(self.swaks // 2):
                swaks(self.instance.port, SENDER, f"swaks{nth}@{domain}", f"number {nth}")
        count = self.sourced // 2 + self.swaks // 2
        self.settle(count)
        self.check_recipients((each.recipients for sink in self.sinks for each in sink.dumped()), "one.test", count)
        self.check_recipients((each.recipients for peer in self.servers for each in peer.stored), "two.test", count)

    def check_recipients(self, arrived: Iterable[tuple[str, ...]], domain: str, count: int) -> None:
        """
        There are `count` different recipients, all of `domain`, none twice.
        """
        counted = Counter(address for recipients in arrived for address in recipients)
        self.assertEqual((len(counted), counted.total()), (count, count))
        self.assertEqual({address.partition("@")[2] for address in counted}, {domain})


class PostfixTests(EndToEndTestCase):
    """
    A whole Postfix is the next hop.
    """

    def test_postfix_gets_each_message_once_and_unchanged(self) -> None:
        postfix = Postfix("127.0.0.31", self.peer_port, "one.test", self.folder / "postfix")
        self.addCleanup(postfix.stop)
        postfix.start()
        instance = self.relaying(self.dns(*mail_zone("one.test", "127.0.0.31")))
        messages = {name: text for name, text in all_messages().items() if keeps(text)}
        for name, content in messages.items():
            self.send(instance, [f"{name}@one.test"], content)
        wait_until("kept by Postfix", lambda: len(postfix.kept()) >= len(messages), 60)
        self.assertEqual(instance.stop(), 0)
        self.assertEqual(
            sorted(each.recipients[0] for each in postfix.kept()), sorted(f"{n}@one.test" for n in messages)
        )
        sent = {f"{name}@one.test": text.replace(b"\r\n", b"\n") for name, text in messages.items()}
        found = {
            each.recipients[0]: relayed_difference(each.content, sent[each.recipients[0]]) for each in postfix.kept()
        }
        self.assertEqual({name: text for name, text in found.items() if text}, {})


def keeps(content: bytes) -> bool:
    """
    Tell whether Postfix keeps this message as it is: it rewrites a header block that is none.
    """
    head = content.partition(b"\r\n\r\n")[0]
    fields = rb"(?:[!-9;-~]+:[^\r\n]*(?:\r\n[ \t]+[^ \t\r\n][^\r\n]*)*(?:\r\n|\Z))+"
    return b"\r\n\r\n" in content and re.fullmatch(fields, head) is not None

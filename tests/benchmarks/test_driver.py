"""
The parts of the benchmark driver that need no load; `python -m benchmarks.loopback compare --quick` tries the rest.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import accounting, counting_sink, load, loopback, mtas, observed, table, trail
from benchmarks.runs import Run
from empath.config.load import load_config
from empath.config.values import Surroundings
from empath.modules.loading import load_modules

SURROUNDINGS = Surroundings(Path("/"), {}, lambda: "mx.test", str)
COUNTER = b"sess=1 quit=0 mesg=%d\r"


def run(mta: str, rate: float, cpu: float) -> Run:
    return Run(mta, rate + 10, rate, cpu, 64 * table.MIB, 32 * table.MIB, "control group")


class CounterTests(SynchronousTestCase):
    def test_the_last_whole_counter_counts(self) -> None:
        self.assertEqual(load.last_count(COUNTER % 7 + COUNTER % 12), (12, b""))

    def test_a_counter_that_may_go_on_does_not_count_yet(self) -> None:
        self.assertEqual(load.last_count(COUNTER % 7 + b"sess=1 quit=0 mesg=1"), (7, b"sess=1 quit=0 mesg=1"))
        self.assertEqual(load.last_count(b"sess=1 quit=0 mes"), (None, b"sess=1 quit=0 mes"))

    @settings(max_examples=50)
    @given(st.lists(st.integers(1, 99), min_size=1))
    def test_whatever_the_pieces_the_last_counter_is_found(self, cuts: list[int]) -> None:
        output = b"".join(COUNTER % number for number in range(1, 200))
        taken, kept = None, b""
        while output:
            size = cuts[len(output) % len(cuts)]
            piece, output = output[:size], output[size:]
            found, kept = load.last_count(kept + piece)
            taken = found if found is not None else taken
        self.assertEqual(taken, 199)


class CountingSinkTests(SynchronousTestCase):
    def talk(self, *pieces: bytes, folder: Path | None = None) -> tuple[bytes, counting_sink.Counts]:
        """
        Give the sink some pieces, one read each; tells what it said and counted.
        """
        counts = counting_sink.Counts()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for piece in pieces:
            ours.send(piece)
        ours.shutdown(socket.SHUT_WR)
        counting_sink.Talk(theirs, None, counts, folder).run()
        said = b""
        while piece := ours.recv(65536):
            said += piece
        ours.close()
        return said, counts

    def test_messages_connections_and_round_trips_are_counted(self) -> None:
        said, counts = self.talk(
            b"EHLO us\r\n",
            b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
            b"line\r\n",
            b"\r\n.\r\nMAIL FROM:<a@b>\r\n",
            b"QUIT\r\n",
        )
        codes = [line[:4] for line in said.split(b"\r\n")]
        self.assertEqual(codes[:5], [b"220 ", b"250-", b"250-", b"250-", b"250 "])
        self.assertEqual(codes[5:], [b"250 ", b"250 ", b"354 ", b"250 ", b"250 ", b"221 ", b""])
        self.assertEqual(bytes(counts), b"conn=1 resumed=0 turns=5 signed=0 mesg=1\r")

    def test_signatures_are_counted_where_they_are_fields(self) -> None:
        header = b"DKIM-Signature: a\r\nFrom: b\r\nDKIM-Signature: c\r\n"
        body = b"\r\nDKIM-Signature: no field\r\n.\r\n"
        _, counts = self.talk(b"DATA\r\n", header + body, b"QUIT\r\n")
        self.assertEqual((counts.signatures, counts.messages), (2, 1))

    def test_messages_are_kept_as_they_were_before_they_were_sent(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.talk(b"DATA\r\n", b"From: a\r\n\r\n..dot\r\n", b"end\r\n.\r\n", folder=folder)
        kept = [file.read_bytes() for file in folder.iterdir()]
        self.assertEqual(kept, [b"From: a\r\n\r\n.dot\r\nend\r\n"])

    def test_what_it_tells_is_understood(self) -> None:
        told = counting_sink.Counts()
        told.connections, told.turns, told.messages = 3, 40, 12
        self.assertEqual(load.last_count(bytes(told)), (12, b""))
        told.signatures = 7
        self.assertEqual(load.TOTALS.findall(bytes(told)), [(b"3", b"0", b"40", b"7")])
        self.assertEqual(load.Totals(5, 1, 50, 9).since(load.Totals(3, 0, 40, 2)), load.Totals(2, 1, 10, 7))


class TableTests(SynchronousTestCase):
    def test_a_line_tells_medians_and_ends(self) -> None:
        runs = [run("empath", rate, rate / 1e6) for rate in (300, 100, 200)]
        self.assertEqual(
            table.rows("relay", load.Load(10, many=True), runs),
            "| relay | many | empath | 200 (100–300) | 210 (110–310) | 0.200 (0.100–0.300) | 64 | 32 | 3 |\n",
        )

    def test_ratios_are_of_medians(self) -> None:
        runs = [run("empath", 3000, 0.0004), run("postfix", 1000, 0.0016)]
        self.assertEqual(table.ratios(runs), (3.0, 0.25))
        self.assertIsNone(table.ratios(runs[:1]))

    def test_every_other_mta_that_ran_is_compared_with(self) -> None:
        runs = [run("empath", 3000, 0.0004), run("old", 1500, 0.0004)]
        self.assertEqual(
            table.comparisons("receive", load.Load(10), runs),
            ["- receive, one: empath at 2.00 × the old commit's rate, 1.00 × its CPU per message"],
        )

    def test_what_modules_cost_is_told_beside_an_empath_without(self) -> None:
        runs = [run("empath", 3000, 0.0004), run("empath+six", 2700, 0.000405)]
        self.assertEqual(
            table.comparisons("relay", load.Load(10), runs),
            ["- relay, one: empath+six at 0.90 × empath's rate, +5 µs of CPU per message"],
        )

    def test_without_an_empath_as_it_is_the_dark_one_is_what_others_are_told_beside(self) -> None:
        runs = [run("empath+dark", 100.0, 0.001), run("empath+scraped", 90.0, 0.0011)]
        self.assertEqual(
            table.prices(runs), ["empath+scraped at 0.90 × empath+dark's rate, +100 µs of CPU per message"]
        )

    def test_what_signatures_cost_is_told_beside_the_same_mta_without_and_the_other_with(self) -> None:
        signing = replace(run("postfix+rsa2048", 900, 0.0020), signer=0.0003)
        runs = [run("empath", 3000, 0.0004), run("empath+rsa2048", 1800, 0.0008), run("postfix", 1000, 0.0016), signing]
        self.assertEqual(
            table.comparisons("relay", load.Load(10), runs),
            [
                "- relay, one: empath at 3.00 × Postfix's rate, 0.25 × its CPU per message",
                "- relay, one: empath+rsa2048 at 2.00 × the rate of Postfix with OpenDKIM, 0.40 × its CPU per message",
                "- relay, one: of postfix+rsa2048 OpenDKIM's process took 0.300 (0.300–0.300) ms of CPU per message",
                "- relay, one: empath+rsa2048 at 0.60 × empath's rate, +400 µs of CPU per message",
                "- relay, one: postfix+rsa2048 at 0.90 × postfix's rate, +400 µs of CPU per message",
            ],
        )

    def test_what_the_next_hop_counted_is_told_for_a_thousand(self) -> None:
        counted = replace(run("empath", 3000, 0.0004), connections=0.02, resumed=0.01, turns=2.5)
        self.assertEqual(
            table.onward([counted, run("old", 1500, 0.0004)]),
            [
                "empath took 20 (20–20) connections, 10 (10–10) of them with a resumed TLS session, and "
                "2500 (2500–2500) round trips for 1,000 messages"
            ],
        )

    def test_the_machine_is_described_without_names_of_hosts_and_paths(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        told = " ".join(table.machine(folder).values())
        self.assertNotIn(socket.gethostname(), told.split())
        self.assertNotIn(str(folder), told)


class ConfigurationTests(SynchronousTestCase):
    def test_the_configuration_written_for_empath_is_one_it_accepts(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        mtas.certify(folder)
        for receive_only in (False, True):
            command = mtas.prepare_empath(folder, 2525, 2526, receive_only, tls=receive_only)
            config = load_config(Path(command[-1]), SURROUNDINGS)
            self.assertEqual(config.smtp.listeners[0].tls, "starttls" if receive_only else "none")
            self.assertEqual(config.delivery.domains["*"].mx_override, ("127.0.0.1:2526",))
            self.assertEqual(config.delivery.max_parallel_deliveries == 1, receive_only)

    def test_the_trail_is_off_unless_it_is_measured(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for variant, expected in (("", (False, False)), ("audit", (True, False)), ("durable", (True, True))):
            control = trail.settings(folder, variant, mtas.TOP)
            command = mtas.prepare_empath(folder, 2525, 2526, False, False, control=control)
            config = load_config(Path(command[-1]), SURROUNDINGS)
            self.assertEqual((config.audit.enabled, config.audit.durable), expected)
            self.assertEqual(config.control_socket, str(folder / "control.sock"))

    def test_an_empath_older_than_the_trail_gets_no_keys_that_it_would_refuse(self) -> None:
        self.assertEqual(trail.settings(Path("/x"), "durable", Path(self.mktemp())), "")

    def test_what_is_watched_is_on_as_it_is_measured(self) -> None:
        """
        In the dark there is nothing, else the pages, and traces of as many messages as the name says.
        """
        told = {}
        for variant in ("", *observed.VARIANTS):
            folder = Path(self.mktemp()).absolute()
            folder.mkdir()
            more = observed.sections(variant, 9001, 9002, 9003)
            config = load_config(Path(mtas.prepare_empath(folder, 2525, 2526, False, False, more)[-1]), SURROUNDINGS)
            told[variant] = (config.metrics.enabled, config.tracing.enabled and config.tracing.sample_ratio)
        self.assertEqual(told.pop(""), (True, False))
        self.assertEqual([*told.values()], [(False, False), (True, False), (True, 0.01), (True, 1.0)])

    def test_the_way_on_is_written_as_it_is_measured(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for onward in (mtas.Onward(), mtas.Onward(tls=True, shared=False)):
            command = mtas.prepare_empath(folder, 2525, 2526, False, False, onward=onward)
            delivery = load_config(Path(command[-1]), SURROUNDINGS).delivery
            self.assertEqual(delivery.connection_pool.max_messages, 100 if onward.shared else 1)
            self.assertEqual(delivery.tls.default_policy, "required" if onward.tls else "opportunistic")

    def test_the_modules_that_are_measured_can_be_loaded(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for modules, number in zip(mtas.MODULES.values(), (6, 1, 1), strict=True):
            command = mtas.prepare_empath(folder, 2525, 2526, False, False, modules)
            sections = load_config(Path(command[-1]), SURROUNDINGS).modules
            loaded = load_modules([(section.name, section) for section in sections])
            self.assertEqual(len(loaded), number)

    def test_quick_is_one_round_of_a_thousand(self) -> None:
        options = loopback.parser().parse_args(["compare", "--quick", "--mta", "empath"])
        self.assertEqual([one.count for one in loopback.chosen_loads(options)], [1000, 1000])


class AccountingTests(SynchronousTestCase):
    def test_the_cpu_of_children_that_have_ended_counts(self) -> None:
        account = accounting.ProcessTree()
        account.adopt(os.getpid())
        before = account.cpu()
        subprocess.run([sys.executable, "-c", "for _ in range(3_000_000): pass"], check=True)
        self.assertGreater(account.cpu() - before, 0.0)

    def test_memory_of_a_process_that_is_gone_is_nothing(self) -> None:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        self.assertEqual((accounting.resident(gone.pid), accounting.proportional(gone.pid)), (0, 0))
        self.assertFalse(accounting.alive(gone.pid))

    def test_living_processes_have_memory(self) -> None:
        self.assertGreater(accounting.resident(os.getpid()), 1024)
        self.assertTrue(accounting.alive(os.getpid()))

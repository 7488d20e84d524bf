"""
Ways to deliver that are not SMTP, as the real program does them: to a real web server over TLS, and into real files.
"""

from __future__ import annotations

import json
import os
import random
import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

import trustme

from tests.e2e.dialogue import Dialogue, queue_id
from tests.e2e.harness import SENDER, EndToEndTestCase, message
from tests.e2e.hook import HOST, Answer, Hook, Request
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.sameness import relayed_difference

SECRET = "0123456789abcdef"
YOU = "you@hook.test"
MIB = 1 << 20
COURIER = """
from empath.strategies import *
from zope.interface import implementer


@implementer(IAgent)
class Courier:
    def __init__(self, services, path):
        self.services, self.path = services, path

    async def deliver(self, message, delivery, attempt):
        reader = self.services.content(message).open()
        size = 0
        while piece := await reader.read():
            size += len(piece)
        reader.close()
        await self.services.in_thread(lambda: open(self.path, "a").write(f"{message.queue_id} {size}\\n"))
        return tuple(Success(Reply.of("250 2.0.0 carried")) for _ in delivery.open_recipients)

    def stop(self):
        open(self.path, "a").write("stopped\\n")
"""


def large(size: int) -> bytes:
    """
    Make a mail of some size, of 8-bit lines.
    """
    line = bytes(random.Random(7).choices([n for n in range(32, 256) if n != 127], k=76)) + b"\r\n"
    return message("large") + line * (size // len(line))


class WebhookTests(EndToEndTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.authority = trustme.CA()
        trusted = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(trusted))
        self.environment = {"SSL_CERT_FILE": str(trusted)}
        self.hook = Hook(self.authority, free_port(HOST), SECRET)
        self.addCleanup(self.hook.stop)

    def started(self, **settings: Any) -> Empath:
        """
        Start empath with the hook for hook.test, which is at a private address.
        """
        dns = self.dns(f"hooks.one.test. A {HOST}")
        url = f"https://hooks.one.test:{self.hook.port}/mail"
        routes = {"hook.test": {"strategy": "webhook", "url": url, "secret": SECRET}}
        delivery = {"dns": {"servers": [dns.server]}, "allow_private_mx": False, "domains": routes, **settings}
        empath = self.empath({"delivery": delivery}, environment=self.environment)
        empath.start()
        return empath

    def content(self, request: Request) -> bytes:
        """
        Read the mail out of a request.
        """
        if request.fields["content-type"] == "message/rfc822":
            return request.body
        return b64decode(json.loads(request.body)["content"])

    def assert_same(self, request: Request, sent: bytes) -> None:
        """
        What came is what was sent, signed.
        """
        self.assertTrue(request.signed)
        self.assertEqual(relayed_difference(self.content(request), sent), "")

    def wait_posted(self, count: int) -> None:
        wait_until(f"posted {count}", lambda: len(self.hook.requests) >= count)

    def test_small_mail_over_a_connection_that_is_kept(self) -> None:
        """
        Signed, byte for byte, several over one connection.
        """
        empath = self.started()
        for nth in range(5):
            sent = message(f"mail{nth}")
            name = self.send(empath, [YOU], sent)
            empath.wait_logged(name, "status=sent", "200 OK")
            self.assert_same(self.hook.requests[-1], sent)
        self.assertEqual((len(self.hook.requests), self.hook.connections), (5, 1))
        told = json.loads(self.hook.requests[0].body)
        self.assertEqual(told["envelope"]["sender"], SENDER)

    def test_large_mail_is_streamed_in_both_forms(self) -> None:
        """
        20 MiB, which is never whole in memory, in JSON and raw.
        """
        sent = large(20 * MIB)
        empath = self.started()
        for format in ("json", "raw"):
            empath.reload({"delivery": {"domains": {"hook.test": {"format": format}}}})
            before = empath.memory("VmHWM")
            name = self.send(empath, [YOU], sent)
            empath.wait_logged(name, "status=sent", seconds=60)
            self.assert_same(self.hook.requests[-1], sent)
            self.assertLess(empath.memory("VmHWM") - before, 16 * MIB)
        kinds = [request.fields["content-type"] for request in self.hook.requests]
        self.assertEqual(kinds, ["application/json", "message/rfc822"])

    def test_what_the_hook_says_decides(self) -> None:
        """
        One recipient is refused, one is for later, one has it.
        """

        def verdicts(request: Request) -> Answer:
            told = {"no@hook.test": "550 5.1.1 nobody", "later@hook.test": "451 4.2.2 full"}
            if len(self.hook.requests) > 1:
                told = {}
            body = json.dumps({"recipients": told}).encode()
            return 200, {"Content-Type": "application/json"}, body

        self.hook.answers = verdicts
        empath = self.started()
        name = self.send(empath, [YOU, "no@hook.test", "later@hook.test"])
        empath.wait_logged(name, "to=<no@hook.test>", "status=bounced", "550 5.1.1 nobody")
        empath.wait_logged(name, "to=<later@hook.test>", "status=deferred", "451 4.2.2 full")
        empath.wait_logged(name, "to=<later@hook.test>", "status=sent")
        first, second = self.hook.requests[:2]
        self.assertNotEqual(first.fields["webhook-id"], second.fields["webhook-id"])
        [rest] = json.loads(second.body)["envelope"]["recipients"]
        self.assertEqual(rest["address"], "later@hook.test")

    def test_trouble_is_tried_again_under_the_same_id(self) -> None:
        """
        A status that passes, a connection that ends without a word, a redirect: the mail comes in the end, and who
        looks at its id takes it once.
        """
        answers: list[Answer | None] = [
            (503, {"Retry-After": "2"}, b""),
            None,
            (302, {"Location": "https://127.0.0.1/"}, b""),
            (204, {}, b""),
        ]
        self.hook.answers = lambda _: answers.pop(0)
        empath = self.started()
        name = self.send(empath, [YOU])
        empath.wait_logged(name, "status=deferred", "503 Service Unavailable")
        empath.wait_logged(name, "status=deferred", "302 Found")
        empath.wait_logged(name, "status=sent", "204 No Content")
        self.assertEqual(len({request.fields["webhook-id"] for request in self.hook.requests}), 1)

    def test_a_stop_while_the_hook_is_at_work(self) -> None:
        """
        It may have the mail: that is noted. After the next start the mail comes under the same id.
        """
        at_work = threading.Event()
        self.addCleanup(at_work.set)
        self.hook.answers = lambda _: (200, {}, b"") if at_work.wait(30) else None
        empath = self.started(shutdown_timeout="1s")
        name = self.send(empath, [YOU])
        self.wait_posted(1)
        self.assertEqual(empath.stop(), 0)
        empath.wait_logged(name, "status=deferred", "may arrive more than once", "possible duplicate")
        at_work.set()
        empath.start()
        empath.wait_logged(name, "status=sent", "200 OK")
        self.assertEqual(len({request.fields["webhook-id"] for request in self.hook.requests}), 1)

    def test_mail_that_waits_goes_the_way_of_a_reloaded_configuration(self) -> None:
        """
        Though its old way was blocked: what was shut is the site, not the domain.
        """
        self.hook.answers = lambda _: (500, {}, b"")
        kept = self.folder / "kept"
        empath = self.started(circuit_breaker={"failure_threshold": 1, "timeout": "1h"})
        name = self.send(empath, [YOU])
        empath.wait_logged("circuit breaker is open")
        empath.reroute("hook.test", {"strategy": "file", "path": str(kept)})
        empath.wait_logged(name, "status=sent", "written to a file")
        self.assertEqual(len(list(kept.iterdir())), 2)

    def test_a_certificate_that_nobody_vouches_for(self) -> None:
        """
        The mail waits; nothing of it is sent.
        """
        self.environment = {}
        empath = self.started()
        name = self.send(empath, [YOU])
        empath.wait_logged(name, "status=deferred", "nobody who is trusted vouches for the certificate")
        self.assertEqual(self.hook.requests, [])

    def test_a_refusal_bounces(self) -> None:
        self.hook.answers = lambda _: (422, {"Content-Type": "text/plain"}, b"no such customer\n")
        empath = self.started()
        name = self.send(empath, [YOU])
        empath.wait_logged(name, "status=bounced", "422 Unprocessable Entity: no such customer")


class FileTests(EndToEndTestCase):
    def started(self) -> Empath:
        """
        Start empath with a folder for file.test.
        """
        self.kept = self.folder / "kept"
        (self.folder / "empath").mkdir()
        (self.folder / "empath" / "courier.py").write_text(COURIER)
        self.carried = self.folder / "carried"
        domains = {
            "file.test": {"strategy": "file", "path": str(self.kept)},
            "null.test": {"strategy": "discard"},
            "courier.test": {"strategy": "courier:Courier", "options": {"path": str(self.carried)}},
        }
        environment = {"PYTHONPATH": str(self.folder / "empath")}
        empath = self.empath({"delivery": {"domains": domains}}, environment=environment)
        empath.start()
        return empath

    def pairs(self) -> dict[str, list[Path]]:
        """
        Tell the files by queue id.
        """
        found: dict[str, list[Path]] = {}
        for path in sorted(self.kept.iterdir()) if self.kept.exists() else []:
            if not path.name.startswith("."):
                found.setdefault(path.name.partition("-")[0], []).append(path)
        return found

    def test_files_small_and_large(self) -> None:
        empath = self.started()
        for sent in (message("small"), large(5 * MIB)):
            name = self.send(empath, ["a@file.test", "b@file.test"], sent)
            empath.wait_logged(name, "status=sent", "written to a file")
            content, told = self.pairs()[name]
            self.assertEqual(relayed_difference(content.read_bytes(), sent), "")
            self.assertEqual(len(json.loads(told.read_text())["envelope"]["recipients"]), 2)

    def test_discard_and_another_ones_strategy(self) -> None:
        empath = self.started()
        sent = large(2 * MIB)
        name = self.send(empath, ["a@null.test", "b@courier.test"], sent)
        empath.wait_logged(name, "to=<a@null.test>", "250 2.0.0 discarded")
        empath.wait_logged(name, "to=<b@courier.test>", "250 2.0.0 carried")
        carried, size = self.carried.read_text().split()
        self.assertEqual(carried, name)
        self.assertGreater(int(size), len(sent))
        self.assertEqual(empath.stop(), 0)
        self.assertEqual(self.carried.read_text().splitlines()[-1], "stopped")

    def test_each_mail_is_there_once_whenever_it_is_killed(self) -> None:
        """
        What was promised with 250 is in the folder after kill -9 and another start, whole, and in one pair of files.
        """
        empath = self.started()
        promised: list[str] = []
        for nth in range(4):
            with Dialogue(empath.port) as client:
                client.greet()
                for each in range(15):
                    heard = client.post(SENDER, ["a@file.test"], message(f"m{nth}x{each}") + b"x\r\n" * 30000, "")
                    promised.append(queue_id(heard))
                    if each == 5 + 3 * nth:
                        break
            empath.kill()
            empath.start()
        wait_until("all there", lambda: set(self.pairs()) >= set(promised))
        empath.stop()
        for name, paths in self.pairs().items():
            self.assertEqual([path.suffix for path in paths], [".eml", ".json"], name)
            told = json.loads(paths[1].read_text())
            self.assertEqual(os.path.getsize(paths[0]), told["size"])

    def test_a_strategy_that_cannot_be_made_is_told_at_the_start(self) -> None:
        instance = self.empath({"delivery": {"domains": {"x.test": {"strategy": "no_such.module:Thing"}}}})
        program = instance.launch()
        wait_until("ended", lambda: program.exit_code is not None)
        self.assertEqual(program.exit_code, 1)
        self.assertIn('delivery.domains."x.test".strategy: no_such.module:Thing: cannot be imported', instance.log())

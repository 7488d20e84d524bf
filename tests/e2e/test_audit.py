"""
The audit trail of the real program: nothing hidden is told, a full disk is a choice, and 250 waits for the record.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from empath.audit.verifying import verify
from tests.e2e.dialogue import Closed, Dialogue, queue_id
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import require, wait_until
from tests.e2e.program import Empath

KILLS = 3


class AuditTests(EndToEndTestCase):
    """
    One instance, and what it writes down; for one test on a disk of its own, which fills.
    """

    def records(self, empath: Empath) -> list[dict[str, Any]]:
        """
        Read the trail, which must be sound.
        """
        path = empath.folder / "audit.jsonl"
        self.assertEqual(verify(path).findings, ())
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    def audited(self, **audit: Any) -> Empath:
        """
        Start one that discards what it takes.
        """
        empath = self.empath({"delivery": {"domains": {"*": {"strategy": "discard"}}}, "audit": audit})
        empath.start()
        return empath

    def test_redacted_no_address_is_in_the_trail(self) -> None:
        server = self.peer("127.0.0.11")
        empath = self.to_peer(server, {"audit": {"redact_sender": True, "redact_recipients": True}})
        self.send(empath, ["one@one.test"], sender="secret@src.test")
        self.wait_arrived(server, "one@one.test")
        with Dialogue(empath.port) as client:
            client.greet()
            client.send(b"MAIL FROM:<secret@src.test>\r\nRCPT TO:<not an@address>\r\nRCPT TO:<one@>\r\nQUIT\r\n")
            for _ in range(4):
                client.reply()
        self.assertEqual(empath.stop(), 0)
        told = self.records(empath)
        self.assertLessEqual({"received", "delivered", "refused"}, {each["event"] for each in told})
        text = (empath.folder / "audit.jsonl").read_text()
        for hidden in ("secret", "one@", "Subject", "@address"):
            self.assertNotIn(hidden, text)

    def test_a_250_is_never_heard_before_its_record_is_on_the_disk(self) -> None:
        empath = self.audited(durable=True)
        heard: list[str] = []
        ended = threading.Event()

        def client() -> None:
            while not ended.is_set():
                try:
                    reply = self.attempt(empath, ["one@one.test"])
                    if reply.code == 250:
                        heard.append(queue_id(reply))
                except (OSError, Closed, AssertionError):
                    ended.wait(0.05)

        clients = [threading.Thread(target=client) for _ in range(4)]
        for each in clients:
            each.start()
        for _ in range(KILLS):
            before = len(heard)
            wait_until("messages", lambda before=before: len(heard) >= before + 20)  # type: ignore[misc]
            empath.kill()
            recorded = {each["message_id"] for each in self.records(empath) if each["event"] == "received"}
            self.assertLessEqual(set(heard), recorded)
            empath.start()
        ended.set()
        for each in clients:
            each.join()

    def test_no_mail_is_taken_while_the_trail_has_no_room_and_it_is_afterwards(self) -> None:
        require(os.geteuid() == 0, "only root can mount a tmpfs")
        disk = Path(self.folder) / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
        mounted = subprocess.run(command, capture_output=True, check=False)
        require(mounted.returncode == 0, f"cannot mount a tmpfs: {mounted.stderr!r}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=False)
        empath = self.audited(path=str(disk / "audit.jsonl"), on_full="stop")
        (disk / "filling").write_bytes(b"x" * (2048 - 24) * 1024)
        wait_until("refused", lambda: self.attempt(empath, ["one@one.test"]).code == 452)
        empath.wait_logged("error", "audit trail:", "no mail is taken")
        (disk / "filling").unlink()
        wait_until("taken", lambda: self.attempt(empath, ["one@one.test"]).code == 250)
        self.assertEqual(empath.stop(), 0)
        self.assertEqual(verify(disk / "audit.jsonl").findings, ())

"""
Proof: the spool on a full disk answers 452 4.3.1, loses nothing it accepted, and resumes by itself.
"""

from __future__ import annotations

import os
import subprocess

from tests.e2e.harness import EndToEndTestCase, message, smarthost
from tests.e2e.processes import require, wait_until
from tests.e2e.program import Empath, merged

KIB = 1024
DISK = "64m"
MIN_FREE = 8 * 1024 * KIB
TOO_MANY = 10_000
SIZES = (2 * KIB, 40 * KIB, 300 * KIB)


class DiskFullTests(EndToEndTestCase):
    """
    A tmpfs of 64 MB, and a next hop that is down while it fills.
    """

    def setUp(self) -> None:
        super().setUp()
        require(os.geteuid() == 0, "only root can mount a tmpfs")
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.disk)]
        mounted = subprocess.run(command, capture_output=True, check=False)
        require(mounted.returncode == 0, f"cannot mount a tmpfs: {mounted.stderr!r}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.disk)], check=False)
        self.server = self.peer("127.0.0.11")

    def spooling(self) -> Empath:
        """
        Start empath on the small disk.
        """
        settings = merged(smarthost(self.server), {"spool": {"path": str(self.disk / "spool"), "min_free": MIN_FREE}})
        empath = self.empath(settings)
        empath.start()
        return empath

    def fill(self, empath: Empath, name: str) -> dict[str, bytes]:
        """
        Send messages of several sizes until one is refused with 452 4.3.1; gives those that were accepted.

        What was accepted though less than `min_free` was free already is counted in `below`.
        """
        accepted: dict[str, bytes] = {}
        self.below = 0
        for nth in range(TOO_MANY):
            recipient = f"{name}{nth}@one.test"
            content = message(recipient) + b"x" * SIZES[nth % len(SIZES)] + b"\r\n"
            free = self.free()
            heard = self.attempt(empath, [recipient], content)
            if heard.code != 250:
                self.assertEqual((heard.code, heard.lines[-1][:5]), (452, "4.3.1"), str(heard))
                return accepted
            accepted[recipient] = content
            self.below += free < MIN_FREE
        raise AssertionError(f"{TOO_MANY} messages fit")

    def free(self) -> int:
        """
        Ask the disk itself how many bytes are free.
        """
        found = os.statvfs(self.disk)
        return found.f_bavail * found.f_bsize

    def assert_all_arrived(self, accepted: dict[str, bytes]) -> None:
        """
        Each is there once, unchanged.
        """
        wait_until("all arrived", lambda: len(self.server.stored) >= len(accepted), 120)
        self.assertEqual(sorted(r for each in self.server.stored for r in each.recipients), sorted(accepted))
        for each in self.server.stored:
            self.assert_relayed(each.content, accepted[each.recipients[0]])

    def test_a_spool_filled_by_mail_resumes_when_the_mail_has_gone(self) -> None:
        self.server.stop()
        empath = self.spooling()
        accepted = self.fill(empath, "full")
        free = self.free()
        self.server.start()
        self.assert_all_arrived(accepted)
        wait_until("takes mail again", lambda: self.attempt(empath, ["again@one.test"]).code == 250, 60)
        self.wait_arrived(self.server, "again@one.test")
        print(f"\n{len(accepted)} messages until 452 4.3.1, {free // KIB} KiB were free; ", end="")
        print(f"{self.below} were accepted below min_free")
        print("all arrived unchanged; mail was taken again afterwards")
        self.assertEqual(empath.stop(), 0)

    def test_nothing_is_accepted_while_less_than_min_free_is_free(self) -> None:
        self.server.stop()
        accepted = self.fill(self.spooling(), "margin")
        print(f"\n{self.below} of {len(accepted)} were accepted below min_free; {self.free() // KIB} KiB are left")
        self.assertEqual(self.below, 0)

    def test_a_disk_filled_by_someone_else_to_the_last_byte_loses_nothing(self) -> None:
        self.server.stop()
        empath = self.spooling()
        accepted = {f"before{nth}@one.test": message(f"before{nth}") for nth in range(50)}
        for recipient, content in accepted.items():
            self.send(empath, [recipient], content)
        self.occupy()
        self.assertEqual(str(self.attempt(empath, ["refused@one.test"]))[:9], "452 4.3.1")
        self.server.start()
        self.assert_all_arrived(accepted)
        (self.disk / "filler").unlink()
        wait_until("takes mail again", lambda: self.attempt(empath, ["again@one.test"]).code == 250, 60)
        self.assertEqual(empath.stop(), 0)
        self.assertNotIn("Traceback", empath.log())

    def test_kill_9_on_a_full_disk_loses_nothing(self) -> None:
        self.server.stop()
        empath = self.spooling()
        accepted = self.fill(empath, "kill")
        self.occupy()
        empath.kill()
        self.server.start()
        empath.start()
        self.assert_all_arrived(accepted)

    def occupy(self) -> None:
        """
        Write a file until nothing is left.
        """
        filler = os.open(self.disk / "filler", os.O_WRONLY | os.O_CREAT)
        piece = 1024 * KIB
        while piece:
            try:
                os.write(filler, b"\0" * piece)
            except OSError:
                piece //= 2
        os.close(filler)

"""
The file as editors, administrators and orchestrators change it, and a program that watches it.
"""

from __future__ import annotations

import os
import time

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, toml

TWO_LOOKS = 2.5  # seconds in which a file is looked at twice


class WatchedTests(EndToEndTestCase):
    """
    One program each; the key that changes is [smtp] max_recipients.
    """

    def watching(self) -> Empath:
        """
        Make one that is not started yet.
        """
        return self.empath({"watch_config": True})

    def text(self, empath: Empath, recipients: int) -> str:
        """
        Write a configuration.
        """
        empath.change({"smtp": {"max_recipients": recipients}})
        return toml(empath.configuration())

    def wait_read(self, empath: Empath, times: int) -> None:
        """
        Wait until it was read so often, and not more often, without a fault.
        """
        told = "the file changed: configuration read again"
        wait_until("read again", lambda: len(empath.logged(told)) >= times, 20.0)
        self.assertEqual(len(empath.logged("in use from now on: smtp.max_recipients")), times)

    def assert_quiet(self, empath: Empath, read: int, refused: int) -> None:
        """
        Nothing more is told while nothing changes.
        """
        time.sleep(TWO_LOOKS)
        self.assertEqual(len(empath.logged("configuration read again")), read)
        self.assertEqual(len(empath.logged("nothing was changed")), refused)
        self.assertNotIn("Traceback", empath.log())

    def test_written_in_halves(self) -> None:
        """
        Half a file is not read while the other half still comes.
        """
        empath = self.watching()
        empath.start()
        text = self.text(empath, 33)
        with empath.file.open("w") as file:
            for at in range(0, len(text), len(text) // 4 + 1):
                file.write(text[at : at + len(text) // 4 + 1])
                file.flush()
                time.sleep(0.6)
        self.wait_read(empath, 1)
        self.assert_quiet(empath, 1, 0)

    def test_another_takes_its_place(self) -> None:
        """
        By renaming, also with the size and the time of the one before; away for a while it is what it was.
        """
        empath = self.watching()
        empath.start()
        old = empath.file.stat()
        aside = empath.folder / "aside"
        text = self.text(empath, 999)
        aside.write_text(text)
        os.utime(aside, ns=(old.st_atime_ns, old.st_mtime_ns))
        aside.rename(empath.file)
        self.wait_read(empath, 1)
        empath.file.rename(aside)
        self.assert_quiet(empath, 1, 0)
        aside.write_text(self.text(empath, 998))
        aside.rename(empath.file)
        self.wait_read(empath, 2)
        self.assert_quiet(empath, 2, 0)

    def test_a_mounted_config_map(self) -> None:
        """
        Kubernetes has `empath.toml` lead to `..data/empath.toml`, and `..data` to a folder, and puts another link in
        the place of that one.
        """
        empath = self.watching()
        empath.folder.mkdir()
        self.publish(empath, "..one", self.text(empath, 50))
        empath.file.symlink_to("..data/empath.toml")
        program = empath.launch()
        program.wait_for(empath.alive)
        self.publish(empath, "..two", self.text(empath, 51))
        self.wait_read(empath, 1)
        (empath.folder / "..one" / "empath.toml").unlink()
        self.publish(empath, "..three", self.text(empath, 52))
        self.wait_read(empath, 2)
        self.assert_quiet(empath, 2, 0)

    def publish(self, empath: Empath, name: str, text: str) -> None:
        """
        Have `..data` lead to a new folder with this configuration.
        """
        folder = empath.folder / name
        folder.mkdir()
        (folder / "empath.toml").write_text(text)
        link = empath.folder / "..data_tmp"
        link.symlink_to(name)
        link.rename(empath.folder / "..data")

    def test_broken_then_mended(self) -> None:
        """
        Each fault is told once; what is mended is used, also when it is what was in use before.
        """
        empath = self.watching()
        empath.start()
        whole = empath.file.read_text()
        empath.file.write_text("hostnam = 1\n")
        empath.wait_logged("the file changed: nothing was changed")
        self.assert_quiet(empath, 0, 1)
        empath.file.write_text(whole)
        empath.wait_logged("configuration read again")
        self.assert_quiet(empath, 1, 1)

    def test_cut_off(self) -> None:
        """
        A file that is empty, as a full disk leaves it, does not stand for the defaults.
        """
        empath = self.watching()
        empath.start()
        empath.file.write_text("")
        self.assert_quiet(empath, 0, 0)
        empath.file.write_text(self.text(empath, 55))
        self.wait_read(empath, 1)
        self.assertTrue(empath.alive())

    def test_other_permissions(self) -> None:
        """
        Have it read again, as they may mend what could not be read; what cannot be is told of once.
        """
        empath = self.watching()
        empath.start()
        text = empath.file.read_text()
        empath.file.chmod(0o640)
        empath.wait_logged("configuration read again")
        self.assert_quiet(empath, 1, 0)
        empath.file.unlink()
        empath.file.mkdir()
        empath.wait_logged("the file changed: nothing was changed")
        empath.file.rmdir()
        self.assert_quiet(empath, 1, 1)
        empath.file.write_text(text)
        wait_until("read again", lambda: len(empath.logged("configuration read again")) == 2, 20.0)
        self.assert_quiet(empath, 2, 1)

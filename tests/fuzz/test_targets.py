"""
Requirements on the fuzz targets: each one's corpus and a few changed inputs pass, and what breaks is kept.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from fuzz import __main__ as command
from fuzz.mutation import LONGEST, Mutator
from fuzz.running import CORPUS, Bounds, Target, broken, inputs, load, names, run

CHANGED = 200
SEED = 2


class TargetTests(SynchronousTestCase):
    """
    All targets, shortly; `tox -e fuzz` takes longer.
    """

    def smoke(self, name: str) -> None:
        """
        Run one target.
        """
        target = load(name)
        report = run(target, Bounds(CHANGED), SEED, Path(os.path.abspath(self.mktemp())))
        self.assertEqual(report.trace, "")
        self.assertEqual(report.execs, len(target.seeds) + CHANGED)

    def test_every_corpus_belongs_to_a_target(self) -> None:
        """
        A renamed target does not leave its seeds behind.
        """
        self.assertEqual(sorted(folder.name for folder in CORPUS.iterdir()), names())
        self.assertTrue(all(load(name).seeds for name in names()))


def _test(name: str) -> object:
    def test(self: TargetTests) -> None:
        self.smoke(name)

    test.__name__ = f"test_{name}"
    test.__doc__ = f"The corpus of {name}, and some changed inputs, break nothing."
    return test


for _name in names():
    setattr(TargetTests, f"test_{_name}", _test(_name))


def fragile(data: bytes) -> None:
    """
    Break at one byte.
    """
    if b"!" in data:
        raise ValueError("found it")


class RunningTests(SynchronousTestCase):
    """
    The runner itself.
    """

    target = Target("fragile", fragile, (b"!",), {"seed": b"harmless"})

    def test_what_breaks_is_kept_with_its_seed(self) -> None:
        """
        The input goes to a file that can be tried again, and the run that found it can be repeated.
        """
        folder = Path(os.path.abspath(self.mktemp()))
        report = run(self.target, Bounds(10_000), 7, folder)
        assert report.crasher is not None
        self.assertIn("found it", report.trace)
        self.assertIn("found it", broken(self.target, report.crasher.read_bytes()))
        self.assertIn("seed 7", report.crasher.with_suffix(".txt").read_text())
        self.assertIn("CRASH", report.line())
        again = run(self.target, Bounds(10_000), 7, folder)
        self.assertEqual((again.execs, again.crasher), (report.execs, report.crasher))

    def test_the_same_seed_gives_the_same_inputs(self) -> None:
        """
        Another one gives others; none is longer than it may be.
        """
        runs = [[next(supply) for _ in range(50)] for supply in (inputs(self.target, seed) for seed in (1, 1, 2))]
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])
        self.assertTrue(all(len(data) <= LONGEST for data in runs[0]))

    def test_saved_inputs_are_tried_again(self) -> None:
        """
        `--replay` tells by its exit code whether one still breaks something.
        """
        file = Path(os.path.abspath(self.mktemp()))
        file.write_bytes(b"bob@example.org")
        self.assertEqual(command.main(["address", "--replay", str(file)]), 0)
        self.assertEqual(command.replay(self.target, [file]), 0)
        file.write_bytes(b"!")
        self.assertEqual(command.replay(self.target, [file]), 1)

    def test_nothing_to_change_is_no_trouble(self) -> None:
        """
        Every kind of change takes an empty input.
        """
        for seed in range(50):
            made = Mutator(random.Random(seed), [b""], [])
            self.assertIsInstance(made.next(), bytes)

"""
What is different in two configurations is told by the keys of the file.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.config.changes import changes
from tests.config.fakes import machine, read


class ChangesTests(SynchronousTestCase):
    """
    A file, and the same file changed.
    """

    def told(self, before: str, after: str) -> list[str]:
        around = machine("/tmp")
        return list(changes(read(before, around), read(after, around)))

    def test_the_same_is_no_change(self) -> None:
        """
        However it is written.
        """
        self.assertEqual(self.told('[delivery]\nexpiry_interval = "60s"', "[delivery]\nexpiry_interval = 60"), [])

    def test_keys_by_their_path(self) -> None:
        """
        Each single one; arrays as a whole.
        """
        before = 'hostname = "a.example"\n[smtp]\nmax_errors = 5\n[relay]\nnetworks = ["10.0.0.0/8"]'
        after = 'hostname = "b.example"\n[smtp]\nmax_errors = 6\n[relay]\nnetworks = []'
        mentioned = self.told(before, after)
        self.assertEqual(
            mentioned,
            ["hostname", "smtp.max_errors", "relay.networks", "delivery.dsn.reporting_mta", "delivery.dsn.postmaster"],
        )

    def test_tables_of_the_operators_keys(self) -> None:
        """
        A changed one, one that has gone, one that is new.
        """
        before = '[delivery.domains."a.b"]\ntls_policy = "disabled"\n[delivery.domains.gone]\n'
        after = '[delivery.domains."a.b"]\ntls_policy = "required"\n[delivery.domains.new]\n'
        paths = ['delivery.domains."a.b".tls_policy', "delivery.domains.gone", "delivery.domains.new"]
        self.assertEqual(self.told(before, after), paths)

from __future__ import annotations

from empath.config import schema
from empath.mail import life
from tests.observe import made
from tests.observe.metrics.test_page import OPENMETRICS, PageCase, everything


class BoundsTests(PageCase):
    section = schema.Metrics(high_priority_domains=("vip.test",))

    def test_five_thousand_domains_leave_at_most_1002_values_of_each_label(self) -> None:
        names = [f"d{nth}.test" for nth in range(5000)]
        self.gauges = everything(site_connections=lambda: dict.fromkeys(names, 1))
        for name in (*names, "vip.test"):
            self.events.emit(made.attempt_ended(made.state(), domain=name))
            self.events.emit(life.DeliveryLimited(name, 0.5, "rate"))
            self.events.emit(life.BreakerMoved(name, name, (name,), "open", "no"))
        values: dict[tuple[str, str], set[str]] = {}
        for family in self.families().values():
            for sample in family.samples:
                for label, value in sample.labels.items():
                    values.setdefault((family.name, label), set()).add(value)
        self.assertLessEqual(max(map(len, values.values())), 1002)
        self.assertEqual(len(values["empath_delivery_attempts", "domain"]), 1002)
        self.assertIn("vip.test", values["empath_delivery_attempts", "domain"])
        self.assertEqual(self.samples()["delivery_attempts_total", "domain=other", "status=completed"], 4000)

    def test_no_sample_comes_twice_whatever_sites_and_domains_are_called(self) -> None:
        sites = {**{f"mx{nth}.test": 5 for nth in range(1000)}, "other": 9, 'mx"\n.test': 1}
        self.gauges = everything(site_connections=lambda: sites)
        self.events.emit(made.attempt_ended(made.state(), domain="other"))
        self.events.emit(made.attempt_ended(made.state(), domain='d\\"\n.test'))
        for accept in ("", OPENMETRICS):
            lines = [line.partition("}")[0] for line in self.text(accept).splitlines() if "active{" in line]
            self.assertEqual(len(lines), len(set(lines)))
        self.assertEqual(self.samples()["delivery_connections_active", "site=other"], 10)
        self.assertEqual(self.samples()["delivery_attempts_total", 'domain=d\\"\n.test', "status=completed"], 1)

    def test_codes_that_modules_make_up_are_bounded(self) -> None:
        for code in range(400, 560):
            self.events.emit(made.refused(f"{code} {code // 100}.7.1 no"))
        self.assertLessEqual(len(self.families()["empath_smtp_errors_total"].samples), 101)

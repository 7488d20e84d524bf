"""
What is shipped for those who watch empath (`docker/`), as tests read it: rules, dashboard, the metrics that they name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import yaml

ROOT: Final = Path(__file__).parents[2]
DOCKER: Final = ROOT / "docker"
REFERENCE: Final = ROOT / "docs" / "observability.md"
RUNBOOK: Final = ROOT / "docs" / "runbook.md"
DASHBOARD: Final = DOCKER / "grafana" / "dashboards" / "empath.json"

FROM_PROMETHEUS: Final = frozenset({"job", "instance", "alertname", "alertstate", "severity"})
OF_HISTOGRAMS: Final = ("_bucket", "_sum", "_count")
_USED: Final = re.compile(r"\b((?:empath|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_BY: Final = re.compile(r"\bby\s*\(([^)]*)\)")
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_DOCUMENTED: Final = re.compile(r"`((?:empath|process|python)_\w+|…_\w+)(?:\{([\w,]+)\})?`")


@attrs.frozen
class Expression:
    """
    PromQL, where it stands, and the labels that what stands beside it (a legend, a summary) says of its result.
    """

    where: str
    text: str
    told: frozenset[str] = frozenset()

    def names(self) -> set[str]:
        """
        Tell the metrics of empath and of its process that it reads.
        """
        return {found[1] for found in _USED.finditer(_STRINGS.sub('""', self.text))}

    def labels(self) -> set[str]:
        """
        Tell the labels that it, and what stands beside it, has to find on them.
        """
        plain = _STRINGS.sub('""', self.text)
        matched = {label for found in _USED.finditer(plain) for label in _MATCHER.findall(found[2] or "")}
        grouped = {label.strip() for found in _BY.findall(plain) for label in found.split(",")}
        return (matched | grouped | self.told) - FROM_PROMETHEUS


def read_yaml(path: Path) -> Any:
    """
    Read a file of YAML.
    """
    return yaml.safe_load(path.read_text())


def rules() -> list[dict[str, Any]]:
    """
    Give the alerts in their order.
    """
    groups = read_yaml(DOCKER / "prometheus" / "alerts.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """
    Give the dashboard as Grafana reads it.
    """
    read: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return read


def expressions() -> Iterator[Expression]:
    """
    Give all PromQL that is shipped.
    """
    for rule in rules():
        told = re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))
        yield Expression(rule["alert"], rule["expr"], frozenset(told))
    board = dashboard()
    for panel in board["panels"]:
        for query in panel.get("targets", ()):
            if query["datasource"]["type"] == "prometheus":
                legend = frozenset(re.findall(r"\{\{\s*(\w+)\s*\}\}", query["legendFormat"]))
                yield Expression(panel["title"], query["expr"], legend)
    for each in board["annotations"]["list"]:
        yield Expression(each["name"], each["expr"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield Expression(f"${variable['name']}", variable["definition"])
    for source in read_yaml(DOCKER / "grafana" / "provisioning" / "datasources" / "datasources.yml")["datasources"]:
        for query in source["jsonData"].get("tracesToMetrics", {}).get("queries", ()):
            yield Expression(query["name"], query["query"])


def drawn() -> list[Expression]:
    """
    Give the queries of the dashboard's panels that are about empath's own figures.
    """
    panels = {panel["title"] for panel in dashboard()["panels"]}
    return [each for each in expressions() if each.where in panels and "$" in each.text]


def chosen(expression: Expression) -> str:
    """
    Put in what Grafana does for its variables.
    """
    text = expression.text.replace("$__rate_interval", "1m").replace("$job", "empath")
    return text.replace("$instance", ".*").replace("$domain", ".*")


def documented() -> Mapping[str, frozenset[str]]:
    """
    Tell the labels of each metric that docs/observability.md lists. A name that begins with "…" takes what it lacks
    from the one before it in its line.
    """
    found: dict[str, frozenset[str]] = {}
    for line in REFERENCE.read_text().splitlines():
        if not line.startswith("| `"):
            continue
        before = ""
        for name, labels in _DOCUMENTED.findall(line.split(" | ")[0]):
            whole = _completed(name, before)
            found[whole] = frozenset(filter(None, labels.split(",")))
            before = whole
    return found


def base(name: str) -> str:
    """
    Give the name of the metric that a sample of this name belongs to.
    """
    for suffix in OF_HISTOGRAMS:
        if name.endswith(suffix) and name.removesuffix(suffix).endswith(("_seconds", "_bytes", "_size", "_count")):
            return name.removesuffix(suffix)
    return name


def _completed(name: str, before: str) -> str:
    if not name.startswith("…"):
        return name
    rest = name.removeprefix("…")
    head = rest.removeprefix("_").split("_")[0]
    at = before.find(f"_{head}")
    return (before[:at] if at >= 0 else before.rsplit("_", rest.count("_"))[0]) + rest

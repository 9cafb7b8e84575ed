"""Alerts, runbooks, dashboards and metrics name each other rightly."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from credstream.audit import following
from credstream.gateway import app, inbox
from schemas.topology import Processor
from streams import metrics, views

ALERTS = yaml.safe_load((Path(__file__).parents[2] / "infra/prometheus/alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def known_metrics() -> set[str]:
    found = set()
    for module in (metrics, views, app, inbox, following):
        for value in vars(module).values():
            name = getattr(value, "_name", None)
            if isinstance(name, str) and name.startswith("credstream_"):
                found |= {name, f"{name}_total", f"{name}_bucket", f"{name}_count", f"{name}_sum", f"{name}_info"}
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r["alert"])
def test_an_alert_has_a_runbook_and_asks_for_metrics_that_exist(rule: dict[str, str], root: Path) -> None:
    assert (root / "docs" / "runbooks" / f"{rule['alert']}.md").is_file()
    assert set(re.findall(r"credstream_\w+", rule["expr"])) <= known_metrics()


def test_every_runbook_has_its_alert(root: Path) -> None:
    assert {p.stem for p in (root / "docs" / "runbooks").glob("*.md")} == {rule["alert"] for rule in RULES}


def test_the_grafana_dashboard_asks_for_metrics_that_exist(root: Path) -> None:
    board = json.loads((root / "infra/grafana/credstream.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert asked
    assert set(re.findall(r"credstream_\w+", " ".join(asked))) <= known_metrics()


def test_compose_starts_every_processor(root: Path) -> None:
    services = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    assert {"kafka", "postgres", "prometheus", "grafana", "gateway", *Processor} <= services.keys()


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs system package prometheus")
@pytest.mark.parametrize(
    "command",
    [["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]],
)
def test_promtool_accepts_configuration_and_alerts(command: list[str], root: Path) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=root / "infra/prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

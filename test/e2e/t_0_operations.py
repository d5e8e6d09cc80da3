"""docs/operations.md speaks of everything that somebody may see at night: alerts, metrics, event reasons, areas of reason codes. And of nothing else."""
import json
import re

import lint
from e2e import harness

ROOT = lint.ROOT
DOCUMENT = "docs/operations.md"
METRIC = r"(?:ccgpu|kbs|process)_[a-z0-9_]+"
# Programs whose WriteProcess() makes PREFIX_info.
PREFIXES = {"ccgpu_emulator", "ccgpu_device_plugin", "ccgpu_node_manager", "ccgpu_node_installer", "ccgpu_broker"}
NO_METRICS = {"ccgpu_vtpm", "kbs_cert"}  # literals that only look like one


def section(title):
    """The text below the heading of level two."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", lint.text_of(DOCUMENT), re.M | re.S)
    assert found, f"{DOCUMENT} has no section {title}"
    return found[1]


def rows(text):
    """First cells of a text's tables."""
    return [line.split("|")[1] for line in text.splitlines() if line.startswith("|") and not line.startswith(("|---", "| metric", "| reason", "| area"))]


def same(documented, real, what):
    assert documented == real, f"{what} that {DOCUMENT} lacks: {sorted(real - documented)}; that do not exist: {sorted(documented - real)}"


def test_each_alert_has_a_section_and_each_section_an_alert():
    alerts = {rule["alert"] for group in json.loads(harness.from_yaml(ROOT / "charts" / "ccgpu" / "files" / "alerts.yaml"))["groups"] for rule in group["rules"]}
    headings = re.findall(r"^### (Ccgpu\w+)\n((?:(?!^#).*\n)*)", section("Alerts"), re.M)
    same({name for name, _ in headings}, alerts, "alerts")
    for name, text in headings:
        for word in ("**Means**", "**Do**", "**Over**"):
            assert word in text, f"{name} says nothing of {word}"


def test_each_metric_is_explained():
    exported = {name for file in lint.cpp() for name in re.findall(rf'"({METRIC})"', lint.code_of(file))}
    assert PREFIXES <= exported, "a program no longer tells its version"
    exported = exported - PREFIXES - NO_METRICS | {f"{prefix}_info" for prefix in PREFIXES}
    text = section("Metrics")
    in_rows = {name for cell in rows(text) for name in re.findall(f"`({METRIC})`", cell)}
    same(in_rows | {name for name in re.findall(f"`({METRIC})`", text) if name.startswith("process_")}, exported, "metrics")


def reasons_in_code():
    pods = set(re.findall(r'\{"[a-z.-]+", "([A-Z][A-Za-z]+)", (?:true|false), Attested::', lint.code_of("node-manager/pods/outcome.cc")))
    pods |= set(re.findall(r'return \{true, "([A-Z][A-Za-z]+)", Attested::', lint.code_of("node-manager/pods/outcome.cc")))
    nodes, conditions = set(), set()
    for file in lint.cpp():
        if file.startswith("node-manager/"):
            nodes |= set(re.findall(r'Add\(\s*\{(?:true|false), "([A-Z][A-Za-z]+)"', lint.code_of(file)))
            conditions |= set(re.findall(r'\{?kNodeCondition, (?:true|false),\s*"([A-Z][A-Za-z]+)"', lint.code_of(file)))
    return pods, nodes, conditions


def test_each_event_reason_is_explained():
    pods, nodes, conditions = reasons_in_code()
    assert len(pods) > 8 and len(nodes) > 6 and len(conditions) > 3, (pods, nodes, conditions)
    text = section("Events and conditions")
    of_pods, of_nodes = text.split("### On nodes")
    tables = [{name for cell in rows(part) for name in re.findall(r"`([A-Z]\w+)`", cell)} for part in (of_pods, of_nodes)]
    same(tables[0], pods, "reasons of pods' events")
    same(tables[1], nodes, "reasons of nodes' events")
    for reason in conditions:
        assert f"`{reason}`" in of_nodes, f"{DOCUMENT} says nothing of the condition's reason {reason}"


def test_each_area_of_reason_codes_is_somebodys_matter():
    areas = {code.split(".")[0] for code in lint.documented_codes()}
    table = [area for cell in rows(section("Reason codes")) for area in re.findall(r"`([a-z0-9]+)`", cell)]
    assert len(table) == len(set(table)), "an area stands twice"
    same(set(table), areas, "areas")


def test_each_label_is_explained():
    labels = set(re.findall(r'"(ccgpu\.dev/(?!node-manager)[A-Za-z.-]+)"', lint.code_of("kube/names.h")))
    text = lint.text_of(DOCUMENT)
    missing = {label for label in labels if label not in text and label.split("/")[1] not in text}
    assert not missing, f"{DOCUMENT} says nothing of {missing}"


def test_codes_that_the_text_names_exist():
    codes, text = set(lint.documented_codes()), lint.text_of(DOCUMENT)
    areas = {code.split(".")[0] for code in codes}
    named = {code for code in re.findall(rf"`({lint.CODE})`", text) if code.split(".")[0] in areas and not code.endswith((".md", ".yaml"))}
    values = {"emulator.gpus"}  # of the chart
    assert not named - codes - values, f"no such codes: {sorted(named - codes - values)}"

"""Alert rules, dashboard and the metrics that they speak of: promtool judges, and every name must really be exported."""
import json
import pathlib
import re
import tempfile

from e2e import harness
from foreign import grafana

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ALERTS = ROOT / "charts" / "ccgpu" / "files" / "alerts.yaml"
DASHBOARD = ROOT / "charts" / "ccgpu" / "files" / "dashboard.json"

NODE = 'node="n1"'
ATTEST = 'ccgpu_broker_refusals_total{route="/kbs/v0/attest",code="%s"}'
RESOURCE = 'ccgpu_broker_refusals_total{route="/kbs/v0/resource/",code="%s"}'
BUCKETS = ("0.001", "0.25", "1", "2.5", "10", "+Inf")


def histogram(name, labels, fast, slow):
    """Rates a minute: observations up to 1 ms, and those of 2.5 to 10 s."""
    out = {}
    for bound in BUCKETS:
        rate = fast + (slow if bound in ("10", "+Inf") else 0)
        out[f'{name}_bucket{{{labels}le="{bound}"}}'] = f"0+{rate}x60"
    return out


HEALTHY_GPU = f'ccgpu_device_plugin_device_healthy{{{NODE},uuid="GPU-1",index="0",mode="hopper-cc",reason=""}}'


def gpu(reason):
    return HEALTHY_GPU.replace('reason=""', f'reason="{reason}"')


# Per alert: series (one sample a minute) with which it fires within the hour, and series with which it must not. _ is no sample.
CASES = {
    "CcgpuGpuUnhealthy": ([{gpu("plugin.mode-not-allowed"): "0x60"}], [{HEALTHY_GPU: "1x60"}, {gpu("gpu.link-down"): "0x60"}, {gpu("plugin.mode-not-allowed"): "0 _x59"}]),
    "CcgpuGpuLost": ([{gpu(reason): "0x60"} for reason in ("gpu.link-down", "gpu.hang", "gpu.session-lost")], [{HEALTHY_GPU: "1x60"}, {gpu("plugin.emulator-gone"): "0x60"}]),
    "CcgpuSpdmSessionsLost": ([{f"ccgpu_emulator_spdm_sessions_lost_total{{{NODE}}}": "0x56 1x3"}], [{f"ccgpu_emulator_spdm_sessions_lost_total{{{NODE}}}": "5x60"}]),
    "CcgpuLaunchesRefused": ([{f'ccgpu_emulator_launches_refused_total{{{NODE},code="gpu.held"}}': "_x57 1x3"}, {f'ccgpu_emulator_launches_refused_total{{{NODE},code="gpu.held"}}': "3x57 4x3"}],
                             [{f'ccgpu_emulator_launches_refused_total{{{NODE},code="gpu.held"}}': "3x60"}, {f'ccgpu_emulator_launches_refused_total{{{NODE},code="gpu.held"}}': "_x20 1x40"}]),
    "CcgpuEmulatorDown": ([{f"ccgpu_device_plugin_emulator_connected{{{NODE}}}": "0x60"}], [{f"ccgpu_device_plugin_emulator_connected{{{NODE}}}": "1x60"}]),
    "CcgpuDevicePluginDown": ([{f"ccgpu_emulator_info{{{NODE}}}": "1x60", 'ccgpu_device_plugin_info{node="n2"}': "1x60"}],
                              [{f"ccgpu_emulator_info{{{NODE}}}": "1x60", f"ccgpu_device_plugin_info{{{NODE}}}": "1x60"}, {}]),
    "CcgpuDevicePluginNotRegistered": ([{f"ccgpu_device_plugin_registered{{{NODE}}}": "0x60"}], [{f"ccgpu_device_plugin_registered{{{NODE}}}": "1x58 0x2"}]),
    "CcgpuAllocationsRefused": ([{f'ccgpu_device_plugin_allocations_total{{{NODE},result="refused"}}': "0x57 1x3"}],
                                [{f'ccgpu_device_plugin_allocations_total{{{NODE},result="refused"}}': "7x60", f'ccgpu_device_plugin_allocations_total{{{NODE},result="ok"}}': "0+9x60"}]),
    "CcgpuAllocateSlow": ([histogram("ccgpu_device_plugin_allocate_seconds", NODE + ",", 10, 10)], [histogram("ccgpu_device_plugin_allocate_seconds", NODE + ",", 10, 0)]),
    "CcgpuResolverFailing": ([{f'ccgpu_device_plugin_resolver_requests_total{{{NODE},result="failed"}}': "0x57 1x3"}], [{f'ccgpu_device_plugin_resolver_requests_total{{{NODE},result="ok"}}': "0+1x60"}]),
    "CcgpuInstallerFailed": ([{f"ccgpu_node_installer_installed{{{NODE}}}": "0x60"}, {f'ccgpu_node_installer_failures_total{{{NODE},code="x.y"}}': "0+1x60"}],
                             [{f"ccgpu_node_installer_installed{{{NODE}}}": "1x60", f'ccgpu_node_installer_failures_total{{{NODE},code="x.y"}}': "2x60"}]),
    "CcgpuModeSwitchFailed": ([{f'ccgpu_node_manager_mode_switches_total{{{NODE},result="failed"}}': "_x55 1x5"}, {f'ccgpu_node_manager_mode_switches_total{{{NODE},result="failed"}}': "1x55 2x5"}],
                              [{f'ccgpu_node_manager_mode_switches_total{{{NODE},result="failed"}}': "1x60"}, {f'ccgpu_node_manager_mode_switches_total{{{NODE},result="ok"}}': "0+1x60"}]),
    "CcgpuApiErrors": ([{f'ccgpu_node_manager_api_errors_total{{{NODE},code="kube.unavailable"}}': "0+30x60"}], [{f'ccgpu_node_manager_api_errors_total{{{NODE},code="kube.conflict"}}': "0+1x60"}]),
    "CcgpuNodeManagerDown": ([{f"ccgpu_emulator_info{{{NODE}}}": "1x60"}], [{f"ccgpu_emulator_info{{{NODE}}}": "1x60", f"ccgpu_node_manager_info{{{NODE}}}": "1x60"}, {}]),
    "CcgpuBrokerDown": ([{}, {"ccgpu_broker_info": "1x40 stale"}], [{"ccgpu_broker_info": "1x60"}]),
    "CcgpuBrokerInternalErrors": ([{'ccgpu_broker_internal_errors_total{code="store.failed"}': "_x57 1x3"}, {'ccgpu_broker_internal_errors_total{code="store.failed"}': "1x57 2x3"}],
                                  [{'ccgpu_broker_internal_errors_total{code="store.failed"}': "2x60"}]),
    "CcgpuEvidenceRefused": ([{ATTEST % "snp.signature": "_x57 1x3"}, {ATTEST % "snp.signature": "1x57 2x3"}], [{ATTEST % "snp.signature": "4x60"}, {ATTEST % "session.expired": "0+1x60"}, {RESOURCE % "release.gpu-count": "0+1x60"}]),
    "CcgpuReleasesDenied": ([{RESOURCE % "release.gpu-count": "_x57 1x3"}, {RESOURCE % "release.host-data": "1x57 2x3"}], [{RESOURCE % "release.gpu-count": "1x60"}, {RESOURCE % "session.none": "0+1x60"}]),
    "CcgpuRefusalsSpike": ([{ATTEST % "a.b": "0+1x55 60+10x5"}], [{ATTEST % "a.b": "0+1x60"}, {ATTEST % "a.b": "0+10x60"}, {ATTEST % "a.b": "0x57 10x3"}]),
    "CcgpuKeyReleaseSlow": ([histogram("ccgpu_broker_http_request_seconds", 'route="/kbs/v0/resource/",method="GET",', 10, 5)],
                            [histogram("ccgpu_broker_http_request_seconds", 'route="/kbs/v0/resource/",method="GET",', 10, 0), histogram("ccgpu_broker_http_request_seconds", 'route="/kbs/v0/attest",method="POST",', 10, 5)]),
    "CcgpuHandshakeSlow": ([histogram("ccgpu_broker_handshake_seconds", "", 10, 10)], [histogram("ccgpu_broker_handshake_seconds", "", 10, 0)]),
    # promtool's time begins at 0, and the last look is at 3600 s.
    "CcgpuCollateralNearExpiry": ([{'ccgpu_broker_collateral_expires_timestamp_seconds{kind="rim"}': "500000x60"}, {'ccgpu_broker_collateral_expires_timestamp_seconds{kind="ocsp"}': "4000x60"}],
                                  [{'ccgpu_broker_collateral_expires_timestamp_seconds{kind="rim"}': "700000x60", 'ccgpu_broker_collateral_expires_timestamp_seconds{kind="ocsp"}': "7000x60"}]),
    "CcgpuCollateralUnavailable": ([{'ccgpu_broker_collateral_fetches_total{kind="rim",result="failed"}': "0+1x60"}], [{'ccgpu_broker_collateral_fetches_total{kind="rim",result="ok"}': "0+1x60"}]),
    "CcgpuBrokerCertificateNearExpiry": ([{"ccgpu_broker_tls_certificate_expires_timestamp_seconds": "1000000x60"}], [{"ccgpu_broker_tls_certificate_expires_timestamp_seconds": "3000000x60"}]),
    "CcgpuLedgerDiskNearlyFull": ([{"ccgpu_broker_state_free_bytes": "9x60", "ccgpu_broker_state_size_bytes": "100x60"}], [{"ccgpu_broker_state_free_bytes": "50x60", "ccgpu_broker_state_size_bytes": "100x60"}]),
}


def fetch(resource):
    """As harness.fetch, when the agent answers: on a busy machine the container is up before it."""
    return "while wget -O /dev/null http://127.0.0.1:8006/ 2>&1 | grep -q \"can't connect\"; do sleep 0.1; done; " + harness.fetch(resource)


def rules():
    groups = json.loads(harness.from_yaml(ALERTS))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def names_in(expression):
    """Metric names of an expression."""
    return set(re.findall(r"\b((?:ccgpu|kbs|process)_[a-z0-9_]+)\b", expression))


def family_of(name):
    return re.sub(r"_(bucket|sum|count)$", "", name)


def dashboard():
    return json.loads(DASHBOARD.read_text())


def panels(board=None):
    for panel in (board or dashboard())["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions():
    for panel in panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$node", ".*").replace("$namespace", ".*")


def test_promtool_accepts_the_rules():
    code, said = harness.promtool("check", "rules", ALERTS)
    assert code == 0, said


def test_each_alert_says_how_bad_it_is_and_what_to_do():
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        for annotation in ("summary", "description"):
            assert rule["annotations"][annotation], name
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}", name
    headings = [line.lstrip("# ").strip().lower() for line in (ROOT / "docs" / "operations.md").read_text().splitlines() if line.startswith("#")]
    missing = [name for name in rules() if name.lower() not in headings]
    assert not missing, f"docs/operations.md has no section for {missing}"


def test_each_alert_fires_on_its_series_and_is_silent_on_others():
    assert set(CASES) == set(rules()), "each alert needs a case here"
    tests = []
    for name, (fires, silent) in CASES.items():
        for wanted, cases in ((True, fires), (False, silent)):
            assert cases, name
            for series in cases:
                samples = [{"labels": "{}", "value": 1}] if wanted else []
                tests.append({"name": f"{name} {'fires' if wanted else 'is silent'}: {series}", "interval": "1m",
                              "input_series": [{"series": one, "values": values} for one, values in {**series, "unrelated": "0x60"}.items()],
                              "promql_expr_test": [{"expr": f'clamp_max(count(ALERTS{{alertname="{name}",alertstate="firing"}}), 1)', "eval_time": "1h", "exp_samples": samples}]})
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "test.yaml")
        file.write_text(harness.to_yaml({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
        code, said = harness.promtool("test", "rules", file)
    assert code == 0, said


def test_the_healthy_world_is_silent():
    """All silent series of all alerts at once, as one machine that works has them."""
    series = {f"ccgpu_emulator_info{{{NODE}}}": "1x60", f"ccgpu_device_plugin_info{{{NODE}}}": "1x60", f"ccgpu_node_manager_info{{{NODE}}}": "1x60", HEALTHY_GPU: "1x60", f"ccgpu_device_plugin_registered{{{NODE}}}": "1x60", f"ccgpu_device_plugin_emulator_connected{{{NODE}}}": "1x60",
              "ccgpu_broker_info": "1x60", "ccgpu_broker_state_free_bytes": "50x60", "ccgpu_broker_state_size_bytes": "100x60", "ccgpu_broker_tls_certificate_expires_timestamp_seconds": "3000000x60",
              'ccgpu_broker_collateral_expires_timestamp_seconds{kind="rim"}': "700000x60", f"ccgpu_node_installer_installed{{{NODE}}}": "1x60", ATTEST % "session.expired": "0+0.1x60",
              **histogram("ccgpu_broker_handshake_seconds", "", 10, 0), **histogram("ccgpu_device_plugin_allocate_seconds", NODE + ",", 10, 0)}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "test.yaml")
        test = {"interval": "1m", "input_series": [{"series": one, "values": values} for one, values in series.items()], "promql_expr_test": [{"expr": "count by (alertname) (ALERTS)", "eval_time": "1h", "exp_samples": []}]}
        file.write_text(harness.to_yaml({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
        code, said = harness.promtool("test", "rules", file)
    assert code == 0, said


def test_the_dashboard_is_one_that_grafana_takes():
    board = dashboard()
    assert board["schemaVersion"] >= 38 and board["uid"] and board["title"]
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids)), "panel ids stand twice"
    rows = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert rows == ["Fleet", "Attestation", "Keys", "GPUs", "Latency"], rows
    places = set()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in places, f"{panel['title']} lies over another panel"
                places.add((x, y))
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], f"{panel['title']} has no unit"
        refs = [target["refId"] for target in panel["targets"]]
        assert refs and len(refs) == len(set(refs)), panel["title"]


def test_grafanas_own_model_knows_all_that_the_dashboard_says():
    assert not (lost := grafana.unknown(dashboard())), lost
    board = dashboard()
    panel = next(number for number, one in enumerate(board["panels"]) if one["type"] == "timeseries")
    board["refersh"] = "1m"
    board["panels"][panel]["targets"][0]["exprr"] = "up"
    board["panels"][panel]["fieldConfig"]["defaults"]["unti"] = "s"
    assert sorted(grafana.unknown(board)) == sorted(["/refersh", f"/panels/{panel}/targets/0/exprr", f"/panels/{panel}/fieldConfig/defaults/unti"])


def test_each_expression_of_the_dashboard_parses():
    wrapped = {"groups": [{"name": "dashboard", "rules": [{"record": f"dashboard:expression:{number}", "expr": expression} for number, (_, expression) in enumerate(expressions())]}]}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "rules.yaml")
        file.write_text(harness.to_yaml(wrapped))
        code, said = harness.promtool("check", "rules", file)
    assert code == 0, said


def exported():
    """Names in /metrics of the programs that run, and names that programs of clusters write into theirs."""
    node = harness.shared(gpus=2)
    sealed = node.seal(harness.pod("counted", fetch("default/counted/key") + " >/dev/null"))
    node.put_secret("default/counted/key", "value", sealed)
    result = node.run(sealed)
    assert result.code == 0, result
    node.remove("counted")
    texts = {"emulator": scrape(node, "emulator"), "device-plugin": scrape(node, "device-plugin"), "broker": scrape(node, "broker")}
    return texts


def scrape(node, part):
    import ssl
    import urllib.request
    daemon = {one["name"]: one for one in json.loads((node.state / "run" / "daemons.json").read_text())}
    if part == "emulator":
        url, context = (node.state / "run" / "emulator.ready").read_text().strip() + "/metrics", None
    else:
        command = pathlib.Path(f"/proc/{daemon[f'ccgpu-{part}']['pid']}/cmdline").read_text().split("\0")
        if part == "device-plugin":
            address = command[command.index("--http") + 1] if "--http" in command else config_value(command, "http:")
            url, context = f"http://{address}/metrics", None
        else:
            url = "https://" + (node.state / "broker" / "ready").read_text().split()[1] + "/metrics"
            context = ssl.create_default_context(cafile=str(node.state / "broker" / "tls" / "ca.crt"))
            context.check_hostname = False
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), part
        return answer.read().decode()


def config_value(command, key):
    text = pathlib.Path(command[command.index("--config") + 1]).read_text()
    return re.search(r"^\s*" + re.escape(key) + r"\s*\"?([^\"\s]+)", text, re.M)[1]


def test_promtool_accepts_what_each_program_exports():
    for part, text in exported().items():
        code, said = harness.promtool("check", "metrics", stdin=text)
        assert code == 0, f"{part}: {said}"
        families = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
        assert len(families) == len({name for name, _ in families}), f"{part}: a family stands twice"
        assert all(name.startswith(("ccgpu_", "kbs_", "process_")) for name, _ in families), part
        assert re.search(rf'^ccgpu_{part.replace("-", "_")}_info{{version="[0-9.]+"}} 1$', text, re.M), part


def test_each_metric_that_rules_and_dashboard_name_is_exported():
    live = {name for text in exported().values() for name in re.findall(r"^# TYPE (\S+) ", text, re.M)}
    # What runs only in clusters: the names in its source; test/e2e's cluster tests scrape the programs themselves.
    clusters = {name for folder in ("node-manager", "node-installer") for path in (ROOT / folder).rglob("*.cc") if not path.name.endswith("_test.cc")
                for name in re.findall(r'"(ccgpu_[a-z0-9_]+)"', path.read_text())}
    clusters |= {name + "_info" for name in ("ccgpu_node_manager", "ccgpu_node_installer") if name in clusters}  # metrics::WriteProcess
    wanted = {}
    for name, rule in rules().items():
        for metric in names_in(rule["expr"]):
            wanted.setdefault(family_of(metric) if family_of(metric) in live | clusters else metric, name)
    for title, expression in expressions():
        for metric in names_in(expression):
            wanted.setdefault(family_of(metric) if family_of(metric) in live | clusters else metric, title)
    missing = {metric: by for metric, by in wanted.items() if metric not in live | clusters}
    assert not missing, f"nobody exports {missing}"


def test_the_counts_are_right_after_one_pod():
    node = harness.Node(gpus=1)
    sealed = node.seal(harness.pod("one", fetch("default/one/key") + " >/dev/null"))
    node.put_secret("default/one/key", "value", sealed)
    assert node.run(sealed).code == 0
    other = node.seal(harness.pod("two", fetch("default/one/key") + " >/dev/null"))
    node.run(other)
    broker, emulator, plugin = (scrape(node, part) for part in ("broker", "emulator", "device-plugin"))
    for line in ('ccgpu_broker_attestations_total{tee="snp",environment="emulated",result="accepted"} 2', "ccgpu_broker_releases_total 1", "ccgpu_broker_handshake_seconds_count 1",
                 'ccgpu_broker_refusals_total{route="/kbs/v0/resource/",code="release.host-data"} 1', "ccgpu_broker_resources 1"):
        assert line + "\n" in broker, f"{line} is not in\n{broker}"
    for line in ("ccgpu_emulator_launches_total 2", "ccgpu_emulator_spdm_sessions_total 2", "ccgpu_emulator_gpus_healthy 1"):
        assert line + "\n" in emulator, f"{line} is not in\n{emulator}"
    for line in ("ccgpu_device_plugin_registered 1", 'ccgpu_device_plugin_allocations_total{result="ok"} 2', 'ccgpu_device_plugin_resolver_requests_total{result="failed"} 0'):
        assert line + "\n" in plugin, f"{line} is not in\n{plugin}"

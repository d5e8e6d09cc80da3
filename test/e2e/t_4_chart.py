"""The Helm chart without a cluster: every value counts, wrong ones are refused by name, nobody has more rights than needed."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import tempfile

import yaml

from e2e import api_server, harness
from e2e.chart_values import ENABLES, EXAMPLES, HOST_PATH, HOST_PATHS, MONITORED, RIGHTS, RIGHTS_TO_ENABLE

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "ccgpu"
RELEASE = ("ccgpu", "--namespace", "ccgpu-system")
PRIVILEGED = {"emulator", "node-installer"}
WORKLOADS = ("DaemonSet", "Deployment", "Job")
# What the setup Job makes; everything else that is named must be in the chart.
MADE_BY_SETUP = {("Secret", "ccgpu-identity"), ("Secret", "ccgpu-broker"), ("ConfigMap", "ccgpu-trust")}
# Kubernetes' own words, and ports.
SAYS_ITSELF = {"port", "podAnnotations", "podLabels", "resources", "nodeSelector", "affinity", "tolerations", "labels", "interval", "priorityClassName"}


def helm(*arguments, values=None):
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, HOME=home, HELM_CONFIG_HOME=home, HELM_CACHE_HOME=home, HELM_DATA_HOME=home)
        words = [api_server.tool("helm"), *map(str, arguments)] + (["--values", "-"] if values is not None else [])
        done = subprocess.run(words, env=env, input=json.dumps(values), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        return harness.Result(done.returncode, done.stdout, done.stderr)


def render(values=None):
    result = helm("template", *RELEASE, CHART, values=values or {})
    assert result.code == 0, result
    return [document for document in yaml.safe_load_all(result.out) if document]


def nested(path, value, beside=None):
    out = json.loads(json.dumps(beside or {}))
    at = out
    *parents, last = path.split(".")
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = value
    return out


def component(document):
    return document["metadata"]["labels"]["app.kubernetes.io/component"]


def pods(documents):
    """(workload, its pod's spec) of everything that runs."""
    return [(document, document["spec"]["template"]["spec"]) for document in documents if document["kind"] in WORKLOADS]


def containers(documents):
    for document, spec in pods(documents):
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield f"{document['kind']} {document['metadata']['name']}, container {container['name']}", document, spec, container


def everything():
    """The default, and the chart with every option on that adds objects or containers."""
    return [render(), render({**MONITORED, **HOST_PATH, "emulator": {"customProfile": "kind: GpuProfile"}, "devicePlugin": {"mode": "watcher"}})]


def leaves(schema, definitions, path=""):
    """Paths of the schema's values: where the chart's own structure ends."""
    for name, part in schema["properties"].items():
        if "properties" in part and f"{path}{name}" != "podSecurityContext":
            yield from leaves(part, definitions, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def schema():
    return json.loads((CHART / "values.schema.json").read_text())


def test_helm_has_nothing_to_say():
    result = helm("lint", "--strict", CHART)
    assert result.code == 0 and "[WARNING]" not in result.out, result


def test_the_version_is_the_project_s():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r"project\(ccgpu VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert chart["appVersion"] == version and chart["version"] == version, (chart, version)


def test_values_schema_and_examples_name_the_same_keys():
    known = set(leaves(schema(), schema()["definitions"])) - {"global"}
    default = yaml.safe_load((CHART / "values.yaml").read_text())
    for path in known:
        at = default
        for word in path.split("."):
            assert word in at, f"values.yaml has no {path}"
            at = at[word]
    result = helm("template", *RELEASE, CHART, values=default)
    assert result.code == 0, f"values.yaml has what the schema does not know: {result}"
    assert known == set(EXAMPLES), known ^ set(EXAMPLES)


def test_each_value_is_explained():
    lines, silent = (CHART / "values.yaml").read_text().splitlines(), []
    for number, line in enumerate(lines):
        key = re.match(r" *(\w+):", line)
        if not key or key[1] in SAYS_ITSELF or line.strip().endswith(":") or re.match(r"\s*(- )?(key|operator|effect|requests|limits|cpu|memory)\b", line):
            continue
        above = number - 1
        while above >= 0 and lines[above].strip() and not lines[above].strip().startswith("#") and not re.match(r"\w+:$", lines[above]):
            above -= 1
        if above < 0 or not (lines[above].strip().startswith("#") or (above > 0 and lines[above - 1].startswith("#"))):
            silent.append(line.strip())
    assert not silent, silent


def test_the_schema_allows_only_what_it_names():
    def look(part, where):
        if not isinstance(part, dict):
            return
        if part.get("type") == "object" and "properties" in part:
            assert part.get("additionalProperties") is False, where
        for key, value in part.items():
            look(value, f"{where}/{key}")
    look(schema(), "")
    assert schema()["$schema"].startswith("http://json-schema.org/draft-07/")


def test_each_wrong_value_is_refused_with_its_key():
    wrong = {}
    for path, example in EXAMPLES.items():
        part = nested(path, example[1])
        at = wrong
        for word in path.split(".")[:-1]:
            part, at = part[word], at.setdefault(word, {})
        at.update(part)
    unknown = json.loads(json.dumps(wrong))
    result = helm("template", *RELEASE, CHART, values=wrong)
    assert result.code != 0, "every value was wrong, and helm took them"
    accepted = [path for path in EXAMPLES if not re.search(rf"at '/{path.replace('.', '/')}(/[^']*)?'", result.err)]
    assert not accepted, f"not refused: {accepted}\n{result.err}"
    for section, value in [("", unknown), *((name, part) for name, part in schema()["properties"].items() if "properties" in part)]:
        result = helm("template", *RELEASE, CHART, values=nested(f"{section}.typo" if section else "typo", 1))
        assert result.code != 0 and "'typo' not allowed" in result.err, f"{section}.typo was taken: {result}"


def test_each_value_reaches_the_cluster():
    def idle(path):
        value, _, *beside = EXAMPLES[path]
        beside = beside[0] if beside else {}
        before, after = (helm("template", *RELEASE, CHART, values=values) for values in (beside, nested(path, value, beside)))
        assert before.code == 0 and after.code == 0, after
        return path if before.out == after.out else None
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        unused = list(filter(None, pool.map(idle, EXAMPLES)))
    assert not unused, f"values that change nothing: {unused}"


def test_nothing_runs_on_a_node_that_nobody_labelled():
    for documents in (render(), render({"nodeSelector": {"ccgpu.dev/enabled": "false"}})):
        daemons = [spec for document, spec in pods(documents) if document["kind"] == "DaemonSet"]
        assert len(daemons) == 4 and all(spec["nodeSelector"]["ccgpu.dev/enabled"] == "true" for spec in daemons), daemons
        assert all(spec["priorityClassName"] == "system-node-critical" for spec in daemons)
        runtime = next(document for document in documents if document["kind"] == "RuntimeClass")
        assert runtime["handler"] == "ccgpu" and runtime["scheduling"]["nodeSelector"] == {"ccgpu.dev/ready": "true"} and runtime["overhead"]["podFixed"]


def test_containers_have_resources_probes_and_no_privilege_that_they_need_not():
    for documents in everything():
        for where, document, spec, container in containers(documents):
            security, part = container["securityContext"], component(document)
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, where
            assert "memory" in container["resources"].get("limits", {}) or part == "emulator", f"{where}: no memory limit"
            assert security["readOnlyRootFilesystem"] is True, where
            if part in PRIVILEGED:
                assert security["privileged"] is True, f"{where}: is not privileged any more: take it off the list"
            else:
                assert not security.get("privileged") and security["allowPrivilegeEscalation"] is False, where
                assert security["capabilities"]["drop"] == ["ALL"] and security["seccompProfile"] == {"type": "RuntimeDefault"}, where
                assert security["capabilities"].get("add", []) == (["CHOWN"] if container["name"] == "own-folder" else []), where
            if part in ("broker", "setup", "teardown") and container["name"] != "own-folder":
                assert security["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] == 65532, where
            if container.get("ports"):
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    assert container[probe]["httpGet"]["port"] in [port["name"] for port in container["ports"]], f"{where}: {probe}"
            assert ("ports" in container) == (document["kind"] != "Job" and container in spec["containers"]), where


def test_pods_reach_no_further_into_the_node_than_they_say():
    for documents, watcher in zip(everything(), (False, True)):
        for document, spec in pods(documents):
            part = component(document)
            assert not spec.get("hostNetwork") and not spec.get("hostIPC"), part
            assert bool(spec.get("hostPID")) == (part in PRIVILEGED), part
            paths = {volume["hostPath"]["path"] for volume in spec.get("volumes", []) if "hostPath" in volume}
            more = {"device-plugin": {"/var/lib/kubelet/plugins_registry"}, "broker": {"/var/lib/ccgpu/broker"}}.get(part, set()) if watcher else set()
            assert paths == HOST_PATHS[part] | more, (part, paths)
            assert spec["enableServiceLinks"] is False and spec["automountServiceAccountToken"] == (part in RIGHTS), part
            assert {"key": "ccgpu.dev/cc-mode-switch", "operator": "Exists"} in spec.get("tolerations", []) or document["kind"] != "DaemonSet", part
            mounted = {mount["name"] for container in spec.get("initContainers", []) + spec["containers"] for mount in container.get("volumeMounts", [])}
            assert mounted == {volume["name"] for volume in spec.get("volumes", [])}, (part, mounted)


def test_each_privilege_has_its_reason_beside_it():
    found = 0
    for path in (CHART / "templates").glob("*"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            wanted = re.match(r"\s*add: \[(.*)\]", line)
            if not wanted and not re.match(r"\s*(privileged: true|hostPID: true|type: Unconfined|runAsUser: 0)", line) and "(dict \"runAsUser\" 0" not in line:
                continue
            found += 1
            above = []
            for earlier in reversed(lines[max(0, number - 12):number]):
                if earlier.strip().startswith("#"):
                    above.append(earlier)
            assert above, f"{path.name}:{number + 1}: {line.strip()} without a reason"
            for capability in (wanted[1].split(", ") if wanted else []):
                assert f"# {capability}:" in " ".join(above), f"{path.name}:{number + 1}: why {capability}?"
    assert found >= 8, found


def test_rights_in_the_cluster_are_the_ones_written_down():
    for documents in [*everything(), render(ENABLES)]:
        rights = {}
        for document in documents:
            for rule in document.get("rules", []) if document["kind"] in ("Role", "ClusterRole") else []:
                assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], document["metadata"]["name"]
                for resource in rule["resources"]:
                    rights.setdefault(component(document), set()).update((resource, verb, tuple(rule.get("resourceNames", []))) for verb in rule["verbs"])
        enables = any("--enable-node=" in word for _, _, _, container in containers(documents) for word in container.get("args", []))
        assert rights == (dict(RIGHTS, setup=RIGHTS["setup"] | RIGHTS_TO_ENABLE) if enables else RIGHTS), rights
        accounts = {document["metadata"]["name"] for document in documents if document["kind"] == "ServiceAccount"}
        roles = {(document["kind"], document["metadata"]["name"]) for document in documents if document["kind"] in ("Role", "ClusterRole")}
        for document in documents:
            if document["kind"] in ("RoleBinding", "ClusterRoleBinding"):
                assert (document["roleRef"]["kind"], document["roleRef"]["name"]) in roles, document
                assert [subject["name"] for subject in document["subjects"]] == [document["metadata"]["name"]] and document["metadata"]["name"] in accounts
        assert {spec["serviceAccountName"] for _, spec in pods(documents)} <= accounts


def test_the_device_plugin_is_replaced_either_way():
    for surge, unavailable in ((1, 0), (0, 1), ("10%", 0)):
        daemon = next(document for document, _ in pods(render(nested("devicePlugin.maxSurge", surge))) if component(document) == "device-plugin")
        assert daemon["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": unavailable}


def test_no_secret_passes_through_helm():
    for documents in everything():
        assert not [document for document in documents if document["kind"] == "Secret"]


def test_what_is_named_exists():
    for documents in everything():
        known = MADE_BY_SETUP | {(document["kind"], document["metadata"]["name"]) for document in documents}
        for document, spec in pods(documents):
            for volume in spec.get("volumes", []):
                for kind, field, name in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name"), ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName")):
                    assert field not in volume or (kind, volume[field][name]) in known, volume
        labels = [document["spec"]["template"]["metadata"]["labels"] for document, _ in pods(documents)]
        for document in documents:
            selector = document.get("spec", {}).get("selector") if document["kind"] == "Service" else document.get("spec", {}).get("podSelector", {}).get("matchLabels")
            if document["kind"] in ("Service", "NetworkPolicy"):
                assert len([pod for pod in labels if selector.items() <= pod.items()]) == 1, document


def test_names_are_short_enough_and_a_second_name_is_consistent():
    result = helm("template", "a" * 53, CHART, "--namespace", "x", values={"nameOverride": "b" * 39})
    assert result.code == 0, result
    documents = [document for document in yaml.safe_load_all(result.out) if document]
    assert all(len(document["metadata"]["name"]) <= 63 for document in documents)
    assert all(len(value) <= 63 for document in documents for value in document["metadata"]["labels"].values())


def test_hooks_run_before_and_leave_nothing():
    hooks = {}
    for document in render():
        if "helm.sh/hook" in document["metadata"].get("annotations", {}):
            annotations = document["metadata"]["annotations"]
            assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded", document
            hooks.setdefault(annotations["helm.sh/hook"], []).append((int(annotations["helm.sh/hook-weight"]), document["kind"]))
    assert hooks.keys() == {"pre-install,pre-upgrade", "pre-delete"}, hooks
    for order in hooks.values():
        assert sorted(order)[-1] == (0, "Job") and (-10, "ServiceAccount") in order, order


def test_the_chart_can_be_packed():
    with tempfile.TemporaryDirectory() as folder:
        assert helm("package", CHART, "--destination", folder).code == 0
        packed, = pathlib.Path(folder).glob("*.tgz")
        result = helm("template", *RELEASE, packed, values=MONITORED)
        assert result.code == 0 and len(list(yaml.safe_load_all(result.out))) >= len(render(MONITORED)), result


def test_notes_tell_the_next_step():
    result = helm("install", *RELEASE, CHART, "--dry-run=client", values={"broker": {"insecureAcceptEmulated": True, "persistence": {"type": "emptyDir"}}})
    assert result.code == 0, result
    notes = result.out.split("NOTES:", 1)[1]
    for words in ("kubectl label node NODE ccgpu.dev/enabled=true", "kubectl apply", "WARNING: broker.insecureAcceptEmulated", "WARNING: broker.persistence.type"):
        assert words in notes, notes
    result = helm("install", *RELEASE, CHART, "--dry-run=client", values=ENABLES)
    assert "enabled on every node" in result.out and "kubectl label node" not in result.out.split("NOTES:", 1)[1], result


def test_alerts_and_dashboard_are_those_of_the_files():
    documents = render(MONITORED)
    rules = next(document for document in documents if document["kind"] == "PrometheusRule")
    assert rules["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    dashboard = next(document for document in documents if document["kind"] == "ConfigMap" and component(document) == "dashboard")
    assert json.loads(dashboard["data"]["ccgpu.json"]) == json.loads((CHART / "files" / "dashboard.json").read_text())
    monitors = [component(document) for document in documents if document["kind"] in ("PodMonitor", "ServiceMonitor")]
    assert sorted(monitors) == ["broker", "device-plugin", "emulator", "node-installer", "node-manager"], monitors
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(rules["spec"], file)
        file.flush()
        code, said = harness.promtool("check", "rules", file.name)
    assert code == 0 and "SUCCESS" in said, said


def test_programs_know_the_flags_that_they_are_given():
    unknown = []
    told = nested("devicePlugin.allowedModes", ["apm"], nested("nodeInstaller.restartCommand", "x", nested("ccManager.defaultMode", "on", nested("broker.peerLimits", {"burst": 5}, ENABLES))))
    for documents in everything() + [render(nested("broker.insecureAcceptEmulated", True, told))]:
        for where, _, _, container in containers(documents):
            if not container["command"][0].startswith("/usr/local/bin/"):
                continue
            program = harness.BUILD / "bin" / pathlib.PurePath(container["command"][0]).name
            if not program.exists():
                raise harness.Skip(f"NO PROGRAM {program.name}: ./run build first")
            words = [word for word in container["args"] if not word.startswith("-")]
            said = "".join(subprocess.run([program, *some, "--help"], stdout=subprocess.PIPE, text=True, timeout=20).stdout for some in ([], words))
            unknown += [f"{where}: {program.name} {' '.join(words)} knows no {flag}" for flag in (word.split("=")[0] for word in container["args"] if word.startswith("-"))
                        if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", said)]
    assert not unknown, "\n".join(unknown)


def test_a_real_api_server_takes_everything_and_finds_little_to_warn_of():
    with api_server.started() as api:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ccgpu-system", "labels": {"pod-security.kubernetes.io/warn": "restricted"}}}
        assert api.kubectl("create", "-f", "-", stdin=json.dumps(namespace)).code == 0
        for documents in everything():
            known = [document for document in documents if not document["apiVersion"].startswith("monitoring.coreos.com/")]
            result = api.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(known))
            assert result.code == 0 and len(result.out.splitlines()) == len(known), result
        # Kubernetes' own judgement of the default: what is less than "restricted" is exactly what has to be.
        for document, _ in pods(render(nested("broker.persistence.ownFolder", False))):
            said = api.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(document)).err
            wanted = {"emulator", "node-installer", "device-plugin", "node-manager"}
            assert ("would violate PodSecurity" in said) == (component(document) in wanted), f"{component(document)}: {said}"
            if component(document) in ("device-plugin", "node-manager"):
                found = re.sub(r" \([^)]*\)", "", said.strip().split('"restricted:latest": ')[1])  # root and folders of the node, nothing else
                assert found == "restricted volume types, runAsNonRoot != true, runAsUser=0", said
        # Twice in one cluster cannot be: node labels and RuntimeClass are the cluster's.
        runtime = [document for document in render() if document["kind"] == "RuntimeClass"]
        assert api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(runtime)).code == 0
        for path in sorted((ROOT / "manifests" / "kind").glob("*.yaml")):
            objects = [document for document in yaml.safe_load_all(path.read_text()) if document and document.get("kind") in ("Pod", "Job", "Deployment", "StatefulSet", "Service")]
            if objects:
                result = api.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(objects))
                assert result.code == 0, f"{path.name}: {result}"


def test_examples_name_images_of_this_version():
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    named = {(path.name, image) for path in (ROOT / "manifests" / "kind").glob("*.yaml") for image in re.findall(r"image: (\S+)", path.read_text())}
    assert named and {image for _, image in named} == {f"localhost/ccgpu/tools:{version}"}, named

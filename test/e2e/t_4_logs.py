"""One pod is followed through the logs of all programs by one id; the logs can be JSON."""
import json
import os
import re

from e2e import harness

PARTS = ("ccgpu-node", "containerd-shim-ccgpu-v2", "ccgpu-device-plugin", "ccgpu-emulator", "ccgpu-guestd", "ccgpu-agent", "ccgpu-broker")


def lines_of(node):
    """All lines of all logs, as fields by name."""
    for path in sorted((node.state / "logs").glob("*.log")):
        for line in path.read_text(errors="replace").splitlines():
            start = line.find('{"time"')
            if start >= 0:
                try:
                    yield json.loads(line[start:])
                    continue
                except ValueError:
                    pass
            # containerd puts a shim's lines into its own, or hands them on as they are.
            found = re.search(r"time=\S+ level=\w+ component=\S+ .*", line)
            if found:
                yield {key: bare or quoted.replace('\\"', '"') for key, quoted, bare in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))', found[0])}


def fetch(resource):
    """As harness.fetch, when the agent answers: on a busy machine the container is up before it."""
    return "while wget -O /dev/null http://127.0.0.1:8006/ 2>&1 | grep -q \"can't connect\"; do sleep 0.1; done; " + harness.fetch(resource)


def run_one(node, name):
    sealed = node.seal(harness.pod(name, fetch(f"default/{name}/key") + " >/dev/null"))
    node.put_secret(f"default/{name}/key", "value of the secret", sealed)
    result = node.run(sealed)
    assert result.code == 0, result


def sandbox_of(node, name):
    """The id, from the line that joins it to the pod."""
    found = {(line["sandbox"], line["pod_uid"]) for line in lines_of(node) if line.get("component") == "containerd-shim-ccgpu-v2" and line.get("pod") == f"default/{name}"}
    assert len(found) == 1, f"{found}\n{node.logs()}"
    return found.pop()


def test_one_id_is_in_the_logs_of_all_parts():
    node = harness.Node(gpus=1)
    run_one(node, "followed")
    run_one(node, "other")
    sandbox, uid = sandbox_of(node, "followed")
    other, _ = sandbox_of(node, "other")
    assert sandbox != other and len(sandbox) >= 32 and len(uid) >= 32
    of_pod = {line.get("component") for line in lines_of(node) if line.get("sandbox") == sandbox}
    assert of_pod >= set(PARTS), f"no line of {set(PARTS) - of_pod} names the sandbox\n{node.logs(40)}"
    joins = {line["component"] for line in lines_of(node) if line.get("sandbox") == sandbox and line.get("pod_uid") == uid}
    assert joins >= {"ccgpu-node", "containerd-shim-ccgpu-v2", "ccgpu-device-plugin"}, joins
    for line in lines_of(node):
        assert line.get("pod_uid") != uid or line["sandbox"] in (sandbox, ""), line


def test_logs_hold_no_secret():
    node = harness.Node(gpus=1)
    run_one(node, "quiet")
    tokens = [(node.state / "broker" / name).read_text().strip() for name in ("admin-token", "auditor-token", "master.key")]
    for path in (node.state / "logs").glob("*.log"):
        text = path.read_text(errors="replace")
        for secret in ("value of the secret", *tokens):
            assert secret not in text, path.name


def test_each_line_is_json_when_that_is_asked_for():
    os.environ["CCGPU_LOG_FORMAT"] = "json"
    try:
        node = harness.Node(gpus=1)
        run_one(node, "json")
        components = set()
        for path in sorted((node.state / "logs").glob("*.log")):
            for line in path.read_text(errors="replace").splitlines():
                assert not re.search(r"level=\w+ component=(ccgpu|containerd-shim)", line), f"{path.name}: {line}"
                if line.startswith('{"time"'):
                    components.add(json.loads(line)["component"])
        assert components >= set(PARTS), f"no JSON of {set(PARTS) - components}\n{node.logs()}"
    finally:
        del os.environ["CCGPU_LOG_FORMAT"]


def test_what_is_no_name_does_not_reach_the_brokers_log():
    import ssl
    import urllib.error
    import urllib.request
    node = harness.shared(gpus=1)
    url = "https://" + (node.state / "broker" / "ready").read_text().split()[1] + "/kbs/v0/attest"
    context = ssl.create_default_context(cafile=str(node.state / "broker" / "tls" / "ca.crt"))
    context.check_hostname = False
    for sandbox, logged in (("abc-1", True), ("a b=c", False), ('x" level=error', False), ("y" * 129, False)):
        try:
            urllib.request.urlopen(urllib.request.Request(url, data=b"{}", headers={"Ccgpu-Sandbox": sandbox}), timeout=10, context=context)
        except urllib.error.HTTPError as refused:
            assert refused.code == 401
        text = (node.state / "logs" / "ccgpu-broker.log").read_text()
        assert (sandbox in text) == logged, sandbox

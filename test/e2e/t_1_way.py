"""The way of a pod from `up` to a key in hand and back to a clean machine."""
import json

from e2e.harness import Node, alive, fetch, pod, refused, shared


def sealed_with_secret(node, name, value="s3cret", gpus=1, resource=None, command=None, **container):
    resource = resource or f"default/{name}/one"
    sealed = node.seal(pod(name, command or fetch(resource), gpus, **container))
    node.put_secret(resource, value, sealed)
    return sealed


def test_a_pod_with_a_gpu_gets_its_key():
    node = shared(gpus=2)
    result = node.run(sealed_with_secret(node, "way", "the-key-of-way"))
    assert result.code == 0, f"{result}\n{node.logs()}"
    assert "the-key-of-way" in result.out, result
    described = node.describe("way")
    codes = [event["code"] for event in described["events"]]
    assert "attest.gpu-accepted" in codes and "broker.released" in codes, codes
    node.remove("way")
    node.wait_clean()


def test_a_pod_without_a_gpu_gets_its_key_too():
    node = shared(gpus=2)
    result = node.run(sealed_with_secret(node, "plain", "no-gpu-needed", gpus=0))
    assert result.code == 0 and "no-gpu-needed" in result.out, result
    node.remove("plain")


def test_json_lines_and_exit_code_of_a_failing_container():
    node = shared(gpus=2)
    result = node.run(node.seal(pod("fails", "echo to-stdout; echo to-stderr >&2; exit 7", gpus=0)), "--json")
    assert result.code == 1, result
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert lines[-1]["type"] == "result" and lines[-1]["exit_codes"] == {"main": 7}, lines[-1]
    logged = {(line["stream"], line["text"]) for line in lines if line["type"] == "log"}
    assert ("stdout", "to-stdout") in logged and ("stderr", "to-stderr") in logged, logged
    node.remove("fails")


def test_a_manifest_with_a_field_that_is_not_honoured_is_an_error_with_its_place():
    node = shared(gpus=2)
    manifest = pod("strange", "true", gpus=0)
    manifest["spec"]["containers"][0]["livenessProbe"] = {"exec": {"command": ["true"]}}
    result = node.run(node.file("strange.yaml", manifest))
    assert result.code == 2 and "livenessProbe" in result.err and "strange.yaml:" in result.err, result


def test_the_key_of_one_pod_is_not_given_to_another():
    node = shared(gpus=2)
    sealed_with_secret(node, "owner", "only-for-owner")
    other = node.seal(pod("other", fetch("default/owner/one")))
    result = node.run(other)
    refused(result, "release.host-data")
    assert "only-for-owner" not in result.out
    node.remove("other")


def test_two_pods_at_once_get_a_gpu_each_and_a_third_waits_for_none():
    node = shared(gpus=2)
    for name in ("first", "second"):
        result = node.run(node.seal(pod(name, "sleep 60")), "--detach")
        assert result.code == 0, f"{result}\n{node.logs()}"
    held = [gpu["sandbox_id"] for gpu in node.gpus()]
    assert len(set(held)) == 2 and all(held), held
    third = node.run(node.seal(pod("third", "true")))
    refused(third, "node.insufficient-devices")
    for name in ("first", "second", "third"):
        node.remove(name)
    node.wait_clean()


def test_evidence_is_collected_verified_and_refused_when_changed():
    node = shared(gpus=2)
    assert node.run(node.seal(pod("evidence", "sleep 60")), "--detach").code == 0
    file = node.state / "test" / "ev.json"
    result = node.ccgpu("evidence", "collect", "evidence", "-o", file)
    assert result.code == 0, result
    good = node.ccgpu("evidence", "verify", file, "--json")
    assert good.code == 0 and good.json()["verdict"] == "accepted", good
    assert good.json()["claims"]["environment"] == "emulated", good.json()["claims"]
    stale = node.ccgpu("evidence", "verify", file, "--json", "--nonce", "00" * 32)
    assert stale.code == 1 and stale.json()["verdict"] == "refused", stale
    later = node.ccgpu("evidence", "verify", file, "--json", "--at", "2040-01-01T00:00:00Z")
    assert later.code == 1, later
    value = json.loads(file.read_text())
    report = value["tee-evidence"]["primary_evidence"]["attestation_report"]
    report["guest_svn"] = report["guest_svn"] + 1
    file.write_text(json.dumps(value))
    changed = node.ccgpu("evidence", "verify", file, "--json")
    assert changed.code == 1 and any(check["result"] == "failed" for check in changed.json()["checks"]), changed
    file.write_text("{")
    assert node.ccgpu("evidence", "verify", file).code == 2
    node.remove("evidence")


def test_up_twice_is_a_no_op_and_other_options_are_refused():
    node = shared(gpus=2)
    before = node.daemons()
    assert node.ccgpu("up", *node.options).code == 0
    assert node.daemons() == before
    assert node.ccgpu("up", "--gpus", 1).code != 0
    assert node.daemons() == before


def test_down_leaves_nothing_and_secrets_survive():
    import pathlib
    node = Node(gpus=1)
    sealed = sealed_with_secret(node, "again", "still-here")
    assert node.run(node.seal(pod("runs", "sleep 100", gpus=0)), "--detach").code == 0
    pids = node.daemons().values()
    result = node.ccgpu("down", timeout=60)
    assert result.code == 0, result
    assert not [pid for pid in pids if alive(pid)]
    assert str(node.state) not in pathlib.Path("/proc/self/mounts").read_text()
    processes = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in processes if str(node.state).encode() in line], processes
    node.up()
    result = node.run(sealed)
    assert result.code == 0 and "still-here" in result.out, f"{result}\n{node.logs()}"

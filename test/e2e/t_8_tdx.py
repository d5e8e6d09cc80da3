"""A pod on an emulated TDX machine gets its key by a quote, and each thing that is wrong with the machine or the pod is found."""
import json

from e2e.harness import Node, fetch, pod, refused, shared


def sealed_with_secret(node, name, **release):
    resource = f"default/{name}/one"
    sealed = node.seal(pod(name, fetch(resource)))
    node.put_secret(resource, f"the-key-of-{name}", sealed, gpus={"min": 1}, **release)
    return sealed


def test_a_pod_gets_its_key_by_a_quote():
    node = shared(gpus=1, platform="tdx")
    result = node.run(sealed_with_secret(node, "quoted"))
    assert result.code == 0 and "the-key-of-quoted" in result.out, f"{result}\n{node.logs()}"
    codes = [event["code"] for event in node.describe("quoted")["events"]]
    assert "broker.released" in codes, codes
    node.remove("quoted")
    node.wait_clean()


def test_collected_evidence_is_judged_offline_with_what_intels_service_says():
    node = shared(gpus=1, platform="tdx")
    result = node.run(node.seal(pod("judged", "sleep 60")), "--detach")
    assert result.code == 0, result
    evidence, folder = node.state / "test" / "ev.json", node.state / "test" / "collateral"
    assert node.ccgpu("evidence", "collect", "judged", "-o", evidence).code == 0
    alone = node.ccgpu("--json", "evidence", "verify", evidence)
    assert alone.code == 1 and "tdx.tcb-info-missing" in alone.out, alone
    config = json.loads((node.state / "config.json").read_text())
    fetched = node.ccgpu("collateral", "fetch", evidence, "-o", folder, "--rim-url", config["rim_url"], "--ocsp-url", config["ocsp_url"], "--pcs-url", config["pcs_url"])
    assert fetched.code == 0, fetched
    judged = node.ccgpu("--json", "evidence", "verify", evidence, "--collateral", folder)
    assert judged.code == 0 and judged.json()["verdict"] == "accepted", judged
    node.remove("judged")
    node.wait_clean()


def test_the_key_of_another_pod_and_of_another_tee_stay_where_they_are():
    node = shared(gpus=1, platform="tdx")
    other = node.seal(pod("other", "true"))
    node.put_secret("default/mine/one", "the-key-of-mine", other, gpus={"min": 1})
    result = node.run(node.seal(pod("mine", fetch("default/mine/one"))))
    refused(result, "release.host-data")
    node.remove("mine")
    node.tee = "snp"
    try:
        result = node.run(sealed_with_secret(node, "for-snp"))
    finally:
        node.tee = "tdx"
    refused(result, "release.tee")
    node.remove("for-snp")
    node.wait_clean()


def test_quotes_of_version_5_are_taken_as_well():
    node = Node(gpus=1, platform="tdx-v5")
    result = node.run(sealed_with_secret(node, "five"))
    assert result.code == 0 and "the-key-of-five" in result.out, f"{result}\n{node.logs()}"
    node.close()


def test_what_is_wrong_with_the_machine_is_found():
    for fault, code in (("debug", "tdx.debug"), ("tcb-out-of-date", "tdx.tcb-status"), ("pck-revoked", "tdx.revoked"), ("stale-collateral", "tdx.")):
        node = Node(gpus=1, platform="tdx", platform_fault=fault)
        result = node.run(sealed_with_secret(node, "faulty"))
        refused(result, code)
        assert "the-key" not in result.out, result
        node.close()

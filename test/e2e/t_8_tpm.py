"""A pod on a machine whose evidence is a TPM's (swtpm): it gets its key by a quote, another pod's key stays where it is."""
from e2e.harness import fetch, pod, refused, shared


def test_a_pod_gets_its_key_by_a_tpm_quote():
    node = shared(gpus=1, platform="vtpm")
    sealed = node.seal(pod("measured", fetch("default/measured/one")))
    node.put_secret("default/measured/one", "the-key-of-measured", sealed, gpus={"min": 1})
    result = node.run(sealed)
    assert result.code == 0 and "the-key-of-measured" in result.out, f"{result}\n{node.logs()}"
    node.remove("measured")
    node.wait_clean()


def test_collected_evidence_is_judged_offline():
    node = shared(gpus=1, platform="vtpm")
    result = node.run(node.seal(pod("judged", "sleep 60")), "--detach")
    assert result.code == 0, result
    evidence = node.state / "test" / "ev.json"
    assert node.ccgpu("evidence", "collect", "judged", "-o", evidence).code == 0
    judged = node.ccgpu("--json", "evidence", "verify", evidence)
    assert judged.code == 0 and judged.json()["verdict"] == "accepted", judged
    node.remove("judged")
    node.wait_clean()


def test_the_key_of_another_pod_stays_where_it_is():
    node = shared(gpus=1, platform="vtpm")
    other = node.seal(pod("other", "true"))
    node.put_secret("default/mine/one", "the-key-of-mine", other, gpus={"min": 1})
    result = node.run(node.seal(pod("mine", fetch("default/mine/one"))))
    refused(result, "release.host-data")
    assert "the-key" not in result.out, result
    node.remove("mine")
    node.wait_clean()

"""The protected A100 is attested in mode apm, and gets something from policies that name that mode."""
from e2e.harness import fetch, pod, refused, shared

PROFILE = "a100-ncc-v4"


def sealed_with_secret(node, name, gpus, *options):
    resource = f"default/{name}/one"
    sealed = node.seal(pod(name, fetch(resource)), *options)
    node.put_secret(resource, f"the-key-of-{name}", sealed, gpus=gpus)
    return sealed


def test_a_policy_that_lists_apm_releases_to_a_protected_a100():
    node = shared(gpus=1, profile=PROFILE)
    result = node.run(sealed_with_secret(node, "ampere", {"min": 1, "modes": ["apm"], "models": ["GA100 A01 GSP BROM (EMULATED)"]}))
    assert result.code == 0 and "the-key-of-ampere" in result.out, f"{result}\n{node.logs()}"
    codes = [event["code"] for event in node.describe("ampere")["events"]]
    assert "attest.gpu-accepted" in codes and "broker.released" in codes, codes
    node.remove("ampere")
    node.wait_clean()


def test_a_policy_that_names_no_mode_or_wants_integrity_refuses_it():
    node = shared(gpus=1, profile=PROFILE)
    for name, gpus in (("unnamed", {"min": 1}), ("integrity", {"min": 1, "modes": ["hopper-cc"]})):
        result = node.run(sealed_with_secret(node, name, gpus))
        refused(result, "release.gpu-mode")
        assert "the-key" not in result.out, result
        node.remove(name)
    node.wait_clean()


def test_its_faults_are_found_by_the_agent():
    node = shared(gpus=1, profile=PROFILE)
    for fault, code in (("firmware", "gpu.measurement-mismatch"), ("debug", "gpu.debug-enabled"), ("rim-hold", "rim.revoked")):
        node.fault(0, fault)
        name = f"ampere-{fault}"
        result = node.run(sealed_with_secret(node, name, {"min": 1, "modes": ["apm"]}))
        refused(result, code)
        node.remove(name)
        node.fault(0, "none")
    node.wait_clean()


def test_a_board_without_protection_has_no_evidence_and_gets_nothing():
    node = shared(gpus=1, profile="a100-nc")
    result = node.run(sealed_with_secret(node, "bare", {"min": 1, "modes": ["apm"]}, "--gpu-mode", "off"))
    refused(result, "release.gpu-count")
    node.remove("bare")
    node.wait_clean()

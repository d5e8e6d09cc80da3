"""Evidence files and collateral at the command line: judging with what lies on disk, explaining, comparing, fetching, bundles."""
import json
import os
import pathlib
import subprocess

from e2e import harness

NAME = "evidence-files"


def node():
    return harness.shared(gpus=2)


def collected(which=""):
    """Evidence of a pod that waits; collected once, each kind of it."""
    n = node()
    path = n.state / "test" / f"ev{which}.json"
    if path.exists():
        return n, path
    sealed = n.seal(harness.pod(f"{NAME}{which}", "sleep 600"))
    result = n.run(sealed, "--detach")
    assert result.code == 0, result
    result = n.ccgpu("evidence", "collect", f"{NAME}{which}", "-o", path, "--nonce", "11" * 32 if not which else "22" * 32)
    n.remove(f"{NAME}{which}")
    assert result.code == 0, result
    return n, path


def edited(path, name, edit):
    value = json.loads(path.read_text())
    edit(value)
    out = path.with_name(name)
    out.write_text(json.dumps(value))
    return out


def judge(n, *arguments):
    return n.ccgpu("evidence", *arguments, "--insecure-accept-emulated")


def test_accepted_shown_and_explained():
    n, path = collected()
    result = judge(n, "verify", path, "--nonce", "11" * 32, "--json")
    assert result.code == 0, result
    verdict = result.json()
    assert verdict["verdict"] == "accepted" and verdict["format"] == "composite" and "failure" not in verdict, verdict
    shown = n.ccgpu("evidence", "show", path, "--json").json()
    assert shown["gpus"][0]["mode"] == "hopper-cc" and len(shown["gpus"][0]["certificates"]) == 5, shown
    assert "0 failed" in judge(n, "explain", path).out


def test_each_class_of_failure_has_its_exit_code():
    n, path = collected()
    cases = {
        "freshness": (11, [path, "--nonce", "33" * 32]),
        "binding": (17, [edited(path, "init.json", lambda v: v["init-data"].update(body=v["init-data"]["body"] + "#")), "--nonce", "11" * 32]),
        "collateral": (16, [edited(path, "bare.json", lambda v: v.update(collateral={"rims": {}, "ocsp": [], "crls": []}))]),
    }
    for word, (code, arguments) in cases.items():
        assert judge(n, "verify", *arguments).code == 1, word
        result = judge(n, "verify", *arguments, "--exit-class", "--json")
        assert result.code == code and result.json()["failure"]["class"] == word, (word, result)
    policy = n.file("policy.yaml", {"apiVersion": "ccgpu.dev/v1alpha1", "kind": "EvidencePolicy", "spec": {"gpus": {"modes": ["apm"]}}})
    result = judge(n, "verify", path, "--policy", policy, "--exit-class")
    assert result.code == 19 and "policy.gpu0.mode" in result.out, result
    bad = n.file("bad-policy.yaml", "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidencePolicy\nspec:\n  gpu: {}\n")
    result = judge(n, "verify", path, "--policy", bad)
    assert result.code == 2 and "bad-policy.yaml:4:" in result.err, result


def test_firmware_fault_is_explained_to_the_byte():
    n, healthy = collected()
    n.fault(0, "firmware")
    try:
        # The agent of a pod on this GPU would refuse; what the device reports is in its evidence all the same.
        sealed = n.seal(harness.pod("faulty", "sleep 600"))
        n.run(sealed, "--detach")
        path = n.state / "test" / "faulty.json"
        result = n.ccgpu("evidence", "collect", "faulty", "-o", path)
    finally:
        n.remove("faulty")
        n.fault(0, "none")
    if result.code != 0:  # the pod ended before it could be asked: the refusal itself says what differs
        raise harness.Skip(f"no evidence of a refused pod: {result.err.strip()}")
    result = judge(n, "explain", path)
    assert result.code == 1, result
    for words in ("gpu.measurement-mismatch", "expected", "found", "bytes ", "RIM NV_GPU_", "to do"):
        assert words in result.out, (words, result)
    result = n.ccgpu("evidence", "diff", healthy, path)
    assert result.code == 1 and "measurement" in result.out, result


def test_diff_says_what_is_expected_and_what_is_not():
    n, first = collected()
    _, second = collected("-b")
    assert n.ccgpu("evidence", "diff", first, first).out == "nothing changed\n"
    result = n.ccgpu("evidence", "diff", first, second, "--json")
    changes = {change["path"]: change for change in result.json()["changes"]}
    assert changes["nonce"]["notable"] is False and changes["snp/host_data"]["notable"] is True, changes
    assert "gpus/0/driver_version" not in changes, changes


def test_collateral_from_the_services_through_a_signed_bundle():
    n, path = collected()
    bare = edited(path, "bare.json", lambda v: v.update(collateral={"rims": {}, "ocsp": [], "crls": []}))
    http = next(line.split("http=")[1].split()[0] for line in (n.state / "logs" / "ccgpu-emulator.log").read_text().splitlines() if "http=http" in line)
    folder, cache = n.state / "test" / "collateral", n.state / "test" / "cache"
    fetch = ["collateral", "fetch", bare, "-o", folder, "--cache", cache, "--rim-url", f"{http}/v1/rim/", "--ocsp-url", f"{http}/ocsp", "--kds-url", f"{http}/none", "--attempts", "1"]
    result = n.ccgpu(*fetch, "--json")
    fetched = result.json()
    # The emulator has no AMD key service: only that is missing, and it says so.
    assert fetched["documents"] >= 4 and all(p["code"].startswith("collateral.kds") for p in fetched["problems"]), fetched
    result = n.ccgpu("collateral", "check", folder, "--for", bare, "--json")
    checked = result.json()
    assert checked["missing"] == [] and {d["state"] for d in checked["documents"]} == {"fresh"}, checked
    assert judge(n, "verify", bare, "--collateral", folder).code == 0
    # Offline, out of the cache alone.
    other = n.state / "test" / "again"
    offline = n.ccgpu(*[other if a is folder else a for a in fetch], "--offline", "--json").json()
    assert offline["fetched"] == 0 and offline["documents"] == fetched["documents"], offline

    key, public, bundle = (n.state / "test" / name for name in ("op.pem", "op.pub", "site.bundle"))
    subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", key], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, stderr=subprocess.DEVNULL)
    assert n.ccgpu("collateral", "bundle", folder, "-o", bundle, "--key", key, "--note", "site 7").code == 0
    assert judge(n, "verify", bare, "--collateral", bundle).code == 2  # nobody said whose bundle
    assert judge(n, "verify", bare, "--collateral", bundle, "--bundle-key", public).code == 0
    assert "site 7" in n.ccgpu("collateral", "check", bundle, "--bundle-key", public).out
    text = bundle.read_text()
    bundle.write_text(text.replace("site 7", "site 8"))
    result = n.ccgpu("collateral", "check", bundle, "--bundle-key", public)
    assert result.code == 1 and "collateral.bundle-signature" in result.err, result


def test_a_missing_manifest_names_what_there_is():
    n, path = collected()

    def only_vbios(value):
        value["collateral"]["rims"] = {k: v for k, v in value["collateral"]["rims"].items() if "VBIOS" in k}

    result = judge(n, "explain", edited(path, "one-rim.json", only_vbios))
    assert result.code == 1 and "looked for NV_GPU_DRIVER_" in result.out and "there is NV_GPU_VBIOS_" in result.out, result


def test_real_hopper_evidence_in_one_command():
    vectors = pathlib.Path(os.environ.get("CCGPU_VECTORS", pathlib.Path(__file__).resolve().parents[3] / "shared" / "vectors"))
    if not (vectors / "README.md").exists():
        raise harness.Skip(f"no real evidence at {vectors} (set CCGPU_VECTORS)")
    n = node()
    folder = vectors / "nvidia" / "nvtrust_v1_initial"
    files = sorted(folder.iterdir())
    nonce = "4cff7f5380ead8fad8ec2c531c110aca4302a88f603792801a8ca29ee151af2e"
    arguments = [*files, "--at", "2024-06-01", "--nonce", nonce, "--insecure-skip-revocation", "--json"]
    result = n.ccgpu("evidence", "verify", *arguments)
    assert result.code == 0 and result.json()["environment"] == "hardware", result
    late = n.ccgpu("evidence", "verify", *files, "--at", "2027-01-01", "--nonce", nonce, "--insecure-skip-revocation", "--exit-class")
    assert late.code == 10 and "rim.chain-expired" in late.out, late

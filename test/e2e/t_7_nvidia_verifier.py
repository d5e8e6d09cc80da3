"""NVIDIA's unmodified Python verifier judges the emulator, and says the same as ours about every fault.

Where the two differ, docs/nvidia-verifier.md says why; everything else that both claim must be equal.
"""
import json
import re

from e2e import harness
from foreign.nvidia_verifier import RimServer, World

NONCE, OTHER_NONCE = "a5" * 32, "5a" * 32
CHAINS = ("x-nvidia-gpu-attestation-report-cert-chain", "x-nvidia-gpu-driver-rim-cert-chain", "x-nvidia-gpu-vbios-rim-cert-chain")

# (name, before connecting, after connecting, for attest(), our reason code or None, their claims)
CASES = [
    ("healthy", [], [], {}, None, {"measres": "success", "secboot": True, "dbgstat": "disabled"}),
    ("firmware", ["fault firmware"], [], {}, "gpu.measurement-mismatch", {"measres": "fail"}),
    ("firmware-later", [], ["fault firmware"], {}, "gpu.measurement-mismatch", {"measres": "fail"}),
    ("debug", ["fault debug"], [], {}, "gpu.debug-enabled", {"measres": "fail"}),
    ("devtools", ["mode devtools"], [], {}, "gpu.mode-devtools", {"measres": "fail"}),
    ("revoke", ["fault revoke"], [], {}, "gpu.revoked", {CHAINS[0]: {"x-nvidia-cert-ocsp-status": "revoked", "x-nvidia-cert-revocation-reason": "key_compromise"}}),
    ("hold", ["fault hold"], [], {}, "gpu.revoked", {CHAINS[0]: {"x-nvidia-cert-ocsp-status": "revoked", "x-nvidia-cert-revocation-reason": "certificate_hold"}}),
    ("rim-revoke", ["fault rim-revoke"], [], {}, "rim.revoked", {CHAINS[1]: {"x-nvidia-cert-ocsp-status": "revoked"}}),
    ("rim-hold", ["fault rim-hold"], [], {}, "rim.revoked", {CHAINS[1]: {"x-nvidia-cert-ocsp-status": "revoked", "x-nvidia-cert-revocation-reason": "certificate_hold"}}),
    ("nonce-changed", [], [], {"flip": 4}, "gpu.signature-invalid", {"x-nvidia-gpu-attestation-report-nonce-match": False}),
    ("measurement-changed", [], [], {"flip": 45 + 55 * 7 + 7}, "gpu.signature-invalid", {"x-nvidia-gpu-attestation-report-signature-verified": False}),
    ("signature-changed", [], [], {"flip": -1}, "gpu.signature-invalid", {"x-nvidia-gpu-attestation-report-signature-verified": False}),
    ("report-cut", [], [], {"cut": 1}, "gpu.report-malformed", {}),
    ("other-nonce", [], [], {"asked": OTHER_NONCE}, "gpu.nonce-mismatch", {"x-nvidia-gpu-attestation-report-nonce-match": False}),
]


def flat(claims):
    out = {}
    for name, value in claims.items():
        out.update({f"{name}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {name: value})
    return out


def quirk(name, theirs, ours, asked):
    """Differences that docs/nvidia-verifier.md explains."""
    if name.endswith("expiration-date") and theirs and ours:
        return theirs + "Z" == ours
    if name.endswith("revocation-reason") and theirs and ours:
        return theirs == re.sub("([A-Z])", r"_\1", ours).lower()
    if name.endswith("cert-status"):
        return (theirs, ours) == ("invalid", "revoked")
    if name == "x-nvidia-gpu-driver-rim-fetched":
        return (theirs, ours) == (True, False)
    return name == "eat_nonce" and theirs == asked


def difference(theirs, ours, asked):
    """Claims that both make and that differ. They stop at the first failure: what they never looked at is null."""
    theirs, ours = flat(theirs), flat(ours)
    shared = {name for name in theirs.keys() & ours.keys() if theirs[name] is not None} - {"iss", "iat", "exp", "nbf", "jti"}
    assert len(shared) >= 12, f"only {sorted(shared)} are claimed by both"
    return {name: (theirs[name], ours[name]) for name in sorted(shared) if theirs[name] != ours[name] and not quirk(name, theirs[name], ours[name], asked)}


def run_case(world, name, before, after, attest, code, claims):
    for command in before:
        assert "error" not in world.do(command), command
    connected = world.do("connect")
    assert "error" not in connected, connected
    for command in after:
        assert "error" not in world.do(command), command
    theirs = world.attest(NONCE, **attest)
    asked = attest.get("asked", NONCE)
    ours = world.do("judge", theirs["evidence"], asked)
    world.do("release")
    world.do("fault none")
    world.do("mode hopper-cc")
    assert theirs["result"] is (code is None), f"{name}: NVIDIA's verifier says {theirs['result']}\n{theirs['log']}"
    assert theirs["overall"]["x-nvidia-overall-att-result"] is theirs["result"], theirs["overall"]
    assert ours["verdict"] == ("accepted" if code is None else "refused"), f"{name}: ours says {ours['verdict']}"
    first = next((check["reason"] for check in ours["checks"] if check["result"] == "failed"), None)
    assert first == code, f"{name}: our first reason is {first}"
    for claim, value in claims.items():
        got = theirs["claims"].get(claim)
        if isinstance(value, dict):
            got = {inner: got.get(inner) for inner in value}
        assert got == value, f"{name}: {claim} is {got}\n{theirs['log']}"
    if code == "gpu.report-malformed":
        return  # theirs reads on where ours has nothing to make claims of
    different = difference(theirs["claims"], ours["claims"], asked)
    assert not different, f"{name}: claims (theirs, ours) {json.dumps(different, indent=1)}"


def test_same_verdict_and_claims_on_every_case():
    with World(harness.BUILD) as world:
        failures = []
        for case in CASES:
            try:
                run_case(world, *case)
            except AssertionError as failure:
                failures.append(str(failure))
        assert not failures, "\n".join(failures)


def test_reference_values_that_are_changed_exchanged_or_missing_are_refused_by_both():
    with World(harness.BUILD) as world:
        assert "error" not in world.do("connect")
        rims = world.rims()
        driver, vbios = sorted(rims)
        assert driver.startswith("NV_GPU_DRIVER_") and vbios.startswith("NV_GPU_VBIOS_"), rims.keys()
        value = re.search('Hash0="([0-9a-f])', rims[driver])
        changed = rims[driver][:value.start(1)] + ("1" if value[1] == "0" else "0") + rims[driver][value.end(1):]
        cases = [("changed", {**rims, driver: changed}, "rim.signature-invalid", {"x-nvidia-gpu-driver-rim-signature-verified": False}),
                 ("exchanged", {**rims, driver: rims[vbios]}, "rim.version-mismatch", {"x-nvidia-gpu-driver-rim-version-match": False}),
                 ("driver missing", {vbios: rims[vbios]}, "rim.not-found", {"x-nvidia-gpu-driver-rim-signature-verified": None}),
                 ("VBIOS missing", {driver: rims[driver]}, "rim.not-found", {"x-nvidia-gpu-vbios-rim-fetched": None})]
        file = world.folder / "rims.json"
        for name, served, code, claims in cases:
            with RimServer(served) as server:
                theirs = world.attest(NONCE, rim_url=server.url)
            file.write_text(json.dumps(served))
            ours = world.do("judge", theirs["evidence"], NONCE, file)
            reasons = [check["reason"] for check in ours["checks"] if check["result"] == "failed"]
            assert theirs["result"] is False and ours["verdict"] == "refused", f"{name}: {theirs['log']}"
            assert reasons[0] == code, f"{name}: {reasons}"
            got = {claim: theirs["claims"].get(claim) for claim in claims}
            assert got == claims, f"{name}: {got}\n{theirs['log']}"
            different = difference(theirs["claims"], ours["claims"], NONCE)
            assert not different, f"{name}: claims (theirs, ours) {json.dumps(different, indent=1)}"


def test_a_foreign_root_is_refused_by_both():
    with World(harness.BUILD) as world, World(harness.BUILD) as other:
        assert "error" not in world.do("connect")
        theirs = world.attest(NONCE, device_root=other.places["device_root"])
        assert theirs["result"] is False, theirs["log"]
        assert theirs["claims"][CHAINS[0]]["x-nvidia-cert-status"] == "invalid", theirs["claims"]
        ours = other.do("judge", theirs["evidence"], NONCE)
        reasons = [check["reason"] for check in ours["checks"] if check["result"] == "failed"]
        assert ours["verdict"] == "refused" and reasons[0] == "gpu.untrusted-root", reasons
        theirs = world.attest(NONCE, rim_root=other.places["rim_root"])
        assert theirs["result"] is False and theirs["claims"][CHAINS[1]]["x-nvidia-cert-status"] == "invalid", theirs["log"]


def test_a_swapped_board_is_genuine_to_a_verifier_and_another_device():
    """Neither verifier has an inventory: the guest's driver is who notices (gpu.swapped), and the ueid tells."""
    with World(harness.BUILD) as world:
        assert "error" not in world.do("connect")
        healthy = world.attest(NONCE)
        world.do("release")
        world.do("fault swap")
        assert "error" not in world.do("connect")
        swapped = world.attest(NONCE)
        ours = world.do("judge", swapped["evidence"], NONCE)
        assert healthy["result"] and swapped["result"], swapped["log"]
        assert swapped["claims"]["ueid"] != healthy["claims"]["ueid"], swapped["claims"]
        assert ours["claims"]["ueid"] == swapped["claims"]["ueid"]


def test_no_evidence_comes_out_of_a_gpu_that_is_off_lost_or_silent():
    for before, after in ((["mode off"], []), ([], ["fault drop"]), ([], ["fault hang"])):
        with World(harness.BUILD) as world:
            for command in before + ["connect"] + after:
                assert "error" not in world.do(command), command
            answer = world.attest(NONCE, patience=2)
            assert answer["result"] is False and "error" in answer, answer


def test_success_sets_the_ready_state_and_failure_takes_it_away_for_good():
    with World(harness.BUILD) as world:
        assert "error" not in world.do("connect")
        assert world.attest(NONCE, user_mode=False)["ready"] == 1
        refused = world.attest(NONCE, asked=OTHER_NONCE, user_mode=False)
        assert refused["result"] is False and refused["ready"] == 0, refused
        again = world.attest(NONCE, user_mode=False, patience=2)
        assert again["ready"] == 0 and "terminal state has been reached" in again["log"], again


def test_a_held_rim_signer_may_be_allowed():
    with World(harness.BUILD) as world:
        world.do("fault rim-hold")
        assert "error" not in world.do("connect")
        answer = world.attest(NONCE, allow_hold=True)
        assert answer["result"] is True, answer["log"]
        assert "CERTIFICATE_HOLD" in answer["claims"]["x-nvidia-attestation-warning"], answer["claims"]

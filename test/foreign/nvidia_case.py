"""Runs NVIDIA's verifier once, inside its environment: nvidia_case.py JSON. The last line of its output is a JSON object.

Only public settings are touched: where the roots lie (`BaseSettings`) and where the services are. The library that it loads through
pynvml is the emulator's libnvidia-ml.so.1, by the loader's own search path.
"""
import base64
import json
import os
import sys
import time

case = json.loads(sys.argv[1])

from verifier.config import BaseSettings  # noqa: E402

BaseSettings.DEVICE_ROOT_CERT = case["device_root"]
BaseSettings.RIM_ROOT_CERT = case["rim_root"]
BaseSettings.ROOT_CERT_DIR = os.path.dirname(case["device_root"])
# How long it waits for a call of ours. It also waits so long after each call that fails in a way that it does not know.
BaseSettings.MAX_NVML_TIME_DELAY = case.get("patience", 30)

from verifier import cc_admin  # noqa: E402
from verifier.nvml import NvmlHandler  # noqa: E402
import jwt  # noqa: E402
import pynvml  # noqa: E402


def say(**answer):
    print(json.dumps(answer), flush=True)
    os._exit(0)  # its threads would wait for calls that hang


def attest(evidence):
    arguments = {"verbose": False, "test_no_gpu": False, "driver_rim": None, "vbios_rim": None, "user_mode": case.get("user_mode", True),
                 "allow_hold_cert": case.get("allow_hold", False), "service_key": None, "nonce": case["asked"], "rim_root_cert": None,
                 "rim_service_url": case["rim_url"], "ocsp_url": case["ocsp_url"], "ocsp_nonce_disabled": False, "claims_version": "3.0"}
    return cc_admin.attest(arguments, case["asked"], evidence)


def causes(error):
    out = []
    while error:
        out.append(f"{type(error).__name__}: {error}")
        error = error.__cause__
    return out


try:
    evidence = cc_admin.collect_gpu_evidence(case["nonce"])
except Exception as error:
    say(result=False, error=causes(error))

if "flip" in case or "cut" in case:
    report = bytearray(evidence[0].AttestationReport)
    if "flip" in case:
        report[case["flip"]] ^= 1
    evidence[0].AttestationReport = bytes(report[:len(report) - case.get("cut", 0)])

certificate = pynvml.nvmlDeviceGetConfComputeGpuCertificate(NvmlHandler.Handles[0])
chain = bytes(certificate.attestationCertChain[:certificate.attestationCertChainSize])
with open(case["evidence"], "w") as file:
    json.dump([{"arch": "HOPPER", "nonce": case["nonce"], "evidence": base64.b64encode(evidence[0].get_attestation_report()).decode(),
                "certificate": base64.b64encode(chain).decode()}], file)

seconds = []
for _ in range(case.get("times", 1)):
    # The list that it was given is changed by each run: it needs its own.
    start = time.perf_counter()
    try:
        result, token = attest(evidence)
    except Exception as error:
        say(result=False, error=causes(error), ready=NvmlHandler.get_gpu_ready_state())
    seconds.append(time.perf_counter() - start)
    if case.get("times", 1) > 1:
        evidence = cc_admin.collect_gpu_evidence(case["nonce"])
claims = jwt.decode(token[1]["GPU-0"], "secret", algorithms=["HS256"])
overall = jwt.decode(token[0][1], "secret", algorithms=["HS256"])
say(result=result, claims=claims, overall=overall, ready=NvmlHandler.get_gpu_ready_state(), seconds=seconds)

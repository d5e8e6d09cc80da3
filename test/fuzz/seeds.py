"""Seeds of the fuzz targets, made at run time from the real evidence in CCGPU_VECTORS; without it, from what is written here."""
import base64
import json
import os
import pathlib
import re
import struct

from fuzz import spdm_seeds

VECTORS = pathlib.Path(os.environ.get("CCGPU_VECTORS") or pathlib.Path(__file__).resolve().parent.parent.parent.parent / "shared" / "vectors")
MAX_SEED = 256 << 10


def raw(data):
    yield data


def from_hex(data):
    """NVIDIA keeps reports as hexadecimal text, some with line ends."""
    text = re.sub(rb"\s", b"", data)
    if len(text) > 200 and re.fullmatch(rb"[0-9a-fA-F]+", text):
        yield bytes.fromhex(text.decode())


def ders(data):
    """Each certificate or CRL of a PEM file; DER as it is."""
    blocks = re.findall(rb"-----BEGIN [A-Z0-9 ]+-----(.*?)-----END", data, re.DOTALL)
    if not blocks and data[:1] == b"\x30":
        yield data
    for block in blocks:
        yield base64.b64decode(block)


def opaque(data):
    """The opaque part of a GPU report: behind request (37), response header (8), record, nonce and length."""
    for report in from_hex(data):
        record = int.from_bytes(report[42:45], "little")
        at = 45 + record + 32
        size, = struct.unpack_from("<H", report, at)
        yield report[at + 2:at + 2 + size]


def tokens(data):
    """Every JWT in a text, and the text."""
    yield data
    for token in re.findall(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+", data):
        yield token


def cbor_of_tests(data):
    """The messages of cose-wg's JSON cases."""
    try:
        yield bytes.fromhex(json.loads(data)["output"]["cbor"])
    except (ValueError, KeyError, TypeError):
        if data[:1] not in b"{[":
            yield data


def snp_json(data):
    """CoCo's JSON of a report of 1184 bytes."""
    if len(data) == 1184:
        yield json.dumps({"attestation_report": snp_members(data), "cert_chain": []}, separators=(",", ":")).encode()


def snp_members(d):
    version, svn, policy = struct.unpack_from("<IIQ", d, 0)
    vmpl, algorithm = struct.unpack_from("<II", d, 0x30)
    platform, key = struct.unpack_from("<QI", d, 0x40)

    def tcb(at):
        return {"fmc": None, "bootloader": d[at], "tee": d[at + 1], "snp": d[at + 6], "microcode": d[at + 7]}

    def firmware(at):
        return {"major": d[at + 2], "minor": d[at + 1], "build": d[at]}

    out = {"version": version, "guest_svn": svn, "policy": policy, "family_id": [*d[0x10:0x20]], "image_id": [*d[0x20:0x30]], "vmpl": vmpl, "sig_algo": algorithm,
           "current_tcb": tcb(0x38), "plat_info": platform, "key_info": key, "report_data": [*d[0x50:0x90]], "measurement": [*d[0x90:0xc0]], "host_data": [*d[0xc0:0xe0]],
           "id_key_digest": [*d[0xe0:0x110]], "author_key_digest": [*d[0x110:0x140]], "report_id": [*d[0x140:0x160]], "report_id_ma": [*d[0x160:0x180]], "reported_tcb": tcb(0x180)}
    if version >= 3:
        out |= {"cpuid_fam_id": d[0x188], "cpuid_mod_id": d[0x189], "cpuid_step": d[0x18a]}
    return out | {"chip_id": [*d[0x1a0:0x1e0]], "committed_tcb": tcb(0x1e0), "current": firmware(0x1e8), "committed": firmware(0x1ec), "launch_tcb": tcb(0x1f0),
                  "signature": {"r": [*d[0x2a0:0x2e8]], "s": [*d[0x2e8:0x330]]}}


def composite(data):
    """A pod's evidence with this SNP report: alone, and with the complete H100 set of the vectors."""
    hopper = VECTORS / "nvidia" / "nvtrust_v1_initial"
    gpu = {"arch": "HOPPER", "uuid": "GPU-1", "evidence": "".join(text_of(hopper / "attestationReport.txt").split()), "certificate": encoded(text_of(hopper / "gpuAkCertChain.txt").encode())}
    rims = {"NV_GPU_DRIVER_GH100_545.00": text_of(hopper / "Driver_RIM_test_no_gpu.swidtag"),
            "NV_GPU_VBIOS_1010_0200_882_96005E0001": text_of(hopper / "1010_0200_882_96005E0001_test_no_gpu.swidtag")}
    for cpu in snp_json(data):
        for additional, collateral in (("", None), (json.dumps({"nvidia": {"device_evidence_list": [gpu]}}), {"rims": rims, "ocsp": [], "crls": []})):
            pod = {"format": "ccgpu.evidence/v1", "nonce": encoded(bytes(32)), "tee": "snp", "tee-pubkey": {"alg": "x", "crv": "P-256", "kty": "EC", "x": "a", "y": "b"},
                   "tee-evidence": {"primary_evidence": json.loads(cpu), "additional_evidence": additional}}
            yield json.dumps(pod | ({"collateral": collateral} if collateral else {})).encode()


def text_of(path):
    return path.read_text(errors="replace") if path.exists() else ""


def encoded(data):
    return base64.b64encode(data).decode()


# (part of the target's name, files below the vectors, how a file becomes seeds)
TABLE = [
    ("snp_report", "snp/*.bin", raw),
    ("composite", "snp/*.bin", snp_json),
    ("composite", "snp/*.bin", composite),
    ("composite", "nvidia/*/evidence*.json", raw),
    ("composite", "nvidia/nvat/**/*.json", raw),
    ("verify_fuzz", "snp/*.bin", raw),
    ("verify_fuzz", "snp/*.bin", composite),
    ("certs", "snp/*", ders),
    ("certs", "nvidia/**/*.pem", ders),
    ("certs", "tdx/*.pem", ders),
    ("gpu_report", "nvidia/**/*eport*.txt", from_hex),
    ("gpu_report", "nvidia/emulated_example/report.bin", raw),
    ("opaque", "nvidia/**/*eport*.txt", opaque),
    ("rim_fuzz", "nvidia/**/*.swidtag", raw),
    ("rim_fuzz", "nvidia/emulated_example/*.xml", raw),
    ("revocation", "tdx/*crl*", ders),
    ("revocation", "tdx/gotdx_rootcrl.der", raw),
    ("tdx", "tdx/*.dat", raw),
    ("quote", "tdx/*.dat", raw),
    ("intel", "tdx/gotdx_sample*", raw),
    ("tcg_log", "tpm/*.bin", raw),
    ("tcg_log", "tdx/gotdx_ccel_data.dat", raw),
    ("tpm", "tpm/*.bin", raw),
    ("jwt", "nvidia/nvat/**/*", tokens),
    ("jwt", "cose/*ear*", tokens),
    ("cbor", "cose/*", cbor_of_tests),
    ("cose", "cose/*", cbor_of_tests),
    ("corim", "cose/*.cbor", raw),
    ("spdm.messages", "spdm/*.req.log", spdm_seeds.messages),
    ("spdm.doe", "spdm/*.req.log", spdm_seeds.objects),
    ("spdm.gsp_frame", "spdm/*.req.log", spdm_seeds.frames),
    ("spdm.responder", "spdm/*.req.log", spdm_seeds.requests),
    ("spdm.requester_fuzz", "spdm/*.req.log", spdm_seeds.responses),
    ("spdm.requester_session", "spdm/*.req.log", spdm_seeds.sealed_responses),
]


def make(target, folder):
    """Writes the seeds of one target; the number of them."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    sources = [(path, transform) for part, pattern, transform in TABLE if part in target for path in sorted(VECTORS.glob(pattern)) if path.is_file()]
    for path, transform in sources:
        if path.stat().st_size > 4 << 20:
            continue
        for seed in transform(path.read_bytes()):
            if 0 < len(seed) <= MAX_SEED:
                (folder / f"seed{count:04}").write_bytes(seed)
                count += 1
    return count

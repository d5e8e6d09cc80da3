"""Bytes to the GPU against the cipher alone, and the broker against the signatures it checks."""
import json
import re
import shutil
import subprocess

from bench.rows import Missing, median, row, spread
from e2e import harness

MIB, ROUNDS, CIPHER_RUNS = 64, 20, 3


def program(name):
    path = harness.BUILD / "bin" / name
    if not path.exists():
        raise Missing(f"{path} was not built; build with CCGPU_BENCH=ON (./run build does)")
    return path


def cipher_mib_s():
    """What one core encrypts with AES-256-GCM, in pieces that stay in its cache."""
    command = ["openssl", "speed", "-mr", "-evp", "aes-256-gcm", "-bytes", "262144", "-seconds", "2"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    found = re.search(r"^\+F:\d+:AES-256-GCM:([0-9.]+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        raise Missing(f"{' '.join(command)} did not print a rate: {done.stdout[-400:]}")
    return float(found[1]) / (1 << 20)


def program_folder(node):
    """The program with its loader and libraries, for a container whose image has none."""
    folder = node.state / "test" / "copy"
    folder.mkdir(parents=True, exist_ok=True)
    binary = program("ccgpu-bench-copy")
    shutil.copy(binary, folder)
    needed = subprocess.run(["ldd", str(binary)], check=True, stdout=subprocess.PIPE, text=True).stdout
    for path in re.findall(r"(/\S+) \(0x", needed):
        shutil.copy(path, folder)  # a link's target, under the name that is asked for
    return folder


def copy(node):
    """Copies of a sealed pod to and from its GPU in hopper-cc mode; the program checks that what came back is what it sent."""
    folder = program_folder(node)
    command = f"/copy/ld-linux-x86-64.so.2 --library-path /copy:$LD_LIBRARY_PATH /copy/ccgpu-bench-copy {MIB} {ROUNDS}"
    manifest = harness.pod("copy", command, volumeMounts=[{"name": "copy", "mountPath": "/copy", "readOnly": True}])
    manifest["spec"]["volumes"] = [{"name": "copy", "hostPath": {"path": str(folder)}}]
    sealed = node.seal(manifest)
    modes = {gpu["mode"] for gpu in node.gpus()}
    assert modes == {"hopper-cc"}, f"the link must be encrypted to be measured; modes are {modes}"
    cipher = [cipher_mib_s() for _ in range(CIPHER_RUNS)]
    result = node.run(sealed, "--quiet")
    assert result.code == 0, f"{result}\n{node.logs()}"
    node.remove("copy")
    rates = json.loads(result.out.strip().splitlines()[-1])
    beside, name = median(cipher), "openssl speed AES-256-GCM, one core"
    return [
        row("copy.h2d", median(rates["h2d"]), "MiB/s", name, beside, "ratio >= 0.8",
            f"{MIB} MiB in hopper-cc: {spread(rates['h2d'], 0)}; a CPU second of the pod's side: {rates['h2d_cpu']:.0f} MiB; cipher: {spread(cipher, 0)}"),
        row("copy.d2h", median(rates["d2h"]), "MiB/s", name, beside, None, f"{MIB} MiB in hopper-cc: {spread(rates['d2h'], 0)}"),
    ]


def broker(_node):
    """ccgpu-bench-broker measures CPU time in its own process and prints rows; three of them, the middle one counts."""
    runs = []
    for _ in range(3):
        done = subprocess.run([str(program("ccgpu-bench-broker")), "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    rows = []
    for same in zip(*runs):
        middle = sorted(same, key=lambda one: one["ratio"])[len(same) // 2]
        ratios = [one["ratio"] for one in same]
        rows.append(row(middle["name"], middle["value"], middle["unit"], middle["alternative"], middle["alternative_value"],
                        f"ratio >= {middle['aim']}" if "aim" in middle else None, f"ratio: {spread(ratios, 2)}"))
    return rows

"""Verifiers against the cryptographic operations that no verifier can leave out."""
import json
import subprocess

from bench.rows import row, spread
from bench.throughput import program


def snp(_node):
    return beside_openssl("ccgpu-bench-snp")


def tdx(_node):
    return beside_openssl("ccgpu-bench-tdx")


def beside_openssl(name):
    """The program measures CPU time of both in turns in one process; three of them, the middle one counts."""
    runs = []
    for _ in range(3):
        done = subprocess.run([str(program(name)), "500"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    middle = sorted(runs, key=lambda one: one["value"] / one["alternative_value"])[1]
    ratios = [one["value"] / one["alternative_value"] for one in runs]
    return [row(middle["name"], middle["value"], middle["unit"], middle["alternative"], middle["alternative_value"], "ratio <= 1.3",
                f"ratio: {spread(ratios, 2)}; allocations: {middle['allocations']} against {middle['alternative_allocations']}")]

"""SPDM handshakes against the OpenSSL calls in them."""
import json
import subprocess

from bench.rows import row, spread
from bench.throughput import program


def spdm(_node):
    """ccgpu-bench-spdm measures CPU time of both in turns in one process; three of them, the middle one counts."""
    runs = []
    for _ in range(3):
        done = subprocess.run([str(program("ccgpu-bench-spdm")), "200"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    rows = []
    for same in zip(*runs):
        middle = sorted(same, key=lambda one: one["value"] / one["alternative_value"])[len(same) // 2]
        ratios = [one["value"] / one["alternative_value"] for one in same]
        rows.append(row(middle["name"], middle["value"], middle["unit"], middle["alternative"], middle["alternative_value"], "ratio >= 0.8",
                        f"both ends, one core; ratio (the share of time in OpenSSL): {spread(ratios, 2)}; allocations: {middle['allocations']} against {middle['alternative_allocations']}"))
    return rows

"""An H100's evidence and an NVLink set of devices, against the signatures in them that nobody can leave out."""
import json
import subprocess

from bench.rows import row, spread
from bench.throughput import program

# Name -> what docs/benchmarks.md aims at; None: a figure beside its alternative without an aim of its own.
AIMS = {"verify.gpu-cold": "ratio <= 1.5", "verify.gpu-warm": "ratio <= 2.0", "verify.fabric": None}


def gpu(_node):
    """ccgpu-bench-gpu takes all in turns in one process; three of them, the middle one counts."""
    runs = []
    for _ in range(3):
        done = subprocess.run([str(program("ccgpu-bench-gpu")), "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    rows = []
    for same in zip(*runs):
        name = "verify." + same[0]["name"]
        middle = sorted(same, key=lambda one: one["value"] / one["alternative_value"])[1]
        ratios = [one["value"] / one["alternative_value"] for one in same]
        note = f"ratio: {spread(ratios, 2)}; allocations: {middle['allocations']} against {middle['alternative_allocations']}"
        if "cores" in middle:
            note += f"; {middle['cores']} cores"
        rows.append(row(name, middle["value"], middle["unit"], middle["alternative"], middle["alternative_value"], AIMS[name], note))
    return rows

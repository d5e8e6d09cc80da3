#!/usr/bin/env python3
"""Every benchmark of the project: run_bench.py BUILD_DIR [NAME] [--json FILE]. docs/benchmarks.md says what each number means.

NAME: only the group of that name (life, key, memory, copy, broker, gpu, snp, tdx, spdm) or the groups with such a row. FILE gets the rows as a JSON list.
An aim that is missed is printed and changes nothing of the exit code: 0 measured, 1 a measurement failed, 2 wrong arguments.
"""
import argparse
import json
import os
import pathlib
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test"))

from bench import gpu, nvidia, pods, rows, scale, spdm, throughput, verifiers  # noqa: E402
from e2e import harness  # noqa: E402

# Group: the function, whether it needs a node, the rows it makes.
GROUPS = {
    "life": (pods.life, True, ["pod.life", "pod.life-with-gpu"]),
    "memory": (pods.memory, True, ["memory.shim", "memory.pod", "memory.pod-of-many"]),
    "key": (pods.key, True, ["key.in-hand"]),
    "copy": (throughput.copy, True, ["copy.h2d", "copy.d2h"]),
    "broker": (throughput.broker, False, ["broker.rcar", "broker.rcar-kept"]),
    "gpu": (gpu.gpu, False, ["verify.gpu-cold", "verify.gpu-warm", "verify.fabric"]),
    "spdm": (spdm.spdm, False, ["spdm.handshake", "spdm.handshake-mutual"]),
    "snp": (verifiers.snp, False, ["verify.snp"]),
    "tdx": (verifiers.tdx, False, ["verify.tdx"]),
    "cluster": (scale.cluster, False, ["cluster.pods-a-minute", "cluster.memory-of-a-pod", "cluster.allocate"]),
    "nvidia": (nvidia.nvidia, False, ["verify.cold-nvidia", "verify.warm-nvidia"]),
}


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench", usage="./run bench [NAME] [--json FILE]", description="benchmarks, each beside its alternative")
    parser.add_argument("build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help=f"one of {', '.join(GROUPS)}, or (part of) a row's name")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the rows as a JSON list")
    given = parser.parse_intermixed_args()
    given.groups = [given.name] if given.name in GROUPS else [group for group, (_, _, names) in GROUPS.items() if any(given.name in name for name in names)]
    if not given.groups:
        parser.error(f"no benchmark is called {given.name}; there are {', '.join(name for _, _, names in GROUPS.values() for name in names)}")
    return given


def machine():
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    models = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    print(f"{cores} cores{', ' + models[0] if models else ''}, load {load:.1f}", flush=True)
    if load > cores / 2:
        print("the machine is busy with something else: times are longer and copies slower than they are on an idle one", flush=True)


def clear(node):
    """What a failed measurement left would be in the way of the next one."""
    listed = node.ccgpu("ps", "--json") if node else None
    for left in listed.json() if listed and listed.code == 0 else []:
        node.remove(left["name"])


def main():
    given = arguments()
    harness.BUILD = given.build.resolve()
    machine()
    found, failed, node = [], [], None
    try:
        for group in given.groups:
            measure, needs_node, _ = GROUPS[group]
            print(f"measuring {group}", flush=True)
            try:
                if needs_node and node is None:
                    node = harness.Node(gpus=1)
                found += measure(node)
            except harness.Skip as reason:
                print(f"{group}: SKIPPED: {reason}", flush=True)
            except rows.Missing as missing:
                failed.append(group)
                print(f"{group}: {missing}", flush=True)
            except Exception:  # one measurement that fails must not hide the others
                failed.append(group)
                print(f"{group} failed:\n{traceback.format_exc()}", flush=True)
                clear(node)
    finally:
        harness.close_all()
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    print("\n" + rows.table(found))
    missed = [one["name"] for one in found if one["met"] is False]
    aims = [one for one in found if one["met"] is not None]
    print(f"\n{len(aims) - len(missed)} of {len(aims)} aims met" + (f"; missed: {', '.join(missed)}" if missed else "") + (f"; not measured: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

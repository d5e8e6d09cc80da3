#!/usr/bin/env python3
"""A real Kubernetes cluster on this machine: ./run kind COMMAND

  up [--containerd 1.6|2] [--nodes N]   build what is missing (15 minutes the first time), start a cluster; returns when pods can be made
  down                                  remove it, with its network namespace and everything else of it
  status                                nodes, pods, memory
  kubectl ARGUMENTS...                  as you know it (also: helm ARGUMENTS...)
  exec COMMAND...                       any command, in the cluster's network, with KUBECONFIG set
  load ARCHIVE...                       OCI archives into every node
  build [--containerd 1.6|2]            only build the programs and the node image
  fetch                                 both node images; what cannot be had is noted for the tests, which are skipped with that reason

--name NAME (or CCGPU_KIND_CLUSTER) before the command chooses among several clusters; default dev. Where Docker, podman or nerdctl and a
registry are at hand, plain `kind create cluster` serves as well: docs/kind.md.
"""
import argparse
import subprocess
import sys
import time

import node_image
import programs
from kind_cluster import Cluster, default_name
from engine import Podman

STARTED = time.monotonic()


def say(text):
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)


def up(cluster, options):
    programs.build(say)
    cluster.up(options.containerd, options.nodes, say)
    print(f"cluster {cluster.name} is up: ./run kind kubectl get nodes; ./run kind down takes it away")


def build(cluster, options):
    programs.build(say)
    node_image.build(Podman(cluster.name), options.containerd, say)


def fetch(cluster, options):
    programs.MISSING.unlink(missing_ok=True)
    try:
        programs.build(say)
        for containerd in ("1.6", "2"):
            node_image.build(Podman(cluster.name), containerd, say)
    except (OSError, subprocess.SubprocessError) as error:
        programs.MISSING.parent.mkdir(parents=True, exist_ok=True)
        programs.MISSING.write_text(f"{error}\n")
        say(f"NO CLUSTER, its tests will be skipped: {error}")


def down(cluster, options):
    cluster.down()
    say(f"cluster {cluster.name} is gone")


def status(cluster, options):
    if not cluster.exists():
        sys.exit(f"there is no cluster {cluster.name}: ./run kind up")
    sys.exit(cluster.execute(["kubectl", "get", "nodes,pods", "-A", "-o", "wide"])
             or cluster.execute(["podman", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}} processes"]))


def load(cluster, options):
    for archive in options.archives:
        cluster.load(archive)


def main():
    words = sys.argv[1:]
    name = default_name()
    if words[:1] == ["--name"] and len(words) > 1:
        name, words = words[1], words[2:]
    if words[:1] in (["kubectl"], ["helm"], ["exec"]):
        cluster = Cluster(name)
        if not cluster.exists():
            sys.exit(f"there is no cluster {name}: ./run kind up")
        sys.exit(cluster.execute(words[1:] if words[0] == "exec" else words))
    parser = argparse.ArgumentParser(prog="./run kind", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (up, build, fetch, down, status, load):
        one = commands.add_parser(command.__name__)
        one.set_defaults(run=command)
        if command in (up, build):
            one.add_argument("--containerd", choices=["1.6", "2"], default="2")
        if command is up:
            one.add_argument("--nodes", type=int, choices=[1, 2, 3], default=1)
        if command is load:
            one.add_argument("archives", nargs="+")
    options = parser.parse_args(words)
    try:
        options.run(Cluster(name), options)
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"kind: {options.command}: {error}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A real Kubernetes cluster on this machine: ./run kind COMMAND

  up [--nodes N] [--provider P] [--containerd 1.6|2] [--image I]
                         start a cluster of 1 to 3 nodes, with everything for it that is missing; returns when pods can be made
  down                   remove it, with everything that it brought here but images
  status                 nodes, pods, memory
  kubectl ARGUMENTS...   as you know it (also: helm ARGUMENTS...)
  exec COMMAND...        any command, in the cluster's network, with KUBECONFIG set
  load ARCHIVE...        OCI archives into every node
  build [as for up]      all that up does before it starts the nodes
  fetch                  both node images of our own making, for tests; when they cannot be had this is noted, and the tests are skipped

P: docker, podman or nerdctl: this machine's, with the official node image (or --image). own: podman in a network namespace of its own, kind,
Kubernetes and the node image built here from Debian and Go packages (15 minutes the first time); containerd 1.6 exists only there. auto (the
default; KIND_EXPERIMENTAL_PROVIDER is honoured): the first engine that answers and has the image or can pull it, else own; it says why.

--name NAME (or CCGPU_KIND_CLUSTER) before the command chooses among several clusters; default dev.
"""
import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time

import choosing
import programs
from kind_cluster import Cluster, default_name
from own import Own

STARTED = time.monotonic()


def say(text):
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)


def up(cluster, options):
    cluster.up(options.containerd, options.nodes, say, options.provider, options.image)
    print(f"cluster {cluster.name} is up: ./run kind kubectl get nodes; ./run kind down takes it away")


@contextlib.contextmanager
def no_cluster():
    """A name for what is done without one; nothing of it is left."""
    try:
        yield "none"
    finally:
        shutil.rmtree(Cluster("none").state, ignore_errors=True)


def build(cluster, options):
    with no_cluster() as name:
        choosing.choose(options.provider, name, options.containerd, options.image, say)


def fetch(cluster, options):
    programs.MISSING.unlink(missing_ok=True)
    try:
        with no_cluster() as name:
            for containerd in ("1.6", "2"):
                Own(name).ready(containerd, None, say)
    except (OSError, subprocess.SubprocessError) as error:
        programs.MISSING.parent.mkdir(parents=True, exist_ok=True)
        programs.MISSING.write_text(f"{error}\n")
        say(f"NO CLUSTER, its tests will be skipped: {error}")


def down(cluster, options):
    cluster.down()
    say(f"cluster {cluster.name} is gone")


def status(cluster, options):
    sys.exit(_there(cluster).execute(["kubectl", "get", "nodes,pods", "-A", "-o", "wide"])
             or cluster.execute([cluster.engine.program, "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}} processes", *cluster.nodes()]))


def load(cluster, options):
    for archive in options.archives:
        _there(cluster).load(archive)


def _there(cluster):
    if not cluster.exists():
        sys.exit(f"there is no cluster {cluster.name}: ./run kind up")
    return cluster


def main():
    words = sys.argv[1:]
    name = default_name()
    if words[:1] == ["--name"] and len(words) > 1:
        name, words = words[1], words[2:]
    if words[:1] in (["kubectl"], ["helm"], ["exec"]):
        sys.exit(_there(Cluster(name)).execute(words[1:] if words[0] == "exec" else words))
    parser = argparse.ArgumentParser(prog="./run kind", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (up, build, fetch, down, status, load):
        one = commands.add_parser(command.__name__)
        one.set_defaults(run=command)
        if command in (up, build):
            one.add_argument("--containerd", choices=["1.6", "2"], default="2")
            one.add_argument("--provider", choices=choosing.PROVIDERS, default=os.environ.get("KIND_EXPERIMENTAL_PROVIDER", "auto"))
            one.add_argument("--image")
        if command is up:
            one.add_argument("--nodes", type=int, choices=[1, 2, 3], default=1)
        if command is load:
            one.add_argument("archives", nargs="+")
    options = parser.parse_args(words)
    if options.command in ("up", "build") and (wrong := choosing.contradiction(options.provider, options.containerd, options.image)):
        parser.error(wrong)
    try:
        options.run(Cluster(name), options)
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"kind: {options.command}: {error}")


if __name__ == "__main__":
    main()

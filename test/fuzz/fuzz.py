#!/usr/bin/env python3
"""Every fuzz target for a while: fuzz.py BUILD_DIR [--seconds N] [--filter TEXT] [--corpus DIR] [--keep].

Seeds are made from the real evidence (seeds.py), and what the tree keeps is among them. What a run finds new goes to DIR/<target>, made minimal
again, and is used by the next one (corpus.py). An input that breaks a target is left in DIR/broken and makes the exit code 1: it becomes a
regression test of that parser before it is fixed. --keep writes to test/fuzz/kept what DIR adds to the seeds.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from fuzz import corpus, seeds  # noqa: E402

OPTIONS = ["-rss_limit_mb=4096", "-timeout=25", "-verbosity=0", "-print_final_stats=0", "-close_fd_mask=1"]
MERGE_LIMIT_S = 900


def environment():
    return dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=0", UBSAN_OPTIONS="print_stacktrace=1")


def write(folder, inputs):
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs):
        (folder / f"kept{number:04}").write_bytes(data)


def merge(target, into, *sources):
    """Adds to `into` the inputs of `sources` that reach what those in it do not; whether it went well."""
    into.mkdir(exist_ok=True)
    command = [str(target), *OPTIONS, "-merge=1", str(into), *map(str, sources)]
    return subprocess.run(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=MERGE_LIMIT_S).returncode == 0


def run(target, seconds, seed, home):
    """(number of seeds, whether it held)"""
    found, broken = home / target.name, home / "broken"
    found.mkdir(parents=True, exist_ok=True)
    broken.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".run-") as folder:
        grown, made = pathlib.Path(folder, "grown"), pathlib.Path(folder, "seeds")
        grown.mkdir()
        write(made, corpus.kept(target.name))
        count = seeds.make(target.name, made) + len(corpus.kept(target.name))
        command = [str(target), *OPTIONS, f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={broken}/{target.name}-", str(grown), str(found), str(made)]
        done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds + 600)
        if done.returncode != 0:
            print("\n".join(done.stdout.splitlines()[-60:]), flush=True)
            return count, False
        smallest = pathlib.Path(folder, "smallest")
        if merge(target, smallest, found, grown, made):
            corpus.replace(found, smallest)
    return count, True


def keep(target, home):
    """The number of inputs that the tree keeps from now on: those that reach what no seed does."""
    with tempfile.TemporaryDirectory() as folder:
        made, tree = pathlib.Path(folder, "seeds"), pathlib.Path(folder, "tree")
        seeds.make(target.name, made)
        of_seeds = {path.name for path in made.iterdir()}
        write(tree, corpus.kept(target.name))
        (home / target.name).mkdir(parents=True, exist_ok=True)
        if not merge(target, made, tree, home / target.name):
            raise OSError(f"{target.name}: libFuzzer's merge failed")
        return corpus.keep(target.name, [path.read_bytes() for path in made.iterdir() if path.name not in of_seeds])


def main():
    parser = argparse.ArgumentParser(prog="./run fuzz", description="each fuzz target for N seconds")
    parser.add_argument("build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="only targets whose name contains it (the same as --filter)")
    parser.add_argument("--seconds", type=int, default=10, help="for each target (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices; 0 (default): another one each time")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only targets whose name contains it")
    parser.add_argument("--corpus", type=pathlib.Path, default=corpus.FOLDER, metavar="DIR", help=f"where inputs are kept (CCGPU_CORPUS; default {corpus.FOLDER})")
    parser.add_argument("--keep", action="store_true", help="does not fuzz: writes to test/fuzz/kept what the kept inputs add to the seeds")
    given = parser.parse_intermixed_args()
    targets = [path for path in sorted((given.build / "fuzz").glob("*")) if os.access(path, os.X_OK) and given.filter in path.name and given.name in path.name]
    if not targets:
        parser.error(f"no fuzz target's name contains {given.filter or given.name!r}")
    if not seeds.VECTORS.is_dir():
        print(f"NOTE: no real evidence at {seeds.VECTORS} (CCGPU_VECTORS): targets start from what was kept and from nothing", flush=True)
    home = given.corpus.resolve()
    if given.keep:
        if not seeds.VECTORS.is_dir():
            parser.error("--keep needs the real evidence, to tell what the seeds reach already")
        for target in targets:
            print(f"  {target.name}: {keep(target, home)} inputs in the tree", flush=True)
        return 0
    failed = []
    for target in targets:
        count, held = run(target, given.seconds, given.seed, home)
        print(f"  {target.name}: {given.seconds} s, {count} seeds, {len(list((home / target.name).iterdir()))} inputs kept" + ("" if held else ", BROKEN"), flush=True)
        if not held:
            failed.append(target.name)
    print(f"{len(targets) - len(failed)} held, {len(failed)} broken" + (f": {', '.join(failed)}; inputs in {home}/broken" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

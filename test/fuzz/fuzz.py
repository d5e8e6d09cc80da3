#!/usr/bin/env python3
"""Every fuzz target for a while: fuzz.py BUILD_DIR [--seconds N] [--filter TEXT] [--corpus DIR].

Seeds are made from the real evidence (seeds.py); what a run finds new is kept in DIR/<target>, minimised, and used by the next one. An input
that breaks a target is left in DIR/broken and makes the exit code 1: it becomes a regression test of that parser before it is fixed.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from fuzz import seeds  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OPTIONS = ["-rss_limit_mb=4096", "-timeout=25", "-verbosity=0", "-print_final_stats=0", "-close_fd_mask=1"]


def run(target, seconds, seed, corpus):
    """(inputs in the corpus, whether it held)"""
    kept, broken = corpus / target.name, corpus / "broken"
    kept.mkdir(parents=True, exist_ok=True)
    broken.mkdir(exist_ok=True)
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=0", UBSAN_OPTIONS="print_stacktrace=1")
    with tempfile.TemporaryDirectory() as folder:
        grown, made = pathlib.Path(folder, "grown"), pathlib.Path(folder, "seeds")
        grown.mkdir()
        count = seeds.make(target.name, made)
        command = [str(target), *OPTIONS, f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={broken}/{target.name}-", str(grown), str(kept), str(made)]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds + 600)
        if done.returncode != 0:
            print("\n".join(done.stdout.splitlines()[-60:]), flush=True)
            return count, False
        smallest = pathlib.Path(folder, "smallest")
        smallest.mkdir()
        merged = subprocess.run([str(target), *OPTIONS, "-merge=1", str(smallest), str(kept), str(grown), str(made)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=900)
        if merged.returncode == 0:
            for old in kept.iterdir():
                old.unlink()
            for path in smallest.iterdir():
                (kept / path.name).write_bytes(path.read_bytes())
    return count, True


def main():
    parser = argparse.ArgumentParser(prog="./run fuzz", description="each fuzz target for N seconds")
    parser.add_argument("build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="only targets whose name contains it (the same as --filter)")
    parser.add_argument("--seconds", type=int, default=10, help="for each target (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices; 0 (default): another one each time")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only targets whose name contains it")
    parser.add_argument("--corpus", type=pathlib.Path, default=ROOT / "build" / "corpus", metavar="DIR", help="where inputs are kept (default build/corpus)")
    given = parser.parse_intermixed_args()
    targets = [path for path in sorted((given.build / "fuzz").glob("*")) if os.access(path, os.X_OK) and given.filter in path.name and given.name in path.name]
    if not targets:
        parser.error(f"no fuzz target's name contains {given.filter or given.name!r}")
    if not seeds.VECTORS.is_dir():
        print(f"NOTE: no real evidence at {seeds.VECTORS} (CCGPU_VECTORS): targets start from what was kept and from nothing", flush=True)
    failed = []
    for target in targets:
        count, held = run(target, given.seconds, given.seed, given.corpus.resolve())
        print(f"  {target.name}: {given.seconds} s, {count} seeds, {len(list((given.corpus / target.name).iterdir()))} inputs kept" + ("" if held else ", BROKEN"), flush=True)
        if not held:
            failed.append(target.name)
    print(f"{len(targets) - len(failed)} held, {len(failed)} broken" + (f": {', '.join(failed)}; inputs in {given.corpus}/broken" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

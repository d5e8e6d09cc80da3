#!/usr/bin/env python3
"""Every test of the project: run_tests.py [--units] BUILD_DIR [FILTER].

Units first (one program a library, two at a time), then the tests across programs in test/e2e. FILTER: only tests whose full
name ("trust.spdm_test.Requester.RefusesX" or "e2e.refusals.test_x") contains it. --units: without test/e2e. The last line counts: N passed,
N failed, N skipped.
"""
import concurrent.futures
import importlib
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNIT_LIMIT_S = 900
SIDE_BY_SIDE = "t_9_"


class Counts:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def unit_filter(program, wanted):
    """gtest's filter for our FILTER, or None when the whole program is wanted."""
    return None if not wanted or wanted in program.name else f"*{wanted.removeprefix(program.name + '.')}*"


def run_unit(program, wanted):
    counts, chosen = Counts(), unit_filter(program, wanted)
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [str(program), f"--gtest_output=json:{report}", "--gtest_brief=1"] + ([f"--gtest_filter={chosen}"] if chosen else [])
        start = time.monotonic()
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=UNIT_LIMIT_S, text=True, errors="replace")
            output, code = done.stdout, done.returncode
        except subprocess.TimeoutExpired as late:
            output, code = f"{(late.stdout or b'').decode(errors='replace')}\nstopped after {UNIT_LIMIT_S} s", -1
        suites = json.loads(report.read_text())["testsuites"] if report.exists() else []
    for suite in suites:
        for test in suite["testsuite"]:
            name = f"{program.name}.{suite['name']}.{test['name']}"
            if test.get("result") == "SKIPPED":
                reason = next((skip["message"].strip().splitlines()[-1] for skip in test.get("skipped", []) if skip.get("message")), "")
                counts.skipped.append(f"{name}: {reason}")
            elif test.get("result") != "COMPLETED":
                continue  # filtered out
            elif test.get("failures"):
                counts.failed.append(name)
            else:
                counts.passed += 1
    if code != 0 and not counts.failed:
        counts.failed.append(f"{program.name} (ended with {code} and no failed test: a crash, or it does not start)")
    line = f"{program.name}: {counts.passed} passed" + (f", {len(counts.failed)} FAILED" if counts.failed else "") + (f", {len(counts.skipped)} skipped" if counts.skipped else "")
    if counts.passed or counts.failed or counts.skipped:
        print(f"  {line} ({time.monotonic() - start:.1f} s)", flush=True)
    if counts.failed:
        print(output, flush=True)
    return counts


def run_units(build, wanted):
    counts = Counts()
    programs = sorted((build / "tests").glob("*_test"))
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for part in pool.map(lambda program: run_unit(program, wanted), programs):
            counts.add(part)
    return counts


def run_module(build, name, wanted):
    """One module of test/e2e: its functions test_*; one that raises harness.Skip is skipped."""
    sys.path.insert(0, str(ROOT / "test"))
    harness = importlib.import_module("e2e.harness")
    harness.BUILD = build
    module, counts = importlib.import_module(f"e2e.{name}"), Counts()
    tests = [test for test in vars(module) if test.startswith("test_") and wanted in f"e2e.{name}.{test}"]
    if tests:
        print(f"  {name}: {module.__doc__.strip().splitlines()[0]}", flush=True)
    try:
        for test in tests:
            start, full = time.monotonic(), f"e2e.{name}.{test}"
            try:
                getattr(module, test)()
                counts.passed += 1
                verdict = "passed"
            except harness.Skip as why:
                counts.skipped.append(f"{full}: {why}")
                verdict = f"SKIPPED: {why}"
            except BaseException as error:  # noqa: B902: one broken test must not end the others
                if isinstance(error, KeyboardInterrupt):
                    raise
                counts.failed.append(full)
                verdict = f"FAILED\n{traceback.format_exc()}"
            print(f"    {name + '.' if name.startswith(SIDE_BY_SIDE) else ''}{test}: {verdict} ({time.monotonic() - start:.1f} s)", flush=True)
    finally:
        harness.close_all()
    return counts


def run_e2e(build, wanted):
    """Everything in its order; then the clusters side by side, each in a process of its own: most of their time is waiting."""
    counts = Counts()
    names = [path.stem for path in sorted((ROOT / "test" / "e2e").glob("t_*.py"))]
    for name in names:
        if not name.startswith(SIDE_BY_SIDE):
            counts.add(run_module(build, name, wanted))
    clusters = [name for name in names if name.startswith(SIDE_BY_SIDE)]
    with concurrent.futures.ProcessPoolExecutor(max_workers=os.cpu_count() or 2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(run_module, [build] * len(clusters), clusters, [wanted] * len(clusters)):
            counts.add(part)
    return counts


def main():
    only_units = "--units" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--units"]
    build, wanted = pathlib.Path(arguments[0]).resolve(), arguments[1] if len(arguments) > 1 else ""
    os.environ.setdefault("CCGPU_VECTORS", str(ROOT.parent / "shared" / "vectors"))
    if not pathlib.Path(os.environ["CCGPU_VECTORS"]).is_dir():
        print(f"NOTE: no test vectors at {os.environ['CCGPU_VECTORS']} (CCGPU_VECTORS): tests with real evidence are skipped", flush=True)
    counts = Counts()
    print("== units", flush=True)
    counts.add(run_units(build, wanted))
    if not only_units:
        print("== across programs", flush=True)
        counts.add(run_e2e(build, wanted))
    for reason in counts.skipped:
        print(f"SKIPPED {reason}")
    for name in counts.failed:
        print(f"FAILED {name}")
    if not counts.passed and not counts.failed:
        print(f"no test's name contains {wanted!r}")
    print(f"{counts.passed} passed, {len(counts.failed)} failed, {len(counts.skipped)} skipped")
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main())

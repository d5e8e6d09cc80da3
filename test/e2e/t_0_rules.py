"""The project's own rules: codes and documents agree, trust/ stays pure, tests wait for events. `./run lint` says all of it at once."""
import pathlib
import subprocess
import sys
import tempfile

import lint
from e2e import harness


def holds(violations):
    found = list(violations)
    assert not found, "\n" + "\n".join(found)


def test_each_reason_code_is_documented_and_each_documented_code_exists():
    holds(lint.rule_reason_codes())


def test_trust_has_no_sockets_files_clocks_or_randomness_of_its_own():
    holds(lint.rule_trust_is_pure())


def test_includes_start_at_the_root():
    holds(lint.rule_includes_are_absolute())


def test_no_file_is_over_500_lines():
    holds(lint.rule_file_sizes())


def test_nothing_is_marked_unfinished():
    holds(lint.rule_nothing_unfinished())


def test_tests_wait_for_events():
    holds(lint.rule_tests_do_not_sleep())


def test_tests_share_one_temporary_folder():
    holds(lint.rule_tests_share_one_temporary_folder())


def test_nothing_names_a_machine_or_a_registry():
    holds(lint.rule_no_traces_of_a_machine())


def test_python_names_exist():
    holds(lint.rule_python_names_exist())


def test_links_of_the_documents_lead_somewhere():
    holds(lint.rule_links_lead_somewhere())


def test_every_program_has_help_and_version():
    holds(lint.rule_programs_say_what_they_are(harness.BUILD / "bin"))


def test_each_tool_starts():
    for tool in (["test/bench/run_bench.py", harness.BUILD], ["test/fuzz/fuzz.py", harness.BUILD], ["test/kind/kind.py"], ["images/build.py", harness.BUILD]):
        done = subprocess.run([sys.executable, *map(str, tool), "--help"], cwd=lint.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == 0 and "usage: " in done.stdout, f"{tool[0]}: {done.stdout}"


# One file a rule that breaks it, and what the rule says of it.
BROKEN = {
    "trust/a.cc": ('#include "b.h"\n#include <fstream>\nauto e = Err("made.up-code", "", "");\nauto t = std::chrono::system_clock::now();\n// TO' 'DO later\n',
                   ["reason code made.up-code has no line", "trust/a.cc:2: files in trust/", "trust/a.cc:4: clocks in trust/", "trust/a.cc:1: include from",
                    "trust/a.cc:5: unfinished"]),
    "base/long.cc": ("int x;\n" * 551, ["base/long.cc: has 551 lines"]),
    "base/a_test.cc": ("void F() { std::this_thread::sleep_for(1); }\nauto folder = ::testing::TempDir();\n",
                       ["base/a_test.cc:1: sleep_for", "base/a_test.cc:2: testing::TempDir"]),
    "test/t.py": ("import time\ndef f():\n    time.sleep(1)\ndef wait_for():\n    time.sleep(1)\n    gone()\n", ["test/t.py:3: time.sleep", "test/t.py:6:5: undefined name 'gone'"]),
    "docs/a.md": ("[x](nothing.md) `trust/gone.h` `trust/a.cc`\nlook in /ro" "ot/x\n",
                  ["docs/a.md:1: a link into nothing: nothing.md", "docs/a.md:1: no such file: trust/gone.h", "docs/a.md:2: a trace of a machine"]),
    "docs/reason-codes/a.md": ("| made.gone | it was | |\n", ["docs/reason-codes/a.md:1: reason code made.gone occurs in no program"]),
}


def test_each_rule_finds_what_breaks_it():
    root, caches = lint.ROOT, (lint.files, lint.text_of, lint.code_of)
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, _) in BROKEN.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in ("run", "test/demo/demo", ".ci/run"):
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("true\n")
        subprocess.run(["git", "init", "-q", folder], check=True)
        try:
            lint.ROOT = pathlib.Path(folder)
            for cache in caches:
                cache.cache_clear()
            found = [line for rule in lint.RULES for line in rule() if not line.startswith("test/lint.py")]
        finally:
            lint.ROOT = root
            for cache in caches:
                cache.cache_clear()
    wanted = [words for _, expected in BROKEN.values() for words in expected]
    for words in wanted:
        assert any(words in line for line in found), f"nothing says {words!r}: {found}"
    assert len(found) == len(wanted), found


def test_the_rules_look_at_the_whole_project():
    assert len(lint.cpp()) > 300 and len(lint.cpp(tests=True)) > 50 and len(lint.documented_codes()) > 300

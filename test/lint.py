#!/usr/bin/env python3
"""The project's rules that a program can hold: lint.py [--all]. `./run lint` calls it; test/e2e/t_0_rules.py runs the cheap ones as tests.

Each rule is a function that yields one line a violation, "file:line: what is wrong". Notes are printed and fail nothing. Besides the rules:
clang-format and clang-tidy over the files changed since the main branch (--all: over every file).
"""
import collections
import concurrent.futures
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GIT = ["git", "-c", "safe.directory=*"]  # root may look at a clone that is a user's
MAX_LINES, NOTE_LINES, NOTE_HEADER_LINES = 500, 400, 200

# trust/ takes time, randomness and files as arguments. What breaks this, and why it may: (file, word) -> reason.
TRUST_EXCEPTIONS = {
    ("trust/policy/rootfs_directory.cc", "files"): "digests a mounted tree for guestd; a walk that no rename can divert needs descriptors",
    ("trust/verify/parallel.cc", "clocks"): "threads that judge the devices of a set and end with the call; nobody sleeps",
    ("trust/kbs/jwe.cc", "randomness"): "OpenSSL makes the ephemeral key of ECDH-ES; a broken RSA padding goes on with a key that nobody can guess",
}
TRUST_FORBIDDEN = {
    "sockets": r"#include <(sys/(socket|un|epoll|eventfd)|netinet/|arpa/|netdb|poll)|#include [<\"](httplib|grpc|base/ttrpc/)",
    "files": r"#include <(fstream|filesystem|dirent|fcntl|unistd|sys/(stat|mman|xattr|mount))|#include \"base/(file|fd)\.h\"|\bfopen\(|BIO_new_file",
    "clocks": r"(system|steady|high_resolution)_clock::now|\bSystemClock\b|\btime\((nullptr|NULL|0|&)|\b(gettimeofday|clock_gettime)\(|#include <thread>",
    "randomness": r"\bSystemRandom\b|\bPrivateKey::Generate\(|RAND_(priv_)?bytes|random_device|\bgetrandom\(|#include <random>",
    "environment": r"\b(secure_)?getenv\(|\bsetenv\(",
}

# Literals that look like reason codes and are names of fields in documents.
FIELD_NAMES = {"collateral.evaluation-number", "collateral.qe-identity", "collateral.rims", "collateral.tcb-info", "process.capabilities", "process.env", "process.user", "sandbox.measurements", "sandbox.tee", "snp.measurement", "snp.references", "snp.vmpl", "tdx.fmspc", "tdx.mrtd", "tdx.references"}
FILE_NAME = re.compile(r"\.(json|sock|toml|yaml|xml|db)$")
CODE = r"[a-z][a-z0-9]*\.[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
# The calls whose literal is a code whatever its area is.
CODE_CALL = re.compile(r"\b(?:Err|ErrnoError|Differs|Tell|Fail|errors_?(?:\.|->)Add)\(\s*\"(" + CODE + r")\"")
TEST_SOURCE = re.compile(r"(_test|_fuzz|_bench)\.cc$|(^|/)test_[^/]*\.(cc|h)$|/testing/")


@functools.cache
def files(*suffixes):
    """Tracked and new files (not those that git ignores), as paths from the repository's root; "" takes every file."""
    listed = subprocess.run([*GIT, "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted(name for name in set(listed.split("\0")) if name and name.endswith(suffixes) and (ROOT / name).is_file())


@functools.cache
def text_of(name):
    return (ROOT / name).read_text(errors="replace")


@functools.cache
def code_of(name):
    """A C++ file without its comments; lines keep their numbers."""
    part = re.compile(r"'(?:\\.|[^'\\\n])'|\"(?:\\.|[^\"\\\n])*\"|//[^\n]*")
    return part.sub(lambda found: "" if found[0].startswith("//") else found[0], text_of(name))


def line_at(text, offset):
    return text.count("\n", 0, offset) + 1


def cpp(tests=False):
    return [name for name in files(".cc", ".h") if bool(TEST_SOURCE.search(name)) == tests]


def documented_codes():
    codes = collections.defaultdict(list)
    for name in files(".md"):
        if name.startswith("docs/reason-codes/"):
            for number, line in enumerate(text_of(name).splitlines(), 1):
                if found := re.match(r"\|?\s*`?(" + CODE + r")`?\s*\|", line):
                    codes[found[1]].append(f"{name}:{number}")
    return codes


def rule_reason_codes():
    """Each reason code of the programs is documented, and each documented code exists."""
    documented, literals, sure = documented_codes(), {}, {}
    for name in cpp():
        code = code_of(name)
        for found in re.finditer(r"\"(" + CODE + r")\"|\[(" + CODE + r")\]\"", code):
            literals.setdefault(found[1] or found[2], f"{name}:{line_at(code, found.start())}")
        for found in CODE_CALL.finditer(code):
            sure.setdefault(found[1], f"{name}:{line_at(code, found.start())}")
    areas = {code.split(".")[0] for code in documented}
    for code, place in sorted(literals.items()):
        is_code = code in sure or (code.split(".")[0] in areas and code not in FIELD_NAMES and not FILE_NAME.search(code))
        if is_code and code not in documented and code not in FIELD_NAMES:
            yield f"{sure.get(code, place)}: reason code {code} has no line in docs/reason-codes/"
    for code, places in sorted(documented.items()):
        if code not in literals:
            yield f"{places[0]}: reason code {code} occurs in no program"
        for part, count in collections.Counter(place.split(":")[0] for place in places).items():
            if count > 1:
                yield f"{part}: reason code {code} stands twice"


def rule_trust_is_pure():
    """trust/ has no sockets, files, clocks, randomness or environment of its own."""
    needed = set()
    for name in cpp():
        if not name.startswith("trust/"):
            continue
        code = code_of(name)
        for what, pattern in TRUST_FORBIDDEN.items():
            for found in re.finditer(pattern, code):
                needed.add((name, what))
                if (name, what) not in TRUST_EXCEPTIONS:
                    yield f"{name}:{line_at(code, found.start())}: {what} in trust/: {found[0]} (take it as an argument)"
    for name, what in TRUST_EXCEPTIONS:
        if (name, what) not in needed:
            yield f"test/lint.py: the exception for {what} in {name} is needed no more"


def rule_includes_are_absolute():
    """Includes of our own files start at the repository's root."""
    top = {name.split("/")[0] for name in files("") if "/" in name}
    for name in files(".cc", ".h"):
        for number, line in enumerate(text_of(name).splitlines(), 1):
            found = re.match(r"\s*#\s*include\s+\"([^\"]+)\"", line)
            if found and (found[1].split("/")[0] not in top or ".." in found[1].split("/")):
                yield f"{name}:{number}: include from the repository's root: {found[1]}"
            elif found and not (ROOT / found[1]).exists() and not (ROOT / re.sub(r"(\.grpc)?\.pb\.h$", ".proto", found[1])).exists():
                yield f"{name}:{number}: no such file: {found[1]}"


def rule_file_sizes():
    """A file is one idea: at most 500 lines."""
    for name, count in sizes():
        if count > MAX_LINES:
            yield f"{name}: has {count} lines; {MAX_LINES} is the limit: split it"


def sizes():
    for name in files(".cc", ".h", ".py", ".proto", ".cu", ".cmake", "/run", "demo/demo"):
        yield name, text_of(name).count("\n")


def note_sizes():
    for name, count in sizes():
        if NOTE_LINES < count <= MAX_LINES or (name.endswith(".h") and count > NOTE_HEADER_LINES):
            yield f"{name}: {count} lines"


def rule_nothing_unfinished():
    """No marks of unfinished work in sources and documents."""
    shouted = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    spoken = re.compile(r"(//|#).*\b(to-?do|fixme|not implemented|placeholder|stubbed|for now)\b", re.IGNORECASE)
    for name in files(".cc", ".h", ".py", ".proto", ".cu", ".md", ".cmake", ".txt", ".yaml", "/run"):
        for number, line in enumerate([] if name == "test/lint.py" else text_of(name).splitlines(), 1):
            if found := shouted.search(line) or (not name.endswith(".md") and spoken.search(line)):
                yield f"{name}:{number}: unfinished: {found[0].strip()}"


def rule_tests_do_not_sleep():
    """Tests wait for events. One helper that looks again until a condition holds may sleep: a Python function named wait_*."""
    for name in cpp(tests=True):
        for found in re.finditer(r"\b(sleep_for|sleep_until|u?sleep|nanosleep)\(", code_of(name)):
            yield f"{name}:{line_at(code_of(name), found.start())}: {found[1]} in a test: wait for the event"
    for name in files(".py"):
        function = ""
        for number, line in enumerate(text_of(name).splitlines(), 1):
            if found := re.match(r"\s*def (\w+)", line):
                function = found[1]
            if re.match(r"[^#\"']*\btime\.sleep\(", line) and not function.startswith("wait"):
                yield f"{name}:{number}: time.sleep outside of a wait_* function"
    for name in ("run", "test/demo/demo", ".ci/run"):
        for number, line in enumerate(text_of(name).splitlines(), 1):
            if re.match(r"\s*sleep\s", line):
                yield f"{name}:{number}: sleep in a script: wait for the event"


def rule_tests_share_one_temporary_folder():
    """A test's folder is a TempDir, which nobody else has and which goes with the test: names made otherwise meet, or stay behind."""
    for name in cpp(tests=True):
        for found in re.finditer(r"\b(mkdtemp|mkstemp|tmpnam|testing::TempDir)\(", code_of(name)):
            if not name.startswith("base/testing/"):
                yield f"{name}:{line_at(code_of(name), found.start())}: {found[1]} in a test: use TempDir of base/testing/temp_dir.h"


def rule_no_traces_of_a_machine():
    """Nothing committed names a path of a developer's machine or a package registry."""
    paths = r"(?<![\w.*}])/(work|root|tmp/b|home/\w+)/"
    registries = r"https?://[^/\s\"']*(registry|mirror|artifact|nexus|pypi|npmjs|crates\.io|golang\.org|debian\.org|ubuntu\.com|googleapis|gcr\.io|quay\.io|docker\.io)"
    for name in files(""):
        if name == "test/lint.py":
            continue  # holds the patterns
        for number, line in enumerate(text_of(name).splitlines(), 1):
            if found := re.search(f"{paths}|{registries}", line):
                yield f"{name}:{number}: a trace of a machine: {found[0]}"


def rule_python_names_exist():
    """A name that nothing defines is found when the line runs, perhaps on the one machine where it does; pyflakes finds it here."""
    done = subprocess.run([sys.executable, "-m", "pyflakes", *files(".py")], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    yield from done.stdout.splitlines()


def rule_links_lead_somewhere():
    """What the documents link to, and the paths that they name, exist."""
    top = {name.split("/")[0] for name in files("") if "/" in name}
    for name in files(".md"):
        folder = (ROOT / name).parent
        for found in re.finditer(r"\]\(([^)#\s]+)[^)]*\)|`([\w.*-]+(?:/[\w.*-]+)*/?)`", text_of(name)):
            place = f"{name}:{line_at(text_of(name), found.start())}"
            if found[1]:
                if "://" not in found[1] and not (folder / found[1]).exists():
                    yield f"{place}: a link into nothing: {found[1]}"
            elif "/" in found[2] and found[2].split("/")[0] in top and not any(ROOT.glob(found[2].rstrip("/"))) and not any(folder.glob(found[2].rstrip("/"))):
                yield f"{place}: no such file: {found[2]}"


def rule_programs_say_what_they_are(binaries):
    """Every program has --help and --version (0, something on standard output) and ends with 2 when it does not know an option."""
    for path in sorted(pathlib.Path(binaries).glob("*")):
        if not path.is_file() or not os.access(path, os.X_OK) or ".so" in path.name or "-bench" in path.name:
            continue
        for option, wanted in (("--help", 0), ("--version", 0), ("--no-such-option", 2)):
            try:
                done = subprocess.run([path, option], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
            except subprocess.TimeoutExpired:
                yield f"{path.name} {option}: does not end"
                continue
            if done.returncode != wanted or (wanted == 0 and not done.stdout.strip()):
                yield f"{path.name} {option}: ends with {done.returncode}, expected {wanted}" + ("" if wanted else " and words on standard output")


RULES = [rule_python_names_exist, rule_reason_codes, rule_trust_is_pure, rule_includes_are_absolute, rule_file_sizes, rule_nothing_unfinished, rule_tests_do_not_sleep,
         rule_tests_share_one_temporary_folder, rule_no_traces_of_a_machine, rule_links_lead_somewhere]


def changed_files():
    """C++ files that differ from the main branch (from the last commit, where there is no other branch), and new ones."""
    def git(*arguments):
        done = subprocess.run([*GIT, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout.split("\n")[0] if done.returncode == 0 else ""
    head, base = git("rev-parse", "HEAD"), ""
    for branch in ("origin/main", "main"):
        base = base or git("merge-base", "HEAD", branch)
    if base in ("", head):
        base = git("rev-parse", "HEAD~1") or head
    listed = subprocess.run([*GIT, "diff", "--name-only", base], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.split()
    listed += subprocess.run([*GIT, "ls-files", "-o", "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.split()
    return sorted(name for name in set(listed) if name.endswith((".cc", ".h")) and (ROOT / name).is_file())


def clang_format(names):
    if not names:
        return []
    done = subprocess.run(["clang-format-16", "--dry-run", *names], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [f"{name}: is not formatted: clang-format-16 -i {name}" for name in sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: warning", done.stdout, re.MULTILINE)))]


def clang_tidy(names):
    database = ROOT / "build" / "release" / "compile_commands.json"
    if not database.exists():
        return ["build/release/compile_commands.json is not there: ./run build first"]
    known = database.read_text()
    names = [name for name in names if name.endswith(".cc") and f"{ROOT / name}\"" in known]

    def one(name):
        done = subprocess.run(["clang-tidy-16", "--quiet", "-p", str(database.parent), name], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return re.findall(rf"^(?:{re.escape(str(ROOT))}/)?(\S+:\d+:\d+: (?:error|warning): .*)$", done.stdout, re.MULTILINE)
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        return sorted({line for lines in pool.map(one, names) for line in lines})


def main():
    failed = 0

    def report(title, lines):
        nonlocal failed
        lines = list(lines)
        failed += len(lines)
        print(f"{'ok  ' if not lines else 'FAIL'} {title}", flush=True)
        for line in lines:
            print(f"     {line}", flush=True)

    for rule in RULES:
        report(rule.__doc__.split("\n")[0], rule())
    binaries = ROOT / "build" / "release" / "bin"
    if binaries.is_dir():
        report("every program has --help and --version", rule_programs_say_what_they_are(binaries))
    else:
        print("note nothing is built: the programs' options were not tried (./run build)")
    names = files(".cc", ".h") if "--all" in sys.argv[1:] else changed_files()
    for tool, check in (("clang-format-16", clang_format), ("clang-tidy-16", clang_tidy)):
        if shutil.which(tool):
            report(f"{tool} ({len(names)} files)", check(names))
        else:
            report(f"{tool}: is not installed", [f"apt-get install {tool}"])
    for line in note_sizes():
        print(f"note large file: {line}")
    print(f"{failed} violations")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

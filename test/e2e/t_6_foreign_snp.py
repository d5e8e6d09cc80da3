"""Google's go-sev-guest, unmodified, judges the emulator's SNP reports: the healthy ones accepted, each fault refused, as by our verifier."""
import functools
import json
import pathlib
import shutil
import subprocess
import tempfile

from e2e import harness
from foreign import go_tools

# What the relying party asks for beyond the usual, where the fault is one only then.
ASKED = {"tcb-below-the-floor": ["-minimum_tcb=0x001900000000000a"]}


@functools.cache
def evidence():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-snp-", dir="/tmp"))
    harness._open.append(Folder(folder))
    subprocess.run([harness.BUILD / "tests" / "foreign-snp-evidence", folder], check=True, timeout=120)
    return folder, json.loads((folder / "cases.json").read_text())


class Folder:
    def __init__(self, path):
        self.path = path

    def close(self):
        evidence.cache_clear()
        shutil.rmtree(self.path, ignore_errors=True)


def google(name, *more, roots=True):
    tool = go_tools.tool("go-sev-guest")
    folder, facts = evidence()
    command = [tool, "-in", folder / f"{name}.bin", "-inform", "bin", "-network=false", "-product_name=Genoa-B1", "-guest_policy=0x30000", "-vmpl=0", "-provisional=false", "-platform_info=0x27",
               f"-report_data={facts['report_data']}", f"-measurement={facts['measurement']}", f"-host_data={facts['host_data']}", f"-chip_id={facts['chip_id']}",
               f"-report_id_ma={'ff' * 32}", *([f"-product_key_path={folder / 'roots.pem'}"] if roots else []), *more]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return harness.Result(done.returncode, done.stdout, "")


def test_healthy_reports_are_accepted():
    for name in ("healthy", "healthy-version-5"):
        said = google(name)
        assert said.code == 0, f"{name}: {said}"


def test_under_amds_own_roots_nothing_of_the_emulator_is_accepted():
    said = google("healthy", roots=False)
    assert said.code == 2, said


def test_each_fault_is_refused_by_both():
    _, facts = evidence()
    for case in facts["cases"]:
        name, ours = case["name"], case["ours"]
        healthy = name.startswith("healthy")
        assert (ours == "accepted") == healthy, f"our verifier says {ours} of {name}"
        said = google(name, *ASKED.get(name, []))
        assert healthy == (said.code == 0), f"{name}: we say {ours}, Google's verifier: {said}"

"""Google's go-tdx-guest, unmodified, judges the emulator's TDX quotes: the healthy ones accepted, each fault refused, as by our verifier.

Its releases know version 4 only; quotes of version 5 are judged by our verifier alone.
"""
import functools
import json
import pathlib
import shutil
import subprocess
import tempfile

from e2e import harness
from foreign import go_tools


@functools.cache
def evidence():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-tdx-", dir="/tmp"))
    harness._open.append(Folder(folder))
    subprocess.run([harness.BUILD / "tests" / "foreign-tdx-evidence", folder], check=True, timeout=120)
    return folder, json.loads((folder / "cases.json").read_text())


class Folder:
    def __init__(self, path):
        self.path = path

    def close(self):
        evidence.cache_clear()
        shutil.rmtree(self.path, ignore_errors=True)


def google(name, roots=True):
    tool = go_tools.tool("go-tdx-guest")
    folder, facts = evidence()
    command = [tool, "-in", folder / f"{name}.dat", "-inform", "bin", "-get_collateral=false", "-check_crl=false", f"-report_data={facts['report_data']}", f"-mr_td={facts['mr_td']}",
               f"-mr_config_id={facts['mr_config_id']}", f"-mr_seam={facts['mr_seam']}", "-qe_vendor_id=939a7233f79c4ca9940a0db3957f0607",
               "-td_attributes=0000001000000000", "-xfam=e700000000000000", *([f"-trusted_roots={folder / 'root.pem'}"] if roots else [])]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return harness.Result(done.returncode, done.stdout, "")


def test_healthy_quotes_are_accepted():
    for name in ("healthy", "healthy-with-padding"):
        said = google(name)
        assert said.code == 0, f"{name}: {said}"
    said = google("healthy-version-5")
    assert said.code != 0 and "not supported" in said.out, f"Google's verifier knows version 5 now; let it judge those quotes too: {said}"


def test_under_intels_own_root_nothing_of_the_emulator_is_accepted():
    said = google("healthy", roots=False)
    assert said.code != 0, said


def test_each_fault_is_refused_by_both():
    _, facts = evidence()
    for case in facts["cases"]:
        name, ours = case["name"], case["ours"]
        healthy = name.startswith("healthy")
        assert (ours == "accepted") == healthy, f"our verifier says {ours} of {name}"
        if name == "healthy-version-5":
            continue
        said = google(name)
        assert healthy == (said.code == 0), f"{name}: we say {ours}, Google's verifier: {said}"

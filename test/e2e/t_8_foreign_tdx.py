"""Google's go-tdx-guest, unmodified, judges the emulator's TDX quotes: the healthy ones accepted, each fault refused, as by our verifier.

Its releases know version 4 only; quotes of version 5 are judged by our verifier alone.
"""
from foreign import cases, go_tools


def google(name, roots=True):
    tool = go_tools.tool("go-tdx-guest")
    folder, facts = cases.made("foreign-tdx-evidence")
    command = [tool, "-in", folder / f"{name}.dat", "-inform", "bin", "-get_collateral=false", "-check_crl=false", f"-report_data={facts['report_data']}", f"-mr_td={facts['mr_td']}",
               f"-mr_config_id={facts['mr_config_id']}", f"-mr_seam={facts['mr_seam']}", "-qe_vendor_id=939a7233f79c4ca9940a0db3957f0607",
               "-td_attributes=0000001000000000", "-xfam=e700000000000000", *([f"-trusted_roots={folder / 'root.pem'}"] if roots else [])]
    return cases.ask(command)


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
    _, facts = cases.made("foreign-tdx-evidence")
    for case in facts["cases"]:
        name, ours = case["name"], case["ours"]
        healthy = name.startswith("healthy")
        assert (ours == "accepted") == healthy, f"our verifier says {ours} of {name}"
        if name == "healthy-version-5":
            continue
        said = google(name)
        assert healthy == (said.code == 0), f"{name}: we say {ours}, Google's verifier: {said}"

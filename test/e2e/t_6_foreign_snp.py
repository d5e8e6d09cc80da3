"""Google's go-sev-guest, unmodified, judges the emulator's SNP reports: the healthy ones accepted, each fault refused, as by our verifier."""
from foreign import cases, go_tools

# What the relying party asks for beyond the usual, where the fault is one only then.
ASKED = {"tcb-below-the-floor": ["-minimum_tcb=0x001900000000000a"]}


def google(name, *more, roots=True):
    tool = go_tools.tool("go-sev-guest")
    folder, facts = cases.made("foreign-snp-evidence")
    command = [tool, "-in", folder / f"{name}.bin", "-inform", "bin", "-network=false", "-product_name=Genoa-B1", "-guest_policy=0x30000", "-vmpl=0", "-provisional=false", "-platform_info=0x27",
               f"-report_data={facts['report_data']}", f"-measurement={facts['measurement']}", f"-host_data={facts['host_data']}", f"-chip_id={facts['chip_id']}",
               f"-report_id_ma={'ff' * 32}", *([f"-product_key_path={folder / 'roots.pem'}"] if roots else []), *more]
    return cases.ask(command)


def test_healthy_reports_are_accepted():
    for name in ("healthy", "healthy-version-5"):
        said = google(name)
        assert said.code == 0, f"{name}: {said}"


def test_under_amds_own_roots_nothing_of_the_emulator_is_accepted():
    said = google("healthy", roots=False)
    assert said.code == 2, said


def test_each_fault_is_refused_by_both():
    _, facts = cases.made("foreign-snp-evidence")
    for case in facts["cases"]:
        name, ours = case["name"], case["ours"]
        healthy = name.startswith("healthy")
        assert (ours == "accepted") == healthy, f"our verifier says {ours} of {name}"
        said = google(name, *ASKED.get(name, []))
        assert healthy == (said.code == 0), f"{name}: we say {ours}, Google's verifier: {said}"

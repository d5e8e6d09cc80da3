"""docs/verifier-matrix.md is what the tests say, and each rule has its test for each format it applies to."""
from matrix import matrix


def test_the_page_is_fresh_and_no_cell_lacks_its_test():
    found = list(matrix.violations())
    assert not found, "\n" + "\n".join(found)


def test_a_missing_test_and_a_stale_page_are_noticed():
    rules, advisories, faults = matrix.annotations()
    assert not faults, faults
    kept = {cell: tests for cell, tests in rules.items() if cell != (8, "snp")}
    assert any("rule 8" in line and "snp" in line for line in matrix.missing(kept, advisories))
    fewer = {name: tests for name, tests in advisories.items() if name != "CVE-2024-21944"}
    assert any("CVE-2024-21944" in line for line in matrix.missing(rules, fewer))
    assert matrix.page(kept, advisories) != matrix.page(rules, advisories)


def test_annotations_name_the_test_below_them():
    text = ["// rule 1: snp", "// advisory: SB-3019", "TEST(A, B) {"]
    assert matrix.name_of(text, 0, "") == "A.B"
    text = ["INSTANTIATE_TEST_SUITE_P(", "    Chain, Refusals,", "    Values(", "        // rule 4: snp", "        Case{\"no_anchor\", \"x\"}"]
    assert matrix.name_of(text, 3, "") == "Chain/Refusals.no_anchor"
    assert matrix.name_of(["# rule 1: snp", "def test_x():"], 0, "") == "test_x"
    try:
        matrix.name_of(["// rule 1: snp", "int x;"], 0, "a.cc:1")
        raise AssertionError("an annotation above nothing was taken")
    except matrix.Broken:
        pass

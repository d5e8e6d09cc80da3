"""What fuzzing found and the tree keeps: whose it is, how small it is, and how it gets there."""
import base64
import pathlib
import tempfile

from fuzz import corpus

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def targets():
    """Each under the name of its library: that of the next folder that has a CMakeLists.txt."""
    found = [path for path in ROOT.glob("*/**/*_fuzz.cc") if path.relative_to(ROOT).parts[0] != "build"]
    library = {path: next(folder for folder in path.parents if (folder / "CMakeLists.txt").exists()) for path in found}
    return {".".join(library[path].relative_to(ROOT).parts) + "." + path.stem for path in found}


def test_what_is_kept_is_of_a_target_small_and_distinct():
    known = targets()
    assert len(known) >= 47, sorted(known)
    for path in corpus.KEPT.iterdir():
        assert path.suffix == ".b64" and path.stem in known, f"{path.name}: no such fuzz target; was it renamed?"
        assert path.stat().st_size <= corpus.MOST_FILE, path.name
        inputs = corpus.kept(path.stem)
        assert inputs and len(set(inputs)) == len(inputs) and max(map(len, inputs)) <= corpus.MOST_INPUT, path.name


def test_the_smallest_inputs_are_kept_as_many_as_fit():
    with tempfile.TemporaryDirectory() as folder:
        before, corpus.KEPT = corpus.KEPT, pathlib.Path(folder)
        try:
            large = [bytes([n]) * 1000 for n in range(256)]
            count = corpus.keep("a.b", large + [b"one", b"one", b"", bytes(2000)])
            kept = corpus.kept("a.b")
            assert kept[0] == b"one" and len(kept) == count < 60, kept
            assert set(kept) <= {b"one", *large}
            assert sum(len(base64.b64encode(data)) + 1 for data in kept) <= corpus.MOST_FILE
            assert corpus.keep("a.b", []) == 0 and corpus.kept("a.b") == [] and not list(corpus.KEPT.iterdir()), "nothing found, nothing kept"
        finally:
            corpus.KEPT = before


def test_a_smaller_corpus_takes_the_place_of_the_old_one():
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        for name, files in (("found", ("a", "b")), ("smaller", ("b",))):
            (home / name).mkdir()
            for file in files:
                (home / name / file).write_text(file)
        corpus.replace(home / "found", home / "smaller")
        assert [path.relative_to(home).as_posix() for path in sorted(home.rglob("*"))] == ["found", "found/b"]
        (home / "smaller").mkdir()
        corpus.replace(home / "new", home / "smaller")
        assert sorted(path.name for path in home.iterdir()) == ["found", "new"]

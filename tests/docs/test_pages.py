"""Every page: its Python blocks run, its links lead somewhere, its fences are of a known kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from .markdown import PAGES, ROOT, anchors, blocks, code_words, images, links, name_of
from .running import run_page, run_program

README = ROOT / "README.md"
LANGUAGES = {"python", "output", "sh", "text"}
WITH_CODE = [
    page
    for page in PAGES
    if any(block.language == "python" for block in blocks(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_python_blocks_do_what_they_say(
    page: Path,
    nothing_registered: None,
    database: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_the_readme_begins_with_a_program_that_runs_alone(tmp_path: Path) -> None:
    first, printed, *_ = blocks(README.read_text(encoding="utf-8"))
    assert (first.language, printed.language) == ("python", "output")
    (tmp_path / "hello.py").write_text(first.text, encoding="utf-8")
    assert run_program(tmp_path / "hello.py", tmp_path) == printed.text
    assert (tmp_path / "hello.db").is_file()


def test_the_readme_program_runs_twice_on_its_file(tmp_path: Path) -> None:
    first, printed, *_ = blocks(README.read_text(encoding="utf-8"))
    (tmp_path / "hello.py").write_text(first.text, encoding="utf-8")
    outputs = [run_program(tmp_path / "hello.py", tmp_path) for _ in range(2)]
    assert outputs == [printed.text, printed.text]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_fences_are_of_a_known_kind(page: Path) -> None:
    found = list(blocks(page.read_text(encoding="utf-8")))
    assert {block.language for block in found} - {""} <= LANGUAGES
    for before, block in zip([None, *found], found, strict=False):
        if block.language == "output":
            assert before is not None
            assert before.language == "python", f"{name_of(page)}:{block.line}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


def test_each_picture_is_shown_and_is_small() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in images(page.read_text(encoding="utf-8"))
    }
    assert set((ROOT / "docs" / "images").iterdir()) <= shown
    assert [name_of(picture) for picture in shown if picture.stat().st_size > 200_000] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    for word in code_words(page.read_text(encoding="utf-8")):
        if word.startswith(("src/", "tests/", "docs/", "examples/")) and " " not in word:
            assert (ROOT / word.partition("::")[0]).exists(), word


def test_every_page_is_in_an_index() -> None:
    indexed = {
        (index.parent / target.partition("#")[0]).resolve()
        for index in PAGES
        if index.name == "README.md"
        for target in links(index.read_text(encoding="utf-8"))
    }
    pages = {page for page in PAGES if page.parent != ROOT and page.name != "README.md"}
    assert sorted(map(name_of, pages - indexed)) == []


def test_every_example_is_in_the_readme() -> None:
    linked = set(links(README.read_text(encoding="utf-8")))
    examples = {name_of(path) for path in (ROOT / "examples").glob("*.py")}
    assert examples - linked == set()

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from durable_async.cli.audit import records
from durable_async.cli.audit.model import RecordedFile, Verdict

from .site_packages import install, install_some, promise


@given(content=st.binary(min_size=1, max_size=200), data=st.data())
@settings(max_examples=50)
def test_any_flipped_bit_is_found(
    content: bytes, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    recorded = RecordedFile("file", promise(content), len(content))

    (root / "file").write_bytes(content)
    assert records.check_file(str(root), recorded).verdict is Verdict.OK

    (root / "file").write_bytes(flipped)
    assert records.check_file(str(root), recorded).verdict is Verdict.CHANGED


@given(
    sizes=st.lists(st.integers(0, 2 * records.CHUNK_BYTES_MAX), max_size=200),
)
def test_chunks_are_the_files_in_order_and_bounded(sizes: list[int]) -> None:
    files = [RecordedFile(str(n), "", size) for n, size in enumerate(sizes)]

    chunks = list(records.split("root", files))

    assert [file for chunk in chunks for file in chunk.files] == files
    for chunk in chunks:
        assert 1 <= len(chunk.files) <= records.CHUNK_FILES_MAX
        all_but_last = sum(file.size_bytes or 0 for file in chunk.files[:-1])
        assert all_but_last < records.CHUNK_BYTES_MAX


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "blake2b"])
def test_every_algorithm_of_hashlib_is_known(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "file").write_bytes(b"content")
    recorded = RecordedFile("file", promise(b"content", algorithm), None)
    assert records.check_file(str(tmp_path), recorded).verdict is Verdict.OK


@pytest.mark.parametrize("hashed", ["", "sha256", "crc32=abc", "shake_128=abc"])
def test_without_a_usable_hash_nothing_is_said(tmp_path: Path, hashed: str) -> None:
    if hashed == "sha256":
        (tmp_path / "file").write_bytes(b"content")
    verdict = records.check_file(str(tmp_path), RecordedFile("file", hashed, 1)).verdict
    assert verdict is (Verdict.CHANGED if hashed == "sha256" else Verdict.UNVERIFIABLE)


def test_what_is_not_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "folder").mkdir()
    for path in ("nowhere", "nowhere/at/all", "file/inside", "folder"):
        recorded = RecordedFile(path, promise(b"content"), 7)
        assert records.check_file(str(tmp_path), recorded).verdict is Verdict.MISSING


def test_another_size_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content and more")
    finding = records.check_file(str(tmp_path), RecordedFile("file", promise(b"content"), 7))
    assert (finding.verdict, finding.detail) == (Verdict.CHANGED, "16 bytes, RECORD says 7")


def test_a_file_that_may_not_be_read_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, algorithm: str) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(records, "_read", refuse)
    finding = records.check_file(str(tmp_path), RecordedFile("file", promise(b""), 0))
    assert (finding.verdict, finding.detail) == (Verdict.UNREADABLE, "Permission denied")


def test_a_record_keeps_files_that_are_gone(tmp_path: Path) -> None:
    metadata = install(tmp_path, "apple", {"apple/a.py": b"a", "apple/with,comma.py": b"b"})
    (tmp_path / "apple/a.py").unlink()

    paths = [file.path for file in records.read_record(metadata)]

    assert paths[:2] == ["apple/a.py", "apple/with,comma.py"]
    assert paths[-1] == "apple-1.0.dist-info/RECORD"


def test_distributions_are_described(tmp_path: Path) -> None:
    install_some(tmp_path)
    found = records.find_distributions([str(tmp_path)])
    assert [(one.key, one.files, one.chunks) for one in found] == [
        ("apple-1.0", 6, 1),
        ("pear-1.0", 6, 1),
        ("plum-1.0", 6, 1),
    ]


def test_what_has_no_record_is_described_too(tmp_path: Path) -> None:
    (tmp_path / "old.egg-info").write_text("Metadata-Version: 1.0\n")
    (tmp_path / "debian-2.egg-info").mkdir()
    (tmp_path / "conda-3.dist-info").mkdir()

    found = records.find_distributions([str(tmp_path)])

    assert [(one.key, one.files, one.chunks) for one in found] == [
        ("conda-3", 0, 0),
        ("debian-2", 0, 0),
        ("old", 0, 0),
    ]


def test_the_first_folder_wins(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        install(tmp_path / folder, "apple", {"apple.py": folder.encode()})
    (found,) = records.find_distributions([str(tmp_path / "one"), str(tmp_path / "two")])
    assert found.path == str(tmp_path / "one" / "apple-1.0.dist-info")

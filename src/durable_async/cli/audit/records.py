"""Reading and checking installed distributions: plain functions that know nothing durable."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from .model import Chunk, Distribution, Finding, RecordedFile, Verdict

CHUNK_FILES_MAX = 40
CHUNK_BYTES_MAX = 2 * 1024 * 1024


def find_distributions(folders: list[str]) -> list[Distribution]:
    """Return what is installed in some folders, in order of name; the first folder that has a name and version wins."""
    found: dict[str, Distribution] = {}
    for folder in folders:
        for pattern in ("*.dist-info", "*.egg-info"):
            for path in sorted(Path(folder).glob(pattern)):
                found.setdefault(path.stem, _describe(path))
    return sorted(found.values(), key=lambda one: one.key.lower())


def _describe(path: Path) -> Distribution:
    files = read_record(path)
    return Distribution(
        key=path.stem,
        path=str(path),
        files=len(files),
        size_bytes=sum(file.size_bytes or 0 for file in files),
        chunks=sum(1 for _ in split(str(path.parent), files)),
    )


def read_record(path: Path) -> list[RecordedFile]:
    """Return the lines of the RECORD in a metadata folder; none if there is no RECORD."""
    # Not `Distribution.files`: it leaves out the files that are missing.
    text = metadata.Distribution.at(path).read_text("RECORD") or ""
    lines = [line for line in csv.reader(text.splitlines()) if line and line[0]]
    return [_recorded(*line[:3]) for line in lines]


def _recorded(path: str, hashed: str = "", size: str = "") -> RecordedFile:
    return RecordedFile(path, hashed, int(size) if size.isdecimal() else None)


def split(root: str, files: list[RecordedFile]) -> Iterator[Chunk]:
    """Yield the files in chunks, in order: so many files, or so many bytes, whichever comes first."""
    chunk: list[RecordedFile] = []
    size = 0
    for file in files:
        if chunk and (len(chunk) == CHUNK_FILES_MAX or size >= CHUNK_BYTES_MAX):
            yield Chunk(root, chunk)
            chunk, size = [], 0
        chunk.append(file)
        size += file.size_bytes or 0
    if chunk:
        yield Chunk(root, chunk)


def check_file(root: str, file: RecordedFile) -> Finding:
    """Compare a file with what its RECORD promises.

    Raises:
        OSError: The disk fails; not if the file is absent or may not be read, which are findings.
    """
    path = Path(root) / file.path
    algorithm, _, promised = file.hash.partition("=")
    if algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        return Finding(str(path), Verdict.UNVERIFIABLE, f"no usable hash: {file.hash!r}")
    try:
        size, digest = _read(path, algorithm)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return Finding(str(path), Verdict.MISSING, "it was installed, and is not there")
    except PermissionError as error:
        return Finding(str(path), Verdict.UNREADABLE, error.strerror or "no permission")
    if file.size_bytes is not None and size != file.size_bytes:
        return Finding(
            str(path), Verdict.CHANGED, f"{size:,} bytes, RECORD says {file.size_bytes:,}"
        )
    if digest != promised.rstrip("="):
        return Finding(str(path), Verdict.CHANGED, f"same size, another {algorithm}")
    return Finding(str(path), Verdict.OK, "")


def _read(path: Path, algorithm: str) -> tuple[int, str]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, algorithm).digest()
        size = stream.tell()
    return size, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

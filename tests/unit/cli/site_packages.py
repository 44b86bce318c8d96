"""A small folder of installed packages, made by hand."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path


def promise(content: bytes, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def install(site: Path, name: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    """Install a distribution as pip does; returns its metadata folder."""
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    lines = []
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)
        lines.append(f'"{path}",{promise(content)},{len(content)}')
    (site / f"{name}.cpython-311.pyc").write_bytes(b"compiled")
    lines += [f"{name}.cpython-311.pyc,,", f"{metadata.name}/RECORD,,"]
    (metadata / "RECORD").write_text("\n".join(lines) + "\n")
    return metadata


def install_some(site: Path) -> None:
    """Install three distributions with twelve files that have a hash."""
    for name in ("apple", "pear", "plum"):
        files = {f"{name}/part_{n}.py": f"{name} = {n}\n".encode() * 50 for n in range(4)}
        install(site, name, files)

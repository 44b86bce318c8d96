"""Environments of the peers and of tools, made from the package index on first use, at the versions that are compared."""

from __future__ import annotations

import fcntl
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venvs"

PEERS: dict[str, list[str]] = {
    "dbos": ["dbos==3.4.0"],
    "absurd": ["absurd-sdk==0.5.1", "absurdctl==0.5.1"],
    "duroxide": ["duroxide==0.2.2"],
    "durabletask": ["durabletask==1.12.0"],
    "temporal": ["temporalio"],
}
TOOLS: dict[str, list[str]] = {"py-spy": ["py-spy==0.4.1"]}


def interpreter(peer: str) -> Path:
    """Return the interpreter of a peer's environment. Processes that ask at once make it once.

    Raises:
        subprocess.CalledProcessError: pip could not install it.
    """
    requirements = (PEERS | TOOLS)[peer]
    folder = FOLDER / f"bench-{peer}"
    python, stamp = folder / "bin" / "python", folder / ".stamp"
    FOLDER.mkdir(exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = "\n".join(requirements)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *requirements], check=True)
            stamp.write_text(wanted, encoding="utf-8")
    return python

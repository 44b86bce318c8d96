"""An environment of its own that has the Durable Task SDK, made on first use: for benchmarks, and for tests that compare.

``python -m benchmarks.peer`` makes it and prints its interpreter.
"""

from __future__ import annotations

import fcntl
import subprocess
import venv
from pathlib import Path

RELEASE = "1.12.0"
PEER = f"durabletask=={RELEASE}"
REQUIREMENTS = [
    f"durabletask[azure-blob-payloads,history-export-azure]=={RELEASE}",
    f"durabletask.azuremanaged=={RELEASE}",
]
FOLDER = Path(__file__).resolve().parents[1] / ".venvs" / "peer-durabletask"


def peer_python() -> Path:
    """Return the environment's interpreter. Processes that ask at once make it once.

    Raises:
        subprocess.CalledProcessError: pip could not install the SDK.
    """
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".stamp"
    FOLDER.parent.mkdir(exist_ok=True)
    with open(f"{FOLDER}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = "\n".join(REQUIREMENTS)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            if not python.exists():
                venv.create(FOLDER, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *REQUIREMENTS], check=True)
            stamp.write_text(wanted, encoding="utf-8")
    return python


if __name__ == "__main__":
    print(peer_python())

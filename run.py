"""Sets up and starts Safelight with nothing but Python 3.10-3.13: `python run.py`, or `python run.py test`.

The first start makes a virtual environment in `.venv` beside this file and installs the pinned requirements into it;
later starts find it ready. Everything after `python run.py` goes to app.py (`python run.py --help`), everything after
`python run.py test` to pytest. Only the standard library is used here.
"""

import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 10), (3, 13)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def main(arguments: list[str]) -> int:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        print(f"Safelight needs Python 3.10 to 3.13; this is {platform.python_version()}.", file=sys.stderr)
        return 1
    if arguments[:1] == ["test"]:
        python = environment("requirements-dev.txt", "requirements-oracle.txt")
        find_browser(python)
        return call(python, "-m", "pytest", *arguments[1:], cwd=HERE)
    return call(environment("requirements.txt"), str(HERE / "app.py"), *arguments)


def environment(requirements: str, bare: str | None = None) -> Path:
    """The Python of `.venv` with `requirements` in it, and `bare` without what that requires in turn.

    Installs only what is new since the last time.
    """
    folder = HERE / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / f"{requirements}.installed"
    files = [HERE / name for name in ("requirements.txt", requirements, bare) if name]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    if not python.exists():
        print(f"Making a virtual environment in {folder} ...", flush=True)
        venv.create(folder, with_pip=True, clear=folder.exists())
    print("Installing what Safelight needs; the first time this takes some minutes ...", flush=True)
    pip = ("-m", "pip", "install", "--disable-pip-version-check", "-q")
    steps = [("-r", str(HERE / requirements)), *([("--no-deps", "-r", str(HERE / bare))] if bare else [])]
    if any(call(python, *pip, *step) != 0 for step in steps):
        raise SystemExit("The packages could not be installed; pip says why above.")
    stamp.write_text(wanted)
    return python


def find_browser(python: Path) -> None:
    """Make sure the browser tests find a Chromium: the system's, else apt's, else the one playwright can download."""
    if os.environ.get("SAFELIGHT_BROWSER") or any(shutil.which(name) for name in BROWSERS):
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, stdout=subprocess.DEVNULL)
        if shutil.which("chromium"):
            return
    call(python, "-m", "playwright", "install", "chromium")


def call(python: Path, *arguments: str, cwd: Path | None = None) -> int:
    """Run the environment's Python and wait; Ctrl+C reaches the child too, which ends by itself."""
    process = subprocess.Popen([str(python), *arguments], cwd=cwd)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # or the studio would outlive its launcher
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

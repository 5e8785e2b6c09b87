"""The launcher: standard library only, honest about Python versions, and it installs what the files say."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import run

ROOT = Path(__file__).parents[1]


def test_it_needs_nothing_but_the_standard_library() -> None:
    tree = ast.parse((ROOT / "run.py").read_text(encoding="utf-8"))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert imported <= set(sys.stdlib_module_names)


def test_a_python_too_old_gets_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 0, "final", 0))
    assert run.main([]) == 1
    assert capsys.readouterr().err.startswith("Safelight needs Python 3.10 to 3.13")


def test_an_environment_that_is_ready_is_not_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("one\n")
    python = tmp_path / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    called: list[tuple[str, ...]] = []

    def call(_: Path, *arguments: str, cwd: Path | None = None) -> int:
        called.append(arguments)
        return 0

    def create(folder: Path, with_pip: bool, clear: bool) -> None:
        python.parent.mkdir(parents=True)
        python.touch()

    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "call", call)
    monkeypatch.setattr(run.venv, "create", create)
    assert run.environment("requirements.txt") == python and len(called) == 1
    assert run.environment("requirements.txt") == python and len(called) == 1
    (tmp_path / "requirements.txt").write_text("two\n")
    run.environment("requirements.txt")
    assert len(called) == 2


def test_help_is_instant_and_names_the_options() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "app.py"), "--help"], capture_output=True, text=True, timeout=60, check=True)
    for option in ("--host", "--port", "--models", "--outputs", "--device", "--open", "--no-open"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "no-such-folder"], "--models: there is no folder 'no-such-folder'"),
        (["--port", "99999"], "--port must be between 1 and 65535; got 99999"),
        (["--host", "nowhere.invalid"], "--host 'nowhere.invalid'"),
    ],
)
def test_a_wrong_option_gets_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    command = [sys.executable, str(ROOT / "app.py"), "--no-open", "--outputs", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and sentence in done.stderr

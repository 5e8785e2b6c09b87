"""Imports point one way: pipelines <- jobs <- ui <- extensions <- app; and heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("pipelines", "jobs", "ui", "extensions")
FORBIDDEN = {
    "pipelines": {"gradio", "fastapi", "starlette", "uvicorn", "sqlite3", "jobs", "ui", "extensions", "app", "training", "tests"},
    "jobs": {"torch", "diffusers", "transformers", "gradio", "fastapi", "starlette", "ui", "extensions", "app", "training", "tests"},
    "ui": {"torch", "diffusers", "transformers", "sqlite3", "extensions", "app", "training", "tests"},
    "extensions": {"app", "training", "tests"},
}
TORCH_FREE = {
    "request", "names", "events", "errors", "modifiers", "infotext", "recipe", "pictures", "headers", "catalog", "families",
    "shelves", "library", "prompts", "adapters", "upscalers", "control", "media", "fitting", "convert", "masks", "repaint", "parameters",
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    """Absolute dotted names that a file imports, relative ones resolved; imports for type checkers only do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    skipped = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test).endswith("TYPE_CHECKING")
        for node in ast.walk(guard)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_upward_or_what_is_not_its_own(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in files for name in imports(path) if name.split(".")[0] in FORBIDDEN[room]]
    assert not wrong


@pytest.mark.parametrize("room", ("jobs", "ui"))
def test_the_page_side_uses_only_the_torch_free_part_of_pipelines(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in imports(path)
        if name.startswith("pipelines.") and name.split(".")[1] not in TORCH_FREE
    ]
    assert not wrong


def test_the_page_process_never_imports_torch() -> None:
    """Everything app.py needs for the page, imported for real in a fresh interpreter."""
    modules = "app, extensions.loader, jobs.studio, ui.page, ui.server"
    check = f"import sys, {modules}; print(sorted({{'torch', 'diffusers', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"

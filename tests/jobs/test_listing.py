"""What the studio has, as JSON: models of one title are told apart."""

import shutil
from pathlib import Path

from jobs import listing
from pipelines.catalog import Catalog


def test_a_copied_checkpoint_brings_its_title_along_and_is_told_apart_by_name(models: Path, tmp_path: Path):
    for name in ("first", "second"):
        shutil.copytree(models / "checkpoints" / "toy", tmp_path / "checkpoints" / name)
        (tmp_path / "checkpoints" / name / "safelight.json").write_text('{"title": "One card"}')
    shutil.copytree(models / "checkpoints" / "toy", tmp_path / "checkpoints" / "third")
    titles = [each["title"] for each in listing.models(Catalog([tmp_path]), loaded=())["checkpoints"]]
    assert titles == ["One card (first)", "One card (second)", "third"]

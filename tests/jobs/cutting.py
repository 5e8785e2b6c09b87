"""The product's engine, under whose hands a file is cut short while it is mapped: just after it was opened, before it is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extensions.engine import EngineConfig, build_engine


@dataclass(frozen=True)
class Cutting:
    """`path` is cut to `left` bytes the first time it is opened."""

    config: EngineConfig
    path: str
    left: int


def build(cutting: Cutting) -> Any:
    from pipelines import loading  # here, as in the product: the page's side stays free of torch

    opened = loading.safe_open

    def safe_open(path: Path, **kwargs: Any) -> Any:
        file = opened(path, **kwargs)
        if Path(path).samefile(cutting.path):
            with Path(path).open("rb+") as data:
                data.truncate(cutting.left)
        return file

    loading.safe_open = safe_open
    return build_engine(cutting.config)

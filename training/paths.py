"""Where a training run keeps its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The files and folders under one working folder."""

    root: Path

    def folder(self, name: str) -> Path:
        """A folder under the root, made if missing."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def downloads(self) -> Path:
        """npm packages, unpacked."""
        return self.folder("downloads")

    @property
    def sprites(self) -> Path:
        """The rendered artwork."""
        return self.root / "sprites.npz"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, in the CLIP layout."""
        return self.folder("tokenizer")

    @property
    def text(self) -> Path:
        """The text encoder's run."""
        return self.folder("text")

    @property
    def vae(self) -> Path:
        """The autoencoder's run."""
        return self.folder("vae")

    @property
    def latents(self) -> Path:
        """Shards of encoded pictures with their captions."""
        return self.folder("latents")

    @property
    def denoiser(self) -> Path:
        """The UNet's run."""
        return self.folder("denoiser")

    @property
    def polish(self) -> Path:
        """The decoder's last touch."""
        return self.folder("polish")

    @property
    def tiny(self) -> Path:
        """The preview decoder's run."""
        return self.folder("tiny")

    @property
    def judge(self) -> Path:
        """The judge's run."""
        return self.folder("judge")

    @property
    def lora(self) -> Path:
        """The style LoRA's run."""
        return self.folder("lora")

    @property
    def embedding(self) -> Path:
        """The textual inversion's run."""
        return self.folder("embedding")

    @property
    def sheets(self) -> Path:
        """Sample grids and contact sheets."""
        return self.folder("sheets")

"""A checkpoint with a VAE on disk, taken apart into what is loaded and what it shares with others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from . import loading
from .adapters.vocabulary import EmbeddingShelf
from .catalog import Catalog, ModelInfo, Version
from .components import Components
from .errors import CheckpointError
from .families import Parted, reading
from .families.digests import fingerprint
from .families.parts import Part
from .loading_hashes import Hasher
from .names import AUTOMATIC

Key = tuple[str, str, str, str]
"""Class, configuration, dtype and weights of a component: what two checkpoints must have in common to share it."""


@dataclass(frozen=True)
class Wanted:
    """A checkpoint and a VAE (None: its own) as the catalog lists them now, and the dtype that they are to have."""

    info: ModelInfo
    vae: ModelInfo | None
    dtype: torch.dtype

    @property
    def name(self) -> tuple[str, str]:
        return self.info.name, self.vae.name if self.vae else AUTOMATIC

    @property
    def version(self) -> tuple[Version | str, ...]:
        return self.info.version, self.vae.version if self.vae else (), str(self.dtype)


@dataclass(frozen=True)
class Source:
    """`parts` are those to be loaded, each with its key; the VAE among them is the one that was asked for."""

    wanted: Wanted
    parted: Parted
    parts: Mapping[str, Part]
    keys: Mapping[str, Key]

    def label(self, component: str) -> str:
        """The model that a component comes from, for errors."""
        info = self.wanted.vae if component == "vae" and self.wanted.vae else self.wanted.info
        return info.name


def take_apart(catalog: Catalog, wanted: Wanted) -> Source:
    """Reads headers and a few bytes of each weight. Raises `CheckpointError`."""
    parted = catalog.read(wanted.info)
    parts = dict(parted.parts)
    if wanted.vae is not None:
        parts["vae"] = _fitting_vae(wanted.vae, wanted.info, parts["vae"])
    tiny = parted.tiny or _common_tiny(catalog, wanted.info, parted)
    if tiny is not None:
        parts["tiny_decoder"] = tiny
    dtype = str(wanted.dtype)
    keys = {name: (part.architecture, json.dumps(part.config, sort_keys=True), dtype, fingerprint(part)) for name, part in parts.items()}
    return Source(wanted, parted, parts, keys)


def assemble(
    source: Source, modules: Mapping[str, torch.nn.Module], device: torch.device, dtype: torch.dtype, hasher: Hasher, words: EmbeddingShelf
) -> Components:
    """The loaded `modules` with all that the engine has to know of their checkpoint. Raises `CheckpointError`."""
    info, parted, family = source.wanted.info, source.parted, source.parted.family
    own = len(info.latent_rgb_factors) == source.parts["vae"].config.get("latent_channels", 4)
    hashed = {name: part for name, part in source.parts.items() if name != "tiny_decoder"}
    return Components(
        checkpoint=info.name,
        vae_name=source.wanted.name[1],
        family=family,
        modules=modules,
        tokenizers={name: family.load_tokenizer(name, folder) for name, folder in parted.tokenizers.items()},
        scheduler_config=loading.scheduler_config(parted, info.path),
        pipeline_config=parted.pipeline_config,
        device=device,
        dtype=dtype,
        latent_rgb_factors=info.latent_rgb_factors if own else family.latent_rgb_factors,
        latent_rgb_bias=(info.latent_rgb_bias or (0.0, 0.0, 0.0)) if own else family.latent_rgb_bias,
        hashes=hasher.of(hashed, parted.header.stamp if parted.header else None, family.leading),
        fingerprints={name: " ".join(print_) for name, (_, _, *print_) in source.keys.items()},
        embeddings=words,
    )


def _common_tiny(catalog: Catalog, info: ModelInfo, parted: Parted) -> Part | None:
    """The user's decoder for the family's latents, unless the checkpoint has latents of its own."""
    path = catalog.tiny_decoder(parted.family)
    if path is None or info.latent_rgb_factors:
        return None
    try:
        return reading.tiny_decoder(path)
    except CheckpointError:
        return None  # previews are then made from the RGB factors


def _fitting_vae(vae: ModelInfo, checkpoint: ModelInfo, own: Part) -> Part:
    """The VAE chosen in place of the checkpoint's own; both must speak of the same latents."""
    part = reading.vae(vae.path)
    if "scaling_factor" not in part.config:
        part = part.with_config(**{key: own.config[key] for key in ("scaling_factor", "shift_factor") if key in own.config})
    shapes = [(config.get("latent_channels", 4), 2 ** (len(config["block_out_channels"]) - 1)) for config in (part.config, own.config)]
    if shapes[0] != shapes[1]:
        (channels, factor), (own_channels, own_factor) = shapes
        raise CheckpointError(
            f"VAE {vae.name} has {channels} latent channels at 1/{factor} of the picture's size, "
            f"where checkpoint {checkpoint.name} has {own_channels} at 1/{own_factor}."
        )
    return part

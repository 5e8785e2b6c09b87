"""Whether a ControlNet goes with a checkpoint: told from headers before a job is queued, and from what is loaded."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest, StudioError
from .reading import ControlInfo, made_for

if TYPE_CHECKING:
    from ..catalog import Catalog
    from ..components import Components
    from ..families.family import Family

_UNET = "UNet2DConditionModel"
_TOLD = {"cross_attention_dim", "block_out_channels"}


def require_listed_fit(info: ControlInfo, catalog: "Catalog", checkpoint: str) -> None:
    """Raises `InvalidRequest` for a ControlNet that was made for another kind of denoiser than the checkpoint's, `UnknownName` and
    `CheckpointError` for a checkpoint that cannot be used; reads headers only."""
    if listed := _listed(catalog, checkpoint):
        _require(info, checkpoint, *listed)


def misfits(infos: Iterable[ControlInfo], catalog: "Catalog", checkpoint: str) -> dict[str, str]:
    """Of those that do not go with a checkpoint by their names why not, in one sentence; nothing for a checkpoint that cannot be used."""
    try:
        listed = _listed(catalog, checkpoint)
    except StudioError:
        return {}
    found = {}
    for info in infos if listed else ():
        try:
            if info.part is not None:
                _require(info, checkpoint, *listed)
        except InvalidRequest as error:
            found[info.name] = str(error)
    return found


def _listed(catalog: "Catalog", checkpoint: str) -> "tuple[Family, str, Mapping[str, Any]] | tuple[()]":
    """A checkpoint's family and the class and configuration of its denoiser; nothing where its configuration leaves out what is as
    usual, which the loaded one has."""
    parted = catalog.read(catalog.checkpoint(checkpoint))
    denoiser = parted.parts[parted.family.denoiser]
    if denoiser.architecture == _UNET and not _TOLD.issubset(denoiser.config):
        return ()
    return parted.family, denoiser.architecture, denoiser.config


def require_fit(info: ControlInfo, components: "Components") -> None:
    """The same for a checkpoint in memory."""
    denoiser = components.denoiser
    _require(info, components.checkpoint, components.family, type(denoiser).__name__, getattr(denoiser, "config", {}))


def _require(info: ControlInfo, checkpoint: str, family: "Family", architecture: str, config: Mapping[str, Any]) -> None:
    assert info.part is not None
    theirs = config.get("cross_attention_dim")
    name = f"checkpoint {checkpoint!r}"
    if architecture != _UNET or info.text_width != theirs:
        alike = info.family in (None, family.name)  # then the names of families do not tell the difference
        is_a = f"is {family.title}" + (f" (text of width {theirs})" if theirs and alike else "")
        made = made_for(info.text_width, alike)
        raise InvalidRequest(f"ControlNet {info.name!r} is made for {made}, and {name} {is_a}.", "modifiers")
    widths = [tuple(each.get("block_out_channels") or ()) for each in (info.part.config, config)]
    if widths[0] != widths[1]:
        raise InvalidRequest(
            f"ControlNet {info.name!r} has levels of {widths[0]} channels, {name} of {widths[1]}: they do not fit.", "modifiers"
        )

"""Pictures that steer a denoiser: ControlNets, reference attention, and what is made of a picture first. Light to import: no torch here."""

from .preprocessors import PREPROCESSORS, preprocessed
from .shelf import ControlShelf, NetworkShelf
from .units import ControlParams, ControlUnit

__all__ = ["PREPROCESSORS", "ControlParams", "ControlShelf", "ControlUnit", "NetworkShelf", "preprocessed"]

"""A picture made larger, and redrawn in tiles if that is wanted."""

from pipelines.request import Upscale

from ..controls import Form
from ..layout import Tab, column, mount


def build(form: Form) -> None:
    column(form, lambda form: mount("source", form))


TAB = Tab("upscale", Upscale, build)

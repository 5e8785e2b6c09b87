"""Repaints the masked part of a picture. The mask is painted on the stage, where there is room for it."""

from pipelines.request import Inpaint

from ..controls import Form
from ..layout import Tab, column, mount


def build(form: Form) -> None:
    column(form, lambda form: mount("source", form))


TAB = Tab("inpaint", Inpaint, build)

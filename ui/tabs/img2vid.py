"""Picture to clip: the picture that it begins with, and how it moves."""

from pipelines.request import Img2Vid

from ..controls import Form
from ..layout import Tab, column, mount


def build(form: Form) -> None:
    column(form, lambda form: mount("source", form))


TAB = Tab("img2vid", Img2Vid, build)

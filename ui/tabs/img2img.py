"""Picture to picture: a prompt, a picture to start from, and how far to leave it."""

from pipelines.request import Img2Img

from ..controls import Form
from ..layout import Tab, column, mount


def build(form: Form) -> None:
    column(form, _pictures)


def _pictures(form: Form) -> None:
    mount("source", form)
    mount("batch", form)


TAB = Tab("img2img", Img2Img, build)

"""Text to picture."""

from pipelines.request import Txt2Img

from ..layout import Tab, column

TAB = Tab("txt2img", Txt2Img, column)

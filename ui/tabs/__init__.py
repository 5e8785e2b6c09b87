"""The built-in tabs, in the order of the page."""

from . import img2img, inpaint, txt2img

TABS = (txt2img.TAB, img2img.TAB, inpaint.TAB)

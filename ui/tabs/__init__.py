"""The built-in tabs, in the order of the page."""

from . import img2img, img2vid, inpaint, txt2img, upscale

TABS = (txt2img.TAB, img2img.TAB, inpaint.TAB, upscale.TAB, img2vid.TAB)

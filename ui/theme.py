"""The look: Gradio's theme, bound to the colours of static/tokens.css, and what the page's head loads.

Every colour is a CSS variable of our own, the same in Gradio's light and dark mode, so that one attribute on the page
(`data-look`) decides how everything looks, Gradio's own controls included.
"""

from typing import Any

import gradio as gr

SHEETS = (
    "tokens",
    "opening",
    "room",
    "controls",
    "unset",
    "prompt",
    "groups",
    "buttons",
    "stage",
    "compare",
    "contact",
    "panels",
    "control",
    "canvas",
    "canvas_tools",
    "canvas_panels",
    "narrow",
    "canvas_narrow",
    "live",
    "paint",
)
STYLES = tuple(f"{name}.css" for name in SHEETS)
GROUND = "#15110e"  # before the style sheets arrive: the same as --sl-ground in tokens.css

# Runs before the first paint of the page: no flash of the other look, no controls that show something else than what is kept, and what is
# typed before the page's script is there is kept for it.
EARLY = """<script>
if (localStorage.getItem("safelight.form")) document.documentElement.dataset.kept = "";
document.documentElement.dataset.look = localStorage.getItem("safelight.look") || "dark";
window.safelight = { early: [] };
addEventListener("input", (event) => window.safelight.early?.push(event.target), true);
</script>"""


def look() -> dict[str, Any]:
    """The keyword arguments that `launch` needs to make the page look and behave as designed."""
    links = "".join(f'<link rel="stylesheet" href="safelight/static/{name}">' for name in STYLES)
    script = '<script type="module" src="safelight/static/app.js"></script>'
    icon = '<link rel="icon" type="image/svg+xml" href="safelight/static/icon.svg">'
    return {"theme": theme(), "head": EARLY + icon + links + script, "footer_links": []}


def theme() -> gr.themes.Base:
    base = gr.themes.Base(
        font=(gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"),
        font_mono=(gr.themes.LocalFont("IBM Plex Mono", weights=(400,)), "ui-monospace", "monospace"),
        text_size=gr.themes.sizes.text_md,
        radius_size=gr.themes.sizes.radius_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
    )
    known = vars(base)
    values = {**COLOURS, **{f"{name}_dark": value for name, value in COLOURS.items() if f"{name}_dark" in known}}
    return base.set(**values)


COLOURS = {
    "body_background_fill": GROUND,
    "body_text_color": "var(--sl-text)",
    "body_text_color_subdued": "var(--sl-muted)",
    "background_fill_primary": "var(--sl-panel)",
    "background_fill_secondary": "var(--sl-ground)",
    "border_color_primary": "var(--sl-line)",
    "border_color_accent": "var(--sl-accent)",
    "color_accent": "var(--sl-accent)",
    "color_accent_soft": "var(--sl-veil)",
    "accordion_text_color": "var(--sl-text)",
    "block_background_fill": "transparent",
    "block_border_width": "0px",
    "block_info_text_color": "var(--sl-muted)",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--sl-muted)",
    "block_title_text_color": "var(--sl-text)",
    "block_title_text_weight": "400",
    "block_padding": "0px",
    "block_shadow": "none",
    "checkbox_background_color": "var(--sl-field)",
    "checkbox_background_color_hover": "var(--sl-field)",
    "checkbox_background_color_focus": "var(--sl-field)",
    "checkbox_background_color_selected": "var(--sl-ember)",
    "checkbox_border_color": "var(--sl-edge)",
    "checkbox_border_color_selected": "var(--sl-ember)",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_background_fill_hover": "transparent",
    "checkbox_label_background_fill_selected": "transparent",
    "checkbox_label_text_color": "var(--sl-text)",
    "checkbox_label_text_color_selected": "var(--sl-text)",
    "checkbox_label_padding": "0px",
    "error_background_fill": "var(--sl-panel)",
    "error_border_color": "var(--sl-wrong)",
    "error_text_color": "var(--sl-wrong)",
    "input_background_fill": "var(--sl-field)",
    "input_background_fill_focus": "var(--sl-field)",
    "input_background_fill_hover": "var(--sl-field)",
    "input_border_color": "var(--sl-line)",
    "input_border_color_focus": "var(--sl-focus)",
    "input_border_color_hover": "var(--sl-edge)",
    "input_border_width": "1px",
    "input_placeholder_color": "var(--sl-faint)",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "loader_color": "var(--sl-accent)",
    "slider_color": "var(--sl-muted)",
    "link_text_color": "var(--sl-text)",
    "panel_background_fill": "transparent",
    "stat_background_fill": "var(--sl-veil)",
    "button_secondary_background_fill": "var(--sl-field)",
    "button_secondary_text_color": "var(--sl-text)",
    "form_gap_width": "0px",
    "layout_gap": "0px",
}

"""What must be set before Gradio is imported: nothing is sent home, temporary files stay with the outputs."""

import os
from pathlib import Path

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
    # Gradio summarises finished events with pandas; every 200th is enough and a small table suffices.
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "200",
    "GRADIO_ANALYTICS_MAX_EVENTS": "500",
}
# Switches of Gradio that would open doors behind our back: public tunnels, served folders, code written by visitors.
UNWANTED = (
    "GRADIO_SHARE",
    "GRADIO_ALLOWED_PATHS",
    "GRADIO_VIBE_MODE",
    "GRADIO_LOCAL_DEV_MODE",
    "GRADIO_WATCH_DIRS",
    "GRADIO_NUM_WORKERS",
    "GRADIO_MCP_SERVER",
)
OWN_ADDRESSES = ("localhost", "127.0.0.1", "::1")


def prepare(outputs: Path) -> None:
    """Set the environment of this process and its children; call it before the first `import gradio`."""
    os.environ.update(QUIET)
    for name in UNWANTED:
        os.environ.pop(name, None)
    os.environ["GRADIO_TEMP_DIR"] = str(outputs.resolve() / ".safelight" / "tmp")
    # Gradio asks its own server whether it is up; with a proxy in the environment that question would go to the proxy.
    for name in ("NO_PROXY", "no_proxy"):
        kept = [entry for entry in os.environ.get(name, "").split(",") if entry.strip()]
        os.environ[name] = ",".join([*kept, *(address for address in OWN_ADDRESSES if address not in kept)])

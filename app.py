"""The door: reads the command line, puts the rooms together, serves the page until it is told to stop."""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "0.1.0"


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="safelight",
        description="Safelight: a Stable Diffusion studio in your browser. Without any option it opens on the checkpoint it comes with.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; anything but this machine asks for the key in the printed link"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--models",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder of models, used in place beside Safelight's own, in the layout of Safelight, AUTOMATIC1111 or ComfyUI; "
        "may be given several times",
    )
    parser.add_argument(
        "--outputs", type=Path, default=HERE / "outputs", metavar="FOLDER", help="where pictures and the queue are kept (default: outputs)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: the fastest there is)")
    parser.add_argument(
        "--dtype",
        choices=("auto", "float32", "float16", "bfloat16"),
        default="auto",
        help="numbers that models are kept and computed in (default: what suits the device)",
    )
    parser.add_argument(
        "--vae-dtype",
        choices=("auto", "float32", "float16", "bfloat16"),
        default="auto",
        help="the same for VAEs alone; bfloat16 spares the float32 that Stable Diffusion XL's needs beside float16",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the blocks of each model on its first use, which takes a minute or two; meant for graphics cards, on a CPU it gains "
        "little",
    )
    parser.add_argument(
        "--extension",
        action="append",
        default=[],
        metavar="NAME",
        help="switch on a folder dropped into extensions/; may be given several times",
    )
    parser.add_argument(
        "--manage",
        choices=("here", "everyone", "nobody"),
        default="here",
        help="who may download, load and annotate models: who sits at this machine, everyone who may come in, or nobody "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--hub-cache",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="list what lies in the Hugging Face cache of this user too (default: yes); nothing is fetched for it",
    )
    parser.add_argument("--open", action=argparse.BooleanOptionalAction, default=True, help="open the page in the browser")
    return parser


def main(given: list[str] | None = None) -> int:
    options = arguments().parse_args(given)
    from pipelines.errors import StudioError  # after --help, which stays instant

    try:
        return serve(options)
    except StudioError as error:
        print(f"Safelight: {error}", file=sys.stderr)
        return 1


def serve(options: argparse.Namespace) -> int:
    """Assemble and serve; returns when the studio was told to stop. The engine comes up in its own process meanwhile."""
    # Imported here because the environment must be set before Gradio is imported, and the engine's process, which
    # imports this file too, must stay free of the page.
    from ui import environment

    outputs = options.outputs.absolute()
    environment.prepare(outputs)

    from extensions import loader
    from extensions.engine import EngineConfig
    from jobs.collection import annotations
    from jobs.studio import Studio, WorkerConfig
    from pipelines import shelves
    from pipelines.catalog import Catalog
    from ui.address import claim

    port = claim(options.host, options.port)  # before anything is started that a taken port would stop again
    roots = [HERE / "models", *(existing(folder) for folder in options.models)]
    if options.hub_cache and (cache := shelves.hub_cache()):
        roots.append(cache)
    offered = loader.load(options.extension)
    blobs = str(outputs / ".safelight" / "blobs")
    notes = str(annotations(outputs / ".safelight"))
    numbers = {"dtype": options.dtype, "vae_dtype": options.vae_dtype, "compiled": options.compile}
    config = EngineConfig(tuple(map(str, roots)), options.device, blobs, tuple(options.extension), notes=notes, **numbers)
    studio = Studio(
        outputs,
        Catalog(roots, offered.families),
        offered.schedulers,
        offered.modifiers,
        WorkerConfig("extensions.engine:build_engine", config),
        version=VERSION,
        notices=tuple(offered.broken.values()),
    )
    studio.start()

    from ui.page import build
    from ui.server import serve as serve_page
    from ui.theme import look

    try:
        page = build(studio, offered.tabs)
        server = serve_page(studio, page, options.host, port, open_browser=options.open, look=look(), managing=options.manage)
    except BaseException:
        studio.stop()
        raise
    server.wait()
    return 0


def existing(folder: Path) -> Path:
    """A models folder of the command line, absolute; StudioError if it is not there."""
    from pipelines.errors import StudioError

    if not folder.is_dir():
        raise StudioError(f"--models: there is no folder {str(folder)!r}.")
    return folder.absolute()


if __name__ == "__main__":  # the worker's child imports this file too, and must find nothing to do
    sys.exit(main())

"""Frames to the bytes of a file that moves: H.264 in MP4, or animated WebP; infotext, recipe and a still picture go inside."""

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from .recipe import EXIF_IFD, IMAGE_DESCRIPTION, OWN, PARAMETERS, USER_COMMENT

H264 = {"crf": "14", "preset": "medium"}  # hardly told from the frames by eye, at a hundredth of their size
COVER_QUALITY, WEBP_QUALITY = 92, 90


def written(frames: Sequence[Image.Image], fps: int, kind: str, texts: Mapping[str, str]) -> tuple[bytes, str]:
    """The file and its media type. `frames` are RGB, alike in size with even sides; `kind` is mp4 or webp; `texts` are those of
    `recipe.texts`."""
    if kind == "mp4":
        return to_mp4(frames, fps, texts), "video/mp4"
    return to_webp(frames, fps, texts), "image/webp"


def to_mp4(frames: Sequence[Image.Image], fps: int, texts: Mapping[str, str]) -> bytes:
    """4:2:0 in BT.709, what every player can do, with its index first, so that it plays while it loads.

    The infotext is its comment, the recipe its synopsis, the first frame its cover.
    """
    with tempfile.TemporaryDirectory() as folder:  # to put the index first, the file is read again by its name
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as file:
            file.metadata.update({"comment": texts[PARAMETERS], "synopsis": texts[OWN]})
            film = file.add_stream("libx264", rate=fps, options=H264)
            film.width, film.height = frames[0].size
            film.pix_fmt = "yuv420p"
            _mark_colours(film.codec_context)
            cover = _cover_stream(file, frames[0].size)
            for index, frame in enumerate(frames):
                picture = av.VideoFrame.from_image(frame).reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
                picture.pts = index
                file.mux(film.encode(picture))
            file.mux(film.encode())
            file.mux(_cover(cover, frames[0]))
        return path.read_bytes()


def _mark_colours(codec: Any) -> None:
    """Without these, players guess by the size."""
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG


def _cover_stream(file: Any, size: tuple[int, int]) -> Any:
    stream = file.add_stream("mjpeg", rate=1)
    stream.width, stream.height = size
    stream.pix_fmt = "yuvj420p"
    stream.disposition = Disposition.attached_pic
    return stream


def _cover(stream: Any, picture: Image.Image) -> av.Packet:
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=COVER_QUALITY)
    packet = av.Packet(jpeg.getvalue())
    packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
    return packet


def to_webp(frames: Sequence[Image.Image], fps: int, texts: Mapping[str, str]) -> bytes:
    """Plays for ever; texts as EXIF: the infotext as the user's comment, as A1111 has it, the recipe as the description."""
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = json.dumps(json.loads(texts[OWN]))  # in ASCII, which is all that this field can hold
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + texts[PARAMETERS].encode("utf-16-be")
    first, *rest = frames
    buffer = io.BytesIO()
    timing = {"duration": round(1000 / fps), "loop": 0, "minimize_size": False}
    first.save(buffer, "WEBP", save_all=True, append_images=rest, quality=WEBP_QUALITY, exif=exif, **timing)
    return buffer.getvalue()

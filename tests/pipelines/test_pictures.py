"""Pictures that cannot be used get one sentence; those that can come out upright, flat and to scale."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import BadPicture
from pipelines.pictures import MAX_BYTES, PictureInfo, check, open_mask, open_rgb


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def gradient(width=24, height=16):
    return Image.fromarray(np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3))


def png_chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_of_size(width, height):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = png_chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + header + rows + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_reads_size_and_format(format):
    assert check(encoded(gradient(), format)) == PictureInfo(24, 16, format, 1)


@pytest.mark.parametrize("look", [check, open_rgb, open_mask])
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The picture is empty: the file has no bytes."),
        (b"Dear diary, this is text named .png", "This file is no PNG, JPEG or WebP picture, whatever its name says."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This file is no PNG, JPEG or WebP picture"),
        (encoded(gradient(), "GIF"), "This file is no PNG, JPEG or WebP picture"),
        (encoded(gradient(200, 200))[:200], "The PNG picture is damaged or cut short"),
        (encoded(gradient())[:-30], "The PNG picture is damaged or cut short"),
        (encoded(gradient(200, 200), "JPEG")[:-800], "The JPEG picture is damaged or cut short"),
        (encoded(gradient(200, 200), "WEBP")[:-100], "The WEBP picture is damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n", "The PNG picture is damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "The PNG picture is damaged or cut short"),
        (b"\xff\xd8\xff" + bytes(100), "The JPEG picture is damaged or cut short"),
        (png_of_size(20_000, 20_000), "The picture is 20000 × 20000, 400 megapixels; at most 40 can be used."),
        (png_of_size(13_300, 13_300), "The picture is 13300 × 13300, 177 megapixels; at most 40 can be used."),
        (png_of_size(10_000, 5_000), "The picture is 10000 × 5000, 50 megapixels; at most 40 can be used."),
        (png_of_size(2**31 - 1, 2**31 - 1), "The picture is 2147483647 × 2147483647"),
        (png_of_size(0, 16), "The PNG picture is damaged or cut short"),
    ],
)
def test_what_cannot_be_used_gets_one_sentence(look, data, sentence):
    with pytest.raises(BadPicture) as caught:
        look(data)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_too_many_bytes():
    with pytest.raises(BadPicture, match="has 65 MB; at most 64 MB"):
        check(b"\x89PNG\r\n\x1a\n" + bytes(MAX_BYTES + 2**20))


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_moving_pictures(format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    with pytest.raises(BadPicture, match="it has 3 frames"):
        check(encoded(frames[0], format, save_all=True, append_images=frames[1:]))


def test_a_phones_jpeg_with_a_second_picture_behind_counts_as_one():
    data = encoded(gradient(), "MPO", save_all=True, append_images=[gradient(8, 8)])
    assert check(data) == PictureInfo(24, 16, "JPEG", 1)
    assert open_rgb(data).size == (24, 16)


def test_exif_rotation():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (24, 16), "black")
    image.paste("white", (0, 0, 24, 8))  # the upper half, which turns to the right
    for format in ("JPEG", "PNG", "WEBP"):
        data = encoded(image, format, exif=exif)
        assert (check(data).width, check(data).height) == (16, 24)
        assert open_rgb(data).size == open_mask(data).size == (16, 24)
        assert open_mask(data).getpixel((14, 12)) > 240 and open_mask(data).getpixel((2, 12)) < 15


def test_plain_pictures_come_back_bit_for_bit():
    image = gradient()
    assert open_rgb(encoded(image)).tobytes() == image.tobytes()
    assert open_mask(encoded(image.convert("L"))).tobytes() == image.convert("L").tobytes()


def test_transparency_lies_on_white_for_pictures_and_on_black_for_masks():
    image = Image.new("RGBA", (16, 16), (200, 10, 10, 0))
    image.paste((255, 255, 255, 255), (0, 0, 8, 16))
    image.putpixel((15, 15), (0, 0, 0, 128))
    assert open_rgb(encoded(image)).getpixel((12, 4)) == (255, 255, 255)
    assert open_rgb(encoded(image)).getpixel((15, 15)) == (127, 127, 127)
    assert [open_mask(encoded(image)).getpixel((x, 4)) for x in (4, 12)] == [255, 0]


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_one_colour_that_stands_for_transparent(mode):
    image = Image.new(mode, (16, 16), 0)
    data = encoded(image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert open_rgb(data).getpixel((3, 3)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped():
    values = np.array([[0, 257, 257 * 128, 65535]], dtype=np.uint16)
    data = encoded(Image.fromarray(values))
    assert open_mask(data).tobytes() == bytes([0, 1, 128, 255])
    assert open_rgb(data).getchannel("R").tobytes() == bytes([0, 1, 128, 255])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_png(mode):
    image = Image.new(mode, (16, 8))
    assert (open_rgb(encoded(image)).mode, open_mask(encoded(image)).mode) == ("RGB", "L")


def test_cmyk():
    assert open_rgb(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")).getpixel((8, 8))[0] > 200


@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_bytes_raise_anything_else(noise, at):
    whole = encoded(gradient())
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at + len(noise) :], b"RIFF" + noise[:4] + b"WEBP" + noise):
        try:
            check(data)
        except BadPicture as error:
            assert str(error).endswith(".")

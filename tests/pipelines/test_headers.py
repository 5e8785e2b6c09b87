"""The check of a safetensors header: what is sound passes, everything else is one sentence."""

import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

from pipelines import headers
from pipelines.errors import CheckpointError

SOUND = save({"a": torch.ones(2, 3), "b.weight": torch.zeros(4, dtype=torch.float16), "none": torch.zeros(0, 5)}, {"note": "x"})


def packed(entries: object, data: bytes = b"") -> bytes:
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(shape: object = (1,), offsets: object = (0, 4), dtype: object = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(SOUND)
    header = headers.read(path)
    assert {name: info.shape for name, info in header.tensors.items()} == {"a": (2, 3), "b.weight": (4,), "none": (0, 5)}
    assert header.metadata == {"note": "x"}
    info = header.tensors["a"]
    assert path.read_bytes()[info.start : info.end] == torch.ones(2, 3).numpy().tobytes()


BROKEN = {
    "empty": b"",
    "short": b"\x01\x02",
    "text": b"this is a text file, not a model",
    "truncated data": SOUND[:-1],
    "truncated header": SOUND[:40],
    "trailing": SOUND + b"\0",
    "huge header": struct.pack("<Q", 2**40),
    "not json": packed(b"{garbage}"),
    "not utf-8": packed(b'{"\xff": 1}'),
    "array": packed([1, 2]),
    "nested": packed(b"[" * 200_000),
    "long number": packed(b'{"a": ' + b"9" * 10_000 + b"}"),
    "twice": packed(b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": 1}'),
    "no dict": packed({"a": 1}),
    "dtype": packed({"a": entry(dtype="F128")}, b"\0" * 4),
    "dtype list": packed({"a": entry(dtype=["F32"])}, b"\0" * 4),
    "negative": packed({"a": entry(shape=[-1])}, b"\0" * 4),
    "bool": packed({"a": entry(shape=[True])}, b"\0" * 4),
    "fraction": packed({"a": entry(shape=[1.0])}, b"\0" * 4),
    "overflow": packed({"a": entry(shape=[2**62, 2**62])}, b"\0" * 4),
    "offsets": packed({"a": entry(offsets=[4, 0])}, b"\0" * 4),
    "three offsets": packed({"a": entry(offsets=[0, 2, 4])}, b"\0" * 4),
    "hole": packed({"a": entry(), "b": entry(offsets=[8, 12])}, b"\0" * 12),
    "overlap": packed({"a": entry(), "b": entry(offsets=[0, 4])}, b"\0" * 4),
    "past end": packed({"a": entry()}, b"\0\0"),
    "name": packed({"a\n": entry()}, b"\0" * 4),
    "empty name": packed({"": entry()}, b"\0" * 4),
    "metadata": packed({"__metadata__": {"a": 1}}),
    "many": packed({str(index): entry([0], [0, 0]) for index in range(headers.MAX_TENSORS + 1)}),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_each_defect_is_one_sentence(tmp_path: Path, defect: str) -> None:
    path = tmp_path / "<img src=x onerror=1>.safetensors"
    path.write_bytes(BROKEN[defect])
    with pytest.raises(CheckpointError) as caught:
        headers.read(path)
    assert path.name in str(caught.value) and str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_header_above_16_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", headers.MAX_HEADER_BYTES + 1))
        file.truncate(headers.MAX_HEADER_BYTES + 100)
    with pytest.raises(CheckpointError, match="at most"):
        headers.read(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(CheckpointError):
            headers.read(path)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file with a few bytes changed, cut, repeated or inserted."""
    data = bytearray(SOUND)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["set", "cut", "insert", "drop"]))
        if kind == "set" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[place:]
        elif kind == "insert":
            data[place:place] = draw(
                st.binary(max_size=20) | st.sampled_from([b"[", b"{", b'"', b"9" * 30, b"-1", b"null", b"1e9", b"\\u0000"])
            )
        else:
            del data[place : place + draw(st.integers(1, 8))]
    return bytes(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
entries = st.dictionaries(
    st.text(max_size=4) | st.just("__metadata__"),
    values
    | st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(sorted(headers.BITS)) | values,
            "shape": st.lists(st.integers(-1, 4), max_size=3) | values,
            "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2) | values,
        }
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged() | st.binary(max_size=300) | st.builds(packed, entries, st.binary(max_size=40)))
def test_whatever_the_bytes_only_checkpoint_errors_and_what_passes_can_be_opened(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    try:
        header = headers.read(path)
    except CheckpointError:
        return
    with safe_open(path, framework="pt") as file:  # the library is no stricter than we are
        assert set(file.keys()) == set(header.tensors)

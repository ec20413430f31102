from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainforge.acquisition.framed import FrameReader
from brainforge.acquisition.framed_info import Hello, encode_hello, read_hello
from brainforge.datasets.phantom import Phantom
from brainforge.errors import InputError
from brainforge.info import Channel, Info


def payload_of(hello: Hello) -> bytes:
    (frame,) = FrameReader().feed(encode_hello(hello))
    return frame.payload


def changed(**fields: Any) -> bytes:
    row = {"name": "L001", "kind": "mag"}
    row |= fields.pop("row", {})
    return json.dumps({"sfreq": 1000.0, "dtype": "int32", "channels": [row]} | fields).encode()


def test_what_was_said_is_what_is_read() -> None:
    info = Phantom(n_channels=40).info
    stim = Channel("STI101", "stim", rails=(0.0, 65535.0))
    info = Info(
        info.sfreq, (*info.channels, stim, Channel("Fz", "eeg", cal=1e-9, offset=2e-6, bad=True)),
        line_freq=60.0, dev_head_t=info.dev_head_t, device="OPM µ",
    )  # fmt: skip
    hello = Hello(info, "int16", 24, "one")
    assert read_hello(payload_of(hello)) == hello


def test_little_is_enough_and_units_are_brought_to_si() -> None:
    hello = read_hello(changed(row={"unit": "fT", "cal": 2.0, "offset": 5.0}))
    channel = hello.info.channel("L001")
    assert (channel.cal, channel.offset) == pytest.approx((2e-15, 5e-15))
    assert (hello.counter_bits, hello.session, hello.info.line_freq) == (None, "", None)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b'{"a": "\xff"}', "decode"),
        (b"[1, 2]", "TypeError"),
        (b'{"sfreq": NaN}', "NaN is no JSON number"),
        (b"[" * 100_000, "RecursionError"),
        (changed(sfreq=0), "expected a positive number of Hz"),
        (changed(sfreq="1000"), "not a finite number"),
        (changed(dtype="complex64"), "a dtype among int16, int32"),
        (changed(counter_bits=64), "counter_bits from 8 to 62"),
        (changed(channels=[]), "no list of channels"),
        (changed(channels=2 * [{"name": "A", "kind": "mag"}]), "A more than once"),
        (changed(row={"kind": "brain"}), "expected a kind among"),
        (changed(row={"unit": "V"}), "in 'V' instead of T"),
        (changed(row={"cal": 0}), "with cal 0"),
        (changed(row={"position": [0, 0]}), "3 numbers expected"),
        (changed(row={"orientation": [0, 0, 2]}), "an orientation of length 2"),
        (changed(dev_head_t=[[1, 0, 0, 0]]), "not 4 x 4"),
    ],
)
def test_what_makes_no_stream_is_refused_in_one_line(payload: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_hello(payload)
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(["sfreq", "dtype", "counter_bits", "channels", "dev_head_t", "row"]),
    st.sampled_from(["name", "kind", "unit", "cal", "position", "loc", "coil_type"]),
    json_values,
)
def test_any_document_is_read_or_refused(field: str, inner: str, value: Any) -> None:
    payload = changed(row={inner: value}) if field == "row" else changed(**{field: value})
    try:
        read_hello(payload)
    except InputError:
        return

"""The decoders, by transfer syntax: one compressed frame to its stored values, in this process.

Values come out as PS3.3 C.7.6.3 means them: signed ones extended from the bits stored, colour as RGB pixel
by pixel, palette indices and grey as stored. What the code stream states of itself must agree with the
header before a decoder sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np

from voxcam.io.decoding.coding import Coding, DecodeError
from voxcam.io.decoding.streams import Stream, check_rle, jpeg2000_stream, jpeg_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# No picture of patients shrinks further: what does, and is large, is a bomb.
_MOST_SHRUNK, _EASY_BYTES = 10_000, 64 << 20
_YCC = ("YBR_FULL", "YBR_FULL_422")  # full range; the decoder brings 4:2:2 to full size
_COLOURS = ("RGB", *_YCC)
_COLOURS_2000 = (*_COLOURS, "YBR_RCT", "YBR_ICT")


class Codec(NamedTuple):
    """A transfer syntax that can be decoded.

    Parameters
    ----------
    name
        In plain words.
    stream
        (code, coding) -> what the code stream states.
    decode
        (code, coding, stream) -> values of any shape and type that hold them.
    colours
        Photometric interpretations of three samples that it may have.
    """

    name: str
    stream: Callable[[bytes, Coding], Stream]
    decode: Callable[[bytes, Coding, Stream], NDArray[Any]]
    colours: tuple[str, ...] = _COLOURS


def decode(code: bytes, coding: Coding) -> NDArray[Any]:
    """Return the stored values of a frame, shape (rows, columns) or (rows, columns, 3), C-contiguous.

    Parameters
    ----------
    code
        The frame's fragments, joined.
    coding
        What the header says of it.

    Raises
    ------
    DecodeError
        With its kind.
    """
    stream = check(code, coding)
    codec = CODECS[coding.transfer_syntax]
    try:
        pixels = codec.decode(code, coding, stream)
    except MemoryError:
        raise DecodeError(f"a {codec.name} frame takes more memory than allowed", "too large") from None
    except Exception as error:  # each library raises its own
        raise DecodeError(f"a {codec.name} frame is damaged ({type(error).__name__})") from None
    if pixels.size != stream.rows * stream.columns * stream.samples or pixels.dtype.kind not in "iu":
        raise DecodeError(f"a {codec.name} frame came out as {pixels.shape}, expected {coding.shape}")
    pixels = _extended(_interleaved(pixels, coding, stream), coding, stream)
    if coding.photometric in _YCC and not _converted(coding, stream):
        pixels = _rgb(pixels, coding.bits_stored)
    return np.ascontiguousarray(pixels)


def check(code: bytes, coding: Coding) -> Stream:
    """Return what the code stream states, if it is what the header says; decodes and allocates nothing.

    Raises
    ------
    DecodeError
        "no decoder", "too large" or "damaged".
    """
    codec = CODECS.get(coding.transfer_syntax)
    if codec is None:
        name = _NOT_DECODED.get(coding.transfer_syntax, "its transfer syntax")
        raise DecodeError(f"there is no decoder for {name}: export the series uncompressed", "no decoder")
    coding.check()
    if coding.samples == 3 and coding.photometric not in codec.colours:
        raise DecodeError(
            f"{codec.name} in a colour space other than {', '.join(codec.colours)}", "no decoder"
        )
    stream = codec.stream(code, coding)
    found, expected = (
        (stream.rows, stream.columns, stream.samples),
        (coding.rows, coding.columns, coding.samples),
    )
    if found != expected:
        raise DecodeError(
            f"the header says {' x '.join(map(str, expected))} (rows, columns, samples), "
            f"the {codec.name} frame {' x '.join(map(str, found))}"
        )
    if not 1 <= stream.precision <= coding.bits_allocated:
        raise DecodeError(
            f"the header says {coding.bits_allocated} bits, the {codec.name} frame {stream.precision}"
        )
    if coding.frame_bytes > max(_EASY_BYTES, _MOST_SHRUNK * len(code)):
        raise DecodeError(
            f"{len(code)} bytes that claim to be {coding.frame_bytes >> 20} MiB of pixels", "too large"
        )
    return stream


def _interleaved(pixels: NDArray[Any], coding: Coding, stream: Stream) -> NDArray[Any]:
    if stream.planar and pixels.shape[0] == coding.samples == 3:
        return np.moveaxis(pixels, 0, -1)
    return pixels.reshape(coding.shape)


def _extended(pixels: NDArray[Any], coding: Coding, stream: Stream) -> NDArray[Any]:
    """Return the values in the header's type, two's complement read over as many bits as were coded.

    A stream may state another sign than the header, which holds; a stream of more bits than are stored has
    the sign repeated in them, so the fewer bits decide.
    """
    if coding.signed == stream.signed:
        return pixels.astype(coding.dtype, copy=False)
    values: NDArray[Any] = pixels.astype(f"u{coding.bits_allocated // 8}", copy=False)
    if not coding.signed:
        kept: NDArray[Any] = values & values.dtype.type((1 << stream.precision) - 1)
        return kept
    spare = coding.bits_allocated - min(coding.bits_stored, stream.precision)
    extended: NDArray[Any] = (values << values.dtype.type(spare)).view(coding.dtype) >> coding.dtype.type(
        spare
    )
    return extended


def _converted(coding: Coding, stream: Stream) -> bool:
    """Whether the decoder has made RGB of YBR itself: libjpeg of lossy ones, OpenJPEG of mixed colours."""
    lossy_jpeg = CODECS[coding.transfer_syntax].decode is _jpeg and not stream.lossless
    return lossy_jpeg or stream.mixed


def _rgb(ybr: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return the RGB of YBR_FULL, PS3.3 C.7.6.3.1.2."""
    half = float(1 << (bits - 1))
    y, b, r = (ybr[..., channel].astype(np.float64) for channel in range(3))
    b, r = b - half, r - half
    rgb = np.stack([y + 1.402 * r, y - 0.344136 * b - 0.714136 * r, y + 1.772 * b], axis=-1)
    clipped: NDArray[Any] = np.clip(np.floor(rgb + 0.5), 0, (1 << bits) - 1).astype(ybr.dtype)
    return clipped


def _jpeg(code: bytes, coding: Coding, stream: Stream) -> NDArray[Any]:
    if coding.samples == 1:
        return imagecodecs.jpeg8_decode(code)
    # The header's word goes before JFIF and Adobe markers; a lossless stream is never converted.
    ycc = coding.photometric in _YCC and not stream.lossless
    return imagecodecs.jpeg8_decode(code, colorspace="YCBCR" if ycc else "RGB", outcolorspace="RGB")


def _jpeg_ls(code: bytes, coding: Coding, stream: Stream) -> NDArray[Any]:
    return imagecodecs.jpegls_decode(code)


def _jpeg_2000(code: bytes, coding: Coding, stream: Stream) -> NDArray[Any]:
    # High throughput too: OpenJPH is quicker, but takes its own errors for success, and died of 3 in 2,000
    # damaged frames.
    return imagecodecs.jpeg2k_decode(code[stream.start :])


def _rle(code: bytes, coding: Coding, stream: Stream) -> NDArray[Any]:
    planes = np.zeros(coding.frame_bytes, np.uint8)
    decoded = imagecodecs.dicomrle_decode(code, f"<u{coding.bits_allocated // 8}", out=planes.data)
    if len(decoded) != planes.size:
        raise DecodeError("the RLE frame is cut short")
    values = planes.view(f"<u{coding.bits_allocated // 8}")
    return values.reshape(coding.samples, coding.rows, coding.columns)


def _jpeg_states(code: bytes, coding: Coding) -> Stream:
    return jpeg_stream(code)


def _jpeg_2000_states(code: bytes, coding: Coding) -> Stream:
    return jpeg2000_stream(code)


def _rle_states(code: bytes, coding: Coding) -> Stream:
    check_rle(code, coding.samples * coding.bits_allocated // 8, coding.rows * coding.columns)
    return Stream(coding.rows, coding.columns, coding.samples, coding.bits_allocated, planar=True)


CODECS: dict[str, Codec] = {
    "1.2.840.10008.1.2.5": Codec("RLE", _rle_states, _rle),
    "1.2.840.10008.1.2.4.50": Codec("JPEG baseline", _jpeg_states, _jpeg),
    "1.2.840.10008.1.2.4.51": Codec("JPEG extended", _jpeg_states, _jpeg),
    "1.2.840.10008.1.2.4.57": Codec("JPEG lossless", _jpeg_states, _jpeg),
    "1.2.840.10008.1.2.4.70": Codec("JPEG lossless", _jpeg_states, _jpeg),
    "1.2.840.10008.1.2.4.80": Codec("JPEG-LS lossless", _jpeg_states, _jpeg_ls),
    "1.2.840.10008.1.2.4.81": Codec("JPEG-LS near-lossless", _jpeg_states, _jpeg_ls),
    "1.2.840.10008.1.2.4.90": Codec("JPEG 2000 lossless", _jpeg_2000_states, _jpeg_2000, _COLOURS_2000),
    "1.2.840.10008.1.2.4.91": Codec("JPEG 2000", _jpeg_2000_states, _jpeg_2000, _COLOURS_2000),
    "1.2.840.10008.1.2.4.201": Codec("HTJ2K lossless", _jpeg_2000_states, _jpeg_2000, _COLOURS_2000),
    "1.2.840.10008.1.2.4.202": Codec("HTJ2K lossless RPCL", _jpeg_2000_states, _jpeg_2000, _COLOURS_2000),
    "1.2.840.10008.1.2.4.203": Codec("HTJ2K", _jpeg_2000_states, _jpeg_2000, _COLOURS_2000),
}
_NOT_DECODED = {
    "1.2.840.10008.1.2.4.52": "hierarchical JPEG",
    "1.2.840.10008.1.2.4.53": "JPEG spectral selection",
    "1.2.840.10008.1.2.4.55": "progressive JPEG",
    "1.2.840.10008.1.2.4.92": "multi-component JPEG 2000",
    "1.2.840.10008.1.2.4.93": "multi-component JPEG 2000",
    "1.2.840.10008.1.2.4.94": "pixels on a JPIP server",
    "1.2.840.10008.1.2.4.95": "pixels on a JPIP server",
    "1.2.840.10008.1.2.4.204": "pixels on a JPIP server",
    "1.2.840.10008.1.2.4.205": "pixels on a JPIP server",
    **{f"1.2.840.10008.1.2.4.{n}": "MPEG-2 video" for n in ("100", "100.1", "101", "101.1")},
    **{f"1.2.840.10008.1.2.4.{n}": "MPEG-4 video" for n in (102, 103, 104, 105, 106)},
    **{f"1.2.840.10008.1.2.4.{n}.1": "MPEG-4 video" for n in (102, 103, 104, 105, 106)},
    "1.2.840.10008.1.2.4.107": "HEVC video",
    "1.2.840.10008.1.2.4.108": "HEVC video",
    "1.2.840.10008.1.2.4.110": "JPEG XL",
    "1.2.840.10008.1.2.4.111": "JPEG XL",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.7.1": "SMPTE ST 2110 video",
    "1.2.840.10008.1.2.7.2": "SMPTE ST 2110 video",
    "1.2.840.10008.1.2.7.3": "SMPTE ST 2110 audio",
    "1.2.840.10008.1.2.8.1": "deflated frames",
}

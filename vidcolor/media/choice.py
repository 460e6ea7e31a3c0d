"""Which encoder makes a film's picture, with which options, in which layout.

    choice = choose_encoder(info, settings)
    layout = picture_format(info, choice)

Nothing is encoded here; `write` does that, and finds out what an encoder really takes.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass

import av
import cv2
from av.codec import Codec

from vidcolor.errors import EncoderError, SettingsError
from vidcolor.frames import FieldOrder, PictureFormat, VideoInfo
from vidcolor.media.hdr import svt_words, x26x_words
from vidcolor.media.pixels import planar_name
from vidcolor.media.views import x264_views
from vidcolor.settings import Settings


@dataclass(frozen=True)
class _Defaults:
    crf: int | None = None
    preset: str | None = None
    crf_option: str = "crf"
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()
    crf_limit: int | None = None
    """The highest crf it takes, where that is less than Settings does."""

    least_side: int = 1
    """The least width and height it takes, in samples; SVT-AV1 takes less, and then reads outside
    of its memory."""

    full_range: bool = True
    """Whether its pictures can say that their luma uses every code."""


_DEFAULTS = {
    "libx264": _Defaults(17, "medium", crf_limit=51),
    "libx265": _Defaults(19, "medium", crf_limit=51, least_side=16),
    "libsvtav1": _Defaults(23, "6", least_side=32),
    "libvpx-vp9": _Defaults(
        24, "2", preset_option="cpu-used", options=(("b", "0"), ("deadline", "good"))
    ),
    "ffv1": _Defaults(options=(("level", "3"), ("g", "1"), ("slicecrc", "1"))),
    "prores_ks": _Defaults(full_range=False),
    "h264_nvenc": _Defaults(19, "p5", crf_option="cq", options=(("rc", "vbr"),)),
    "hevc_nvenc": _Defaults(21, "p5", crf_option="cq", options=(("rc", "vbr"),)),
    "av1_nvenc": _Defaults(25, "p5", crf_option="cq", options=(("rc", "vbr"),)),
}

_BY_DEPTH = ("libx264", "libx265", "ffv1")
"""What `auto` takes: the first of these that takes the film's pictures with all their bits."""

AUTO_CODEC, SOURCE_CODEC = "auto", "source"
"""Settings' codecs that depend on the film."""

_OF_SOURCE = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "ffv1": "ffv1",
    "prores": "prores_ks",
}
"""A source's codec -> the encoder that `source` takes for it, where that takes its pictures."""


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder with everything that decides its bits."""

    codec: str
    """FFmpeg's name of the encoder, such as `libx264`."""

    crf: int | None
    """Constant rate factor; None where the encoder has none, or its own default holds."""

    preset: str | None
    options: tuple[tuple[str, str], ...]
    """Further options, the user's last."""

    threads: int
    """At least 1; x264's bits change with it."""

    parameters: tuple[str, ...] = ()
    """What this film asks for in the encoder's own words: its grading, and care with its size."""

    fields: FieldOrder | None = None
    """Which lines come first of frames that are left interlaced, as the source has them flagged."""


def choose_encoder(info: VideoInfo, settings: Settings) -> EncoderChoice:
    """The encoder for a source: `auto` and `source` made concrete, defaults filled in.

    Raises EncoderError for an unknown encoder, one that can't take the source's pictures as they
    are, and options the encoder doesn't know; SettingsError for a crf beyond the encoder's.
    """
    refuse_encoder(settings)
    name = _encoder_for(info, settings.codec)
    defaults = _DEFAULTS.get(name, _Defaults())
    choice = EncoderChoice(
        codec=name,
        crf=settings.crf if settings.crf is not None else defaults.crf,
        preset=settings.encoder_preset or defaults.preset,
        options=defaults.options + settings.encoder_options,
        threads=settings.threads or _cores(),
        parameters=(*_hdr_words(info, name), *_view_words(info, name), *_care(info, name)),
        fields=info.flagged_order if info.flagged_interlaced and not settings.deinterlace else None,
    )
    picture_format(info, choice)
    _refuse_crf(settings.crf, name)
    _check_options(choice)
    return choice


def refuse_encoder(settings: Settings) -> None:
    """Raise what `choose_encoder` raises for an encoder or crf that no film could make right."""
    if settings.codec == SOURCE_CODEC:
        return
    # Of what `auto` may take, ffv1 has no crf and the others end where x264 does.
    name = _BY_DEPTH[0] if settings.codec == AUTO_CODEC else _encoder_name(settings.codec)
    _refuse_crf(settings.crf, name)


def another_codec(info: VideoInfo, settings: Settings, choice: EncoderChoice) -> str | None:
    """A sentence where the source's own codec was asked for and another is taken."""
    own = _OF_SOURCE.get(info.codec)
    if settings.codec != SOURCE_CODEC or choice.codec == own:
        return None
    why = f"{own} {_refusal(info, own)}" if own else f"no encoder for {info.codec} is used here"
    return f"the picture can't stay {info.codec}: {why}; it is encoded by {choice.codec}."


def known_encoders() -> tuple[str, ...]:
    """The encoders whose defaults are known here, in FFmpeg's names; others may be there too."""
    return tuple(_DEFAULTS)


def picture_format(info: VideoInfo, choice: EncoderChoice) -> PictureFormat:
    """The layout of the pictures to encode: the source's luma, and room for colour.

    4:2:2 and 4:4:4 sources keep their sampling, the others become 4:2:0, odd sizes 4:4:4.
    Raises EncoderError when the encoder takes no layout that keeps the source's bits, no pictures
    so small, or none of full range.
    """
    refusal = _refusal(info, choice.codec)
    sampling = _sampling(info, choice.codec)
    if refusal or sampling is None:
        others = [name for name in _BY_DEPTH if _refusal(info, name) is None]
        instead = " or ".join(others) or "a source of 8, 10 or 12 bits"
        raise EncoderError(f"{choice.codec} {refusal}; use {instead}.")
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[sampling]
    return PictureFormat(
        pixel_format=planar_name(sampling, info.bit_depth),
        bit_depth=info.bit_depth,
        width=info.width,
        height=info.height,
        chroma_width=info.width // across,
        chroma_height=info.height // down,
        fields=choice.fields if _tells_fields(choice.codec, info.height, down) else None,
    )


def _tells_fields(codec: str, lines: int, down: int) -> bool:
    """Whether an encoder's pictures can say that they are interlaced."""
    if codec == "libx264":
        # Each field must have whole lines of chroma, two at a time where two luma lines share one.
        return lines % (2 * down) == 0
    return codec in ("ffv1", "prores_ks")


def untold_fields(layout: PictureFormat, choice: EncoderChoice) -> str | None:
    """A sentence about interlaced frames that players won't know for such."""
    if choice.fields is None or layout.fields is not None:
        return None
    lines = f" of {layout.height} lines" if choice.codec == "libx264" else ""
    others = [name for name in ("libx264", "ffv1", "prores_ks") if name != choice.codec]
    return (
        f"the film stays interlaced, but the pictures of {choice.codec}{lines} can't say so, and "
        f"players may show combs; use {' or '.join(others)}, or leave out --deinterlace off."
    )


def _refusal(info: VideoInfo, codec: str) -> str | None:
    """Why an encoder can't take a film's pictures as they are, its name left out."""
    defaults, size = _DEFAULTS.get(codec, _Defaults()), f"{info.width}x{info.height}"
    least = defaults.least_side
    if min(info.width, info.height) < least:
        return f"takes no pictures smaller than {least}x{least}, and these are {size}"
    if _sampling(info, codec) is None:
        wanted = planar_name(_wanted_sampling(info), info.bit_depth)
        depth = f"{info.bit_depth}-bit pictures of {size}"
        return f"can't encode {depth} with all their luma ({wanted})"
    if info.tags.full_range and not defaults.full_range:
        return "can't tell players of full range, and without that the film would look wrong"
    return None


def _wanted_sampling(info: VideoInfo) -> str:
    kept = info.subsampling if info.subsampling in ("422", "444") else "420"
    return "444" if info.width % 2 or info.height % 2 else kept


def _sampling(info: VideoInfo, codec: str) -> str | None:
    """The leanest sampling an encoder takes that loses nothing; None where there is none."""
    taken, wanted = _formats_of(codec), _wanted_sampling(info)
    richer = [sampling for sampling in ("420", "422", "444") if sampling >= wanted]
    names = {sampling: planar_name(sampling, info.bit_depth) for sampling in richer}
    return next((each for each in richer if taken is None or names[each] in taken), None)


MACROBLOCK = 16
"""Side of H.264's blocks, samples."""


def encoder_options(choice: EncoderChoice, width: int) -> dict[str, str]:
    """What FFmpeg is told besides sizes and tags, for pictures of so many samples a line."""
    defaults = _DEFAULTS.get(choice.codec, _Defaults())
    options: dict[str, str] = {}
    if choice.crf is not None:
        options[defaults.crf_option] = str(choice.crf)
    if choice.preset is not None:
        options[defaults.preset_option] = choice.preset
    options.update(choice.options)
    if choice.parameters:
        key, words = _PARAMETERS[choice.codec], ":".join(choice.parameters)
        options[key] = f"{words}:{options[key]}" if key in options else words
    if choice.codec == "libx264" and _has_avx512() and -(-width // MACROBLOCK) % 8:
        # x264's AVX-512 macroblock tree reads past rows of blocks that aren't a multiple of 8, so
        # two encodings of the same pictures differ; AVX2 doesn't, and takes 6 % longer.
        given = options.get("x264-params")
        options["x264-params"] = (
            f"asm=avx2,fma3,bmi2,lzcnt:{given}" if given else "asm=avx2,fma3,bmi2,lzcnt"
        )
    if choice.codec == "libx265":
        frame_threads = min(4, max(1, choice.threads // 2))
        ours = f"pools={choice.threads}:frame-threads={frame_threads}:log-level=error:open-gop=0"
        given = options.get("x265-params")
        options["x265-params"] = f"{given}:{ours}" if given else ours
    return options


_PARAMETERS = {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}
"""The option behind which an encoder has options of its own."""


def _hdr_words(info: VideoInfo, codec: str) -> tuple[str, ...]:
    if info.hdr is None or codec not in _PARAMETERS:
        return ()
    if codec == "libsvtav1":
        return tuple(svt_words(info.hdr))
    return tuple(x26x_words(info.hdr, x264=codec == "libx264"))


def _view_words(info: VideoInfo, codec: str) -> tuple[str, ...]:
    # Said twice, FFmpeg's own program stumbles over it.
    return tuple(x264_views(info.views)) if codec == "libx264" and not info.views_tagged else ()


_NARROW = 48
"""Up to this width, x265's AVX2 code for its CU tree writes outside of its memory, and the whole
program dies of it: it takes four blocks of 16 samples at once, and there are fewer."""


def _care(info: VideoInfo, codec: str) -> tuple[str, ...]:
    """Parameters without which an encoder stumbles over a film's size."""
    return ("cutree=0",) if codec == "libx265" and info.width <= _NARROW else ()


def _refuse_crf(crf: int | None, name: str) -> None:
    limit = _DEFAULTS.get(name, _Defaults()).crf_limit
    if crf is not None and limit is not None and crf > limit:
        raise SettingsError(
            f"crf is {crf}, but {name} takes 0 to {limit}; less is better, and "
            f"{_DEFAULTS[name].crf} is the default."
        )


def _encoder_for(info: VideoInfo, codec: str) -> str:
    """The encoder that a setting's codec means for this film."""
    if codec not in (AUTO_CODEC, SOURCE_CODEC):
        return _encoder_name(codec)
    own = [_OF_SOURCE[info.codec]] if codec == SOURCE_CODEC and info.codec in _OF_SOURCE else []
    takers = (name for name in (*own, *_BY_DEPTH) if _refusal(info, name) is None)
    return next(takers, _BY_DEPTH[-1])


def _encoder_name(given: str) -> str:
    """FFmpeg's own name of a video encoder; `h264` gives its usual one, libx264."""
    try:
        codec = Codec(given, "w")
    except ValueError:
        near = difflib.get_close_matches(given, list(_DEFAULTS), n=2, cutoff=0.5)
        # FFmpeg has many picture formats that nobody means, so beyond ours only near ones count.
        near += difflib.get_close_matches(given, _video_encoders(), n=3, cutoff=0.8)
        tries = ", ".join(dict.fromkeys(near or _DEFAULTS))
        raise EncoderError(f"there is no video encoder {given!r}; try {tries}.") from None
    if codec.type != "video":
        raise EncoderError(
            f"{given} is an encoder for {codec.type}, not for video; try {', '.join(_DEFAULTS)}."
        )
    return codec.name


def _video_encoders() -> list[str]:
    names = []
    for name in sorted(av.codec.codecs_available):
        try:
            if Codec(name, "w").type == "video":
                names.append(name)
        except ValueError:
            continue
    return names


def _formats_of(codec: str) -> frozenset[str] | None:
    """Pixel formats an encoder takes; None where it doesn't say."""
    formats = Codec(codec, "w").video_formats
    return frozenset(each.name for each in formats) if formats else None


def _cores() -> int:
    """Cores of this machine, at most 16: more threads cost x264 quality."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, 16)


def _check_options(choice: EncoderChoice) -> None:
    """Raise EncoderError for options FFmpeg would ignore without a word."""
    supported = av.CodecContext.create(choice.codec, "w").supported_options
    known = {option.name for option in supported.generic + supported.private}
    for key in encoder_options(choice, width=0):
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "leave it out."
            raise EncoderError(f"{choice.codec} has no option {key!r}; {hint}")


def _has_avx512() -> bool:
    return cv2.checkHardwareSupport(_AVX2) and cv2.checkHardwareSupport(_AVX512F)


_AVX2, _AVX512F = 11, 13
"""CV_CPU_AVX2 and CV_CPU_AVX_512F, which OpenCV's Python doesn't name."""

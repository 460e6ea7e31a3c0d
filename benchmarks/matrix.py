"""The matrix of source formats: one line for each film, in the order of the table.

from matrix import SOURCES

[source.file for source in SOURCES][:3]     # ['mp4.mp4', 'm4v.m4v', 'mov.mov']
"""

from __future__ import annotations

from rarities import CHANGES, RARE_FILES, RARE_TIMES, RARE_TRACKS
from sources import (
    Source,
    an_hour_later,
    captioned,
    cut_in_mid_air,
    packed,
    piped,
    played_twice,
    three_recordings,
)

H264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p"
HEVC = "-c:v libx265 -preset ultrafast -x265-params log-level=error"
MPEG2 = "-c:v mpeg2video -q:v 3 -bf 2"
FFV1 = "-c:v ffv1 -level 3"
AAC, MP2, AC3, PCM = "-c:a aac", "-c:a mp2", "-c:a ac3", "-c:a pcm_s16le"
COPY = "-map 0 -c copy"
INTERLACE = "tinterlace=mode=interleave"

CONTAINERS = (
    Source("mp4.mp4", "MP4", video=H264, audio=AAC),
    Source("m4v.m4v", "M4V", video=H264, audio=AAC),
    Source("mov.mov", "QuickTime", video=H264, audio="-c:a pcm_s24le"),
    Source("mkv.mkv", "Matroska", video=H264, audio=AAC),
    Source("webm.webm", "WebM", video="-c:v libvpx-vp9", audio="-c:a libopus"),
    Source("avi.avi", "AVI", video="-c:v mpeg4", audio="-c:a libmp3lame"),
    Source("mpg.mpg", "MPEG program stream", video="-c:v mpeg1video", audio=MP2),
    Source("vob.vob", "DVD's VOB", video=MPEG2, audio=AC3),
    Source("ts.ts", "MPEG transport stream", video=H264, audio=AAC),
    Source("m2ts.m2ts", "Blu-ray's transport stream", video=H264, audio=AC3),
    Source("flv.flv", "Flash video", video=H264, audio=AAC),
    Source("wmv.wmv", "Windows Media", video="-c:v wmv2", audio="-c:a wmav2"),
    Source("asf.asf", "ASF", video="-c:v msmpeg4", audio="-c:a libmp3lame"),
    Source("ogv.ogv", "Ogg", video="-c:v libtheora", audio="-c:a libvorbis"),
    Source("mxf.mxf", "MXF", video=MPEG2, audio=PCM),
    Source("nut.nut", "NUT", video=FFV1, audio=PCM),
    Source(
        "3gp.3gp",
        "3GP of an early phone",
        size="176x144",
        video="-c:v h263",
        audio="-c:a libopencore_amrnb -ar 8000 -ac 1",
    ),
    Source("gif.gif", "GIF", video="", maps="-map 0", look="format=gray"),
    Source(
        "dv.dv",
        "raw DV, 625 lines",
        size="720x576",
        rate="50",
        seconds=0.6,
        look=f"{INTERLACE}_bottom",
        video="-c:v dvvideo -pix_fmt yuv420p",
        audio=f"{PCM} -ac 2",
    ),
    Source("y4m.y4m", "YUV4MPEG", video="-pix_fmt yuv420p", maps="-map 0"),
    Source(
        "fragmented.mp4",
        "MP4 in fragments",
        video=f"{H264} -g 12 -movflags +frag_keyframe+empty_moov",
        audio=AAC,
    ),
)

CODECS = (
    Source("hevc.mp4", "HEVC", video=f"{HEVC} -pix_fmt yuv420p", audio=AAC),
    Source("av1.mp4", "AV1", video="-c:v libsvtav1 -preset 12", audio="-c:a libopus"),
    Source("av1_aom.mkv", "AV1 by libaom", video="-c:v libaom-av1 -cpu-used 8"),
    Source("vp8.webm", "VP8", video="-c:v libvpx", audio="-c:a libvorbis"),
    Source("vvc.mp4", "VVC", video="-c:v libvvenc -preset faster -pix_fmt yuv420p10le"),
    Source("mpeg2.mkv", "MPEG-2", video=MPEG2),
    Source("mpeg4.mp4", "MPEG-4 with B-frames", video="-c:v mpeg4 -bf 2 -q:v 3"),
    Source("mpeg4_bframes.avi", "MPEG-4 with B-frames", video="-c:v mpeg4 -bf 2 -q:v 3"),
    Source(
        "mpeg4_packed.avi",
        "MPEG-4 with packed B-frames, as DivX wrote",
        video="-c:v mpeg4 -bf 1 -q:v 3 -b_strategy 0 -sc_threshold 1000000000 -flags +bitexact",
        by_hand=packed,
        between=".m4v",
    ),
    Source("xvid.avi", "MPEG-4 by Xvid", video="-c:v libxvid -bf 2"),
    Source("h264.avi", "H.264 with B-frames in AVI", video=H264),
    Source("mjpeg.avi", "Motion JPEG", video="-c:v mjpeg -pix_fmt yuvj420p", audio=PCM),
    Source("mjpeg.mov", "Motion JPEG", video="-c:v mjpeg -pix_fmt yuvj422p", audio=PCM),
    Source("prores.mov", "ProRes 422", video="-c:v prores_ks", audio=PCM),
    Source(
        "dnxhr.mov",
        "DNxHR, 10 bits",
        size="256x144",
        video="-c:v dnxhd -profile:v dnxhr_hqx -pix_fmt yuv422p10le",
    ),
    Source(
        "dnxhr.mxf",
        "DNxHR in MXF",
        size="256x144",
        video="-c:v dnxhd -profile:v dnxhr_hq -pix_fmt yuv422p",
        audio=PCM,
    ),
    Source("cineform.mov", "CineForm", video="-c:v cfhd -pix_fmt yuv422p10le"),
    Source("ffv1.mkv", "FFV1", video=f"{FFV1} -pix_fmt yuv420p", audio="-c:a flac"),
    Source("huffyuv.avi", "HuffYUV", video="-c:v huffyuv -pix_fmt yuv422p"),
    Source("utvideo.avi", "Ut Video", video="-c:v utvideo -pix_fmt yuv420p"),
    Source("raw.avi", "uncompressed", video="-c:v rawvideo -pix_fmt yuv420p"),
    Source("jpeg2000.mxf", "JPEG 2000", video="-c:v jpeg2000 -pix_fmt yuv420p"),
    Source("h263.flv", "Sorenson's H.263", video="-c:v flv", audio="-c:a libmp3lame"),
    Source("cinepak.avi", "Cinepak", video="-c:v cinepak", seconds=0.4),
    Source("svq1.mov", "Sorenson 1", video="-c:v svq1"),
)

SEE_THROUGH = "geq=lum='lum(X,Y)':cb=128:cr=128:a='64+X'"

SAMPLES = (
    Source("h264_422.mp4", "4:2:2", video=f"{H264} -pix_fmt yuv422p"),
    Source("h264_444.mp4", "4:4:4", video=f"{H264} -pix_fmt yuv444p"),
    Source("yuv411.mkv", "4:1:1", video=f"{FFV1} -pix_fmt yuv411p"),
    Source("yuv410.mkv", "4:1:0", video=f"{FFV1} -pix_fmt yuv410p"),
    Source("yuv440.mkv", "4:4:0", video=f"{FFV1} -pix_fmt yuv440p"),
    Source("gray.mp4", "gray H.264", video=f"{H264} -pix_fmt gray"),
    Source("gray.mkv", "gray FFV1", video=f"{FFV1} -pix_fmt gray"),
    Source("gray_jpeg.avi", "gray JPEG", video="-c:v mjpeg -pix_fmt gray"),
    Source("gray10.mkv", "gray, 10 bits", video=f"{FFV1} -pix_fmt gray10le"),
    Source("gray12.mkv", "gray, 12 bits", video=f"{FFV1} -pix_fmt gray12le"),
    Source("gray16.mkv", "gray, 16 bits", video=f"{FFV1} -pix_fmt gray16le"),
    Source("h264_10.mp4", "10 bits", video=f"{H264} -pix_fmt yuv420p10le"),
    Source("hevc_10.mkv", "10 bits", video=f"{HEVC} -pix_fmt yuv420p10le"),
    Source("vp9_10.webm", "10 bits", video="-c:v libvpx-vp9 -pix_fmt yuv420p10le"),
    Source("av1_10.mp4", "10 bits", video="-c:v libsvtav1 -pix_fmt yuv420p10le"),
    Source("v210.mov", "10 bits uncompressed", video="-c:v v210 -pix_fmt yuv422p10le"),
    Source("hevc_12.mp4", "12 bits", video=f"{HEVC} -pix_fmt yuv420p12le"),
    Source("vp9_12.webm", "12 bits, 4:2:2", video="-c:v libvpx-vp9 -pix_fmt yuv422p12le"),
    Source("ffv1_9.mkv", "9 bits", video=f"{FFV1} -pix_fmt yuv420p9le"),
    Source("ffv1_16.mkv", "16 bits, 4:4:4", video=f"{FFV1} -pix_fmt yuv444p16le"),
    Source(
        "full_range.mp4",
        "full range",
        look="scale=out_range=full",
        video="-c:v libx264 -pix_fmt yuvj420p",
    ),
    Source(
        "full_range.mkv",
        "full range, 10 bits",
        look="scale=out_range=full",
        video=f"{HEVC}:range=full -pix_fmt yuv420p10le -color_range pc",
    ),
    Source("uyvy.avi", "packed 4:2:2", video="-c:v rawvideo -pix_fmt uyvy422"),
    Source("rgb.avi", "uncompressed RGB", video="-c:v rawvideo -pix_fmt bgr24"),
    Source("rgb_h264.mkv", "RGB H.264", video="-c:v libx264rgb -pix_fmt rgb24"),
    Source("rgb10.mkv", "RGB, 10 bits", video=f"{FFV1} -pix_fmt gbrp10le"),
    Source("palette.avi", "palette", look="format=gray", video="-c:v rawvideo -pix_fmt pal8"),
    Source(
        "png.mov",
        "PNG with transparency",
        look=f"format=yuva444p,{SEE_THROUGH}",
        video="-c:v png -pix_fmt rgba",
    ),
    Source(
        "alpha_vp9.webm",
        "VP9 with transparency",
        look=f"format=yuva420p,{SEE_THROUGH}",
        video="-c:v libvpx-vp9 -pix_fmt yuva420p",
    ),
    Source(
        "alpha_prores.mov",
        "ProRes 4444 with transparency",
        look=f"format=yuva444p,{SEE_THROUGH}",
        video="-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le",
    ),
    Source(
        "alpha_ffv1.mkv",
        "FFV1 with transparency",
        look=f"format=yuva444p,{SEE_THROUGH}",
        video=f"{FFV1} -pix_fmt yuva444p",
    ),
)

SHAPES = (
    Source("odd_vp9.webm", "odd size", size="161x121", video="-c:v libvpx-vp9"),
    Source("odd_mpeg4.avi", "odd size", size="161x121", video="-c:v mpeg4 -pix_fmt yuv420p"),
    Source("odd_444.mp4", "odd size", size="161x121", video=f"{H264} -pix_fmt yuv444p"),
    Source("odd_gray.mkv", "odd size, gray", size="161x121", video=f"{FFV1} -pix_fmt gray"),
    Source("tiny.mp4", "16x16", size="16x16", video=H264),
    Source("tiny.mkv", "2x2", size="2x2", video=f"{FFV1} -pix_fmt yuv420p"),
    Source("wide.mp4", "4096 wide", size="4096x240", seconds=0.4, video=H264),
    Source("tall.mkv", "2160 tall", size="64x2160", seconds=0.4, video=H264),
    Source("aspect.mp4", "aspect 16:11", look="setsar=16/11", video=H264),
    Source("aspect_h264.mkv", "aspect 16:11", look="setsar=16/11", video=H264),
    Source("aspect_ffv1.mkv", "aspect 16:11", look="setsar=16/11", video=FFV1),
    Source("aspect_vp9.webm", "aspect 4:3", look="setsar=4/3", video="-c:v libvpx-vp9"),
    Source("aspect_av1.mkv", "aspect 16:11", look="setsar=16/11", video="-c:v libsvtav1"),
    Source("aspect.avi", "aspect 12:11", look="setsar=12/11", video="-c:v mpeg4"),
    Source("aspect_raw.avi", "aspect 12:11", look="setsar=12/11", video="-c:v huffyuv"),
    Source("aspect.mpg", "aspect 16:9", look="setdar=16/9", video=MPEG2),
    Source("aspect_prores.mov", "aspect 8:9", look="setsar=8/9", video="-c:v prores_ks"),
    *(
        Source(
            f"turned_{turn}.mp4",
            f"turned by {turn} degrees",
            video=H264,
            audio=AAC,
            again=(f"-display_rotation {turn}", COPY),
        )
        for turn in (90, 180, 270)
    ),
    Source(
        "turned_90.mkv",
        "turned by 90 degrees",
        video=H264,
        again=("-display_rotation 90", COPY),
    ),
    Source(
        "turned_90.mov",
        "turned by 90 degrees, aspect 4:3",
        look="setsar=4/3",
        video="-c:v prores_ks",
        again=("-display_rotation 90", COPY),
    ),
    Source("mirrored.mp4", "mirrored", video=H264, again=("-display_hflip", COPY)),
    Source(
        "stereo.mkv",
        "two views side by side",
        video=f"{H264} -metadata:s:v stereo_mode=left_right",
    ),
    *(
        Source(
            f"stereo_h264{suffix}",
            "two views, as H.264 says it in its pictures",
            video=f"{H264} -x264-params frame-packing=4",
        )
        for suffix in (".mp4", ".mkv")
    ),
)

UNEVEN = "settb=1/1000,setpts=40*N+60*floor(N/7)+9*mod(N\\,3)"

TIMES = (
    Source(
        "vfr.mp4",
        "variable rate",
        look=UNEVEN,
        video=f"{H264} -fps_mode passthrough -enc_time_base demux",
        audio=AAC,
    ),
    Source(
        "vfr.mkv",
        "variable rate",
        look=UNEVEN,
        video=f"{H264} -fps_mode passthrough -enc_time_base demux",
        audio=AAC,
    ),
    Source(
        "vfr.avi",
        "frames left out with empty packets",
        look="select=not(eq(mod(n\\,5)\\,3))",
        video="-c:v mpeg4 -fps_mode passthrough",
        audio=PCM,
    ),
    Source("ntsc_film.mp4", "24000/1001", rate="24000/1001", video=H264, audio=AAC),
    Source("ntsc_film.mkv", "24000/1001", rate="24000/1001", video=H264, audio=AAC),
    Source("fast.mp4", "60 a second", rate="60", video=H264, audio=AAC),
    Source("slow.mkv", "3 a second", rate="3", seconds=4, video=H264, audio=AAC),
    Source("one_frame.mp4", "a single frame", seconds=0.04, video=H264),
    Source(
        "negative.asf",
        "starts at -0.4 s",
        video="-c:v msmpeg4",
        audio="-c:a libmp3lame",
        again=("-itsoffset -0.4 -copyts", f"{COPY} -avoid_negative_ts disabled"),
    ),
    Source(
        "untimed.mkv",
        "the first ten frames have no time",
        # Matroska's readers have none for what is written before zero.
        video=f"{H264} -bf 0",
        again=("-itsoffset -0.4 -copyts", f"{COPY} -avoid_negative_ts disabled"),
    ),
    Source(
        "cut.mp4",
        "copied from 0.7 s on, between keyframes (edit list)",
        video=f"{H264} -g 12",
        audio=AAC,
        again=("-ss 0.7", COPY),
    ),
    Source(
        "cut.mkv",
        "copied from 0.7 s on, between keyframes",
        video=f"{H264} -g 12",
        audio=AAC,
        again=("-ss 0.7", COPY),
    ),
    Source("bframes.mp4", "B-frames (edit list)", video=f"{H264} -bf 4", audio=AAC),
    Source(
        "late.mp4",
        "starts at 10 s",
        video=f"{H264} -output_ts_offset 10",
        audio=AAC,
    ),
    Source("late.mkv", "starts at 10 s", video=f"{H264} -output_ts_offset 10", audio=AAC),
    Source("late.ts", "starts at 1000 s", video=f"{H264} -output_ts_offset 1000", audio=AAC),
    Source(
        "wrap.ts",
        "the clock of 33 bits begins anew",
        video=f"{H264} -output_ts_offset 95441.4",
        audio=MP2,
    ),
    Source(
        "joined.ts",
        "two recordings, the clock jumps back",
        video=H264,
        audio=MP2,
        by_hand=played_twice,
    ),
    Source(
        "joined.vob",
        "DVD's VOB of two cells, the clock jumps back",
        video=MPEG2,
        audio=AC3,
        by_hand=played_twice,
    ),
    Source(
        "jumped.ts",
        "two recordings, the clock jumps ahead by an hour",
        video=H264,
        audio=MP2,
        by_hand=an_hour_later,
    ),
    Source(
        "spliced.ts",
        "three recordings, one of them short, the clock jumps both ways",
        video=f"{H264} -bf 0",
        audio=MP2,
        by_hand=three_recordings,
    ),
    Source(
        "switched_on.ts",
        "begins between two keyframes",
        video=f"{MPEG2} -g 12",
        audio=MP2,
        by_hand=cut_in_mid_air,
    ),
    Source(
        "live.webm",
        "live, no duration",
        video="-c:v libvpx-vp9 -live 1",
        audio="-c:a libopus",
    ),
    Source("piped.mkv", "no duration, no index", video=H264, audio=AAC, by_hand=piped),
    Source(
        "last_long.mp4",
        "the last frame lasts a second",
        video=f"{H264} -bf 0",
        again=("", f"{COPY} -bsf:v 'setts=duration=if(eq(N\\,39)\\,12800\\,DURATION)'"),
    ),
    Source(
        "last_long.mkv",
        "the last frame lasts a second",
        video=f"{H264} -bf 0",
        again=("", f"{COPY} -bsf:v 'setts=duration=if(eq(N\\,39)\\,1000\\,DURATION)'"),
    ),
    Source(
        "last_long.gif",
        "the last frame lasts a second",
        look="format=gray",
        maps="-map 0",
        video="-final_delay 100",
    ),
    Source("one_key.mp4", "one keyframe", seconds=3, video=f"{H264} -g 9999"),
    Source(
        "open_gop.mp4",
        "open groups of pictures",
        video=f"{H264} -bf 3 -x264-params open-gop=1:keyint=10:min-keyint=10",
    ),
    Source(
        "open_gop.mkv",
        "open groups of pictures",
        video=f"{HEVC}:open-gop=1:keyint=10:min-keyint=10 -pix_fmt yuv420p",
    ),
    Source(
        "hidden_vp8.webm",
        "hidden frames",
        video="-c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -b:v 200k",
    ),
    Source(
        "hidden_vp9.webm",
        "hidden frames",
        video="-c:v libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 16 -b:v 200k",
    ),
    Source("raw.h264", "raw stream, no times", video=H264, maps="-map 0"),
    Source("raw.m2v", "raw stream, no times", video=MPEG2, maps="-map 0"),
    Source(
        "repeated.mkv",
        "pairs of frames at one time",
        video=f"{H264} -bf 0",
        again=("", f"{COPY} -bsf:v setts=ts=80*floor(N/2)"),
    ),
    Source(
        "falling.mkv",
        "times that fall back",
        video=f"{H264} -bf 0",
        again=(
            "",
            # The muxer wants decoding times that rise and lie before; it doesn't keep them.
            f"{COPY} -avoid_negative_ts disabled"
            " -bsf:v 'setts=pts=if(eq(mod(N\\,10)\\,7)\\,PTS-100\\,PTS):dts=DTS-400'",
        ),
    ),
)

FIELDS = (
    *(
        Source(
            f"{first}_first_{name}{suffix}",
            f"interlaced, {first} field first",
            size="320x240",
            rate="50",
            look=f"{INTERLACE}_{first}",
            video=f"{words} -flags +ildct+ilme",
        )
        for first in ("top", "bottom")
        for name, suffix, words in (("mpeg2", ".mpg", MPEG2), ("h264", ".mp4", H264))
    ),
    *(
        Source(
            f"left_{first}_{name}{suffix}",
            f"interlaced, {first} field first, and left so",
            size="320x240",
            rate="50",
            look=f"{INTERLACE}_{first}",
            video=f"{words} -flags +ildct+ilme",
            given="--deinterlace off --overwrite",
        )
        for first, name, suffix, words in (
            ("top", "h264", ".mp4", H264),
            ("bottom", "mpeg2", ".mpg", MPEG2),
        )
    ),
    Source(
        "interlaced_dv.avi",
        "DV, 525 lines, 4:1:1, bottom field first",
        size="720x480",
        rate="60000/1001",
        seconds=0.6,
        look=f"{INTERLACE}_bottom",
        video="-c:v dvvideo -pix_fmt yuv411p",
        audio=f"{PCM} -ac 2",
    ),
    Source(
        "unflagged.mkv",
        "interlaced, not flagged",
        size="320x240",
        rate="50",
        look=f"{INTERLACE}_top,setfield=prog",
        video=H264,
    ),
    Source(
        "telecine.mpg",
        "film pulled down to 30 a second",
        size="320x240",
        rate="24000/1001",
        look="telecine=first_field=top:pattern=23,setfield=tff",
        video=f"{MPEG2} -flags +ildct+ilme",
    ),
    Source(
        "flagged.mpg",
        "whole pictures flagged as interlaced",
        size="320x240",
        look="setfield=tff",
        video=f"{MPEG2} -flags +ildct+ilme",
    ),
)

MASTER = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR10 = f"{HEVC}:repeat-headers=1:master-display={MASTER}:max-cll=1000,400 -pix_fmt yuv420p10le"
AV1_MASTER = "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)"


def tagged(matrix: str, primaries: str, transfer: str) -> str:
    return f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}"


PQ = tagged("bt2020nc", "bt2020", "smpte2084")

COLOURS = (
    *(
        Source(f"tagged_{name}.mp4", f"tagged {label}", video=H264, look=tagged(*tags))
        for name, label, *tags in (
            ("601_625", "BT.601, 625 lines", "bt470bg", "bt470bg", "bt470bg"),
            ("601_525", "BT.601, 525 lines", "smpte170m", "smpte170m", "smpte170m"),
            ("709", "BT.709", "bt709", "bt709", "bt709"),
            ("240m", "SMPTE 240M", "smpte240m", "smpte240m", "smpte240m"),
            ("2020", "BT.2020", "bt2020nc", "bt2020", "bt2020-10"),
        )
    ),
    Source(
        "tagged_709.mkv",
        "tagged BT.709 in the container",
        video=f"{FFV1} -pix_fmt yuv420p",
        look=tagged("bt709", "bt709", "bt709"),
    ),
    Source(
        "tagged_ycgco.mp4",
        "tagged YCgCo",
        video=H264,
        again=("", f"{COPY} -bsf:v h264_metadata=matrix_coefficients=8"),
    ),
    Source("hdr10.mkv", "HDR10", video=HDR10, look=PQ),
    Source("hdr10.mp4", "HDR10", video=f"{HDR10} -tag:v hvc1", look=PQ),
    Source(
        "hdr10_av1.mkv",
        "HDR10 as AV1",
        look=PQ,
        video="-c:v libsvtav1 -pix_fmt yuv420p10le"
        f" -svtav1-params 'mastering-display={AV1_MASTER}:content-light=1000,400'",
    ),
    Source(
        "hlg.mp4",
        "HLG",
        look=tagged("bt2020nc", "bt2020", "arib-std-b67"),
        video=f"{HEVC} -pix_fmt yuv420p10le -tag:v hvc1",
    ),
    Source(
        "partly.mkv",
        "a shot in colour between gray ones",
        given="--keep-color",
        colored=True,
        look="hue=s='between(t,0.5,1.0)',negate=enable='between(t,0.5,1.0)'",
        video=H264,
    ),
)

DEEP = "-af aformat=fltp,volume=0.37 -sample_fmt s32"

SOUNDS = (
    *(
        Source(f"sound_{name}{suffix}", f"sound: {what}", video=H264, audio=words)
        for name, suffix, what, words in (
            ("mp3", ".mp4", "MP3", "-c:a libmp3lame"),
            ("ac3", ".mp4", "AC-3", AC3),
            ("eac3", ".mp4", "E-AC-3, six channels", "-c:a eac3 -ac 6"),
            ("flac", ".mp4", "FLAC", "-c:a flac"),
            ("opus", ".mp4", "Opus", "-c:a libopus"),
            ("alac", ".mov", "ALAC", "-c:a alac"),
            ("pcm_be", ".mov", "PCM, big-endian", "-c:a pcm_s16be"),
            ("vorbis", ".mkv", "Vorbis", "-c:a libvorbis"),
            ("opus_mkv", ".mkv", "Opus", "-c:a libopus"),
            ("pcm", ".mkv", "PCM, float", "-c:a pcm_f32le"),
            ("dts", ".mkv", "DTS", "-c:a dca -strict -2"),
            ("truehd", ".mkv", "TrueHD", "-c:a truehd -strict -2"),
            ("aac_ts", ".ts", "AAC", AAC),
            ("eac3_ts", ".ts", "E-AC-3", "-c:a eac3"),
            ("latm", ".ts", "AAC in LATM", f"{AAC} -mpegts_flags +latm"),
            ("adpcm", ".avi", "ADPCM", "-c:a adpcm_ms"),
            ("telephone", ".mov", "G.711", "-c:a pcm_mulaw"),
            ("telephone", ".avi", "G.711", "-c:a pcm_alaw"),
            ("pcm_dvd", ".vob", "PCM of DVD", "-c:a pcm_dvd"),
            ("pcm_bluray", ".m2ts", "PCM of Blu-ray", "-c:a pcm_bluray"),
            ("pcm_dvd_24", ".vob", "PCM of DVD, 24 bits", f"-c:a pcm_dvd {DEEP} -ac 2"),
            (
                "pcm_bluray_24",
                ".m2ts",
                "PCM of Blu-ray, 24 bits, six channels",
                f"-c:a pcm_bluray {DEEP} -ac 6",
            ),
            ("pcm_float_be", ".mov", "PCM, float, big-endian", "-c:a pcm_f32be"),
        )
    ),
    *(
        Source(
            f"three_tracks{suffix}",
            "three tracks: AAC, AC-3, MP3",
            video=H264,
            maps="-map 0 -map 1 -map 1 -map 1",
            audio="-c:a:0 aac -c:a:1 ac3 -c:a:2 libmp3lame -metadata:s:a:0 language=eng"
            " -metadata:s:a:1 language=ger -metadata:s:a:2 language=fra",
        )
        for suffix in (".mp4", ".mkv", ".ts")
    ),
    *(
        Source(
            f"sound_later{suffix}",
            "sound begins half a second later",
            video=H264,
            more="-itsoffset 0.5 -f lavfi -i sine=duration=1",
            maps="-map 0 -map 2",
            audio=AAC,
        )
        for suffix in (".mp4", ".mkv", ".ts")
    ),
    *(
        Source(
            f"sound_before{suffix}",
            "sound begins half a second before",
            video=f"{H264} -bf 0",
            audio=AAC,
            again=("", f"{COPY} -bsf:v setts=ts=TS+0.5/TB"),
        )
        for suffix in (".mp4", ".mkv")
    ),
    *(
        Source(
            f"sound_longer{suffix}",
            "sound a second longer than the picture",
            sound_seconds=2.6,
            video=H264,
            audio=AAC,
        )
        for suffix in (".mp4", ".mkv")
    ),
    Source(
        "sound_gap.mkv",
        "a gap in the sound",
        video=H264,
        audio=AAC,
        again=("", f"{COPY} -bsf:a 'noise=drop=between(n\\,20\\,40)'"),
    ),
)


def titled(*files: tuple[str, str, str, str]) -> tuple[Source, ...]:
    """Films with one subtitle track: file, what, input, and the words that encode it."""
    return tuple(
        Source(
            file,
            f"subtitles: {what}",
            video="-c:v libvpx-vp9" if file.endswith(".webm") else H264,
            # The option gives lines that are pictures an end.
            more=f"-fix_sub_duration -i {{room}}/{lines}",
            maps="-map 0 -map 2",
            audio=f"{words} -metadata:s:s:0 language=ger",
        )
        for file, what, lines, words in files
    )


WORDS = titled(
    ("srt.mkv", "SubRip", "lines.srt", "-c:s srt"),
    ("ass.mkv", "ASS", "lines.ass", "-c:s copy"),
    ("webvtt.mkv", "WebVTT", "lines.srt", "-c:s webvtt"),
    ("mov_text.mp4", "MP4's text", "lines.srt", "-c:s mov_text"),
    ("mov_text.mov", "QuickTime's text", "lines.srt", "-c:s mov_text"),
    ("webvtt.webm", "WebVTT", "lines.srt", "-c:s webvtt"),
    ("pgs.mkv", "Blu-ray's pictures", "pictures.sup", "-c:s copy"),
    ("pgs.m2ts", "Blu-ray's pictures", "pictures.sup", "-c:s copy"),
    ("dvdsub.mkv", "DVD's pictures", "pictures.sup", "-c:s dvdsub"),
    ("dvdsub.mp4", "DVD's pictures", "pictures.sup", "-c:s dvdsub"),
    ("dvbsub.mkv", "television's pictures", "pictures.sup", "-c:s dvbsub"),
    ("dvbsub.ts", "television's pictures", "pictures.sup", "-c:s dvbsub"),
    ("captions.mov", "closed captions in a track (CEA-608)", "lines.scc", "-c:s copy"),
)

COMPANY = (
    Source(
        "captions.ts",
        "closed captions in the picture (CEA-608)",
        video=f"{MPEG2} -flags +bitexact",
        maps="-map 0",
        by_hand=captioned,
        between=".m2v",
    ),
    Source(
        "captions.mkv",
        "closed captions in the picture (CEA-608)",
        video=f"{MPEG2} -flags +bitexact",
        maps="-map 0",
        by_hand=captioned,
        between=".m2v",
    ),
    *(
        Source(
            f"two_pictures{suffix}",
            "two films, the second the default",
            video=f"{H264} -s:v:0 80x60 -disposition:v:0 0 -disposition:v:1 default",
            maps="-map 0 -map 0 -map 1",
            audio=AAC,
        )
        for suffix in (".mp4", ".mkv")
    ),
    Source(
        "two_programs.ts",
        "two programmes",
        video=f"{H264} -s:v:1 80x60 -program title=One:st=0:st=1 -program title=Two:st=2:st=3",
        maps="-map 0 -map 1 -map 0 -map 1",
        audio=MP2,
    ),
    Source(
        "cover_png.mp4",
        "cover picture (PNG)",
        video=f"{H264} -c:v:1 copy -disposition:v:1 attached_pic",
        more="-i {room}/cover.png",
        maps="-map 0 -map 1 -map 2",
        audio=AAC,
    ),
    Source(
        "cover_jpeg.mp4",
        "cover picture (JPEG)",
        video=f"{H264} -c:v:0 copy -disposition:v:0 attached_pic",
        more="-i {room}/cover.jpg",
        maps="-map 2 -map 0 -map 1",
        audio=AAC,
    ),
    Source(
        "cover.mkv",
        "cover picture",
        video=f"{H264} -attach {{room}}/cover.jpg -metadata:s:t mimetype=image/jpeg"
        " -metadata:s:t filename=cover.jpg",
    ),
    Source(
        "font.mkv",
        "attached font, with ASS",
        video=f"{H264} -attach {{room}}/font.ttf -metadata:s:t mimetype=font/ttf",
        more="-i {room}/lines.ass",
        maps="-map 0 -map 2",
        audio="-c:s copy",
    ),
    *(
        Source(
            f"chapters{suffix}",
            "chapters",
            video=H264,
            more="-i {room}/chapters.txt",
            audio=f"{AAC} -map_metadata 2 -map_chapters 2",
        )
        for suffix in (".mp4", ".mov", ".mkv")
    ),
    Source(
        "chapters_late.mkv",
        "chapters, film starts at 10 s",
        video=f"{H264} -output_ts_offset 10",
        more="-i {room}/chapters.txt",
        audio=f"{AAC} -map_metadata 2 -map_chapters 2",
    ),
    Source(
        "timecode.mov",
        "timecode track",
        video="-c:v prores_ks -timecode 01:00:00:00",
        audio=PCM,
    ),
    Source("timecode.mp4", "timecode track", video=f"{H264} -timecode 01:00:00:00"),
    Source(
        "timecode_dropped.mov",
        "timecode track that drops numbers",
        rate="30000/1001",
        video=f"{H264} -timecode '00:59:59;20'",
    ),
    Source("timecode.mxf", "timecode", video=f"{MPEG2} -timecode 01:00:00:00", audio=PCM),
    Source(
        "data.ts",
        "data track",
        video=H264,
        more="-f data -i {room}/notes.bin",
        maps="-map 0 -map 2 -c:d copy",
    ),
    *(
        Source(
            f"tags{suffix}",
            "tags of the film and its tracks, languages, dispositions",
            video=f"{H264} -metadata title=Früh -metadata artist=Jemand -metadata date=1931"
            " -metadata comment='Ein Satz; und = mehr' -metadata genre=Drama"
            " -metadata encoder_settings=eigene -metadata 'director=Wer, auch immer'"
            " -metadata:s:v:0 title=Bild -metadata:s:v:0 language=ger"
            f" {flags}",
            more="-i {room}/lines.srt",
            maps="-map 0 -map 1 -map 1 -map 2 -map 2",
            audio=f"{AAC} -c:s {text} -metadata:s:a:0 title=Ton -metadata:s:a:0 language=eng"
            " -metadata:s:a:1 title=Kommentar -metadata:s:a:1 language=ger"
            " -metadata:s:s:0 title=Zwang -metadata:s:s:0 language=fra"
            " -metadata:s:s:1 title=Hilfe -metadata:s:s:1 language=jpn"
            " -disposition:a:0 default+original -disposition:a:1 comment"
            " -disposition:s:0 forced -disposition:s:1 hearing_impaired",
        )
        for suffix, text, flags in (
            (".mp4", "mov_text", ""),
            (".mov", "mov_text", "-movflags use_metadata_tags"),
            (".mkv", "srt", ""),
        )
    ),
    Source(
        "tags.avi",
        "tags",
        video="-c:v mpeg4 -metadata title=Film -metadata artist=Jemand -metadata:s:a title=Ton"
        " -metadata:s:a language=ger",
        audio=PCM,
    ),
    Source(
        "tags.ogv",
        "tags, which Ogg keeps with its tracks",
        video="-c:v libtheora -metadata title=Film -metadata:s:a:0 artist=Jemand"
        " -metadata:s:a:0 language=ger",
        audio="-c:a libvorbis",
    ),
    Source(
        "tags.ts",
        "tags, languages",
        video=f"{H264} -metadata service_name=Sender -metadata service_provider=Wer",
        audio=f"{MP2} -metadata:s:a:0 language=ger -disposition:a:0 visual_impaired",
    ),
    Source(
        "tags.wmv",
        "tags, languages",
        video="-c:v wmv2 -metadata title=Film -metadata artist=Jemand -metadata:s:a:0 language=ger",
        audio="-c:a wmav2",
    ),
    Source(
        "tags.webm",
        "tags, languages",
        video="-c:v libvpx-vp9 -metadata title=Film -metadata:s:a:0 language=ger"
        " -metadata:s:a:0 title=Ton",
        audio="-c:a libopus",
    ),
    Source(
        "tags.flv",
        "tags",
        video=f"{H264} -metadata title=Film -metadata artist=Jemand",
        audio=AAC,
    ),
)

GROUPS: dict[str, tuple[Source, ...]] = {
    "Containers": CONTAINERS,
    "Codecs": CODECS,
    "Samples": SAMPLES,
    "Shapes": SHAPES,
    "Times": TIMES,
    "Interlaced": FIELDS,
    "Colour tags, high dynamic range, films partly in colour": COLOURS,
    "Sound": SOUNDS,
    "Subtitles": WORDS,
    "Further streams, chapters and tags": COMPANY,
    "Rare files": RARE_FILES,
    "Changes on the way": CHANGES,
    "Rare times": RARE_TIMES,
    "Rare tracks and tags": RARE_TRACKS,
}
"""The parts of the table, under their headings."""

SOURCES: tuple[Source, ...] = tuple(source for group in GROUPS.values() for source in group)

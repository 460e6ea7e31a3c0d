"""Fonts, covers and other files that ride in a Matroska file."""

from __future__ import annotations

from pathlib import Path

from av.container.output import OutputContainer
from av.stream import AttachmentStream, Stream

from vidcolor.media.probe import open_source


def attach(out: OutputContainer, stream: Stream) -> None:
    """An attached file again, with its tags."""
    assert isinstance(stream, AttachmentStream)
    name = stream.name or f"attachment{stream.index}"
    copy = out.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)
    copy.metadata.update({k: v for k, v in stream.metadata.items() if k not in copy.metadata})


def attach_cover(out: OutputContainer, path: Path, stream: Stream) -> None:
    """Cover art as Matroska keeps it: an attached picture file."""
    suffix, kind = {"png": ("png", "image/png"), "bmp": ("bmp", "image/bmp")}.get(
        stream.codec_context.codec.canonical_name, ("jpg", "image/jpeg")
    )
    name = stream.metadata.get("filename") or f"cover.{suffix}"
    with open_source(path) as again:
        packets = again.demux(again.streams[stream.index])
        data = next((bytes(packet) for packet in packets if packet.size), b"")
    if data:
        copy = out.add_attachment(name, stream.metadata.get("mimetype") or kind, data)
        title = stream.metadata.get("title")
        if title:
            copy.metadata["title"] = title

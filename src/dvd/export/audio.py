"""The source's first sound track beside the new pictures: copied packet by packet, or as AAC where it cannot be held.

Sound trouble never costs the pictures: it is logged, and the sound ends there. Only a disk that refuses is an error.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
from av.bitstream import BitStreamFilterContext

from dvd.export.clock import Clock

log = logging.getLogger(__name__)

_COPIED = {
    ".mp4": frozenset(("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac")),
    ".mov": frozenset(("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le")),
}
_AAC_RATES = frozenset((8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000))
_AAC_LAYOUTS = {1: "mono", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_DISK = frozenset((errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)))

Packet: TypeAlias = "av.Packet[av.AudioStream]"


class AudioTrack:
    """Feeds sound into `output` as far as the pictures have come."""

    def __init__(self, source: Path, output: av.container.OutputContainer, suffix: str, clock: Clock) -> None:
        """`suffix`: the output's ending; `clock`: gives its zero and whether sound before it is kept."""
        self._name = source.name
        self._zero = clock.zero
        self._keep_lead = clock.whole_start
        self._source = av.open(str(source), metadata_errors="ignore")
        stream = self._source.streams.audio[0]
        codec = stream.codec_context.name
        self._into: _Copy | _AacEncoder
        if suffix.lower() not in _COPIED or codec in _COPIED[suffix.lower()]:
            self._into = _Copy(output, stream)
        else:
            log.info("%s: its sound (%s) is written as AAC", source.name, codec)
            self._into = _AacEncoder(output, stream)
        if not clock.whole_start:
            self._seek(clock.zero)
        self._packets: Iterator[Packet] = self._source.demux(stream)
        self._next = self._read()

    def advance(self, until: Fraction | None) -> None:
        """Writes the sound up to `until` seconds of the output; None means all of it."""
        while (packet := self._next) is not None:
            if packet.pts is not None:
                shift = round(self._zero / packet.time_base)
                if until is not None and (packet.pts - shift) * packet.time_base >= until:
                    return
                if packet.pts >= shift or self._keep_lead:
                    packet.pts -= shift
                    packet.dts = packet.pts if packet.dts is None else packet.dts - shift
                    self._write(packet)
            self._next = self._read()

    def finish(self, until: Fraction | None) -> None:
        """The same, and the end of the track."""
        self.advance(until)
        self._write(None)

    def close(self) -> None:
        self._next = None
        self._source.close()

    def _write(self, packet: Packet | None) -> None:
        try:
            self._into.write(packet)
        except av.FFmpegError as error:
            if error.errno in _DISK:
                raise
            self._give_up(error)

    def _read(self) -> Packet | None:
        """The next packet; None at the end, or where the sound is damaged."""
        try:
            return next((packet for packet in self._packets if packet.size), None)
        except av.FFmpegError as error:
            self._give_up(error)
            return None

    def _give_up(self, error: av.FFmpegError) -> None:
        log.warning("%s: its sound ends early in the result (%s)", self._name, error.strerror)
        self._packets = iter(())

    def _seek(self, seconds: Fraction) -> None:
        try:
            self._source.seek(max(int((seconds - 1) * av.time_base), 0))
        except av.FFmpegError:
            log.debug("%s: no seeking; its sound is read from the start", self._name)


class _Copy:
    """Packets as they are; AAC out of a broadcast stream loses the headers in front of each packet."""

    def __init__(self, output: av.container.OutputContainer, source: av.AudioStream) -> None:
        self._output = output
        self._track = output.add_stream_from_template(source)
        bare = source.codec_context.name == "aac" and not source.codec_context.extradata
        self._strip = BitStreamFilterContext("aac_adtstoasc", source) if bare else None

    def write(self, packet: Packet | None) -> None:
        if packet is None:
            return
        for ready in self._strip.filter(packet) if self._strip else (packet,):
            ready.stream = self._track
            self._output.mux(ready)


class _AacEncoder:
    """Decodes packets and encodes them again; damaged ones are left out."""

    def __init__(self, output: av.container.OutputContainer, source: av.AudioStream) -> None:
        self._output = output
        rate = source.rate if source.rate in _AAC_RATES else 48000
        layout = _AAC_LAYOUTS.get(source.layout.nb_channels, "stereo")
        self._stream = output.add_stream("aac", rate=rate)
        self._stream.layout = layout
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate, frame_size=1024)

    def write(self, packet: Packet | None) -> None:
        for frame in [None] if packet is None else self._decoded(packet):
            for ready in self._resampler.resample(frame):
                self._output.mux(self._stream.encode(ready))
        if packet is None:
            self._output.mux(self._stream.encode(None))

    def _decoded(self, packet: Packet) -> list[av.AudioFrame]:
        try:
            return [frame for frame in packet.decode() if isinstance(frame, av.AudioFrame)]
        except av.FFmpegError:
            return []

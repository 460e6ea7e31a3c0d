"""Media: the only user of PyAV and ffmpeg: probe, read, write segments, join."""

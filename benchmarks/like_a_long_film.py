"""`vidcolor` on a short film, which is looked at beforehand as a long one is: for timing.

    python benchmarks/like_a_long_film.py run film.mp4 -o out.mp4

A film of more than 480 frames is looked at in a few places, found by seeking, at the same cost
however long it is. A shorter one is read through for that, once more than it is coloured: were it
timed so, the slope between two lengths would have half of the decoding twice.
"""

from __future__ import annotations

from vidcolor.__main__ import main
from vidcolor.media import sample


def look_as_at_long_films() -> None:
    """From now on, in this process."""
    sample.SAMPLED_FRAMES, sample.ENOUGH_KEYFRAMES = 0, 1


if __name__ == "__main__":
    look_as_at_long_films()
    main()

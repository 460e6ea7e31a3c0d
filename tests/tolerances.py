"""Every tolerance of the tests, with its reason.

assert error.max() <= ZHANG_GOLDEN_STDS * golden.std()
"""

ZHANG_GOLDEN_STDS = 2e-3
"""Our Zhang networks against the published code's outputs, in standard deviations of the output.
Other convolution kernels leave that much; here 4e-6 was seen."""

BATCH_AGAINST_SINGLES_LAB = 2e-3
"""A batch against its items one by one, Lab units: kernels are chosen by batch size and sum in
another order. Far under what 8 bits can show (about 0.4); 2e-4 was seen."""

LAB = 2e-3
"""Our Lab against scikit-image's, Lab units: constants of the standard are rounded differently."""

CHROMA = 5e-4
"""Our Cb, Cr against scikit-image's Lab to RGB and the matrix's definition; 8 bits step by 4e-3."""

GAMUT = 1e-4
"""How far R'G'B' may lie outside 0..1 after the gamut's scale: rounding of float32."""

LIGHTNESS_8_BITS = 0.6
"""L kept by `preserve = "lightness"`, Lab units: luma is rounded to 8 bits, about 0.4 L a code."""

LITTLE_CMS_L, LITTLE_CMS_AB = 0.5, 1.2
"""Our Lab of profiled samples against Little CMS's, which gives L in steps of 0.4 and a and b in
steps of 1; means of 0.1 and 0.25 were seen."""

STILL_LIGHTNESS = {8: 1.0, 16: 0.02}
"""L kept in a still, Lab units at most, by bits a sample: its three channels are rounded to codes.
A code of 8 bits is about 0.4 L, more in the shadows; 0.5 and 0.005 were seen."""

STILL_LIGHTNESS_MEAN = {8: 0.3, 16: 0.002}
"""As STILL_LIGHTNESS, on the average."""

STILL_LAB = 0.01
"""Lab of a still's samples and back against scikit-image's, Lab units: by tables, in float32."""

SSIM = 1e-5
"""Our SSIM, in float32, against scikit-image's in float64; 4e-7 was seen."""

CIEDE2000 = 3e-4
"""Our CIEDE2000, in float32, against scikit-image's in float64; 4e-5 was seen, of differences over
100. What a person sees begins at about 1."""

EVALUATION = {
    "psnr": 2e-3,
    "ssim": 1e-4,
    "ciede2000": 2e-3,
    "ciede2000_p90": 5e-3,
    "auc": 1e-4,
    "auc_rebalanced": 2e-3,
    "colorfulness": 5e-3,
    "accuracy": 2e-3,
}
"""Measures of a coloured photograph against the same by scikit-image's Lab: constants are rounded
differently, and a pixel at a threshold, or between two bins, falls to the other side."""

KEPT_LUMA_CHROMA, KEPT_LUMA_HUE, KEPT_LUMA_LIGHTNESS = 0.03, 0.5, 2.0
"""Share, degrees and Lab units: a colour of chroma 20 shown after one step, which keeps luma where
the colour itself would have a little less."""

"""HDR (PQ or HLG, BT.2020) → SDR (BT.709 primaries, gamma 2.2), by tables and one 3 × 3 matrix.

Signal → light in units of the HDR reference white, 203 cd/m² (ITU-R BT.2408) → a shoulder above 60 % of it that bends
highlights softly to 1 → BT.709 primaries → gamma. The shoulder works on each channel alone, so very bright saturated
colours lose some saturation.
"""

from __future__ import annotations

from functools import cache

import numpy as np

PQ, HLG = 16, 18
"""Transfer characteristics, ITU-T H.273 table 3: SMPTE ST 2084, ARIB STD-B67."""
HDR_TRANSFERS = frozenset((PQ, HLG))

_REFERENCE_WHITE = 203.0
_SHOULDER = 0.6
_GAMMA = 2.2
_STEPS = 4096

# Linear light, BT.2020 → BT.709 (ITU-R BT.2087).
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)


def sdr_from_hdr(signal: np.ndarray, transfer: int) -> np.ndarray:
    """`H W 3` uint16 signal, full range, as RGB with BT.2020 primaries → `H W 3` uint8. `transfer`: `PQ` or `HLG`."""
    light = _light_table(transfer)[signal]
    light = light @ (_TO_BT709.T * (_STEPS - 1))
    np.clip(light, 0, _STEPS - 1, out=light)
    return _gamma_table()[light.astype(np.uint16)]


@cache
def _light_table(transfer: int) -> np.ndarray:
    signal = np.linspace(0, 1, 65536)
    nits = _pq_nits(signal) if transfer == PQ else _hlg_nits(signal)
    light = nits / _REFERENCE_WHITE
    room = 1 - _SHOULDER
    bent = _SHOULDER + room * (1 - np.exp(-(np.maximum(light, _SHOULDER) - _SHOULDER) / room))
    return np.where(light < _SHOULDER, light, bent).astype(np.float32)


def _pq_nits(signal: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084 EOTF, cd/m²."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_nits(signal: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100 HLG inverse OETF and a 1000 cd/m² display's gamma 1.2, each channel alone."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return 1000 * scene**1.2


@cache
def _gamma_table() -> np.ndarray:
    return np.round(255 * np.linspace(0, 1, _STEPS) ** (1 / _GAMMA)).astype(np.uint8)

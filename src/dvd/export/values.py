"""Raw values, for all formats that keep them: their size, their number format, and what the JSON says of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from dvd.export.base import TO_SOURCE, Size, Writer


class ValuesWriter(Writer):
    """Keeps disparity itself, at the network's size or at the source's."""

    @property
    def size(self) -> Size:
        return self.options.size_of_values(self.network, self.source, self.info.is_image)

    @property
    def dtype(self) -> np.dtype:
        """The number format of the stored values, in the byte order of most machines."""
        return np.dtype("<f2" if self.options.half else "<f4")

    def facts(self) -> dict[str, Any]:
        at_source = self.size == self.source
        where = {"values_at": "source" if at_source else "network", "size": list(self.size), "dtype": self.dtype.name}
        return super().facts() | where | ({} if at_source else {"to_source_size": TO_SOURCE})

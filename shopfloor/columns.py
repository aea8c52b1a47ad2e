"""Samples as columns: what the derivation eats. One unit's samples in order of time, a NumPy array per tag."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfloor.instant import Instant
from shopfloor.sample import Sample

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SampleColumns:
    """All samples of one unit in a stretch of time. Arrays have one length and are read-only by agreement."""

    unit: str
    times: Times
    """Source times in ms, strictly increasing."""
    values: Mapping[str, Values] = field(default_factory=dict)
    """Tag -> its GOOD number in each sample; NaN where the sample has none (BAD, UNCERTAIN, text, or silent)."""
    heard: Mapping[str, Mask] = field(default_factory=dict)
    """Tag -> whether the sample says anything of it, GOOD or not. A tag that is absent here was never mentioned."""
    alive: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    """Whether the sample has any GOOD value."""

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def of(cls, unit: str, samples: Iterable[Sample]) -> "SampleColumns":
        """From samples in any order; of two at one instant the last given wins."""
        ordered = [sample for _, sample in sorted({sample.time: sample for sample in samples}.items())]
        tags = sorted({tag for sample in ordered for tag in (*sample.values, *sample.status)})
        times = np.array([sample.time for sample in ordered], dtype=np.int64)
        values = {tag: np.array([_good(sample, tag) for sample in ordered], dtype=np.float64) for tag in tags}
        heard = {
            tag: np.array([tag in sample.values or tag in sample.status for sample in ordered], dtype=np.bool_)
            for tag in tags
        }
        alive = np.array([bool(sample.values.keys() - sample.status.keys()) for sample in ordered], dtype=np.bool_)
        return cls(unit, times, values, heard, alive)

    def between(self, start: Instant, end: Instant) -> "SampleColumns":
        """The samples of [start, end), as views."""
        low, high = np.searchsorted(self.times, (start, end))
        cut = slice(int(low), int(high))
        return SampleColumns(
            self.unit,
            self.times[cut],
            {tag: values[cut] for tag, values in self.values.items()},
            {tag: mask[cut] for tag, mask in self.heard.items()},
            self.alive[cut],
        )


def _good(sample: Sample, tag: str) -> float:
    value = sample.values.get(tag)
    return float("nan") if value is None or isinstance(value, str) or tag in sample.status else float(value)

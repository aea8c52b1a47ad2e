"""One unit's poll cycle: all values of one instant, with quality."""

from collections.abc import Mapping

import msgspec

from shopfloor.instant import Instant
from shopfloor.quality import Status

Value = int | float | str
"""A number in the tag's unit, or text (tags that end in ``_text``)."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All tags of one work unit at one source time (one timestamp per cycle).

    ``values`` holds the tags that have a value; ``status`` the tags that are not GOOD. A BAD tag is in ``status``
    only; an UNCERTAIN one is in both.
    """

    unit: str
    """Path ``site/area/work_center/work_unit``."""
    time: Instant
    """Source time."""
    values: Mapping[str, Value] = {}
    status: Mapping[str, Status] = {}

"""A template's registers at one instant: tag values to register words, and back to what a reader will decode.

*registers* themselves, without sockets. Only what changed since the last instant is encoded again.
"""

import struct
from collections.abc import Mapping

from devices.codec import Decoder, Encoder, decoder, encoder
from devices.register import Table
from devices.template import Template, TemplateTag
from shopfloor.quality import Status
from shopfloor.sample import Value


class Block:
    """The addresses of one table from its first tag to its last; what no tag covers reads 0."""

    __slots__ = ("first", "words")

    def __init__(self, tags: list[TemplateTag]) -> None:
        self.first = min(tag.ref.address for tag in tags)
        self.words = [0] * (max(tag.ref.end for tag in tags) - self.first)

    def holds(self, address: int, count: int) -> bool:
        """Whether all of these addresses are in the block."""
        return self.first <= address and address + count <= self.first + len(self.words)


class RegisterImage:
    """What the device's registers hold; ``decoded`` is what a correct reader makes of them."""

    def __init__(self, template: Template) -> None:
        self.blocks = {
            table: Block(tags) for table in Table if (tags := [tag for tag in template.tags if tag.ref.table is table])
        }
        self.decoded: dict[str, Value | None] = {}
        """Tag -> value; None for "not available"."""
        self._cells = {tag.spec.name: _Cell(tag, self.blocks[tag.ref.table]) for tag in template.tags}

    def load(self, values: Mapping[str, Value | None]) -> None:
        """Take over values by tag. One that its register cannot hold becomes "not available".

        Raises ValueError where the register has no marker for that.
        """
        for name, value in values.items():
            cell = self._cells[name]
            if cell.fresh or value != cell.value:
                self.decoded[name] = cell.put(value)


class _Cell:
    """One tag's place in its block."""

    __slots__ = ("_decode", "_encode", "_mask", "_place", "_words", "fresh", "value")

    def __init__(self, tag: TemplateTag, block: Block) -> None:
        ref = tag.ref
        self._encode: Encoder = encoder(ref)
        self._decode: Decoder = decoder(ref)
        self._place = slice(ref.address - block.first, ref.end - block.first)
        self._mask = ref.mask
        self._words = block.words
        self.value: Value | None = None
        self.fresh = True

    def put(self, value: Value | None) -> Value | None:
        """Write the value's words, leaving other tags' bits alone; returns what they decode to."""
        words = self._encoded(value)
        if self._mask != 0xFFFF:
            words = [(self._words[self._place.start] & ~self._mask) | (words[0] & self._mask)]
        self._words[self._place] = words
        self.value, self.fresh = value, False
        decoded = self._decode(words)
        return None if isinstance(decoded, Status) else decoded

    def _encoded(self, value: Value | None) -> list[int]:
        try:
            return self._encode(value)
        except (ValueError, struct.error, OverflowError):
            return self._encode(None)

"""One byte range of a file, as RFC 9110 (14.2) words it; a request for many gets none."""

import re
from dataclasses import dataclass

from hpsearch.errors import HpsearchError

ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})\Z")


class RangeNotSatisfiable(HpsearchError):
    code = "range_not_satisfiable"
    status = 416


@dataclass(frozen=True)
class ByteRange:
    """Bytes `first` to `last` of `size`, both included."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def whole(self) -> bool:
        return self.length == self.size

    @property
    def content_range(self) -> str:
        return f"bytes {self.first}-{self.last}/{self.size}"


def asked_range(header: str | None, size: int) -> ByteRange:
    """What a Range header asks for, the whole file without one.

    Raises RangeNotSatisfiable for a range beyond the file, for several at once, and for what is none: a
    thousand overlapping ranges would cost a thousand reads (CVE-2025-62727).
    """
    if header is None:
        return ByteRange(0, size - 1, size)
    found = ONE_RANGE.match(header.strip())
    if found is None or found.groups() == ("", ""):
        raise RangeNotSatisfiable("the Range header must ask for one range: bytes=first-last")
    first, last = found.groups()
    if first == "":
        start, end = max(size - int(last), 0), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    if start > end or start >= size:
        raise RangeNotSatisfiable(f"the file has {size:,} bytes, and the range none of them")
    return ByteRange(start, end, size)

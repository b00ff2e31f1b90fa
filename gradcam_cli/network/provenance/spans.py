"""Which part of the model input the cells of a tensor cover, along rows or columns."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """The interval of the model input that the cells along one axis cover.

    A convolution or pooling covers what its input covers, whatever its padding: its map is stretched over the same
    interval. Zeros added by a padding layer lie outside; a convolution without padding uses them up.

    Attributes:
        cells: number of cells, including the padding.
        start: pixel edge of the first cell that is not padding.
        stop: pixel edge behind the last one; less than `start` if the axis is reversed.
        before: padding cells before `start`.
        after: padding cells after `stop`.
    """

    cells: int
    start: float
    stop: float
    before: float = 0
    after: float = 0

    @property
    def pixels_per_cell(self) -> float:
        """Pixels between neighboring cells; negative if the axis is reversed."""
        inside = self.cells - self.before - self.after
        return (self.stop - self.start) / inside if inside > 0 else 0

    @property
    def interval(self) -> tuple[float, float]:
        """Pixel edges (start, stop) of all cells, padding included."""
        step = self.pixels_per_cell
        return self.start - self.before * step, self.stop + self.after * step

    def resized(self, cells: int) -> Span:
        """The same interval with another number of cells."""
        scale = cells / self.cells
        return Span(cells, self.start, self.stop, self.before * scale, self.after * scale)

    def padded(self, before: float, after: float) -> Span:
        """Add padding cells."""
        cells = self.cells + int(before + after)
        return Span(cells, self.start, self.stop, self.before + before, self.after + after)

    def cropped(self, before: float, after: float) -> Span:
        """Remove cells at both ends, padding first."""
        step = self.pixels_per_cell
        return Span(
            self.cells - int(before + after),
            self.start + max(before - self.before, 0) * step,
            self.stop - max(after - self.after, 0) * step,
            max(self.before - before, 0),
            max(self.after - after, 0),
        )

    def reversed(self) -> Span:
        """The cells in reverse order."""
        return Span(self.cells, self.stop, self.start, self.after, self.before)

    def convolved(self, cells: int, kernel: int, valid: bool) -> Span:
        """The output of a convolution or pooling with this number of cells.

        Args:
            cells: number of output cells.
            kernel: extent of the kernel in input cells, with its dilation.
            valid: whether the layer itself adds no padding.
        """
        if not valid:
            return self.resized(cells)
        before = min(self.before, (kernel - 1) // 2)
        after = min(self.after, kernel - 1 - (kernel - 1) // 2)
        used = Span(self.cells, self.start, self.stop, self.before - before, self.after - after)
        inside = self.cells - self.before - self.after
        scale = cells / max(inside + used.before + used.after, 1)
        return Span(cells, self.start, self.stop, used.before * scale, used.after * scale)

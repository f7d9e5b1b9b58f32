"""Greedy placement of labels: each takes the best position that covers neither points nor other labels.

Everything is in typographic points on the paper: boxes as (left, bottom, right, top), points as (x, y).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Directions and distances to try; close positions first, which need no line to the point.
ANGLES = np.radians(np.arange(0, 360, 22.5))
DISTANCES = (9.0, 15.0, 24.0, 36.0, 50.0, 66.0, 84.0, 104.0, 126.0)
# Margin at the sides of a label; half of it above and below.
GAP = 2.0
MARK = 3.6  # half the side of a point's marker
# Penalties of a place, in points of distance: per marker covered, and per line crossed.
COVERED, CROSSED = 60.0, 14.0


@dataclass(frozen=True)
class Wanted:
    """A label of a width and height, to be placed beside any one of its points [n,2].

    Without `shifts` it may be anywhere around a point, as close as possible, and over markers and lines if necessary.
    With `shifts` [s,2], the first free one of these offsets of its centre from the point is used.
    """

    width: float
    height: float
    points: np.ndarray
    shifts: np.ndarray | None = None


@dataclass(frozen=True)
class Placed:
    """The place of a label: its centre, the point it belongs to, and whether a line joins the two."""

    centre: tuple[float, float]
    point: tuple[float, float]
    led: bool


class Room:
    """An area (left, bottom, right, top) of the paper, and the marks [m,2], lines [k,2,2] and boxes [n,4] in it.

    `mark` is half the side of a marker, and `gap` the room that labels keep at their sides.
    """

    def __init__(self, area: tuple[float, float, float, float], mark: float = MARK, gap: float = GAP) -> None:
        self.area, self.mark, self.gap = area, mark, np.array((gap, gap / 2))
        self.marks = np.empty((0, 2))
        self.lines = np.empty((0, 2, 2))
        self.boxes = np.empty((0, 4))
        self._leaders = np.empty((0, 2, 2))

    def add_line(self, corners: np.ndarray, marked: bool = True) -> None:
        """Mark a line through corners [c,2], and a marker at each of them, as occupied."""
        self.lines = np.concatenate([self.lines, np.stack([corners[:-1], corners[1:]], axis=1)])
        if marked:
            self.marks = np.concatenate([self.marks, corners])

    def take(self, box: np.ndarray) -> None:
        """Mark a box [4] as occupied."""
        self.boxes = np.concatenate([self.boxes, box[None]])

    def fits(self, boxes: np.ndarray) -> np.ndarray:
        """Whether boxes [n,4] lie inside the area and clear of other boxes, bool [n]."""
        return ~self._barred(boxes)

    def free(self, boxes: np.ndarray) -> np.ndarray:
        """Whether boxes [n,4] lie inside the area and clear of everything, bool [n]."""
        return np.asarray(~self._barred(boxes) & (self._costs(boxes) == 0))

    def put(self, wanted: Wanted) -> Placed | None:
        """Place a label at the best position; None if there is no free one."""
        centres, points, distances = _candidates(wanted)
        boxes = self._boxes(centres, wanted)
        led = np.stack([points, centres], axis=1)
        barred = self._barred(boxes)
        if wanted.shifts is None:
            inner = self.boxes + np.concatenate([self.gap, -self.gap])
            cost = distances + self._costs(boxes)
            cost += COVERED * _meet(led, inner).sum(axis=1) + CROSSED * _cross(led, self._leaders)
        else:
            cost = np.where(self._costs(boxes) == 0, distances, np.inf)
        cost[barred] = np.inf
        best = int(cost.argmin())
        if not np.isfinite(cost[best]):
            return None
        self.take(boxes[best])
        away = wanted.shifts is None and bool(distances[best] > DISTANCES[1])
        if away:
            self._leaders = np.concatenate([self._leaders, led[best][None]])
        (x, y), (to_x, to_y) = centres[best].tolist(), points[best].tolist()
        return Placed((x, y), (to_x, to_y), away)

    def _boxes(self, centres: np.ndarray, wanted: Wanted) -> np.ndarray:
        half = np.array((wanted.width, wanted.height)) / 2 + self.gap
        return np.concatenate([centres - half, centres + half], axis=1)

    def _barred(self, boxes: np.ndarray) -> np.ndarray:
        low, high = np.array(self.area[:2]), np.array(self.area[2:])
        outside = np.any((boxes[:, :2] < low) | (boxes[:, 2:] > high), axis=1)
        return np.asarray(outside | _overlap(boxes, self.boxes).any(axis=1))

    def _costs(self, boxes: np.ndarray) -> np.ndarray:
        """The cost of covering markers and crossing lines, [n]."""
        covered = _overlap(boxes, np.concatenate([self.marks - self.mark, self.marks + self.mark], axis=1)).sum(axis=1)
        lines = np.concatenate([self.lines, self._leaders])
        cost: np.ndarray = COVERED * covered + CROSSED * _meet(lines, boxes).sum(axis=0)
        return cost


def place(wanted: Sequence[Wanted], room: Room) -> list[Placed | None]:
    """The position of each label, or None; the most crowded label is placed first."""
    chosen: dict[int, Placed | None] = {}
    for index in sorted(range(len(wanted)), key=lambda index: -_crowd(wanted[index], room.marks)):
        chosen[index] = room.put(wanted[index])
    return [chosen[index] for index in range(len(wanted))]


def _crowd(wanted: Wanted, marks: np.ndarray) -> float:
    """The smallest number of marks near a point of a label."""
    near = np.abs(marks[None] - wanted.points[:, None]).max(axis=2) < DISTANCES[4]
    return float(near.sum(axis=1).min())


def _candidates(wanted: Wanted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidate centres [c,2] of a label, the points [c,2] they belong to, and the distances [c] of its edge from these.

    For given shifts, the order of the shifts takes the place of the distance.
    """
    if wanted.shifts is not None:
        centres = (wanted.points[:, None] + wanted.shifts[None]).reshape(-1, 2)
        return centres, np.repeat(wanted.points, len(wanted.shifts), axis=0), np.arange(len(centres), dtype=float)
    ways = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    distance, way = (part.reshape(-1) for part in np.meshgrid(DISTANCES, np.arange(len(ways)), indexing="ij"))
    # The edge of the box that faces the point, not its centre, keeps the distance.
    reach = np.clip(ways[way] * 4, -1, 1) * (wanted.width / 2, wanted.height / 2)
    shifts = ways[way] * distance[:, None] + reach
    centres = (wanted.points[:, None] + shifts[None]).reshape(-1, 2)
    return centres, np.repeat(wanted.points, len(shifts), axis=0), np.tile(distance, len(wanted.points))


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether boxes [n,4] overlap others [m,4], bool [n,m]."""
    apart = (boxes[:, None, :2] >= others[None, :, 2:]) | (boxes[:, None, 2:] <= others[None, :, :2])
    return np.asarray(~np.any(apart, axis=2))


def _meet(lines: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether straight lines [k,2,2] pass through boxes [n,4], bool [k,n] (by clipping them along both axes)."""
    start, along = lines[:, None, 0], lines[:, None, 1] - lines[:, None, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = (boxes[None, :, :2] - start) / along, (boxes[None, :, 2:] - start) / along
    level = along == 0
    within = (start > boxes[None, :, :2]) & (start < boxes[None, :, 2:])
    enter = np.where(level, np.where(within, -np.inf, np.inf), np.minimum(near, far)).max(axis=2)
    leave = np.where(level, np.where(within, np.inf, -np.inf), np.maximum(near, far)).min(axis=2)
    meet: np.ndarray = (enter < leave) & (enter < 1) & (leave > 0)
    return meet


def _cross(lines: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The number of the others [m,2,2] that each line [n,2,2] crosses, [n]."""
    if not len(others):
        return np.zeros(len(lines))
    a, b = lines[:, None, 0], lines[:, None, 1]
    c, d = others[None, :, 0], others[None, :, 1]
    crossing = (_side(a, b, c) != _side(a, b, d)) & (_side(c, d, a) != _side(c, d, b))
    count: np.ndarray = crossing.sum(axis=1)
    return count


def _side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The side of the line from a to b on which the point c is."""
    turn = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
    side: np.ndarray = turn > 0
    return side

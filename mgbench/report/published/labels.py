"""Greedy placement of labels: each in turn takes the nearest place that covers neither points nor other labels.

Everything is in typographic points on the paper: boxes as (left, bottom, right, top), points as (x, y).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Directions to look in, and how far: first close by, where no line to the point is needed.
ANGLES = np.radians(np.arange(0, 360, 22.5))
DISTANCES = (9.0, 15.0, 24.0, 36.0, 50.0, 66.0, 84.0, 104.0, 126.0)
GAP = 2.0
MARK = 3.6  # half the side of a point's marker
# Penalties of a place, in points of distance: per marker covered, and per line crossed.
COVERED, CROSSED = 60.0, 14.0


@dataclass(frozen=True)
class Wanted:
    """A label of a width and height, to be placed beside any one of its points [n,2]."""

    width: float
    height: float
    points: np.ndarray


@dataclass(frozen=True)
class Placed:
    """The place of a name: its centre, the point it belongs to, and whether a line joins the two."""

    centre: tuple[float, float]
    point: tuple[float, float]
    led: bool


def place(
    wanted: Sequence[Wanted], marks: np.ndarray, lines: np.ndarray, area: tuple[float, float, float, float]
) -> list[Placed | None]:
    """A place for each name inside the area, clear of the marks [m,2] and, where it can be, of the lines [k,2,2].

    None where there is no room that no other name takes. The most crowded name chooses first.
    """
    chosen: dict[int, Placed] = {}
    boxes = np.empty((0, 4))
    leaders = np.empty((0, 2, 2))
    for index in sorted(range(len(wanted)), key=lambda index: -_crowd(wanted[index], marks)):
        centres, points, distances = _candidates(wanted[index])
        found = _boxes(centres, wanted[index])
        cost = distances + _costs(found, marks, np.concatenate([lines, leaders]))
        led = np.stack([points, centres], axis=1)
        cost += COVERED * _meet(led, _shrink(boxes)).sum(axis=1) + CROSSED * _cross(led, leaders)
        cost[_outside(found, area) | _overlap(found, boxes).any(axis=1)] = np.inf
        best = int(cost.argmin())
        if np.isfinite(cost[best]):
            chosen[index] = _placed(centres[best], points[best], distances[best])
            boxes = np.concatenate([boxes, found[best][None]])
            if chosen[index].led:
                leaders = np.concatenate([leaders, led[best][None]])
    return [chosen.get(index) for index in range(len(wanted))]


def _placed(centre: np.ndarray, point: np.ndarray, distance: float) -> Placed:
    return Placed(
        (float(centre[0]), float(centre[1])), (float(point[0]), float(point[1])), bool(distance > DISTANCES[1])
    )


def _crowd(name: Wanted, marks: np.ndarray) -> float:
    """The number of marks near the point of a name that has fewest."""
    near = np.abs(marks[None] - name.points[:, None]).max(axis=2) < DISTANCES[4]
    return float(near.sum(axis=1).min())


def _candidates(name: Wanted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres [c,2] around every point of a name, whose points they are of, and how far off the name's edge is."""
    ways = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    distance, way = (part.reshape(-1) for part in np.meshgrid(DISTANCES, np.arange(len(ways)), indexing="ij"))
    # The edge of the box that faces the point, not its centre, keeps the distance.
    reach = np.clip(ways[way] * 4, -1, 1) * (name.width / 2, name.height / 2)
    shifts = ways[way] * distance[:, None] + reach
    centres = (name.points[:, None] + shifts[None]).reshape(-1, 2)
    return centres, np.repeat(name.points, len(shifts), axis=0), np.tile(distance, len(name.points))


def _boxes(centres: np.ndarray, name: Wanted) -> np.ndarray:
    half = np.array((name.width / 2 + GAP, name.height / 2 + GAP / 2))
    return np.concatenate([centres - half, centres + half], axis=1)


def _costs(boxes: np.ndarray, marks: np.ndarray, lines: np.ndarray) -> np.ndarray:
    covered = _overlap(boxes, np.concatenate([marks - MARK, marks + MARK], axis=1)).sum(axis=1)
    cost: np.ndarray = COVERED * covered + CROSSED * _meet(lines, boxes).sum(axis=0)
    return cost


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether boxes [n,4] overlap others [m,4], bool [n,m]."""
    apart = (boxes[:, None, :2] >= others[None, :, 2:]) | (boxes[:, None, 2:] <= others[None, :, :2])
    return np.asarray(~np.any(apart, axis=2))


def _shrink(boxes: np.ndarray) -> np.ndarray:
    smaller: np.ndarray = boxes + np.array((GAP, GAP / 2, -GAP, -GAP / 2))
    return smaller


def _outside(boxes: np.ndarray, area: tuple[float, float, float, float]) -> np.ndarray:
    low, high = np.array(area[:2]), np.array(area[2:])
    beyond: np.ndarray = (boxes[:, :2] < low) | (boxes[:, 2:] > high)
    return np.asarray(np.any(beyond, axis=1))


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
    """On which side of the line from a to b the point c lies."""
    turn = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
    side: np.ndarray = turn > 0
    return side

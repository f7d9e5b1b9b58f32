"""Labels find their places: clear of each other, of markers and of the edge, near to what they name."""

import itertools

import numpy as np

from mgbench.report.figures.placement import MARK, Room, Wanted, place


def room(marks, area=(0.0, 0.0, 200.0, 200.0)):
    made = Room(area)
    made.marks = marks
    return made


def overlapping(boxes):
    pairs = itertools.combinations(boxes, 2)
    return [(a, b) for a, b in pairs if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]]


def box(name, spot):
    (x, y), width, height = spot.centre, name.width / 2, name.height / 2
    return x - width, y - height, x + width, y + height


def test_names_keep_clear_of_each_other_of_points_and_of_the_edge():
    random = np.random.default_rng(0)
    points = random.uniform(20, 480, (60, 2))
    wanted = [Wanted(random.uniform(20, 60), 10.0, points[[n]]) for n in range(25)]
    area = (0.0, 0.0, 500.0, 500.0)
    spots = place(wanted, room(points, area))
    assert None not in spots
    boxes = [box(name, spot) for name, spot in zip(wanted, spots, strict=True)]
    marks = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in points]
    assert overlapping(boxes) == []
    assert not any(overlapping([one, mark]) for one in boxes for mark in marks)
    assert all(b[0] >= 0 and b[1] >= 0 and b[2] <= 500 and b[3] <= 500 for b in boxes)


def test_a_lonely_name_stands_close_by_and_one_in_a_crowd_is_led_out_of_it():
    lonely = Wanted(40.0, 10.0, np.array([[100.0, 100.0]]))
    (near,) = place([lonely], room(lonely.points))
    assert not near.led
    crowd = np.stack(np.meshgrid(np.arange(60, 141, 8.0), np.arange(60, 141, 8.0)), axis=-1).reshape(-1, 2)
    (far,) = place([lonely], room(crowd))
    assert far.led


def test_a_name_without_room_is_left_out():
    name = Wanted(300.0, 10.0, np.array([[50.0, 50.0]]))
    assert place([name], room(name.points, (0, 0, 100, 100))) == [None]


def test_a_line_is_crossed_only_where_there_is_no_other_way():
    name = Wanted(40.0, 10.0, np.array([[100.0, 100.0]]))
    crossed = room(name.points)
    crossed.add_line(np.array([[100.0, 100.0], [200.0, 100.0]]), marked=False)
    (spot,) = place([name], crossed)
    _, bottom, right, top = box(name, spot)
    assert not (right > 100 and bottom < 100 < top)


def test_a_label_with_places_of_its_own_takes_the_first_that_is_free_and_no_other():
    point, up = np.array([[100.0, 100.0]]), np.array((0.0, 12.0))
    name, wide = Wanted(20.0, 8.0, point, np.stack([up, -up])), Wanted(20.0, 8.0, point)
    free = room(point)
    assert [free.put(name).centre, free.put(name).centre, free.put(name)] == [(100, 112), (100, 88), None]
    crossed = room(point)
    crossed.add_line(np.array([[0.0, 112.0], [200.0, 112.0]]), marked=False)
    assert crossed.put(name).centre == (100, 88)
    crossed.add_line(np.array([[0.0, 88.0], [200.0, 88.0]]), marked=False)
    assert crossed.put(name) is None
    assert crossed.put(wide) is not None

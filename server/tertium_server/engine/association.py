"""Association: which detection belongs to which track.

Three stages, each an exact assignment on IoU within a gate:

1. confident detections with established tracks;
2. the low band with the established tracks still free: it keeps tracks alive (Zhang et al. 2022, ByteTrack);
3. whatever is left with candidates, tracks that were never likely yet.

A pair is worth its IoU over the gate, times the probabilities that the track is real and that the detection, by its score, is right: a sure track
that others hide for a while is not robbed of its object by one that came up beside it a moment ago, nor a box of its track by its own weak double.

What is still free afterwards starts candidates of its own, low scores too: they stay MAYBE or NO until the evidence is there.
"""

import math

import numpy as np

from tertium_server.engine.assignment import Search, assign
from tertium_server.engine.kernel import array_kernel, kernel

# Rows of the float scratch.
BOX_LEFT, BOX_TOP, BOX_RIGHT, BOX_BOTTOM, BOX_AREA = 0, 1, 2, 3, 4  # detections
TRACK_LEFT, TRACK_TOP, TRACK_RIGHT, TRACK_BOTTOM, TRACK_AREA = 5, 6, 7, 8, 9
MEASUREMENT, OVERLAP = 10, 11  # of each detection
_COLUMN_LEFT, _COLUMN_TOP, _COLUMN_RIGHT, _COLUMN_BOTTOM, _COLUMN_AREA = (
    12,
    13,
    14,
    15,
    16,
)  # the stage's tracks, side by side
_SHARED, _ROW_PRICE, _COLUMN_PRICE, _DISTANCE = 17, 18, 19, 20
COVER, NEIGHBOURS = 21, 22  # of each detection
_COLUMN_LIKELY = 23  # of the stage's tracks
FLOAT_ROWS = 24

LEAST_LIKELY = 1e-9
"""Probabilities of tracks and detections count as at least this much: the least likely ones still take what nobody else wants."""

NEIGHBOUR_OVERLAP = 0.3
"""Boxes of a class with an IoU over this are neighbours."""

# Rows of the integer scratch.
CLASS_ROW, MATCHED_TRACK, MATCHED_DETECTION = 0, 1, 2
_ROWS, _COLUMNS, _EDGE_START, _ROW_MATCH, _COLUMN_MATCH, _REACHED_FROM, _FRONTIER, _SETTLED, _STATE = (
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
)
INTEGER_ROWS = 12


@kernel
def place_tracks(tracks, count, buffer, floats):
    """Writes the corners of all predicted boxes, grown by ``buffer`` of their size on each side, into the scratch."""
    for slot in range(count):
        position = tracks[slot].position
        half_width = (0.5 + buffer) * max(position[2], 1.0)
        half_height = (0.5 + buffer) * max(position[3], 1.0)
        floats[TRACK_LEFT, slot] = position[0] - half_width
        floats[TRACK_RIGHT, slot] = position[0] + half_width
        floats[TRACK_TOP, slot] = position[1] - half_height
        floats[TRACK_BOTTOM, slot] = position[1] + half_height
        floats[TRACK_AREA, slot] = 4.0 * half_width * half_height


@kernel
def place_detections(boxes, first, count, buffer, floats):
    """Writes the corners of ``count`` boxes from ``first`` on, grown by ``buffer`` of their size on each side, into the scratch."""
    for row in range(count):
        left, top = np.float64(boxes[first + row, 0]), np.float64(boxes[first + row, 1])
        right, bottom = np.float64(boxes[first + row, 2]), np.float64(boxes[first + row, 3])
        grow_x = buffer * (right - left)
        grow_y = buffer * (bottom - top)
        floats[BOX_LEFT, row] = left - grow_x
        floats[BOX_TOP, row] = top - grow_y
        floats[BOX_RIGHT, row] = right + grow_x
        floats[BOX_BOTTOM, row] = bottom + grow_y
        floats[BOX_AREA, row] = (right - left + 2.0 * grow_x) * (bottom - top + 2.0 * grow_y)


@kernel
def look_around(count, scores, first, floats, integers):
    """Writes what stands around each detection: others of its class in the frame.

    A better one scores higher (or as high, and comes earlier). Written are the largest IoU with a better one, the largest share of the box that a
    better one covers, and the number of neighbours, better or not.
    """
    # Rows of the scratch are named before the loops: naming one counts a reference, which costs as much as a handful of overlaps.
    lefts, tops, rights, bottoms = floats[BOX_LEFT], floats[BOX_TOP], floats[BOX_RIGHT], floats[BOX_BOTTOM]
    areas, overlaps, shared, class_rows = floats[BOX_AREA], floats[OVERLAP], floats[_SHARED], integers[CLASS_ROW]
    covers, neighbours = floats[COVER], floats[NEIGHBOURS]
    for row in range(count):
        left, top, right, bottom = lefts[row], tops[row], rights[row], bottoms[row]
        ours = scores[first + row]
        overlaps[row], covers[row], neighbours[row] = 0.0, 0.0, 0.0
        touching = 0
        for other in range(row):  # on its own and without branches: the compiler makes vector instructions of it
            width = min(right, rights[other]) - max(left, lefts[other])
            height = min(bottom, bottoms[other]) - max(top, tops[other])
            shared[other] = max(width, 0.0) * max(height, 0.0)
            touching += shared[other] > 0.0
        other = 0
        while touching > 0:
            if shared[other] > 0.0:
                touching -= 1
                if class_rows[other] == class_rows[row]:
                    worse = other if scores[first + other] < ours else row
                    overlap = shared[other] / (areas[row] + areas[other] - shared[other])
                    overlaps[worse] = max(overlaps[worse], overlap)
                    covers[worse] = max(covers[worse], shared[other] / areas[worse])
                    if overlap > NEIGHBOUR_OVERLAP:
                        neighbours[row] += 1.0
                        neighbours[other] += 1.0
            other += 1


@kernel
def _gather_columns(columns, column_count, tracks, floats):
    likely = floats[_COLUMN_LIKELY]
    for column in range(column_count):
        slot = columns[column]
        floats[_COLUMN_LEFT, column] = floats[TRACK_LEFT, slot]
        floats[_COLUMN_TOP, column] = floats[TRACK_TOP, slot]
        floats[_COLUMN_RIGHT, column] = floats[TRACK_RIGHT, slot]
        floats[_COLUMN_BOTTOM, column] = floats[TRACK_BOTTOM, slot]
        floats[_COLUMN_AREA, column] = floats[TRACK_AREA, slot]
        likely[column] = max(np.float64(tracks[slot].probability), LEAST_LIKELY)


@kernel
def _list_edges(row_count, column_count, tracks, gate, class_aware, floats, integers, edge_column, edge_weight):
    """Lists the pairs of the stage's rows and columns that overlap by more than the gate; returns how many there are.

    Those beyond the room in ``edge_column`` and ``edge_weight`` are counted, but not written.
    """
    rows, columns, edge_start = integers[_ROWS], integers[_COLUMNS], integers[_EDGE_START]
    class_rows = integers[CLASS_ROW]
    box_lefts, box_tops, box_rights, box_bottoms = (
        floats[BOX_LEFT],
        floats[BOX_TOP],
        floats[BOX_RIGHT],
        floats[BOX_BOTTOM],
    )
    lefts, tops, rights, bottoms = (
        floats[_COLUMN_LEFT],
        floats[_COLUMN_TOP],
        floats[_COLUMN_RIGHT],
        floats[_COLUMN_BOTTOM],
    )
    box_areas, areas, shared = floats[BOX_AREA], floats[_COLUMN_AREA], floats[_SHARED]
    likely, measurements = floats[_COLUMN_LIKELY], floats[MEASUREMENT]
    touched = integers[_FRONTIER]  # the search for paths has no use for it yet
    room = edge_column.shape[0]
    edges = 0
    for row in range(row_count):
        detection = rows[row]
        edge_start[row] = edges
        left, top, right, bottom = (
            box_lefts[detection],
            box_tops[detection],
            box_rights[detection],
            box_bottoms[detection],
        )
        area = box_areas[detection]
        touching = 0
        # On its own and without branches: the compiler makes vector instructions of it.
        for column in range(column_count):
            width = min(right, rights[column]) - max(left, lefts[column])
            height = min(bottom, bottoms[column]) - max(top, tops[column])
            shared[column] = max(width, 0.0) * max(height, 0.0)
            touching += shared[column] > 0.0
        if touching == 0:
            continue
        worth = max(1.0 / (1.0 + math.exp(-measurements[detection])), LEAST_LIKELY)
        listed = 0
        for column in range(column_count):
            touched[listed] = column
            listed += shared[column] > 0.0
        for place in range(listed):
            column = touched[place]
            overlap = shared[column] / (area + areas[column] - shared[column])
            if overlap <= gate or (class_aware and tracks[columns[column]].class_row != class_rows[detection]):
                continue
            if edges < room:
                edge_column[edges] = column
                edge_weight[edges] = (overlap - gate) * likely[column] * worth
            edges += 1
    edge_start[row_count] = edges
    return edges


@kernel
def _assign_edges(row_count, column_count, floats, integers, edge_column, edge_weight):
    """Assigns the stage's rows to its columns by the edges listed; matched pairs are written into the scratch."""
    rows, columns, row_match = integers[_ROWS], integers[_COLUMNS], integers[_ROW_MATCH]
    search = Search(
        floats[_DISTANCE], integers[_REACHED_FROM], integers[_FRONTIER], integers[_SETTLED], integers[_STATE]
    )
    assign(
        row_count, column_count, integers[_EDGE_START], edge_column, edge_weight,
        row_match, integers[_COLUMN_MATCH], floats[_ROW_PRICE], floats[_COLUMN_PRICE], search,
    )  # fmt: skip
    for row in range(row_count):
        if row_match[row] >= 0:
            slot = columns[row_match[row]]
            integers[MATCHED_TRACK, rows[row]] = slot
            integers[MATCHED_DETECTION, slot] = rows[row]


@array_kernel
def _match_crowd(row_count, column_count, tracks, gate, class_aware, floats, integers, edges):
    """As :func:`_match`, with room of its own: there are more edges than ever before, and the scratch grows only between messages."""
    edge_column = np.empty(edges, np.int64)
    edge_weight = np.empty(edges, np.float64)
    _list_edges(row_count, column_count, tracks, gate, class_aware, floats, integers, edge_column, edge_weight)
    _assign_edges(row_count, column_count, floats, integers, edge_column, edge_weight)


@kernel
def _match(row_count, column_count, tracks, gate, class_aware, floats, integers, edge_column, edge_weight):
    """Assigns the stage's rows (detections) to its columns (tracks); matched pairs are written into the scratch. Returns the number of edges."""
    if row_count == 0 or column_count == 0:
        return 0
    _gather_columns(integers[_COLUMNS], column_count, tracks, floats)
    edges = _list_edges(row_count, column_count, tracks, gate, class_aware, floats, integers, edge_column, edge_weight)
    if edges > edge_column.shape[0]:
        _match_crowd(row_count, column_count, tracks, gate, class_aware, floats, integers, edges)
    elif edges > 0:
        _assign_edges(row_count, column_count, floats, integers, edge_column, edge_weight)
    return edges


@kernel
def _free_detections(count, least, below, floats, integers):
    """Lists unmatched detections with a measurement in [least, below) as the stage's rows; returns how many."""
    rows, matched, measurements = integers[_ROWS], integers[MATCHED_TRACK], floats[MEASUREMENT]
    listed = 0
    for detection in range(count):  # without branches, for none could be foreseen
        rows[listed] = detection
        listed += (matched[detection] < 0) & (measurements[detection] >= least) & (measurements[detection] < below)
    return listed


@kernel
def _free_tracks(tracks, count, established, integers):
    """Lists unmatched tracks, established or candidates, as the stage's columns; returns how many."""
    columns, matched = integers[_COLUMNS], integers[MATCHED_DETECTION]
    listed = 0
    for slot in range(count):
        columns[listed] = slot
        listed += (matched[slot] < 0) & (tracks[slot].established == established)
    return listed


@kernel
def associate(tracks, track_count, detection_count, tracker, floats, integers, edge_column, edge_weight):
    """Matches the frame's detections (in the scratch) with the stream's tracks. Returns the largest number of edges a stage had."""
    for detection in range(detection_count):
        integers[MATCHED_TRACK, detection] = -1
    for slot in range(track_count):
        integers[MATCHED_DETECTION, slot] = -1
    aware = tracker.class_aware != 0
    columns = _free_tracks(tracks, track_count, 1, integers)
    rows = _free_detections(detection_count, tracker.high, np.inf, floats, integers)
    most = _match(rows, columns, tracks, tracker.gate_high, aware, floats, integers, edge_column, edge_weight)
    columns = _free_tracks(tracks, track_count, 1, integers)
    rows = _free_detections(detection_count, -np.inf, tracker.high, floats, integers)
    most = max(most, _match(rows, columns, tracks, tracker.gate_low, aware, floats, integers, edge_column, edge_weight))
    columns = _free_tracks(tracks, track_count, 0, integers)
    rows = _free_detections(detection_count, -np.inf, np.inf, floats, integers)
    return max(
        most, _match(rows, columns, tracks, tracker.gate_candidate, aware, floats, integers, edge_column, edge_weight)
    )


@kernel
def follow_caller(tracks, track_count, track_ids, first, detection_count, integers):
    """Matches by the caller's own track ids instead."""
    for slot in range(track_count):
        integers[MATCHED_DETECTION, slot] = -1
        integers[_COLUMNS, slot] = slot
    for detection in range(detection_count):
        integers[MATCHED_TRACK, detection] = -1
        wanted = track_ids[first + detection]
        if wanted == 0:
            continue
        for slot in range(track_count):
            if tracks[slot].id == wanted:
                integers[MATCHED_TRACK, detection] = slot
                integers[MATCHED_DETECTION, slot] = detection
                break

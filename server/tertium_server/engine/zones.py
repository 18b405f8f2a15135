"""Zones: which part of the picture a track is in, and with it, by which row of parameters it is judged.

There is a row for each class outside of all zones, then one for each class in the first zone, and so on. A track is in the first zone that holds its
ground point, the middle of its box's lower edge.
"""

from tertium_server.engine.kernel import kernel


@kernel
def zone_of(track, corners, starts):
    """The place of the first zone that holds the track's ground point, from 1; 0: none. By the even-odd rule."""
    x = track.position[0]
    y = track.position[1] + 0.5 * max(track.position[3], 1.0)
    for zone in range(starts.shape[0] - 1):
        inside = False
        before = starts[zone + 1] - 1
        for corner in range(starts[zone], starts[zone + 1]):
            x1, y1, x2, y2 = corners[before, 0], corners[before, 1], corners[corner, 0], corners[corner, 1]
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                inside = not inside
            before = corner
        if inside:
            return zone + 1
    return 0


@kernel
def place(track, judges, corners, starts):
    """Gives a track the row it is judged by where it is now."""
    classes = judges.shape[0] // starts.shape[0]
    track.judge_row = zone_of(track, corners, starts) * classes + track.class_row


@kernel
def place_all(tracks, count, judges, corners, starts):
    """The same for all tracks of a stream, after its parameters have changed."""
    for slot in range(count):
        place(tracks[slot], judges, corners, starts)

from __future__ import annotations

import numpy as np
import pytest

from edge_seq.data.recording import UNLABELLED, Recording, Windows, select_windows
from edge_seq.data.windows import label_windows, make_windows
from edge_seq.support.errors import ConfigError, DataError


def recording(labels: list[int], *, name: str = "r", group: str = "g", first: int = 0) -> Recording:
    counts = np.stack([np.arange(first, first + len(labels)), -np.arange(first, first + len(labels))], axis=1)
    return Recording(name, group, counts.astype(np.int16), np.array(labels, dtype=np.int16))


def cut(labels: list[int], **how: float) -> list[tuple[int, int]]:
    starts, found = label_windows(np.array(labels, dtype=np.int16), **how)  # type: ignore[arg-type]
    assert starts.dtype == np.int64
    assert found.dtype == np.int16
    return list(zip(starts.tolist(), found.tolist(), strict=True))


def test_the_label_is_that_of_the_last_sample():
    assert cut([0, 0, 1, 1, 1], length=5, stride=1, minimum_share=0.6) == [(0, 1)]


def test_a_label_that_covers_too_little_drops_the_window():
    assert cut([0, 0, 0, 1, 1], length=5, stride=1, minimum_share=0.6) == []
    assert cut([0, 0, 0, 1, 1], length=5, stride=1, minimum_share=0.4) == [(0, 1)]


def test_a_share_needs_as_many_samples_as_it_says():
    assert cut([0] * 45 + [1] * 55, length=100, stride=1, minimum_share=0.55) == [(0, 1)]
    assert cut([0] * 46 + [1] * 54, length=100, stride=1, minimum_share=0.55) == []


def test_the_label_may_be_interrupted_inside_a_window():
    assert cut([1, 0, 1, 0, 1], length=5, stride=1, minimum_share=0.6) == [(0, 1)]


def test_windows_lie_on_a_grid_and_a_rest_is_dropped():
    assert cut([0] * 10, length=4, stride=3) == [(0, 0), (3, 0), (6, 0)]
    assert cut([0] * 9, length=4, stride=3) == [(0, 0), (3, 0)]
    assert cut([0] * 3, length=4, stride=3) == []


def test_unlabelled_samples_do_not_make_windows():
    none = UNLABELLED
    assert cut([0, 0, 0, none], length=4, stride=1) == []  # the last is unlabelled
    assert cut([none, 0, 0, 0], length=4, stride=1) == [(0, 0)]
    assert cut([none, none, none, 0], length=4, stride=1, minimum_share=0.1) == []  # more than half is unlabelled
    assert cut([none, none, 0, 0], length=4, stride=1, minimum_share=0.1) == [(0, 0)]


def test_at_a_share_of_one_the_grid_starts_anew_at_each_segment():
    labels = [UNLABELLED, 0, 0, 0, 0, 0, 1, 1, 1, *[UNLABELLED] * 5, 1, 1, 1, 1]
    assert cut(labels, length=3, stride=2, minimum_share=1.0) == [(1, 0), (3, 0), (6, 1), (14, 1)]
    assert cut([2], length=1, stride=1, minimum_share=1.0) == [(0, 2)]
    assert cut([], length=1, stride=1, minimum_share=1.0) == []


def test_windows_hold_the_samples_of_one_recording():
    windows = make_windows(
        [recording([0] * 5, group="a"), recording([1] * 4, group="b", first=100)], length=4, stride=1
    )
    assert windows.counts.dtype == np.int16
    assert windows.counts.flags.c_contiguous
    assert windows.counts.shape == (3, 4, 2)
    assert windows.counts[:, :, 0].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [100, 101, 102, 103]]
    assert (windows.counts[:, :, 1] == -windows.counts[:, :, 0]).all()
    assert windows.labels.tolist() == [0, 0, 1]
    assert windows.groups.tolist() == ["a", "a", "b"]


def test_windows_hold_the_label_of_each_sample():
    none = UNLABELLED
    windows = make_windows(
        [recording([none, 1, 0, 0, 0]), recording([1] * 3), recording([1, 0, 0, 0])], length=4, stride=1
    )
    assert windows.sample_labels.dtype == np.int16
    assert windows.sample_labels.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]
    windows = make_windows([recording([none, 0, 0, 0, 0])], length=4, stride=1)
    assert windows.sample_labels.tolist() == [[none, 0, 0, 0], [0, 0, 0, 0]]
    assert (windows.sample_labels[:, -1] == windows.labels).all()


def test_selected_windows_keep_all_that_is_known_of_them():
    windows = make_windows([recording([0] * 4, group="a"), recording([1] * 4, group="b")], length=4, stride=1)
    second = select_windows(windows, np.array([1]))
    assert (second.labels.tolist(), second.groups.tolist()) == ([1], ["b"])
    assert second.sample_labels.tolist() == [[1] * 4]
    assert (second.counts == windows.counts[1:]).all()
    alone = Windows(windows.counts, windows.labels, windows.groups)
    assert select_windows(alone, np.array([True, False])).sample_labels is None
    assert select_windows(alone, np.array([True, False])).labels.tolist() == [0]


def test_windows_own_their_samples():
    one = recording([0] * 4)
    windows = make_windows([one], length=4, stride=4)
    windows.counts[:] = 9
    assert one.counts[0, 0] == 0


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ConfigError, match="minimum_share is"):
        cut([0, 0], length=1, stride=1, minimum_share=share)


@pytest.mark.parametrize(("length", "stride"), [(0, 1), (1, 0)])
def test_a_length_or_stride_of_zero_is_refused(length, stride):
    with pytest.raises(ConfigError, match="give at least 1 for both"):
        cut([0, 0], length=length, stride=stride)


def test_no_recordings_or_no_windows_is_an_error():
    with pytest.raises(DataError, match="there are no recordings"):
        make_windows([], length=4, stride=1)
    with pytest.raises(DataError, match=r"none of 1 recordings \(longest 3 samples\) holds a window of 4 samples"):
        make_windows([recording([0] * 3)], length=4, stride=1)

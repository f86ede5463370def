"""Work done beforehand keeps its order and its errors."""

import pytest

from dvd.train.ahead import ahead


def test_items_come_in_order_whatever_the_depth() -> None:
    for depth in (1, 2, 5):
        assert list(ahead(lambda index: index * index, 2, 6, depth)) == [4, 9, 16, 25]


def test_no_more_than_depth_items_are_prepared() -> None:
    made: list[int] = []
    items = ahead(lambda index: made.append(index) or index, 0, 100, depth=3)
    assert next(items) == 0
    items.close()
    assert len(made) <= 4


def test_an_error_comes_where_its_item_would_have() -> None:
    items = ahead(lambda index: 1 // (3 - index), 0, 6)
    assert [next(items) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(items)

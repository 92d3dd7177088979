"""Products that are known to be something simpler."""

from __future__ import annotations

from nnspec.ir.dims import Relation, dim, related, symbol

HEADS, SIZE, WIDTH, MORE = (symbol(name) for name in ("heads", "size", "width", "more"))


def atom_of(size):
    (((atom, _),), _) = size.terms[0]
    return atom


def is_product(one, other, factor, *names):
    product = tuple((atom_of(name), 1) for name in names)
    return Relation(atom_of(one), atom_of(other), factor, product)


def test_products_are_written_by_relations():
    with related([is_product(HEADS, SIZE, 2, WIDTH)], {}):
        assert HEADS * SIZE == 2 * WIDTH
        assert 3 * HEADS**2 * SIZE * MORE + 1 == 6 * HEADS * WIDTH * MORE + 1
    assert HEADS * SIZE != 2 * WIDTH


def test_what_a_name_divides_has_a_quotient():
    with related([is_product(HEADS, SIZE, 2, WIDTH)], {}):
        assert 6 * WIDTH * MORE // (3 * HEADS) == SIZE * MORE
        assert (2 * WIDTH + HEADS * MORE) // HEADS == SIZE + MORE
        assert 4 * WIDTH**2 // SIZE**2 == HEADS**2
        assert 6 * WIDTH % (3 * HEADS) == 0
        assert WIDTH % HEADS != 0
        assert MORE // HEADS * HEADS != MORE
    assert 2 * WIDTH % HEADS != 0


def test_a_number_may_be_a_product():
    with related([is_product(HEADS, SIZE, 96)], {}):
        assert HEADS * SIZE == 96
        assert dim(288) // (3 * HEADS) == SIZE
        assert dim(288) % (3 * HEADS) == 0
        assert dim(100) % HEADS != 0

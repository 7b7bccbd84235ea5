"""Sparse matrices against dense references."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.contracts.batches import Graph
from harness.contracts.sparse import SparseMatrix, _spmm


def random_dense(rows: int, columns: int, seed: int = 0, density: float = 0.4, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator, dtype=dtype)
    return values * (torch.rand(rows, columns, generator=generator) < density)


def random_graph(nodes: int = 9, seed: int = 0) -> torch.Tensor:
    """A symmetric 0/1 matrix without diagonal."""
    upper = torch.rand(nodes, nodes, generator=torch.Generator().manual_seed(seed)).triu(1) > 0.6
    return (upper | upper.t()).float()


# ------------------------------------------------------------------------------------------ making and reading


def test_from_coo_puts_each_value_in_its_place() -> None:
    matrix = SparseMatrix.from_coo(torch.tensor([2, 0]), torch.tensor([1, 3]), torch.tensor([5.0, 7.0]), (3, 4))
    assert matrix.to_dense().tolist() == [[0, 0, 0, 7], [0, 0, 0, 0], [0, 5, 0, 0]]


def test_from_coo_without_values_stores_ones() -> None:
    assert SparseMatrix.from_coo(torch.tensor([0]), torch.tensor([1]), None, (1, 2)).to_dense().tolist() == [[0, 1]]


def test_integer_values_become_float() -> None:
    assert SparseMatrix.from_dense(torch.eye(3, dtype=torch.int64)).to_dense().dtype == torch.float32


def test_from_dense_and_to_dense_are_inverse() -> None:
    dense = random_dense(6, 5)
    assert torch.equal(SparseMatrix.from_dense(dense).to_dense(), dense)


def test_from_dense_drops_zeros() -> None:
    assert SparseMatrix.from_dense(torch.tensor([[0.0, 3.0], [0.0, 0.0]])).entries == 1


def test_shape_is_rows_and_columns() -> None:
    assert SparseMatrix.from_dense(random_dense(6, 5)).shape == (6, 5)


def test_coo_is_in_row_order_with_ascending_columns() -> None:
    rows, columns, _ = SparseMatrix.from_coo(torch.tensor([1, 0, 1]), torch.tensor([2, 1, 0]), None, (2, 3)).coo()
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 1], [1, 0, 2])


def test_coo_carries_the_values_along() -> None:
    rows, columns, values = SparseMatrix.from_dense(dense := random_dense(6, 5)).coo()
    assert torch.equal(values, dense[rows, columns])


def test_the_order_of_the_coordinates_does_not_matter() -> None:
    rows, columns = torch.tensor([1, 0, 1]), torch.tensor([2, 1, 0])
    matrix = SparseMatrix.from_coo(rows, columns, torch.tensor([1.0, 2.0, 3.0]), (2, 3))
    other = SparseMatrix.from_coo(rows.flip(0), columns.flip(0), torch.tensor([3.0, 2.0, 1.0]), (2, 3))
    assert all(torch.equal(a, b) for a, b in zip(matrix.csr(), other.csr(), strict=True))


def test_csr_row_pointers_count_the_entries_of_each_row() -> None:
    crow, _, _ = SparseMatrix.from_dense(torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])).csr()
    assert crow.tolist() == [0, 2, 2, 3]


def test_a_copy_multiplies_like_the_original() -> None:
    matrix, dense = SparseMatrix.from_dense(random_dense(6, 5)), random_dense(5, 2)
    assert torch.equal(copy.deepcopy(matrix).matmul(dense), matrix.matmul(dense))


def test_to_the_device_it_is_on_keeps_the_values() -> None:
    dense = random_dense(6, 5)
    assert torch.equal(SparseMatrix.from_dense(dense).to("cpu").to_dense(), dense)


def test_device_is_where_the_values_are() -> None:
    assert SparseMatrix.from_dense(random_dense(2, 2)).device == torch.device("cpu")


# ------------------------------------------------------------------------------------------------ the product


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_product_equals_the_dense_one(dtype: torch.dtype) -> None:
    dense, factor = random_dense(6, 5, dtype=dtype), random_dense(5, 3, seed=1, density=1, dtype=dtype)
    torch.testing.assert_close(SparseMatrix.from_dense(dense).matmul(factor), dense @ factor)


def test_the_operator_is_matmul() -> None:
    matrix, factor = SparseMatrix.from_dense(random_dense(6, 5)), random_dense(5, 3)
    assert torch.equal(matrix @ factor, matrix.matmul(factor))


@settings(max_examples=25)
@given(rows=st.integers(1, 7), inner=st.integers(1, 7), columns=st.integers(1, 4), density=st.floats(0, 1), seed=st.integers(0, 99))
def test_product_equals_the_dense_one_for_any_size(rows: int, inner: int, columns: int, density: float, seed: int) -> None:
    dense, factor = random_dense(rows, inner, seed, density), random_dense(inner, columns, seed, 1)
    torch.testing.assert_close(SparseMatrix.from_dense(dense).matmul(factor), dense @ factor)


def test_a_matrix_without_entries_gives_zeros() -> None:
    assert torch.equal(SparseMatrix.from_dense(torch.zeros(3, 4)).matmul(torch.ones(4, 2)), torch.zeros(3, 2))


def test_a_transposed_factor_is_multiplied_right() -> None:
    dense, factor = random_dense(6, 5), random_dense(3, 5, density=1)
    torch.testing.assert_close(SparseMatrix.from_dense(dense).matmul(factor.t()), dense @ factor.t())


def test_factors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        SparseMatrix.from_dense(random_dense(6, 5)).matmul(torch.ones(4, 2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_factor_is_multiplied_in_float32(dtype: torch.dtype) -> None:
    dense, factor = random_dense(6, 5), random_dense(5, 3, density=1).to(dtype)
    product = SparseMatrix.from_dense(dense).matmul(factor)
    assert product.dtype == torch.float32
    torch.testing.assert_close(product, dense @ factor.float())


def test_a_float64_factor_is_multiplied_in_float64() -> None:
    dense, factor = random_dense(6, 5), random_dense(5, 3, density=1, dtype=torch.float64)
    torch.testing.assert_close(SparseMatrix.from_dense(dense).matmul(factor), dense.double() @ factor)


def test_a_float64_matrix_takes_the_precision_of_a_float32_factor() -> None:
    assert SparseMatrix.from_dense(random_dense(6, 5, dtype=torch.float64)).matmul(torch.ones(5, 1)).dtype == torch.float32


def test_autocast_leaves_the_product_in_float32() -> None:
    dense, factor = random_dense(6, 5), random_dense(5, 3, density=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        product = SparseMatrix.from_dense(dense).matmul(factor)
    torch.testing.assert_close(product, dense @ factor)


# -------------------------------------------------------------------------------------------------- gradients


def test_gradient_of_the_dense_factor_agrees_with_finite_differences() -> None:
    matrix = SparseMatrix.from_dense(random_dense(6, 5, dtype=torch.float64))
    assert torch.autograd.gradcheck(matrix.matmul, (random_dense(5, 3, dtype=torch.float64).requires_grad_(),))


def test_second_derivatives_agree_with_finite_differences() -> None:
    matrix = SparseMatrix.from_dense(random_dense(6, 5, dtype=torch.float64))
    factor = random_dense(5, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda dense: matrix.matmul(dense).square(), (factor,))


def test_gradient_is_the_transpose_times_the_incoming_one() -> None:
    dense, factor, incoming = random_dense(6, 5), random_dense(5, 3).requires_grad_(), random_dense(6, 3, seed=2)
    SparseMatrix.from_dense(dense).matmul(factor).backward(incoming)
    torch.testing.assert_close(factor.grad, dense.t() @ incoming)


def test_an_expanded_incoming_gradient_is_multiplied_right() -> None:
    dense, factor = random_dense(6, 5), random_dense(5, 3).requires_grad_()
    SparseMatrix.from_dense(dense).matmul(factor).sum().backward()
    torch.testing.assert_close(factor.grad, dense.t() @ torch.ones(6, 3))


def test_gradient_comes_back_in_the_precision_of_a_bf16_factor() -> None:
    factor = random_dense(5, 3).bfloat16().requires_grad_()
    SparseMatrix.from_dense(random_dense(6, 5)).matmul(factor).sum().backward()
    assert factor.grad is not None
    assert factor.grad.dtype == torch.bfloat16


def test_gradient_under_autocast_is_the_float32_one() -> None:
    dense, factor = random_dense(6, 5), random_dense(5, 3).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        SparseMatrix.from_dense(dense).matmul(factor).sum().backward()
    torch.testing.assert_close(factor.grad, dense.t() @ torch.ones(6, 3))


def test_gradient_flows_through_the_transpose() -> None:
    dense, factor = random_dense(6, 5), random_dense(6, 3).requires_grad_()
    SparseMatrix.from_dense(dense).t().matmul(factor).sum().backward()
    torch.testing.assert_close(factor.grad, dense @ torch.ones(5, 3))


# ------------------------------------------------------------------------------------------- derived matrices


def test_t_is_the_transpose() -> None:
    dense = random_dense(6, 5)
    assert torch.equal(SparseMatrix.from_dense(dense).t().to_dense(), dense.t())


def test_t_twice_is_the_matrix() -> None:
    dense = random_dense(6, 5)
    assert torch.equal(SparseMatrix.from_dense(dense).t().t().to_dense(), dense)


@pytest.mark.parametrize("rows", [[0, 1, 2], [4, 1], [5, 0, 3, 2], [2, 2], []])
def test_select_takes_these_rows_in_this_order(rows: list[int]) -> None:
    dense = random_dense(6, 5)
    index = torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(SparseMatrix.from_dense(dense).select(index).to_dense(), dense[index])


def test_a_selection_has_its_own_transpose() -> None:
    dense, rows = random_dense(6, 5), torch.tensor([3, 0])
    assert torch.equal(SparseMatrix.from_dense(dense).select(rows).t().to_dense(), dense[rows].t())


def test_self_loops_add_the_identity() -> None:
    adjacency = random_graph()
    assert torch.equal(SparseMatrix.from_dense(adjacency).with_self_loops().to_dense(), adjacency + torch.eye(9))


def test_self_loops_replace_a_diagonal_that_is_there() -> None:
    looped = SparseMatrix.from_dense(torch.tensor([[5.0, 2.0], [0.0, 0.0]])).with_self_loops()
    assert looped.to_dense().tolist() == [[1, 2], [0, 1]]


def test_symmetric_normalisation_divides_by_the_roots_of_both_degrees() -> None:
    adjacency = random_graph() + torch.eye(9)
    root = torch.diag(adjacency.sum(1).rsqrt())
    normalised = SparseMatrix.from_dense(adjacency).normalised("symmetric").to_dense()
    torch.testing.assert_close(normalised, root @ adjacency @ root)


def test_mean_normalisation_divides_by_the_degree_of_the_row() -> None:
    adjacency = random_graph() + torch.eye(9)
    normalised = SparseMatrix.from_dense(adjacency).normalised("mean").to_dense()
    torch.testing.assert_close(normalised, adjacency / adjacency.sum(1, keepdim=True))


def test_mean_normalisation_leaves_rows_that_sum_to_one() -> None:
    normalised = SparseMatrix.from_dense(random_graph()).with_self_loops().normalised("mean")
    torch.testing.assert_close(normalised.matmul(torch.ones(9, 1)), torch.ones(9, 1))


@pytest.mark.parametrize("kind", ["symmetric", "mean"])
def test_weights_count_into_the_degree(kind: str) -> None:
    normalised = SparseMatrix.from_dense(torch.tensor([[0.0, 4.0], [4.0, 0.0]])).normalised(kind)
    assert normalised.to_dense().tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("kind", ["symmetric", "mean"])
def test_an_empty_row_stays_empty(kind: str) -> None:
    adjacency = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert torch.equal(SparseMatrix.from_dense(adjacency).normalised(kind).to_dense(), adjacency)


@pytest.mark.parametrize("kind", ["symmetric", "mean"])
def test_normalisation_keeps_float64(kind: str) -> None:
    assert SparseMatrix.from_dense(random_graph().double()).normalised(kind).to_dense().dtype == torch.float64


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="'symmetric' or 'mean'"):
        SparseMatrix.from_dense(torch.eye(2)).normalised("sum")


# ------------------------------------------------------------------------------------------------ torch.compile


def test_the_operator_keeps_the_promises_torch_asks_of_one() -> None:
    matrix, factor = SparseMatrix.from_dense(random_dense(6, 5)), random_dense(5, 3).requires_grad_()
    checks = torch.library.opcheck(_spmm, (*matrix.csr(), *matrix.t().csr(), factor))
    assert set(checks.values()) == {"SUCCESS"}


def layer(graph: Graph, weight: torch.Tensor) -> torch.Tensor:
    return graph.propagation("symmetric").matmul(graph.x.matmul(weight)).relu().sum()


@pytest.fixture
def graph() -> Graph:
    graph = Graph(
        index=torch.arange(9), x=SparseMatrix.from_dense(random_dense(9, 4)), adjacency=SparseMatrix.from_dense(random_graph())
    )
    graph.propagation("symmetric")  # the compiler need not trace what is computed once
    return graph


def test_a_layer_is_traced_as_one_graph(graph: Graph) -> None:
    weight, compiled_weight = random_dense(4, 3).requires_grad_(), random_dense(4, 3).requires_grad_()
    layer(graph, weight).backward()
    torch.compile(layer, backend="aot_eager", fullgraph=True)(graph, compiled_weight).backward()
    torch.testing.assert_close(compiled_weight.grad, weight.grad)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # the compiler's own, at its import
def test_a_layer_compiled_to_machine_code_agrees(graph: Graph) -> None:
    weight = random_dense(4, 3)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True)(graph, weight), layer(graph, weight))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_what_memory_held_before_does_not_reach_a_product():
    """The operator hands torch a product that is not initialised and relies on beta = 0."""
    dense = (torch.rand(50, 40, generator=torch.Generator().manual_seed(0)) < 0.05).float()
    crow, col, value = SparseMatrix.from_dense(dense).csr()
    matrix = torch.sparse_csr_tensor(crow, col, value, dense.shape, check_invariants=False)
    product = torch.full((50, 3), float("nan"))
    torch.addmm(product, matrix, torch.ones(40, 3), beta=0, out=product)
    torch.testing.assert_close(product, dense @ torch.ones(40, 3))

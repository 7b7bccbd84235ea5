"""Sparse matrices that multiply dense ones, forwards and backwards, at the same speed.

torch's sparse CSR layout multiplies quickly, but its autograd multiplies by the transpose in a layout for which it has no quick
routine, and torch.compile cannot trace it. `SparseMatrix` therefore keeps the transpose beside the matrix and multiplies through
one custom operator, opaque to the compiler, whose backward pass is the same operator on the transpose.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from torch import Tensor


@torch.library.custom_op("harness::spmm", mutates_args=())
def _spmm(crow: Tensor, col: Tensor, value: Tensor, crow_t: Tensor, col_t: Tensor, value_t: Tensor, dense: Tensor) -> Tensor:
    """CSR matrix (rows x columns) times dense [columns, d]; the transpose rides along for the backward pass."""
    matrix = _csr(crow, col, value, (crow.shape[0] - 1, crow_t.shape[0] - 1))
    product = dense.new_empty(matrix.shape[0], dense.shape[1])
    with torch.autocast(dense.device.type, enabled=False):  # it would ask for a half-precision product, see `matmul`
        # With beta = 0 what is in `product` is never read; `matrix @ dense` would fill it with zeros and copy it once more.
        torch.addmm(product, matrix, dense.contiguous(), beta=0, out=product)
    return product


@_spmm.register_fake
def _(crow: Tensor, col: Tensor, value: Tensor, crow_t: Tensor, col_t: Tensor, value_t: Tensor, dense: Tensor) -> Tensor:
    return dense.new_empty(crow.shape[0] - 1, dense.shape[1])


def _remember(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:6])


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    crow, col, value, crow_t, col_t, value_t = ctx.saved_tensors
    return (None,) * 6 + (_spmm(crow_t, col_t, value_t, crow, col, value, gradient),)


torch.library.register_autograd("harness::spmm", _backward, setup_context=_remember)


class SparseMatrix:
    """A constant sparse float matrix [rows, columns] that multiplies dense ones: `matrix @ dense`.

    Gradients flow to the dense factor only.
    """

    __slots__ = ("_csr", "_transposed", "shape")

    def __init__(self, csr: tuple[Tensor, Tensor, Tensor], transposed: tuple[Tensor, Tensor, Tensor]) -> None:
        self._csr, self._transposed = csr, transposed
        self.shape = (csr[0].shape[0] - 1, transposed[0].shape[0] - 1)

    @classmethod
    def from_coo(cls, rows: Tensor, columns: Tensor, values: Tensor | None, shape: tuple[int, int]) -> SparseMatrix:
        """From coordinates: `rows`, `columns` [E] int64, `values` [E] (None: ones). Duplicates must not occur."""
        if values is None:
            values = torch.ones(rows.shape[0], device=rows.device)
        elif not values.is_floating_point():
            values = values.float()
        return cls(_compress(rows, columns, values, shape[0], shape[1]), _compress(columns, rows, values, shape[1], shape[0]))

    @classmethod
    def from_dense(cls, dense: Tensor) -> SparseMatrix:
        """From a dense matrix [rows, columns]; zeros are dropped."""
        rows, columns = dense.nonzero(as_tuple=True)
        return cls.from_coo(rows, columns, dense[rows, columns], (dense.shape[0], dense.shape[1]))

    def coo(self) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates and values, in row order: rows [E], columns [E], values [E]."""
        crow, col, value = self._csr
        rows = torch.repeat_interleave(torch.arange(self.shape[0], device=crow.device), crow.diff().long())
        return rows, col.long(), value

    def csr(self) -> tuple[Tensor, Tensor, Tensor]:
        """Row pointers [rows + 1], column numbers [E] and values [E]."""
        return self._csr

    def to_dense(self) -> Tensor:
        """[rows, columns]."""
        return _csr(*self._csr, self.shape).to_dense()

    @property
    def device(self) -> torch.device:
        """Where its values lie."""
        return self._csr[2].device

    @property
    def entries(self) -> int:
        """Number of stored values."""
        return int(self._csr[2].shape[0])

    def t(self) -> SparseMatrix:
        """The transpose, at no cost."""
        return SparseMatrix(self._transposed, self._csr)

    def to(self, device: torch.device | str) -> SparseMatrix:
        """The same matrix on `device`."""
        crow, col, value = self._csr
        crow_t, col_t, value_t = self._transposed
        return SparseMatrix(
            (crow.to(device), col.to(device), value.to(device)), (crow_t.to(device), col_t.to(device), value_t.to(device))
        )

    def matmul(self, dense: Tensor) -> Tensor:
        """[rows, columns] @ [columns, d] -> [rows, d], in the dense factor's precision (at least float32), also under autocast.

        `x.matmul(weight)` reads the same for a dense `x` and, unlike `x @ weight`, is traced by torch.compile as one graph: the
        compiler does not know the operator of foreign classes.
        """
        if dense.dtype in (torch.bfloat16, torch.float16):
            dense = dense.float()  # half-precision sparse products do not exist on every device; accumulate in float32
        crow, col, value = self._csr
        crow_t, col_t, value_t = self._transposed
        product: Tensor = _spmm(crow, col, value.to(dense.dtype), crow_t, col_t, value_t.to(dense.dtype), dense)
        return product

    def __matmul__(self, dense: Tensor) -> Tensor:
        """The same as `matmul`."""
        return self.matmul(dense)

    def select(self, rows: Tensor) -> SparseMatrix:
        """The matrix made of these rows [R], in this order."""
        crow, col, value = self._csr
        starts, counts = crow[rows].long(), (crow[rows + 1] - crow[rows]).long()
        new_rows = torch.repeat_interleave(torch.arange(rows.shape[0], device=rows.device), counts)
        offsets = torch.arange(new_rows.shape[0], device=rows.device) - (counts.cumsum(0) - counts)[new_rows]
        entries = starts[new_rows] + offsets
        return SparseMatrix.from_coo(new_rows, col[entries].long(), value[entries], (rows.shape[0], self.shape[1]))

    def with_self_loops(self) -> SparseMatrix:
        """A + I for a square matrix; a diagonal entry that exists is replaced by 1."""
        rows, columns, values = self.coo()
        off = rows != columns
        diagonal = torch.arange(self.shape[0], device=rows.device)
        return SparseMatrix.from_coo(
            torch.cat([rows[off], diagonal]),
            torch.cat([columns[off], diagonal]),
            torch.cat([values[off], values.new_ones(self.shape[0])]),
            self.shape,
        )

    def normalised(self, kind: Literal["symmetric", "mean"] | str) -> SparseMatrix:
        """D^-1/2 A D^-1/2 ("symmetric") or D^-1 A ("mean"), D the diagonal of row sums; empty rows stay empty."""
        rows, columns, values = self.coo()
        degree = values.new_zeros(self.shape[0]).index_add_(0, rows, values)
        if kind == "symmetric":
            scale = degree.pow(-0.5).nan_to_num(posinf=0.0)
            values = values * scale[rows] * scale[columns]
        elif kind == "mean":
            values = values * degree.reciprocal().nan_to_num(posinf=0.0)[rows]
        else:
            raise ValueError(f"Unknown normalisation {kind!r}; it is 'symmetric' or 'mean'.")
        return SparseMatrix.from_coo(rows, columns, values, self.shape)


def _compress(rows: Tensor, columns: Tensor, values: Tensor, n_rows: int, n_columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates to CSR with sorted rows and columns. 32-bit indices, which MKL reads without conversion."""
    order = torch.argsort(rows * n_columns + columns)
    counts = torch.bincount(rows, minlength=n_rows)
    crow = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return crow.int(), columns[order].int(), values[order].contiguous()


def _csr(crow: Tensor, col: Tensor, value: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_csr_tensor(crow, col, value, shape, check_invariants=False)

"""ONNX graphs of a few bytes that ask for hours or terabytes. Classifiers of (1, 3, 8, 8) images but for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

METADATA = {"task": "classify", "names": "{0: 'a', 1: 'b', 2: 'c'}", "imgsz": "[8, 8]", "stride": "32", "batch": "1"}
SCORES = [h.make_node("GlobalAveragePool", ["images"], ["pool"]), h.make_node("Flatten", ["pool"], ["mean"])]
"""Nodes of every graph: `mean` is (1, 3)."""


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    functions: Sequence[onnx.FunctionProto] = (),
    batch: int = 1,
) -> Path:
    """A graph whose last node gives `output0`."""
    graph = h.make_graph(
        [*SCORES, *nodes],
        "g",
        [h.make_tensor_value_info("images", T.FLOAT, [batch, 3, 8, 8])],
        [h.make_tensor_value_info("output0", T.FLOAT, [batch, 3])],
        list(constants),
    )
    opsets = [h.make_opsetid("", 17), h.make_opsetid("own", 1)]
    model = h.make_model(graph, opset_imports=opsets, ir_version=9, functions=list(functions))
    h.set_model_props(model, METADATA)
    path.write_bytes(model.SerializeToString())
    return path


def sizes(name: str, *values: int) -> onnx.TensorProto:
    return nh.from_array(np.array(values, np.int64), name)


def added(name: str) -> list[onnx.NodeProto]:
    """`output0`, which depends on all of the tensor `name`."""
    return [
        h.make_node("ReduceMax", [name], ["largest"], keepdims=0),
        h.make_node("Add", ["mean", "largest"], ["output0"]),
    ]


def filled(path: Path) -> Path:
    return save(path, [h.make_node("ConstantOfShape", ["n"], ["big"]), *added("big")], [sizes("n", 1 << 30)])


def expanded(path: Path) -> Path:
    return save(path, [h.make_node("Expand", ["mean", "n"], ["big"]), *added("big")], [sizes("n", 1 << 38, 1, 3)])


def tiled(path: Path) -> Path:
    return save(path, [h.make_node("Tile", ["mean", "n"], ["big"]), *added("big")], [sizes("n", 1 << 38, 1)])


def counted(path: Path) -> Path:
    ends = [nh.from_array(np.array(value, np.float32), name) for name, value in (("a", 0), ("b", 1e12), ("c", 1))]
    return save(path, [h.make_node("Range", ["a", "b", "c"], ["big"]), *added("big")], ends)


def resized(path: Path) -> Path:
    scales = nh.from_array(np.array([1, 1, 1e5, 1e5], np.float32), "scales")
    return save(path, [h.make_node("Resize", ["images", "", "scales"], ["big"]), *added("big")], [scales])


def multiplied(path: Path) -> Path:
    """A size that is computed, from constants that are small."""
    nodes = [h.make_node("Mul", ["n", "n"], ["m"]), h.make_node("Mul", ["m", "m"], ["size"])]
    return save(path, [*nodes, h.make_node("ConstantOfShape", ["size"], ["big"]), *added("big")], [sizes("n", 1 << 10)])


def doubled(path: Path) -> Path:
    steps = [h.make_node("Concat", [f"t{step}"] * 2, [f"t{step + 1}"], axis=0) for step in range(40)]
    return save(path, [h.make_node("Identity", ["mean"], ["t0"]), *steps, *added("t40")])


def looped(path: Path) -> Path:
    return save(path, [_loop(), *added("end")], [sizes("n", 1 << 62)])


def in_a_branch(path: Path) -> Path:
    """An endless loop inside of `If`."""
    then = h.make_graph([_loop()], "then", [], [h.make_tensor_value_info("end", T.FLOAT, None)], [sizes("n", 1 << 62)])
    other = h.make_graph(
        [h.make_node("Identity", ["mean"], ["same"])], "else", [], [h.make_tensor_value_info("same", T.FLOAT, None)]
    )
    nodes = [
        h.make_node("ReduceMax", ["mean"], ["top"], keepdims=0),
        h.make_node("Cast", ["top"], ["zero"], to=T.BOOL),
        h.make_node("Not", ["zero"], ["condition"]),
        h.make_node("If", ["condition"], ["chosen"], then_branch=then, else_branch=other),
    ]
    return save(path, [*nodes, *added("chosen")])


def copied(path: Path) -> Path:
    """Local functions that call the one before twice, 28 times."""
    opsets = [h.make_opsetid("", 17), h.make_opsetid("own", 1)]
    first = h.make_function("own", "f0", ["x"], ["y"], [h.make_node("Neg", ["x"], ["y"])], opsets)

    def twice(step: int) -> onnx.FunctionProto:
        nodes = [h.make_node(f"f{step - 1}", [a], [b], domain="own") for a, b in (("x", "m"), ("m", "y"))]
        return h.make_function("own", f"f{step}", ["x"], ["y"], nodes, opsets)

    call = h.make_node("f28", ["mean"], ["output0"], domain="own")
    return save(path, [call], functions=[first, *map(twice, range(1, 29))])


def recursive(path: Path) -> Path:
    opsets = [h.make_opsetid("", 17), h.make_opsetid("own", 1)]
    nodes = [h.make_node("f", ["x"], ["y"], domain="own")]
    own = h.make_function("own", "f", ["x"], ["y"], nodes, opsets)
    return save(path, [h.make_node("f", ["mean"], ["output0"], domain="own")], functions=[own])


def claimed(path: Path) -> Path:
    """A weight of 10^12 numbers in four bytes."""
    weight = T(name="w", data_type=T.FLOAT, dims=[10**6, 10**6], raw_data=b"\0\0\0\0")
    return save(path, [*added("w")], [weight])


def wide(path: Path) -> Path:
    return save(path, [h.make_node("Identity", ["mean"], ["output0"])], batch=10**9)


def awake(path: Path) -> Path:
    """A loop that ends at once on blank images, and on no others."""
    nodes = [
        h.make_node("ReduceMax", ["images"], ["top"], keepdims=0),
        h.make_node("Ceil", ["top"], ["one"]),
        h.make_node("Cast", ["one"], ["times"], to=T.INT64),
        h.make_node("Mul", ["times", "many"], ["n"]),
    ]
    return save(path, [*nodes, _loop(), *added("end")], [nh.from_array(np.array(1 << 40), "many")])


def _loop() -> onnx.NodeProto:
    inputs = [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("go", T.BOOL, [])]
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["on"]), h.make_node("Sin", ["x"], ["sin"])],
        "body",
        [*inputs, h.make_tensor_value_info("x", T.FLOAT, None)],
        [h.make_tensor_value_info("on", T.BOOL, []), h.make_tensor_value_info("sin", T.FLOAT, None)],
    )
    return h.make_node("Loop", ["n", "", "mean"], ["end"], body=body)


def broadcast(path: Path) -> Path:
    """Sums of a row and a column, whose sides are those of the sum before: 192^8 numbers in the third."""
    flat = [sizes("row", 1, -1), sizes("column", -1, 1)]
    nodes, last = [], "images"
    for step in range(3):
        nodes += [h.make_node("Reshape", [last, name], [f"{name}{step}"]) for name in ("row", "column")]
        nodes.append(h.make_node("Add", [f"row{step}", f"column{step}"], [f"sum{step}"]))
        last = f"sum{step}"
    return save(path, [*nodes, *added(last)], flat)


def chosen(path: Path) -> Path:
    """The same by `Where`, in a local function that is called from the branch of an `If`."""
    opsets = [h.make_opsetid("", 17), h.make_opsetid("own", 1)]
    body = [
        h.make_node("Constant", [], ["row"], value=sizes("row", 1, -1)),
        h.make_node("Constant", [], ["column"], value=sizes("column", -1, 1)),
        *(h.make_node("Reshape", ["x", name], [f"{name}_of_x"]) for name in ("row", "column")),
        h.make_node("Greater", ["row_of_x", "column_of_x"], ["more"]),
        h.make_node("Where", ["more", "row_of_x", "column_of_x"], ["y"]),
    ]
    square = h.make_function("own", "square", ["x"], ["y"], body, opsets)
    steps = [h.make_node("square", [a], [b], domain="own") for a, b in ("ab", "bc", "cd")]
    steps += [h.make_node("ReduceMax", ["d"], ["end"], keepdims=0)]
    ends = [h.make_tensor_value_info("end", T.FLOAT, None)]
    branch = h.make_graph([h.make_node("Identity", ["images"], ["a"]), *steps], "branch", [], ends)
    nodes = [
        h.make_node("ReduceMax", ["mean"], ["top"], keepdims=0),
        h.make_node("Cast", ["top"], ["condition"], to=T.BOOL),
        h.make_node("If", ["condition"], ["chosen"], then_branch=branch, else_branch=branch),
    ]
    return save(path, [*nodes, *added("chosen")], functions=[square])


def multiplied_again(path: Path) -> Path:
    """Products of a square matrix with itself: nothing grows, and each takes seconds."""
    side = 2048
    nodes, last = [h.make_node("RandomUniform", [], ["m0"], shape=[side, side], dtype=T.FLOAT)], "m0"
    for step in range(5000):
        nodes.append(h.make_node("MatMul", [last, "m0"], [f"m{step + 1}"]))
        last = f"m{step + 1}"
    return save(path, [*nodes, *added(last)])


def scanned(path: Path) -> Path:
    """A loop over a million rows in a loop over a million rows."""
    rows = nh.from_array(np.zeros((1 << 20, 1), np.float32), "rows")
    element = [h.make_tensor_value_info("r", T.FLOAT, [1])]
    ends = [h.make_tensor_value_info("next", T.FLOAT, None)]
    inner = h.make_graph(
        [h.make_node("Sin", ["s"], ["next"])], "inner", [h.make_tensor_value_info("s", T.FLOAT, [1]), *element], ends
    )
    again = h.make_node("Scan", ["state", "rows"], ["state_out"], body=inner, num_scan_inputs=1)
    outer = h.make_graph(
        [again],
        "outer",
        [h.make_tensor_value_info("state", T.FLOAT, [1]), *element],
        [h.make_tensor_value_info("state_out", T.FLOAT, None)],
    )
    nodes = [
        h.make_node("ReduceMax", ["mean"], ["top"], keepdims=0),
        h.make_node("Unsqueeze", ["top", "zero"], ["start"]),
        h.make_node("Scan", ["start", "rows"], ["end"], body=outer, num_scan_inputs=1),
    ]
    return save(path, [*nodes, *added("end")], [rows, sizes("zero", 0)])


REFUSED = (claimed, copied, recursive, wide)
"""What is refused by what the file says."""
TRIED = {
    counted: "Range",
    doubled: "Concat",
    expanded: "Expand",
    filled: "ConstantOfShape",
    in_a_branch: "Loop",
    looped: "Loop",
    multiplied: "ConstantOfShape",
    resized: "Resize",
    tiled: "Tile",
}
"""What shows in a run, and the operator that tells of it."""

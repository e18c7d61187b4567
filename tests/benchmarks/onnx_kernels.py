"""Which kernels tell releases of ONNX Runtime apart: graphs of one operator that newer ones load and older ones refuse.

    python -m tests.benchmarks.onnx_kernels --older /1.18.1/bin/python --newer /1.19.2/bin/python

Both options may be given several times. A graph is found if all newer releases load it and no older one does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import defs, helper

from edge_seq.backends.onnx.graph import IR_VERSION, OPSET

NAMES = ["FLOAT", "INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64", "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64"]
TYPES = {f"tensor({name.lower()})": onnx.TensorProto.DataType.Value(name) for name in NAMES}
MOST_COMBINATIONS = 200  # of types for one operator
LOADS = """
import json, sys, onnxruntime
from pathlib import Path
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
loaded = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        loaded.append(path.name)
    except Exception:
        pass
print(json.dumps([onnxruntime.__version__, loaded]))
"""


def graphs() -> Iterator[tuple[str, onnx.ModelProto]]:
    """A graph for each operator of the set with each combination of the types of its required inputs."""
    schemas: dict[str, defs.OpSchema] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and not schema.deprecated and schema.since_version <= OPSET:
            newest = schemas.setdefault(schema.name, schema)
            schemas[schema.name] = max(newest, schema, key=lambda one: one.since_version)
    for name, schema in sorted(schemas.items()):
        allowed = {
            one.type_param_str: [t for t in one.allowed_type_strs if t in TYPES] for one in schema.type_constraints
        }
        inputs = [one.type_str for one in schema.inputs if one.option != defs.OpSchema.FormalParameterOption.Optional]
        kinds = list(dict.fromkeys(inputs))
        output = schema.outputs[0].type_str
        choices = [allowed.get(kind, [kind] if kind in TYPES else []) for kind in kinds]
        for chosen in itertools.islice(itertools.product(*choices), MOST_COMBINATIONS if inputs else 0):
            types = dict(zip(kinds, chosen, strict=True))
            results = [types[output]] if output in types else allowed.get(output, [output])
            for result in (one for one in results if one in TYPES):
                attributes = {"to": TYPES[result]} if name == "Cast" else {}
                names = [f"x{index}" for index in range(len(inputs))]
                ports = [
                    helper.make_tensor_value_info(one, TYPES[types[kind]], None)
                    for one, kind in zip(names, inputs, strict=True)
                ]
                graph = helper.make_graph(
                    [helper.make_node(name, names, ["y"], **attributes)],
                    "one",
                    ports,
                    [helper.make_tensor_value_info("y", TYPES[result], None)],
                )
                imports = [helper.make_opsetid("", OPSET)]
                yield (
                    " ".join([name, *chosen, "to", result]),
                    helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION),
                )


def main() -> None:
    """Print how many graphs each release loads, and those that tell the releases apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--older", action="append", required=True, help="Python with a release that is to refuse")
    parser.add_argument("--newer", action="append", required=True, help="Python with a release that is to load")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        count = 0
        for name, proto in graphs():
            (Path(folder) / name).write_bytes(proto.SerializeToString())
            count += 1
        print(f"{count:,} graphs")  # noqa: T201
        loaded: dict[str, set[str]] = {}
        for python in (*options.older, *options.newer):
            done = subprocess.run([python, "-c", LOADS, folder], capture_output=True, text=True, check=True)
            version, names = json.loads(done.stdout.strip().splitlines()[-1])
            loaded[python] = set(names)
            print(f"ONNX Runtime {version} loads {len(names):,}")  # noqa: T201
        found = set.intersection(*(loaded[python] for python in options.newer))
        for python in options.older:
            found -= loaded[python]
        print("\n".join(["only the newer:", *sorted(found)]))  # noqa: T201


if __name__ == "__main__":
    main()

import ast
from pathlib import Path

import pytest
from pymodbus.client.mixin import ModbusClientMixin

from edge_agent import read_plan

FILES = sorted(Path(read_plan.__file__).parent.glob("*.py"))
READS = {"read_coils", "read_discrete_inputs", "read_holding_registers", "read_input_registers"}
REQUESTS = {name for name in vars(ModbusClientMixin) if not name.startswith("_")}
FORBIDDEN = (REQUESTS - READS) | {"execute", "register"}


def names(tree: ast.AST) -> set[str]:
    """Every identifier, attribute and text in a module, docstrings left out where they are sentences."""
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return found | {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def imports(tree: ast.AST) -> set[str]:
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return modules | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_module_can_write_to_a_device(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    talks_modbus = any(module.startswith("pymodbus") for module in imports(tree))
    assert talks_modbus == (file.name == "modbus_driver.py")
    forbidden = FORBIDDEN if talks_modbus else {name for name in FORBIDDEN if name.startswith(("write_", "mask_write"))}
    assert not names(tree) & forbidden
    assert not talks_modbus or "getattr" not in names(tree)

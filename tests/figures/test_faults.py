"""Every fault of ``make faults`` still applies to the code, and every fault has a result."""

import json

from faults.table import TABLE


def test_every_fault_can_still_be_made(repository):
    for fault in TABLE:
        text = (repository / fault.file).read_text(encoding="utf-8")
        assert text.count(fault.right) == 1, f"{fault.file}: {fault.right}"
        assert all((repository / "tests" / name).exists() for name in fault.tests)


def test_every_fault_has_a_result_and_nine_in_ten_are_caught(repository):
    results = json.loads((repository / "tests/faults/results.json").read_text(encoding="utf-8"))
    assert results.keys() == {f"{fault.file}: {fault.right} -> {fault.wrong}" for fault in TABLE}
    assert sum(found is not None for found in results.values()) >= 0.9 * len(TABLE)

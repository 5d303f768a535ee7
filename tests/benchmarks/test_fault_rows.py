"""What the fault tests showed, over several goes."""

from benchmarks.fault_rows import FaultRow, merged, table


def row_of(part: str, seeds: int, date: str = "2026-01-01", test: str = "T2 simulator") -> FaultRow:
    return FaultRow(test, "a storm", part, tally={"seeds": seeds}, seconds=10, date=date)


def test_parts_of_a_test_are_one_line_that_adds_them_up() -> None:
    rows = merged([row_of("seeds00000", 100)], [row_of("seeds00100", 50)])
    (line,) = table(rows)[2:]
    assert line == "| T2 simulator | a storm | 0 | 0 | 20 | 150 seeds | 2026-01-01 |"


def test_a_part_that_is_run_again_replaces_itself_alone() -> None:
    before = [row_of("seeds00000", 100), row_of("seeds00100", 100)]
    assert merged(before, [row_of("seeds00100", 50)]) == [before[0], row_of("seeds00100", 50)]


def test_a_test_without_parts_replaces_all_its_rows() -> None:
    again = row_of("", 7, test="T9 clocks")
    other = row_of("", 1)
    assert merged([row_of("", 5, test="T9 clocks"), row_of("", 6, test="T9 clocks"), other], [again]) == [
        other,
        again,
    ]


def test_a_line_says_when_its_first_and_last_part_were_run() -> None:
    (line,) = table(
        [row_of("b", 1, "2026-01-03"), row_of("a", 1, "2026-01-01"), row_of("c", 1, "2026-01-02")]
    )[2:]
    assert line.endswith("| 2026-01-01 to 2026-01-03 |")

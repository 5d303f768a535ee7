"""The suite of planted faults: how often is the judgement of a run right? See `python -m benchmarks.judge -h`."""

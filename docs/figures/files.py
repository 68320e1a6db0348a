"""Names of the files that the benchmarks of this folder write."""

BENCHMARK_GRAPH = "benchmark_graph.json"
BENCHMARK_RUNTIME = "benchmark_runtime.json"
BENCHMARK_READING = "benchmark_data.json"

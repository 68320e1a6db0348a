"""Hostile content, which the tests and the fuzzer share."""

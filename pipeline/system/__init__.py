"""The process that the pipeline runs in: its output, TensorFlow's start, time and memory."""

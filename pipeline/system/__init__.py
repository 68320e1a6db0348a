"""Process-wide concerns: output of libraries, start of TensorFlow, time and memory, checks of given files."""

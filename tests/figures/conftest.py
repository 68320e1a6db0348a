from pipeline.quiet import load_tensorflow

load_tensorflow()

from pipeline.system.quiet import load_tensorflow

load_tensorflow(optional_modules=False)

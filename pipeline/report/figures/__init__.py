"""The charts of the report, one file each: each draws a document as a Matplotlib figure in the common style."""
